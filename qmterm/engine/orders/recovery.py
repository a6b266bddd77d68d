"""Start = recovery: rebuild from the journal, compare with the broker, show every difference (DESIGN.md 5, point 3).

There is one way to start, whether the last run ended cleanly, was killed, or never was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from qmterm.core.errors import ConfigError
from qmterm.core.orders import AccountState, BrokerPosition, Fill, OrderState, Purpose
from qmterm.engine.ladder import Level
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.guard import legs_of
from qmterm.engine.orders.ledger import ADOPTED, Ledger, OrderRecord
from qmterm.journal.state import TAKEN_AWAY, Adjustment, JournalState, StoredFill, StoredOrder, StoredSession

BASELINE = "baseline"  # the document that names fills older than the journal


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the journal says we have, before the broker is asked."""

    book: Book
    records: tuple[OrderRecord, ...]
    first_session: bool


def check_account(session: StoredSession | None, account: str, journal: str) -> None:
    """A journal belongs to one account; ConfigError when this is another."""
    if session is not None and session.account != account:
        raise ConfigError(
            f"{journal} was kept for account {tail(session.account)}, this is {tail(account)}; "
            "name another file with --journal"
        )


def tail(account: str) -> str:
    """`..4417`: all of an account number that screens and logs show."""
    return f"..{account[-4:]}"


def rebuild(
    saved: JournalState, broker: AccountState, baseline: Mapping[str, object] | None, monotonic: float
) -> Rebuilt:
    """Book and orders from the journal alone; from the broker's account when the journal is new."""
    owners = _owners(saved)
    if saved.session is None:
        book = Book(broker.balance.cash, (_position(p, owners, 0) for p in broker.positions))
        book.already_counted(fill.fill_id for order in broker.orders for fill in order.fills)
        return Rebuilt(book, (), first_session=True)
    session = saved.session
    earlier = Book(
        session.starting_cash, (_position(p, owners, session.started_ns) for p in session.starting_positions)
    )
    costs = {reported.symbol: reported.average_open_price for reported in broker.positions}
    for move in _moves(saved):
        if move.session_id != session.session_id:
            continue
        if isinstance(move, StoredFill):
            earlier.apply(move.fill, move.strategy, move.plan_id)
        else:
            _adjust(earlier, move, owners, costs)
    # The new session starts where the old one stopped: what was filled meanwhile is found and counted in the new one.
    book = Book(earlier.cash, earlier.positions)
    book.already_counted(stored.fill.fill_id for stored in saved.fills)
    known = (baseline or {}).get("fill_ids")
    if isinstance(known, list):
        book.already_counted(str(fill_id) for fill_id in known)
    filled: dict[str, list[Fill]] = {}
    for stored in saved.fills:
        filled.setdefault(stored.intent_id, []).append(stored.fill)
    records = tuple(from_journal(each, filled.get(each.intent.intent_id, ()), monotonic) for each in saved.orders)
    for record, stored_order in zip(records, saved.orders, strict=True):
        record.spared = _spared(stored_order, saved)
    return Rebuilt(book, records, first_session=False)


def _spared(stored: StoredOrder, saved: JournalState) -> bool:
    """A close made while HALT stands is a person's: the machine makes none then."""
    halted = saved.ladder is not None and saved.ladder.state == Level.HALT.label
    ours = stored.intent.purpose not in (Purpose.ENTRY, Purpose.EXTERNAL)
    return halted and ours and saved.ladder is not None and stored.seq > saved.ladder.since_seq


def from_journal(stored: StoredOrder, fills: Iterable[Fill], monotonic: float) -> OrderRecord:
    """The record of an order as the journal left it."""
    # An intent may have left in the instant before the crash: only the broker can say.
    state = OrderState.UNKNOWN if stored.state in (OrderState.INTENT, OrderState.SENT) else stored.state
    # By purpose, not by strategy: our own close of a position opened elsewhere carries that one's strategy.
    external = stored.intent.purpose is Purpose.EXTERNAL
    # Killed between an adopted order's two rows: its number stands in its id, or it would be adopted a second time.
    known_by = stored.intent.intent_id.removeprefix(ADOPTED) if external else None
    return OrderRecord(
        stored.intent,
        state,
        broker_id=stored.broker_id or known_by,
        reason=stored.reason or "",
        fills={fill.fill_id: fill for fill in fills},
        external=external,
        known_since=monotonic,
        unwanted=stored.intent.rests and stored.reason == TAKEN_AWAY,
        worked_from_ns=stored.intent.created_ns,
    )


def restore(ledger: Ledger, rebuilt: Rebuilt) -> None:
    for record in rebuilt.records:
        ledger.add(record)


def starting_positions(book: Book) -> tuple[BrokerPosition, ...]:
    return tuple(BrokerPosition(p.symbol, p.quantity, p.average, p.multiplier) for p in book.positions)


def adopt_difference(
    book: Book,
    symbol: str,
    theirs: Decimal,
    broker: AccountState,
    now_ns: int,
    owner: tuple[str, str] | None = None,
) -> Decimal:
    """Take the broker's word for one symbol ("" = cash); returns the change that the journal must record.

    What is new belongs to `owner` (strategy, plan), else it came from elsewhere.
    """
    if not symbol:
        change = theirs - book.cash
        book.adjustments += change
        return change
    change = theirs - book.quantity(symbol)
    reported = next((p for p in broker.positions if p.symbol == symbol), None)
    strategy, plan_id = owner or ("external", "")
    book.adopt(reported or BrokerPosition(symbol, 0, Decimal(0), 100), strategy, plan_id, now_ns)
    return change


def _moves(saved: JournalState) -> list[StoredFill | Adjustment]:
    """All that moved the book, in its order: what was closed elsewhere is no part of what was bought after it."""
    return sorted((*saved.fills, *saved.adjustments), key=lambda move: move.seq)


def _adjust(
    book: Book, change: Adjustment, owners: Mapping[str, tuple[str, str]], costs: Mapping[str, Decimal]
) -> None:
    """The row has no cost: what is new costs what the broker says."""
    symbol = change.symbol
    if symbol is None:
        book.adjustments += change.amount
        return
    held = book.position(symbol)
    quantity = (held.quantity if held else 0) + int(change.amount)
    average = held.average if held else costs.get(symbol, Decimal(0))
    owner = owners.get(symbol, ("external", ""))
    book.adopt(BrokerPosition(symbol, quantity, average, 100), *owner, change.time_ns)


def _owners(saved: JournalState) -> dict[str, tuple[str, str]]:
    """Strategy and plan of what is held, as the book had them: whose fill began the position, else whose stop still
    watches some of it (what a split made). An order that filled nothing owns nothing, nor does its stop.
    """
    owners: dict[str, tuple[str, str]] = {}
    for plan_id, state in saved.protects.items():
        if "symbol" in state and state.get("quantity") != 0:
            for leg in legs_of(state):
                owners[leg.symbol] = (str(state.get("strategy", "external")), plan_id)
    return owners | _openers(saved)


def _openers(saved: JournalState) -> dict[str, tuple[str, str]]:
    held: dict[str, int] = {}
    openers: dict[str, tuple[str, str]] = {}
    for move in _moves(saved):
        if isinstance(move, StoredFill):
            fill = move.fill
            symbol, before = fill.symbol, held.get(fill.symbol, 0)
            change = fill.action.sign * fill.quantity
            if not fill.action.opens:  # of what was there before the journal began we know nothing: never through zero
                change = fill.action.sign * min(fill.quantity, max(0, -before * fill.action.sign))
            elif not before and move.plan_id:
                openers[symbol] = (move.strategy, move.plan_id)
        elif move.symbol is None:
            continue
        else:
            symbol, before, change = move.symbol, held.get(move.symbol, 0), int(move.amount)
        held[symbol] = before + change
        if not held[symbol]:
            openers.pop(symbol, None)
    return openers


def _position(reported: BrokerPosition, owners: Mapping[str, tuple[str, str]], now_ns: int) -> Position:
    strategy, plan_id = owners.get(reported.symbol, ("external", ""))
    return Position(reported.symbol, reported.quantity, reported.average_open_price, strategy, plan_id, now_ns)
