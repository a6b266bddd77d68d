"""The checks on an opening order, each with its exact refusal: code, numbers, note, and the edge it turns at."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from qmterm.core.clock import NS, from_et
from qmterm.core.orders import Action, Leg
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.risk.order_checks import legs_fault, moment_fault, notional, quotes_fault, theory_fault
from qmterm.risk.surroundings import Surroundings
from qmterm.risk.verdict import Refusal
from tests.risk.plans import CALL, HIGHER, LOWER_PUT, NOW, PUT, TODAY, legs, plan, quote, quotes

SETTINGS = RiskSettings()
AT_LEAST = Refusal(Reason.BAD_INPUT, note="every leg must open at least one contract")
TWICE = Refusal(Reason.BAD_INPUT, note="a contract stands in two legs")
ROOTS = Refusal(Reason.BAD_INPUT, note="its legs are listed under different roots")
MINUTE = 60 * NS


def calls(*strikes):
    return legs(*((f"AAPL  260402C{strike:05d}000", 1) for strike in strikes))


def unknown(note):
    return Refusal(Reason.UNKNOWN_SYMBOL, note=note)


@pytest.mark.parametrize(
    ("chosen", "underlying", "refusal"),
    [
        (legs((CALL, 1)), "AAPL", None),
        (calls(100, 101, 102, 103), "AAPL", None),
        (legs(("AAPL", 5), (CALL, -1)), "AAPL", None),
        ((), "AAPL", AT_LEAST),
        ((Leg(CALL, Action.SELL_TO_CLOSE, 1),), "AAPL", AT_LEAST),
        ((*legs((CALL, 1)), Leg(HIGHER, Action.BUY_TO_CLOSE, 1)), "AAPL", AT_LEAST),
        ((Leg(CALL, Action.BUY_TO_OPEN, 0),), "AAPL", AT_LEAST),
        ((Leg(CALL, Action.BUY_TO_OPEN, -1),), "AAPL", AT_LEAST),
        (calls(100, 101, 102, 103, 104), "AAPL", Refusal(Reason.TOO_MANY_LEGS, {"legs": 5.0, "most_legs": 4.0})),
        (legs((CALL, 1), (CALL, -1)), "AAPL", TWICE),
        (legs((CALL, 1), (HIGHER, 1), (CALL, 1)), "AAPL", TWICE),
        (legs(("TSLA", 1)), "AAPL", unknown("'TSLA' is not AAPL")),
        (legs(("TSLA  260402C00105000", 1)), "AAPL", unknown("'TSLA  260402C00105000' is not an option on AAPL")),
        (legs((CALL, 1), ("TSLA", 1)), "AAPL", unknown("'TSLA' is not AAPL")),
        (legs(("AAPL1 260402C00105000", 1)), "AAPL", Refusal(Reason.ADJUSTED, note="AAPL1 260402C00105000")),
        (legs(("AAPL  260227C00105000", 1)), "AAPL", Refusal(Reason.EXPIRED, note="AAPL 27FEB26 105C")),
        (legs(("AAPL  260301C00105000", 1)), "AAPL", Refusal(Reason.EXPIRED, note="AAPL 01MAR26 105C")),
        (legs(("AAPL  260302C00105000", 1)), "AAPL", None),  # it ends today
        (legs(("SPX   260402C05000000", 1)), "SPX", None),
        (legs(("SPXW  260402C05000000", 1)), "SPX", None),
        (legs(("SPXW  260402C05000000", 1)), "SPXW", None),
        (legs(("XEO   260402C02000000", 1)), "OEX", None),
        (legs(("SPX   260402C05000000", 1)), "", unknown("'SPX   260402C05000000' is not an option on ")),
        (legs(("SPX   260402C05000000", 1)), "SPXW", unknown("'SPX   260402C05000000' is not an option on SPXW")),
        (legs(("VIX   260402C00020000", 1)), "SPX", unknown("'VIX   260402C00020000' is not an option on SPX")),
        (legs(("AAPLX 260402C00105000", 1)), "AAPL", unknown("'AAPLX 260402C00105000' is not an option on AAPL")),
        (legs(("SPX   260402C05000000", 1), ("SPXW  260402C05000000", -1)), "SPX", ROOTS),
        (legs(("BRKB  260402C00105000", 1), ("BRK/B", 1)), "BRK.B", None),
    ],
)
def test_legs_that_cannot_be_one_opening_order_are_refused(chosen, underlying, refusal):
    assert legs_fault(plan(legs=chosen, underlying=underlying), NOW) == refusal


def test_a_symbol_that_is_none_is_told_as_the_parser_tells_it():
    refusal = legs_fault(plan(legs=legs(("AAPL  260231C00105000", 1))), NOW)
    assert refusal.reason is Reason.UNKNOWN_SYMBOL
    assert refusal.note.startswith("'AAPL  260231C00105000' has no valid expiry date")


def test_the_day_is_new_yorks():
    ended = plan(legs=legs(("AAPL  260302C00105000", 1)))
    assert legs_fault(ended, from_et(TODAY, 23, 59)) is None
    assert legs_fault(ended, from_et(TODAY + timedelta(days=1), 0, 1)).reason is Reason.EXPIRED


def moment(the_plan=None, settings=SETTINGS, market=None, **around):
    return moment_fault(
        the_plan or plan(), NOW, quotes() if market is None else market, Surroundings(**around), settings
    )


@pytest.mark.parametrize(
    ("ends_in", "left"),
    [(30 * MINUTE, None), (30 * MINUTE - 1, 30.0), (MINUTE, 1.0), (0, 0.0), (-MINUTE, 0.0)],
)
def test_a_contract_is_not_opened_in_its_last_minutes(ends_in, left):
    told = moment(last_trade_ns={CALL: NOW + ends_in, HIGHER: NOW})
    if left is None:
        assert told is None
        return
    assert told == (Reason.EXPIRY_CUTOFF, {"minutes_left": pytest.approx(left), "cutoff_min": 30.0}, CALL)


def test_every_leg_is_asked_when_it_ends_and_the_cutoff_is_the_settings():
    spread = plan((CALL, 1), (HIGHER, -1))
    assert moment(spread, last_trade_ns={HIGHER: NOW + MINUTE}).note == HIGHER
    half = RiskSettings(expiry_cutoff_min=0.5)
    assert moment(settings=half, last_trade_ns={CALL: NOW + MINUTE // 2}) is None
    assert moment(settings=half, last_trade_ns={CALL: NOW + MINUTE // 2 - 1}).numbers["cutoff_min"] == 0.5


@pytest.mark.parametrize(
    ("days", "within", "refused"),
    [(0, 3, True), (3, 3, True), (4, 3, False), (-1, 3, False), (1, 1, True), (0, 0, False)],
)
def test_nothing_is_opened_within_so_many_days_of_earnings(days, within, refused):
    when = TODAY + timedelta(days=days)
    told = moment(settings=RiskSettings(earnings_days=within), earnings=when)
    numbers = {"earnings_in_days": float(days), "earnings_days": float(within)}
    assert told == (Refusal(Reason.EARNINGS, numbers, when.isoformat()) if refused else None)


def dividend(*signed, spot=108.9, pays=0.50, days=3, market=None, within=5):
    return moment(
        plan(*(signed or ((CALL, -1),)), price="1.00"),
        RiskSettings(ex_dividend_days=within),
        quotes(quote(), quote(HIGHER, 2.0, 2.1), quote(PUT, 1.0, 1.1)) if market is None else market,
        spot=spot, dividend=pays, ex_date=TODAY + timedelta(days=days),
    )  # fmt: skip


def test_a_sold_call_with_less_time_value_than_the_dividend_is_told_with_both():
    told = dividend()
    numbers = {"dividend": 0.50, "ex_in_days": 3.0, "time_value": pytest.approx(0.25)}  # 4.15 − 3.90
    assert told == (Reason.EX_DIVIDEND, numbers, CALL)


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"days": 1}, True),
        ({"days": 5}, True),
        ({"days": 0}, False),
        ({"days": -1}, False),
        ({"days": 6}, False),
        ({"days": 6, "within": 6}, True),
        ({"days": 1, "within": 0}, False),
        ({"pays": 0.30}, True),
        ({"pays": 0.20}, False),
        ({"spot": 100.0, "pays": 4.10}, False),  # out of the money all of it is time value
        ({"spot": 100.0, "pays": 4.20}, True),
        ({"spot": 100.0, "pays": 4.25, "market": quotes(quote(bid=4.0, ask=4.5))}, False),  # just as much
        ({"spot": 100.0, "pays": 4.26, "market": quotes(quote(bid=4.0, ask=4.5))}, True),
        ({"spot": None}, False),
        ({"pays": None}, False),
        ({"days": 30, "within": 60}, True),
        ({"days": 31, "within": 60}, True),  # its last day is the ex-date
        ({"days": 32, "within": 60}, False),
        ({"market": {}}, False),
        ({"market": quotes(quote(bid=0.0))}, False),
    ],
)
def test_the_dividend_asks_at_these_edges(given, refused):
    assert (dividend(**given) is not None) is refused


@pytest.mark.parametrize(
    ("signed", "named"),
    [
        (((CALL, 1),), None),
        (((PUT, -1),), None),
        ((("AAPL", -1),), None),
        (((CALL, 1), (HIGHER, -1)), None),  # its time value is all of 2.05
        (((HIGHER, 1), (CALL, -1)), CALL),
        (((PUT, -1), (CALL, -1)), CALL),
        ((("AAPL", -1), (CALL, -1)), CALL),
        (((HIGHER, -1), (CALL, -1)), CALL),
        ((("AAPL  260402C00104000", -1), (CALL, -1)), CALL),  # one without a quote hides no other
    ],
)
def test_only_sold_calls_are_asked_about_the_dividend_and_each_of_them(signed, named):
    told = dividend(*signed)
    assert (told and told.note) == named


@pytest.mark.parametrize(
    ("market", "doubts", "refusal"),
    [
        (quotes(quote()), {}, None),
        ({}, {}, Refusal(Reason.NO_QUOTE, note=CALL)),
        (quotes(quote(bid=0.0)), {}, Refusal(Reason.NO_QUOTE, note=CALL)),
        (quotes(quote(bid=4.3)), {}, Refusal(Reason.NO_QUOTE, note=CALL)),
        (quotes(quote(age_s=60)), {}, None),
        (
            quotes(quote(age_s=60.5)), {},
            Refusal(Reason.STALE_QUOTE, {"quote_age_s": 60.5, "quote_max_age_s": 60.0}, CALL),
        ),
        (quotes(quote()), {CALL: Reason.CROSSED}, Refusal(Reason.CROSSED, {"bid": 4.10, "ask": 4.20}, CALL)),
        (quotes(quote()), {HIGHER: Reason.CROSSED}, None),
    ],
)  # fmt: skip
def test_a_quote_must_be_there_young_and_believed(market, doubts, refusal):
    assert quotes_fault(plan(), NOW, market, Surroundings(doubts=doubts), SETTINGS) == refusal


def test_every_leg_needs_its_quote():
    spread = plan((CALL, 1), (HIGHER, -1))
    assert quotes_fault(spread, NOW, quotes(), Surroundings(), SETTINGS) == Refusal(Reason.NO_QUOTE, note=HIGHER)


@pytest.mark.parametrize(
    ("signed", "price", "theory", "worth"),
    [
        (((CALL, 1),), "-4.15", {}, None),
        (((CALL, 1),), "-4.15", {HIGHER: 0.1}, None),
        (((CALL, 1),), "-6.00", {CALL: 4.0}, None),  # 4 and half of it
        (((CALL, 1),), "-6.01", {CALL: 4.0}, -4.0),
        (((CALL, 1),), "-0.60", {CALL: 0.10}, None),  # half a dollar at least
        (((CALL, 1),), "-0.61", {CALL: 0.10}, -0.10),
        (((CALL, 1),), "-0.01", {CALL: 4.0}, None),
        (((PUT, -1),), "2.00", {PUT: 4.0}, None),
        (((PUT, -1),), "1.99", {PUT: 4.0}, 4.0),
        (((CALL, 1), (HIGHER, -2)), "-0.60", {CALL: 4.0, HIGHER: 1.95}, None),
        (((CALL, 1), (HIGHER, -2)), "-0.61", {CALL: 4.0, HIGHER: 1.95}, pytest.approx(-0.10)),
        (((CALL, 1), (HIGHER, -1)), "-9.00", {CALL: 4.0}, None),
    ],
)
def test_a_limit_worse_than_the_model_by_more_than_the_band_is_refused(signed, price, theory, worth):
    told = theory_fault(plan(*signed, price=price), Surroundings(theory=theory), SETTINGS)
    if worth is None:
        assert told is None
    else:
        assert told == (Reason.OFF_THEORY, {"limit": float(price), "theory": worth}, "")


def test_the_band_around_the_model_is_the_settings():
    wide = RiskSettings(theory_band=1.0)
    assert theory_fault(plan(price="-8.00"), Surroundings(theory={CALL: 4.0}), wide) is None
    assert theory_fault(plan(price="-8.01"), Surroundings(theory={CALL: 4.0}), wide) is not None


@pytest.mark.parametrize(
    ("signed", "spot", "dollars"),
    [
        (((CALL, 1),), 103.25, "10325"),
        (((CALL, 1),), None, "10500"),
        (((CALL, 1), (LOWER_PUT, -2)), None, "29500"),
        (((CALL, 1), (LOWER_PUT, -2)), 100.0, "30000"),
        ((("AAPL", 30),), 103.25, "3097.50"),
        ((("AAPL", 30),), None, "0"),
        ((("AAPL", 30), (CALL, -1)), None, "10500"),
    ],
)
def test_a_unit_stands_for_this_much_stock(signed, spot, dollars):
    assert notional(plan(*signed), spot) == Decimal(dollars)
