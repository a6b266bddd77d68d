"""Which option contracts have live quotes now, when more are wanted than one connection carries.

Pinned ones always (positions, orders, proposals); of the others the first in order keep their seats and the rest
take turns, whoever waited longest first. The trap: a turn must last long enough for a quote to come, so a change of
the wish does not end a turn early. Pure: market time comes in, the set to subscribe goes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_TURNING_SHARE = 4  # one seat in this many, of those not pinned, is for taking turns
DWELL_S = 10.0  # market seconds of a turn


class Rotation:
    def __init__(self, limit: int, dwell_s: float = DWELL_S) -> None:
        self._limit = limit
        self._dwell_ns = int(dwell_s * 1e9)
        self._pinned: tuple[str, ...] = ()
        self._later: tuple[str, ...] = ()
        self._turn: tuple[str, ...] = ()  # who has a seat for the present turn
        self._turn_ends_ns = 0
        self._last_ns: dict[str, int] = {}  # when each had its last turn; only of what is wanted
        self._rank: dict[str, int] = {}

    def wish(self, pinned: Iterable[str], later: Sequence[str] = ()) -> None:
        """What is wanted: `pinned` before everything, `later` in its order."""
        self._pinned = tuple(sorted(set(pinned)))
        kept = set(self._pinned)
        self._later = tuple(symbol for symbol in dict.fromkeys(later) if symbol not in kept)
        self._rank = {symbol: number for number, symbol in enumerate((*self._pinned, *self._later))}
        self._last_ns = {symbol: at for symbol, at in self._last_ns.items() if symbol in self._rank}

    @property
    def wanted(self) -> int:
        return len(self._rank)

    @property
    def turning(self) -> bool:
        """More is wanted than fits."""
        return self.wanted > self._limit

    def at(self, now_ns: int) -> frozenset[str]:
        """The contracts that should have quotes now: never more than the limit."""
        if not self.turning:
            self._turn = ()
            return frozenset(self._rank)
        fixed: tuple[str, ...]
        if len(self._pinned) >= self._limit:  # more positions than seats: even they take turns
            fixed, waiting, seats = (), self._pinned, self._limit
        else:
            room = self._limit - len(self._pinned)
            seats = max(1, room // _TURNING_SHARE)
            fixed = (*self._pinned, *self._later[: room - seats])
            waiting = self._later[room - seats :]
        if now_ns >= self._turn_ends_ns or not self._turn:
            self._turn = ()
            self._turn_ends_ns = now_ns + self._dwell_ns
        else:
            allowed = set(waiting)
            self._turn = tuple(symbol for symbol in self._turn if symbol in allowed)[:seats]
        if len(self._turn) < seats:
            seated = set(self._turn)
            longest_first = sorted(
                (symbol for symbol in waiting if symbol not in seated),
                key=lambda symbol: (self._last_ns.get(symbol, -1), self._rank[symbol]),
            )
            self._turn += tuple(longest_first[: seats - len(self._turn)])
        for symbol in self._turn:
            self._last_ns[symbol] = now_ns
        return frozenset((*fixed, *self._turn))
