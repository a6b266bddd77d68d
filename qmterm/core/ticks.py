"""The price grid of options: which tick a price has, and how an order price is put on it.

The trap: the **unrounded** price selects the tick, and a buy goes down while a sell goes up, so that rounding never
makes an order more generous than what was decided. Decimal only; a float price is a bug at this seam.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from enum import StrEnum

from qmterm.core.errors import BadInput
from qmterm.core.fees import INDEX_ROOTS
from qmterm.core.instruments import option_root, underlying_of

CENT = Decimal("0.01")
NICKEL = Decimal("0.05")


class TickProgram(StrEnum):
    """The exchanges' three classes of option tick sizes (QUANT.md 6)."""

    PENNY = "penny"  # 0.01 below 3, 0.05 from 3
    PENNY_ALL = "penny_all"  # 0.01 at every price
    NICKEL = "nickel"  # 0.05 below 3, 0.10 from 3


@dataclass(frozen=True, slots=True)
class TickTable:
    """Tick sizes by price: `steps` are (threshold, tick), sorted; the last threshold is None (no upper end).

    The first step whose threshold exceeds the price gives the tick.
    """

    steps: tuple[tuple[Decimal | None, Decimal], ...]

    @classmethod
    def from_broker(cls, rows: Iterable[Mapping[str, object]]) -> TickTable:
        """The broker's own list of {value, threshold?}; BadInput when it is not usable."""
        steps: list[tuple[Decimal | None, Decimal]] = []
        for row in rows:
            threshold = row.get("threshold")
            steps.append((None if threshold is None else _number(threshold, row), _number(row.get("value"), row)))
        limited = sorted((threshold, value) for threshold, value in steps if threshold is not None)
        open_ended = [value for threshold, value in steps if threshold is None]
        if len(open_ended) != 1:
            raise BadInput(f"tick sizes need exactly one entry without a threshold, {len(open_ended)} found: {steps}")
        return cls((*limited, (None, open_ended[0])))

    def tick(self, price: Decimal) -> Decimal:
        """The tick at a price (its size, for a negative net price)."""
        size = abs(price)
        for threshold, value in self.steps:
            if threshold is None or size < threshold:
                return value
        raise BadInput(f"tick table {self.steps} has no entry for a price of {price}")

    def round_price(self, price: Decimal, buys: bool) -> Decimal:
        """The order price on the grid: buys down, sells up, never below one tick."""
        tick = self.tick(price)
        steps = (price / tick).to_integral_value(ROUND_FLOOR if buys else ROUND_CEILING)
        return max(Decimal(1), steps) * tick

    def on_tick(self, price: Decimal) -> bool:
        """True for a positive price that lies on the grid."""
        return price > 0 and price % self.tick(price) == 0


def _number(value: object, row: Mapping[str, object]) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise BadInput(f"tick size {dict(row)} is not a number") from error
    if not number.is_finite() or number <= 0:
        raise BadInput(f"tick size {dict(row)} must be above zero")
    return number


_THREE = Decimal(3)
_TABLES = {
    TickProgram.PENNY: TickTable(((_THREE, CENT), (None, Decimal("0.05")))),
    TickProgram.PENNY_ALL: TickTable(((None, CENT),)),
    TickProgram.NICKEL: TickTable(((_THREE, Decimal("0.05")), (None, Decimal("0.10")))),
}

SHARES = TickTable(((Decimal(1), Decimal("0.0001")), (None, CENT)))

_PENNY_ALL = frozenset({"SPY", "QQQ", "IWM"})
_NICKEL = frozenset({"SPX", "SPXW", "NDX", "NDXP", "RUT", "RUTW"})


def program_for(root: str) -> TickProgram:
    """The program an option root is taken to be in when the broker's own table is not at hand."""
    if root in _PENNY_ALL:
        return TickProgram.PENNY_ALL
    return TickProgram.NICKEL if root in _NICKEL else TickProgram.PENNY


def table_of(program: TickProgram | TickTable) -> TickTable:
    """The table behind a program; a table is itself."""
    return program if isinstance(program, TickTable) else _TABLES[program]


def tick(program: TickProgram | TickTable, price: Decimal) -> Decimal:
    """The tick at a price."""
    return table_of(program).tick(price)


def round_price(program: TickProgram | TickTable, price: Decimal, buys: bool) -> Decimal:
    """The price of a single-leg order on the grid: buys down, sells up, at least one tick."""
    return table_of(program).round_price(price, buys)


def on_tick(program: TickProgram | TickTable, price: Decimal) -> bool:
    """True when a positive price lies on the grid."""
    return table_of(program).on_tick(price)


def net_step(symbols: Iterable[str]) -> Decimal:
    """The step of the net price of several legs: a cent, with an index option among them a nickel (QUANT.md 6)."""
    index = any(option_root(underlying_of(symbol)) in INDEX_ROOTS for symbol in symbols)
    return NICKEL if index else CENT


def round_net(price: Decimal, step: Decimal = CENT) -> Decimal:
    """The net price of a multi-leg order (positive = credit) on its grid, never zero, sign kept.

    A credit goes up and a debit shrinks: both are "up" in the signed price. Zero is not a price that can be sent;
    it becomes the smallest credit. `step` is that of `net_step`.
    """
    rounded = (price / step).to_integral_value(ROUND_CEILING) * step
    if rounded != 0:
        return rounded
    return -step if price < 0 else step
