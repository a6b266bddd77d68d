"""Random-walk panels with ragged histories for tests."""

from datetime import date

import numpy as np

from qmterm.core.bars import DailyPanel
from qmterm.core.calendar import SessionCalendar

CALENDAR = SessionCalendar.load(date(2024, 1, 1), date(2027, 12, 31))


def random_panel(symbols=120, bars=260, last=date(2026, 3, 4), seed=0, ragged=True) -> DailyPanel:
    """Right-aligned random walks; with `ragged`, a third of the rows begin later, some with a single bar or none."""
    generator = np.random.default_rng(seed)
    shape = (symbols, bars)
    close = 50 * np.exp(np.cumsum(generator.normal(0, 0.02, shape), axis=1))
    open_ = close * np.exp(generator.normal(0, 0.01, shape))
    high = np.maximum(open_, close) * (1 + generator.random(shape) * 0.02)
    low = np.minimum(open_, close) * (1 - generator.random(shape) * 0.02)
    volume = generator.integers(1, 1_000_000, shape).astype(float)
    days = np.tile(np.array(CALENDAR.last_n(last, bars), dtype="datetime64[D]"), (symbols, 1))
    held = np.full(symbols, bars)
    if ragged:
        held[: symbols // 3] = generator.integers(0, bars + 1, symbols // 3)
        held[: min(3, symbols)] = (0, 1, 2)[:symbols]
    for row, count in enumerate(held):
        for block in (open_, high, low, close, volume):
            block[row, : bars - count] = np.nan
        days[row, : bars - count] = np.datetime64("NaT")
    names = tuple(f"S{number:03d}" for number in range(symbols))
    return DailyPanel(names, last, open_, high, low, close, volume, held, np.zeros(symbols, dtype=np.int64), days)
