"""Prices that contradict each other are reported with where and how much, amber on mids and red when tradable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.surface.checks import Check, Severity, check_surface
from qmterm.quant.surface.ladder import Ladder
from tests.quant.surface.chains import RATE, YEARS, chain, forward_of

STRIKES = [90.0, 95.0, 100.0, 105.0]
CALLS = np.array([12.0, 8.5, 5.5, 3.5])
PUTS = np.array([1.0, 2.0, 4.0, 7.5])


def calls(mids, half=0.05, **vols):
    """One expiry of calls at 90 … 105 with these mids."""
    return one_expiry(mids, True, half, **vols)


def one_expiry(mids, is_call, half=0.05, rate=0.0):
    mids = np.asarray(mids)
    ladder = Ladder.arrange(0.1, STRIKES[: mids.size], np.full(mids.size, is_call))
    return list(check_surface(ladder, rate, 100.0, mids - half, mids + half, np.nan))


@given(
    vol=st.floats(0.1, 0.9),
    rate=st.floats(0, 0.08),
    dividend_yield=st.floats(0, 0.05),
    half=st.sampled_from([0.0, 0.01, 0.05]),
)
def test_a_flat_chain_has_no_violation(vol, rate, dividend_yield, half):
    columns = chain(vol, rate=rate, dividend_yield=dividend_yield)
    bid, ask = columns.value - half, columns.value + half
    forward = forward_of(YEARS, rate, dividend_yield)
    found = check_surface(columns.ladder(), rate, forward, bid, ask, columns.iv, columns.iv, columns.iv)
    assert len(found) == 0
    assert list(found) == []
    assert found.red == 0


def test_right_prices_of_either_side_pass():
    assert calls(CALLS) == []
    assert one_expiry(PUTS, False) == []


def test_a_better_strike_that_costs_less_is_a_negative_vertical():
    (found,) = [one for one in calls([12.0, 8.5, 3.4, 3.5]) if one.check is Check.VERTICAL_NEGATIVE]
    assert found.severity is Severity.AMBER
    assert found.contracts == (2, 3)
    assert found.amount == pytest.approx(0.1)
    puts = [one for one in one_expiry([1.0, 0.9, 4.0, 7.5], False) if one.check is Check.VERTICAL_NEGATIVE]
    assert [(one.contracts, one.amount) for one in puts] == [((0, 1), pytest.approx(0.1))]


def test_a_spread_that_costs_more_than_it_can_pay_is_too_wide():
    found = [one for one in calls([13.6, 8.5, 5.5, 3.5]) if one.check is Check.VERTICAL_TOO_WIDE]
    assert [(one.contracts, one.amount) for one in found] == [((0, 1), pytest.approx(0.1))]
    discounted = one_expiry([13.49, 8.5, 5.5, 3.5], True, rate=0.05)  # 4.99 is more than 5·e^(−0.005)
    assert [one.amount for one in discounted if one.check is Check.VERTICAL_TOO_WIDE] == [
        pytest.approx(4.99 - 5 * np.exp(-0.005))
    ]
    assert not [one for one in calls([13.49, 8.5, 5.5, 3.5]) if one.check is Check.VERTICAL_TOO_WIDE]


def test_a_body_dearer_than_its_wings_is_a_butterfly():
    (found,) = calls([12.0, 9.0, 5.5, 3.5], half=0.01)  # 9.0 against (12 + 5.5)/2 = 8.75
    assert found.check is Check.BUTTERFLY
    assert found.contracts == (0, 1, 2)
    assert found.amount == pytest.approx(0.25 - 2 * 0.01)  # what can be taken, not the mids' 0.25
    assert found.severity is Severity.RED


def test_unequal_wings_weigh_the_butterfly():
    ladder = Ladder.arrange(0.1, [90.0, 92.5, 100.0], True)
    mids = np.array([12.0, 10.6, 6.0])  # the line from 12 to 6 passes 92.5 at 10.5
    (found,) = check_surface(ladder, 0.0, 95.0, mids - 0.2, mids + 0.2, np.nan)
    assert (found.check, found.severity, found.amount) == (Check.BUTTERFLY, Severity.AMBER, pytest.approx(0.1))


@pytest.mark.parametrize(("half", "severity"), [(0.02, Severity.RED), (0.06, Severity.AMBER)])
def test_what_could_be_traded_is_red_and_told_once(half, severity):
    found = [one for one in calls([12.0, 8.5, 3.4, 3.5], half) if one.check is Check.VERTICAL_NEGATIVE]
    assert [one.severity for one in found] == [severity]
    assert found[0].amount == pytest.approx(0.1 - 2 * half if severity is Severity.RED else 0.1)


def test_a_strike_without_a_mid_is_passed_over():
    mids = np.array([12.0, 8.5, 5.5, 6.0])
    bid, ask = mids - 0.01, mids + 0.01
    ask[2] = np.nan
    ladder = Ladder.arrange(0.1, STRIKES, True)
    found = list(check_surface(ladder, 0.0, 100.0, bid, ask, np.nan))
    assert {one.contracts for one in found} <= {(0, 1), (1, 3), (0, 1, 3)}
    bid[2], ask[2] = 5.6, 5.5  # crossed: no price either
    assert {one.contracts for one in check_surface(ladder, 0.0, 100.0, bid, ask, np.nan)} == {
        one.contracts for one in found
    }


def test_an_option_offered_without_a_bid_can_be_bought_against():
    ladder = Ladder.arrange(0.1, [105.0, 110.0], True)
    (found,) = check_surface(ladder, 0.0, 100.0, [0.0, 0.10], [0.05, 0.15], np.nan)
    assert (found.check, found.severity) == (Check.VERTICAL_NEGATIVE, Severity.RED)
    assert found.amount == pytest.approx(0.05)
    assert len(check_surface(ladder, 0.0, 100.0, [np.nan, 0.04], [0.05, 0.15], np.nan)) == 0


def test_a_wide_quote_in_between_hides_nothing():
    ladder = Ladder.arrange(0.1, [90.0, 95.0, 100.0], True)
    found = list(check_surface(ladder, 0.0, 95.0, [0.95, 0.5, 1.5], [1.0, 5.0, 1.55], np.nan))
    assert [(one.check, one.severity, one.contracts) for one in found] == [
        (Check.VERTICAL_NEGATIVE, Severity.RED, (0, 2))
    ]
    assert found[0].amount == pytest.approx(0.5)


def test_expiries_and_rights_are_not_mixed():
    ladder = Ladder.arrange([0.1, 0.2, 0.2], [90.0, 95.0, 100.0], [True, True, False])
    assert len(check_surface(ladder, 0.0, 100.0, [5.0, 9.0, 20.0], [5.1, 9.1, 20.1], np.nan)) == 0


def test_variance_that_falls_with_time_is_a_calendar():
    columns = chain(lambda k, t: np.where(t == YEARS[1], 0.5, 0.3))
    found = list(check_surface(columns.ladder(), RATE, forward_of(YEARS), np.nan, np.nan, columns.iv))
    assert found
    assert {(one.check, one.expiry, one.later) for one in found} == {(Check.CALENDAR, 1, 2)}
    assert {one.severity for one in found} == {Severity.AMBER}
    np.testing.assert_allclose([one.amount for one in found], 0.25 * YEARS[1] - 0.09 * YEARS[2], rtol=1e-9)
    for one in found:
        (contract,) = one.contracts
        assert columns.years[contract] == YEARS[1]
        assert columns.is_call[contract] == (columns.strike[contract] >= forward_of(YEARS[1]))


def test_a_calendar_is_red_when_the_bid_of_the_early_beats_the_ask_of_the_late():
    columns = chain(lambda k, t: np.where(t == YEARS[1], 0.5, 0.3))
    ladder, forward = columns.ladder(), forward_of(YEARS)

    def severities(half):
        found = check_surface(ladder, RATE, forward, np.nan, np.nan, columns.iv, columns.iv - half, columns.iv + half)
        keys = [(one.check, one.expiry, one.contracts) for one in found]
        assert len(keys) == len(set(keys))
        return {one.severity for one in found}

    assert severities(0.01) == {Severity.RED}
    assert severities(0.1) == {Severity.AMBER}


def test_calendars_compare_at_equal_moneyness_not_at_equal_strikes():
    # One smile in ln(K/F) for all expiries; with a dear carry the strikes of the later one lie far off.
    def smile(k, t):
        return np.sqrt((0.09 + 0.5 * k * k) * 1.0 + 0 * t)

    columns = chain(smile, years=[0.5, 0.52], rate=0.9, strikes=np.arange(60.0, 260.0, 2.5))
    forward = forward_of([0.5, 0.52], rate=0.9)
    assert len(check_surface(columns.ladder(), 0.9, forward, np.nan, np.nan, columns.iv)) == 0


def test_a_calendar_skips_an_expiry_without_volatilities():
    columns = chain(lambda k, t: np.where(t == YEARS[1], 0.9, 0.3), years=YEARS[1:4])
    iv = np.where(columns.years == YEARS[2], np.nan, columns.iv)
    found = check_surface(columns.ladder(), RATE, forward_of(YEARS[1:4]), np.nan, np.nan, iv)
    assert {(one.expiry, one.later) for one in found} == {(0, 2)}


def test_the_parts_of_a_report_can_be_taken():
    columns = chain(lambda k, t: np.where(t == YEARS[1], 0.5, 0.3))
    found = check_surface(columns.ladder(), RATE, forward_of(YEARS), np.nan, np.nan, columns.iv)
    part = found.take(np.array([2, 0]))
    whole = list(found)
    assert list(part) == [whole[2], whole[0]]


@pytest.mark.parametrize("forward", [np.nan, 0.0, -1.0, np.inf])
def test_without_a_forward_there_are_no_calendars_to_check(forward):
    columns = chain(lambda k, t: np.where(t == YEARS[1], 0.5, 0.3))
    with np.errstate(all="raise"):
        found = check_surface(columns.ladder(), RATE, forward, np.nan, np.nan, columns.iv)
    assert len(found) == 0


def test_one_contract_or_none_contradicts_nothing():
    one = Ladder.arrange(0.1, 100.0, True)
    assert len(check_surface(one, RATE, 100.0, 5.0, 5.1, 0.3, 0.29, 0.31)) == 0
    none = Ladder.arrange([], [], np.zeros(0, bool))
    assert len(check_surface(none, RATE, 100.0, [], [], [])) == 0


QUOTE = st.one_of(st.floats(0, 20), st.floats(), st.sampled_from([0.0, np.nan, np.inf, -1.0]))


@given(bid=st.lists(QUOTE, min_size=12, max_size=12), ask=st.lists(QUOTE, min_size=12, max_size=12))
def test_any_quotes_are_answered_without_a_warning_and_every_amount_is_real(bid, ask):
    strike = np.tile([90.0, 95.0, 100.0], 4)
    years = np.repeat([0.1, 0.2], 6)
    ladder = Ladder.arrange(years, strike, np.tile(np.repeat([True, False], 3), 2))
    with np.errstate(all="raise", under="ignore"):
        found = check_surface(ladder, RATE, 95.0, bid, ask, bid, bid, ask)
    assert all(one.amount > 0 and np.isfinite(one.amount) for one in found)
    for one in found:
        if one.severity is Severity.RED and one.check is Check.VERTICAL_NEGATIVE:
            dear, cheap = (
                one.contracts
                if ladder.call[ladder.row[one.contracts[0]]] == one.contracts[0]
                else (
                    one.contracts[1],
                    one.contracts[0],
                )
            )
            assert bid[cheap] - ask[dear] == pytest.approx(one.amount)
