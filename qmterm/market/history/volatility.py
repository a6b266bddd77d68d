"""IV30 kept each session at 15:45 New York, so that after a while today's can be ranked (QUANT.md 3.6).

The traps: there is no history of implied volatility to buy on most plans, so it has to be collected, and a rank over
few days is none: until 60 observations only n/252 is said. A half day ends earlier, and so does its 15:45.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.chain import Chain
from qmterm.core.clock import NS, et_date
from qmterm.quant.surface.chain_surface import chain_surface
from qmterm.quant.surface.iv_history import TRADING_DAYS, iv_percentile, iv_rank, observations
from qmterm.tape.iv_history import VolatilityRow, iv30_series, write_chain, write_volatility

BEFORE_CLOSE_S = 900  # 15:45 on a full day
THIRTY_DAYS = 30


@dataclass(frozen=True, slots=True)
class Standing:
    """Today's IV30 against its own last 252 sessions; rank and percentile None below 60 observations."""

    iv30: float | None
    rank: float | None
    percentile: float | None
    observations: int

    @property
    def words(self) -> str:
        """What is shown: the rank, or how far the collection is."""
        return f"{self.observations}/{TRADING_DAYS}" if self.rank is None else f"{self.rank:.0f}"


class VolatilityHistory:
    def __init__(self, directory: Path, calendar: SessionCalendar) -> None:
        self._directory = directory
        self._calendar = calendar
        self._series: dict[str, FloatArray] = {}
        self._read_for: date | None = None

    def due(self, now_ns: int) -> bool:
        """Between 15:45 (a quarter of an hour before an early close) and the close."""
        day = et_date(now_ns)
        if not self._calendar.is_session(day):
            return False
        close = self._calendar.close_ns(day)
        return close - BEFORE_CLOSE_S * NS <= now_ns < close

    def keep(self, chain: Chain) -> VolatilityRow | None:
        """Write the chain and its volatilities; None when it has no 30-day volatility, then only the chain is kept."""
        day = et_date(chain.time_ns)
        columns = {
            field.name: getattr(chain, field.name)
            for field in fields(chain)
            if isinstance(getattr(chain, field.name), np.ndarray)
        }
        write_chain(self._directory, day, chain.underlying, {"occ": list(chain.occ), **columns})
        row = measured(chain)
        if row is not None:
            write_volatility(self._directory, day, [row])
        return row

    def standing(self, symbol: str, iv30: float | None) -> Standing:
        """Where `iv30` lies among the sessions before the loaded day."""
        past = self._series.get(symbol, np.zeros(0))
        count = observations(past)
        if iv30 is None:
            return Standing(None, None, None, count)
        return Standing(iv30, iv_rank(iv30, past), iv_percentile(iv30, past), count)

    def load(self, day: date) -> None:
        """Read the 252 sessions before a day, once; takes a moment, so not on the engine's loop."""
        if self._read_for != day:
            before = self._calendar.previous(day)
            self._series = iv30_series(self._directory, self._calendar.last_n(before, TRADING_DAYS))
            self._read_for = day


def measured(chain: Chain) -> VolatilityRow | None:
    """IV30, at-the-money volatilities and skew of a chain; None without a 30-day volatility."""
    chain = chain.take(np.flatnonzero(~chain.adjusted & (chain.years > 0)))
    if not len(chain) or not chain.spot > 0:
        return None
    surface = chain_surface(
        chain.spot,
        chain.years,
        chain.dte,
        chain.strike,
        chain.is_call,
        chain.rate,
        chain.bid,
        chain.ask,
        chain.iv,
        chain.delta,
    )
    found = surface.term.iv30
    if found is None:
        return None
    days = surface.ladder.by_expiry(surface.ladder.column("dte", chain.dte))
    known = np.flatnonzero(np.isfinite(surface.atm.vol))
    nearest = known[np.argmin(np.abs(days[known] - THIRTY_DAYS))]
    return VolatilityRow(
        chain.underlying,
        found.value,
        float(surface.skew.rr25[nearest]),
        tuple(int(value) for value in days[known].tolist()),
        tuple(float(value) for value in surface.atm.vol[known].tolist()),
        chain.time_ns,
    )
