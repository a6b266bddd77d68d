"""Lots: which fill opened what is held, first in first out, and what each closing earned.

The invariant, for any fills in any order: realised + unrealised − fees = cash that moved + what is held at its marks.
The trap: a contract's cents do not divide evenly. A part of a lot takes its share of the opening fees rounded to the
cent and leaves the rest, so that fees add up to the cent whatever is closed in how many steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from qmterm.core.instruments import is_option
from qmterm.core.orders import Fill

CENT = Decimal("0.01")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Lot:
    """What is left of one opening fill. `quantity` signed, `price` dollars per share, `fees` dollars still carried."""

    symbol: str
    quantity: int
    price: Decimal
    fees: Decimal
    opened_ns: int
    fill_id: str  # "" = told by the broker: no fill of ours explains it
    strategy: str
    trade: str

    @property
    def multiplier(self) -> int:
        return 100 if is_option(self.symbol) else 1

    def unrealized(self, mark: Decimal) -> Decimal:
        """Dollars before fees."""
        return (mark - self.price) * self.quantity * self.multiplier


@dataclass(frozen=True, slots=True)
class Closing:
    """A lot or part of it that was closed. `close_price` None: the broker took it away, at a price nobody told."""

    symbol: str
    quantity: int  # signed as the lot was
    open_price: Decimal
    close_price: Decimal | None
    open_fees: Decimal
    close_fees: Decimal
    opened_ns: int
    closed_ns: int
    open_fill: str
    close_fill: str
    strategy: str
    trade: str

    @property
    def realized(self) -> Decimal | None:
        """Dollars before fees."""
        if self.close_price is None:
            return None
        multiplier = 100 if is_option(self.symbol) else 1
        return (self.close_price - self.open_price) * self.quantity * multiplier

    @property
    def fees(self) -> Decimal:
        return self.open_fees + self.close_fees


class Lots:
    """All lots of an account and what was closed of them, in the order in which it happened."""

    def __init__(self) -> None:
        self._open: dict[str, list[Lot]] = {}
        self._seen: set[str] = set()
        self.closings: list[Closing] = []

    @property
    def all(self) -> tuple[Lot, ...]:
        return tuple(lot for lots in self._open.values() for lot in lots)

    def of(self, symbol: str) -> tuple[Lot, ...]:
        """Oldest first."""
        return tuple(self._open.get(symbol, ()))

    def quantity(self, symbol: str) -> int:
        return sum(lot.quantity for lot in self._open.get(symbol, ()))

    def apply(self, fill: Fill, strategy: str, trade: str) -> bool:
        """Count one execution once: it closes the oldest lots of the other side, the rest opens a lot of its own.

        False when it was counted before.
        """
        if fill.fill_id in self._seen:
            return False
        self._seen.add(fill.fill_id)
        closes = min(fill.quantity, max(0, -self.quantity(fill.symbol) * fill.action.sign))
        fee_of_close = _share(fill.fees, closes, fill.quantity)
        self._close(fill.symbol, closes, fill.price, fee_of_close, fill.time_ns, fill.fill_id)
        opens = fill.quantity - closes
        if opens:
            self._open.setdefault(fill.symbol, []).append(
                Lot(
                    fill.symbol,
                    opens * fill.action.sign,
                    fill.price,
                    fill.fees - fee_of_close,
                    fill.time_ns,
                    fill.fill_id,
                    strategy,
                    trade,
                )
            )
        return True

    def align(self, symbol: str, quantity: int, average: Decimal, now_ns: int, strategy: str, trade: str) -> bool:
        """Take the book's word for what is held (adopted, expired, assigned); True when lots had to change.

        What is missing becomes a lot without a fill, at the book's average; what is too much is closed at no price.
        """
        change = quantity - self.quantity(symbol)
        if change == 0:
            return False
        here = self.quantity(symbol)
        taken = min(abs(change), max(0, -change * (1 if here > 0 else -1)), abs(here))
        self._close(symbol, taken, None, ZERO, now_ns, "")
        left = abs(change) - taken
        if left:
            sign = 1 if change > 0 else -1
            lot = Lot(symbol, left * sign, average, ZERO, now_ns, "", strategy, trade)
            self._open.setdefault(symbol, []).append(lot)
        return True

    def symbols(self) -> tuple[str, ...]:
        return tuple(self._open)

    def take_closed_before(self, ns: int) -> tuple[Closing, ...]:
        """Hand over what was closed earlier: whoever sums it up need not look at it again."""
        old = tuple(closing for closing in self.closings if closing.closed_ns < ns)
        self.closings = [closing for closing in self.closings if closing.closed_ns >= ns]
        return old

    def _close(self, symbol: str, count: int, price: Decimal | None, fees: Decimal, now_ns: int, fill_id: str) -> None:
        lots = self._open.get(symbol, [])
        while count > 0 and lots:
            lot = lots[0]
            size = abs(lot.quantity)
            closed = min(count, size)
            open_fees = _share(lot.fees, closed, size)
            close_fees = _share(fees, closed, count)
            sign = 1 if lot.quantity > 0 else -1
            self.closings.append(
                Closing(
                    symbol,
                    closed * sign,
                    lot.price,
                    price,
                    open_fees,
                    close_fees,
                    lot.opened_ns,
                    now_ns,
                    lot.fill_id,
                    fill_id,
                    lot.strategy,
                    lot.trade,
                )
            )
            fees -= close_fees
            count -= closed
            if closed == size:
                lots.pop(0)
            else:
                lots[0] = replace(lot, quantity=lot.quantity - closed * sign, fees=lot.fees - open_fees)
        if not lots:
            self._open.pop(symbol, None)


def _share(fees: Decimal, part: int, whole: int) -> Decimal:
    """A part's share in cents; the whole of it for the whole."""
    if part >= whole:
        return fees
    return (fees * part / whole).quantize(CENT, ROUND_HALF_UP) if part else ZERO
