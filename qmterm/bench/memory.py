"""Memory of this process, in MB of 10^6 bytes; None where the system does not say."""

from __future__ import annotations


def resident_mb() -> float | None:
    return _field("VmRSS")


def peak_mb() -> float | None:
    """The most it ever was."""
    return _field("VmHWM")


def _field(name: str) -> float | None:
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(name):
                    return int(line.split()[1]) * 1024 / 1e6
    except FileNotFoundError:
        return None
    return None
