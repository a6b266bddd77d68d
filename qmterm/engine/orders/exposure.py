"""The book as the risk gate must see it: every working and unknown order counted as filled at its worst case.

A position's open risk is what it can still lose: a long option its cost, anything else its full market value. A closing
order never frees anything before it fills, so every subset of the working orders stays inside the limits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from qmterm.core.clock import NS
from qmterm.core.instruments import is_option
from qmterm.core.orders import OrderState, Purpose
from qmterm.engine.orders.book import ZERO, Book, Position
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.risk.book import RiskBook, opening_sides

MINUTE_NS = 60 * NS


def position_risk(position: Position) -> Decimal:
    """Dollars a position can still lose at most, its opening fees included."""
    cost = abs(position.average * position.quantity * position.multiplier)
    if position.quantity > 0:
        return cost + position.fees
    # A short leg adopted from elsewhere: no bound is known, so a full strike (or price) is counted.
    return max(cost, _strike_value(position)) + position.fees


def _strike_value(position: Position) -> Decimal:
    if not is_option(position.symbol):
        return ZERO
    return Decimal(int(position.symbol[-8:])) / 1000 * abs(position.quantity) * position.multiplier


def open_risk(book: Book, ledger: Ledger) -> Decimal:
    """Worst case of positions plus everything that may still fill, dollars."""
    return sum((position_risk(p) for p in book.positions), ZERO) + sum((r.worst_loss for r in ledger.working), ZERO)


def risk_book(
    book: Book,
    ledger: Ledger,
    *,
    nlv: Decimal | None,
    now_ns: int,
    day_pnl: Decimal | None,
    previous_nlv: Decimal | None,
    buying_power: Decimal | None,
    frozen: Iterable[str] = (),
) -> RiskBook:
    by_symbol: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    by_strategy: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for position in book.positions:
        risk = position_risk(position)
        by_symbol[position.underlying] += risk
        by_strategy[position.strategy] += risk
    entries = [record for record in ledger.working if record.intent.purpose in (Purpose.ENTRY, Purpose.EXTERNAL)]
    for record in entries:
        by_symbol[record.intent.underlying] += record.worst_loss
        by_strategy[record.intent.strategy] += record.worst_loss
    spoken_for = sum((_spent(record) for record in entries), ZERO)
    return RiskBook(
        nlv=nlv,
        cash=book.cash - spoken_for,
        option_buying_power=None if buying_power is None else buying_power - spoken_for,
        risk_by_symbol=dict(by_symbol),
        risk_by_strategy=dict(by_strategy),
        held=frozenset((p.strategy, p.underlying) for p in book.positions),
        working=frozenset((r.intent.strategy, r.intent.underlying) for r in entries),
        sides=frozenset((p.symbol, p.quantity > 0) for p in book.positions).union(
            *(opening_sides(record.intent) for record in entries)
        ),
        frozen=frozenset(frozen) | {r.intent.underlying for r in ledger.working if r.state is OrderState.UNKNOWN},
        day_pnl=day_pnl,
        previous_nlv=previous_nlv,
        orders_last_minute=sum(
            1 for r in ledger.records if r.intent.purpose is Purpose.ENTRY and now_ns - r.intent.created_ns < MINUTE_NS
        ),
    )


def _spent(record: OrderRecord) -> Decimal:
    """Cash an entry may still take."""
    return max(record.worst_loss, ZERO)


def closable(book: Book, ledger: Ledger, symbol: str) -> int:
    """Signed contracts that no working order closes already."""
    held = book.quantity(symbol)
    closing = ledger.closing(symbol)
    return max(0, held - closing) if held > 0 else min(0, held + closing)
