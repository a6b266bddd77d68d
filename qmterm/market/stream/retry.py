"""How long to wait before the next connection: a ladder with jitter that stays short while the session runs.

The trap: a service that is back must be found within seconds while positions are open, and a service that counts
connections must be left alone. Our own dead socket, not yet noticed by the server, counts as one of them.
"""

from __future__ import annotations

import random
from enum import Enum, auto

from qmterm.core.settings.connections import PolygonSettings

SESSION_CAP_S = 5.0  # longest wait while the market is open
SESSION_OPEN_S = 3.5  # longest time one attempt may hang there, until several in a row did
STEADY_S = 30.0  # a connection that lived this long starts the ladder afresh
_GHOST_S = 60.0  # a socket that broke this recently may still be counted by the server
_GHOST_WAIT_S = 5.0
_PATIENT_AFTER = 3


class Ending(Enum):
    BROKE = auto()  # close, network, mute, time-out
    CROWDED = auto()  # max_connections


class Retry:
    """One stream's attempts. `busy` = the market is open."""

    def __init__(self, settings: PolygonSettings, jitter: random.Random) -> None:
        self._settings, self._jitter = settings, jitter
        self._tries = 0
        self._hung = 0
        self._broke_s: float | None = None
        self._crowded = 0

    def open_timeout_s(self, *, busy: bool) -> float:
        """For connecting and logging in together."""
        full = 2.0 * self._settings.open_timeout_s
        return full if not busy or self._hung >= _PATIENT_AFTER else min(full, SESSION_OPEN_S)

    def wait_s(self, ending: Ending, *, lived_s: float, now_s: float, busy: bool, hung: bool = False) -> float:
        """After a connection (or an attempt) that lived `lived_s` ended at `now_s`."""
        settings = self._settings
        self._hung = self._hung + 1 if hung else 0
        if ending is Ending.CROWDED:
            self._crowded += 1
            ghost = self._broke_s is not None and now_s - self._broke_s < _GHOST_S and self._crowded == 1
            full = settings.max_connections_wait_s
            return (min(full, _GHOST_WAIT_S) if ghost else full) * self._jitter.uniform(1.0, 1.25)
        self._broke_s = now_s
        steady = lived_s > STEADY_S
        self._tries = 1 if steady else self._tries + 1
        if steady:
            self._crowded = 0
        ladder = min(settings.backoff_max_s, settings.backoff_min_s * 2.0 ** min(self._tries - 1, 20))
        if busy:
            ladder = min(ladder, SESSION_CAP_S)
        return ladder * self._jitter.uniform(0.5, 1.0)
