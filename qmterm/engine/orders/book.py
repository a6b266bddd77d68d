"""The book: what we hold, what it cost, what cash is left. Moved by fills only, each counted once.

Cash is exact: starting cash plus every fill's flow minus its fees, in Decimal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from qmterm.core.clock import NS
from qmterm.core.instruments import is_option, underlying_of
from qmterm.core.orders import BrokerPosition, Fill

ZERO = Decimal(0)
WITNESS_NS = 30 * NS  # for so long a frame outranks a ledger that does not list its symbol at all; no lag is longer


@dataclass(frozen=True, slots=True)
class Mark:
    """Dollars per share; `flag` is "" for a fresh two-sided mid, else why it is not."""

    price: Decimal
    flag: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Position:
    """`quantity` is signed contracts or shares; `average` dollars per share, fees not included."""

    symbol: str
    quantity: int
    average: Decimal
    strategy: str
    plan_id: str
    opened_ns: int
    realized: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def multiplier(self) -> int:
        return 100 if is_option(self.symbol) else 1

    @property
    def underlying(self) -> str:
        return underlying_of(self.symbol)

    def value(self, mark: Decimal) -> Decimal:
        """Dollars the account would show for it."""
        return mark * self.quantity * self.multiplier

    def unrealized(self, mark: Decimal) -> Decimal:
        return (mark - self.average) * self.quantity * self.multiplier


class Book:
    def __init__(self, starting_cash: Decimal, positions: Iterable[Position] = ()) -> None:
        self.starting_cash = starting_cash
        self.adjustments = ZERO  # visible differences the broker told us about (journalled one by one)
        self.flows = ZERO
        self.fees = ZERO
        self.realized = ZERO  # before fees
        self.fill_count = 0
        self.moves = 0  # of positions: whoever keeps what he made of them looks here
        self._positions: dict[str, Position] = {p.symbol: p for p in positions if p.quantity}
        self._seen: set[str] = set()
        self._settled: dict[str, int] = {}  # the broker's own word since our latest fill of the symbol
        self._words: dict[str, tuple[int, int, bool]] = {}  # its newest: quantity, stamp, whether the stream said it
        self._filled_ns: dict[str, int] = {}  # our newest fill of the symbol

    @property
    def cash(self) -> Decimal:
        return self.starting_cash + self.flows + self.adjustments

    @property
    def positions(self) -> tuple[Position, ...]:
        return tuple(self._positions.values())

    def position(self, symbol: str) -> Position | None:
        return self._positions.get(symbol)

    def quantity(self, symbol: str) -> int:
        held = self._positions.get(symbol)
        return held.quantity if held else 0

    def settle(self, theirs: Iterable[BrokerPosition], now_ns: int) -> None:
        """The broker's positions, read when every fill we know was counted; what it does not name is flat there.

        Unless the stream has said something newer of it: a ledger may show the past for seconds after a fill.
        """
        listed = {position.symbol: position for position in theirs}
        for symbol, row in listed.items():
            before = self._words.get(symbol)
            if before is None or not 0 < row.updated_ns < before[1]:
                self._words[symbol] = row.quantity, row.updated_ns, False
        self._settled = {symbol: self._word(symbol, listed.get(symbol), now_ns) for symbol in self._positions}

    def _word(self, symbol: str, row: BrokerPosition | None, now_ns: int) -> int:
        quantity, stamp, streamed = self._words.get(symbol, (0, 0, False))
        if stamp < self._filled_ns.get(symbol, 0):  # older than what we did: only the reading itself counts
            return row.quantity if row else 0
        return quantity if row or (streamed and now_ns - stamp < WITNESS_NS) else 0

    def shows(self, position: BrokerPosition) -> None:
        """A position as the account stream tells it: a witness of settlement, so that a close need not wait for REST.

        Frames come late, twice and out of order, so only one that is provably news counts: stamped after every word
        of the broker's before it, and not before our latest fill. None is ever more than what we hold.
        """
        symbol, stamp = position.symbol, position.updated_ns
        before = self._words.get(symbol)
        if stamp <= (before[1] if before else 0) or stamp < self._filled_ns.get(symbol, 0):
            return
        self._words[symbol] = position.quantity, stamp, True
        if symbol in self._settled:
            self._settled[symbol] = position.quantity

    @property
    def behind(self) -> bool:
        """The broker's ledger does not show all that we hold: a close of it would have to wait."""
        return any(self.settled(symbol) != held.quantity for symbol, held in self._positions.items())

    def settled(self, symbol: str) -> int:
        """What is certain to be held: ours, or less while the broker's ledger shows less of it."""
        held = self.quantity(symbol)
        theirs = self._settled.get(symbol, held)
        return max(0, min(held, theirs)) if held > 0 else min(0, max(held, theirs))

    def seen(self, fill_id: str) -> bool:
        return fill_id in self._seen

    def already_counted(self, fill_ids: Iterable[str]) -> None:
        """Fills that are inside the starting cash and positions of this session."""
        self._seen.update(fill_ids)

    def apply(self, fill: Fill, strategy: str, plan_id: str) -> Position | None:
        """Count one execution; returns the position after it (None when flat). A fill seen before changes nothing."""
        if fill.fill_id in self._seen:
            return self._positions.get(fill.symbol)
        self._seen.add(fill.fill_id)
        self._settled.pop(fill.symbol, None)
        self._filled_ns[fill.symbol] = max(fill.time_ns, self._filled_ns.get(fill.symbol, 0))
        self.fill_count += 1
        self.flows += fill.cash_flow
        self.fees += fill.fees
        self.moves += 1
        held = self._positions.get(fill.symbol)
        change = fill.action.sign * fill.quantity
        if held is None:
            after = Position(fill.symbol, change, fill.price, strategy, plan_id, fill.time_ns, fees=fill.fees)
        else:
            after = self._moved(held, change, fill)
        if after.quantity == 0:
            self._positions.pop(fill.symbol, None)
            return None
        self._positions[fill.symbol] = after
        return after

    def _moved(self, held: Position, change: int, fill: Fill) -> Position:
        fees = held.fees + fill.fees
        total = held.quantity + change
        if held.quantity * change > 0:  # adds: average the price
            average = (held.average * held.quantity + fill.price * change) / total
            return replace(held, quantity=total, average=average, fees=fees)
        closed = min(abs(change), abs(held.quantity)) * (1 if held.quantity > 0 else -1)
        gain = (fill.price - held.average) * closed * held.multiplier
        self.realized += gain
        if held.quantity * total < 0:  # went through zero: the rest is a new position at this price
            return replace(held, quantity=total, average=fill.price, opened_ns=fill.time_ns, fees=fees)
        return replace(held, quantity=total, realized=held.realized + gain, fees=fees)

    def adopt(self, position: BrokerPosition, strategy: str, plan_id: str, now_ns: int) -> None:
        """Take the broker's word for one symbol (recovery, or a difference a person or a rule accepted)."""
        self._settled.pop(position.symbol, None)
        self.moves += 1
        if position.quantity == 0:
            self._positions.pop(position.symbol, None)
            return
        held = self._positions.get(position.symbol)
        self._positions[position.symbol] = Position(
            position.symbol,
            position.quantity,
            position.average_open_price,
            held.strategy if held else strategy,
            held.plan_id if held else plan_id,
            held.opened_ns if held else now_ns,
        )
