"""Many seeds' outcomes as the figures that are published, and as the one JSON object of DESIGN.md section 10."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

from qmterm.drill.day import Outcome
from qmterm.drill.judge import COUNTS

FAILED_SHOWN = 20


@dataclass(slots=True)
class Report:
    """`add` each outcome; nothing but figures is kept of those that passed."""

    drill: str
    seeds: int = 0
    kills: int = 0
    orders: int = 0
    brackets: int = 0
    replaced: int = 0
    fills: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    engine_errors: int = 0
    restart_s: list[float] = field(default_factory=list)
    restart_own_s: list[float] = field(default_factory=list)
    lost_fill_found_s: float = 0.0
    kill_ms: list[float] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    took_s: float = 0.0
    story: list[str] = field(default_factory=list)  # of the newest seed, where it was told

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.kills += outcome.kills
        self.orders += outcome.orders
        self.brackets += outcome.brackets
        self.replaced += outcome.replaced
        self.fills += outcome.fills
        for count, number in outcome.findings.counts.items():
            self.counts[count] += number
        self.engine_errors += len(outcome.trouble)
        self.restart_s += outcome.restart_s[1:]  # the first start finds nothing to recover
        self.restart_own_s += outcome.restart_own_s[1:]
        self.lost_fill_found_s = max(self.lost_fill_found_s, outcome.lost_fill_found_s)
        self.kill_ms += outcome.kill_ms
        self.took_s += outcome.took_s
        self.story = outcome.story
        if not outcome.passed:
            self.failed.append(outcome)

    @property
    def passed(self) -> bool:
        return not self.failed

    def to_dict(self) -> dict[str, object]:
        return {
            "drill": self.drill,
            "seeds": self.seeds,
            "kills": self.kills,
            **self.counts,
            "restart_s": {"p50": _share(self.restart_s, 0.5), "max": _share(self.restart_s, 1.0)},
            "restart_own_s": {"p50": _share(self.restart_own_s, 0.5), "max": _share(self.restart_own_s, 1.0)},
            "lost_fill_found_s": {"max": round(self.lost_fill_found_s, 3)},
            "kill_ms": {"p50": _share(self.kill_ms, 0.5), "p99": _share(self.kill_ms, 0.99)},
            "failed_seeds": [outcome.seed for outcome in self.failed],
            "engine_errors": self.engine_errors,
            "orders": self.orders,
            "brackets": self.brackets,
            "replaced": self.replaced,
            "fills": self.fills,
            "seconds_per_seed": round(self.took_s / self.seeds, 3) if self.seeds else None,
        }


def _share(values: Sequence[float], share: float) -> float | None:
    """The value that this share of all is not above; None without any."""
    if not values:
        return None
    ranked = sorted(values)
    return round(ranked[min(len(ranked) - 1, int(share * len(ranked)))], 3)


def print_json(report: Report, out: TextIO) -> None:
    print(json.dumps(report.to_dict()), file=out)


def print_lines(report: Report, out: TextIO) -> None:
    print(
        f"drill {report.drill}: {report.seeds} seeds, {report.kills} crashes, {report.orders} orders "
        f"({report.brackets} brackets, {report.replaced} replacements), "
        f"{report.fills} fills, {report.took_s / max(1, report.seeds):.3f} s a seed",
        file=out,
    )
    for count, number in (*report.counts.items(), ("engine_errors", report.engine_errors)):
        print(f"  {count.replace('_', ' '):<24}{number:>6}", file=out)
    figures = report.to_dict()
    for name in ("restart_s", "restart_own_s", "lost_fill_found_s", "kill_ms"):
        values = figures[name]
        shown = "  ".join(f"{key} {'–' if value is None else value}" for key, value in dict(values).items())  # type: ignore[call-overload]
        print(f"  {name:<24}  {shown}", file=out)
    for outcome in report.failed[:FAILED_SHOWN]:
        why = "; ".join((*outcome.findings.lines, *outcome.trouble)) or (
            f"a fill was found after {outcome.lost_fill_found_s:.1f} s"
        )
        print(f"  seed {outcome.seed}: {why}", file=out)
    if report.failed:
        seed = report.failed[0].seed
        again = f"--sockets --kills {report.kills}" if report.drill == "sockets" else f"{report.drill} --seeds 1"
        print(f"the story of one: qmterm drill {again} --first-seed {seed}", file=out)
