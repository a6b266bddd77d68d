"""Each refusal of the gate by its reason; exits pass where entries are refused, and never open."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.clock import NS
from qmterm.core.orders import Action, Leg, OrderIntent, Purpose
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.signals import Signal, SignalState, TradePlan
from qmterm.risk.book import RiskBook
from qmterm.risk.gate import Gate

NOW = 1_772_467_200 * NS
OCC = "AAPL  260402C00105000"
HIGHER = "AAPL  260402C00110000"
GATE = Gate(RiskSettings())
SIGNAL = Signal(
    "AAPL", "atr_matrix", NOW, SignalState.ENTRY_LONG, 103.0, 3.2, 100.0, 0.94, 1.0, 0.86, 98.2, (122.4, 132.0, 138.4),
    4.04, 18, 0.4,
)  # fmt: skip


def plan(**changes):
    base = TradePlan(
        plan_id="p1",
        time_ns=NOW,
        expires_ns=NOW + 3600 * NS,
        strategy="atr_matrix",
        underlying="AAPL",
        legs=(Leg(OCC, Action.BUY_TO_OPEN, 1),),
        net_price=Decimal("-4.15"),
        max_loss=Decimal("416.15"),
        buying_power=Decimal("416.15"),
        stop=98.2,
        targets=(122.4, 132.0, 138.4),
        horizon_date=date(2026, 3, 20),
        signal=SIGNAL,
    )
    return replace(base, **changes)


def book(**changes):
    base = RiskBook(
        nlv=Decimal(100_000),
        cash=Decimal(80_000),
        option_buying_power=Decimal(80_000),
        day_pnl=Decimal(0),
        previous_nlv=Decimal(100_000),
    )
    return replace(base, **changes)


def quote(symbol=OCC, bid=4.10, ask=4.20, age_s=1):
    return Quote(symbol, bid, ask, 10, 10, NOW - int(age_s * NS), NOW)


def quotes(*given):
    return {q.symbol: q for q in given or (quote(),)}


def check(the_plan=None, the_book=None, **more):
    more = {"quotes": quotes()} | more
    return GATE.check(the_plan or plan(), the_book or book(), NOW, **more)


def test_a_sound_plan_is_sized_and_its_binding_limit_named():
    verdict = check()
    assert (verdict.contracts, verdict.reason) == (4, Reason.LIMIT_TRADE)
    assert verdict.numbers["cap_trade"] == 4
    assert verdict.numbers["max_loss"] == 416.15


def test_somebody_may_ask_for_fewer_but_never_get_more():
    assert check(wanted=2).contracts == 2
    assert check(wanted=9).contracts == 4
    assert not check(wanted=-3).approved


REFUSALS = [
    ({"ladder": Reason.LADDER_NO_NEW}, {}, {}, Reason.LADDER_NO_NEW),
    ({"ladder": Reason.NOT_ARMED}, {}, {}, Reason.NOT_ARMED),
    ({"market_open": False}, {}, {}, Reason.MARKET_CLOSED),
    ({}, {"expires_ns": NOW}, {}, Reason.PROPOSAL_EXPIRED),
    ({}, {}, {"frozen": frozenset({"AAPL"})}, Reason.SYMBOL_FROZEN),
    ({}, {}, {"held": frozenset({("atr_matrix", "AAPL")})}, Reason.ALREADY_HELD),
    ({}, {}, {"working": frozenset({("atr_matrix", "AAPL")})}, Reason.ALREADY_WORKING),
    ({"quotes": {}}, {}, {}, Reason.NO_QUOTE),
    ({"quotes": quotes(quote(bid=0.0))}, {}, {}, Reason.NO_QUOTE),
    ({"quotes": quotes(quote(age_s=61))}, {}, {}, Reason.STALE_QUOTE),
    ({}, {"net_price": Decimal("-4.30"), "max_loss": Decimal(432)}, {}, Reason.PRICE_INSANE),
    ({}, {"net_price": Decimal("4.15")}, {}, Reason.PRICE_INSANE),
    ({}, {"net_price": Decimal(0)}, {}, Reason.PRICE_INSANE),
    ({}, {"net_price": Decimal("-4.17"), "max_loss": Decimal(420)}, {}, Reason.OFF_TICK),
    ({}, {"max_loss": Decimal("Infinity")}, {}, Reason.UNDEFINED_RISK),
    ({}, {"max_loss": Decimal(-1)}, {}, Reason.UNDEFINED_RISK),
    ({}, {"max_loss": Decimal(40)}, {}, Reason.BAD_INPUT),
    ({}, {"legs": ()}, {}, Reason.BAD_INPUT),
    ({}, {"legs": (Leg(OCC, Action.SELL_TO_CLOSE, 1),)}, {}, Reason.BAD_INPUT),
    ({}, {"legs": (Leg("AAPL1 260402C00105000", Action.BUY_TO_OPEN, 1),)}, {}, Reason.ADJUSTED),
    ({}, {"legs": (Leg(OCC, Action.SELL_TO_OPEN, 1),), "net_price": Decimal("4.15")}, {}, Reason.UNDEFINED_RISK),
    ({}, {}, {"nlv": None}, Reason.NO_NLV),
    ({}, {}, {"nlv": Decimal(-5)}, Reason.NO_NLV),
    ({}, {}, {"day_pnl": Decimal(-2000)}, Reason.DAILY_LOSS),
    ({}, {}, {"orders_last_minute": 20}, Reason.ORDER_RATE),
    ({}, {}, {"risk_by_symbol": {"AAPL": Decimal(4700)}}, Reason.LIMIT_SYMBOL),
    ({}, {}, {"risk_by_strategy": {"atr_matrix": Decimal(19_900)}}, Reason.LIMIT_STRATEGY),
    ({}, {}, {"cash": Decimal(20_100)}, Reason.LIMIT_CASH),
    ({}, {}, {"option_buying_power": Decimal(100)}, Reason.LIMIT_BUYING_POWER),
    ({}, {}, {"nlv": Decimal(20_000)}, Reason.LIMIT_TRADE),
]


@pytest.mark.parametrize(("given", "in_plan", "in_book", "reason"), REFUSALS)
def test_each_refusal_has_its_reason(given, in_plan, in_book, reason):
    verdict = check(plan(**in_plan), book(**in_book), **given)
    assert not verdict.approved
    assert verdict.contracts == 0
    assert verdict.reason is reason


def test_just_inside_each_threshold_passes():
    assert check(the_book=book(day_pnl=Decimal("-1999.99"))).approved
    assert check(the_book=book(orders_last_minute=19)).approved
    assert check(quotes=quotes(quote(age_s=60))).approved
    assert check(plan(net_price=Decimal("-4.25"), max_loss=Decimal(427))).approved  # the ask plus one tick


def test_another_strategy_may_hold_the_same_symbol():
    assert check(the_book=book(held=frozenset({("breakout", "AAPL")}))).approved


def test_a_debit_spread_is_judged_at_its_net_price():
    legs = (Leg(OCC, Action.BUY_TO_OPEN, 1), Leg(HIGHER, Action.SELL_TO_OPEN, 1))
    both = quotes(quote(), quote(HIGHER, 2.00, 2.10))
    fine = plan(legs=legs, net_price=Decimal("-2.17"), max_loss=Decimal(219), buying_power=Decimal(219))
    assert check(fine, quotes=both).approved  # pays up to 4.20 − 2.00 and a cent
    dear = replace(fine, net_price=Decimal("-2.30"), max_loss=Decimal(232), buying_power=Decimal(232))
    assert check(dear, quotes=both).reason is Reason.PRICE_INSANE
    assert check(replace(fine, net_price=Decimal("-2.175")), quotes=both).reason is Reason.OFF_TICK


def test_a_ratio_with_more_calls_sold_than_bought_has_no_bound():
    legs = (Leg(OCC, Action.BUY_TO_OPEN, 1), Leg(HIGHER, Action.SELL_TO_OPEN, 2))
    both = quotes(quote(), quote(HIGHER, 2.00, 2.10))
    assert check(plan(legs=legs, net_price=Decimal("-0.10")), quotes=both).reason is Reason.UNDEFINED_RISK


def entry(quantity=2, **changes):
    base = OrderIntent(
        "e1", NOW, "atr_matrix", "AAPL", Purpose.ENTRY, (Leg(OCC, Action.BUY_TO_OPEN, quantity),), quantity,
        Decimal("-4.15"), max_loss=Decimal("416.15") * quantity,
    )  # fmt: skip
    return replace(base, **changes)


def test_a_counted_entry_uses_up_risk_cash_and_rate():
    counted = book().counting(entry(4))
    assert counted.cash == Decimal(80_000) - 4 * Decimal("416.15")
    assert counted.option_buying_power == counted.cash
    assert counted.risk_by_symbol["AAPL"] == counted.risk_by_strategy["atr_matrix"] == 4 * Decimal("416.15")
    assert counted.orders_last_minute == 1
    assert check(the_book=counted).reason is Reason.ALREADY_WORKING


@pytest.mark.parametrize("price", ["-99.50", None])
def test_counted_shares_cost_their_price_and_not_a_hundred_times_it(price):
    """Without a limit: the price at which all is lost that the plan allowed for."""
    shares = entry(20, legs=(Leg("AAPL", Action.BUY_TO_OPEN, 20),), max_loss=Decimal(1990))
    counted = book().counting(replace(shares, net_price=None if price is None else Decimal(price)))
    assert counted.cash == Decimal(80_000) - 1990
    (part,) = counted.parts["atr_matrix", "AAPL"]
    assert (part.price, part.paid) == (Decimal("-99.50"), Decimal("99.50"))


def test_an_exit_counts_for_nothing_before_it_fills():
    assert book().counting(exit_order()) == book()


def test_any_row_of_counted_plans_stays_inside_the_limits():
    current = book(cash=Decimal(30_000), option_buying_power=None)
    for number in range(40):
        symbol = "ABC"[number % 3]
        occ = f"{symbol:<6}260402C{100 + number:05d}000"
        legs = (Leg(occ, Action.BUY_TO_OPEN, 1),)
        verdict = check(
            plan(underlying=symbol, strategy=f"s{number}", plan_id=str(number), legs=legs),
            replace(current, orders_last_minute=0),
            quotes=quotes(quote(occ)),
        )
        if verdict.approved:
            loss = Decimal("416.15") * verdict.contracts
            legs = (Leg(occ, Action.BUY_TO_OPEN, verdict.contracts),)
            current = current.counting(
                entry(verdict.contracts, underlying=symbol, strategy=f"s{number}", max_loss=loss, legs=legs)
            )
    assert current.cash >= 20_000
    assert max(current.risk_by_symbol.values()) <= 5_000
    assert current.cash < 21_000


def exit_order(quantity=3, symbol=OCC, action=Action.SELL_TO_CLOSE, price="4.10", units=None, **changes):
    base = OrderIntent(
        "x1", NOW, "atr_matrix", "AAPL", Purpose.EXIT, (Leg(symbol, action, quantity),), units or quantity,
        Decimal(price),
    )  # fmt: skip
    return replace(base, **changes)


def test_an_exit_is_capped_by_what_is_really_closable():
    assert GATE.check_exit(exit_order(3), {OCC: 5}, quotes=quotes()).contracts == 3
    assert GATE.check_exit(exit_order(3), {OCC: 2}, quotes=quotes()).contracts == 2
    assert GATE.check_exit(exit_order(3), {OCC: 2}).reason is None


@pytest.mark.parametrize(
    ("intent", "closable", "reason"),
    [
        (exit_order(), {}, Reason.NOTHING_TO_CLOSE),
        (exit_order(), {OCC: 0}, Reason.NOTHING_TO_CLOSE),
        (exit_order(), {OCC: -3}, Reason.WOULD_OPEN),
        (exit_order(action=Action.BUY_TO_CLOSE, price="-4.20"), {OCC: 3}, Reason.WOULD_OPEN),
        (exit_order(action=Action.SELL_TO_OPEN), {OCC: 3}, Reason.WOULD_OPEN),
        (exit_order(0), {OCC: 3}, Reason.NOTHING_TO_CLOSE),
        (exit_order(3, units=2), {OCC: 3}, Reason.WOULD_OPEN),
        (exit_order(legs=(Leg(OCC, Action.SELL_TO_CLOSE, 3),) * 2), {OCC: 3}, Reason.WOULD_OPEN),
        (exit_order(legs=()), {OCC: 3}, Reason.NOTHING_TO_CLOSE),
        (exit_order(price="NaN"), {OCC: 3}, Reason.PRICE_INSANE),
        (exit_order(price="-4.10"), {OCC: 3}, Reason.PRICE_INSANE),
        (exit_order(price="3.00"), {OCC: 3}, Reason.PRICE_INSANE),
        (exit_order(price="4.12"), {OCC: 3}, Reason.OFF_TICK),
    ],
)
def test_an_exit_that_opens_or_makes_no_sense_is_refused(intent, closable, reason):
    verdict = GATE.check_exit(intent, closable, quotes=quotes())
    assert (verdict.contracts, verdict.reason) == (0, reason)


def test_only_halt_holds_an_exit_of_the_machine_back():
    for level in (Reason.LADDER_NO_NEW, Reason.LADDER_REDUCE_ONLY, Reason.LADDER_FLATTEN):
        assert GATE.check_exit(exit_order(), {OCC: 3}, ladder=level, quotes=quotes()).approved
    assert GATE.check_exit(exit_order(), {OCC: 3}, ladder=Reason.LADDER_HALT).reason is Reason.LADDER_HALT
    assert GATE.check_exit(exit_order(), {OCC: 3}, ladder=Reason.LADDER_HALT, by_person=True).approved


def test_an_exit_does_not_wait_for_a_fresh_quote():
    assert GATE.check_exit(exit_order(), {OCC: 3}).approved
    assert GATE.check_exit(exit_order(), {OCC: 3}, quotes=quotes(quote(age_s=900))).approved
    assert GATE.check_exit(exit_order(price="0.01"), {OCC: 3}, quotes=quotes(quote(bid=0.0, ask=0.05))).approved


def test_a_spread_closes_whole_units_only():
    legs = (Leg(OCC, Action.SELL_TO_CLOSE, 4), Leg(HIGHER, Action.BUY_TO_CLOSE, 8))
    spread = exit_order(4, legs=legs, price="0.05", units=4)
    assert GATE.check_exit(spread, {OCC: 4, HIGHER: -5}).contracts == 2
    assert GATE.check_exit(spread, {OCC: 4, HIGHER: -1}).reason is Reason.NOTHING_TO_CLOSE


@pytest.mark.parametrize("spelled", ["BRK.B", "BRK/B", "BRKB"])
def test_a_share_class_is_one_underlying_however_it_is_spelled(spelled):
    """The plan says BRK.B and the position in its option BRKB: twelve entries of 2 % once went into one stock."""
    occ = "BRKB  260402C00105000"
    wish = plan(underlying="BRK.B", legs=(Leg(occ, Action.BUY_TO_OPEN, 1),))
    mine = ("atr_matrix", spelled)
    assert check(wish, book(held=frozenset({mine})), quotes={occ: quote(occ)}).reason is Reason.ALREADY_HELD
    assert check(wish, book(working=frozenset({mine})), quotes={occ: quote(occ)}).reason is Reason.ALREADY_WORKING
    assert check(wish, book(frozen=frozenset({spelled})), quotes={occ: quote(occ)}).reason is Reason.SYMBOL_FROZEN
    risky = book(risk_by_symbol={spelled: Decimal(3000), "BR": Decimal(50_000)})
    assert check(wish, risky, quotes={occ: quote(occ)}).numbers["symbol_risk"] == 3000.0
    both = book(risk_by_symbol={"BRK.B": Decimal(2000), "BRKB": Decimal(2500)})
    verdict = check(wish, both, quotes={occ: quote(occ)})
    assert (verdict.contracts, verdict.reason) == (1, Reason.LIMIT_SYMBOL)
    other = book(held=frozenset({("other", "BRKB"), ("atr_matrix", "BRK")}))
    assert check(wish, other, quotes={occ: quote(occ)}).approved


@pytest.mark.parametrize("held", ["SPX", "SPXW"])
@pytest.mark.parametrize(("root", "named"), [("SPX", "SPX"), ("SPXW", "SPX"), ("SPXW", "SPXW")])
def test_an_index_is_one_underlying_whichever_of_its_roots_is_traded(held, root, named):
    occ = f"{root:<6}260402C00105000"
    wish = plan(
        underlying=named, legs=(Leg(occ, Action.BUY_TO_OPEN, 1),), net_price=Decimal("-4.20"), max_loss=Decimal(425)
    )
    mine, quoted = ("atr_matrix", held), {occ: quote(occ)}
    assert check(wish, book(held=frozenset({mine})), quotes=quoted).reason is Reason.ALREADY_HELD
    assert check(wish, book(working=frozenset({mine})), quotes=quoted).reason is Reason.ALREADY_WORKING
    assert check(wish, book(frozen=frozenset({held})), quotes=quoted).reason is Reason.SYMBOL_FROZEN
    room = book(risk_by_symbol={held: Decimal(4500), "XSP": Decimal(50_000)})
    verdict = check(wish, room, quotes=quoted)
    assert (verdict.contracts, verdict.reason, verdict.numbers["symbol_risk"]) == (1, Reason.LIMIT_SYMBOL, 4500.0)
    both = book(risk_by_symbol={"SPX": Decimal(2400), "SPXW": Decimal(2400)})
    assert check(wish, both, quotes=quoted).reason is Reason.LIMIT_SYMBOL
    other = book(held=frozenset({("other", held), ("atr_matrix", "XSP")}), frozen=frozenset({"XSP", "SPY"}))
    assert check(wish, other, quotes=quoted).approved


def test_without_what_a_strategy_holds_somewhere_all_else_is_still_held():
    pairs = {("one", "SPX"), ("one", "SPXW"), ("one", "XSP"), ("two", "SPXW"), ("one", "BRKB")}
    full = book(held=frozenset(pairs), working=frozenset({("one", "SPX")}))
    left = full.without_held("one", "SPX")
    assert left.held == {("one", "XSP"), ("two", "SPXW"), ("one", "BRKB")}
    assert left.working == full.working
    assert full.without_held("one", "BRK.B").held == pairs - {("one", "BRKB")}


PUT, LOWER_PUT = "AAPL  260402P00105000", "AAPL  260402P00100000"


@pytest.mark.parametrize(
    ("legs", "net_price", "least"),
    [
        ({OCC: 1}, "-4.15", "415"),
        ({OCC: 1, HIGHER: -1}, "-2.00", "200"),
        ({HIGHER: 1, OCC: -1}, "2.00", "300"),
        ({PUT: -1, LOWER_PUT: 1}, "1.20", "380"),
        ({PUT: -1}, "2.00", "10300"),
        ({OCC: 1, HIGHER: -1, PUT: -1, LOWER_PUT: 1}, "-0.10", "510"),
        ({OCC: 1, PUT: 1}, "-6.00", "600"),
    ],
)
def test_a_claim_below_what_the_legs_can_lose_is_refused(legs, net_price, least):
    """A put sold with a claimed loss of one dollar would be sized by the thousand."""
    orders = tuple(
        Leg(symbol, Action.BUY_TO_OPEN if quantity > 0 else Action.SELL_TO_OPEN, abs(quantity))
        for symbol, quantity in legs.items()
    )
    quoted = {symbol: quote(symbol, bid=0.01, ask=20.0) for symbol in legs}
    enough = plan(legs=orders, net_price=Decimal(net_price), max_loss=Decimal(least))
    short = replace(enough, max_loss=Decimal(least) - 1)
    rich = book(nlv=Decimal(10**7), cash=Decimal(10**7), option_buying_power=None)
    assert check(enough, rich, quotes=quoted).reason is not Reason.BAD_INPUT
    assert check(short, rich, quotes=quoted).reason is Reason.BAD_INPUT
