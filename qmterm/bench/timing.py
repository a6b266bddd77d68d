"""Times several pieces of work against each other, taking turns, so that a busy moment hits all of them alike.

The trap: the first call of anything compiles, imports or fills caches; each contestant runs once unmeasured.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MIN_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Seconds:
    """All measured turns of one contestant; the best is what it can do, the median what it did."""

    turns: tuple[float, ...]

    @property
    def best(self) -> float:
        return min(self.turns)

    @property
    def median(self) -> float:
        return statistics.median(self.turns)

    def note(self) -> str:
        return f"best of {len(self.turns)} turns; median {self.median:.4g} s"


Turn = Callable[[], float | None]


def race(contestants: Mapping[str, Turn], *, rounds: int, budget_s: float) -> dict[str, Seconds]:
    """Each contestant's seconds: `rounds` turns each, fewer (at least three) once the budget is spent.

    A contestant that measures itself (in another process) returns its seconds; None means: measure the call.
    """
    for run in contestants.values():
        run()
    turns: dict[str, list[float]] = {name: [] for name in contestants}
    began = time.perf_counter()
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for number in range(max(1, rounds)):
            if number >= min(MIN_ROUNDS, rounds) and time.perf_counter() - began > budget_s:
                break
            for name, run in contestants.items():
                start = time.perf_counter()
                own = run()
                turns[name].append(time.perf_counter() - start if own is None else own)
    finally:
        if was_enabled:
            gc.enable()
    return {name: Seconds(tuple(measured)) for name, measured in turns.items()}


def quietly(work: Callable[[], object]) -> Turn:
    """A contestant from a function whose result is not wanted."""

    def run() -> None:
        work()

    return run
