"""Orders nobody could have meant: each is refused with its code, a sentence and the numbers; nothing is sized."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from qmterm.core.account import AccountFlags
from qmterm.core.clock import NS
from qmterm.core.orders import Action, Leg
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.risk.book import order_key
from qmterm.risk.gate import Gate
from qmterm.risk.sentences import sentence
from qmterm.risk.surroundings import Surroundings
from qmterm.risk.verdict import Verdict
from tests.risk.plans import CALL, HIGHER, LOWER_PUT, NOW, PUT, TODAY, book, closing, legs, plan, quote, quotes

GATE = Gate(RiskSettings())
SPREAD = {"loss": "219", "price": "-2.15"}
BOTH = quotes(quote(), quote(HIGHER, 2.00, 2.10))


def check(the_plan=None, the_book=None, gate=GATE, **more):
    return gate.check(the_plan or plan(), the_book or book(), NOW, **({"quotes": quotes()} | more))


def calls(*strikes):
    return [(f"AAPL  260402C{strike:05d}000", 1) for strike in strikes]


BAD = [
    (plan(price="-4.17", loss="420"), {}, Reason.OFF_TICK, "4.17 db"),
    (plan(legs=(Leg(CALL, Action.BUY_TO_OPEN, 0),)), {}, Reason.BAD_INPUT, "at least one contract"),
    (plan(legs=(Leg(CALL, Action.BUY_TO_OPEN, -2),)), {}, Reason.BAD_INPUT, "at least one contract"),
    (plan(legs=()), {}, Reason.BAD_INPUT, "at least one contract"),
    (plan(legs=(Leg(CALL, Action.BUY_TO_CLOSE, 1),)), {}, Reason.BAD_INPUT, "must open"),
    (plan(), {"wanted": 0}, Reason.BAD_INPUT, "0 units"),
    (plan(), {"wanted": -3}, Reason.BAD_INPUT, "-3 units"),
    (plan(("TSLA  260402C00105000", 1)), {}, Reason.UNKNOWN_SYMBOL, "not an option on AAPL"),
    (plan(("TSLA", 1)), {}, Reason.UNKNOWN_SYMBOL, "is not AAPL"),
    (plan(("AAPL  260231C00105000", 1)), {}, Reason.UNKNOWN_SYMBOL, "no valid expiry"),
    (plan(("SPXW  260402C00105000", 1)), {}, Reason.UNKNOWN_SYMBOL, "not an option on AAPL"),
    (plan(("AAPL  260227C00105000", 1)), {}, Reason.EXPIRED, "AAPL 27FEB26 105C"),
    (plan(("AAPL1 260402C00105000", 1)), {}, Reason.ADJUSTED, "AAPL1"),
    (plan(*calls(100, 101, 102, 103, 104)), {}, Reason.TOO_MANY_LEGS, "5 legs: an order takes 4 at most"),
    (plan((CALL, 1), (CALL, 1)), {}, Reason.BAD_INPUT, "in two legs"),
    (
        plan(("SPX   260402C00105000", 1), ("SPXW  260402C00110000", -1), underlying="SPX", **SPREAD),
        {}, Reason.BAD_INPUT, "different roots",
    ),
    (plan((CALL, -1), price="4.15"), {}, Reason.UNDEFINED_RISK, "no bound"),
    (plan((CALL, 1), (HIGHER, -2), price="-0.10", loss="20"), {"quotes": BOTH}, Reason.UNDEFINED_RISK, "no bound"),
    (plan(loss="Infinity"), {}, Reason.UNDEFINED_RISK, "no bound"),
    (plan(loss="40"), {}, Reason.BAD_INPUT, "claims to lose less than 415"),
    (plan(), {"quotes": {}}, Reason.NO_QUOTE, "no two-sided quote"),
    (plan(), {"quotes": quotes(quote(bid=0.0, ask=0.0))}, Reason.NO_QUOTE, "no two-sided quote"),
    (plan(), {"quotes": quotes(quote(age_s=61))}, Reason.STALE_QUOTE, "61 s, at most 60"),
    (plan(price="-9.00", loss="902"), {}, Reason.PRICE_INSANE, "9.00 db lies beyond the market (4.20 db)"),
    (plan(), {"around": Surroundings(doubts={CALL: Reason.OFF_PARITY})}, Reason.OFF_PARITY, "OFF_PARITY"),
    (plan(), {"around": Surroundings(theory={CALL: 2.0})}, Reason.OFF_THEORY, "4.15 db is far from what"),
    (plan(), {"ladder": Reason.LADDER_NO_NEW}, Reason.LADDER_NO_NEW, "NO-NEW"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "given", "reason", "words"), BAD, ids=range(len(BAD)))
def test_a_bad_order_is_refused_with_code_and_sentence(bad, given, reason, words):
    verdict = check(bad, **given)
    assert (verdict.contracts, verdict.reason) == (0, reason)
    assert words in verdict.sentence
    assert verdict.sentence


def test_a_market_nobody_makes_takes_no_order_of_any_side():
    empty = quotes(quote(bid=0.0, ask=0.0), quote(HIGHER, 0.0, 0.0))
    assert check(plan((CALL, 1), (HIGHER, -1), **SPREAD), quotes=empty).reason is Reason.NO_QUOTE


@pytest.mark.parametrize("bad", [closing((CALL, -1), price="0"), closing((CALL, -1), price="NaN")])
def test_a_close_without_a_price_is_refused_with_its_numbers(bad):
    verdict = GATE.check_exit(bad, {CALL: 1}, quotes=quotes())
    assert verdict.reason is Reason.PRICE_INSANE
    assert verdict.numbers["natural"] == 4.10


def test_an_index_is_traded_in_all_its_roots():
    occ = "SPXW  260402C00105000"
    assert check(plan((occ, 1), underlying="SPX", price="-4.20", loss="422"), quotes=quotes(quote(occ))).approved


def test_shares_are_known_by_any_spelling_of_their_class():
    shares = plan(("BRK/B", 1), underlying="BRK.B", price="-4.15", loss="5")
    assert check(shares, quotes=quotes(quote("BRK/B"))).reason is not Reason.UNKNOWN_SYMBOL


def test_the_model_is_asked_about_the_worse_side_only_and_for_all_legs():
    assert check(around=Surroundings(theory={CALL: 9.0})).approved  # cheap is no danger
    assert check(around=Surroundings(theory={CALL: 2.80})).approved  # within half of it
    spread = plan((CALL, 1), (HIGHER, -1), **SPREAD)
    assert check(spread, quotes=BOTH, around=Surroundings(theory={CALL: 0.1})).approved
    dear = Surroundings(theory={CALL: 2.0, HIGHER: 1.6})
    assert check(spread, quotes=BOTH, around=dear).numbers["theory"] == pytest.approx(-0.4)


@pytest.mark.parametrize(("minutes", "approved"), [(31, True), (30, True), (29, False), (-5, False)])
def test_a_contract_is_not_opened_in_its_last_half_hour(minutes, approved):
    around = Surroundings(last_trade_ns={CALL: NOW + minutes * 60 * NS})
    verdict = check(around=around)
    assert verdict.approved is approved
    if not approved:
        assert verdict.reason is Reason.EXPIRY_CUTOFF
        assert verdict.numbers["minutes_left"] == max(0, minutes)


@pytest.mark.parametrize(("days", "approved"), [(-1, True), (0, False), (1, False), (2, True)])
def test_nothing_is_opened_just_before_earnings(days, approved):
    around = Surroundings(earnings=TODAY + timedelta(days=days))
    assert check(around=around).approved is approved
    off = Gate(RiskSettings(earnings_days=0))
    assert check(around=around, gate=off).approved


SOLD = plan((PUT, 1), (CALL, -1), (HIGHER, 1), price="0.60", loss="600")
SOLD_QUOTES = quotes(quote(), quote(HIGHER, 2.0, 2.1), quote(PUT, 1.4, 1.5))


@pytest.mark.parametrize(
    ("spot", "dividend", "days", "refused"),
    [
        (108.9, 0.50, 3, True),
        (108.9, 0.20, 3, False),  # 4.15 − 3.90: a quarter of time value
        (108.9, 0.50, 6, False),
        (108.9, 0.50, 0, False),
        (104.0, 3.00, 3, False),
        (None, 0.50, 3, False),
        (108.9, None, 3, False),
    ],
)
def test_a_call_that_a_dividend_will_have_assigned_is_not_sold(spot, dividend, days, refused):
    around = Surroundings(spot=spot, dividend=dividend, ex_date=TODAY + timedelta(days=days))
    verdict = check(SOLD, quotes=SOLD_QUOTES, around=around)
    assert (verdict.reason is Reason.EX_DIVIDEND) is refused
    assert not refused or "time value is 0.25" in verdict.sentence


def test_only_a_sold_call_that_lives_over_the_ex_date_is_asked_about_a_dividend():
    around = Surroundings(spot=108.9, dividend=5.0, ex_date=TODAY + timedelta(days=3))
    assert check(around=around).approved
    puts = plan((PUT, -1), (LOWER_PUT, 1), price="0.80", loss="430")
    both = quotes(quote(PUT, 1.9, 2.0), quote(LOWER_PUT, 1.0, 1.1))
    assert check(puts, quotes=both, around=around).approved
    near = "AAPL  260304C00105000"
    spread = plan((near, -1), ("AAPL  260304C00110000", 1), price="2.00", loss="310")
    quoted = quotes(quote(near), quote("AAPL  260304C00110000", 2.0, 2.1))
    assert check(spread, quotes=quoted, around=around).approved


def test_the_same_order_twice_within_seconds_is_refused():
    twice = book(recent=frozenset({order_key(legs((CALL, 1)))}))
    assert check(the_book=twice).reason is Reason.DUPLICATE_INTENT
    assert check(the_book=twice, gate=Gate(RiskSettings(duplicate_s=0))).approved
    assert check(the_book=book(recent=frozenset({order_key(legs((HIGHER, 1)))}))).approved


def test_the_blocks_of_week_and_drawdown_hold():
    week = check(the_book=book(week_blocked=True, week_pnl=Decimal(-5100)))
    assert week.reason is Reason.WEEKLY_LOSS
    assert "-5,100" in week.sentence
    assert check(the_book=book(drawdown_blocked=True, drawdown=Decimal(11_000))).reason is Reason.DRAWDOWN


def test_a_penny_option_does_not_stand_for_more_stock_than_an_order_may():
    cheap = plan(price="-0.05", loss="6")
    penny = quotes(quote(bid=0.04, ask=0.06))
    verdict = check(cheap, quotes=penny, around=Surroundings(spot=104.0))
    assert (verdict.contracts, verdict.reason) == (96, Reason.LIMIT_NOTIONAL)
    assert check(cheap, quotes=penny).contracts == 95  # at the strike where the spot is not known
    stock = plan(("AAPL", 1), price="-4.15", loss="5")
    assert check(stock, quotes=quotes(quote("AAPL"))).numbers["notional"] == 0.0


FLAGS = [
    ({"closed": True}, "closed"),
    ({"frozen": True}, "frozen"),
    ({"closing_only": True}, "only close"),
    ({"risk_reducing_only": True}, "only reduce"),
    ({"margin_call": True}, "margin call"),
]


@pytest.mark.parametrize(("flags", "words"), FLAGS)
def test_what_the_broker_says_of_the_account_holds(flags, words):
    verdict = check(around=Surroundings(flags=AccountFlags(**flags)))
    assert verdict.reason is Reason.ACCOUNT_RESTRICTED
    assert words in verdict.sentence


def test_calls_are_not_sold_where_the_broker_does_not_allow_it():
    spread = plan((CALL, -1), (HIGHER, 1), price="2.00", loss="310")
    around = Surroundings(flags=AccountFlags(short_calls=False))
    assert check(spread, quotes=BOTH, around=around).reason is Reason.ACCOUNT_RESTRICTED
    assert check(around=around).approved


def test_day_trades_are_counted_by_the_broker_and_by_us():
    small = book(nlv=Decimal(24_000), cash=Decimal(24_000), option_buying_power=None, previous_nlv=None)
    legacy = Gate(RiskSettings(day_trade_mode="legacy_pdt"))
    three = Surroundings(flags=AccountFlags(day_trade_count=3))
    refused = check(the_book=small, gate=legacy, around=three)
    assert refused.reason is Reason.DAY_TRADES
    assert "3 day trades used of 3" in refused.sentence
    assert check(the_book=replace(small, day_trades=3), gate=legacy).reason is Reason.DAY_TRADES
    assert check(the_book=replace(small, day_trades=2), gate=legacy).approved
    assert check(the_book=small, around=three).approved  # the new rule counts none
    assert check(gate=legacy, around=three).approved  # above $25,000
    own = Gate(RiskSettings(max_day_trades=1))
    assert check(the_book=book(day_trades=1), gate=own).reason is Reason.DAY_TRADES


def test_a_cash_account_spends_what_is_settled_and_sells_nothing_without_cover():
    cash = Gate(RiskSettings(day_trade_mode="cash"))
    spread = plan((CALL, -1), (HIGHER, 1), price="2.00", loss="310")
    assert check(spread, quotes=BOTH, gate=cash).reason is Reason.ACCOUNT_RESTRICTED
    verdict = check(the_book=book(unsettled=Decimal(79_000)), gate=cash)
    assert (verdict.contracts, verdict.reason) == (2, Reason.LIMIT_SETTLED_CASH)
    none = check(the_book=book(unsettled=Decimal(90_000)), gate=cash)
    assert (none.contracts, none.reason) == (0, Reason.LIMIT_SETTLED_CASH)
    assert check(the_book=book(unsettled=Decimal(79_000))).reason is Reason.LIMIT_TRADE


def test_a_negative_buying_power_takes_no_order():
    verdict = check(the_book=book(option_buying_power=Decimal(-200)))
    assert (verdict.contracts, verdict.reason) == (0, Reason.LIMIT_BUYING_POWER)
    assert "-200" in verdict.sentence


def test_every_code_has_words_and_one_of_another_room_is_its_own():
    assert sentence(Reason.DELTA_RANGE, {}) == "DELTA_RANGE"
    assert sentence(Reason.STALE_QUOTE, {"quote_age_s": None}) == "a leg's quote is too old: – s, at most –"
    assert Verdict(3, None).sentence == ""
    shown = sentence(Reason.LIMIT_TRADE, {"max_loss": 1234.5}, "a note")
    assert shown == "one unit may lose 1,234.50: more than a trade may (a note)"
