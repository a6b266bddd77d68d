"""The ATR Matrix equals the golden rows, keeps the edge rules, and names what fails."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.settings.strategy import AtrMatrixSettings, ScannerSettings
from qmterm.core.signals import SignalState
from qmterm.strategy.atr_matrix import AtrMatrixInputs, evaluate, gate_names, level_price, thresholds, to_signal
from qmterm.strategy.matrix_columns import STATES
from tests import golden

GOLDEN_COLUMNS = {
    "C": "close",
    "EMA10": "ema10",
    "SMA20": "sma20",
    "SMA50": "sma50",
    "SMA100": "sma100",
    "SMA200": "sma200",
    "ATR14": "atr14",
    "HIGH20": "high20",
    "LOW20": "low20",
    "mtf_score": "mtf",
}
CHECKED = {
    "atr_distance": "atr_distance",
    "atr_pct_multiple": "atr_pct_multiple",
    "atr_percent": "atr_percent",
    "price_position_20d": "price_position_20d",
    "ma_pairs_aligned": "ma_pairs_aligned",
    "ma_aligned": "ma_aligned",
    "hard_gates": "hard_gates",
    "strength": "strength",
    "confidence": "confidence",
    "stop": "stop",
    "target1": "target1",
    "target2": "target2",
    "target3": "target3",
    "risk_reward": "risk_reward",
    "horizon_days": "horizon_days",
}
IDEAL = {
    "close": 103.0,
    "ema10": 102.0,
    "sma20": 101.0,
    "sma50": 100.0,
    "sma100": 95.0,
    "sma200": 90.0,
    "atr14": 3.2,
    "high20": 104.0,
    "low20": 96.0,
    "bars": 300,
    "stale": 0,
    "mtf": 0.6,
    "dollar_volume": 5e6,
    "rvol": 1.0,
    "options_listed": 1,
}
INTEGERS = {"bars": np.int64, "stale": np.int64, "options_listed": np.int8}


def golden_inputs():
    columns = {ours: golden.column("atr_matrix", theirs) for theirs, ours in GOLDEN_COLUMNS.items()}
    counts = {name: golden.column("atr_matrix", name).astype(np.int64) for name in ("bars", "stale")}
    return AtrMatrixInputs(**columns, **counts)


def one(**changes):
    """Inputs of a single symbol: the golden 'ideal' setup with changes; a column set to None is not available."""
    row = IDEAL | changes
    return AtrMatrixInputs(
        **{k: None if v is None else np.array([v], dtype=INTEGERS.get(k, np.float64)) for k, v in row.items()}
    )


def look(settings=None, scanner=None, **changes):
    return evaluate(one(**changes), settings or AtrMatrixSettings(), scanner or ScannerSettings())


def state_of(result, row=0):
    return STATES[int(result.state[row])]


@pytest.mark.parametrize(("column", "attribute"), CHECKED.items())
def test_every_golden_column_is_met(column, attribute):
    ours = getattr(evaluate(golden_inputs(), AtrMatrixSettings()), attribute)
    for row, value in zip(golden.rows("atr_matrix"), ours.tolist(), strict=True):
        golden.assert_close("atr_matrix", value, row[column], f"{row['case']} {column}")


def test_every_golden_signal_is_met():
    result = evaluate(golden_inputs(), AtrMatrixSettings())
    for number, row in enumerate(golden.rows("atr_matrix")):
        assert state_of(result, number) == row["signal"], row["case"]


@pytest.mark.parametrize("level", [7, 8, 9, 10])
@pytest.mark.parametrize(("mode", "prefix"), [("abs", "scale_out_price"), ("pct", "scale_out_pct_mode")])
def test_scale_out_prices_are_met_in_both_modes(level, mode, prefix):
    inputs = golden_inputs()
    prices = level_price(inputs.sma50, inputs.atr14, level, mode)
    for row, price in zip(golden.rows("atr_matrix"), prices.tolist(), strict=True):
        golden.assert_close("atr_matrix", price, row[f"{prefix}_{level}"], row["case"])


def test_the_ideal_setup_passes_every_gate():
    result = look()
    assert state_of(result) is SignalState.ENTRY_LONG
    assert gate_names(int(result.failed[0])) == ()
    assert gate_names(int(result.not_checked[0])) == ()


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"bars": 199}, "TOO_FEW_BARS"),
        ({"stale": 2}, "STALE_BARS"),
        ({"close": 113.0, "high20": 114.0}, "OUT_OF_ZONE"),
        ({"sma20": 103.5, "ema10": 104.0}, "BELOW_SMA20"),
        ({"atr14": 2.0}, "LOW_ATR_PCT"),
        ({"dollar_volume": 999_999.0}, "LOW_DOLLAR_VOLUME"),
        ({"dollar_volume": np.nan}, "LOW_DOLLAR_VOLUME"),
        ({"options_listed": 0}, "NO_OPTIONS"),
        ({"sma100": 101.0}, "NOT_ALIGNED"),
        ({"mtf": -1.0, "bars": 200, "stale": 1, "close": 107.0, "high20": 120.0}, "LOW_CONFIDENCE"),
        ({"close": 113.0, "high20": 114.0}, "LOW_RR"),
    ],
)
def test_each_gate_turns_an_ideal_setup_down_by_its_name(changes, gate):
    result = look(**changes)
    assert gate in gate_names(int(result.failed[0]))
    assert state_of(result) is not SignalState.ENTRY_LONG


def test_a_cheap_stock_fails_the_price_gate_only():
    scale = {name: IDEAL[name] * 0.04 for name in IDEAL if isinstance(IDEAL[name], float) and IDEAL[name] > 80}
    result = look(**scale | {"atr14": 3.2 * 0.04, "dollar_volume": 5e6})
    assert gate_names(int(result.failed[0])) == ("LOW_PRICE",)


def test_strength_is_zero_when_a_hard_gate_fails_but_not_for_a_universe_gate():
    assert look(stale=2).strength[0] == 0
    assert look(options_listed=0).strength[0] == 1.0


def test_limits_hold_within_a_billionth_and_no_further():
    edge = {"sma50": 100.0, "atr14": 3.0, "ema10": 108.0, "sma20": 106.0, "high20": 112.5, "low20": 99.0, "mtf": 1.0}
    assert state_of(look(**edge | {"close": 112.0 + 3e-10})) is SignalState.ENTRY_LONG
    beyond = look(**edge | {"close": 112.0 + 6e-9})
    assert "OUT_OF_ZONE" in gate_names(int(beyond.failed[0]))


def test_a_strict_comparison_must_exceed_its_limit_by_more_than_a_billionth():
    flat = {"ema10": 103.0, "sma20": 103.0}
    assert "BELOW_SMA20" in gate_names(int(look(**flat | {"close": 103.0 + 5e-10}).failed[0]))
    assert "BELOW_SMA20" not in gate_names(int(look(**flat | {"close": 103.0 + 5e-9}).failed[0]))


def test_a_flat_range_counts_as_not_satisfied():
    result = look(high20=103.0, low20=103.0)
    assert np.isnan(result.price_position_20d[0])
    assert result.strength[0] == pytest.approx(0.9)


@pytest.mark.parametrize("atr", [0.0, -1.0, np.nan])
def test_without_an_atr_there_are_no_values_and_a_reason(atr):
    result = look(atr14=atr)
    assert state_of(result) is SignalState.NO_DATA
    assert "NO_ATR" in gate_names(int(result.failed[0]))
    for column in (result.atr_distance, result.strength, result.confidence, result.stop, result.risk_reward):
        assert np.isnan(column[0])
    with pytest.raises(ValueError, match="nothing to signal"):
        to_signal(result, 0, "AAPL", 1)


def test_profiles_change_what_the_gates_ask():
    strict = AtrMatrixSettings(profile="strict")
    original = AtrMatrixSettings(profile="original")
    assert thresholds(strict).min_strength == 1.0
    low_position = {"high20": 112.0, "low20": 96.0}  # position under 50 %: strength 0.9
    assert state_of(look(**low_position)) is SignalState.ENTRY_LONG
    assert gate_names(int(look(strict, **low_position).failed[0])) == ("LOW_STRENGTH",)
    loose = {"sma100": 101.0, "atr14": 1.9, "close": 101.5, "high20": 102.0}
    assert state_of(look(original, **loose)) is SignalState.ENTRY_LONG
    assert {"NOT_ALIGNED", "LOW_ATR_PCT"} <= set(gate_names(int(look(**loose).failed[0])))


def test_pct_mode_switches_gates_and_levels():
    pct = AtrMatrixSettings(distance_mode="pct")
    edge = {"close": 111.0, "atr14": 3.0, "ema10": 108.0, "sma20": 106.0, "high20": 111.5, "low20": 99.0, "mtf": 1.0}
    assert "OUT_OF_ZONE" not in gate_names(int(look(**edge).failed[0]))  # d = 3.67
    result = look(pct, **edge)  # multiple = 4.07
    assert "OUT_OF_ZONE" in gate_names(int(result.failed[0]))
    target = result.target1[0]
    assert (target - 100.0) * target / (100.0 * 3.0) == pytest.approx(7.0, abs=1e-12)


def test_options_that_are_not_known_are_not_checked_and_do_not_block():
    for listed in (None, -1):
        result = look(options_listed=listed)
        assert gate_names(int(result.not_checked[0])) == ("NO_OPTIONS",)
        assert state_of(result) is SignalState.ENTRY_LONG


def test_relative_volume_is_a_gate_only_when_asked_for():
    asked = AtrMatrixSettings(min_rvol=1.0)
    assert state_of(look(rvol=0.5)) is SignalState.ENTRY_LONG
    assert gate_names(int(look(asked, rvol=0.5).failed[0])) == ("LOW_RVOL",)
    assert gate_names(int(look(asked, rvol=None).not_checked[0])) == ("LOW_RVOL",)


def test_an_unusable_timeframe_score_counts_as_zero():
    assert look(mtf=np.nan).confidence[0] == look(mtf=0.0).confidence[0] == look(mtf=None).confidence[0]


def test_weak_timeframes_are_a_warning_not_a_gate():
    for score, weak in ((0.25, False), (0.24, True), (np.nan, False), (None, False)):
        result = look(mtf=score)
        assert result.weak_mtf.tolist() == [weak]
        assert state_of(result) is SignalState.ENTRY_LONG


def mirrored(price):
    return 200.0 - price


SHORT = {
    "close": mirrored(103.0),
    "ema10": mirrored(102.0),
    "sma20": mirrored(101.0),
    "sma100": mirrored(95.0),
    "sma200": mirrored(90.0),
    "high20": mirrored(96.0),
    "low20": mirrored(104.0),
    "mtf": -0.6,
}


def test_the_short_side_is_off_by_default_and_mirrors_about_the_mean_when_on():
    assert state_of(look(**SHORT)) is SignalState.EXIT
    result = look(AtrMatrixSettings(allow_short=True), **SHORT)
    assert state_of(result) is SignalState.ENTRY_SHORT
    assert result.stop[0] == pytest.approx(97.0 + 1.5 * 3.2)
    assert (result.target1[0], result.target2[0]) == pytest.approx((100 - 7 * 3.2, 100 - 10 * 3.2))
    assert result.risk_reward[0] == pytest.approx((97.0 - 77.6) / 4.8)
    wide = look(AtrMatrixSettings(allow_short=True), **SHORT | {"atr14": 8.0})
    assert wide.stop[0] == pytest.approx(97.0 * 1.10)


def test_shorts_leave_long_rows_as_they_are():
    on, off = look(AtrMatrixSettings(allow_short=True)), look()
    assert state_of(on) is SignalState.ENTRY_LONG
    assert on.target1[0] == off.target1[0]


def test_a_signal_carries_the_row():
    signal = to_signal(look(), 0, "AAPL", 77, hv20=0.4)
    assert (signal.symbol, signal.strategy, signal.state, signal.time_ns) == (
        "AAPL",
        "atr_matrix",
        SignalState.ENTRY_LONG,
        77,
    )
    assert signal.stop == pytest.approx(98.2)
    assert signal.targets == pytest.approx((122.4, 132.0, 138.4))
    assert signal.horizon_days == 18
    assert isinstance(signal.close, float)
    assert isinstance(signal.horizon_days, int)


PRICE = st.floats(min_value=1.0, max_value=1000.0)


@given(close=PRICE, sma20=PRICE, sma50=PRICE, atr=st.floats(min_value=0.01, max_value=100.0), mtf=st.floats(-1, 1))
def test_scores_stay_in_their_range_and_entries_really_pass(close, sma20, sma50, atr, mtf):
    result = look(close=close, sma20=sma20, sma50=sma50, atr14=atr, mtf=mtf)
    assert 0 <= result.strength[0] <= 1 + 1e-12
    assert 0 <= result.confidence[0] <= 1 + 1e-12
    assert result.stop[0] >= 0.9 * close - 1e-9
    if state_of(result) is SignalState.ENTRY_LONG:
        assert -1e-9 <= result.atr_distance[0] <= 4 + 1e-9
        assert result.risk_reward[0] >= 2 - 1e-9
