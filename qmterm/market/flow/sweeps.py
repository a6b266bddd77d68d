"""Prints that belong together: one buyer or seller who takes several exchanges at once is one row, not nine.

The trap: exchanges report within milliseconds of each other but not in order, so a group stays open for half a second
of the market's own time and is judged only then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from qmterm.market.flow.conditions import DIRECTED, Kind
from qmterm.market.flow.prints import Side

WINDOW_NS = 500_000_000
SWEEP_PREMIUM = 50_000.0
SWEEP_EXCHANGES = 2


@dataclass(slots=True, eq=False)
class Print:
    """One trade that may still be cancelled; two that look alike are two."""

    row: int
    price: float
    size: int
    exchange: int
    kind: Kind
    side: Side
    direction: int
    time_ns: int
    premium: float
    block: bool
    cancelled: bool = False


@dataclass(slots=True)
class Group:
    """Prints of one contract and side within half a second of the first."""

    row: int
    side: Side
    first_ns: int
    prints: list[Print] = field(default_factory=list)

    @property
    def everyday(self) -> bool:
        """One print that is neither a block nor a sweep order: most of the tape, and never a row."""
        if len(self.prints) != 1:
            return False
        one = self.prints[0]
        return not one.block and one.kind is not Kind.ISO

    @property
    def alive(self) -> list[Print]:
        return [one for one in self.prints if not one.cancelled]

    @property
    def is_sweep(self) -> bool:
        """An intermarket sweep order says so itself; else two exchanges, one known side and enough money."""
        alive = self.alive
        if any(one.kind is Kind.ISO for one in alive):
            return True
        if self.side is Side.NA or len({one.exchange for one in alive}) < SWEEP_EXCHANGES:
            return False
        return sum(one.premium for one in alive) >= SWEEP_PREMIUM


class Sweeps:
    """Open groups by contract and side; closed ones are handed out in the order of their first print."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, Side], Group] = {}

    def add(self, one: Print) -> Iterator[Group]:
        """Take a print in; the groups that it closes, itself included when it can belong to none."""
        if one.kind not in DIRECTED:
            yield Group(one.row, one.side, one.time_ns, [one])
            return
        key = one.row, one.side
        group = self._open.get(key)
        if group is not None and abs(one.time_ns - group.first_ns) > WINDOW_NS:
            yield self._open.pop(key)
            group = None
        if group is None:
            group = self._open[key] = Group(one.row, one.side, one.time_ns)
        group.prints.append(one)

    def settle(self, now_ns: int) -> list[Group]:
        """Groups whose half second is over at a market time."""
        over = [key for key, group in self._open.items() if now_ns - group.first_ns > WINDOW_NS]
        return sorted((self._open.pop(key) for key in over), key=lambda group: (group.first_ns, group.row, group.side))
