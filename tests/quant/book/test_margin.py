"""Reg-T margin of single structures: golden rows, whole chains at once, leverage, and refusals by name."""

import json

import numpy as np
import pytest

from qmterm.core.errors import BadInput
from qmterm.quant.book import margin
from qmterm.quant.book.margin import EQUITY, PROFILES, short_option
from tests import golden


def of_golden(kind, profile, given):
    u, n = given["U"], given.get("n", 1)
    if kind in ("naked_put", "naked_call"):
        return margin.naked_option(u, given["K"], given["px"], kind == "naked_call", n, profile)
    if kind == "short_strangle":
        return margin.short_strangle(u, given["Kp"], given["Kc"], given["pp"], given["pc"], n, profile)
    if kind == "credit_spread":
        return margin.credit_spread(given["width"], given["credit"], n)
    if kind == "iron_condor":
        return margin.iron_condor(given["wp"], given["wc"], given["credit"], n)
    if kind in ("debit_spread", "long_option"):
        return margin.debit(given["debit"], n)
    if kind == "cash_secured_put":
        return margin.cash_secured_put(given["K"], given["px"], n)
    assert kind == "covered_call"
    return margin.covered_call(u, given["K"], given["px"], n, profile)


@pytest.mark.parametrize("row", golden.rows("margin"), ids=lambda row: f"{row['kind']}-{row['requirement'][:5]}")
def test_golden_rows(row):
    answer = of_golden(row["kind"], PROFILES[row["profile"]], json.loads(row["inputs"]))
    golden.assert_close("margin", answer.requirement, row["requirement"], "requirement")
    golden.assert_close("margin", answer.credit, row["credit"], "credit")
    golden.assert_close("margin", answer.effect, row["buying_power_effect"], "effect")


def test_a_whole_chain_is_charged_at_once():
    strikes = np.array([80.0, 100.0, 120.0, np.nan, 0.0])
    puts = short_option(100.0, strikes, 1.0, False)
    calls = short_option(100.0, strikes, 1.0, True)
    assert puts[:3] == pytest.approx([9.0, 21.0, 21.0])
    assert calls[:3] == pytest.approx([21.0, 21.0, 11.0])
    assert np.isnan(puts[3:]).all()
    assert np.isnan(calls[3:]).all()


def test_a_leveraged_fund_is_charged_by_its_leverage_up_to_all_of_it():
    assert EQUITY.leveraged(3).share == pytest.approx(0.6)
    assert EQUITY.leveraged(-2).least_share == pytest.approx(0.2)
    assert (EQUITY.leveraged(10).share, EQUITY.leveraged(10).stock_share) == (1.0, 1.0)
    assert short_option(100.0, 100.0, 0.0, True, EQUITY.leveraged(8)) == 100.0
    with pytest.raises(BadInput, match="leverage"):
        EQUITY.leveraged(0.5)


def test_a_credit_above_the_requirement_lends_nothing():
    assert margin.credit_spread(1.0, 1.2).effect == 0.0


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: margin.naked_option(np.nan, 95, 1, False), "underlying"),
        (lambda: margin.naked_option(100, 95, -1, False), "premium"),
        (lambda: margin.credit_spread(0.0, 1.0), "width"),
        (lambda: margin.iron_condor(5, -1, 1.0), "call_width"),
        (lambda: margin.debit(np.inf), "cost"),
        (lambda: margin.cash_secured_put(95, 1, 0), "contracts"),
        (lambda: margin.covered_call(100, 0, 1), "strike"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_by_name(call, name):
    with pytest.raises(BadInput, match=name):
        call()
