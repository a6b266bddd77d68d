from datetime import date
from decimal import Decimal

import pytest

from qmterm.ui import formats


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_unknown_is_a_dash_and_never_zero(value):
    assert formats.fixed(value) == "–"
    assert formats.percent(value) == "–"
    assert formats.count(value) == "–"
    assert formats.signed_money(value) == "–"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (987, "987"),
        (14321, "14.3k"),
        (99_960, "100k"),
        (1_250_000, "1.2M"),
        (999_950, "1.0M"),
        (3.2e9, "3.2G"),
    ],
)
def test_counts_fit_five_characters(value, shown):
    assert formats.count(value) == shown
    assert len(shown) <= 5


def test_a_negative_number_that_rounds_to_zero_has_no_sign():
    assert formats.fixed(-0.004) == "0.00"
    assert formats.signed_money(Decimal("0.2")) == "0"


def test_greeks_drop_the_zero_before_the_point():
    assert formats.dropped_zero(-0.14) == "-.14"
    assert formats.dropped_zero(0.5) == ".50"
    assert formats.dropped_zero(10.5) == "10.50"


def test_strikes_keep_what_an_adjustment_left_them():
    assert formats.strike(172.5) == "172.5"
    assert formats.strike(1200.0) == "1200.0"
    assert formats.strike(32.125) == "32.125"


def test_foreign_text_becomes_one_cell_per_character_and_loses_escapes():
    assert formats.plain("a\x1b[31mb\nc") == "a?[31mb c"
    assert formats.plain("日本 ok") == "?? ok"
    assert formats.plain("e\u0301") == "e"


def test_times_are_new_york_and_ages_are_short():
    assert formats.clock(0) == "--:--:--"
    assert formats.clock(1_772_466_127_000_000_000) == "10:42:07"
    assert [formats.age(value) for value in (0.2, 99, 100, 5999, 7200)] == ["0s", "99s", "1m", "99m", "2h"]
    assert formats.countdown(252) == "04:12"
    assert formats.expiry(date(2026, 4, 17)) == "17APR26"


def test_wrap_breaks_at_spaces_and_cuts_what_has_none():
    assert formats.wrap("one two three", 7) == ["one two", "three"]
    assert formats.wrap("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert formats.wrap("", 10) == [""]
