"""Engines and simulators as a person runs them: processes with a command line, looked at from outside only."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from qmterm.engine.control import ask
from qmterm.journal.audit import Audit, audit

CONFIG = """\
[orders]
poll_s = 0.5
reconcile_s = 2.0
readback_window_s = 1.5
"""


@dataclass
class Home:
    """A user's own folders, in a temporary place."""

    path: Path

    def __post_init__(self) -> None:
        (self.path / "config").mkdir(parents=True, exist_ok=True)
        (self.path / "config" / "config.toml").write_text(CONFIG)

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("QMTERM_")}
        return {**kept, "QMTERM_HOME": str(self.path), "QMTERM_NO_KEYRING": "1"}

    @property
    def socket(self) -> Path:
        return self.path / "run" / "engine.sock"


@dataclass
class Engine:
    """`qmterm --auto …` as a process; its stderr is read as it comes."""

    home: Home
    process: subprocess.Popen
    journal: Path
    lines: list[str] = field(default_factory=list)
    stdout: str = ""

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def says(self, pattern: str) -> str | None:
        """The first log line that matches."""
        return next((line for line in list(self.lines) if re.search(pattern, line)), None)

    def wait_for(self, pattern: str, seconds: float = 60.0) -> str:
        """Until a log line matches; the whole log when it never does."""

        def found() -> str | None:
            dead = self.process.poll() is not None  # looked at first: its last lines still count
            line = self.says(pattern)
            assert line or not dead, "\n".join([f"it ended without saying {pattern!r}", *self.lines[-40:]])
            return line

        return until(found, seconds, lambda: "\n".join([pattern, *self.lines[-40:]]))

    def ctl(self, *words: str) -> dict:
        return ask(self.home.socket, list(words))

    def kill(self) -> None:
        """SIGKILL: no last words."""
        self.process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> dict:
        """Ask it to stop; the JSON of its last stdout line."""
        self.process.send_signal(number)
        return self.end()

    def end(self, seconds: float = 120.0) -> dict:
        self._end(seconds)
        assert self.process.returncode == 0, "\n".join(self.lines[-30:])
        return json.loads(self.stdout.splitlines()[-1])

    def _end(self, seconds: float = 60.0) -> None:
        self.stdout = self.process.stdout.read()
        self.process.wait(seconds)
        self._reader.join(5)

    def audit(self) -> Audit:
        return audit(self.journal)


@contextmanager
def engine(home: Home, journal: Path, *words: str, program: str | None = None):
    """Run the command; whatever happens it does not outlive the test."""
    entry = ["-m", "qmterm.cli"] if program is None else ["-c", program]
    command = [sys.executable, *entry, "--auto", "--json", "--journal", str(journal), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=home.environment)
    running = Engine(home, process, journal)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


def run(home: Home, journal: Path, *words: str, program: str | None = None) -> tuple[dict, Engine]:
    """The command to its own end."""
    with engine(home, journal, *words, program=program) as one:
        return one.end(), one


def own_sim(seed: int = 7, symbols: int = 100, start: str = "09:29", speed: str = "max") -> list[str]:
    """Words for an engine with a simulator of its own, in lockstep."""
    return [
        *("--source", "sim", "--broker", "sim", "--seed", str(seed), "--symbols", str(symbols)),
        *("--start", f"2026-03-02T{start}", "--speed", speed),
    ]


@dataclass
class Market:
    """A simulator that lives on: `qmterm sim serve`, running freely."""

    url: str
    token: str
    token_file: Path
    process: subprocess.Popen

    def words(self) -> list[str]:
        joined = ["--sim", self.url, "--sim-token-file", str(self.token_file)]
        return ["--source", "sim", "--broker", "sim", *joined]

    def call(self, method: str, path: str, body: object = None, bearer: str | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("Authorization", f"Bearer {bearer or self.token}")
        request.add_header("User-Agent", "qmterm-tests/1.0")
        request.add_header("Content-Type", "application/json")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")

    def fault(self, name: str, **options: object) -> None:
        self.call("POST", "/sim/broker-faults", {"fault": name, **options})

    def account(self) -> BrokersWord:
        """Everything the broker says, read over its own REST like any client."""
        grant = {"grant_type": "refresh_token", "client_secret": self.token, "refresh_token": self.token}
        bearer = self.call("POST", "/oauth/token", grant)["access_token"]
        accounts = self.call("GET", "/customers/me/accounts", bearer=bearer)["data"]["items"]
        base = f"/accounts/{accounts[0]['account']['account-number']}"
        positions = self.call("GET", f"{base}/positions", bearer=bearer)["data"]["items"]
        orders = self.call("GET", f"{base}/orders?per-page=100", bearer=bearer)["data"]["items"]
        balance = self.call("GET", f"{base}/balances/USD", bearer=bearer)["data"]
        return BrokersWord(orders, positions, Decimal(str(balance["cash-balance"])))


@dataclass
class BrokersWord:
    orders: list[dict]
    rows: list[dict]
    cash: Decimal

    @property
    def positions(self) -> dict[str, int]:
        signs = {"Long": 1, "Short": -1}
        held = {r["symbol"]: signs.get(r["quantity-direction"], 0) * int(float(r["quantity"])) for r in self.rows}
        return {symbol: quantity for symbol, quantity in held.items() if quantity}

    @property
    def tags(self) -> Counter:
        """How many orders the broker holds for each external-identifier."""
        return Counter(order["external-identifier"] for order in self.orders)


@contextmanager
def market(folder: Path, *, seed: int = 7, symbols: int = 100, start: str = "09:29", speed: float = 20):
    token_file = folder / "sim.token"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "qmterm.sim", "--token-file", str(token_file), "--owned"),
            *("--seed", str(seed), "--symbols", str(symbols), "--start", f"2026-03-02T{start}", "--speed", str(speed)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        about = json.loads(process.stdout.readline())
        yield Market(about["url"], token_file.read_text().strip(), token_file, process)
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def until(found: Callable[[], object], seconds: float, explain: Callable[[], str]):
    """Poll until something true comes back; AssertionError with the explanation when it never does."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(explain())
