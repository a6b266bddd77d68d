"""The first look at a new trading day: yesterday's day bars, splits and yields are not today's.

The trap: a server that fails at four in the morning must not cost the day, so what failed is read again soon, and the
day has begun only when all of it is there. Splits go first: stops of another scale cost money.
"""

from __future__ import annotations

from datetime import date

from qmterm.core.calendar import Phase
from qmterm.core.clock import NS, et_date
from qmterm.engine.parts import Engaged, Parts
from qmterm.engine.start import read_lists, split_alarm

RETRY_S = 60.0  # market seconds before a new session that could not be read is read again


class MarketDay:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._day: date | None = None
        self._next_ns = 0

    async def look(self, engaged: Engaged, now_ns: int) -> None:
        """Begin the day if there is a new one; whatever cannot be read is an exception or is tried again."""
        parts, day = self._parts, et_date(now_ns)
        if day == self._day or parts.calendar.phase(now_ns) is Phase.CLOSED:
            return
        if self._day is not None or not engaged.scanning.splits_known:  # else the start has just read them
            if now_ns < self._next_ns:
                return
            self._next_ns = now_ns + int(RETRY_S * NS)
            splits_known = await engaged.scanning.new_session()
            split_alarm(engaged, parts)
            await parts.feed.load_snapshot()
            await read_lists(engaged, parts)
            await parts.feed.load_yields()
            parts.log.info("FEED", f"new session {day}: snapshot and yields read")
            if not splits_known:
                return
            await engaged.flow.start_day()
        self._day = day
