"""Reg-T margin of the usual structures (QUANT.md 5.2): an estimate, the broker's own dry run decides.

All floats: these are model estimates for screens and limits; order cash is counted in Decimal elsewhere. The trap:
`requirement` holds the premium received, `effect` (what buying power loses) does not; a debit shows its cost as both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import flatten_options
from qmterm.quant.book.legs import MULTIPLIER


@dataclass(frozen=True, slots=True)
class MarginProfile:
    """Shares of the underlying (or of a put's strike) a short option is charged, and the least dollars per share."""

    name: str
    share: float  # a: of the underlying, less what the option is out of the money
    least_share: float  # b: of the underlying for a call, of the strike for a put
    floor: float = 0.0  # dollars per share
    stock_share: float = 0.5  # Reg-T initial margin of the shares themselves

    def leveraged(self, leverage: float) -> MarginProfile:
        """The same for an ETF that moves `leverage` times its index (its absolute value): at most all of it."""
        times = abs(leverage)
        if not (math.isfinite(times) and times >= 1.0):
            raise BadInput(f"leverage {leverage} must be 1 or more, or −1 or less")
        return replace(
            self,
            name=f"{self.name} {leverage:g}x",
            share=min(1.0, self.share * times),
            least_share=min(1.0, self.least_share * times),
            stock_share=min(1.0, self.stock_share * times),
        )


EQUITY = MarginProfile("equity", 0.20, 0.10)
EQUITY_TASTY = MarginProfile("equity_tasty", 0.20, 0.10, 2.50)
BROAD_INDEX = MarginProfile("broad_index", 0.15, 0.10)
TASTY_INDEX = MarginProfile("tasty_index", 0.25, 0.15)
PROFILES = {profile.name: profile for profile in (EQUITY, EQUITY_TASTY, BROAD_INDEX, TASTY_INDEX)}


@dataclass(frozen=True, slots=True)
class Margin:
    """Dollars for the whole position. `credit` is negative for a debit; `effect` is what buying power falls by."""

    requirement: float
    credit: float

    @property
    def effect(self) -> float:
        """Never below 0: a credit above the requirement lends nothing."""
        return max(0.0, self.requirement - max(0.0, self.credit))


def short_option(
    underlying: ArrayLike, strike: ArrayLike, premium: ArrayLike, is_call: ArrayLike, profile: MarginProfile = EQUITY
) -> FloatArray:
    """Requirement per share of an uncovered short option, the premium included; arrays of whole chains welcome.

    max(P + max(a·U − OTM, b·U or b·K), floor). NaN where an input makes no sense.
    """
    shape, calls, (u, k, p) = flatten_options(is_call, underlying=underlying, strike=strike, premium=premium)
    known = (u > 0.0) & (k > 0.0) & (p >= 0.0) & np.isfinite(u) & np.isfinite(k) & np.isfinite(p)
    u, k, p = (np.where(known, value, np.nan) for value in (u, k, p))
    out_of_the_money = np.maximum(np.where(calls, k - u, u - k), 0.0)
    least = profile.least_share * np.where(calls, u, k)
    return np.asarray(np.maximum(p + np.maximum(profile.share * u - out_of_the_money, least), profile.floor)).reshape(
        shape
    )


def naked_option(
    underlying: float,
    strike: float,
    premium: float,
    is_call: bool,
    contracts: float = 1.0,
    profile: MarginProfile = EQUITY,
    multiplier: float = MULTIPLIER,
) -> Margin:
    """A short call or put without cover."""
    _positive(underlying=underlying, strike=strike, contracts=contracts, multiplier=multiplier)
    _not_negative(premium=premium)
    each = float(short_option(underlying, strike, premium, is_call, profile))
    return Margin(each * contracts * multiplier, premium * contracts * multiplier)


def short_strangle(
    underlying: float,
    put_strike: float,
    call_strike: float,
    put_premium: float,
    call_premium: float,
    contracts: float = 1.0,
    profile: MarginProfile = EQUITY,
    multiplier: float = MULTIPLIER,
) -> Margin:
    """Short put and short call (equal strikes: a straddle): the greater requirement plus the other's premium."""
    put = naked_option(underlying, put_strike, put_premium, False, contracts, profile, multiplier)
    call = naked_option(underlying, call_strike, call_premium, True, contracts, profile, multiplier)
    larger, other = (put, call) if put.requirement >= call.requirement else (call, put)
    return Margin(larger.requirement + other.credit, put.credit + call.credit)


def credit_spread(width: float, credit: float, contracts: float = 1.0, multiplier: float = MULTIPLIER) -> Margin:
    """A vertical sold for a credit: its width."""
    _positive(width=width, contracts=contracts, multiplier=multiplier)
    _not_negative(credit=credit)
    return Margin(width * contracts * multiplier, credit * contracts * multiplier)


def iron_condor(
    put_width: float, call_width: float, credit: float, contracts: float = 1.0, multiplier: float = MULTIPLIER
) -> Margin:
    """Two verticals of which only one can lose: the wider one."""
    _positive(put_width=put_width, call_width=call_width)
    return credit_spread(max(put_width, call_width), credit, contracts, multiplier)


def debit(cost: float, contracts: float = 1.0, multiplier: float = MULTIPLIER) -> Margin:
    """Bought options and verticals bought for a debit: paid in full, `cost` per share."""
    _positive(contracts=contracts, multiplier=multiplier)
    _not_negative(cost=cost)
    return Margin(cost * contracts * multiplier, -cost * contracts * multiplier)


def cash_secured_put(strike: float, premium: float, contracts: float = 1.0, multiplier: float = MULTIPLIER) -> Margin:
    """A short put with the strike set aside."""
    _positive(strike=strike, contracts=contracts, multiplier=multiplier)
    _not_negative(premium=premium)
    return Margin(strike * contracts * multiplier, premium * contracts * multiplier)


def covered_call(
    underlying: float,
    strike: float,
    premium: float,
    contracts: float = 1.0,
    profile: MarginProfile = EQUITY,
    multiplier: float = MULTIPLIER,
) -> Margin:
    """Shares on margin with a short call against each: U − 0.5·min(U, K), what is lent on the shares being capped."""
    _positive(underlying=underlying, strike=strike, contracts=contracts, multiplier=multiplier)
    _not_negative(premium=premium)
    each = underlying - (1.0 - profile.stock_share) * min(underlying, strike)
    return Margin(each * contracts * multiplier, premium * contracts * multiplier)


def _positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not (math.isfinite(value) and value > 0.0):
            raise BadInput(f"{name} {value} must be above 0")


def _not_negative(**numbers: float) -> None:
    for name, value in numbers.items():
        if not (math.isfinite(value) and value >= 0.0):
            raise BadInput(f"{name} {value} must be 0 or more")
