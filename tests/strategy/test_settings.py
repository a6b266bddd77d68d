"""Defaults are those of QUANT.md; values out of range or that contradict each other are refused."""

import pytest
from pydantic import ValidationError

from qmterm.core.settings.risk import RiskSettings
from qmterm.core.settings.strategy import AtrMatrixSettings, OptionChoiceSettings, ScannerSettings

SECTIONS = [AtrMatrixSettings, OptionChoiceSettings, ScannerSettings, RiskSettings]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_default_and_a_line_of_documentation(section):
    for name, field in section.model_fields.items():
        assert not field.is_required(), name
        assert field.description, name
        assert "\n" not in field.description, name


def test_defaults_are_those_of_the_specification():
    matrix = AtrMatrixSettings()
    assert (matrix.min_bars, matrix.entry_min, matrix.entry_max, matrix.atr_pct_floor) == (200, 0.0, 4.0, 2.0)
    assert (matrix.min_strength, matrix.min_confidence, matrix.min_rr, matrix.overextended) == (0.90, 0.60, 2.0, 12.0)
    assert (matrix.horizon_days, matrix.allow_short, matrix.stop_mode) == ((18, 10, 5), False, "close")
    choice = OptionChoiceSettings()
    assert (choice.dte_min, choice.dte_target, choice.dte_max) == (21, 30, 45)
    assert (choice.slip_frac, choice.fee_per_contract, choice.hit_time_frac, choice.mu) == (0.5, 1.15, 0.5, 0.0)
    assert (ScannerSettings().min_price, ScannerSettings().min_dollar_volume) == (5.0, 1_000_000.0)
    risk = RiskSettings()
    assert (risk.max_trade_risk, risk.max_symbol_risk, risk.max_strategy_risk) == (0.02, 0.05, 0.20)
    assert (risk.cash_reserve, risk.daily_loss_block, risk.daily_loss_flatten) == (0.20, 0.02, 0.03)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (AtrMatrixSettings, {"entry_max": -1}),
        (AtrMatrixSettings, {"entry_min": 5}),
        (AtrMatrixSettings, {"overextended": 3}),
        (AtrMatrixSettings, {"scale_out": [8, 7, 9, 10]}),
        (AtrMatrixSettings, {"scale_out": [7, 8]}),
        (AtrMatrixSettings, {"scale_out_fractions": [0.5, 0.5, 0.5, 0.5]}),
        (AtrMatrixSettings, {"horizon_days": [18, 0, 5]}),
        (AtrMatrixSettings, {"profile": "wild"}),
        (AtrMatrixSettings, {"entry_maxx": 4}),
        (OptionChoiceSettings, {"dte_target": 50}),
        (OptionChoiceSettings, {"delta_min": 0.8}),
        (OptionChoiceSettings, {"slip_frac": 2}),
        (ScannerSettings, {"sort": "alphabet"}),
        (RiskSettings, {"max_trade_risk": 0.06}),
        (RiskSettings, {"daily_loss_flatten": 0.01}),
        (RiskSettings, {"allow_undefined": True}),
        (RiskSettings, {"cash_reserve": 1.0}),
    ],
)
def test_values_that_cannot_be_meant_are_refused(section, values):
    with pytest.raises(ValidationError):
        section(**values)


def test_lists_of_a_toml_file_are_taken():
    settings = AtrMatrixSettings(scale_out=[6, 9], scale_out_fractions=[0.5, 0.5])
    assert settings.scale_out == (6.0, 9.0)
