"""`qmterm bench restart`: from the start of a killed engine to ready for trading, with 50 positions and 200 orders.

Each start is a new process on the journal that the killed one left; what is counted begins before its interpreter and
its imports do. Market data are not in it: orders and stops are ready before history is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from qmterm.bench.machine import Machine
from qmterm.bench.order_host import OrderHost
from qmterm.bench.report import Limit, Report, Row

STARTS = 5
POSITIONS, RESTING, CANCELLED = 50, 50, 100
SLOW_S = 0.3  # how late a slow broker gives each answer
MOST_S = 5.0


def run(size: int = STARTS, *, quick: bool = False, progress: Callable[[str], None] = lambda _: None) -> Report:
    """`size` starts with a prompt broker, as many with a slow one."""
    machine = Machine.here()
    return Report("restart", machine, asyncio.run(_rows(size, progress)), ())


async def _rows(size: int, progress: Callable[[str], None]) -> tuple[Row, ...]:
    rows: list[Row] = []
    async with OrderHost() as host:
        await host.start()
        progress("200 orders")
        some = host.symbols[:POSITIONS]
        held = await host.ask("have", "has", filled=some, resting=some[:RESTING], cancelled=(some * 2)[:CANCELLED])
        for words, stall in (("a prompt broker", 0.0), (f"a broker that answers {SLOW_S:g} s late", SLOW_S)):
            progress(words)
            if stall:
                await host.server.arm({"fault": "stall", "times": 1_000_000, "seconds": stall})
            whole: list[float] = []
            inside: list[float] = []
            for _ in range(size):
                await host.kill()
                began = time.perf_counter()
                own, _ = await host.start(fresh=True)
                whole.append(time.perf_counter() - began)
                inside.append(own)
            rows.append(
                Row(
                    work=f"restart to trading-ready, {words}, worst of {size}",
                    ours=max(whole),
                    unit="s",
                    must=Limit(most=MOST_S),
                    note=f"{held[0]} positions, {held[1]} orders, {held[2]} of them working; "
                    f"recovery and reading {max(inside):.2f} s of it, the rest is Python and its imports",
                )
            )
    return tuple(rows)
