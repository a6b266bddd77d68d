"""The dividends a chain's options live through: on today's share count, in dollars, and only those still ahead."""

from datetime import date

import pytest

from qmterm.core.clock import from_et
from qmterm.market.chains.cash import CashDividends
from qmterm.market.records import Dividend, Split

TODAY = date(2026, 3, 2)
LAST = date(2026, 12, 18)


def paid(day, amount, currency="USD", symbol="NVDA", kind="CD"):
    return Dividend(symbol, day, amount, None, 4, kind, currency)


def amounts(cash, today=TODAY, until=LAST):
    return [round(dividend.amount, 6) for dividend in cash.expected("NVDA", today, until)]


def test_what_was_paid_before_a_split_is_put_on_todays_share_count():
    cash = CashDividends()
    cash.set("NVDA", [paid(date(2025, 12, 8), 0.70)])
    assert amounts(cash) == [0.70, 0.70, 0.70, 0.70]
    cash.set_splits([Split("NVDA", date(2026, 1, 12), 1, 7), Split("AAPL", date(2026, 1, 12), 1, 4)])
    assert amounts(cash) == [0.10, 0.10, 0.10, 0.10]  # also what was forecast before the split was known


def test_a_split_told_twice_counts_once_and_a_reverse_one_makes_amounts_larger():
    cash = CashDividends()
    cash.set("NVDA", [paid(date(2025, 12, 8), 0.10)])
    cash.set_splits([Split("NVDA", date(2026, 1, 12), 10, 1)] * 2)
    assert amounts(cash) == [1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("split_day", [date(2026, 3, 9), date(2025, 12, 8)])
def test_a_split_that_is_to_come_or_was_there_on_the_ex_date_changes_nothing(split_day):
    cash = CashDividends()
    cash.set("NVDA", [paid(date(2025, 12, 8), 0.70)])
    cash.set_splits([Split("NVDA", split_day, 1, 7)])
    assert amounts(cash) == [0.70, 0.70, 0.70, 0.70]


def test_on_the_morning_of_a_split_the_pricing_is_of_the_new_shares():
    cash, split_day = CashDividends(), date(2026, 3, 2)
    cash.set("NVDA", [paid(date(2025, 12, 8), 0.70)])
    cash.set_splits([Split("NVDA", split_day, 1, 7)])
    table = cash.table("NVDA", from_et(split_day, 9, 0), date(2026, 3, 20))
    assert table.amounts.tolist() == [pytest.approx([0.10])]


def test_dividends_in_another_currency_are_left_out_and_the_companys_are_not_known():
    cash = CashDividends()
    cash.set("NVDA", [paid(date(2026, 3, 30), 100.0, "JPY")])
    assert not cash.known("NVDA")
    assert amounts(cash) == []
    assert cash.table("NVDA", from_et(TODAY, 10, 0), LAST) is None
    cash.set("NVDA", [paid(date(2026, 3, 30), 100.0, "JPY"), paid(date(2026, 4, 6), 0.25, kind="SC")])
    assert (cash.known("NVDA"), amounts(cash)) == (False, [0.25])
    cash.set("NVDA", [])
    assert cash.known("NVDA")  # it pays none


@pytest.mark.parametrize(("hour", "ahead"), [(9, [[0.25]]), (10, None)])
def test_what_goes_ex_today_is_ahead_until_the_market_opens(hour, ahead):
    cash = CashDividends()
    cash.set("NVDA", [paid(TODAY, 0.25, kind="SC")])
    table = cash.table("NVDA", from_et(TODAY, hour, 0), LAST)
    assert (None if table is None else table.amounts.tolist()) == ahead
    assert amounts(cash) == []
