"""Declared dividends are taken as they are; further ones repeat the company's last regular habit."""

import math
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.options.dividend_forecast import ExpectedDividend, PaidDividend, expected_dividends

QUARTERLY = [
    PaidDividend(date(2025, 8, 11), 0.24),
    PaidDividend(date(2025, 11, 10), 0.26),
    PaidDividend(date(2026, 2, 9), 0.26),
]
TODAY = date(2026, 3, 2)


def test_undeclared_quarterly_dividends_repeat_the_last_amount_and_are_marked():
    assert expected_dividends(QUARTERLY, TODAY, date(2026, 12, 1)) == [
        ExpectedDividend(date(2026, 5, 11), 0.26, True),  # the 9th is a Saturday
        ExpectedDividend(date(2026, 8, 10), 0.26, True),  # the 9th is a Sunday
        ExpectedDividend(date(2026, 11, 9), 0.26, True),
    ]


def test_declared_dividends_come_first_and_estimates_continue_from_them():
    known = [*QUARTERLY, PaidDividend(date(2026, 5, 8), 0.27)]
    assert expected_dividends(known, TODAY, date(2026, 8, 31)) == [
        ExpectedDividend(date(2026, 5, 8), 0.27, False),
        ExpectedDividend(date(2026, 8, 10), 0.27, True),
    ]


def test_a_special_dividend_is_paid_but_sets_no_habit():
    known = [*QUARTERLY, PaidDividend(date(2026, 3, 20), 5.0, regular=False)]
    found = expected_dividends(known, TODAY, date(2026, 9, 1))
    assert found[0] == ExpectedDividend(date(2026, 3, 20), 5.0, False)
    assert [dividend.amount for dividend in found[1:]] == [0.26, 0.26]
    assert all(dividend.estimated for dividend in found[1:])


def test_a_dividend_that_went_ex_today_is_gone():
    found = expected_dividends(QUARTERLY, date(2026, 2, 9), date(2026, 5, 12))
    assert [dividend.ex_date for dividend in found] == [date(2026, 5, 11)]
    assert expected_dividends(QUARTERLY, date(2026, 2, 8), date(2026, 2, 9)) == [
        ExpectedDividend(date(2026, 2, 9), 0.26, False)
    ]


def test_one_payment_promises_nothing_unless_the_frequency_is_known():
    only = QUARTERLY[-1:]
    assert expected_dividends(only, TODAY, date(2027, 3, 1)) == []
    assert len(expected_dividends(only, TODAY, date(2027, 3, 1), per_year=4)) == 4
    assert [d.ex_date for d in expected_dividends(only, TODAY, date(2027, 3, 1), per_year=1)] == [date(2027, 2, 9)]


def test_a_company_that_skipped_its_date_is_not_expected_to_pay():
    last = QUARTERLY[-1].ex_date  # spaced 91 days
    inside, beyond = last + timedelta(days=136), last + timedelta(days=137)
    assert expected_dividends(QUARTERLY, inside, inside + timedelta(days=100))
    assert expected_dividends(QUARTERLY, beyond, beyond + timedelta(days=400)) == []


def test_month_ends_stay_month_ends():
    known = [PaidDividend(date(2025, 12, 31), 0.1), PaidDividend(date(2026, 1, 30), 0.1)]
    found = expected_dividends(known, date(2026, 2, 1), date(2026, 5, 1))
    assert [d.ex_date for d in found] == [date(2026, 3, 2), date(2026, 3, 30), date(2026, 4, 30)]  # 28 Feb: a Saturday


def test_weekly_payers_repeat_by_days():
    known = [PaidDividend(date(2026, 2, 19), 0.3), PaidDividend(date(2026, 2, 26), 0.31)]
    found = expected_dividends(known, TODAY, date(2026, 3, 20))
    assert [(d.ex_date, d.amount) for d in found] == [
        (date(2026, 3, 5), 0.31),
        (date(2026, 3, 12), 0.31),
        (date(2026, 3, 19), 0.31),
    ]


@pytest.mark.parametrize("amount", [0.0, -0.5, math.nan, math.inf])
def test_records_without_an_amount_are_left_out(amount):
    assert expected_dividends([PaidDividend(date(2026, 4, 1), amount)], TODAY, date(2027, 1, 1), 4) == []


def test_the_same_record_twice_counts_once():
    assert expected_dividends(QUARTERLY * 2, TODAY, date(2026, 6, 1)) == [
        ExpectedDividend(date(2026, 5, 11), 0.26, True)
    ]


def test_nothing_known_is_nothing_expected():
    assert expected_dividends([], TODAY, date(2030, 1, 1), per_year=4) == []
    assert expected_dividends(QUARTERLY, TODAY, TODAY) == []


@given(
    gaps=st.lists(st.integers(1, 400), max_size=6),
    horizon=st.integers(0, 900),
    per_year=st.sampled_from([None, 1, 2, 4, 12, 52]),
)
def test_expected_dividends_are_in_order_after_today_and_never_twice_a_day(gaps, horizon, per_year):
    day, known = date(2024, 1, 2), []
    for gap in gaps:
        known.append(PaidDividend(day, 1.0 + gap))
        day += timedelta(days=gap)
    today = date(2025, 6, 2)
    found = expected_dividends(known, today, today + timedelta(days=horizon), per_year)
    days = [dividend.ex_date for dividend in found]
    assert days == sorted(set(days))
    assert all(today < day <= today + timedelta(days=horizon) for day in days)
    estimates = [dividend for dividend in found if dividend.estimated]
    assert all(dividend.ex_date.weekday() < 5 and dividend.amount == known[-1].amount for dividend in estimates)
    assert all(dividend.ex_date > known[-1].ex_date for dividend in estimates)


@pytest.mark.parametrize("per_year", [0, -4, 365, 1000])
def test_an_odd_frequency_neither_hangs_nor_pays_twice_a_day(per_year):
    ahead = [PaidDividend(TODAY + timedelta(days=7), 0.1)]
    days = [each.ex_date for each in expected_dividends(ahead, TODAY, TODAY + timedelta(days=30), per_year)]
    assert days[0] == TODAY + timedelta(days=7)
    assert len(set(days)) == len(days) <= 30
