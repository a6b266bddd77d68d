"""Prices of a chain that contradict each other: verticals, butterflies, calendars (QUANT.md 3.6).

A violation on mids is amber (the mid is nobody's price), one that could be traded (sell at the bid, buy at the ask) is
red: the data are wrong, or somebody is about to lose money. The trap: nothing is repaired here, and only European
prices obey; de-Americanise first (european_equivalent.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.quant.surface.curves import Curves
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.quotes import mid_prices, two_sided

NOBODY = -1  # in place of a contract number
_ROUNDING = 1e-10  # of the strike, or of the variance: below it a difference is arithmetic


class Check(IntEnum):
    VERTICAL_NEGATIVE = 0  # the option with the better strike costs less
    VERTICAL_TOO_WIDE = 1  # a spread costs more than it can ever pay
    BUTTERFLY = 2  # the middle strike costs more than its neighbours together
    CALENDAR = 3  # total variance at one ln(K/F) falls with time


class Severity(IntEnum):
    AMBER = 1  # on mids
    RED = 2  # on prices that can be had: "check data"


class Violation(NamedTuple):
    check: Check
    severity: Severity
    expiry: int
    later: int  # a calendar's later expiry; elsewhere the same expiry
    contracts: tuple[int, ...]  # two of a vertical, three of a butterfly, the earlier one of a calendar
    amount: float  # by how much: $ per share, of a calendar total variance


@dataclass(frozen=True, slots=True)
class Violations:
    """All of a chain, one entry each; expiries and contracts are numbers of the ladder."""

    check: NDArray[np.int8]
    severity: NDArray[np.int8]
    expiry: IntArray
    later: IntArray
    contracts: IntArray  # (violations, 3), NOBODY where there are fewer
    amount: FloatArray

    def __len__(self) -> int:
        return int(self.amount.size)

    def __iter__(self) -> Iterator[Violation]:
        for number in range(len(self)):
            yield Violation(
                Check(self.check[number]),
                Severity(self.severity[number]),
                int(self.expiry[number]),
                int(self.later[number]),
                tuple(contract for contract in self.contracts[number].tolist() if contract != NOBODY),
                float(self.amount[number]),
            )

    @property
    def red(self) -> int:
        """How many of them could be traded."""
        return int((self.severity == Severity.RED).sum())

    def take(self, numbers: IntArray) -> Violations:
        """Some of them, in the given order."""
        return Violations(
            self.check[numbers],
            self.severity[numbers],
            self.expiry[numbers],
            self.later[numbers],
            self.contracts[numbers],
            self.amount[numbers],
        )


def check_surface(
    ladder: Ladder,
    rate: ArrayLike,
    forward: ArrayLike,
    bid: ArrayLike,
    ask: ArrayLike,
    iv: ArrayLike,
    bid_iv: ArrayLike | None = None,
    ask_iv: ArrayLike | None = None,
) -> Violations:
    """Every violation between neighbouring strikes and neighbouring expiries; each once, red if it can be traded.

    `rate` and `forward` single or one an expiry; quotes and volatilities one a contract. Crossed quotes take no part.
    Without `bid_iv` and `ask_iv` calendars are checked on mids only.
    """
    rates, forwards = ladder.expiry_column("rate", rate), ladder.expiry_column("forward", forward)
    bids, asks = ladder.column("bid", bid), ladder.column("ask", ask)
    middle = mid_prices(bids, asks)
    # A missing bid can be bought against: it counts as nothing to be sold for.
    offered = np.where(np.isfinite(asks) & (asks > 0) & ~(bids > asks), asks, np.nan)
    wanted = np.where(two_sided(bids, asks), bids, 0.0)
    with np.errstate(all="ignore"):
        discount = np.exp(-rates * ladder.years)
    found: list[Violations] = []
    # What can be traded is looked for twice: a wide quote between two good ones would hide their contradiction.
    for severity, neighbours, buy, sell in (
        (Severity.RED, offered, offered, wanted),
        (Severity.RED, middle, offered, wanted),
        (Severity.AMBER, middle, middle, middle),
    ):
        for is_call in (True, False):
            found += _spreads(ladder, discount, severity, is_call, neighbours, buy, sell)
    if bid_iv is not None and ask_iv is not None:
        low, high = ladder.vol_column("bid_iv", bid_iv), ladder.vol_column("ask_iv", ask_iv)
        found.append(_calendars(ladder, forwards, Severity.RED, low, high))
    vols = ladder.vol_column("iv", iv)
    found.append(_calendars(ladder, forwards, Severity.AMBER, vols, vols))
    return _each_once(found)


def _spreads(
    ladder: Ladder,
    discount: FloatArray,
    severity: Severity,
    is_call: bool,
    neighbours: FloatArray,
    buy: FloatArray,
    sell: FloatArray,
) -> list[Violations]:
    """Verticals and butterflies of one right, between neighbours among the strikes where `neighbours` is known."""
    contracts = ladder.call if is_call else ladder.put
    rows = np.flatnonzero(np.isfinite((ladder.calls if is_call else ladder.puts)(neighbours)))
    contract, strike, expiry = contracts[rows], ladder.strike[rows], ladder.expiry[rows]
    buy, sell = buy[contract], sell[contract]
    nobody = np.full(rows.size, NOBODY)

    low = np.flatnonzero(expiry[1:] == expiry[:-1])
    high = low + 1
    dear, cheap = (low, high) if is_call else (high, low)
    limit = discount[expiry[low]] * (strike[high] - strike[low])
    rounding = _ROUNDING * strike[high]
    pair = np.stack((contract[low], contract[high], nobody[low]), axis=1)
    found = [
        _over(Check.VERTICAL_NEGATIVE, severity, expiry[low], pair, sell[cheap] - buy[dear], rounding),
        _over(Check.VERTICAL_TOO_WIDE, severity, expiry[low], pair, sell[dear] - buy[cheap] - limit, rounding),
    ]

    low = np.flatnonzero(expiry[2:] == expiry[:-2])
    body, high = low + 1, low + 2
    share = (strike[high] - strike[body]) / (strike[high] - strike[low])
    excess = sell[body] - (share * buy[low] + (1.0 - share) * buy[high])
    triple = np.stack((contract[low], contract[body], contract[high]), axis=1)
    found.append(_over(Check.BUTTERFLY, severity, expiry[low], triple, excess, _ROUNDING * strike[high]))
    return found


def _calendars(
    ladder: Ladder, forward: FloatArray, severity: Severity, early: FloatArray, late: FloatArray
) -> Violations:
    """Total variance of each strike's out-of-the-money option against the next expiry that has a smile there."""
    with np.errstate(all="ignore"):
        moneyness = np.log(ladder.strike / forward[ladder.expiry])
        first = ladder.outside(early, forward) ** 2 * ladder.years[ladder.expiry]
        second = ladder.outside(late, forward) ** 2 * ladder.years[ladder.expiry]
    curves = Curves.through(ladder.expiries, ladder.expiry, moneyness, second)
    known = np.flatnonzero(curves.sizes > 0)
    place = np.searchsorted(known, ladder.expiry, side="right")
    rows = np.flatnonzero((place < known.size) & np.isfinite(first) & np.isfinite(moneyness))
    later = known[place[rows]]
    variance, inside = curves.at(later, moneyness[rows])
    upper = ladder.strike[rows] >= forward[ladder.expiry[rows]]
    contract = np.where(upper, ladder.call[rows], ladder.put[rows])
    nobody = np.full(rows.size, NOBODY)
    excess = np.where(inside, first[rows] - variance, np.nan)
    single = np.stack((contract, nobody, nobody), axis=1)
    rounding = _ROUNDING * (1.0 + first[rows])
    return _over(Check.CALENDAR, severity, ladder.expiry[rows], single, excess, rounding, later)


def _over(
    check: Check,
    severity: Severity,
    expiry: IntArray,
    contracts: IntArray,
    amount: FloatArray,
    rounding: FloatArray,
    later: IntArray | None = None,
) -> Violations:
    """Those whose amount is more than rounding."""
    where = np.flatnonzero(amount > rounding)
    return Violations(
        check=np.full(where.size, check, dtype=np.int8),
        severity=np.full(where.size, severity, dtype=np.int8),
        expiry=expiry[where],
        later=(expiry if later is None else later)[where],
        contracts=contracts[where],
        amount=amount[where],
    )


def _each_once(found: list[Violations]) -> Violations:
    """All together by expiry; of one that was found twice the first, so red before amber."""
    together = Violations(
        *(np.concatenate(columns) for columns in zip(*(_columns(part) for part in found), strict=True))
    )
    keys = zip(together.check.tolist(), together.later.tolist(), *together.contracts.T.tolist(), strict=True)
    first: dict[tuple[int, ...], int] = {}
    for number, key in enumerate(keys):
        first.setdefault(key, number)
    numbers = np.fromiter(first.values(), dtype=np.int64, count=len(first))
    order = np.lexsort((together.contracts[numbers, 0], together.check[numbers], together.expiry[numbers]))
    return together.take(numbers[order])


def _columns(part: Violations) -> tuple[np.ndarray, ...]:
    return part.check, part.severity, part.expiry, part.later, part.contracts, part.amount
