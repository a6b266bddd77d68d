"""The legs of one position in one underlying: calls, puts and stock, as the payoff, expectation and margin read them.

The trap: a stock leg of quantity 1 stands for `multiplier` shares, so that a covered call is +1 stock and −1 call.
Premiums are dollars per share and never signed: the quantity says who paid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.errors import BadInput

MULTIPLIER = 100.0


class LegKind(StrEnum):
    CALL = "C"
    PUT = "P"
    STOCK = "S"


@dataclass(frozen=True, slots=True)
class Leg:
    """`quantity` is signed (− sold), `strike` and `premium` dollars per share; a stock leg has strike 0.

    BadInput when a number is missing or makes no sense.
    """

    kind: LegKind
    quantity: float
    strike: float
    premium: float

    def __post_init__(self) -> None:
        for name, value in (("quantity", self.quantity), ("strike", self.strike), ("premium", self.premium)):
            if not math.isfinite(value):
                raise BadInput(f"leg {self.kind.value}: {name} is {value}, a number is needed")
        if self.kind is not LegKind.STOCK and self.strike <= 0.0:
            raise BadInput(f"leg {self.kind.value}: strike {self.strike} must be above 0")
        if self.premium < 0.0:
            raise BadInput(f"leg {self.kind.value}: premium {self.premium} is below 0; the quantity carries the sign")

    @property
    def is_option(self) -> bool:
        return self.kind is not LegKind.STOCK


def option_leg(is_call: bool, quantity: float, strike: float, premium: float) -> Leg:
    """A call or a put."""
    return Leg(LegKind.CALL if is_call else LegKind.PUT, quantity, strike, premium)


def stock_leg(quantity: float, price: float) -> Leg:
    """`quantity` times the multiplier in shares, bought or sold at `price`."""
    return Leg(LegKind.STOCK, quantity, 0.0, price)


class Columns(NamedTuple):
    """Legs as arrays, in their order."""

    is_call: BoolArray
    is_put: BoolArray
    quantity: FloatArray
    strike: FloatArray
    premium: FloatArray


def columns(legs: Sequence[Leg]) -> Columns:
    """BadInput when there is no leg."""
    if not legs:
        raise BadInput("a position needs at least one leg")
    return Columns(
        np.array([leg.kind is LegKind.CALL for leg in legs]),
        np.array([leg.kind is LegKind.PUT for leg in legs]),
        np.array([leg.quantity for leg in legs], dtype=np.float64),
        np.array([leg.strike for leg in legs], dtype=np.float64),
        np.array([leg.premium for leg in legs], dtype=np.float64),
    )


def net_premium(legs: Sequence[Leg], multiplier: float = MULTIPLIER) -> float:
    """Dollars paid (+) or received (−) for the whole position, before costs."""
    of = columns(legs)
    return float(np.sum(of.quantity * of.premium) * positive_multiplier(multiplier))


def positive_multiplier(multiplier: float) -> float:
    """The multiplier, or BadInput."""
    if not (math.isfinite(multiplier) and multiplier > 0.0):
        raise BadInput(f"multiplier {multiplier} must be above 0")
    return multiplier
