"""The expiry desk: its clocks, the pin, early assignment, what exercise brings, what is left alone, what is planned."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import from_et
from qmterm.core.instruments import OptionContract, Right, parse_option
from qmterm.core.reasons import Reason
from qmterm.core.settlement import Settlement
from qmterm.risk.assignment import Chance
from qmterm.risk.exercise import consequence, in_the_money
from qmterm.risk.expiry_clock import contract_end
from qmterm.risk.expiry_desk import ExpiryDesk
from qmterm.risk.expiry_line import Deed, DeskRules, HeldOption, Severity, StockFacts
from qmterm.risk.orphans import Leg, bare_shorts, newly_bare

RULES = DeskRules()
CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))
FRIDAY = date(2026, 3, 20)
NOV_HALF_DAY = date(2026, 11, 27)


def occ(right="C", strike=100, expiry=FRIDAY, root="XYZ"):
    return OptionContract(root, expiry, Right(right), Decimal(strike)).occ


def desk(rules=RULES, rate=0.04):
    return ExpiryDesk(CALENDAR, rules, lambda _years: rate)


def look(
    held,
    spot=100.0,
    at=(FRIDAY, 10, 0),
    *,
    buying_power="50000",
    stocks=None,
    put_mids=None,
    rules=RULES,
    **facts,
):
    stocks = {"XYZ": StockFacts(spot, **facts)} if stocks is None else stocks
    money = None if buying_power is None else Decimal(buying_power)
    return desk(rules).look(held, stocks, from_et(*at), buying_power=money, put_mids=put_mids)


def one(*held, **more):
    lines = look([*held], **more)
    return lines[0]


def codes(line):
    return {finding.code: finding.severity for finding in line.findings}


# --- clocks ---


def test_a_full_day_has_its_cut_off_at_half_past_three_and_the_close_goes_a_quarter_before():
    end = contract_end(CALENDAR, parse_option(occ()), from_et(FRIDAY, 10), 30, 15)
    assert end.last_session
    assert (end.stops_trading_ns, end.cutoff_ns) == (from_et(FRIDAY, 16), from_et(FRIDAY, 15, 30))
    assert end.close_from_ns == from_et(FRIDAY, 15, 15)
    assert end.expires_ns == from_et(FRIDAY, 16)


def test_on_a_half_day_every_hour_is_three_hours_earlier():
    end = contract_end(CALENDAR, parse_option(occ(expiry=NOV_HALF_DAY)), from_et(NOV_HALF_DAY, 9, 45), 30, 15)
    assert end.half_day
    assert (end.cutoff_ns, end.close_from_ns) == (from_et(NOV_HALF_DAY, 12, 30), from_et(NOV_HALF_DAY, 12, 15))
    assert not end.pin_watched(from_et(NOV_HALF_DAY, 10, 59))
    assert end.pin_watched(from_et(NOV_HALF_DAY, 11, 0))


def test_an_am_settled_index_ends_trading_the_session_before_and_settles_in_the_morning():
    end = contract_end(CALENDAR, parse_option(occ(root="SPX", strike=6000)), from_et(date(2026, 3, 19), 10), 30, 15)
    assert end.settlement is Settlement.AM
    assert end.last_session
    assert end.last_day == date(2026, 3, 19)
    assert end.cutoff_ns == from_et(date(2026, 3, 19), 15, 30)
    assert end.expires_ns == from_et(FRIDAY, 9, 30)


def test_an_expiry_on_a_holiday_ends_the_session_before():
    good_friday = date(2026, 4, 3)
    end = contract_end(CALENDAR, parse_option(occ(expiry=good_friday)), from_et(date(2026, 4, 1), 10), 30, 15)
    assert (end.last_day, end.sessions_left) == (date(2026, 4, 2), 1)


def test_sessions_and_not_days_count_what_is_left():
    end = contract_end(CALENDAR, parse_option(occ()), from_et(date(2026, 3, 13), 10), 30, 15)  # a Friday before
    assert (end.sessions_left, end.dte) == (5, 7)


# --- pin ---


def test_near_the_strike_after_two_o_clock_a_short_is_pinned_and_before_it_is_not():
    short = HeldOption(occ(), -2, "x", "t", mark=0.40, vol=0.30)
    assert Reason.PIN_RISK not in codes(one(short, spot=99.8, at=(FRIDAY, 13, 59)))
    pinned = one(short, spot=99.8, at=(FRIDAY, 14, 1))
    assert codes(pinned)[Reason.PIN_RISK] is Severity.ALARM
    assert pinned.pin.distance == pytest.approx(0.2)
    assert pinned.action.deed is Deed.CLOSE
    assert (
        codes(one(HeldOption(occ(), 2, mark=0.4, vol=0.3), spot=99.8, at=(FRIDAY, 14, 1)))[Reason.PIN_RISK]
        is Severity.WARN
    )


def test_the_band_is_half_a_percent_or_a_quarter_of_the_move_that_is_left():
    calm = one(HeldOption(occ(), -1, mark=1.0, vol=0.20), at=(FRIDAY, 15, 0)).pin
    assert calm.band == pytest.approx(0.5)
    wild = one(HeldOption(occ(), -1, mark=1.0, vol=5.0), at=(FRIDAY, 14, 0)).pin
    assert wild.band == pytest.approx(0.25 * 100 * 5.0 * (2 / (365 * 24)) ** 0.5)
    assert one(HeldOption(occ(), -1, mark=1.0)).pin.reason is Reason.NO_DATA


def test_without_a_price_of_the_stock_nothing_is_zero_and_the_last_day_alarms():
    line = one(HeldOption(occ(), -1, mark=1.0), spot=None, reason=Reason.HALTED)
    assert (line.in_the_money, line.extrinsic, line.pin.distance, line.exercise) == (None, None, None, None)
    assert line.pin.reason is Reason.HALTED
    assert codes(line)[Reason.HALTED] is Severity.ALARM
    assert line.action.deed is Deed.WATCH


def test_cash_settled_options_are_not_pinned_and_settle_by_themselves():
    line = one(
        HeldOption(occ(root="SPXW", strike=6000), -1, mark=5.0, vol=0.2),
        stocks={"SPXW": StockFacts(6001.5)},
        at=(FRIDAY, 15, 0),
    )
    assert Reason.PIN_RISK not in codes(line)
    assert line.settles_for == Decimal("-150.00")
    assert line.exercise is None
    assert line.action.deed is Deed.SETTLE


# --- early assignment ---


EVE = (date(2026, 3, 16), 11, 0)  # a Monday; the ex-date is Tuesday
LATER = date(2026, 4, 17)


def short_call(mark=10.05, **more):
    call = HeldOption(occ(expiry=LATER, strike=90), -1, "x", "t", mark=mark, vol=0.3)
    given_facts = {"dividends": ((date(2026, 3, 17), 0.60),), "dividends_known": True} | more
    return one(call, spot=100.0, at=EVE, **given_facts)


def test_a_dividend_worth_more_than_put_and_interest_is_high_on_its_eve_and_closed_that_day():
    call = occ(expiry=LATER, strike=90)
    line = short_call(put_mids={call: 0.10})
    assert line.assignment.chance is Chance.HIGH
    assert line.assignment.numbers["given_up"] == pytest.approx(
        0.10 + 90 * (1 - 2.718281828 ** (-0.04 * 31.271 / 365)), abs=2e-3
    )
    assert codes(line)[Reason.EARLY_ASSIGNMENT] is Severity.ALARM
    assert line.action.deed is Deed.CLOSE
    assert line.action.reason is Reason.ASSIGNMENT_CLOSE
    assert line.action.by_ns == from_et(date(2026, 3, 16), 15, 30)
    assert not line.action.due(from_et(date(2026, 3, 16), 15, 14))
    assert line.action.due(from_et(date(2026, 3, 16), 15, 15))


def test_a_dear_put_makes_it_medium_and_a_small_dividend_none():
    call = occ(expiry=LATER, strike=90)
    assert short_call(put_mids={call: 0.58}).assignment.chance is Chance.MEDIUM
    assert short_call(mark=11.0, put_mids={call: 0.58}).assignment.chance is Chance.NONE
    assert short_call(dividends=((date(2026, 3, 24), 0.60),)).assignment.chance is Chance.NONE  # six sessions away
    assert short_call(dividends=((date(2026, 3, 23), 0.60),)).assignment.chance is Chance.MEDIUM  # five


def test_without_a_quote_of_the_put_the_calls_own_time_value_stands_in():
    assert short_call(mark=10.30).assignment.chance is Chance.HIGH
    assert short_call(mark=10.70).assignment.chance is Chance.NONE


def test_unknown_dividends_are_no_absence_of_risk():
    line = short_call(dividends=(), dividends_known=False)
    assert line.assignment.reason is Reason.NO_DATA
    assert codes(line)[Reason.NOT_CHECKED] is Severity.NOTE
    assert short_call(dividends=()).assignment.reason is None


def test_a_dividend_after_the_expiry_or_an_option_out_of_the_money_or_bought_is_no_risk():
    assert short_call(dividends=((date(2026, 4, 20), 5.0),)).assignment.chance is Chance.NONE
    out = one(HeldOption(occ(expiry=LATER, strike=110), -1, mark=0.05), at=EVE, dividends=((date(2026, 3, 17), 0.6),))
    assert out.assignment.chance is Chance.NONE
    bought = one(HeldOption(occ(expiry=LATER, strike=90), 1, mark=10.05), at=EVE, dividends=((date(2026, 3, 17), 0.6),))
    assert bought.assignment.chance is Chance.NONE


@pytest.mark.parametrize(
    ("strike", "mark", "chance"),
    [(110, 10.05, Chance.HIGH), (110, 10.60, Chance.NONE), (104, 4.0, Chance.NONE), (110, None, Chance.NONE)],
)
def test_a_put_five_percent_in_the_money_with_less_time_value_than_interest_is_high(strike, mark, chance):
    line = one(HeldOption(occ("P", strike, LATER), -1, mark=mark), at=EVE)
    assert line.assignment.chance is chance
    assert line.assignment.reason is (Reason.NO_QUOTE if mark is None else None)
    if chance is Chance.HIGH:
        assert line.action.deed is Deed.WATCH  # whether the shares are wanted a person decides


def test_europeans_are_never_assigned_early():
    line = one(HeldOption(occ("P", 6600, LATER, "SPXW"), -1, mark=600.0), stocks={"SPXW": StockFacts(6000.0)}, at=EVE)
    assert line.assignment.chance is Chance.NONE


# --- exercise ---


def test_a_cent_in_the_money_is_exercised():
    call = parse_option(occ())
    assert in_the_money(call, 100.01)
    assert not in_the_money(call, 100.004)
    assert in_the_money(parse_option(occ("P")), 99.99)


def test_exercise_moves_shares_cash_and_buying_power_and_warns_beyond_it():
    line = one(HeldOption(occ(), 10, mark=2.0, vol=0.3), spot=102.0, buying_power="40000")
    assert (line.exercise.shares, line.exercise.cash) == (1000, Decimal(-100_000))
    # 40,000 − 100,000 paid + 102,000 of shares, half of which must be carried
    assert line.exercise.buying_power_after == Decimal("-9000.00")
    assert codes(line)[Reason.BEYOND_BUYING_POWER] is Severity.ALARM
    assert codes(line)[Reason.AUTO_EXERCISE] is Severity.WARN
    assert line.action.deed is Deed.CLOSE
    early = one(
        HeldOption(occ(), 10, mark=2.0, vol=0.3), spot=102.0, buying_power="40000", at=(date(2026, 3, 16), 10, 0)
    )
    assert codes(early)[Reason.BEYOND_BUYING_POWER] is Severity.WARN
    assert early.action.deed is Deed.HOLD
    assert early.action.by_ns == from_et(FRIDAY, 15, 30)


def test_a_cash_account_carries_all_of_the_shares():
    line = one(HeldOption(occ(), 1, mark=2.0), spot=102.0, buying_power="9000", rules=DeskRules(margin_share=1.0))
    assert line.exercise.buying_power_after == Decimal("-1000.00")


def test_unknown_buying_power_is_unknown_after_it_too():
    line = one(HeldOption(occ(), 1, mark=2.0), spot=102.0, buying_power=None)
    assert line.exercise.buying_power_after is None
    assert line.exercise.reason is Reason.NO_DATA
    assert Reason.BEYOND_BUYING_POWER not in codes(line)


def test_a_spread_in_the_money_on_both_sides_delivers_nothing_and_is_left():
    lines = look(
        [
            HeldOption(occ(), 1, "x", "t", mark=8.0, vol=0.3),
            HeldOption(occ(strike=105), -1, "x", "t", mark=3.0, vol=0.3),
        ],
        spot=108.0,
    )
    assert {line.exercise.shares for line in lines} == {0}
    assert {line.exercise.cash for line in lines} == {Decimal(500)}
    assert {line.action.deed for line in lines} == {Deed.SETTLE}


def test_a_covered_call_in_the_money_delivers_its_shares():
    held = [HeldOption(occ(), -1, "covered_call", "t", mark=3.0, vol=0.3), HeldOption("XYZ", 100, "covered_call", "s")]
    line = one(*held, spot=103.0)
    assert line.exercise.shares == -100
    assert line.exercise.buying_power_after > Decimal(50000)
    assert line.action.deed is Deed.DELIVER
    assert Reason.NAKED_AFTER_EXPIRY not in codes(line)


@given(
    strikes=st.lists(st.integers(80, 120), min_size=1, max_size=4, unique=True),
    counts=st.lists(st.integers(-5, 5), min_size=4, max_size=4),
    spot=st.floats(70, 130),
)
def test_exercise_is_worth_the_intrinsic_value_whatever_the_legs(strikes, counts, spot):
    spot = round(spot, 2)
    legs = [(parse_option(occ("CP"[i % 2], strike)), counts[i]) for i, strike in enumerate(strikes)]
    done = consequence(legs, spot, shares_held=0, buying_power=None)
    worth = sum(max(Decimal(0), (Decimal(str(spot)) - c.strike) * c.right.sign) * count * 100 for c, count in legs)
    assert (Decimal(0) if done is None else done.cash + done.shares * Decimal(str(spot))) == worth


# --- orphans ---


def test_a_diagonals_far_short_is_bare_once_its_long_has_ended():
    held = [HeldOption(occ(), 1, "x", "t", mark=2.0), HeldOption(occ(strike=110, expiry=LATER), -1, "x", "t", mark=1.0)]
    line = next(line for line in look(held) if line.symbol == occ())
    assert [(bare.symbol, bare.contracts) for bare in line.bare] == [(held[1].symbol, 1)]
    assert codes(line)[Reason.NAKED_AFTER_EXPIRY] is Severity.ALARM
    assert line.action.closes == (held[1].symbol,)
    assert bare_shorts([Leg(held[0].symbol, 1), Leg(held[1].symbol, -1)], 0)[0].contracts == 1


def test_shares_called_away_leave_the_next_months_call_bare():
    held = [
        HeldOption(occ(), -1, "covered_call", "a", mark=5.0, vol=0.3),
        HeldOption(occ(expiry=LATER), -1, "covered_call", "b", mark=6.0, vol=0.3),
        HeldOption("XYZ", 200, "covered_call", "s"),
    ]
    assert one(*held, spot=105.0).bare == ()  # 200 shares: one hundred goes, one stays
    short_of_shares = [held[0], held[1], HeldOption("XYZ", 100, "covered_call", "s")]
    lines = {line.symbol: line for line in look(short_of_shares, spot=105.0)}
    assert lines[occ()].bare == ()  # one of the two was bare before already


def test_a_long_that_covers_two_months_is_missed_when_it_ends():
    legs = [Leg(occ(), 1), Leg(occ(strike=105), -1)]
    assert newly_bare(legs, parse_option(occ()), 0, 0) == ()  # they end together
    calendar_spread = [Leg(occ(expiry=LATER), 1, "t"), Leg(occ(), -1, "t")]
    assert newly_bare(calendar_spread, parse_option(occ()), 0, 0) == ()


def test_assigned_puts_do_not_uncover_calls_but_called_shares_do():
    legs = [Leg("XYZ", 100), Leg(occ(), -1), Leg(occ(expiry=LATER), -1)]
    before = bare_shorts(legs, 100)
    assert [(b.symbol, b.contracts) for b in before] == [(occ(expiry=LATER), 1)]
    own = [Leg("XYZ", 100), Leg(occ(expiry=LATER), -1), Leg(occ("P", 90), 1)]
    # A long put that is exercised sells the shares which cover next month's call.
    assert [(b.symbol, b.contracts) for b in newly_bare(own, parse_option(occ("P", 90)), 100, 0)] == [
        (occ(expiry=LATER), 1)
    ]


def test_a_put_that_takes_the_calls_cover_away_plans_to_close_the_call():
    held = [
        HeldOption("XYZ", 100, "x", "t"),
        HeldOption(occ(expiry=LATER), -1, "x", "t", mark=0.5, vol=0.3),
        HeldOption(occ("P", 90), 1, "x", "t", mark=5.0, vol=0.3),
    ]
    line = next(line for line in look(held, spot=85.0) if line.symbol == occ("P", 90))
    assert codes(line)[Reason.NAKED_AFTER_EXPIRY] is Severity.ALARM
    assert line.action.closes == (occ(expiry=LATER),)


def test_a_calendars_far_leg_is_named_as_left_alone():
    held = [HeldOption(occ(), -1, "x", "t", mark=0.2, vol=0.3), HeldOption(occ(expiry=LATER), 1, "x", "t", mark=2.0)]
    line = next(line for line in look(held, spot=90.0) if line.symbol == occ())
    assert line.alone == (occ(expiry=LATER),)
    assert codes(line)[Reason.ORPHAN_LEG] is Severity.NOTE


# --- plans ---


def test_far_out_of_the_money_ends_worthless_and_nothing_is_planned():
    line = one(HeldOption(occ(strike=120), -1, mark=0.01, vol=0.3), spot=100.0)
    assert line.action.deed is Deed.HOLD
    assert "stays below 120" in line.action.text


def test_what_is_over_waits_for_the_broker():
    line = one(HeldOption(occ(), 1, mark=5.0), spot=105.0, at=(date(2026, 3, 23), 10, 0))
    assert codes(line) == {Reason.EXPIRED: Severity.WARN}
    assert line.action.deed is Deed.HOLD
    assert not line.action.due(from_et(date(2026, 3, 23), 10))


def test_the_most_pressing_stands_first():
    lines = look(
        [HeldOption(occ(expiry=LATER), 1, mark=3.0, vol=0.3), HeldOption(occ(), -1, mark=0.5, vol=0.3)],
        at=(FRIDAY, 15, 0),
    )
    assert [line.symbol for line in lines] == [occ(), occ(expiry=LATER)]
    assert lines[1].severity is Severity.CALM
