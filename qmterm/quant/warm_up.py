"""Compiles, or loads from the on-disk cache, every kernel of this floor, before the first decision waits for one.

The trap: without a cache this takes a minute of CPU; call it on the compute thread, never on the event loop.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from qmterm.core.bars import DailyPanel, FloatArray
from qmterm.core.calendar import SessionCalendar
from qmterm.quant.indicators import realised, series
from qmterm.quant.indicators.bandwidth import bandwidth_percentile
from qmterm.quant.indicators.features import last_features
from qmterm.quant.indicators.intraday import Minutes, intraday_bars
from qmterm.quant.indicators.live import LiveFeatures
from qmterm.quant.indicators.timeframes import weekly_bars
from qmterm.quant.kernel import SMALL
from qmterm.quant.options import american, black_scholes, european, probability
from qmterm.quant.options.dividends import DividendTable

_MONDAY, _TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


def warm_up() -> None:
    """Runs every kernel once, on inputs just large enough to want it compiled."""
    _warm_indicators()
    _warm_options()


def _warm_indicators() -> None:
    bars = np.linspace(10.0, 20.0, 60).reshape(1, 60)
    panel = _panel(bars)
    for listed in (panel, _panel(bars[:, :20].copy())):  # young rows have a kernel of their own
        last_features(listed)
        live = LiveFeatures(listed)
        live.update(*np.full((5, 1), 20.0))
        live.bandwidth_percentile()
    weekly_bars(panel, _two_days())
    empty = np.zeros(0)
    intraday_bars(Minutes.of(("WARM",), empty.astype(int), empty.astype(int), *[empty] * 5), 5, [0], [10**12], 10**12)
    for average in (series.sma, series.ema):
        average(bars, 10)
    series.rsi(bars)
    series.macd(bars)
    series.bollinger(bars)
    series.atr(bars + 0.5, bars - 0.5, bars)
    series.range_position(bars + 0.5, bars - 0.5, bars)
    bandwidth_percentile(bars, over=20)
    many = np.tile(bars, (SMALL + 1, 1))  # more than plain Python would take
    realised.close_to_close(many)
    realised.parkinson(many + 0.5, many - 0.5)
    realised.yang_zhang(many, many + 0.5, many - 0.5, many)


def _panel(bars: FloatArray) -> DailyPanel:
    count = bars.shape[1]
    first = np.datetime64(_TUESDAY) - np.timedelta64(count, "D")
    return DailyPanel(
        symbols=("WARM",),
        last_session=_MONDAY,
        open=bars,
        high=bars + 0.5,
        low=bars - 0.5,
        close=bars,
        volume=bars * 1000.0,
        bars=np.array([count]),
        stale=np.array([0]),
        days=np.arange(first, np.datetime64(_TUESDAY)).reshape(1, count),
    )


def _two_days() -> SessionCalendar:
    """A calendar that costs no library."""
    days = (_MONDAY, _TUESDAY)
    return SessionCalendar(_MONDAY, _TUESDAY, days, (0, 2), (1, 3), {day: n for n, day in enumerate(days)}, (0, 0, 0))


def _warm_options() -> None:
    many = np.full(SMALL + 1, 100.0)
    market = (many, 100.0, 0.1, 0.04, 0.01)
    values = black_scholes.price(*market, 0.3, False)
    black_scholes.greeks(*market, 0.3, False)
    european.solve(values, *market, False)
    cash = DividendTable.shared([(0.05, 0.5)])
    # A boundary, a lattice (yield and cash together), windows between ex-dates, calls that an ex-date can end.
    for dividend_yield, call, dividends in (
        (0.01, False, None),
        (0.01, False, cash),
        (0.0, False, cash),
        (0.0, True, cash),
    ):
        market = (many, 100.0, 0.1, 0.04, dividend_yield)
        american.price(*market, 0.3, call, dividends)
        american.greeks(*market, 0.3, call, dividends)
        american.solve(values + 0.01, *market, call, dividends)
    spots = np.full((many.size, 2), 100.0)  # stress and value at risk: many spots of one option
    american.price_at_spots(spots, many, 0.1, 0.04, 0.0, 0.3, False)
    probability.probability_of_profit(*market, 0.3, True)
    probability.probability_above(many, 110.0, 0.1, 0.0, 0.3)
    probability.touch(many, 110.0, 0.1, 0.0, 0.3)
    probability.first_passage(many, 110.0, 95.0, 0.3, 0.1)


if __name__ == "__main__":
    warm_up()
