"""No golden row is left out: every file has a test that runs its rows, every kind of row is named by one."""

from pathlib import Path

import pytest

from tests import golden

TESTS = Path(__file__).parent

# file -> {test module: the kinds of rows it runs through the production function; () = all of the file's}
READ_BY = {
    "american": {"quant/options/test_american.py": ()},
    "american_dividends": {"quant/options/test_escrowed.py": ()},
    "atr_matrix": {"strategy/test_atr_matrix.py": ()},
    "bsm_greeks": {"quant/options/test_black_scholes.py": ()},
    "calendar": {"core/test_calendar.py": ("time_to_expiry", "monthly_expiry", "session")},
    "flow": {"market/flow/test_prints.py": ()},
    "implied_vol": {"quant/options/test_implied_vol.py": ()},
    "indicators": {"quant/indicators/test_series.py": ()},
    "margin": {"quant/book/test_margin.py": ()},
    "mtf": {"quant/indicators/test_timeframes.py": ()},
    "multi_leg": {"quant/book/test_payoff.py": ()},
    "occ": {"core/test_instruments.py": ()},
    "option_choice": {"strategy/test_scenario.py": ()},
    "rates": {"quant/options/test_rates.py": ()},
    "risk": {
        "quant/book/test_exposure.py": ("beta_weighted_delta_spy_shares",),
        "quant/book/test_stress.py": ("stress_pnl",),
        "quant/book/test_value_at_risk.py": (
            "var_hist",
            "es_hist",
            "var_delta_normal",
            "es_delta_normal",
            "var_delta_gamma_cf",
        ),
    },
    "sizing": {"risk/test_sizing.py": ()},
    "stops": {"risk/test_stops.py": ()},
    "ticks": {"core/test_ticks.py": ()},
}
# The measures of a strategy's record and of overfitting come with research.
LATER = {"overfit", "performance"}
OTHERS = {"tolerances", "surface", "volatility"}  # the bounds; and two files whose rows are split by measure


def test_every_golden_file_has_its_test():
    files = {path.stem for path in golden.FOLDER.glob("*.csv")}
    assert files == {*READ_BY, *LATER, *OTHERS}


@pytest.mark.parametrize("name", READ_BY)
def test_every_kind_of_row_is_read_by_a_test_that_names_it(name):
    named = [kind for kinds in READ_BY[name].values() for kind in kinds]
    if named:
        assert {row["what"] for row in golden.rows(name)} == set(named)
    for module, kinds in READ_BY[name].items():
        text = (TESTS / module).read_text(encoding="utf-8")
        assert f'golden.rows("{name}"' in text
        for kind in kinds:
            assert f'"{kind}"' in text


@pytest.mark.parametrize(("name", "count"), [("margin", 20), ("sizing", 4), ("stops", 7), ("risk", 31)])
def test_the_rows_of_margin_sizing_stops_and_risk_are_all_there(name, count):
    assert len(golden.rows(name)) == count
