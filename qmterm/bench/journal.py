"""`qmterm bench journal`: durable rows a second, what a SIGKILL costs, and how large a day is.

The traps: on a memory disk an fsync costs nothing and group commit gains little, so the disk's own fsync is stated;
and both ways of writing use the same schema, records and settings (WAL, synchronous=FULL), taking turns.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from qmterm.bench.journal_rows import PRODUCERS, one_order, opened, orders, produce
from qmterm.bench.machine import Machine
from qmterm.bench.report import Limit, Report, Row
from qmterm.core.interpreter import loop_factory
from qmterm.core.orders import Fill, OrderIntent
from qmterm.journal import records, schema
from qmterm.journal.commits import Batch, JournalFile, commit
from qmterm.journal.records import Record
from qmterm.journal.writer import BATCH_ROWS

ORDERS_A_DAY = 1_000
ROWS = 40_000
KILLS = 10


def run(size: int = ROWS, *, quick: bool = False, progress: Callable[[str], None] = lambda _: None) -> Report:
    """All rows; `size` durable rows a turn."""
    machine = Machine.here()
    with tempfile.TemporaryDirectory(prefix="qmterm-bench-") as name:
        folder = Path(name)
        progress("rows a second")
        rows = [_rate_row(folder, size, 1 if quick else 5)]
        progress("killing writers")
        rows.append(_kill_row(folder, 2 if quick else KILLS))
        progress("a day")
        rows.append(_day_row(folder))
        sync = fsync_ms(folder)
    notes = (
        f"fsync of this disk ({tempfile.gettempdir()}): {sync:.3g} ms; TMPDIR chooses another",
        "WAL, synchronous=FULL; a row is an intent or a fill with its projection; both on the engine's loop",
    )
    return Report("journal", machine, tuple(rows), notes)


def fsync_ms(folder: Path, times: int = 60) -> float:
    """The median of appending 4 KB and syncing it."""
    taken: list[float] = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken)


def _rate_row(folder: Path, size: int, rounds: int) -> Row:
    ours: list[float] = []
    peer: list[float] = []
    bare: list[float] = []
    few = max(PRODUCERS * 2, size // 20)  # as long a turn for each
    made = list(islice(orders(), size // 2))
    gc.collect()
    gc.freeze()  # the collector stays on; the orders that were made for this are no work of the journal's
    try:
        for number in range(rounds):
            ours.append(_on_the_engines_loop(_rate(folder / f"together-{number}.sqlite", made, BATCH_ROWS)))
            peer.append(_on_the_engines_loop(_rate(folder / f"alone-{number}.sqlite", made[: few // 2], 1)))
            bare.append(_bare(folder / f"bare-{number}.sqlite", made[: few // 2]))
    finally:
        gc.unfreeze()
    together, alone = max(ours), max(peer)
    return Row(
        work=f"durable rows, {PRODUCERS} producers that wait for each row",
        ours=together,
        unit="rows/s",
        peer=alone,
        peer_name="one commit a row",
        ratio=together / alone,
        must=Limit(ratio=30.0),
        note=f"best of {rounds} turns each, {size:,} and {few:,} rows; the peer is this journal with batches of one. "
        f"SQLite alone in a loop, one commit a row: {max(bare):,.0f} rows/s ({together / max(bare):.3g}x)",
    )


def _on_the_engines_loop(rate: Coroutine[Any, Any, float]) -> float:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(rate)


async def _rate(path: Path, made: list[tuple[OrderIntent, Fill]], batch_rows: int) -> float:
    """Rows a second. Orders are made beforehand: what is measured is the journal."""
    journal = await opened(path, batch_rows)
    waiting = iter(made)
    began = time.perf_counter()
    await asyncio.gather(*(produce(journal, waiting) for _ in range(PRODUCERS)))
    took = time.perf_counter() - began
    await journal.close()
    return 2 * len(made) / took


def _bare(path: Path, made: list[tuple[OrderIntent, Fill]]) -> float:
    """The same rows through the same statements, a transaction each, no event loop and no thread."""
    connection = schema.connector(path)()
    schema.prepare(connection, path)
    file = JournalFile.at(path)
    values = [value for pair in made for value in pair]
    began = time.perf_counter()
    for number, value in enumerate(values):
        commit(connection, Batch(number, [_record(value)]), file)
    took = time.perf_counter() - began
    connection.close()
    return len(values) / took


def _record(value: OrderIntent | Fill) -> Record:
    if isinstance(value, OrderIntent):
        return Record(records.INTENT, value.intent_id, 0, 0, 1, *records.intent_values(value, None))
    return Record(records.FILL, f"e{value.broker_order_id}", 0, 0, 1, *records.fill_values(value, "5WT00001"))


def _kill_row(folder: Path, kills: int) -> Row:
    luck = random.Random(7)
    told = lost = 0
    for number in range(kills):
        path = folder / f"killed-{number}.sqlite"
        child = subprocess.Popen(
            [sys.executable, "-m", "qmterm.bench.journal_rows", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,  # a buffer between us and os.read would put lines out of order
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        reader = _Reader(child)
        reader.until(luck.uniform(0.05, 0.6))
        child.kill()
        acknowledged = [first.decode(), *reader.rest()]
        child.wait()
        kept = _kept(path)
        complete = [name.strip() for name in acknowledged if name.endswith("\n")]
        told += len(complete)
        lost += sum(name not in kept for name in complete)
    return Row(
        work=f"acknowledged rows lost by {kills} SIGKILLs",
        ours=float(lost),
        unit="rows",
        must=Limit(most=0.0),
        note=f"{told:,} rows were acknowledged by processes that were killed while writing",
    )


class _Reader:
    """Reads a child's lines as they come, so that its pipe never fills."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        self._pipe = child.stdout
        self._parts: list[bytes] = []

    def until(self, seconds: float) -> None:
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            self._parts.append(os.read(self._pipe.fileno(), 1 << 16))

    def rest(self) -> list[str]:
        self._parts.append(self._pipe.read())
        return b"".join(self._parts).decode().splitlines(keepends=True)


def _kept(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    try:
        kept = {row[0] for row in connection.execute("SELECT intent_id FROM intents")}
        return kept | {row[0] for row in connection.execute("SELECT fill_id FROM fills")}
    finally:
        connection.close()


def _day_row(folder: Path) -> Row:
    path = folder / "day.sqlite"
    asyncio.run(_day(path))
    connection = sqlite3.connect(path)
    events = int(connection.execute("SELECT count(*) FROM events").fetchone()[0])
    connection.close()
    return Row(
        work=f"file after a day of {ORDERS_A_DAY:,} orders",
        ours=path.stat().st_size / 1e6,
        unit="MB",
        note=f"{events:,} events: decision, intent with quotes, stop, states, two fills, mark, equity and log of each",
    )


async def _day(path: Path) -> None:
    journal = await opened(path)
    for number in range(ORDERS_A_DAY):
        await one_order(journal, number)
    await journal.end_session({"nlv": Decimal(100_000)})
    await journal.close()
