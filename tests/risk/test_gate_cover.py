"""What leans on what: an order that makes nothing worse passes every limit, one that takes cover away does not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.instruments import parse_option
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.risk.gate import Gate
from qmterm.risk.surroundings import Surroundings
from qmterm.risk.worst_case import Part
from tests.risk.plans import CALL, HIGHER, LOWER_PUT, NOW, PUT, book, closing, plan, quote, quotes

GATE = Gate(RiskSettings())
SHARES = ("external", "AAPL", 200, "98")
COVERED = plan((CALL, -1), price="4.15", loss="50", strategy="covered_call")


def check(the_plan, the_book, **more):
    return GATE.check(the_plan, the_book, NOW, **({"quotes": quotes(quote(), quote(HIGHER, 2.00, 2.10))} | more))


def test_a_call_is_sold_against_free_shares_of_anybody_and_no_more_of_them():
    verdict = check(COVERED, book(SHARES))
    assert verdict.contracts == 0  # its own strategy had no risk before: the shares it stands on are counted there
    assert verdict.reason in (Reason.LIMIT_TRADE, Reason.BAD_INPUT)
    owner = plan((CALL, -1), price="4.15", loss="50", strategy="external")
    assert check(owner, book(SHARES)).contracts == 2
    assert check(owner, book(SHARES), wanted=1).contracts == 1
    assert check(owner, book(SHARES), wanted=1).reason is None


def test_a_covered_call_of_another_strategy_claims_the_shares_it_stands_on():
    claims = plan((CALL, -1), price="4.15", loss="9390", strategy="covered_call")
    rich = book(SHARES, nlv=Decimal(1_000_000), cash=Decimal(900_000), option_buying_power=None)
    verdict = check(claims, rich)
    assert (verdict.contracts, verdict.reason) == (2, Reason.LIMIT_TRADE)
    one_hundred = book(("external", "AAPL", 150, "98"), nlv=Decimal(1_000_000), cash=Decimal(900_000))
    assert check(claims, one_hundred).contracts == 1
    assert check(claims, one_hundred).reason is Reason.UNDEFINED_RISK


def test_shares_that_an_order_may_sell_or_that_another_call_leans_on_cover_nothing():
    selling = book(SHARES, parts={("external", "AAPL"): (Part((("AAPL", -1),), 150, Decimal(99)),)})
    assert check(COVERED, selling).reason is Reason.UNDEFINED_RISK
    taken = book(SHARES, parts={("one", "AAPL"): (Part(((HIGHER, -1),), 2, Decimal(2)),)})
    assert check(COVERED, taken).reason is Reason.UNDEFINED_RISK


def test_an_order_that_makes_nothing_worse_is_held_back_by_no_limit_filter_rate_or_age():
    owner = plan((CALL, -1), price="4.15", loss="50", strategy="external")
    for changes in (
        {"orders_last_minute": 99}, {"nlv": None}, {"day_pnl": Decimal(-50_000)}, {"week_blocked": True},
        {"cash": Decimal(0)}, {"option_buying_power": Decimal(-1)}, {"risk_by_symbol": {"AAPL": Decimal(10**6)}},
    ):  # fmt: skip
        assert check(owner, book(SHARES, **changes)).contracts == 2
    assert check(owner, book(SHARES), quotes=quotes(quote(age_s=900))).contracts == 2
    assert check(owner, book(SHARES), around=Surroundings(doubts={CALL: Reason.CROSSED})).contracts == 2
    assert check(owner, book(SHARES), ladder=Reason.LADDER_NO_NEW).reason is Reason.LADDER_NO_NEW
    assert check(owner, book(SHARES), quotes=quotes(quote(bid=9, ask=9.1))).reason is Reason.PRICE_INSANE


def test_a_hedge_that_its_own_stop_may_sell_again_is_no_hedge():
    """A call below a bear call spread wins where that loses; with exits behind it, it may be gone by then."""
    below = "AAPL  260402C00100000"
    full = {"risk_by_symbol": {"AAPL": Decimal(10**6)}}
    bear = book(("atr_matrix", CALL, -1, "3"), ("atr_matrix", HIGHER, 1, "1"), **full)
    hedge, seen = plan((below, 1)), quotes(quote(below))
    assert check(hedge, bear, quotes=seen, wanted=1).contracts == 1
    assert check(hedge, bear, quotes=seen, wanted=1, fleeting=True).reason is Reason.LIMIT_SYMBOL


def test_a_ratio_that_one_unit_covers_is_not_taken_to_cover_many():
    """One call sold too many per unit: the three bought ones stand behind three units, not behind hundreds."""
    held = book(("atr_matrix", HIGHER, 3, "0.50"), nlv=Decimal(10**7), cash=Decimal(10**7), option_buying_power=None)
    naked = plan((CALL, -1), price="4.15", loss="150")
    verdict = check(naked, held)
    assert (verdict.contracts, verdict.reason) == (3, Reason.UNDEFINED_RISK)


def test_a_claim_below_what_the_book_then_loses_is_refused():
    held = book(("atr_matrix", HIGHER, 3, "0.50"))
    assert check(plan((CALL, -1), price="4.15", loss="10"), held).reason is Reason.BAD_INPUT


@pytest.mark.parametrize(
    ("held", "signed", "words"),
    [
        (("atr_matrix", CALL, -1, "3"), (CALL, 1), "close it instead"),
        (("atr_matrix", CALL, 1, "3"), (CALL, -1), "close it instead"),
        (("breakout", CALL, 1, "3"), (CALL, 1), "is held by breakout"),
    ],
)
def test_one_contract_is_one_position_of_one_strategy(held, signed, words):
    price = "-4.15" if signed[1] > 0 else "4.15"
    verdict = check(plan(signed, price=price), book(held))
    assert verdict.reason is Reason.ALREADY_HELD
    assert words in verdict.sentence


def test_shares_of_somebody_else_are_refused_by_their_own_name():
    verdict = check(plan(("AAPL", 100), price="-98", loss="9800"), book(SHARES))
    assert (verdict.reason, verdict.sentence) == (Reason.ALREADY_HELD, "AAPL is held by external")


@pytest.mark.parametrize(
    ("owner", "side", "words"), [("atr_matrix", -1, "the other way"), ("breakout", 1, "by breakout"), ("other", 0, "")]
)
def test_so_is_one_contract_that_an_order_may_open(owner, side, words):
    part = Part((((CALL if side else HIGHER), side or 1),), 1, Decimal(-4))
    verdict = check(plan(), book(parts={(owner, "AAPL"): (part,)}))
    assert (verdict.reason is Reason.ALREADY_HELD) == bool(side)
    assert words in verdict.sentence


@pytest.mark.parametrize(
    ("owner", "side", "words"), [("atr_matrix", -1, "the other way"), ("breakout", 1, "by breakout")]
)
def test_a_contract_that_only_a_proposal_would_open_is_not_said_to_be_held(owner, side, words):
    part = Part(((CALL, side),), 1, Decimal(-4), asked=True)
    verdict = check(plan(), book(parts={(owner, "AAPL"): (part,)}))
    assert verdict.reason is Reason.ALREADY_HELD
    said = f"{parse_option(CALL)} would be opened {words}, as a proposal that waits: answer that one first"
    assert verdict.sentence == said


def test_a_strategy_whose_entry_is_only_proposed_is_not_said_to_have_an_order_working():
    part = Part(((HIGHER, 1),), 1, Decimal(-4), asked=True)
    mine = {"working": frozenset({("atr_matrix", "AAPL")})}
    asked = check(plan(), book(parts={("atr_matrix", "AAPL"): (part,)}, **mine))
    assert (asked.reason, asked.sentence) == (
        Reason.ALREADY_WORKING,
        "a proposal of this strategy in the stock waits for an answer",
    )
    index = check(
        plan(("SPX   260402C00105000", 1), underlying="SPX"),
        book(parts={("atr_matrix", "SPXW"): (part,), ("other", "SPX"): (replace(part, asked=False),)},
             working=frozenset({("atr_matrix", "SPXW")})),
    )  # fmt: skip
    assert index.sentence == asked.sentence
    for parts in ((replace(part, asked=False),), (part, replace(part, asked=False)), ()):
        sent = check(plan(), book(parts={("atr_matrix", "AAPL"): parts}, **mine))
        assert sent.sentence == "an entry of this strategy in the stock is still working"


def test_the_same_strategy_may_hold_the_same_contract_without_that_guard():
    assert book(("atr_matrix", CALL, 1, "3")).crossed("atr_matrix", CALL, 1) == ""
    mine = book(parts={("atr_matrix", "AAPL"): (Part(((CALL, 1),), 1, Decimal(-4)),)})
    assert mine.crossed("atr_matrix", CALL, 1) == ""


SPREAD = (("one", CALL, 1, "4"), ("one", HIGHER, -1, "2"))
CONDOR = (*SPREAD, ("one", PUT, -2, "2"), ("one", LOWER_PUT, 2, "1"))


def leave(intent, the_book, closable):
    return GATE.check_exit(intent, closable, book=the_book)


def test_a_close_of_the_bought_leg_alone_is_refused_and_of_the_sold_one_or_both_is_not():
    spread = book(*SPREAD)
    free = {CALL: 1, HIGHER: -1}
    alone = leave(closing((CALL, -1), price="3.00"), spread, free)
    assert alone.reason is Reason.UNDEFINED_RISK
    assert "without cover" in alone.sentence
    assert leave(closing((HIGHER, 1), price="-3.00"), spread, free).approved
    assert leave(closing((CALL, -1), (HIGHER, 1), price="1.00"), spread, free).approved


def test_a_close_of_bought_puts_is_refused_where_the_sold_ones_then_break_a_limit():
    spread = book(("one", PUT, -2, "2"), ("one", LOWER_PUT, 2, "1"), risk_by_symbol={"AAPL": Decimal(800)})
    free = {LOWER_PUT: 2}
    sell = closing((LOWER_PUT, -2), price="0.50", units=2)
    assert leave(sell, spread, free).reason is Reason.LIMIT_SYMBOL
    rich = book(("one", PUT, -2, "2"), ("one", LOWER_PUT, 2, "1"), nlv=Decimal(10**6))
    assert leave(sell, rich, free).approved
    busy = book(
        ("one", PUT, -2, "2"), ("one", LOWER_PUT, 2, "1"), nlv=Decimal(10**6),
        risk_by_strategy={"one": Decimal(199_000)},
    )  # fmt: skip
    assert leave(sell, busy, free).reason is Reason.LIMIT_STRATEGY
    unknown = book(("one", PUT, -2, "2"), ("one", LOWER_PUT, 2, "1"), nlv=None)
    assert leave(sell, unknown, free).reason is Reason.LIMIT_SYMBOL


def test_closing_one_side_of_a_condor_costs_its_price_and_no_more():
    broke = book(*CONDOR, nlv=Decimal(1000), risk_by_symbol={"AAPL": Decimal(5000)})
    free = {PUT: -2, LOWER_PUT: 2}
    assert leave(closing((PUT, 2), (LOWER_PUT, -2), price="-0.40", units=2), broke, free).contracts == 2


def test_shares_that_a_call_of_another_strategy_leans_on_are_not_sold_away():
    leaning = book(SHARES, ("covered_call", CALL, -1, "4"))
    assert leave(closing(("AAPL", -100), price="99", units=100, strategy="external"), leaning, {"AAPL": 200}).approved
    all_of_it = closing(("AAPL", -200), price="99", units=200, strategy="external")
    assert leave(all_of_it, leaning, {"AAPL": 200}).reason is Reason.UNDEFINED_RISK
