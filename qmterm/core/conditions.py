"""Which stock trades count toward open, high, low, close and volume: the SIP's sale conditions by Polygon's numbers.

The trap: a trade may carry several conditions, and each can only take away: the trade counts toward a field when all
of them let it. Extended-hours trades (12) never move the official day, but are all there is before the open, so bars
of the extended hours do take them; `Counts.last` of a trade with 12 is judged by its other conditions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EXTENDED_HOURS = 12


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
