"""`qmterm bench history`: the history store from Parquet to the scan panel, in time and in memory.

The traps: memory is only true in a process that did nothing else, so the panel is read in one of its own, which counts
from after its imports; and a store that is read the second time is in the page cache, which is the case that matters
(the pull has just written it).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from qmterm.bench import chain
from qmterm.bench.machine import Machine
from qmterm.bench.peers import load
from qmterm.bench.report import Limit, Missing, Report, Row
from qmterm.bench.timing import Seconds, race

SYMBOLS = 32_345
SESSIONS = 300
PEER_SESSIONS = 60  # pandas needs several GB for all of them: scaled
HOLES = 0.25  # share of names that do not trade every day
MOST_S, MOST_MB = 2.0, 500.0

# In a fresh process: what the engine has imported by then, the reading, its seconds and its peak above the imports.
_READ = """
import json, sys, time
import qmterm.tape
import numpy, pyarrow.compute, pyarrow.parquet
from pathlib import Path
from qmterm.tape.layout import DAILY, stored_sessions
from qmterm.tape.panel import read_grouped
import qmterm.bench.memory as memory
folder = Path(sys.argv[1])
days = stored_sessions(folder, DAILY)
before = memory.resident_mb()
began = time.perf_counter()
panel = read_grouped(folder, days)
seconds = time.perf_counter() - began
peak = memory.peak_mb()
told = {"seconds": seconds, "mb": None if peak is None or before is None else peak - before}
print(json.dumps({**told, "sum": float(numpy.nansum(panel.close))}))
"""


def run(size: int = SYMBOLS, *, quick: bool = False, progress: Callable[[str], None] = lambda _: None) -> Report:
    """All rows for `size` symbols; `quick` takes fewer sessions and one turn (the figures are rough then)."""
    machine = Machine.here()
    sessions, rounds = (20, 1) if quick else (SESSIONS, 5)
    pandas = load("pandas", "pandas")
    with tempfile.TemporaryDirectory(prefix="qmterm-bench-") as name:
        folder = Path(name)
        progress(f"writing {sessions} sessions of {size:,} symbols")
        days, total = write_store(folder, size, sessions)
        told: list[dict[str, Any]] = []

        def ours() -> float:
            told.append(read_once(folder))
            return float(told[-1]["seconds"])

        def theirs() -> None:
            pivoted(pandas, folder, days[-min(PEER_SESSIONS, sessions) :])

        contestants: dict[str, Callable[[], float | None]] = {"ours": ours}
        if not isinstance(pandas, Missing):
            contestants["pandas"] = theirs
        progress(f"reading it with {', '.join(contestants)}")
        timed = race(contestants, rounds=rounds, budget_s=60.0)
    scale = sessions / min(PEER_SESSIONS, sessions)
    wrong = abs(float(told[-1]["sum"]) / total - 1.0)
    peaks = [float(turn["mb"]) for turn in told if turn["mb"] is not None]
    rows = [
        _time_row(size, sessions, timed["ours"], timed.get("pandas"), scale, wrong, pandas),
        Row(
            work=f"memory above the imports while {sessions} x {size:,} bars are read into the panel",
            ours=max(peaks) if peaks else None,
            unit="MB",
            must=Limit(most=MOST_MB),
            note=f"{48e-6 * sessions * size:.0f} MB of it is the panel (five columns, a date); peak of a fresh process",
        ),
    ]
    progress("reading chains")
    rows += chain.rows(machine, quick, 1_000 if quick else chain.CONTRACTS)
    return Report("history", machine, tuple(rows), (f"{HOLES:.0%} of the names do not trade on every day",))


def write_store(folder: Path, size: int, sessions: int, seed: int = 11) -> tuple[list[date], float]:
    """A store as the pull writes it; (its days, the sum of all closes)."""
    from qmterm.tape.grouped import write_grouped

    random = np.random.default_rng(seed)
    names = np.array([_name(number) for number in range(size)])
    quiet = np.where(random.random(size) < HOLES, 0.3 * random.random(size), 0.0)
    price = np.exp(random.normal(3.0, 1.0, size))
    days: list[date] = []
    day, total = date(2025, 1, 2), 0.0
    while len(days) < sessions:
        if day.weekday() < 5:
            price = np.maximum(0.05, price * np.exp(0.02 * random.standard_normal(size)))
            there = np.flatnonzero(random.random(size) >= quiet)
            close = np.round(price[there], 2)
            opened = np.maximum(0.01, np.round(close * np.exp(0.005 * random.standard_normal(len(there))), 2))
            bars = {
                "open": opened,
                "high": np.round(np.maximum(opened, close) * 1.01, 2),
                "low": np.maximum(0.01, np.round(np.minimum(opened, close) * 0.99, 2)),
                "close": close,
                "volume": np.floor(np.exp(random.normal(12.0, 1.0, len(there)))),
            }
            write_grouped(folder, day, {"symbol": names[there], **bars}, pulled=day)
            days.append(day)
            total += float(close.sum())
        day += timedelta(days=1)
    return days, total


def _name(number: int) -> str:
    """Three to five letters, no two alike."""
    letters = ""
    for _ in range(3 + number % 3):
        number, letter = divmod(number, 26)
        letters += chr(65 + letter)
    return letters if not number else f"{letters}{number}"


def read_once(folder: Path) -> dict[str, Any]:
    """The panel read in a process of its own."""
    answer = subprocess.run(
        [sys.executable, "-c", _READ, str(folder)], stdout=subprocess.PIPE, text=True, check=True, timeout=600
    )
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


def pivoted(pandas: Any, folder: Path, days: list[date]) -> Any:
    """What a pandas user writes: read every file, then one wide frame a column."""
    columns = ["symbol", "open", "high", "low", "close", "volume"]
    frames = []
    for day in days:
        frame = pandas.read_parquet(folder / f"{day}.parquet", columns=columns)
        frame["date"] = day
        frames.append(frame)
    long = pandas.concat(frames, ignore_index=True)
    return {name: long.pivot(index="symbol", columns="date", values=name).to_numpy() for name in columns[1:]}


def _time_row(
    size: int, sessions: int, ours: Seconds, theirs: Seconds | None, scale: float, wrong: float, peer: object
) -> Row:
    seconds = None if theirs is None else theirs.best * scale
    return Row(
        work=f"{sessions} sessions of {size:,} symbols from Parquet to the scan panel",
        ours=ours.best,
        unit="s",
        peer=seconds,
        peer_name="pandas read_parquet, concat and pivot",
        ratio=None if seconds is None else seconds / ours.best,
        max_error=wrong,
        error_of="relative difference of the sum of all closes from what was written",
        must=Limit(most=MOST_S, error=1e-9),
        note=f"one Parquet file a session, no cache beside them; {ours.note()}; peer scaled by {scale:g}",
    ).lacking(peer)
