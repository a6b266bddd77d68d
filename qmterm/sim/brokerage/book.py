"""The account's money: cash, positions with average price and realized gains, and one row for every change.

The invariant: cash = starting cash + the sum of all transactions' net values, to the cent, always.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from qmterm.core.clock import et_date
from qmterm.core.fees import FeeBreakdown
from qmterm.core.instruments import is_option
from qmterm.core.orders import Action

_ZERO = Decimal(0)
_NO_FEES = FeeBreakdown()


@dataclass(slots=True)
class Position:
    """`quantity` is signed (+ long, − short); prices are dollars per share, gains dollars before fees."""

    symbol: str
    quantity: int
    average_open_price: Decimal
    multiplier: int
    created_ns: int
    updated_ns: int
    realized_today: Decimal = _ZERO
    realized_on: date | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """One change of cash or positions; `value` and `fees` in dollars, value positive = received."""

    transaction_id: int
    kind: str  # Trade, Receive Deliver, Money Movement
    sub_kind: str
    description: str
    time_ns: int
    symbol: str | None = None
    action: Action | None = None
    quantity: int = 0
    price: Decimal | None = None
    value: Decimal = _ZERO
    fees: FeeBreakdown = _NO_FEES
    order_id: int | None = None
    execution_id: str | None = None

    @property
    def net_value(self) -> Decimal:
        return self.value - self.fees.total


class Book:
    """Mutable; one per account."""

    def __init__(self, starting_cash: Decimal) -> None:
        self.starting_cash = starting_cash
        self.cash = starting_cash
        self.positions: dict[str, Position] = {}
        self.transactions: list[Transaction] = []
        self.touched: set[str] = set()  # symbols whose position changed since the last look

    def quantity(self, symbol: str) -> int:
        position = self.positions.get(symbol)
        return 0 if position is None else position.quantity

    def holdings(self) -> dict[str, int]:
        """Signed quantities of everything held."""
        return {symbol: position.quantity for symbol, position in self.positions.items() if position.quantity}

    def trade(
        self,
        symbol: str,
        action: Action,
        quantity: int,
        price: Decimal,
        fees: FeeBreakdown,
        now_ns: int,
        *,
        order_id: int | None = None,
        execution_id: str | None = None,
        kind: str = "Trade",
        description: str = "",
        multiplier: int = 0,
    ) -> Transaction:
        """Book one execution or delivery."""
        per_unit = multiplier or (100 if is_option(symbol) else 1)
        value = -action.sign * quantity * per_unit * price
        self._move(symbol, action.sign * quantity, price, per_unit, now_ns)
        verb = "Bought" if action.buys else "Sold"
        text = description or f"{verb} {quantity} {symbol} @ {price}"
        return self._record(
            Transaction(
                self._next_id,
                kind,
                action.value,
                text,
                now_ns,
                symbol=symbol,
                action=action,
                quantity=quantity,
                price=price,
                value=value,
                fees=fees,
                order_id=order_id,
                execution_id=execution_id,
            )
        )

    def remove(self, symbol: str, sub_kind: str, description: str, now_ns: int) -> Transaction:
        """Take a whole position out without cash: an expiry, or the option side of an exercise."""
        position = self.positions[symbol]
        quantity = position.quantity
        self._move(symbol, -quantity, _ZERO, position.multiplier, now_ns)
        return self._record(
            Transaction(
                self._next_id,
                "Receive Deliver",
                sub_kind,
                description,
                now_ns,
                symbol=symbol,
                quantity=abs(quantity),
            )
        )

    @property
    def _next_id(self) -> int:
        return len(self.transactions) + 1

    def _record(self, row: Transaction) -> Transaction:
        self.transactions.append(row)
        self.cash += row.net_value
        return row

    def _move(self, symbol: str, change: int, price: Decimal, multiplier: int, now_ns: int) -> None:
        position = self.positions.get(symbol)
        if position is None or position.quantity == 0:
            realized, realized_on = (position.realized_today, position.realized_on) if position else (_ZERO, None)
            self.positions[symbol] = Position(symbol, change, price, multiplier, now_ns, now_ns, realized, realized_on)
        else:
            self._change(position, change, price, now_ns)
        self.touched.add(symbol)

    def _change(self, position: Position, change: int, price: Decimal, now_ns: int) -> None:
        held = position.quantity
        if held * change > 0:  # more of the same side: the average moves
            total = abs(held) + abs(change)
            position.average_open_price = (abs(held) * position.average_open_price + abs(change) * price) / total
        else:
            closed = min(abs(held), abs(change))
            side = 1 if held > 0 else -1
            gain = side * closed * position.multiplier * (price - position.average_open_price)
            today = et_date(now_ns)
            earlier = position.realized_today if position.realized_on == today else _ZERO
            position.realized_today, position.realized_on = earlier + gain, today
            if abs(change) > abs(held):  # through zero: what is left was opened at this price
                position.average_open_price = price
                position.created_ns = now_ns
        position.quantity = held + change
        position.updated_ns = now_ns

    def drop_flat(self, before: date) -> None:
        """Forget positions that were closed on an earlier day (the broker shows them until then)."""
        gone = [s for s, p in self.positions.items() if p.quantity == 0 and et_date(p.updated_ns) < before]
        for symbol in gone:
            del self.positions[symbol]
