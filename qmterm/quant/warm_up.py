"""Compiles, or loads from the on-disk cache, the kernels the engine needs, before the first decision waits for one.

The trap: without a cache this takes several seconds of CPU; call it on the compute thread, never on the event loop.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from qmterm.core.bars import DailyPanel
from qmterm.quant.indicators import realised, series
from qmterm.quant.indicators.features import last_features
from qmterm.quant.kernel import SMALL
from qmterm.quant.options import black_scholes, implied_vol, probability


def warm_up() -> None:
    """Runs every kernel once, on inputs just large enough to want it compiled."""
    bars = np.linspace(10.0, 20.0, 60).reshape(1, 60)
    panel = DailyPanel(
        symbols=("WARM",),
        last_session=date(2026, 3, 2),
        open=bars,
        high=bars + 0.5,
        low=bars - 0.5,
        close=bars,
        volume=bars * 1000.0,
        bars=np.array([60]),
        stale=np.array([0]),
        days=np.arange(np.datetime64("2026-01-01"), np.datetime64("2026-03-02")).reshape(1, 60),
    )
    last_features(panel)
    for average in (series.sma, series.ema):
        average(bars, 10)
    series.rsi(bars)
    series.macd(bars)
    series.bollinger(bars)
    series.atr(bars + 0.5, bars - 0.5, bars)
    series.range_position(bars + 0.5, bars - 0.5, bars)
    realised.close_to_close(bars)
    # One element more than plain Python would take.
    many = np.full(SMALL + 1, 100.0)
    values = black_scholes.price(many, 100.0, 0.1, 0.04, 0.0, 0.3, True)
    implied_vol.implied_vol(values, 100.0, 100.0, 0.1, 0.04, 0.0, True)
    black_scholes.greeks(many, 100.0, 0.1, 0.04, 0.0, 0.3, True)
    probability.first_passage(many, 110.0, 95.0, 0.3, 0.1)
    probability.pop(many, 105.0, 0.1, 0.04, 0.0, 0.3, True)


if __name__ == "__main__":
    warm_up()
