"""Scenario P/L, probabilities and the liquidity score equal the golden rows of option_choice.csv."""

import json

import numpy as np
import pytest

from qmterm.quant.options import black_scholes
from qmterm.quant.options.probability import first_passage
from qmterm.strategy.liquidity import liquidity_score, spread_pct
from qmterm.strategy.scenario import ScenarioInputs, scenarios
from tests import golden

ROWS = golden.rows("option_choice")
COLUMNS = {
    "pnl_target": "pnl_target",
    "pnl_stop": "pnl_stop",
    "pnl_time": "pnl_time",
    "risk_reward": "risk_reward",
    "p_target": "p_target",
    "p_stop": "p_stop",
    "p_neither": "p_neither",
    "expected_pnl": "expected_pnl",
    "max_loss": "max_loss",
    "breakeven": "breakeven",
    "pop_expiry": "pop",
}


def array(value):
    return np.array([float(value)])


def worth(given, **changes):
    given = given | changes
    horizon = given["H"] / 365
    vol = array(given["hv"])
    p_target, p_stop, _ = first_passage(given["S"], given["target"], given["stop"], vol, horizon, given["mu"])
    inputs = ScenarioInputs(
        spot=given["S"],
        strike=array(given["K"]),
        years=array(given["T"]),
        rate=array(given["r"]),
        dividend_yield=array(0),
        iv=array(given["iv"]),
        is_call=np.array([given.get("call", True)]),
        bid=array(given["bid"]),
        ask=array(given["ask"]),
        target=given["target"],
        stop=given["stop"],
        horizon=horizon,
        p_target=p_target,
        p_stop=p_stop,
        european=True,  # as the golden rows were made
    )
    return scenarios(inputs, slip_frac=0.5, fee_per_contract=1.15, hit_time_frac=0.5, mu=given["mu"])


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
@pytest.mark.parametrize(("column", "attribute"), COLUMNS.items())
def test_every_golden_scenario_column_is_met(row, column, attribute):
    ours = getattr(worth(json.loads(row["inputs"])), attribute)[0]
    golden.assert_close("option_choice", ours, row[column], column)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_liquidity_spread_and_decay_of_the_golden_rows_are_met(row):
    g = json.loads(row["inputs"])
    score = liquidity_score(g["bid"], g["ask"], g["bsz"], g["asz"], g["oi"], g["vol"])
    golden.assert_close("option_choice", float(score), row["liquidity_score"], "liquidity")
    golden.assert_close("option_choice", float(spread_pct(g["bid"], g["ask"])), row["spread_pct"], "spread")
    greeks = black_scholes.greeks(g["S"], g["K"], g["T"], g["r"], 0.0, g["iv"], True)
    burden = -float(greeks.theta) / ((g["bid"] + g["ask"]) / 2)
    golden.assert_close("option_choice", burden, row["theta_burden"], "theta burden")
    golden.assert_close("option_choice", float(greeks.delta), row["delta"], "delta")


def test_no_time_after_the_horizon_gives_no_profit_figures():
    given = json.loads(ROWS[0]["inputs"])
    result = worth(given, T=given["H"] / 365)
    assert np.isnan(result.pnl_target[0])
    assert np.isnan(result.risk_reward[0])
    assert result.max_loss[0] > 0


def test_a_stop_that_loses_nothing_has_no_reward_to_risk():
    given = json.loads(ROWS[0]["inputs"])
    assert np.isnan(worth(given, stop=given["S"] - 0.01, bid=0.01, ask=0.02).risk_reward[0])


def test_a_put_gains_when_the_target_lies_below():
    given = json.loads(ROWS[0]["inputs"])
    result = worth(given, call=False, target=85.0, stop=107.8)
    assert result.pnl_target[0] > 0 > result.pnl_stop[0]
    assert result.breakeven[0] == pytest.approx(given["K"] - result.entry[0])
    assert 0 < result.p_target[0] < result.p_stop[0] < 1


def test_the_score_is_zero_without_a_market_and_full_for_the_best():
    assert float(liquidity_score(0.0, 1.0, 10, 10, 9999, 9999)) == 0
    assert float(liquidity_score(1.0, 1.0, 10, 10, 9999, 9999)) == 0
    assert float(liquidity_score(100.0, 100.0 + 1e-9, 50, 60, 5000, 1000)) == pytest.approx(100.0)
    assert float(liquidity_score(1.0, 1.02, 10, 10, -1, -1)) == float(liquidity_score(1.0, 1.02, 10, 10, 0, 0))
