"""The risk pane's lines about the whole book: unknown is a dash, the worst cell stands out, every line fits."""

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.engine.view_portfolio import PortfolioView, ProfitView, StressView
from qmterm.ui.palette import BOLD, text_of, width_of
from qmterm.ui.panes.book_lines import expiry_lines, portfolio_lines, short_money, stress_lines
from tests.ui.portfolio_view import SPOTS, expiry_view, portfolio_view


@pytest.mark.parametrize("width", [30, 58, 78, 84, 120])
def test_every_line_is_exactly_as_wide_as_the_pane(width):
    lines = portfolio_lines(portfolio_view(), width) + expiry_lines([expiry_view()], width)
    assert {width_of(line) for line in lines} == {width}


def test_an_empty_book_takes_no_room():
    assert portfolio_lines(PortfolioView(), 80) == []
    assert expiry_lines([], 80) == []
    assert expiry_lines([expiry_view(findings=(), severity="calm")], 80) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.2, "0"), (-1234.4, "-1,234"), (-9999.4, "-9,999"), (12345.0, "+12k"), (-1.25e6, "-1.2M")],
)
def test_money_in_a_cell_has_six_characters_at_most(value, text):
    assert short_money(value) == text
    assert len(text) <= 6


def test_the_whole_matrix_shows_on_a_wide_pane_and_its_middle_on_a_narrow_one():
    wide = [text_of(line) for line in stress_lines(portfolio_view().stress, 90)]
    assert wide[0].split() == ["stress", *(f"{spot:+.0%}" for spot in SPOTS)]
    narrow = text_of(stress_lines(portfolio_view().stress, 60)[0]).split()
    assert "+0%" in narrow
    assert len(narrow) in (6, 8)


def test_the_worst_cell_is_bold_and_an_unknown_cell_a_dash():
    stress = StressView("market", (-0.1, 0.0), (0.0,), ((-500.0, 0.0),), -500.0)
    bold = [span.text.strip() for line in stress_lines(stress, 60) for span in line if span.marks & BOLD]
    assert bold == ["-500"]
    unknown = StressView("market", (-0.1, 0.0), (0.0,), ((None, None),), None)
    assert text_of(stress_lines(unknown, 60)[1]).split() == ["σ+0%", "–", "–"]


def test_a_tail_that_is_not_believed_is_a_dash_with_its_reason():
    text = "\n".join(text_of(line) for line in portfolio_lines(portfolio_view(), 100))
    assert "VaR95 812 ES 1,105 VaR99 1,502 ES 1,690" in text
    assert "VaR99 – ES – UNRELIABLE" in text
    assert "hist 259d" in text


def test_fees_that_differ_from_the_brokers_and_positions_in_no_total_are_said():
    view = portfolio_view(unknown={"OLD   260417C00010000": "NO_QUOTE"})
    text = "\n".join(text_of(line) for line in portfolio_lines(view, 100))
    assert "6.78 (broker 6.79)" in text
    assert "our table says 2.26" in text
    assert "OLD   260417C00010000 is in no total: NO_QUOTE" in text
    same = "\n".join(text_of(line) for line in portfolio_lines(portfolio_view(broker_fees=Decimal("6.78")), 100))
    assert "broker 6.7" not in same


def test_a_strategy_without_all_its_marks_has_no_net():
    view = portfolio_view()
    (row,) = view.strategies
    unmarked = replace(row, profit=ProfitView(Decimal(1), None, Decimal(1), None, unmarked=2))
    text = "\n".join(text_of(line) for line in portfolio_lines(replace(view, strategies=(unmarked,)), 100))
    assert "– (2 unmarked)" in text


def test_the_desk_names_contract_plan_and_danger():
    _head, line = expiry_lines([expiry_view()], 100)
    assert text_of(line).startswith(" -1 AMD 02MAR26 130P close by 15:30 the stock is 0.20 from the strike")
    assert "alarm" in {span.tone for span in line}
