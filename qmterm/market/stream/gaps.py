"""Every minute of the session has a status: seen, repaired, missing. What the stream did not bring is known by name.

The trap: a minute without bars need not be one in which nothing arrived. A drop that covers the seconds in which a
minute's bars are sent leaves a part of them, so the stretches without a stream count, and so does a sudden lack of
bars against the minutes before. A missing minute is repaired when it is known of the last symbol, not before. Pure: the
ring of minutes is read, times come in.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, IntArray
from qmterm.market.board.minutes import DEPTH, MINUTE_NS, MinuteRing
from qmterm.market.stream.lost import LostBars

DELIVERY_NS = 5_000_000_000  # a minute's bars are sent within this time after its end
_BEFORE = 10  # minutes that tell how many bars are usual
_FEW = 0.25  # of the usual number: the minute is not believed
_ENOUGH = 20  # usual bars a minute below which a lack says nothing


class MinuteStatus(IntEnum):
    UNWATCHED = 0  # before the program listened, or not over yet
    SEEN = 1
    MISSING = 2
    REPAIRED = 3


class MinuteLedger:
    """One session at a time. `last_minute` (since the epoch, 0 = none) and `missing` are by row of the stocks table."""

    def __init__(self) -> None:
        self.session = (0, 0)
        self.status: NDArray[np.int8] = np.zeros(0, dtype=np.int8)
        self.bars: IntArray = np.zeros(0, dtype=np.int64)
        self.last_minute: IntArray = np.zeros(0, dtype=np.int64)
        self.missing: IntArray = np.zeros(0, dtype=np.int64)  # minutes the vendor has and we had not, by symbol
        self._listed: BoolArray = np.zeros(0, dtype=np.bool_)  # rows that a snapshot has told of
        self.lost_bars = LostBars()
        self._next = 0  # the first minute not judged, since the epoch
        self._first = 0  # before this one nobody listened
        self._holes: list[tuple[int, int]] = []
        self._down_since: int | None = None
        self._listening = False

    # --- what happens to the stream ---

    def start_session(self, open_ns: int, close_ns: int) -> None:
        if (open_ns, close_ns) == self.session:
            return
        self.session = (open_ns, close_ns)
        minutes = max(0, (close_ns - open_ns) // MINUTE_NS)
        self.status = np.zeros(minutes, dtype=np.int8)
        self.bars = np.zeros(minutes, dtype=np.int64)
        self.last_minute[:] = self.missing[:] = 0
        self.lost_bars = LostBars()
        self._next = open_ns // MINUTE_NS
        self._holes = []

    def listens(self, now_ns: int, last_data_ns: int) -> None:
        """Minute bars are to come (their channel is confirmed); data came last at `last_data_ns`.

        A hole ends with data: a server may grant everything and go on sending nothing.
        """
        if not self._listening:
            self._listening = True
            # A minute whose bars were being sent when the program came is nobody's loss.
            self._next = max(self._next, now_ns // MINUTE_NS)
            self._first = self._next
        if self._down_since is not None and last_data_ns > self._down_since:
            self._holes.append((self._down_since, now_ns))
            self._down_since = None

    def went_down(self, last_data_ns: int) -> None:
        """The stream broke or fell silent; what came after `last_data_ns` is not known.

        Silence is noticed late: minutes that were taken for seen since then are judged again.
        """
        if not self._listening or self._down_since is not None:
            return
        self._down_since = last_data_ns
        first = max(self._first, (last_data_ns - DELIVERY_NS) // MINUTE_NS, self.session[0] // MINUTE_NS)
        again = self.status[max(0, first - self.session[0] // MINUTE_NS) :]
        again[again == MinuteStatus.SEEN] = MinuteStatus.UNWATCHED
        self._next = min(self._next, first)

    # --- judging ---

    def judge(self, now_ns: int, ring: MinuteRing, count: int) -> bool:
        """Give every minute that is over its status; True when one is missing. Some seconds late, as bars are.

        In a missing one all symbols are unknown that traded today or that a snapshot told of, but for those it brought.
        """
        self._fit(count)
        open_ns, close_ns = self.session
        end = min((now_ns - DELIVERY_NS) // MINUTE_NS, close_ns // MINUTE_NS)
        if not self._listening or not len(self.status):
            return False
        for minute in self._minutes(MinuteStatus.MISSING):
            if minute > end - DEPTH and self.lost_bars.came_late(minute, ring.seen(minute, count)):
                self._over((minute,))
        for minute in range(self._next, end):
            at = minute - open_ns // MINUTE_NS
            if self.status[at] != MinuteStatus.UNWATCHED:
                continue
            here = ring.seen(minute, count)
            self.bars[at] = np.count_nonzero(here)
            self.last_minute[:count][here] = minute
            doubtful = self._doubtful(minute, at)
            self.status[at] = MinuteStatus.MISSING if doubtful else MinuteStatus.SEEN
            if doubtful:
                self.lost_bars.lose(minute, (self._listed[:count] | (self.last_minute[:count] > 0)) & ~here)
        self._next = max(self._next, end)
        passed = (self._next - 1) * MINUTE_NS
        self._holes = [hole for hole in self._holes if hole[1] > passed]
        return bool(self.lost)

    def check_symbols(
        self, rows: IntArray, minute_ns: IntArray, whole: BoolArray, now_ns: int, ring: MinuteRing
    ) -> BoolArray:
        """Which of these rows' newest minutes (as the vendor has them) we never got; they are counted as missing.

        Only minutes that are over and whose bars should have come, inside the session, as far back as the ring holds.
        Where the vendor's bar is `whole`, one that only stands in for it is not it.
        """
        self._fit(int(rows.max()) + 1 if len(rows) else 0)
        self._listed[rows] = True
        minute = minute_ns // MINUTE_NS
        open_ns, close_ns = self.session
        first = max(open_ns // MINUTE_NS, now_ns // MINUTE_NS - DEPTH + 1)
        over = (minute >= first) & (minute < close_ns // MINUTE_NS)
        over &= (minute + 1) * MINUTE_NS + DELIVERY_NS <= now_ns
        absent = over & ~ring.holds(rows, minute, whole)
        self.missing[rows[absent]] += 1
        held = minute_ns >= open_ns
        self.last_minute[rows[held]] = np.maximum(self.last_minute[rows[held]], minute[held])
        return absent

    # --- repair ---

    @property
    def missing_minutes(self) -> tuple[int, ...]:
        """Starts (ns) of the minutes to be repaired, oldest first."""
        return tuple(minute * MINUTE_NS for minute in self._minutes(MinuteStatus.MISSING))

    def told_by_snapshot(self, rows: IntArray, minute_ns: IntArray, updated_ns: IntArray, now_ns: int) -> int:
        """Each symbol's newest minute in a snapshot asked for at `now_ns`; start (ns) of the newest that it settles.

        One in which no symbol has a bar of the latest minute, and none was touched since, does not know it yet.
        """
        newest = minute_ns // MINUTE_NS
        fresh = max(int(newest.max(initial=0)), (int(updated_ns.max(initial=0)) - DELIVERY_NS) // MINUTE_NS - 1)
        known_until = min((now_ns - DELIVERY_NS) // MINUTE_NS - 1, fresh)
        self._over(self.lost_bars.told_by_snapshot(rows, newest, known_until))
        return known_until * MINUTE_NS

    def told_by_bars(self, row: int, first_ns: int, last_ns: int) -> None:
        """The vendor's bars of one symbol were read from the minute that starts at `first_ns` to that of `last_ns`."""
        self._over(self.lost_bars.told_by_bars(row, first_ns // MINUTE_NS, last_ns // MINUTE_NS))

    @property
    def lost(self) -> int:
        """Minutes that are not known of every symbol."""
        return int(np.count_nonzero(self.status == MinuteStatus.MISSING))

    @property
    def mended(self) -> int:
        return int(np.count_nonzero(self.status == MinuteStatus.REPAIRED))

    # --- inside ---

    def _minutes(self, status: MinuteStatus) -> list[int]:
        first = self.session[0] // MINUTE_NS
        return [first + at for at in np.flatnonzero(self.status == status).tolist()]

    def _over(self, minutes: Iterable[int]) -> None:
        for minute in minutes:
            self.lost_bars.close(minute)
            self.status[minute - self.session[0] // MINUTE_NS] = MinuteStatus.REPAIRED

    def _fit(self, count: int) -> None:
        grown = count - len(self.last_minute)
        if grown > 0:
            self.last_minute = np.pad(self.last_minute, (0, grown))
            self.missing = np.pad(self.missing, (0, grown))
            self._listed = np.pad(self._listed, (0, grown))

    def _doubtful(self, minute: int, at: int) -> bool:
        end_ns = (minute + 1) * MINUTE_NS
        holes = self._holes if self._down_since is None else [*self._holes, (self._down_since, 2**62)]
        if any(since < end_ns + DELIVERY_NS and until >= end_ns for since, until in holes):
            return True
        before = self.bars[max(0, at - _BEFORE) : at][self.status[max(0, at - _BEFORE) : at] == MinuteStatus.SEEN]
        usual = float(np.median(before)) if len(before) >= 3 else 0.0
        return usual >= _ENOUGH and self.bars[at] < _FEW * usual
