"""When is a quiet stream a dead one? Silence measured against what the hour, the canaries and the past let expect.

The trap: both errors cost. A dead stream that is believed prices orders with old numbers; a live one that is cut in a
quiet hour loses what it would have told. Pure: real monotonic seconds come in, a reason to reconnect comes out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

_MERGED_S = 0.1  # frames closer than this are one sign of life
_GAPS = 64  # the latest silences that are remembered
_LEAST_S = 1.0  # real seconds below which no silence means anything: networks and machines hiccup
_LATE_S = 1.0  # our own loop stood this long: frames may lie unread, so the silence is not the server's
_THIN = 10.0  # outside the session patience is this many times longer, and longer still where the stream is slower
_OTHERS = 6.0  # canaries silent while others speak: more likely halted than cut off
_DOUBLINGS = 3


class Tide(Enum):
    """How much a stream has to tell now."""

    STILL = auto()  # market closed, or a market that only steps: silence says nothing
    THIN = auto()  # before the open, after the close
    BUSY = auto()  # regular session


@dataclass(frozen=True, slots=True)
class Patience:
    """Market seconds: of canaries in the session, and of streams that carry minute bars only. 0 = for ever."""

    canary_s: float = 4.5
    any_s: float = 75.0


class Vigil:
    """One stream over all its connections. `heard` for frames with data only: a server that just says yes is mute."""

    def __init__(self, patience: Patience, canaries: frozenset[str] = frozenset()) -> None:
        self._patience = patience
        self._canaries = canaries
        self._needles = _needles(canaries)
        self._any = _Pulse()
        self._canary = _Pulse()
        self._tide = Tide.STILL
        self._looked_s: float | None = None
        self.canaries_confirmed = False  # the server sends trades, quotes or second bars of a canary
        self.quotes_confirmed = False  # it sends quotes of something
        self.in_row = 0  # mutes since data came last: each doubles the patience

    @property
    def canaries(self) -> frozenset[str]:
        return self._canaries

    def listen_for(self, canaries: frozenset[str]) -> None:
        self._canaries, self._needles = canaries, _needles(canaries)

    def confirmed(self, channels: frozenset[str] | set[str]) -> None:
        """What the server said it sends on this connection."""
        quick = {symbol for kind, _, symbol in (name.partition(".") for name in channels) if kind in ("T", "Q", "A")}
        self.canaries_confirmed = bool(self._canaries & quick)
        self.quotes_confirmed = any(name.startswith("Q.") for name in channels)

    def begin(self, now_s: float) -> None:
        """A fresh connection: its silence is counted from now, what was learned of the rate stays."""
        self._any.begin(now_s)
        self._canary.begin(now_s)
        self._looked_s = now_s
        self.canaries_confirmed = self.quotes_confirmed = False

    def heard(self, frame: bytes, now_s: float) -> None:
        """A frame with data came."""
        self.in_row = 0
        self._any.heard(now_s)
        if self._needles and self._canary.due(now_s) and any(needle in frame for needle in self._needles):
            self._canary.heard(now_s)

    def look(self, now_s: float, tide: Tide, rate: float | None) -> str:
        """Why the connection should be given up now, '' while there is no reason. Call it several times a second."""
        late = self._looked_s is not None and now_s - self._looked_s > _LATE_S
        held_up = now_s - self._looked_s if late and self._looked_s is not None else 0.0
        self._looked_s = now_s
        if tide is not self._tide:
            self._tide = tide
            self._any.forget(now_s)
            self._canary.forget(now_s)
        if tide is Tide.STILL:
            self._any.begin(now_s)
            self._canary.begin(now_s)
            return ""
        if late:
            self._any.excuse(held_up)
            self._canary.excuse(held_up)
            return ""
        why = self._silence(now_s, rate or 1.0)
        if why:
            self.in_row += 1
        return why

    def doubtful(self, now_s: float, rate: float | None) -> bool:
        """Half the patience is gone: time to ask for a sign of life (a ping)."""
        quiet = self._canary if self.canaries_confirmed else self._any
        limit = self._limit(rate or 1.0)
        return self._tide is not Tide.STILL and limit is not None and quiet.silent_s(now_s) > limit / 2

    # --- inside ---

    def _limit(self, rate: float) -> float | None:
        patience, more = self._patience, 2.0 ** min(self.in_row, _DOUBLINGS)
        general = _real(patience.any_s, rate) * more if patience.any_s else None
        if self._tide is Tide.THIN:
            if general is None or not self._any.alive:
                return None
            return max(_THIN * general, 3.0 * self._any.longest_s, 10.0 * self._any.mean_s)
        if self.canaries_confirmed and patience.canary_s:
            # Until its pace is known, and for the first word of a connection, it may take longer.
            first = 1.0 if self._canary.alive and self._canary.longest_s else 2.0
            return max(_real(patience.canary_s, rate) * first, 3.0 * self._canary.longest_s) * more
        if self.quotes_confirmed and self._any.settled and general is not None and patience.canary_s:
            return min(general, max(_real(patience.canary_s, rate), 10.0 * self._any.longest_s) * more)
        return general

    def _silence(self, now_s: float, rate: float) -> str:
        limit = self._limit(rate)
        if limit is None:
            return ""
        silent = self._any.silent_s(now_s)
        if self._tide is Tide.BUSY and self.canaries_confirmed:
            alone = self._canary.silent_s(now_s)
            if silent > limit:
                return f"nothing of {', '.join(sorted(self._canaries))} for {alone:.1f} s while the market is open"
            if alone > _OTHERS * limit:
                return f"others speak, {', '.join(sorted(self._canaries))} are silent for {alone:.0f} s"
            return ""
        if silent <= limit:
            return ""
        when = "while the market is open" if self._tide is Tide.BUSY else f"where {self._any.longest_s:.0f} s is usual"
        return f"no frame for {silent:.3g} s {when}"


class _Pulse:
    """Signs of life of one thing and the silences between them."""

    def __init__(self) -> None:
        self._since_s = 0.0  # silence is counted from here
        self._last_s: float | None = None  # on this connection
        self._gaps: deque[float] = deque(maxlen=_GAPS)
        self.longest_s = 0.0
        self.mean_s = 0.0

    @property
    def alive(self) -> bool:
        """It was heard on this connection."""
        return self._last_s is not None

    @property
    def settled(self) -> bool:
        return len(self._gaps) == _GAPS

    def begin(self, now_s: float) -> None:
        self._since_s, self._last_s = now_s, None

    def forget(self, now_s: float) -> None:
        """Another hour, another pace."""
        self.begin(now_s)
        self._gaps.clear()
        self.longest_s = self.mean_s = 0.0

    def due(self, now_s: float) -> bool:
        return self._last_s is None or now_s - self._last_s >= _MERGED_S

    def heard(self, now_s: float) -> None:
        self._since_s = now_s
        if self._last_s is None:
            self._last_s = now_s
        elif now_s - self._last_s >= _MERGED_S:
            self._gaps.append(now_s - self._last_s)
            self._last_s = now_s
            self.longest_s = max(self._gaps)
            self.mean_s = sum(self._gaps) / len(self._gaps)

    def excuse(self, seconds: float) -> None:
        """Time in which we did not listen is no silence."""
        self._since_s += seconds
        if self._last_s is not None:
            self._last_s += seconds

    def silent_s(self, now_s: float) -> float:
        return max(0.0, now_s - self._since_s)


def _needles(canaries: frozenset[str]) -> tuple[bytes, ...]:
    return tuple(f'"{symbol}"'.encode() for symbol in sorted(canaries))


def _real(market_s: float, rate: float) -> float:
    """Market seconds as real ones; a fast market does not make machines faster."""
    return market_s if rate == 1.0 else max(market_s / rate, min(market_s, _LEAST_S))
