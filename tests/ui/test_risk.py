from decimal import Decimal

import pytest

from qmterm.engine.view import HeaderView, LimitUse, RiskView
from qmterm.ui.palette import text_of, width_of
from qmterm.ui.panes.risk import bar, limit_line, limit_tone, risk_lines


def tones(line):
    return {span.tone for span in line}


def test_bars_are_eighths_and_never_longer_than_full():
    assert bar(0.0, 4) == "    "
    assert bar(0.5, 4) == "██  "
    assert bar(1 / 32, 4) == "▏   "
    assert bar(7.0, 4) == "████"


@pytest.mark.parametrize(("share", "tone"), [(None, "dim"), (0.5, "text"), (0.8, "warn"), (1.0, "alarm")])
def test_a_limit_warns_from_four_fifths_and_alarms_when_full(share, tone):
    assert limit_tone(share) == tone


def test_cash_is_a_floor_and_far_above_it_is_calm():
    calm = limit_line(LimitUse("cash", Decimal(61000), Decimal(20000), "must stay above"), 100)
    assert " over " in text_of(calm)
    assert "33%" in text_of(calm)
    assert "alarm" not in tones(calm)
    assert "alarm" in tones(limit_line(LimitUse("cash", Decimal(19000), Decimal(20000)), 100))
    assert "alarm" in tones(limit_line(LimitUse("cash", Decimal(-5), Decimal(20000)), 100))


def test_unknown_use_is_a_dash_and_no_bar():
    line = text_of(limit_line(LimitUse("trade", None, Decimal(2000)), 100))
    assert "–" in line
    assert "█" not in line


@pytest.mark.parametrize("width", [30, 58, 80, 120])
def test_every_line_is_exactly_as_wide_as_the_pane(width):
    risk = RiskView(limits=(LimitUse("trade", Decimal(1), None, "x" * 200),), open_risk=Decimal("12.5"))
    assert {width_of(line) for line in risk_lines(risk, HeaderView(nlv=Decimal(0)), width)} == {width}
