"""The most a book can still lose when any subset of its working and unknown orders fills (DESIGN.md 5, point 5).

Orders come as parts: what fills in one ratio is one part; legs that can fill apart are a part each. At one price of the
stock every part adds its own loss or nothing, so the worst subset there is the sum of the losses that are positive; and
that sum is convex between strikes, so the worst price is a strike, zero, or without end. No subset is ever enumerated.

Each expiry has a price of its own. The trap: a short is covered only by what lasts at least as long, and only by what
no working order can sell away; so longs and shares are lent to the nearer expiry that needs them, never the other way.
With one expiry the answer is exact; with several it is never too low.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.core.instruments import is_option, parse_option

CENT = Decimal("0.01")
NEVER = date.max  # shares do not expire
SHARES = 100  # that cover one call
ROUNDING = 1e-6  # dollars; far below a cent, far above what binary fractions lose


@dataclass(frozen=True, slots=True)
class Holding:
    """A position; `quantity` signed contracts or shares, `cost` dollars per share, `fees` dollars already paid."""

    symbol: str
    quantity: int
    cost: Decimal
    fees: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Part:
    """Up to `units` of a thing that fills as a whole: signed contracts or shares of each symbol in one unit.

    `price` is dollars per share of one unit, positive = received; `fees` dollars a unit. What is `fleeting` may be
    sold again for nothing once it filled (a bought option whose stop rests): it loses what it cost at every price.
    What is `asked` is a proposal, which counts like an order and is none: only words differ by it.
    """

    legs: tuple[tuple[str, int], ...]
    units: int
    price: Decimal
    fees: Decimal = Decimal(0)
    fleeting: bool = False
    asked: bool = field(default=False, compare=False)

    @property
    def multiplier(self) -> int:
        """Shares behind one dollar of `price`."""
        for symbol, _ in self.legs:  # a loop: an order's way asks this of every working one
            if _is_option(symbol):
                return 100
        return 1

    @property
    def paid(self) -> Decimal:
        """Dollars one unit takes out of the account, fees included (negative = brings)."""
        return self.fees - self.price * self.multiplier


@dataclass(frozen=True, slots=True)
class Worst:
    """`dollars` is the loss (at twice the highest price known where `unbounded`), `slope` what a dollar more adds."""

    dollars: Decimal
    slope: float = 0.0
    within: Decimal | None = None  # the loss at the worst strike, where that is not the whole answer

    @property
    def unbounded(self) -> bool:
        return self.slope > 0.0

    def worse_than(self, other: Worst, by: Decimal = Decimal(0)) -> bool:
        """More can be lost than in `other`, by more than `by` dollars or without end."""
        if self.slope > other.slope + ROUNDING or self.dollars > other.dollars + by:
            return True
        return self._at_strikes > other._at_strikes + by

    @property
    def _at_strikes(self) -> Decimal:
        return self.dollars if self.within is None else self.within


def with_filled(held: Iterable[Holding], part: Part) -> tuple[Holding, ...]:
    """What is held once all units of an opening part filled; its price and fees are on its first leg."""
    after = {holding.symbol: holding for holding in held}
    paid = part.paid * part.units
    for symbol, count in part.legs:
        quantity, size = count * part.units, 100 if _is_option(symbol) else 1
        old = after.get(symbol, Holding(symbol, 0, Decimal(0)))
        total = old.quantity + quantity
        cost = (old.cost * old.quantity * size + paid) / (total * size)
        after[symbol] = Holding(symbol, total, cost, old.fees)
        paid = Decimal(0)
    return tuple(after.values())


def one_expiry(held: Iterable[Holding], parts: Iterable[Part]) -> bool:
    """True when all options end on one day: the worst case is then exact, not only never too low."""
    days: set[date] = set()
    for holding in held:
        if _is_option(holding.symbol):
            days.add(_contract(holding.symbol)[0])
    for part in parts:
        for symbol, _ in part.legs:
            if _is_option(symbol):
                days.add(_contract(symbol)[0])
    return len(days) <= 1


@dataclass(slots=True)
class _Bucket:
    """What is looked at under one price of the stock."""

    held: list[tuple[str, int, float]] = field(default_factory=list)  # symbol, quantity, dollars paid for it
    lent: list[tuple[str, int, float]] = field(default_factory=list)  # by others, the same
    parts: list[tuple[tuple[tuple[str, int], ...], int, float]] = field(default_factory=list)  # legs, units, paid


def worst_loss(held: Sequence[Holding], parts: Sequence[Part] = (), cover: Sequence[Holding] = ()) -> Worst:
    """The worst case of one underlying's positions and orders; `cover` are shares of others that calls may lean on.

    Shares of `cover` count with all they can lose, and nothing they gain, as far as calls may need them.
    """
    return _worst_loss(tuple(held), tuple(parts), tuple(cover))


@lru_cache(maxsize=4096)  # of a book that is asked about again, one group at most has changed
def _worst_loss(held: tuple[Holding, ...], parts: tuple[Part, ...], cover: tuple[Holding, ...]) -> Worst:
    bought = _only_bought(held, parts)
    if bought is not None:
        return Worst(_cents(bought))
    buckets = _arranged(held, parts, cover)
    found = [_worst_of(bucket) for bucket in buckets.values()]
    slope = sum(beyond for _, _, beyond in found)
    within = _cents(sum(loss for loss, _, _ in found))
    if slope < ROUNDING:
        return Worst(within)
    return Worst(_cents(sum(max(loss, far) if beyond > 0.0 else loss for loss, far, beyond in found)), slope, within)


def _only_bought(held: Sequence[Holding], parts: Sequence[Part]) -> float | None:
    """What was and may be paid when all are calls bought, or all puts: they can all end worthless. None otherwise.

    Most groups are of that kind, and this is an order of magnitude faster than looking at prices.
    """
    rights: set[str] = set()
    for holding in held:
        if holding.quantity < 0 or not _is_option(holding.symbol):
            return None
        rights.add(_contract(holding.symbol)[1])
    for part in parts:
        for symbol, count in part.legs:
            if count < 0 or not _is_option(symbol):
                return None
            rights.add(_contract(symbol)[1])
    if len(rights) > 1:
        return None
    paid = sum([_paid_each(holding) * holding.quantity for holding in held])
    return paid + sum([max(0.0, float(part.paid)) * part.units for part in parts])


def _cents(dollars: float) -> Decimal:
    return Decimal(str(round(dollars, 4))).quantize(CENT, ROUND_CEILING)


def _arranged(held: Sequence[Holding], parts: Sequence[Part], cover: Sequence[Holding]) -> dict[date, _Bucket]:
    """Everything in the bucket of an expiry; what is firmly long is lent where calls or puts are sold without cover."""
    buckets: dict[date, _Bucket] = {}
    signed = {holding.symbol: holding.quantity for holding in held}
    left = dict(signed)  # what no part has a claim on

    def bucket(day: date) -> _Bucket:
        return buckets.setdefault(day, _Bucket())

    each = {holding.symbol: _paid_each(holding) for holding in held}
    for part in parts:
        days = _days_of(part, signed)
        paid = float(part.paid)
        for first, day in enumerate(dict.fromkeys(days.values())):
            legs = tuple((symbol, count) for symbol, count in part.legs if days[symbol] == day and not part.fleeting)
            bucket(day).parts.append((legs, part.units, paid if first == 0 else 0.0))
        for symbol, count in part.legs:
            lot = _closed_by(count * part.units, left.get(symbol, 0))
            if lot:
                bucket(days[symbol]).held.append((symbol, lot, each[symbol] * lot))
                left[symbol] -= lot
    for symbol, quantity in left.items():
        if quantity < 0:
            bucket(_expiry(symbol)).held.append((symbol, quantity, each[symbol] * quantity))
    pool = [(symbol, quantity, each[symbol]) for symbol, quantity in left.items() if quantity > 0]
    lent = [(holding.symbol, holding.quantity, _paid_each(holding)) for holding in cover if holding.quantity > 0]
    _lend(buckets, pool, lent)
    if NEVER in buckets and len(buckets) == 2:
        # With one expiry all is looked at on its day, shares too: that is exact.
        shares, (options,) = buckets.pop(NEVER), buckets.values()
        options.held += shares.held
        options.parts += shares.parts
    return buckets


def _lend(
    buckets: dict[date, _Bucket], pool: list[tuple[str, int, float]], others: list[tuple[str, int, float]]
) -> None:
    """Put what is firmly held where it covers; the rest of `pool` stays at its own expiry, that of `others` away."""
    own = [(symbol, quantity, paid, True) for symbol, quantity, paid in pool]
    stock = [*own, *((symbol, quantity, paid, False) for symbol, quantity, paid in others)]
    # The first to expire cover first, so that what lasts is left for the later ones; shares last.
    stock.sort(key=lambda lot: (_expiry(lot[0]), lot[0]))
    for day in sorted(buckets):
        for right in "CP":
            bare = _bare(buckets[day], right)
            for index, (symbol, quantity, paid, mine) in enumerate(stock):
                if bare <= 0:
                    break
                size = _covers(symbol, right)
                if quantity < size or size == 0 or _expiry(symbol) < day:
                    continue
                used = min(bare, quantity // size)
                (buckets[day].held if mine else buckets[day].lent).append((symbol, used * size, paid * used * size))
                stock[index] = (symbol, quantity - used * size, paid, mine)
                bare -= used
    for symbol, quantity, paid, mine in stock:
        if mine and quantity:
            buckets.setdefault(_expiry(symbol), _Bucket()).held.append((symbol, quantity, paid * quantity))


def _covers(symbol: str, right: str) -> int:
    """Contracts or shares of `symbol` that cover one contract sold of this right; 0 when it covers none."""
    if not _is_option(symbol):
        return SHARES if right == "C" else 0
    return 1 if _contract(symbol)[1] == right else 0


def _bare(bucket: _Bucket, right: str) -> int:
    """Contracts of a right that can end up sold here without one bought, whichever parts fill."""

    def net(legs: Iterable[tuple[str, int]]) -> int:
        return sum(count for symbol, count in legs if _is_option(symbol) and _contract(symbol)[1] == right)

    standing = net((symbol, count) for symbol, count, _ in bucket.held)
    return -standing - sum(min(0, net(legs)) * units for legs, units, _ in bucket.parts)


def _days_of(part: Part, signed: dict[str, int]) -> dict[str, date]:
    """The expiry each leg of a part is looked at with: its own, or the nearest that the part itself sells.

    A calendar's later leg covers its nearer one for as long as that lives; opened and closed they move together.
    """
    short = {
        symbol for symbol, count in part.legs if (held := signed.get(symbol, 0)) < 0 or held + count * part.units < 0
    }
    days = {symbol: _expiry(symbol) for symbol, _ in part.legs}
    if not short:
        return days
    nearest = min(days[symbol] for symbol in short)
    return {symbol: day if symbol in short or day < nearest else nearest for symbol, day in days.items()}


def _closed_by(change: int, held: int) -> int:
    """How much of a holding a change against it takes away, signed as the holding."""
    if change * held >= 0:
        return 0
    return max(-change, held) if held < 0 else min(-change, held)


def _worst_of(bucket: _Bucket) -> tuple[float, float, float]:
    """The loss at zero or the worst strike, that far beyond, and what every dollar still further adds to it."""
    strikes = {
        _contract(symbol)[2]
        for symbol in (*(s for s, _, _ in bucket.held), *(s for legs, _, _ in bucket.parts for s, _ in legs))
        if _is_option(symbol)
    }
    shares = [paid / quantity for symbol, quantity, paid in bucket.held if not _is_option(symbol)]
    shares += [abs(paid) for legs, _, paid in bucket.parts if legs and not _is_option(legs[0][0])]
    spots = np.array([0.0, *sorted(strikes), 2.0 * max([1.0, *strikes, *shares])])
    loss = np.zeros(len(spots))
    slope = 0.0
    for symbol, quantity, paid in bucket.held:
        loss += paid - quantity * _worth(symbol, spots)
        slope -= quantity * _steepness(symbol)
    for symbol, quantity, paid in bucket.lent:
        # Only some subsets need it: at a strike it is taken to lose or to do nothing; beyond them it stops the slope.
        loss += np.maximum(paid - quantity * _worth(symbol, spots), 0.0)
        slope -= quantity * _steepness(symbol)
    for legs, units, paid in bucket.parts:
        each = np.full(len(spots), paid)
        steep = 0.0
        for symbol, count in legs:
            each -= count * _worth(symbol, spots)
            steep -= count * _steepness(symbol)
        loss += units * np.maximum(each, 0.0)
        # Falling without end, a part is not among the worst far out, whatever it costs.
        slope += units * max(steep, 0.0)
    return float(loss[:-1].max()), float(loss[-1]), slope if slope > ROUNDING else 0.0


def _worth(symbol: str, spots: FloatArray) -> FloatArray:
    """Dollars one contract or share is worth at its end."""
    if not _is_option(symbol):
        return spots
    _, right, strike = _contract(symbol)
    return np.maximum(spots - strike if right == "C" else strike - spots, 0.0) * 100.0


def _steepness(symbol: str) -> float:
    if not _is_option(symbol):
        return 1.0
    return 100.0 if _contract(symbol)[1] == "C" else 0.0


def _paid_each(holding: Holding) -> float:
    """Dollars paid for one contract or share, so that quantity times it is the whole; its fees spread over it."""
    size = 100 if _is_option(holding.symbol) else 1
    return float(holding.cost * size + holding.fees / holding.quantity)


def _expiry(symbol: str) -> date:
    return _contract(symbol)[0] if _is_option(symbol) else NEVER


_is_option = lru_cache(maxsize=4096)(is_option)


@lru_cache(maxsize=4096)
def _contract(symbol: str) -> tuple[date, str, float]:
    contract = parse_option(symbol)
    return contract.expiry, contract.right.value, float(contract.strike)
