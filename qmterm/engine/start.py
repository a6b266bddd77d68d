"""Bringing an engine up: account first, then recovery, then data; nothing new can be sent before it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from qmterm.core.calendar import Phase
from qmterm.core.clock import et_date
from qmterm.core.errors import BrokerError
from qmterm.core.orders import AccountState, Fill
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import BrokerName
from qmterm.engine.ending import ended
from qmterm.engine.ladder import Ladder, Level
from qmterm.engine.orders.approvals import Approvals
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.exits import Guards
from qmterm.engine.orders.lanes import Lanes
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.orders.marks import Marks
from qmterm.engine.orders.priced import PricedBy
from qmterm.engine.orders.recovery import BASELINE, check_account, rebuild, restore, starting_positions, tail
from qmterm.engine.orders.shelf import Shelf
from qmterm.engine.orders.surroundings import Lookout
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.oversight import DAY, Oversight
from qmterm.engine.parts import Engaged, Parts
from qmterm.engine.show.chainview import ChainLook
from qmterm.engine.show.greeks import HeldGreeks
from qmterm.engine.show.header import Header
from qmterm.engine.show.publish import Publisher
from qmterm.engine.signals.conditions import ConditionTables
from qmterm.engine.signals.entries import Entries
from qmterm.engine.signals.flow import FlowWatch
from qmterm.engine.signals.history_pull import HistoryPull
from qmterm.engine.signals.listing import Listing
from qmterm.engine.signals.reference import MetricsSource, Reference
from qmterm.engine.signals.renames import Renames
from qmterm.engine.signals.scanning import Scanning
from qmterm.engine.signals.volatility import VolatilityKeeper
from qmterm.engine.trader import Trader
from qmterm.market.history.volatility import VolatilityHistory
from qmterm.risk.gate import Gate
from qmterm.risk.stops import StopRules

READ_TRIES = 5


async def start_unless_stopped(
    parts: Parts, progress: Callable[[str], None], stop_asked: asyncio.Event
) -> Engaged | None:
    """`start`, but no longer than a person wants to wait for it (history may take a minute); None when told to stop."""
    work, asked = asyncio.ensure_future(start(parts, progress)), asyncio.ensure_future(stop_asked.wait())
    await asyncio.wait((work, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if work.done():
        return work.result()
    await ended([work])
    parts.log.warn("STOP", "stopped before the start was complete; nothing was sent")
    if parts.journal.session_id is not None:
        await parts.journal.end_session({"stopped": "while starting"})
    return None


async def start(parts: Parts, progress: Callable[[str], None]) -> Engaged:
    """Connect, recover, load. QmtermError with one sentence when it cannot."""
    progress("broker")
    await parts.broker.connect()
    account = parts.broker.account
    saved = await parts.journal.load()
    check_account(saved.session, account, str(parts.journal.path))
    progress("account")
    state = await _read_account(parts)
    baseline = await parts.journal.read_document(BASELINE)
    rebuilt = rebuild(saved, state, baseline, parts.clock.monotonic())
    book = rebuilt.book
    if rebuilt.first_session:
        # Before the session's own row: a crash between the two must not count these fills again.
        known = [fill.fill_id for order in state.orders for fill in order.fills]
        await parts.journal.write_document(BASELINE, {"fill_ids": known})
    await parts.journal.start_session(
        account,
        parts.settings.engine.mode.value,
        parts.settings.engine.source.value,
        parts.broker_word,
        book.cash,
        starting_positions(book),
        parts.settings.fingerprint(),
    )
    parts.log.keep_in(parts.journal)

    engaged = _engage(parts, book, await parts.journal.read_document("ladder"))
    restore(engaged.desk.ledger, rebuilt)
    engaged.guards.restore({name: body for name, body in saved.protects.items() if "symbol" in body})
    await engaged.guards.catch_up()
    engaged.marks.restore({s: (m.mark, m.flag, m.time_ns) for s, m in saved.marks.items()})
    engaged.trader.balance = state.balance

    progress("market data")
    await parts.feed.start(progress)
    progress("recovery")
    await _recover(parts, engaged, state, saved_clean=saved.clean_end, first=rebuilt.first_session)
    # Before the first live quote: the last good marks are the nearest thing to the previous close.
    await _day_base(parts, engaged)
    engaged.marks.update()
    await engaged.flow.load_means()
    progress("history")
    await engaged.scanning.load(progress)
    await read_lists(engaged, parts)
    await engaged.volatility.load()
    await split_alarm(engaged, parts)
    progress("")
    return engaged


async def read_lists(engaged: Engaged, parts: Parts) -> None:
    """Who is listed, and what trade conditions mean: behind the engine, except in lockstep, where nothing may race."""
    engaged.listing.new_day()
    engaged.conditions.new_day()
    if parts.lockstep is not None:
        await engaged.listing.read()
        await engaged.conditions.read()


async def _read_account(parts: Parts) -> AccountState:
    """A complete look at the account; BrokerError when the broker never gives one."""
    why = "some pages could not be read"
    for attempt in range(READ_TRIES):
        try:
            state = await parts.broker.account_state()
        except BrokerError as error:
            why = str(error)
        else:
            if state.complete:
                return state
        await asyncio.sleep(0.2 * 2**attempt)
    raise BrokerError(f"the account cannot be read completely ({why}); nothing is traded before it can")


def _engage(parts: Parts, book: Book, saved_ladder: Mapping[str, object] | None) -> Engaged:
    settings = parts.settings
    board = parts.feed.board
    ladder = Ladder.from_dict(saved_ladder or {})
    quality = parts.feed.quality
    marks = Marks(book, board, parts.clock, quality.quote)
    scanning = Scanning(
        board,
        parts.history,
        parts.calendar,
        parts.compute,
        parts.clock,
        parts.log,
        settings.atr_matrix,
        settings.scanner,
        settings.engine.history_sessions,
        HistoryPull(parts.history, parts.feed.rest.budget, parts.clock, patient=parts.lockstep is not None),
        quality,
    )

    async def on_fill(record: OrderRecord, fill: Fill, after: Position | None) -> None:
        await guards.on_fill(record, fill, after)

    desk = OrderDesk(
        parts.broker,
        parts.journal,
        book,
        parts.clock,
        parts.log,
        settings.orders,
        on_fill,
        broker_tells_fees=settings.engine.broker is BrokerName.PAPER,
        priced=PricedBy(board, quality, parts.feed.chains, parts.clock, parts.source_word).of,
    )
    rules = StopRules.of(settings.atr_matrix, settings.risk)
    ticks = TickBook(parts.broker)
    guards = Guards(
        book, desk.ledger, marks, board, scanning, parts.journal, parts.clock, rules, settings.orders, ticks
    )

    async def lane_failed(error: Exception) -> None:
        parts.log.error("ORD", f"an order could not be handled: {error}")
        oversight.lane_failed(error)

    lanes = Lanes(lane_failed, single=parts.lockstep is not None)
    trader = Trader(
        mode=settings.engine.mode,
        clock=parts.clock,
        log=parts.log,
        journal=parts.journal,
        book=book,
        marks=marks,
        desk=desk,
        guards=guards,
        gate=Gate(settings.risk),
        ladder=ladder,
        lanes=lanes,
        quotes=board,
        settings=settings.orders,
        market_open=lambda: parts.calendar.phase(parts.clock.now()) is Phase.REGULAR,
        real_money_refusal=lambda: real_money_refusal(parts),
        ticks=ticks,
    )
    oversight = Oversight(
        trader,
        parts.broker,
        parts.journal,
        settings.engine,
        settings.risk,
        parts.feed.age_s,
        parts.loop_lag if parts.lockstep is None else None,
    )
    entries = Entries(
        trader,
        scanning,
        parts.feed.chains,
        Reference(
            parts.feed.rest,
            parts.clock,
            parts.log,
            parts.broker if isinstance(parts.broker, MetricsSource) else None,
        ),
        parts.feed.listed,
        parts.calendar,
        parts.clock,
        parts.log,
        settings.option_choice,
        settings.engine.max_candidates,
        news=parts.news,
        news_block=settings.news.block,
    )
    volatility = VolatilityKeeper(
        VolatilityHistory(parts.history.directory, parts.calendar), parts.feed.chains, parts.clock, parts.log
    )
    entries.iv_rank = volatility.rank
    lookout = Lookout(
        board,
        quality,
        parts.feed.chains,
        parts.calendar,
        parts.clock,
        lambda: parts.broker.flags,
        entries.known_earnings,
    )
    trader.around = lookout.of
    trader.leave_alone = lambda underlying: entries.rest(underlying, settings.orders.entry_cooldown_s)

    def held() -> frozenset[str]:
        return frozenset(scanning.ticker(position.underlying) for position in book.positions)

    renames = Renames(
        parts.feed.rest,
        parts.history,
        lambda: scanning.recent_symbols() | held(),
        parts.clock,
        parts.log,
        scanning.names_changed,
    )
    listing = Listing(parts.feed, scanning.coverage, parts.log, held, renames.find)
    flow = FlowWatch(
        board, parts.feed.option_trades, parts.calendar, parts.clock, parts.log, settings.flow, parts.volumes
    )
    parts.feed.chains.on_read = flow.note_chain
    conditions = ConditionTables(parts.feed.rest, parts.feed.bars.book, flow.learn_conditions, parts.log)
    look = ChainLook(
        parts.feed.chains,
        parts.clock,
        settings.engine.chain_refresh_s,
        book.quantity,
        lambda chain: volatility.standing(chain).words,
    )
    header = Header(parts, trader, scanning)
    publisher = Publisher(
        trader,
        scanning,
        entries,
        look,
        parts.calendar,
        parts.clock,
        parts.log,
        settings.risk,
        HeldGreeks(parts.calendar, parts.feed.chains.rates),
        header.view,
        flow.latest,
        parts.feed.board.quote_source,
    )
    return Engaged(
        book=book,
        marks=marks,
        desk=desk,
        guards=guards,
        ladder=ladder,
        lanes=lanes,
        trader=trader,
        proposals=trader.proposals,
        shelf=Shelf(trader),
        approvals=Approvals(trader),
        oversight=oversight,
        scanning=scanning,
        listing=listing,
        conditions=conditions,
        entries=entries,
        flow=flow,
        volatility=volatility,
        look=look,
        publisher=publisher,
    )


def real_money_refusal(parts: Parts) -> Reason | None:
    """Real money needs the live broker, `live = true` and arming; everything else trades paper freely."""
    if not parts.real_money:
        return None
    if parts.settings.engine.broker is not BrokerName.LIVE or not parts.settings.engine.live:
        return Reason.NOT_LIVE
    return Reason.NOT_ARMED


async def _recover(parts: Parts, engaged: Engaged, state: AccountState, *, saved_clean: bool, first: bool) -> None:
    """Count what happened while we were away, then compare; differences hold trading down until a person looked."""
    if not saved_clean:
        parts.log.warn("RECO", "the last session did not end cleanly; rebuilt from the journal")
    filled_before = engaged.book.fill_count
    await engaged.desk.read_back(state)
    found = engaged.book.fill_count - filled_before
    agreed, text = await engaged.oversight.settle()
    if not agreed and not engaged.oversight.reconciler.clean:
        engaged.oversight.lower(Level.REDUCE_ONLY, Reason.RECONCILE_DIFFERENCE, f"not reconciled: {text}")
    account = tail(parts.broker.account)
    if first:
        parts.log.info("RECO", f"new journal for account {account}: broker's positions and cash taken over")
    elif agreed:
        parts.log.info("RECO", f"account {account}: {text}; {found} fill(s) found that happened meanwhile")
    for underlying in {position.underlying for position in engaged.book.positions}:
        await engaged.trader.ticks.learn(underlying)
    await engaged.guards.tidy()
    await engaged.oversight.keep()


async def split_alarm(engaged: Engaged, parts: Parts) -> None:
    """Stops follow a split by themselves; what became of the option contracts is for a person to see."""
    for underlying in await engaged.guards.adjust_for_splits():
        parts.log.alarm(
            "STOP", f"{underlying} split: stop levels were adjusted; check what your contracts became", underlying
        )


async def _day_base(parts: Parts, engaged: Engaged) -> None:
    """NLV at the day's first start, kept over restarts of the same day."""
    day = engaged.trader.day
    day.restore(await parts.journal.read_document(DAY) or {})
    if day.nlv is not None and day.date == et_date(parts.clock.now()):
        return
    await engaged.oversight.begin_day()
