"""The session's minutes while the stream runs: judged as they end, repaired, and made from trades where they are late.

The trap: in lockstep nothing here may depend on real time. There `step` does it all between two steps; by the clock
`turn` is the owner's, and `follow` looks by itself for whoever has no turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from qmterm.core.clock import NS
from qmterm.market.bars.live import LiveBars
from qmterm.market.stream.repair import MinuteRepair
from qmterm.market.stream.socket import MarketStream

_LOOK_S = 0.5  # between looks at the minutes that ended, real seconds
_AUDIT_NS = 10 * 60 * NS  # between comparisons of the minutes with a snapshot's


class MinuteKeeper:
    """`last_data_ns`: when the stream last told something; `may_audit`: whether a call for a snapshot is free now."""

    def __init__(
        self,
        repair: MinuteRepair,
        bars: LiveBars,
        stocks: MarketStream,
        market_ns: Callable[[], int],
        last_data_ns: Callable[[], int],
        may_audit: Callable[[], bool],
    ) -> None:
        self._repair = repair
        self._bars = bars
        self._stocks = stocks
        self._market_ns = market_ns
        self._last_data_ns = last_data_ns
        self._may_audit = may_audit
        self._next_audit_ns = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._follow(), name="minute ledger")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._repair.close()

    def turn(self) -> None:
        """What came since the last turn, into bars; cheap when no minute has ended."""
        now = self._market_ns()
        channels = self._stocks.confirmed
        if "AM.*" in channels:
            self._repair.ledger.listens(now, self._last_data_ns())
        self._bars.hear(channels, self._stocks.counters.drops, now)
        self._bars.turn(now)

    async def step(self, now_ns: int) -> None:
        """Lockstep: everything that this step's frames made due, before the next step."""
        self.turn()
        if self._repair.look(now_ns):
            await self._repair.repair(now_ns)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self.turn()
            now = self._market_ns()
            if self._repair.look(now) or self._audit_due(now):
                self._repair.begin(now)

    def _audit_due(self, now_ns: int) -> bool:
        """Now and then in the session every symbol's newest minute is compared with the vendor's, if calls are free."""
        ledger = self._repair.ledger
        if not ledger.session[0] < now_ns < ledger.session[1]:
            return False
        if now_ns < self._next_audit_ns or not self._may_audit():
            return False
        first, self._next_audit_ns = not self._next_audit_ns, now_ns + _AUDIT_NS
        return not first
