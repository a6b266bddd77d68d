"""Bringing an engine up: account first, then recovery, then data; nothing new can be sent before it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from qmterm.core.calendar import Phase
from qmterm.core.clock import et_date
from qmterm.core.orders import Fill
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import BrokerName
from qmterm.engine.arming import DOCUMENT as ARMING
from qmterm.engine.arming import Arming
from qmterm.engine.clock_watch import ClockWatch
from qmterm.engine.ending import ended
from qmterm.engine.ladder import Ladder
from qmterm.engine.opening import SessionTerms, open_account, recover, restore_orders
from qmterm.engine.orders.approvals import Approvals
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.edits import Edits
from qmterm.engine.orders.exits import Guards
from qmterm.engine.orders.lanes import Lanes
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.orders.marks import Marks
from qmterm.engine.orders.priced import PricedBy
from qmterm.engine.orders.rolls import Rolls
from qmterm.engine.orders.shelf import Shelf
from qmterm.engine.orders.surroundings import Lookout
from qmterm.engine.orders.tickets import Tickets
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.oversight import Oversight
from qmterm.engine.parts import Engaged, Parts
from qmterm.engine.patience import DISK_PATIENCE_S, DiskPatience
from qmterm.engine.portfolio.opening import portfolio_rooms, restore_portfolio
from qmterm.engine.show.chainview import ChainLook
from qmterm.engine.show.header import Header
from qmterm.engine.show.portfolio import PortfolioLook
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
from qmterm.market.clock import SystemClock
from qmterm.market.history.volatility import VolatilityHistory
from qmterm.market.rest.budget import Priority
from qmterm.risk.gate import Gate
from qmterm.risk.stops import StopRules


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
    progress("account")
    await asyncio.to_thread(parts.hold_account, parts.broker.account)
    engine = parts.settings.engine
    terms = SessionTerms(engine.mode.value, engine.source.value, parts.broker_word, parts.settings.fingerprint())
    opened = await open_account(parts.broker, parts.journal, parts.clock, terms)
    parts.log.keep_in(parts.journal)
    if parts.notice:
        parts.log.warn("FEED", parts.notice)

    engaged = _engage(parts, opened.rebuilt.book, opened.ladder)
    await restore_portfolio(engaged.portfolio, parts, opened.saved)
    await restore_orders(opened, engaged.trader)

    progress("market data")
    await parts.feed.start(progress)
    progress("recovery")
    clean = await recover(opened, engaged.trader, engaged.oversight, parts.broker.account)
    # Before the first live quote: the last good marks are the nearest thing to the previous close.
    await _day_base(parts, engaged)
    engaged.marks.update()
    if parts.real_money:
        saved = await parts.journal.read_document(ARMING) or {}
        await engaged.arming.restore(saved, parts.broker.account, engaged.marks.nlv, clean=clean)
    await engaged.flow.load_means()
    progress("history")
    await engaged.scanning.load(progress)
    await read_lists(engaged, parts)
    await engaged.volatility.load()
    split_alarm(engaged, parts)
    progress("")
    return engaged


async def read_lists(engaged: Engaged, parts: Parts) -> None:
    """Who is listed, and what trade conditions mean: behind the engine, except in lockstep, where nothing may race."""
    engaged.listing.new_day()
    engaged.conditions.new_day()
    if parts.lockstep is not None:
        await engaged.listing.read()
        await engaged.conditions.read()


def _engage(parts: Parts, book: Book, saved_ladder: Mapping[str, object] | None) -> Engaged:
    settings = parts.settings
    board = parts.feed.board
    patience = DiskPatience(DISK_PATIENCE_S if parts.lockstep is None else None)
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
        rooms.on_fill(fill, record.intent.strategy, record.intent.plan_id)
        await guards.on_fill(record, fill, after)

    evidence = PricedBy(board, quality, parts.feed.chains, parts.clock, parts.source_word)
    desk = OrderDesk(
        parts.broker,
        parts.journal,
        book,
        parts.clock,
        parts.log,
        settings.orders,
        on_fill,
        broker_tells_fees=settings.engine.broker is BrokerName.PAPER,
        priced=evidence.of,
        quoted=evidence.quoted,
    )
    rules = StopRules.of(settings.atr_matrix, settings.risk)
    ticks = TickBook(parts.broker)
    guards = Guards(
        book, desk.ledger, marks, board, scanning, parts.journal, parts.clock, rules, settings.orders, ticks, patience
    )

    async def lane_failed(error: Exception) -> None:
        parts.log.error("ORD", f"an order could not be handled: {error}")
        oversight.lane_failed(error)

    arming = Arming(parts.clock, parts.log, parts.journal, settings.fingerprint(), patience)
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
        real_money_refusal=lambda: real_money_refusal(parts, armed=arming.may_open),
        ticks=ticks,
    )
    trader.closing_refusal = lambda: real_money_refusal(parts, armed=arming.may_close)
    parts.permit.rule = lambda intent: (
        trader.closing_refusal() if intent.reduces else real_money_refusal(parts, armed=arming.may_open)
    )
    rooms = portfolio_rooms(parts, trader, guards, scanning, patience)
    oversight = Oversight(
        trader,
        parts.broker,
        parts.journal,
        settings.engine,
        settings.risk,
        parts.feed.age_s,
        parts.loop_lag if parts.lockstep is None else None,
        ClockWatch(parts.clock).look if isinstance(parts.clock, SystemClock) else lambda: None,
        scanning.split_ratio,
        patience,
    )
    oversight.adoption.on_flow = arming.moved_by
    arming.on_end = oversight.withdraw_unsent
    entries = Entries(
        trader,
        scanning,
        parts.feed.chains,
        Reference(
            parts.feed.cache,
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
        wait_s=lambda: parts.feed.rest.budget.eta_s(1, Priority.SCAN),
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
    scanning.on_splits = parts.feed.chains.cash.set_splits
    conditions = ConditionTables(parts.feed.rest, parts.feed.bars.book, flow.learn_conditions, parts.log)
    look = ChainLook(
        parts.feed.chains,
        parts.clock,
        settings.engine.chain_refresh_s,
        book.quantity,
        lambda chain: volatility.standing(chain).words,
    )
    header = Header(parts, trader, scanning, oversight, arming)
    publisher = Publisher(
        trader,
        scanning,
        entries,
        look,
        parts.calendar,
        parts.clock,
        parts.log,
        settings.risk,
        PortfolioLook(trader, rooms.keeper, rooms.expiry, settings.risk, parts.feed.cache, rooms.figures),
        header.view,
        flow.latest,
        parts.feed.board.quote_source,
    )
    approvals = Approvals(trader)
    tickets = Tickets(trader, lambda: board.stocks.numbers)
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
        approvals=approvals,
        tickets=tickets,
        rolls=Rolls(trader, tickets, parts.feed.chains),
        edits=Edits(trader, approvals),
        oversight=oversight,
        scanning=scanning,
        listing=listing,
        conditions=conditions,
        entries=entries,
        flow=flow,
        volatility=volatility,
        look=look,
        publisher=publisher,
        arming=arming,
        portfolio=rooms,
    )


def real_money_refusal(parts: Parts, *, armed: bool = False) -> Reason | None:
    """Real money needs the live broker, `live = true` and arming; everything else trades paper freely."""
    if not parts.real_money:
        return None
    if parts.settings.engine.broker is not BrokerName.LIVE or not parts.settings.engine.live:
        return Reason.NOT_LIVE
    return None if armed else Reason.NOT_ARMED


def split_alarm(engaged: Engaged, parts: Parts) -> None:
    """Stops follow a split by themselves; what became of the option contracts is for a person to see."""
    for underlying in engaged.guards.adjust_for_splits():
        parts.log.alarm(
            "STOP", f"{underlying} split: stop levels were adjusted; check what your contracts became", underlying
        )
    engaged.scanning.stops_follow()


async def _day_base(parts: Parts, engaged: Engaged) -> None:
    """NLV at the day's first start; after a restart of the same day it stands as restored (opening.py)."""
    day = engaged.trader.day
    if day.nlv is not None and day.date == et_date(parts.clock.now()):
        return
    await engaged.oversight.begin_day()
