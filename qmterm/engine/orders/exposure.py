"""The book as the risk gate must see it: every subset of the working and unknown orders filling is inside its numbers.

Risk is counted by strategy and underlying: within one, what is held and ordered covers each other; a strategy never
leans on another's options, so that its exit takes nothing from anybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from qmterm.core.clock import NS, et_date
from qmterm.core.instruments import is_option, risk_root
from qmterm.core.orders import OrderIntent, OrderState, Purpose
from qmterm.engine.orders.book import ZERO, Book, Position
from qmterm.engine.orders.fillable import Ask, PartsOf, fillable, fillable_of, nobody_asks, once, parts_of_chain
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.risk.book import RiskBook, order_key, root_of
from qmterm.risk.cover import Group, lent_to
from qmterm.risk.worst_case import Holding, Part, worst_loss

MINUTE_NS = 60 * NS
NEVER_AT_BROKER = (OrderState.NOT_SENT, OrderState.REJECTED)


@dataclass(frozen=True, slots=True)
class Losses:
    """NLV changes the gate looks at, dollars; None where there is no base yet."""

    day_pnl: Decimal | None = None
    previous_nlv: Decimal | None = None
    week_pnl: Decimal | None = None
    week_blocked: bool = False
    drawdown: Decimal | None = None
    drawdown_blocked: bool = False


def _holding(position: Position) -> Holding:
    return Holding(position.symbol, position.quantity, position.average, position.fees)


def _holdings(book: Book) -> dict[Group, tuple[Holding, ...]]:
    found: defaultdict[Group, list[Holding]] = defaultdict(list)
    for position in book.positions:
        found[position.strategy, root_of(position.symbol)].append(_holding(position))
    return {group: tuple(of) for group, of in found.items()}


def _risks(held: Mapping[Group, tuple[Holding, ...]], parts: Mapping[Group, tuple[Part, ...]]) -> dict[Group, Decimal]:
    """The worst case of every group; calls may lean on shares that another strategy holds."""
    with_shares = {root for (_, root), of in held.items() if any(not is_option(holding.symbol) for holding in of)}
    risks = {}
    for group in sorted({*held, *parts}):
        lent = lent_to(group, held, parts) if group[1] in with_shares else ()
        risks[group] = worst_loss(held.get(group, ()), parts.get(group, ()), lent).dollars
    return risks


def largest_trade(book: Book, ledger: Ledger, now: RiskBook) -> Decimal:
    """The most that one trade can lose: its legs together, with what its own orders may still open.

    Never more than its strategy has at risk in the stock: what covers it may belong to another trade.
    """
    held: defaultdict[tuple[Group, str], list[Holding]] = defaultdict(list)
    for position in book.positions:
        held[(position.strategy, root_of(position.symbol)), position.plan_id].append(_holding(position))
    orders: defaultdict[tuple[Group, str], list[Part]] = defaultdict(list)
    parts = once(nobody_asks)
    opening = [record for record in ledger.working if any(leg.action.opens for leg in record.intent.legs)]
    for chain in ledger.chains_of(opening):
        intent = chain[0].intent
        group = intent.strategy, root_of(intent.legs[0].symbol)
        orders[group, intent.plan_id] += parts_of_chain(chain, parts)
    risks = _risks(now.holdings, now.parts)
    alone = ((name[0], worst_loss(held[name], orders[name]).dollars) for name in {*held, *orders})
    return max((min(loss, risks.get(group, loss)) for group, loss in alone), default=ZERO)


def is_frozen(ledger: Ledger, underlying: str, frozen: Iterable[str] = ()) -> bool:
    """True while an order of that underlying, under any of its names, is UNKNOWN: nothing new is opened in it."""
    return risk_root(underlying) in {risk_root(name) for name in (*_unknown(ledger.working), *frozen)}


def _unknown(working: Iterable[OrderRecord]) -> frozenset[str]:
    """Underlyings of orders of which nobody knows what became."""
    return frozenset([r.intent.underlying for r in working if r.state is OrderState.UNKNOWN])


def open_risk(book: Book, ledger: Ledger) -> Decimal:
    """Worst case of positions plus everything that may still fill, dollars."""
    return sum(_risks(_holdings(book), fillable(book, ledger)).values(), ZERO)


@dataclass(frozen=True, slots=True)
class Standing:
    """What positions and working orders come to, whatever the time and the account's money are."""

    held: Mapping[Group, tuple[Holding, ...]]
    parts: Mapping[Group, tuple[Part, ...]]
    by_symbol: Mapping[str, Decimal]  # dollars that can be lost, of an index in all its roots
    by_strategy: Mapping[str, Decimal]
    spoken_for: Decimal  # dollars that working orders may still take
    names_held: frozenset[tuple[str, str]]  # (strategy, underlying)
    names_working: frozenset[tuple[str, str]]
    unknown: frozenset[str]  # underlyings of UNKNOWN orders


def standing(book: Book, ledger: Ledger, ask: Ask = nobody_asks) -> Standing:
    """Kept with the ledger until a position, an order or a fill changes; never where a quote has a part in it.

    An order waits for the answer, and most of it is the same as for the order before.
    """
    working = ledger.working
    holds_for = book, book.moves, ledger.changes, [_seen(record, ledger) for record in working]
    if ledger.kept is not None and ledger.kept[0] == holds_for:
        kept = ledger.kept[1]
        assert isinstance(kept, Standing)
        return kept
    quoted = False

    def asking(symbol: str) -> Decimal | None:
        nonlocal quoted
        quoted = True
        return ask(symbol)

    found = _standing(book, ledger, working, once(asking))
    ledger.kept = None if quoted else (holds_for, found)
    return found


def _seen(record: OrderRecord, ledger: Ledger) -> tuple[OrderRecord, OrderIntent, OrderState, OrderState | None]:
    """What of a working order can change without a fill; an exit's trigger may have ended, and turn up filled."""
    trigger = ledger.trigger(record)
    return record, record.intent, record.state, None if trigger is None else trigger.state


def _standing(book: Book, ledger: Ledger, working: tuple[OrderRecord, ...], now: PartsOf) -> Standing:
    chains = ledger.chains_of(working)
    held, parts = _holdings(book), fillable_of(book, ledger, chains, now)
    by_symbol: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    by_strategy: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for (strategy, root), risk in _risks(held, parts).items():
        by_symbol[risk_root(root)] += risk
        by_strategy[strategy] += risk
    return Standing(
        held,
        parts,
        dict(by_symbol),
        dict(by_strategy),
        spoken_for=sum((max(_spent(record, now) for record in chain) for chain in chains), ZERO),
        names_held=frozenset((p.strategy, p.underlying) for p in book.positions),
        names_working=frozenset((r.intent.strategy, r.intent.underlying) for r in working if _is_entry(r)),
        unknown=_unknown(working),
    )


def risk_book(
    book: Book,
    ledger: Ledger,
    *,
    nlv: Decimal | None,
    now_ns: int,
    losses: Losses = Losses(),
    buying_power: Decimal | None,
    frozen: Iterable[str] = (),
    ask: Ask = nobody_asks,
    duplicate_s: float = 0.0,
) -> RiskBook:
    now = standing(book, ledger, ask)
    today = ledger.filled_on(et_date(now_ns))
    alike = ledger.entries_after(now_ns - int(duplicate_s * NS)) if duplicate_s else ()
    return RiskBook(
        nlv=nlv,
        cash=book.cash - now.spoken_for,
        option_buying_power=None if buying_power is None else buying_power - now.spoken_for,
        risk_by_symbol=now.by_symbol,
        risk_by_strategy=now.by_strategy,
        held=now.names_held,
        working=now.names_working,
        frozen=now.unknown.union(frozen),
        holdings=now.held,
        parts=now.parts,
        day_pnl=losses.day_pnl,
        previous_nlv=losses.previous_nlv,
        week_blocked=losses.week_blocked,
        week_pnl=losses.week_pnl,
        drawdown_blocked=losses.drawdown_blocked,
        drawdown=losses.drawdown,
        orders_last_minute=ledger.count_after(now_ns - MINUTE_NS),
        recent=frozenset(order_key(record.intent.legs) for record in alike if record.state not in NEVER_AT_BROKER),
        day_trades=today.day_trades,
        unsettled=today.sold,
    )


def _is_entry(record: OrderRecord) -> bool:
    return record.intent.purpose in (Purpose.ENTRY, Purpose.EXTERNAL)


def spent(record: OrderRecord, ask: Ask) -> Decimal:
    """Cash and buying power an order may still take: what it pays, at least what it claims it can lose."""
    return _spent(record, once(ask))


def _spent(record: OrderRecord, parts: PartsOf) -> Decimal:
    paid = sum((max(ZERO, part.paid) * part.units for part in parts(record)), ZERO)
    return max(paid, record.worst_loss)


def closable(book: Book, ledger: Ledger, symbol: str, *, resting: bool = True) -> int:
    """Signed contracts that are settled at the broker and that no working order closes already.

    Without `resting` also what our own exits at the broker close: that is free once they were cancelled.
    """
    held = book.settled(symbol)
    closing = ledger.closing(symbol, resting=resting)
    return max(0, held - closing) if held > 0 else min(0, held + closing)


def openers(ledger: Ledger, underlying: str) -> tuple[OrderRecord, ...]:
    """Working orders of ours that open something of `underlying`, whatever the spelling."""
    root = risk_root(underlying)
    return tuple(
        record
        for record in ledger.working
        if not record.external
        and risk_root(record.intent.underlying) == root
        and any(leg.action.opens for leg in record.intent.legs)
    )


def entries_of(ledger: Ledger, plan_ids: Collection[str]) -> tuple[OrderRecord, ...]:
    """Working orders of ours that open more of these trades."""
    return tuple(
        record
        for record in ledger.working
        if not record.external
        and record.intent.plan_id in plan_ids
        and any(leg.action.opens for leg in record.intent.legs)
    )


def rolls_out_of(ledger: Ledger, symbols: Collection[str]) -> tuple[OrderRecord, ...]:
    """Working orders that close one of these and open something else: a stop must not wait behind their price."""
    return tuple(
        record
        for record in ledger.working
        if any(leg.action.opens for leg in record.intent.legs)
        and any(leg.symbol in symbols and not leg.action.opens for leg in record.intent.legs)
    )
