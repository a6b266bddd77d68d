"""The world has what the scanner looks for: entries with tradeable options, scale-outs, names in decline."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pytest

from qmterm.core.bars import DailyPanel
from qmterm.core.clock import NS
from qmterm.core.settings.strategy import AtrMatrixSettings, ScannerSettings
from qmterm.core.signals import SignalState
from qmterm.quant.indicators.features import Features, last_features
from qmterm.sim.options import SimOptions
from qmterm.sim.world import World
from qmterm.strategy.atr_matrix import AtrMatrixInputs, evaluate
from qmterm.strategy.matrix_columns import STATES


def panel(world: World) -> DailyPanel:
    rows, count = world.history.rows, len(world.universe)
    prices = {
        name: np.ascontiguousarray(np.stack([getattr(bars, name) for bars in rows]).T / 100.0)
        for name in ("open", "high", "low", "close")
    }
    days = np.tile(np.array([bars.day for bars in rows], dtype="datetime64[D]"), (count, 1))
    return DailyPanel(
        symbols=world.universe.tickers,
        last_session=rows[-1].day,
        volume=np.ascontiguousarray(np.stack([bars.volume for bars in rows]).T.astype(float)),
        bars=np.full(count, len(rows)),
        stale=np.zeros(count, dtype=np.int64),
        days=days,
        **prices,
    )


def states(world: World, features: Features) -> list[SignalState]:
    inputs = AtrMatrixInputs(
        close=world.today.last / 100.0,
        ema10=features.ema10,
        sma20=features.sma20,
        sma50=features.sma50,
        sma100=features.sma100,
        sma200=features.sma200,
        atr14=features.atr14,
        high20=features.high20,
        low20=features.low20,
        bars=features.bars,
        stale=features.stale,
        dollar_volume=features.dollar_volume20,
        options_listed=world.universe.optionable.astype(np.int8),
    )
    result = evaluate(inputs, AtrMatrixSettings(), ScannerSettings())
    return [STATES[int(code)] for code in result.state]


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_500_names_have_entries_and_new_signals_come_during_the_morning(seed):
    world = World(SimOptions(seed=seed, symbols=500))
    features = last_features(panel(world))
    now = states(world, features)
    counts = Counter(now)
    assert 4 <= counts[SignalState.ENTRY_LONG] <= 40
    assert counts[SignalState.EXIT] >= 50
    ever = {i for i, state in enumerate(now) if state is SignalState.ENTRY_LONG}
    fresh: Counter[SignalState] = Counter()
    for _ in range(12):
        world.advance_to(world.now_ns + 600 * NS)
        then, now = now, states(world, features)
        changed = [state for before, state in zip(then, now, strict=True) if before is not state]
        fresh.update(changed)
        ever |= {i for i, state in enumerate(now) if state is SignalState.ENTRY_LONG}
    assert fresh[SignalState.ENTRY_LONG] + fresh[SignalState.SCALE_OUT] >= 3
    assert len(ever) >= 5


def test_names_differ_in_volatility_as_real_ones_do():
    world = World(SimOptions(seed=7, symbols=500))
    ranges = last_features(panel(world)).atr_pct
    low, middle, high = np.percentile(ranges, [5, 50, 95])
    assert 1.0 < low < 2.5
    assert 2.0 < middle < 5.0
    assert 5.0 < high < 12.0


def test_implied_volatility_stays_near_what_was_realised():
    world = World(SimOptions(seed=7, symbols=500))
    ratio = world.surface.short / last_features(panel(world)).hv20
    assert 0.8 < np.median(ratio) < 1.3
    assert (ratio[world.universe.optionable] <= 1.5).mean() > 0.9


def test_names_of_one_sector_move_together_and_with_the_market():
    world = World(SimOptions(seed=7, symbols=500))
    returns = np.diff(np.log(world.history.closes(250)), axis=0)
    correlation = np.corrcoef(returns.T)
    sector = world.universe.sector
    stocks = np.flatnonzero(sector < 11)
    same = sector[stocks][:, None] == sector[stocks][None, :]
    off = ~np.eye(len(stocks), dtype=bool)
    block = correlation[np.ix_(stocks, stocks)]
    assert block[same & off].mean() > block[~same].mean() > 0.05


def test_declared_dividends_and_earnings_lie_on_sessions():
    world = World(SimOptions(seed=7, symbols=100))
    assert all(world.calendar.is_session(dividend.ex_date) for dividend in world.corporate.dividends)
    reports = world.corporate.earnings_of(3, date(2026, 3, 2))
    assert [report.actual_eps is None for report in reports] == [report.day >= date(2026, 3, 2) for report in reports]
    assert world.corporate.next_earnings(0, date(2026, 3, 2)) is None  # a fund
