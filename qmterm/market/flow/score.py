"""How unusual a contract's day is (QUANT.md 3.8): ratio to open interest, opening trades, the filter and the score.

The trap: an unknown term (no open interest, no twenty days of volume) is absent, not zero evidence: it is named, so
that a low score is not read as a quiet contract.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

VOLUME_FLOOR = 100  # contracts
PREMIUM_FLOOR = 100_000.0  # dollars
RATIO_FLOOR = 1.5
INTEREST_FLOOR = 100
MEAN_FACTOR = 5.0
PREMIUM_BASE = 25_000.0


@dataclass(frozen=True, slots=True)
class Score:
    """0 to 100; `missing` names the terms that could not be known and therefore added nothing."""

    value: float
    missing: tuple[str, ...]


def vol_oi(volume: int, open_interest: int | None) -> float | None:
    """Volume over last night's open interest; None when that is nothing or not known."""
    return volume / open_interest if open_interest else None


def opening(size: int, volume: int, open_interest: int | None) -> str:
    """'certain' when the trade is larger than what was open, 'likely' when the day is, else ''."""
    if open_interest is None:
        return ""
    if size > open_interest:
        return "certain"
    return "likely" if volume > open_interest else ""


def is_unusual(volume: int, premium: float, open_interest: int | None, mean20: float | None) -> bool:
    """Whether the contract belongs on the list at all."""
    if volume < VOLUME_FLOOR or premium < PREMIUM_FLOOR:
        return False
    ratio = vol_oi(volume, open_interest)
    against_interest = ratio is not None and ratio >= RATIO_FLOOR and (open_interest or 0) >= INTEREST_FLOOR
    against_mean = mean20 is not None and mean20 > 0 and volume >= MEAN_FACTOR * mean20
    return against_interest or against_mean


def score(
    volume: int,
    open_interest: int | None,
    premium: float,
    bought: float,
    sold: float,
    mean20: float | None,
    *,
    sweep: bool,
) -> Score:
    """Premium, `bought` and `sold` in dollars."""
    missing = []
    total = 25.0 * _clip(math.log10(premium / PREMIUM_BASE) / 2.0 if premium > 0 else 0.0) + (20.0 if sweep else 0.0)
    ratio = vol_oi(volume, open_interest)
    if ratio is None:
        missing.append("open interest")
    else:
        total += 25.0 * _clip(ratio / 3.0)
    if bought + sold > 0:
        total += 15.0 * abs(bought - sold) / (bought + sold)
    else:
        missing.append("side")
    if mean20 is None or mean20 <= 0:
        missing.append("20-day volume")
    else:
        total += 15.0 * _clip((volume / mean20 - 1.0) / 4.0)
    return Score(total, tuple(missing))


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))
