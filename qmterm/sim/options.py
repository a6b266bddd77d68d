"""What a simulator is asked to be: seed, size, start, pace, plan. Times are read as New York wall time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import msgspec

from qmterm.core.clock import ET, NS, et_date, from_et
from qmterm.core.errors import BadInput

DEFAULT_START = "2026-03-02T09:25"
MIN_SYMBOLS, MAX_SYMBOLS = 50, 32_345
PLANS = ("basic", "starter", "developer", "advanced")


@dataclass(frozen=True, slots=True)
class SimOptions:
    """`speed` is market seconds per real second (free-running only); `step_s` market seconds per lockstep step."""

    seed: int = 7
    symbols: int = 500
    start: str | None = None  # New York wall time, YYYY-MM-DDTHH:MM; None = the usual one, or where a replay begins
    speed: float = 1.0
    lockstep: bool = False
    step_s: int = 5
    until: str | None = None  # HH:MM of the start day, or a full date and time
    port: int = 0  # 0 = any free port
    plan: str = "advanced"
    token: str | None = None  # None = a random one
    token_file: Path | None = None
    owned: bool = False  # exit when stdin closes: the owner died
    starting_cash: Decimal = Decimal(100_000)
    replay: Path | None = None  # play these files instead of a world made up by seed
    events: tuple[str, ...] = ()  # JSON objects, see sim/happenings.py

    def __post_init__(self) -> None:
        if not MIN_SYMBOLS <= self.symbols <= MAX_SYMBOLS:
            raise BadInput(f"symbols must be {MIN_SYMBOLS} to {MAX_SYMBOLS}, not {self.symbols}")
        if not 0 < self.speed <= 3600:
            raise BadInput(f"speed must be above 0 and at most 3600, not {self.speed}; for faster use lockstep")
        if not 1 <= self.step_s <= 3600:
            raise BadInput(f"step_s must be 1 to 3600 market seconds, not {self.step_s}")
        if self.plan not in PLANS:
            raise BadInput(f"plan {self.plan!r} is unknown: choose one of {', '.join(PLANS)}")
        if not 0 <= self.port <= 65_535:
            raise BadInput(f"port must be 0 to 65535, not {self.port}")
        for event in self.events:
            read_event(event)
        if self.replay is not None and self.start is None:
            if self.until is not None and len(self.until) <= 8:
                raise BadInput(f"until {self.until}: a replay without start needs a date too, such as 2026-03-02T11:30")
            return
        start_ns, until_ns = self.start_ns, self.until_ns
        if until_ns is not None and until_ns <= start_ns:
            raise BadInput(f"until {self.until} is not after the start {self.start or DEFAULT_START}")

    @property
    def start_ns(self) -> int:
        return wall_time(self.start or DEFAULT_START, None, "start")

    @property
    def world_name(self) -> str:
        """Tells worlds apart whose history must not be mixed: a replay by its files, another by what it was made of."""
        start = self.start or DEFAULT_START
        if self.replay is None:
            return f"{self.seed}-{self.symbols}-{start[:10]}"
        path = self.replay.resolve()
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        told = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
        digest = hashlib.blake2b(repr((told, self.start)).encode(), digest_size=6).hexdigest()
        return f"replay-{path.name}-{digest}"

    @property
    def start_day(self) -> date:
        return et_date(self.start_ns)

    @property
    def until_ns(self) -> int | None:
        return None if self.until is None else wall_time(self.until, self.start_day, "until")


def read_event(text: str) -> dict[str, object]:
    """One market event as it is given on the command line: a JSON object."""
    try:
        event = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadInput(f"event {text!r} is not JSON: {error}") from error
    if not isinstance(event, dict):
        raise BadInput(f'event {text!r} is not a JSON object such as {{"halt": "AAPL"}}')
    return event


def wall_time(text: str, day: date | None, name: str) -> int:
    """New York wall time as UTC ns: `YYYY-MM-DDTHH:MM[:SS]`, or `HH:MM` of `day`."""
    try:
        if day is not None and len(text) <= 8:
            clock = time.fromisoformat(text)
            return from_et(day, clock.hour, clock.minute, clock.second)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{name} {text!r} is not a time such as {DEFAULT_START} (New York): {error}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ET)
    return int(moment.timestamp()) * NS
