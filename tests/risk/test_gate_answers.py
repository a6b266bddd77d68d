"""The gate's answers in full: units, reason, every number and note, and which refusal comes before which."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.account import AccountFlags
from qmterm.core.clock import NS
from qmterm.core.instruments import parse_option
from qmterm.core.orders import Action, Leg
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.ticks import TickProgram
from qmterm.risk.book import order_key
from qmterm.risk.gate import Gate
from qmterm.risk.surroundings import Surroundings
from qmterm.risk.verdict import Verdict
from qmterm.risk.worst_case import Part
from tests.risk.plans import CALL, HIGHER, LOWER_PUT, NOW, PUT, book, closing, plan, quote, quotes

GATE = Gate(RiskSettings())
SHARES = ("external", "AAPL", 200, "98")
NUMBERS = {
    "nlv": 100_000.0,
    "cash": 80_000.0,
    "max_loss": 416.15,
    "buying_power": 416.15,
    "symbol_risk": 0.0,
    "strategy_risk": 0.0,
    "day_pnl": 0.0,
    "week_pnl": None,
    "drawdown": None,
    "option_buying_power": 80_000.0,
    "orders_last_minute": 0.0,
    "limit": -4.15,
    "most_orders": 20.0,
    "duplicate_s": 5.0,
}
SIZED = {
    "notional": 10_500.0,  # 100 shares at the strike, since no spot is known
    "settled_cash": None,
    "cap_trade": 4.0,
    "cap_symbol": 12.0,
    "cap_strategy": 48.0,
    "cap_cash": 144.0,
    "cap_buying_power": 192.0,
}


def check(the_plan=None, the_book=None, gate=GATE, **more):
    return gate.check(the_plan or plan(), the_book or book(), NOW, **({"quotes": quotes()} | more))


def test_a_sound_plan_is_answered_with_every_number_behind_its_size():
    assert check() == Verdict(4, Reason.LIMIT_TRADE, NUMBERS | SIZED)


def test_the_numbers_are_those_of_the_book():
    given = book(
        nlv=Decimal(90_000), cash=Decimal(70_000), option_buying_power=Decimal(60_000), day_pnl=Decimal(-5),
        week_pnl=Decimal(-6), drawdown=Decimal(7), orders_last_minute=3,
        risk_by_symbol={"AAPL": Decimal(100)}, risk_by_strategy={"atr_matrix": Decimal(200), "other": Decimal(9)},
    )  # fmt: skip
    told = {
        "nlv": 90_000.0, "cash": 70_000.0, "option_buying_power": 60_000.0, "day_pnl": -5.0, "week_pnl": -6.0,
        "drawdown": 7.0, "orders_last_minute": 3.0, "symbol_risk": 100.0, "strategy_risk": 200.0,
    }  # fmt: skip
    caps = {
        "cap_symbol": 10.0,  # (4,500 − 100) ÷ 416.15
        "cap_strategy": 42.0,  # (18,000 − 200) ÷ 416.15
        "cap_cash": 124.0,  # (70,000 − 18,000) ÷ 416.15
        "cap_buying_power": 144.0,
    }
    assert check(the_book=given).numbers == NUMBERS | SIZED | told | caps


def test_what_is_not_known_is_told_as_not_known():
    blind = book(nlv=None, option_buying_power=None, day_pnl=None)
    told = {"nlv": None, "option_buying_power": None, "day_pnl": None}
    assert check(the_book=blind) == Verdict(0, Reason.NO_NLV, NUMBERS | told)
    free = check(the_book=book(option_buying_power=None))
    assert (free.numbers["option_buying_power"], free.numbers["cap_buying_power"]) == (None, None)


def test_the_buying_power_is_the_larger_of_the_plans_and_reg_ts():
    credit = plan((PUT, -1), (LOWER_PUT, 1), price="1.20", loss="382")
    both = quotes(quote(PUT, 2.00, 2.10), quote(LOWER_PUT, 0.80, 0.90))
    asked = check(replace(credit, buying_power=Decimal(100)), quotes=both, around=Surroundings(spot=103.0))
    assert asked.numbers["buying_power"] == 380.0
    assert asked.numbers["cap_cash"] == 60_000 // 380
    assert asked.numbers["notional"] == 2 * 10_300.0


def test_a_cash_account_spends_what_is_settled():
    cash = Gate(RiskSettings(day_trade_mode="cash"))
    assert check(gate=cash, the_book=book(unsettled=Decimal(500))).numbers["settled_cash"] == 79_500.0
    verdict = check(gate=cash, the_book=book(unsettled=Decimal(79_500)))
    assert (verdict.contracts, verdict.reason) == (1, Reason.LIMIT_SETTLED_CASH)
    assert verdict.numbers["settled_cash"] == 500.0
    none = check(gate=cash, the_book=book(unsettled=Decimal(90_000)))
    assert (none.contracts, none.reason, none.numbers["settled_cash"]) == (0, Reason.LIMIT_SETTLED_CASH, 0.0)


def test_what_was_asked_for_is_a_whole_number_of_units():
    assert (check(wanted=1).contracts, check(wanted=1).reason) == (1, Reason.LIMIT_TRADE)
    refused = check(wanted=0)
    assert refused == Verdict(0, Reason.BAD_INPUT, NUMBERS, "0 units were asked for")
    assert check(wanted=0, market_open=False).reason is Reason.MARKET_CLOSED


def test_most_contracts_bind_what_makes_nothing_worse_too():
    few = Gate(RiskSettings(max_contracts=1))
    owner = plan((CALL, -1), price="4.15", loss="50", strategy="external")
    assert check(owner, book(SHARES), gate=few).contracts == 1
    assert check(owner, book(SHARES), gate=few, wanted=2).contracts == 1
    assert check(owner, book(SHARES), wanted=2) == Verdict(
        2, None, NUMBERS | {"max_loss": 50.0, "buying_power": 50.0, "limit": 4.15}
    )


def test_what_makes_nothing_worse_goes_without_a_reason_where_the_rest_is_refused():
    owner = plan((CALL, -1), price="4.15", loss="50", strategy="external")
    verdict = check(owner, book(SHARES, week_blocked=True), around=Surroundings(spot=103.0))
    assert (verdict.contracts, verdict.reason, verdict.note) == (2, None, "")
    assert verdict.numbers["limit"] == 4.15
    assert verdict.numbers["buying_power"] > 50.0  # Reg-T of a call sold alone


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-Infinity"])
def test_a_price_that_is_no_number_is_refused_before_anything_is_counted_with_it(price):
    verdict = check(plan(price=price, loss="400"))
    assert (verdict.contracts, verdict.reason) == (0, Reason.PRICE_INSANE)


def test_a_limit_is_judged_on_the_brokers_own_grid():
    odd = plan(price="-4.13", loss="415")
    assert check(odd).reason is Reason.OFF_TICK
    assert check(odd, program=TickProgram.PENNY_ALL).approved
    sold = closing((CALL, -1), price="4.13")
    assert GATE.check_exit(sold, {CALL: 1}).reason is Reason.OFF_TICK
    assert GATE.check_exit(sold, {CALL: 1}, program=TickProgram.PENNY_ALL).approved


def test_a_price_band_widens_what_is_sane():
    dear = plan(price="-4.30", loss="432")
    refused = check(dear)
    assert refused.reason is Reason.PRICE_INSANE
    assert (refused.numbers["limit"], refused.numbers["natural"]) == (-4.30, -4.20)
    assert refused.sentence == "the limit 4.30 db lies beyond the market (4.20 db) or what the order can ever be worth"
    assert check(dear, gate=Gate(RiskSettings(price_band=0.05))).approved


def test_a_price_without_a_market_is_told_without_one():
    verdict = GATE.check_exit(closing((CALL, -1), price="-1.00"), {CALL: 1})
    assert verdict.reason is Reason.PRICE_INSANE
    assert verdict.numbers == {"wanted": 1.0, "closable": 1.0, "limit": -1.0, "trigger": None, "natural": None}
    assert verdict.sentence == "the limit 1.00 db lies beyond the market (–) or what the order can ever be worth"


RICH = {"nlv": Decimal(10**6), "cash": Decimal(10**6), "option_buying_power": None}
# Each changes one thing that is refused; where several hold, the first of them is told.
IN_ORDER = [
    ("ladder", Reason.LADDER_HALT, ""),
    ("expired", Reason.PROPOSAL_EXPIRED, ""),
    ("closed", Reason.MARKET_CLOSED, ""),
    ("frozen", Reason.SYMBOL_FROZEN, ""),
    ("crossed", Reason.ALREADY_HELD, f"{parse_option(CALL)} is being opened the other way"),
    ("held", Reason.ALREADY_HELD, ""),
    ("working", Reason.ALREADY_WORKING, ""),
    ("claim", Reason.UNDEFINED_RISK, ""),
    ("account", Reason.ACCOUNT_RESTRICTED, "the account may only close positions"),
    ("quotes", Reason.NO_QUOTE, CALL),
    ("price", Reason.PRICE_INSANE, ""),
    ("moment", Reason.EXPIRY_CUTOFF, CALL),
    ("theory", Reason.OFF_THEORY, ""),
    ("nlv", Reason.NO_NLV, ""),
    ("day", Reason.DAILY_LOSS, ""),
    ("week", Reason.WEEKLY_LOSS, ""),
    ("drawdown", Reason.DRAWDOWN, ""),
    ("again", Reason.DUPLICATE_INTENT, ""),
    ("rate", Reason.ORDER_RATE, ""),
]


def faults(names):
    """The arguments of a check in which the named things are wrong."""
    in_plan, in_book, around, more = {}, {}, {}, {}
    for name in names:
        match name:
            case "ladder":
                more["ladder"] = Reason.LADDER_HALT
            case "expired":
                in_plan["expires_ns"] = NOW
            case "closed":
                more["market_open"] = False
            case "frozen":
                in_book["frozen"] = frozenset({"AAPL"})
            case "crossed":
                in_book["parts"] = {("atr_matrix", "AAPL"): (Part(((CALL, -1), (HIGHER, 1)), 1, Decimal(1)),)}
            case "held":
                in_book["held"] = frozenset({("atr_matrix", "AAPL")})
            case "working":
                in_book["working"] = frozenset({("atr_matrix", "AAPL")})
            case "claim":
                in_plan["max_loss"] = Decimal(0)
            case "account":
                around["flags"] = AccountFlags(closing_only=True)
            case "quotes":
                more["quotes"] = {}
            case "price":
                in_plan["net_price"] = Decimal("-4.30")
                in_plan.setdefault("max_loss", Decimal(432))
            case "moment":
                around["last_trade_ns"] = {CALL: NOW + 60 * NS}
            case "theory":
                around["theory"] = {CALL: 1.0}
            case "nlv":
                in_book["nlv"] = None
            case "day":
                in_book["day_pnl"] = Decimal(-2000)
            case "week":
                in_book["week_blocked"] = True
            case "drawdown":
                in_book["drawdown_blocked"] = True
            case "again":
                in_book["recent"] = frozenset({order_key(plan().legs)})
            case "rate":
                in_book["orders_last_minute"] = 20
    return plan(**in_plan), book(**in_book), more | {"around": Surroundings(**around)}


@pytest.mark.parametrize("place", range(len(IN_ORDER)))
def test_of_all_that_is_wrong_the_first_is_told_with_its_note(place):
    name, reason, note = IN_ORDER[place]
    later = [name for name, _, _ in IN_ORDER[place:]]
    quoted = [name for name in later if name != "quotes"]  # without a market no price is beyond it
    for names in ([name], later, [name, *quoted]):
        the_plan, the_book, more = faults(names)
        verdict = check(the_plan, the_book, **more)
        assert (verdict.contracts, verdict.reason, verdict.note) == (0, reason, note), names


def test_a_refusal_keeps_the_numbers_of_the_plan_and_adds_its_own():
    the_plan, the_book, more = faults(["moment"])
    refused = check(the_plan, the_book, **more)
    assert refused.numbers == NUMBERS | {"minutes_left": 1.0, "cutoff_min": 30.0}


@pytest.mark.parametrize(
    ("in_plan", "in_book", "refused"),
    [
        ({"expires_ns": NOW + 1}, {}, False),
        ({}, {"day_pnl": Decimal("-1999.99")}, False),
        ({}, {"day_pnl": Decimal(-1999), "previous_nlv": Decimal(99_000)}, True),
        ({}, {"day_pnl": Decimal(-2000), "previous_nlv": None}, False),
        ({}, {"day_pnl": None}, False),
        ({}, {"day_pnl": Decimal(-2000), "previous_nlv": Decimal(0)}, False),
        ({}, {"day_pnl": Decimal(-2000), "previous_nlv": Decimal(-1)}, False),
        ({}, {"day_pnl": Decimal("-0.02"), "previous_nlv": Decimal(1)}, True),
        ({}, {"orders_last_minute": 19}, False),
        ({}, {"orders_last_minute": 21}, True),
    ],
)
def test_each_threshold_of_the_day_is_where_it_is_said_to_be(in_plan, in_book, refused):
    assert check(plan(**in_plan), book(**in_book)).approved is not refused


@pytest.mark.parametrize("worth", [None, "NaN", "Infinity", "0", "-1"])
def test_an_account_worth_nothing_known_opens_nothing(worth):
    nlv = None if worth is None else Decimal(worth)
    assert check(the_book=book(nlv=nlv)).reason is Reason.NO_NLV
    assert check(the_book=book(nlv=Decimal(1))).reason is Reason.LIMIT_TRADE


def test_a_plan_that_takes_no_buying_power_is_not_bound_by_cash():
    verdict = check(replace(plan(), buying_power=Decimal(0)), book(cash=Decimal(1)))
    assert (verdict.contracts, verdict.reason) == (4, Reason.LIMIT_TRADE)
    assert (verdict.numbers["cap_cash"], verdict.numbers["cap_buying_power"]) == (None, None)


def test_the_same_order_again_is_refused_only_while_that_is_asked_for():
    again = book(recent=frozenset({order_key(plan().legs)}))
    verdict = check(the_book=again)
    assert verdict.sentence == "the same order was made within the last 5 seconds"
    assert check(the_book=again, gate=Gate(RiskSettings(duplicate_s=0))).approved
    assert check(the_book=book(recent=frozenset({order_key((Leg(HIGHER, Action.BUY_TO_OPEN, 1),))}))).approved


def test_the_rate_is_told_with_its_limit():
    verdict = check(the_book=book(orders_last_minute=20))
    assert verdict.sentence == "20 opening orders in the last minute: 20 at most"


def test_a_claim_that_is_exactly_what_can_be_lost_passes_and_a_cent_less_does_not():
    rich = book(**RICH)
    assert check(plan(loss="415.00"), rich).approved
    short = check(plan(loss="414.99"), rich)
    assert (short.reason, short.numbers["worst"]) == (Reason.BAD_INPUT, 415.0)
    assert short.note == "it claims to lose less than 415.00"


def test_a_claim_of_cents_is_a_claim():
    """A spread sold for its whole width loses nothing; what is claimed are the fees."""
    whole = plan((PUT, -1), (LOWER_PUT, 1), price="5.00", loss="0.50")
    verdict = check(whole, quotes=quotes(quote(PUT, 5.0, 5.2), quote(LOWER_PUT, 0.1, 0.2)))
    assert (verdict.contracts, verdict.reason) == (500, Reason.LIMIT_NOTIONAL)


@pytest.mark.parametrize("claim", ["NaN", "Infinity", "0", "-0.01"])
def test_a_claim_that_is_no_loss_has_no_bound(claim):
    verdict = check(replace(plan(), max_loss=Decimal(claim)))
    assert (verdict.contracts, verdict.reason) == (0, Reason.UNDEFINED_RISK)


def test_a_covered_claim_is_what_the_book_loses_more_than_before():
    """One call sold on a held higher one: the spread can lose 500 less the 415 received."""
    held = book(("atr_matrix", HIGHER, 3, "0.50"), **RICH)
    naked = plan((CALL, -1), price="4.15", loss="85")
    assert (check(naked, held).contracts, check(naked, held).reason) == (3, Reason.UNDEFINED_RISK)
    short = check(replace(naked, max_loss=Decimal("84.99")), held)
    assert (short.reason, short.numbers["worst"]) == (Reason.BAD_INPUT, 85.0)
    assert check(naked, held, wanted=2).contracts == 2
    assert check(naked, held, wanted=2).reason is Reason.LIMIT_TRADE


# --- closes ---


def leave(intent, the_book, closable, **more):
    return GATE.check_exit(intent, closable, book=the_book, **more)


def test_a_halt_is_told_without_numbers_and_only_to_a_machine():
    one = closing((CALL, -1), price="4.10")
    assert GATE.check_exit(one, {CALL: 1}, ladder=Reason.LADDER_HALT) == Verdict(0, Reason.LADDER_HALT)
    went = Verdict(1, None, {"wanted": 1.0, "closable": 1.0})
    assert GATE.check_exit(one, {CALL: 1}, ladder=Reason.LADDER_HALT, by_person=True) == went
    assert GATE.check_exit(one, {CALL: 1}, by_person=True) == went
    assert GATE.check_exit(one, {CALL: 1}, ladder=Reason.LADDER_FLATTEN) == went


def test_a_close_that_leaves_what_was_sold_without_cover_is_told_what_it_would_risk():
    spread = book(("one", CALL, 2, "4"), ("one", HIGHER, -2, "2"))
    verdict = leave(closing((CALL, -2), price="3.00", units=2), spread, {CALL: 2, HIGHER: -2})
    assert (verdict.contracts, verdict.reason) == (0, Reason.UNDEFINED_RISK)
    assert verdict.note == "it leaves what was sold without cover"
    before = 2 * (4 - 2) * 100.0
    far = 2 * (110 - 2 - 3 + 4) * 100.0  # at twice the highest strike: sold at 2, closed at 3 what had cost 4
    assert verdict.numbers == {
        "wanted": 2.0,
        "closable": 2.0,
        "worst_before": before,
        "max_loss": pytest.approx(far - before, abs=1000),
    }


def puts(sold, bought, **changes):
    return book(("one", PUT, -sold, "2"), ("one", LOWER_PUT, bought, "1"), **changes)


def test_a_close_beyond_a_limit_is_told_with_what_is_at_risk_there():
    held = puts(2, 2, risk_by_symbol={"AAPL": Decimal(800)}, risk_by_strategy={"one": Decimal(700)})
    verdict = leave(closing((LOWER_PUT, -2), price="0.50", units=2), held, {LOWER_PUT: 2})
    assert (verdict.contracts, verdict.reason) == (0, Reason.LIMIT_SYMBOL)
    assert verdict.note == "it leaves what was sold without cover"
    assert verdict.numbers == {
        "wanted": 2.0,
        "closable": 2.0,
        "worst_before": 800.0,  # (5 − 1) × 2 × 100
        "max_loss": 18_900.0,  # 2 × (100 − 2 + 1 − 0.50) × 100 = 19,700 afterwards
        "symbol_risk": 800.0,
        "strategy_risk": 700.0,
    }


@pytest.mark.parametrize(
    ("nlv", "in_symbol", "in_strategy", "reason"),
    [
        (400_000, 1100, 0, None),  # 1,100 + 18,900 = 5 % of 400,000
        (400_000, 1101, 0, Reason.LIMIT_SYMBOL),
        (400_000, 0, 61_100, None),  # 61,100 + 18,900 = 20 % of 400,000
        (400_000, 0, 61_101, Reason.LIMIT_STRATEGY),
        (400_000, 1101, 61_101, Reason.LIMIT_SYMBOL),
    ],
)
def test_a_close_may_uncover_up_to_the_limits_and_not_beyond(nlv, in_symbol, in_strategy, reason):
    held = puts(
        2, 2, nlv=Decimal(nlv), risk_by_symbol={"AAPL": Decimal(in_symbol)},
        risk_by_strategy={"one": Decimal(in_strategy)},
    )  # fmt: skip
    verdict = leave(closing((LOWER_PUT, -2), price="0.50", units=2), held, {LOWER_PUT: 2})
    assert verdict.reason is reason


def test_only_the_units_that_go_count_for_what_a_close_uncovers():
    held = puts(1, 3, nlv=Decimal(1000), risk_by_symbol={"AAPL": Decimal(5000)})
    all_three = closing((LOWER_PUT, -3), price="0.50", units=3)
    assert leave(all_three, held, {LOWER_PUT: 3}).reason is Reason.LIMIT_SYMBOL
    assert leave(all_three, held, {LOWER_PUT: 2}).contracts == 2  # one stays behind the one that was sold


@pytest.mark.parametrize(("count", "price"), [(1, "-3.00"), (3, "-3.00"), (4, "-0.40")])
def test_what_a_close_itself_costs_makes_nothing_worse(count, price):
    broke = book(("one", PUT, -count, "2"), nlv=Decimal(1000), risk_by_symbol={"AAPL": Decimal(9_000)})
    paid = closing((PUT, count), price=price, units=count)
    assert leave(paid, broke, {PUT: -count}).contracts == count


def test_closing_one_wing_of_a_condor_may_cost_its_price_where_the_other_wing_loses():
    """High and low it loses 200 a unit; paying 0.40 for the puts makes it 240 where the calls lose."""
    condor = (("one", CALL, -2, "4"), ("one", HIGHER, 2, "2"), ("one", PUT, -2, "2"), ("one", LOWER_PUT, 2, "1"))
    broke = book(*condor, nlv=Decimal(1000), risk_by_symbol={"AAPL": Decimal(5000)})
    wing = closing((PUT, 2), (LOWER_PUT, -2), price="-0.40", units=2)
    assert leave(wing, broke, {PUT: -2, LOWER_PUT: 2}) == Verdict(2, None, {"wanted": 2.0, "closable": 2.0})
