"""What a book can lose, found by trying every subset of fills of everything that works at every price of the stock.

It shares nothing with the code under test but the words: an order's text, its fills, and that it still works. What can
happen to one order, or to orders of which one excludes another, is a choice; all choices are multiplied out and the
dollars added up. One group (strategy and stock) at a time is enough: an order is in one group, and the limits are sums
over groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache

import numpy as np

from qmterm.core import instruments
from qmterm.core.orders import BracketRole, OrderIntent, OrderKind

STRIKES = (90, 95, 100, 105, 110)
SPOTS = np.array([0.0, *STRIKES, 1000.0, 1001.0])
_OVER = ("filled", "cancelled", "expired", "rejected", "removed", "not accepted", "not sent")
LENT_AT = 95.0  # what the shares of others cost

is_option = lru_cache(maxsize=4096)(instruments.is_option)
parse_option = lru_cache(maxsize=4096)(instruments.parse_option)
underlying_of = lru_cache(maxsize=4096)(instruments.underlying_of)

Group = tuple[str, str]
Way = tuple[tuple[tuple[str, int], ...], float]  # contracts and shares that change hands, dollars paid for them
Choice = tuple[Way, ...]
Ask = Callable[[str], float | None]


class Judged:
    """One moment of an account: dollars and slope of every group at its worst subset and price."""

    def __init__(self, positions, records, ask: Ask, bid: Ask | None = None, apart: Collection[str] = ()):
        """`apart` names orders whose legs fill without each other, at ask and bid, although nothing is broken yet."""
        held: defaultdict[Group, list] = defaultdict(list)
        owners = {position.symbol: position.strategy for position in positions}
        for position in positions:
            held[position.strategy, position.underlying].append(
                (position.symbol, position.quantity, float(position.average))
            )
        self.closing: defaultdict[str, int] = defaultdict(int)  # contracts that may be closed of what is held now
        self.paying = 0.0  # dollars that leave when every order that pays fills
        choices: defaultdict[Group, list[Choice]] = defaultdict(list)
        for family in _families(records):
            owner = _owner(family[0].intent, owners)
            crossing = bid if bid is not None and any(r.intent.intent_id in apart for r in family) else None
            for choice in self._choices(family, ask, crossing):
                choices[owner, underlying_of(family[0].intent.legs[0].symbol)].append(choice)
                self.paying += max(0.0, max(paid for _, paid in choice))
        shares = {p.symbol: p for p in positions if not is_option(p.symbol)}
        self.worst: dict[Group, float] = {}
        self.bare: dict[Group, float] = {}  # dollars lost for every dollar the stock goes up, beyond every cover
        needs: defaultdict[str, float] = defaultdict(float)
        for group in sorted({*held, *choices}):
            strategy, stock = group
            lent = shares.get(stock)
            spare = lent.quantity - self.closing[stock] if lent and lent.strategy != strategy else 0
            found = worst_of(tuple(sorted(held[group])), tuple(choices[group]), spare)
            self.worst[group], self.bare[group], need = found
            if lent is not None and lent.strategy == strategy:  # its own calls come first
                options = tuple(sorted(row for row in held[group] if is_option(row[0])))
                need = worst_of(options, tuple(c for c in choices[group] if not _trades(c, stock)), 0)[2]
            needs[stock] += need
        firm = {stock: (p.quantity - self.closing[stock]) // 100 * 100 for stock, p in shares.items()}
        self.leaning = {stock: max(0.0, need - firm.get(stock, 0)) for stock, need in needs.items()}

    def total(self, which: int, name: str) -> float:
        """All groups of a strategy (0) or a stock (1)."""
        return sum(worst for group, worst in self.worst.items() if group[which] == name)

    def _choices(self, family: Sequence, ask: Ask, bid: Ask | None) -> Iterable[Choice]:
        if any(record.intent.role is not None for record in family):
            return self._of_bracket(family, ask)
        whole = [record for record in family if _in_ratio(record)]
        left = _left(family)
        working = [record for record in whole if _works(record)]
        if not whole or bid is not None:
            return self._of_legs((working or list(family))[-1], ask, bid)
        unit = _unit(working[0].intent) if working else {}
        for symbol, count in unit.items():
            if not _opens(working[0].intent, symbol):
                self.closing[symbol] += abs(count) * left
        ways = [_way({}, 0, 0.0)]
        for record in working:
            price = _price(record.intent, ask)
            ways += [_way(unit, units, price * units) for units in _some(min(left, _open_units(record)))]
        if len(working) == 2 and left > 1:  # the old one filled in part before the new one took its place
            first, second = (_price(record.intent, ask) for record in working)
            ways += [_way(unit, left, first * (left - units) + second * units) for units in _some(left - 1)]
        return [tuple(dict.fromkeys(ways))]

    def _of_legs(self, record, ask: Ask, bid: Ask | None) -> Iterable[Choice]:
        """Each leg may fill without the others, bought at what is asked, sold at what is bid or for nothing."""
        for leg in record.intent.legs:
            left = leg.quantity - _filled(record, leg.symbol)
            if not leg.action.opens:
                self.closing[leg.symbol] += left
            price = _asked(leg.symbol, ask) if leg.action.buys else (bid(leg.symbol) or 0.0) if bid else 0.0
            each = price * leg.action.sign * _size(leg.symbol)
            yield tuple(_way({leg.symbol: leg.action.sign}, n, each * n) for n in (0, *_some(left)))

    def _of_bracket(self, family: Sequence, ask: Ask) -> Iterable[Choice]:
        """The entry fills or not, and one of the exits sells what it brought, or what was held already."""
        trigger = next((r for r in family if r.intent.role is BracketRole.TRIGGER), None)
        exits = [r for r in family if r.intent.role is not BracketRole.TRIGGER]
        symbol = family[0].intent.legs[0].symbol
        sold = sum(_filled(record, symbol) for record in exits)
        if trigger is None:
            here = max((_open_units(record) for record in exits if _works(record)), default=0)
        else:
            here = _filled(trigger, symbol) - sold
        to_come = _open_units(trigger) if trigger is not None and _works(trigger) else 0
        paid = _price(trigger.intent, ask) if to_come else 0.0
        proceeds = [-_price(record.intent, ask) for record in exits if _works(record)]
        if proceeds:
            self.closing[symbol] += here
        ways = []
        for bought in (0, *_some(to_come)):
            ways.append(_way({symbol: 1}, bought, paid * bought))
            ways += [
                _way({symbol: 1}, bought - gone, paid * bought - each * gone)
                for each in proceeds
                for gone in _some(here + bought)
            ]
        yield tuple(dict.fromkeys(ways))


# --- which orders exclude each other ---


def _families(records) -> list[list]:
    """Orders of which one at most fills what is left, and brackets; those of them that are over come along."""
    by_id = {record.intent.intent_id: record for record in records}
    found: defaultdict[str, list] = defaultdict(list)
    for record in records:
        intent = record.intent
        name = intent.bracket_id or intent.intent_id
        while intent.bracket_id is None and intent.replaces in by_id:
            intent = by_id[intent.replaces].intent
            name = intent.intent_id
        found[name].append(record)
    return [family for family in found.values() if any(_works(record) for record in family)]


def _left(family: Sequence) -> int:
    """Units that may still fill of the first order and all that took its place."""
    first = family[0].intent
    symbol = first.legs[0].symbol
    each = first.legs[0].quantity // first.quantity
    return max(0, first.quantity - sum(_filled(record, symbol) for record in family) // each)


def _owner(intent: OrderIntent, owners: dict[str, str]) -> str:
    """A close belongs to whoever holds what it closes."""
    closed = [leg.symbol for leg in intent.legs if not leg.action.opens]
    return next((owners[symbol] for symbol in closed if symbol in owners), intent.strategy)


# --- one order ---


def _works(record) -> bool:
    """It may still fill; what was never answered may, too."""
    return record.state.value not in _OVER


def _filled(record, symbol: str) -> int:
    return sum(fill.quantity for fill in record.fills.values() if fill.symbol == symbol)


def _open_units(record) -> int:
    legs, units = record.intent.legs, record.intent.quantity
    return min((leg.quantity - _filled(record, leg.symbol)) // (leg.quantity // units) for leg in legs)


def _in_ratio(record) -> bool:
    """Its legs filled alike."""
    legs, units = record.intent.legs, record.intent.quantity
    done = {_filled(record, leg.symbol) * units / leg.quantity for leg in legs}
    return len(done) == 1


def _unit(intent: OrderIntent) -> dict[str, int]:
    return {leg.symbol: leg.action.sign * leg.quantity // intent.quantity for leg in intent.legs}


def _opens(intent: OrderIntent, symbol: str) -> bool:
    return next(leg.action.opens for leg in intent.legs if leg.symbol == symbol)


def _price(intent: OrderIntent, ask: Ask) -> float:
    """Dollars that one unit costs at worst, negative where it brings; a stop may not be reached below its trigger."""
    size = _size(intent.legs[0].symbol)
    limit = intent.net_price if intent.worst_price is None else intent.worst_price
    if limit is not None:
        return -float(limit) * size
    leg = intent.legs[0]
    if not leg.action.buys:
        return 0.0
    trigger = float(intent.stop_trigger) if intent.kind is OrderKind.STOP else 0.0
    return max(_asked(leg.symbol, ask), trigger) * size * (leg.quantity // intent.quantity)


def _asked(symbol: str, ask: Ask) -> float:
    found = ask(symbol)
    if found is not None:
        return found
    return float(parse_option(symbol).strike) if is_option(symbol) else 0.0


def _trades(choice: Choice, symbol: str) -> bool:
    return any(symbol == name for legs, _ in choice for name, _ in legs)


def _size(symbol: str) -> int:
    return 100 if is_option(symbol) else 1


def _some(units: int) -> tuple[int, ...]:
    """Numbers of units to try: all of few, else one, the middle and all."""
    return tuple(range(1, units + 1)) if units <= 3 else (1, units // 2, units)


def _way(unit: dict[str, int], units: int, paid: float) -> Way:
    return tuple((symbol, count * units) for symbol, count in unit.items() if count * units), round(paid, 6)


# --- dollars ---


@lru_cache(maxsize=65536)
def worst_of(
    held: tuple[tuple[str, int, float], ...], choices: tuple[Choice, ...], spare: int
) -> tuple[float, float, float]:
    """(dollars, slope, shares of others that were needed) over all subsets; calls in excess lean on spare shares."""
    base, slope = np.zeros(len(SPOTS)), 0.0
    for symbol, quantity, average in held:
        base += quantity * (average * _size(symbol) - _worth(symbol))
        slope -= quantity * _steepness(symbol)
    losses, slopes = base[None, :], np.array([slope])
    for choice in choices:
        lost = np.array([paid - sum((n * _worth(s) for s, n in legs), np.zeros(len(SPOTS))) for legs, paid in choice])
        steep = np.array([-sum(n * _steepness(s) for s, n in legs) for legs, _ in choice], dtype=float)
        losses = (losses[:, None, :] + lost[None, :, :]).reshape(-1, len(SPOTS))
        slopes = (slopes[:, None] + steep[None, :]).reshape(-1)
    # Each hundred spare shares covers one call where the subset needs it; they come in at their cost and can lose it.
    need = np.maximum(np.ceil(slopes / 100.0), 0.0) * 100.0
    lent = np.minimum(need, spare // 100 * 100)
    losses = losses + lent[:, None] * (LENT_AT - SPOTS)
    return float(losses[:, :-2].max()), float(max(0.0, (slopes - lent).max())), float(need.max())


@lru_cache(maxsize=1024)
def _worth(symbol: str):
    """Dollars one contract or share is worth in the end, at every price."""
    if not is_option(symbol):
        return SPOTS
    contract = parse_option(symbol)
    return np.maximum(contract.right.sign * (SPOTS - float(contract.strike)), 0.0) * 100.0


@lru_cache(maxsize=1024)
def _steepness(symbol: str) -> float:
    if not is_option(symbol):
        return 1.0
    return 100.0 if parse_option(symbol).right == "C" else 0.0
