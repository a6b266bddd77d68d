"""`qmterm bench kill`: from the kill to the last byte of the last cancel, with 50 orders working and quotes pouring in.

Real processes and sockets: a broker, a source of 20,000 quotes a second, and an engine whose one loop takes the quotes
onto its board, keeps 50 orders and is told to kill.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Callable

import numpy as np

from qmterm.bench.machine import Machine
from qmterm.bench.order_host import OrderHost
from qmterm.bench.report import Limit, Report, Row
from qmterm.bench.stream import names, quote_event
from qmterm.bench.stream_clients import StreamServer

KILLS = 40
WORKING = 50
FRAME = 100  # quotes
FRAMES_S = 200
SYMBOLS = 10_000
LONGEST_S = 600


def run(size: int = KILLS, *, quick: bool = False, progress: Callable[[str], None] = lambda _: None) -> Report:
    """`size` kills."""
    machine = Machine.here()
    progress(f"{size} kills of {WORKING} orders")
    taken, rate, cpu = asyncio.run(_kills(size))
    ranked = sorted(taken)
    rows = [
        Row(
            work=f"kill to the last of {WORKING} cancels sent, p{share}",
            ours=ranked[min(len(ranked) - 1, int(share / 100 * len(ranked)))],
            unit="ms",
            must=Limit(most=250.0) if share == 99 else None,
            note=f"{len(ranked)} kills; {rate:,.0f} quotes a second came in meanwhile; worst {ranked[-1]:.3g} ms; "
            f"the engine's own CPU {cpu:.3g} ms a kill, answers and sweep included",
        )
        for share in (50, 99)
    ]
    return Report("kill", machine, tuple(rows), ("the pacing of calls is production's: cancels never wait for it",))


def frames(symbols: list[str], count: int = 100, seed: int = 17) -> list[bytes]:
    random = np.random.default_rng(seed)
    return [
        json.dumps(
            [quote_event(random, symbols[random.integers(len(symbols))], number) for number in range(FRAME)],
            separators=(",", ":"),
        ).encode()
        for _ in range(count)
    ]


async def _kills(size: int) -> tuple[list[float], float, float]:
    symbols = names(SYMBOLS)
    taken: list[float] = []
    rates: list[float] = []
    cpu: list[float] = []
    with StreamServer(frames(symbols)) as quotes:
        async with OrderHost() as host:
            await host.start()
            feed = {"port": quotes.port, "frames": LONGEST_S * FRAMES_S, "per_second": FRAMES_S}
            await host.ask("feed", "fed", symbols=symbols, **feed)
            await host.ask("pace", "paced")
            for _ in range(size):
                await host.ask("have", "has", filled=[], resting=host.symbols[:WORKING], cancelled=[])
                found = await host.ask("kill", "times")
                if found["working"] >= WORKING:
                    taken.append(found["ms"])
                    rates.append(found["rate"])
                    cpu.append(found["cpu_ms"])
    return taken, statistics.mean(rates), statistics.median(cpu)
