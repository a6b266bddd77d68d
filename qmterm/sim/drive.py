"""Market time moving: freely on a real timer, or step by step on request (lockstep).

The trap: a machine that cannot keep up must slow the market down, not let the server's clock run ahead of its data.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from qmterm.core.clock import NS
from qmterm.sim.market import Market, Progress
from qmterm.sim.options import SimOptions
from qmterm.sim.polygon.plan import DELAY_NS
from qmterm.sim.polygon.stream import StreamHub

TICK_S = 0.1  # real seconds between deliveries when the market runs freely
CHUNK_NS = 20 * NS  # market time advanced before giving way to the event loop
BEHIND_TICKS = 5


class Drive:
    """`on_step` is the broker's turn after each step; `now` is market time to the moment."""

    def __init__(self, world: Market, options: SimOptions, shown: Market | None = None) -> None:
        """`shown` is what the data side shows: the same world, a quarter of an hour behind on delayed plans."""
        self._world = world
        self._shown = shown or world
        self._options = options
        self._speed = options.speed
        self.step = 0
        self._hub: StreamHub | None = None
        self._on_step: Callable[[int], Awaitable[None]] | None = None
        self._turn = asyncio.Lock()
        self._anchor_real = time.monotonic()
        self._anchor_ns = world.now_ns

    def attach(self, hub: StreamHub, on_step: Callable[[int], Awaitable[None]]) -> None:
        self._hub, self._on_step = hub, on_step

    @property
    def done(self) -> bool:
        """True once market time reached `until`, or the world has nothing more to tell."""
        ends = [end for end in (self._options.until_ns, self._world.ends_ns) if end is not None]
        return bool(ends) and self._world.now_ns >= min(ends)

    def now(self) -> int:
        """Market time; between two steps of a free run it moves on, but never past the next delivery."""
        if self._options.lockstep:
            return self._world.now_ns
        ideal = self._anchor_ns + int((time.monotonic() - self._anchor_real) * self._speed * NS)
        ahead = self._world.now_ns + int(max(self._speed * TICK_S, 1.0) * NS)
        return self._limit(max(self._world.now_ns, min(ideal, ahead)))

    def _limit(self, ns: int) -> int:
        until = self._options.until_ns
        return ns if until is None else min(ns, until)

    async def advance(self, steps: int) -> int:
        """Lockstep: take `steps` steps and deliver everything; returns how many were left before `until`."""
        async with self._turn:
            taken = 0
            for _ in range(steps):
                if self.done:
                    break
                await self._to(self._limit(self._world.now_ns + self._options.step_s * NS))
                self.step += 1
                taken += 1
            if self._hub is not None:
                await self._hub.mark_step(self.step)
            return taken

    async def _to(self, target_ns: int) -> None:
        progress = await self._advance(self._world, target_ns)
        if self._shown is not self._world:
            progress = await self._advance(self._shown, target_ns - DELAY_NS)
        if self._hub is not None:
            await self._hub.deliver(progress)
        if self._on_step is not None:
            await self._on_step(self._world.now_ns)

    async def _advance(self, world: Market, target_ns: int) -> Progress:
        """Move one world on, giving way between chunks."""
        progress = Progress()
        while world.now_ns < target_ns:
            part = world.advance_to(min(target_ns, world.now_ns + CHUNK_NS))
            progress.add(part)
            if world.now_ns < target_ns:
                await asyncio.sleep(0)
        return progress

    async def run(self) -> None:
        """Free running until cancelled: every tick goes to where the real clock says the market is."""
        self._anchor_real, self._anchor_ns = time.monotonic(), self._world.now_ns
        tick_ns = int(max(TICK_S * self._speed, 1.0) * NS)
        while True:
            await asyncio.sleep(TICK_S)
            real = time.monotonic()
            ideal = self._anchor_ns + int((real - self._anchor_real) * self._speed * NS)
            target = self._limit(ideal // NS * NS)
            if target <= self._world.now_ns:
                continue
            if target - self._world.now_ns > BEHIND_TICKS * tick_ns:  # too slow: let the market lose time
                target = self._world.now_ns + tick_ns
                self._anchor_real, self._anchor_ns = real, target
            await self._to(target)
            self.step += 1
