"""The machine a benchmark ran on: figures without it mean nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "numba", "scipy", "pandas", "py_vollib", "vollib", "QuantLib", "TA-Lib")


@dataclass(frozen=True, slots=True)
class Machine:
    cpu: str
    cores: int
    load: float | None  # of the last minute, before the run; well above 0 means the figures are too low
    system: str
    python: str
    versions: Mapping[str, str]

    @classmethod
    def here(cls) -> Machine:
        return cls(
            cpu=_cpu(),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            versions={name: found for name in PACKAGES if (found := _version(name))},
        )

    def sentence(self) -> str:
        packages = ", ".join(f"{name} {found}" for name, found in self.versions.items())
        load = "" if self.load is None else f", load {self.load:.2f}"
        return f"{self.cpu}, {self.cores} cores{load}, {self.system}, Python {self.python}; {packages}"

    def document(self) -> dict[str, Any]:
        return {
            "cpu": self.cpu,
            "cores": self.cores,
            "load": self.load,
            "system": self.system,
            "python": self.python,
            "versions": dict(self.versions),
        }


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
