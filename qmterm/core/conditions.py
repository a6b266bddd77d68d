"""Which stock trades count toward open, high, low, close and volume: the SIP's sale conditions by Polygon's numbers.

The trap: a trade may carry several conditions, and each can only take away: the trade counts toward a field when all
of them let it. Extended-hours trades (12) never move the official day, but are all there is before the open, so bars
of the extended hours do take them; `Counts.last` of a trade with 12 is judged by its other conditions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

EXTENDED_HOURS = 12
CLOSING = frozenset(
    {8, 19}
)  # a listing exchange's closing auction (UTP, CTA); printed after the close, at times by minutes


@dataclass(frozen=True, slots=True)
class Counts:
    """What one trade may move (consolidated processing rules)."""

    last: bool = True  # open and close of a bar, the last price
    high_low: bool = True
    volume: bool = True

    def __and__(self, other: Counts) -> Counts:
        return Counts(self.last and other.last, self.high_low and other.high_low, self.volume and other.volume)


ALL = Counts()
_VOLUME_ONLY = Counts(last=False, high_low=False)
_NOT_LAST = Counts(last=False)
_NOTHING = Counts(last=False, high_low=False, volume=False)

# Consolidated rules of CTA and UTP as `/v3/reference/conditions` tells them; conditions not named here count fully.
RULES: dict[int, Counts] = {
    2: _VOLUME_ONLY,  # average price
    5: _NOT_LAST,  # bunched sold
    7: _VOLUME_ONLY,  # cash sale
    10: _NOT_LAST,  # derivatively priced
    13: _VOLUME_ONLY,  # extended hours, sold out of sequence
    15: _NOTHING,  # market center official close
    16: _NOTHING,  # market center official open
    20: _VOLUME_ONLY,  # next day
    21: _VOLUME_ONLY,  # price variation
    22: _NOT_LAST,  # prior reference price
    29: _VOLUME_ONLY,  # seller
    33: _NOT_LAST,  # sold out of sequence
    37: _VOLUME_ONLY,  # odd lot
    38: Counts(volume=False),  # corrected consolidated close
    52: _VOLUME_ONLY,  # contingent
    53: _VOLUME_ONLY,  # qualified contingent
}


def counts(conditions: Iterable[int] | None) -> Counts:
    """What a trade with these conditions moves; none is a regular trade."""
    found = ALL
    for condition in conditions or ():
        found = found & RULES.get(condition, ALL)
    return found


@dataclass(slots=True)
class ConditionBook:
    """The rules in force: ours, with what the vendor's own table says put over them.

    A condition that neither knows lets a trade count fully and is counted in `unknown`, for the log: leaving real
    trades out is the worse mistake.
    """

    rules: dict[int, Counts] = field(default_factory=lambda: dict(RULES))
    known: set[int] = field(default_factory=lambda: set(range(1, 62)))  # ids of the published table
    unknown: Counter[int] = field(default_factory=Counter)

    def learn(self, rows: Iterable[Mapping[str, object]]) -> int:
        """Rows of `/v3/reference/conditions` for stock trades; says how many rules differ from those held before."""
        changed = 0
        for row in rows:
            told = _told(row)
            if told is None:
                continue
            number, rule = told
            changed += self.rules.get(number, ALL) != rule
            self.rules[number] = rule
            self.known.add(number)
        return changed

    def counts(self, conditions: Iterable[int] | None) -> Counts:
        found = ALL
        for condition in conditions or ():
            if condition and condition not in self.known:
                self.unknown[condition] += 1
            found = found & self.rules.get(condition, ALL)
        return found


def _told(row: Mapping[str, object]) -> tuple[int, Counts] | None:
    """Number and consolidated rule of one row; None when it is not about stock trades or says no rule."""
    number, types, rules = row.get("id"), row.get("data_types"), row.get("update_rules")
    if not isinstance(number, int) or not isinstance(rules, Mapping):
        return None
    if row.get("asset_class", "stocks") != "stocks" or (isinstance(types, list) and "trade" not in types):
        return None
    consolidated = rules.get("consolidated")
    if not isinstance(consolidated, Mapping):
        return None
    last, high_low, volume = (
        consolidated.get(name) is not False for name in ("updates_open_close", "updates_high_low", "updates_volume")
    )
    if number == EXTENDED_HOURS:
        return number, ALL  # judged by its other conditions: bars of the extended hours take it
    return number, Counts(last, high_low, volume)
