"""A long session of the production engine on a simulator of its own process, watched from outside while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from qmterm.core.clock import NS
from tests.end_to_end.running import Home, engine

COVERED_PCT = 99.9  # of the symbols that the vendor lists as active
OLDEST_SCAN_S = 60.0  # market time
MOST_DRIFT_MB = 50.0
MB = 1 << 20


@dataclass
class Soaked:
    """What a run came to: its summary, and (market time, engine MB, simulator MB) while it lived."""

    summary: dict
    samples: list[tuple[int, float, float]] = field(default_factory=list)
    seconds: float = 0.0
    log: list[str] = field(default_factory=list)

    def said(self, pattern: str) -> int:
        """How many lines of the log match."""
        return sum(1 for line in self.log if re.search(pattern, line))

    def drift_mb(self, warm_ns: int) -> tuple[float, float]:
        """(engine, simulator): the most memory held after market time `warm_ns` above what was held when it came.

        The most, not the last: a process that is ending has given its arrays back already.
        """
        warm = [sample for sample in self.samples if sample[0] >= warm_ns]
        return max(row[1] for row in warm) - warm[0][1], max(row[2] for row in warm) - warm[0][2]


def shortfalls(summary: dict, engine_drift_mb: float) -> list[str]:
    """Every demand on a session that its figures do not meet, in words; [] when it is whole."""
    found = []
    coverage, minutes = summary["coverage"], summary["minutes"]
    if coverage["pct"] is None or coverage["pct"] < COVERED_PCT:
        found.append(f"coverage {coverage['pct']} % of {coverage['listed']} symbols, not {COVERED_PCT} %")
    if coverage["oldest_age_s"] is None or coverage["oldest_age_s"] > OLDEST_SCAN_S:
        found.append(f"the oldest look is {coverage['oldest_age_s']} s old, not {OLDEST_SCAN_S:g} s")
    if minutes["lost"] != 0:
        found.append(f"{minutes['lost']} minutes are lost after repair")
    if engine_drift_mb >= MOST_DRIFT_MB:
        found.append(f"the engine grew by {engine_drift_mb:.1f} MB after its warm-up, not below {MOST_DRIFT_MB:g} MB")
    if summary["errors"]:
        found.append(f"{summary['errors']} errors in the log")
    return found


def soak(
    folder: Path,
    *,
    symbols: int,
    start: str,
    until: str,
    seed: int = 7,
    faults: tuple[dict, ...] = (),
    sample_s: float = 0.5,
) -> Soaked:
    """`qmterm --auto` on a lockstep simulator as fast as both go; `faults` are switched on before the first step."""
    home = Home(folder / "home")
    with _simulator(folder, seed, symbols, start) as (url, token_file, simulator):
        for fault in faults:
            _call(url, token_file, "POST", "/sim/faults", fault)
        joined = ["--source", "sim", "--broker", "sim", "--sim", url, "--sim-token-file", str(token_file)]
        words = [*joined, "--speed", "3600", "--until", until]
        began = time.monotonic()
        with engine(home, folder / "soak.sqlite", *words) as running:
            samples = []
            while running.process.poll() is None:
                row = _memory_mb(running.process.pid), _memory_mb(simulator.pid)
                if None not in row:
                    samples.append((int(_call(url, token_file, "GET", "/sim/state")["now"]), *row))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running.process.wait(sample_s)
            return Soaked(running.end(), samples, time.monotonic() - began, running.lines)


@contextlib.contextmanager
def _simulator(folder: Path, seed: int, symbols: int, start: str):
    token_file = folder / "sim.token"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "qmterm.sim", "--token-file", str(token_file), "--owned", "--lockstep"),
            *("--seed", str(seed), "--symbols", str(symbols), "--start", start),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield json.loads(process.stdout.readline())["url"], token_file, process
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _call(url: str, token_file: Path, method: str, path: str, body: object = None) -> dict:
    request = urllib.request.Request(url + path, None if body is None else json.dumps(body).encode(), method=method)
    request.add_header("Authorization", f"Bearer {token_file.read_text().strip()}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return json.loads(answer.read())


def _memory_mb(pid: int) -> float | None:
    """Resident memory; None once the process is gone. (Linux: elsewhere it is not looked at.)"""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MB
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None


def report(soaked: Soaked, warm_ns: int) -> str:
    """The figures of a run in a few lines, for whoever ran the drill."""
    engine_mb, simulator_mb = soaked.drift_mb(warm_ns)
    market_s = (soaked.samples[-1][0] - soaked.samples[0][0]) / NS
    lines = [
        f"{market_s:,.0f} s of market in {soaked.seconds:,.0f} s",
        f"engine {max(row[1] for row in soaked.samples):,.0f} MB, drift {engine_mb:+.1f} MB",
        f"simulator {max(row[2] for row in soaked.samples):,.0f} MB, drift {simulator_mb:+.1f} MB",
    ]
    told = ("coverage", "minutes", "signals", "plans", "orders", "fills", "errors", "loop_lag_ms", "decisions_sha256")
    lines += [f"{name}: {soaked.summary[name]}" for name in told if name in soaked.summary]
    return "\n".join(lines)
