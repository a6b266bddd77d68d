"""Shares that calls of another strategy lean on: who has some to spare, who needs them, and that each covers once.

A strategy never leans on another's options; shares are different, since the covered call is written on what is there.
Only shares that no working order may sell count, and only in whole hundreds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from qmterm.core.instruments import is_option
from qmterm.risk.worst_case import SHARES, Holding, Part, worst_loss

Group = tuple[str, str]  # (strategy, option root of the underlying): what is netted
Held = Mapping[Group, tuple[Holding, ...]]
Working = Mapping[Group, tuple[Part, ...]]


def lent_to(group: Group, held: Held, working: Working) -> list[Holding]:
    """Shares of other strategies in the same stock that are free to cover this group's calls."""
    lots: list[Holding] = []
    for other, holdings in held.items():
        if other[1] == group[1] and other != group:
            left = _spare(holdings, working.get(other, ())) * SHARES
            for holding in holdings:
                if left and not is_option(holding.symbol) and holding.quantity > 0:
                    used = min(left, holding.quantity)
                    lots.append(replace(holding, quantity=used, fees=holding.fees * used / holding.quantity))
                    left -= used
    return lots


def has_shares(root: str, held: Held) -> bool:
    """True when somebody holds shares of the stock, so that there is something to lean on."""
    return any(group[1] == root and any(not is_option(h.symbol) for h in of) for group, of in held.items())


def overdrawn(root: str, held: Held, working: Working) -> int:
    """Calls of one stock that lean on shares which are not there, or not there any more for all of them."""
    if not has_shares(root, held):
        return 0  # every group has its own bound or none
    groups = [group for group in {*held, *working} if group[1] == root]
    needed = sum(_bare(held.get(group, ()), working.get(group, ())) for group in groups)
    spare = sum(_spare(held.get(group, ()), working.get(group, ())) for group in groups)
    return max(0, needed - spare)


def _bare(held: tuple[Holding, ...], parts: tuple[Part, ...]) -> int:
    """Calls that may end up sold without cover of the group's own."""
    return math.ceil(worst_loss(held, parts).slope / SHARES)


def _spare(held: tuple[Holding, ...], parts: tuple[Part, ...]) -> int:
    """Calls that firmly held shares could cover beyond the group's own."""
    firm = sum(holding.quantity for holding in held if not is_option(holding.symbol))
    firm += sum(min(0, count) * part.units for part in parts for symbol, count in part.legs if not is_option(symbol))
    if firm < SHARES:
        return 0
    options = tuple(holding for holding in held if is_option(holding.symbol))
    ordered = tuple(part for part in parts if is_option(part.legs[0][0]))
    return max(0, firm // SHARES - _bare(options, ordered))
