"""The scan sorts, counts, uses live prices with frozen indicators, and finds changes into signals."""

import time
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from qmterm.core.bars import DailyPanel
from qmterm.core.calendar import SessionCalendar
from qmterm.core.errors import BadInput
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import AtrMatrixSettings, ScannerSettings
from qmterm.core.signals import SignalState
from qmterm.quant.indicators.features import last_features
from qmterm.strategy.matrix_columns import STATE_CODE
from qmterm.strategy.scanner import daily_mtf, scan
from qmterm.strategy.signals_log import changes

CALENDAR = SessionCalendar.load(date(2024, 1, 1), date(2026, 12, 31))
LAST = date(2026, 2, 27)


def panel_of(count, bars=260, seed=11):
    rng = np.random.default_rng(seed)
    drift = rng.uniform(-0.002, 0.004, (count, 1))
    close = 50 * np.exp(np.cumsum(drift + rng.normal(0, 0.02, (count, bars)), axis=1))
    days = np.array(CALENDAR.last_n(LAST, bars), dtype="datetime64[D]")
    return DailyPanel(
        symbols=tuple(f"S{i:05d}" for i in range(count)),
        last_session=LAST,
        open=close,
        high=close * 1.015,
        low=close * 0.985,
        close=close,
        volume=np.full((count, bars), 1e6),
        bars=np.full(count, bars, dtype=np.int64),
        stale=np.zeros(count, dtype=np.int64),
        days=np.broadcast_to(days, (count, bars)),
    )


PANEL = panel_of(400)
FEATURES = last_features(PANEL)


def look(panel=PANEL, features=FEATURES, last_price=None, scanner=None, **more):
    return scan(panel, features, last_price, matrix=AtrMatrixSettings(), scanner=scanner or ScannerSettings(), **more)


def test_rows_are_sorted_by_confidence_and_unknown_ones_come_last():
    short = panel_of(20, bars=30)
    both = DailyPanel(
        symbols=PANEL.symbols + tuple(f"T{i}" for i in range(20)),
        last_session=LAST,
        bars=np.concatenate([PANEL.bars, short.bars]),
        stale=np.zeros(420, dtype=np.int64),
        days=PANEL.days,
        **{
            name: np.vstack([getattr(PANEL, name), np.hstack([np.full((20, 230), np.nan), getattr(short, name)])])
            for name in ("open", "high", "low", "close", "volume")
        },
    )
    result = look(both, last_features(both))
    shown = result.matrix.confidence[result.order]
    assert np.isnan(shown[-20:]).all()
    assert (np.diff(shown[:-20]) <= 0).all()
    assert result.states[SignalState.NO_DATA] == 20
    assert sorted(result.order.tolist()) == list(range(420))


def test_rows_sort_by_distance_when_asked():
    result = look(scanner=ScannerSettings(sort="atr_distance"))
    assert (np.diff(result.matrix.atr_distance[result.order]) >= 0).all()


@pytest.mark.parametrize("key", ["confidence", "atr_distance"])
def test_equal_rows_stay_in_the_panels_order(key):
    picks = np.random.default_rng(5).integers(0, 8, 400)  # each row is one of eight, many times over
    features = replace(FEATURES, **{f: getattr(FEATURES, f)[picks] for f in FEATURES.__slots__[3:]})
    features = replace(features, bars=np.where(np.arange(400) % 9, 260, 10))
    result = look(PANEL, features, scanner=ScannerSettings(sort=key))
    shown = -result.matrix.confidence if key == "confidence" else result.matrix.atr_distance
    assert result.order.tolist() == np.argsort(shown, kind="stable").tolist()
    assert result.order.dtype == np.int64


def test_an_empty_market_scans_to_nothing():
    nobody = panel_of(0)
    assert look(nobody, last_features(nobody)).order.tolist() == []


def test_entries_are_the_rows_without_a_failed_gate():
    result = look(mtf=daily_mtf(PANEL, FEATURES, CALENDAR))
    assert 0 < len(result.entries) < 400
    assert set(result.entries.tolist()) == set(np.flatnonzero(result.matrix.failed == 0).tolist())
    assert sum(result.states.values()) == 400
    assert result.states[SignalState.ENTRY_LONG] == len(result.entries)
    assert result.failed[Reason.NOT_ALIGNED] == np.count_nonzero(~result.matrix.ma_aligned)
    assert result.not_checked == {Reason.NO_OPTIONS: 400}


def test_a_live_price_moves_the_distance_while_indicators_stay_frozen():
    live = FEATURES.close * 1.02
    live[3] = np.nan
    result = look(last_price=live)
    assert result.matrix.close[3] == FEATURES.close[3]
    assert result.live.tolist() == [row != 3 for row in range(400)]
    expected = (live[7] - FEATURES.sma50[7]) / FEATURES.atr14[7]
    assert result.matrix.atr_distance[7] == pytest.approx(expected, rel=1e-12)
    assert result.matrix.sma50[7] == FEATURES.sma50[7]


def test_a_signal_knows_its_volatility_or_none():
    result = look()
    assert result.signal(5, 1).hv20 == pytest.approx(FEATURES.hv20[5])
    flat = panel_of(1)
    features = last_features(
        DailyPanel(
            **{f: getattr(flat, f) for f in DailyPanel.__slots__ if f not in ("close", "open")},
            open=np.full((1, 260), 50.0),
            close=np.full((1, 260), 50.0),
        )
    )
    assert look(flat, features).signal(0, 1).hv20 is None


def test_columns_of_another_length_are_refused():
    with pytest.raises(BadInput, match="last_price has 3 entries for a panel of 400"):
        look(last_price=np.ones(3))


def test_the_whole_market_scans_in_milliseconds():
    panel = panel_of(32_345, bars=60)
    features = last_features(panel)
    prices = features.close * 1.001
    best = min(_timed(panel, features, prices) for _ in range(5))
    assert best < 0.06  # 7 ms on an idle core; the rest is room for a busy machine


def _timed(panel, features, prices):
    start = time.perf_counter()
    look(panel, features, prices)
    return time.perf_counter() - start


def codes(*states):
    return np.array([STATE_CODE[state] for state in states], dtype=np.int8)


def test_only_changes_into_a_signal_count():
    hold, entry, out = SignalState.HOLD, SignalState.ENTRY_LONG, SignalState.SCALE_OUT
    before = codes(hold, entry, entry, out, hold)
    after = codes(entry, entry, out, hold, hold)
    found = changes(before, after)
    assert [(change.row, change.before, change.state) for change in found] == [(0, hold, entry), (2, entry, out)]


def test_the_first_scan_has_nothing_before_it():
    found = changes(None, codes(SignalState.ENTRY_LONG, SignalState.HOLD, SignalState.SCALE_OUT))
    assert [(change.row, change.before) for change in found] == [(0, None), (2, None)]


def test_scans_of_different_universes_cannot_be_compared():
    with pytest.raises(BadInput, match="scans of 1 and 2 symbols"):
        changes(codes(SignalState.HOLD), codes(SignalState.HOLD, SignalState.HOLD))
