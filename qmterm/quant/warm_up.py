"""Compiles, or loads from the on-disk cache, the kernels the engine needs, before the first decision waits for one.

The trap: without a cache this takes several seconds of CPU; call it on the compute thread, never on the event loop.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from qmterm.core.bars import DailyPanel
from qmterm.quant import black_scholes, implied_vol, indicators, probability, volatility
from qmterm.quant.features import last_features
from qmterm.quant.kernel import PARALLEL_FROM


def warm_up(parallel: bool = True) -> None:
    """Runs every kernel once on tiny (and, with `parallel`, on just large enough) inputs."""
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
    for average in (indicators.sma, indicators.ema):
        average(bars, 10)
    indicators.rsi(bars)
    indicators.macd(bars)
    indicators.bollinger(bars)
    indicators.atr(bars + 0.5, bars - 0.5, bars)
    indicators.range_position(bars + 0.5, bars - 0.5, bars)
    volatility.close_to_close(bars)
    probability.first_passage(100.0, 110.0, 95.0, 0.3, 0.1)
    probability.pop(100.0, 105.0, 0.1, 0.04, 0.0, 0.3, True)
    for size in (1, PARALLEL_FROM) if parallel else (1,):
        values = black_scholes.price(np.full(size, 100.0), 100.0, 0.1, 0.04, 0.0, 0.3, True)
        implied_vol.implied_vol(values, 100.0, 100.0, 0.1, 0.04, 0.0, True)
        black_scholes.greeks(np.full(size, 100.0), 100.0, 0.1, 0.04, 0.0, 0.3, True)
