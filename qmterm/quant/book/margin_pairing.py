"""Reg-T margin of any legs of one expiry, paired into the cheapest of the usual structures (QUANT.md 5.2).

Shorts are covered by longs (spreads: what they can lose at expiry together), by shares (covered calls), by each other
(strangles), and are naked otherwise; each leg covers once. Every pairing is a valid one, so the answer is never too
low, and can be too high where a broker pairs better. The trap: legs must share one underlying and one expiry; a long
that expires before the short covers nothing, and this function does not see dates.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from qmterm.core.reasons import Reason
from qmterm.quant.book.legs import MULTIPLIER, Leg, LegKind, columns, positive_multiplier
from qmterm.quant.book.margin import EQUITY, Margin, MarginProfile, short_option

# More units than this are not paired but charged leg by leg.
MOST_UNITS = 400


class Piece(NamedTuple):
    """A part of the position under one rule; `requirement` in dollars, premiums of shorts without cover included."""

    structure: str
    contracts: int
    requirement: float


@dataclass(frozen=True, slots=True)
class MarginEstimate:
    """`margin` is None when it cannot be estimated, with the `reason`; `note` says when legs were not paired."""

    margin: Margin | None
    structure: str
    pieces: tuple[Piece, ...] = ()
    reason: Reason | None = None
    note: str = ""


class _Short(NamedTuple):
    strike: float
    premium: float
    naked: float  # requirement per share


class _Side(NamedTuple):
    """Calls or puts: (short strike, long strike) of each spread, and the shorts left over."""

    spreads: list[tuple[float, float]]
    naked: list[_Short]


def estimate_margin(
    legs: Sequence[Leg],
    underlying: float | None,
    profile: MarginProfile = EQUITY,
    multiplier: float = MULTIPLIER,
    *,
    cash_secured: bool = False,
) -> MarginEstimate:
    """The cheapest pairing found; with `cash_secured`, short puts without a long put set their strike aside.

    Each leg's premium is its price now. Without the underlying's price only bought options have an answer, every
    other position is None with NO_QUOTE.
    """
    columns(legs)
    positive_multiplier(multiplier)
    merged = _merge(legs)
    price = underlying if underlying is not None and math.isfinite(underlying) and underlying > 0.0 else None
    if price is None and any(leg.quantity < 0.0 or not leg.is_option for leg in merged):
        return MarginEstimate(None, "unknown", reason=Reason.NO_QUOTE)
    note = _why_unsure(merged)
    if note:
        best = [_alone(leg, price or 0.0, profile, cash_secured) for leg in merged]
    else:
        best = _cheapest(merged, price or 0.0, profile, cash_secured)
    pieces = tuple(Piece(name, count, each * multiplier) for name, count, each in best)
    charged = sum(piece.requirement for piece in pieces)
    # Long shares are financed, so their price is no debit; the proceeds of short ones are held.
    credit = -multiplier * sum(leg.quantity * leg.premium for leg in legs if leg.is_option)
    credit += multiplier * sum(
        -leg.quantity * (price or 0.0) for leg in merged if not leg.is_option and leg.quantity < 0.0
    )
    margin = Margin(charged + max(0.0, -credit), credit)
    return MarginEstimate(margin, _name(pieces), pieces, note=note)


def _merge(legs: Sequence[Leg]) -> list[Leg]:
    """One leg for each contract; the premium of a netted one is the mean over the side that is left."""
    total: dict[tuple[LegKind, float], float] = {}
    for leg in legs:
        key = (leg.kind, leg.strike)
        total[key] = total.get(key, 0.0) + leg.quantity
    merged = []
    for (kind, strike), quantity in total.items():
        same = [leg for leg in legs if (leg.kind, leg.strike) == (kind, strike) and leg.quantity * quantity > 0.0]
        weight = sum(abs(leg.quantity) for leg in same)
        if abs(quantity) > 1e-12 and weight > 0.0:
            premium = sum(abs(leg.quantity) * leg.premium for leg in same) / weight
            merged.append(Leg(kind, quantity, strike, premium))
    return merged


def _why_unsure(legs: Sequence[Leg]) -> str:
    options = [leg.quantity for leg in legs if leg.is_option]
    if any(quantity != round(quantity) for quantity in options):
        return "contracts are not whole: each leg charged by itself"
    if sum(abs(quantity) for quantity in options) / _unit(legs) > MOST_UNITS:
        return f"more than {MOST_UNITS} contracts to pair: each leg charged by itself"
    return ""


def _unit(legs: Sequence[Leg]) -> int:
    """The largest number of contracts all legs are whole multiples of."""
    whole = [abs(math.floor(leg.quantity)) if not leg.is_option else abs(round(leg.quantity)) for leg in legs]
    return math.gcd(*whole) or 1


_Charge = tuple[str, int, float]  # structure, contracts, dollars per share times contracts


def _alone(leg: Leg, price: float, profile: MarginProfile, cash_secured: bool) -> _Charge:
    """A leg by itself: bought options cost what was paid, which the credit already says."""
    size = abs(leg.quantity)
    count = math.ceil(size)
    if leg.kind is LegKind.STOCK:
        long = leg.quantity > 0.0
        each = profile.stock_share * price if long else (1.0 + profile.stock_share) * price
        return ("long_stock" if long else "short_stock", count, each * size)
    if leg.quantity > 0.0:
        return ("long_option", count, 0.0)
    is_call = leg.kind is LegKind.CALL
    if cash_secured and not is_call:
        return ("cash_secured_put", count, leg.strike * size)
    each = float(short_option(price, leg.strike, leg.premium, is_call, profile))
    return ("naked_call" if is_call else "naked_put", count, each * size)


def _cheapest(legs: Sequence[Leg], price: float, profile: MarginProfile, cash_secured: bool) -> list[_Charge]:
    """Tries shares as cover for the lowest calls, for the highest, and for what longs leave over.

    Longs of a right are tried as cover and as mere longs: a jade lizard's short call is cheaper as half of a strangle.
    """
    unit = _unit(legs)
    shares = sum(leg.quantity for leg in legs if not leg.is_option)
    long_calls, short_calls = _units(legs, LegKind.CALL, unit, price, profile, False)
    long_puts, short_puts = _units(legs, LegKind.PUT, unit, price, profile, cash_secured)
    covers = min(len(short_calls), max(0, math.floor(shares / unit)))
    lent = 1.0 - profile.stock_share
    ways: list[list[_Charge]] = []
    for (first, rest), with_calls, with_puts in product(
        (
            (short_calls[:covers], short_calls[covers:]),
            (short_calls[len(short_calls) - covers :], short_calls[: len(short_calls) - covers]),
            ([], short_calls),
        ),
        (long_calls, []) if long_calls else ([],),
        (long_puts, []) if long_puts else ([],),
    ):
        calls = _pair(rest, with_calls, falling=False)
        puts = _pair(short_puts, with_puts, falling=True)
        left = covers - len(first)
        covered = first + calls.naked[:left]
        calls = _Side(calls.spreads, calls.naked[left:])
        charges = _of_spreads(calls.spreads, puts.spreads, unit)
        charges += _of_naked(calls.naked, puts.naked, unit, cash_secured)
        if covered:
            each = sum(price - lent * min(price, short.strike) for short in covered)
            charges.append(("covered_call", len(covered) * unit, each * unit))
        bare = shares - len(covered) * unit
        if abs(bare) > 1e-9:
            charges.append(_alone(Leg(LegKind.STOCK, bare, 0.0, 0.0), price, profile, cash_secured))
        longs = len(long_calls) + len(long_puts) - len(calls.spreads) - len(puts.spreads)
        if longs:
            charges.append(("long_option", longs * unit, 0.0))
        ways.append(charges)
    return min(ways, key=lambda charges: sum(charge[2] for charge in charges))


def _units(
    legs: Sequence[Leg], kind: LegKind, unit: int, price: float, profile: MarginProfile, cash_secured: bool
) -> tuple[list[float], list[_Short]]:
    """Strikes of the longs and the shorts of one kind, one entry per unit, by strike."""
    longs: list[float] = []
    shorts: list[_Short] = []
    for leg in sorted((leg for leg in legs if leg.kind is kind), key=lambda leg: leg.strike):
        count = abs(round(leg.quantity)) // unit
        if leg.quantity > 0.0:
            longs += [leg.strike] * count
        else:
            each = _alone(Leg(kind, -1.0, leg.strike, leg.premium), price, profile, cash_secured)[2]
            shorts += [_Short(leg.strike, leg.premium, each)] * count
    return longs, shorts


def _pair(shorts: list[_Short], longs: list[float], *, falling: bool) -> _Side:
    """Shorts and longs of one kind matched at the least sum of widths and naked requirements.

    A width is convex in the difference of strikes, so the best matching never crosses and can be built by rising
    strike: best[i][j] is the least charge for the first i shorts with the first j longs.
    """

    def width(short: _Short, long: float) -> float:
        return max(0.0, short.strike - long if falling else long - short.strike)

    best = [[0.0] * (len(longs) + 1) for _ in range(len(shorts) + 1)]
    for i, short in enumerate(shorts, start=1):
        best[i][0] = best[i - 1][0] + short.naked
        for j, long in enumerate(longs, start=1):
            best[i][j] = min(best[i - 1][j] + short.naked, best[i][j - 1], best[i - 1][j - 1] + width(short, long))
    spreads: list[tuple[float, float]] = []
    naked: list[_Short] = []
    i, j = len(shorts), len(longs)
    while i > 0:
        if j > 0 and best[i][j] == best[i][j - 1]:
            j -= 1
        elif j > 0 and best[i][j] == best[i - 1][j - 1] + width(shorts[i - 1], longs[j - 1]):
            spreads.append((shorts[i - 1].strike, longs[j - 1]))
            i, j = i - 1, j - 1
        else:
            naked.append(shorts[i - 1])
            i -= 1
    return _Side(spreads[::-1], sorted(naked, key=lambda short: -short.naked))


def _of_spreads(calls: list[tuple[float, float]], puts: list[tuple[float, float]], unit: int) -> list[_Charge]:
    """What all spreads together can cost when exercised at any price at expiry (an iron condor: the wider side)."""
    if not calls and not puts:
        return []
    worst = 0.0
    for spot in {0.0, *(strike for pair in calls + puts for strike in pair)}:
        cost = sum(max(0.0, spot - short) - max(0.0, spot - long) for short, long in calls)
        cost += sum(max(0.0, short - spot) - max(0.0, long - spot) for short, long in puts)
        worst = max(worst, cost)
    kinds = {("call", long > short) for short, long in calls} | {("put", long < short) for short, long in puts}
    if kinds == {("call", True), ("put", True)} and len(calls) == len(puts):
        name = "iron_condor"
    elif len(kinds) == 1:
        name = "credit_spread" if next(iter(kinds))[1] else "debit_spread"
    else:
        name = "spreads"
    count = len(calls) if name == "iron_condor" else len(calls) + len(puts)
    return [(name, count * unit, worst * unit)]


def _of_naked(calls: list[_Short], puts: list[_Short], unit: int, cash_secured: bool) -> list[_Charge]:
    """Naked shorts, largest requirement first: a put with a call is a strangle, the greater plus the other's premium.

    Puts that are secured by cash stay by themselves.
    """
    charged: Counter[str] = Counter()
    dollars: dict[str, float] = {}

    def charge(name: str, each: float) -> None:
        charged[name] += unit
        dollars[name] = dollars.get(name, 0.0) + each * unit

    both = 0 if cash_secured else min(len(calls), len(puts))
    for call, put in zip(calls[:both], puts[:both], strict=True):
        larger, other = (put, call) if put.naked >= call.naked else (call, put)
        charge("short_straddle" if call.strike == put.strike else "short_strangle", larger.naked + other.premium)
    for call in calls[both:]:
        charge("naked_call", call.naked)
    for put in puts[both:]:
        charge("cash_secured_put" if cash_secured else "naked_put", put.naked)
    return [(name, count, dollars[name]) for name, count in charged.items()]


def _name(pieces: Sequence[Piece]) -> str:
    names = {piece.structure for piece in pieces}
    if not names:
        return "nothing"
    return names.pop() if len(names) == 1 else "combination"
