"""tastytrade's market metrics of an underlying: IV rank and percentile, historical volatility, the next earnings.

The trap: volatilities of options and ranks are fractions as text, historical volatilities are percent, and the SDK's
own model refuses a whole list for one entry without a market cap. So each entry is read by itself, and what cannot be
read is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

SOURCE = "tastytrade"


@dataclass(frozen=True, slots=True)
class MarketMetrics:
    """Everything as a decimal (0.27 is 27 %), None where the broker does not say."""

    symbol: str
    iv: float | None  # of the volatility index of the underlying
    iv_rank: float | None
    iv_percentile: float | None
    hv30: float | None
    earnings: date | None
    earnings_estimated: bool  # True: not confirmed by the company
    earnings_time: str  # BTO, AMC, '' unknown
    market_cap: float | None
    beta: float | None
    liquidity_rating: int | None
    borrow_rate: float | None
    source: str = SOURCE


def metrics_of(entry: Mapping[str, Any]) -> MarketMetrics | None:
    """One entry of the list; None without a symbol."""
    symbol = entry.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        return None
    report = entry.get("earnings")
    earnings = report if isinstance(report, Mapping) else {}
    hv30 = _number(entry.get("historical-volatility-30-day"))
    rating = _number(entry.get("liquidity-rating"))
    return MarketMetrics(
        symbol=symbol,
        iv=_number(entry.get("implied-volatility-index")),
        iv_rank=_share(entry.get("implied-volatility-index-rank")),
        iv_percentile=_share(entry.get("implied-volatility-percentile")),
        hv30=None if hv30 is None else hv30 / 100.0,
        earnings=_date(earnings.get("expected-report-date")),
        earnings_estimated=earnings.get("estimated") is not False,
        earnings_time=str(earnings.get("time-of-day") or ""),
        market_cap=_number(entry.get("market-cap")) or None,  # funds say 0
        beta=_number(entry.get("beta")),
        liquidity_rating=None if rating is None else int(rating),
        borrow_rate=_number(entry.get("borrow-rate")),
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _share(value: object) -> float | None:
    """A fraction of one; a rank outside it (the index left its year's range today) is at the end of it."""
    number = _number(value)
    return None if number is None else min(max(number, 0.0), 1.0)


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10]) if value else None
    except ValueError:
        return None
