"""The schedule of a walked price: from the mid toward the natural price by ticks, never beyond the worst. Pure.

Prices are signed per unit (negative = debit), so every step toward the market makes the number smaller. The trap: the
tick changes at a threshold, and a step must land on the grid of the price it leads to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from qmterm.core.instruments import is_option
from qmterm.core.matching import net_mid
from qmterm.core.orders import Leg
from qmterm.core.quotes import Quote
from qmterm.core.ticks import SHARES, TickProgram, TickTable, net_step, round_net, table_of
from qmterm.risk.price_sanity import crossing, natural_price, one_beyond

_HAIR = Decimal("0.0001")  # below a threshold, the tick of what lies under it


@dataclass(frozen=True, slots=True)
class Grid:
    """The prices that one order's legs may have: a contract's own ticks, or the net step of a spread."""

    legs: tuple[Leg, ...]
    program: TickProgram | TickTable

    @property
    def single(self) -> bool:
        return len(self.legs) == 1

    @property
    def _net_step(self) -> Decimal:
        return net_step(leg.symbol for leg in self.legs)

    @property
    def _sign(self) -> int:
        return -1 if self.legs[0].action.buys else 1

    def ours(self, price: Decimal) -> Decimal:
        """The nearest price that is no worse for us."""
        if not self.single:
            return round_net(price, self._net_step)
        return self._sign * self._size(abs(price), up=not self.legs[0].action.buys)

    def theirs(self, price: Decimal) -> Decimal:
        """The nearest price that is no worse for the other side: it crosses."""
        return crossing(self.legs, price, self.program)

    def toward(self, price: Decimal, ticks: int) -> Decimal:
        """The price `ticks` steps nearer to the market."""
        for _ in range(ticks):
            price = self._step(price)
        return price

    def _step(self, price: Decimal) -> Decimal:
        if not self.single:
            return one_beyond(self.legs, price, self._net_step)
        size, table = abs(price), self._table
        if self.legs[0].action.buys:
            return -(size + table.tick(size))
        below = table.tick(size - _HAIR)
        return max(size - below, below)

    def _size(self, size: Decimal, *, up: bool) -> Decimal:
        tick = self._table.tick(size)
        return max(Decimal(1), (size / tick).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)) * tick

    @property
    def _table(self) -> TickTable:
        if is_option(self.legs[0].symbol):
            return table_of(self.program)
        return SHARES


def start_price(grid: Grid, quotes: Mapping[str, Quote], worst: Decimal) -> Decimal | None:
    """The mid, rounded in our favour; the worst price where the market has gone past it. None without a mid."""
    for leg in grid.legs:
        if leg.symbol not in quotes or not quotes[leg.symbol].two_sided:
            return None
    mid = net_mid(grid.legs, quotes)
    return None if mid is None else max(grid.ours(mid), worst)


def furthest(grid: Grid, units: int, quotes: Mapping[str, Quote], worst: Decimal | None) -> Decimal | None:
    """As far as a price may go now: to the natural one, not past `worst`; without a bound one tick beyond it."""
    natural = natural_price(grid.legs, units, quotes)
    if natural is None:
        return None
    crossing = grid.theirs(natural)
    return grid.toward(crossing, 1) if worst is None else max(crossing, worst)


def next_price(grid: Grid, price: Decimal, bound: Decimal, ticks: int) -> Decimal | None:
    """The next step of a walk; None when it has arrived."""
    return None if price <= bound else max(grid.toward(price, ticks), bound)
