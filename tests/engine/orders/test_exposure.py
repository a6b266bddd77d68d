"""The gate's view of the book: no subset of the working orders can make it riskier than it was counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.fees import fill_fees
from qmterm.core.instruments import parse_option
from qmterm.core.orders import Action, BrokerPosition, Fill, Leg, OrderKind, OrderState, Purpose
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exposure import (
    MINUTE_NS,
    Losses,
    closable,
    is_frozen,
    largest_trade,
    open_risk,
    risk_book,
    spent,
    standing,
)
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from tests.engine.fakes import CASH, OCC, clock_at, entry

NOW = clock_at().now()
DAY = date(2026, 3, 2)
CALLS = (OCC, "AMD   260417C00200000", "F     260417C00012000")


def view(book, ledger, **more):
    base = {"nlv": CASH, "now_ns": NOW, "buying_power": CASH}
    return risk_book(book, ledger, **(base | more))


def order(number, symbol, purpose, quantity, price, state=OrderState.LIVE):
    """An entry claims its limit and its fees, as a plan does; an exit claims nothing."""
    opens = purpose is Purpose.ENTRY
    action = Action.BUY_TO_OPEN if opens else Action.SELL_TO_CLOSE
    fees = fill_fees(symbol, action, quantity, price, DAY, 0)
    intent = replace(
        entry(f"o{number}", quantity, str(-price if opens else price), symbol),
        underlying=symbol[:6].strip(),
        purpose=purpose,
        legs=(Leg(symbol, action, quantity),),
        max_loss=price * 100 * quantity + fees if opens else None,
    )
    return OrderRecord(intent, state)


def execute(book, record, quantity, price, number):
    leg = record.intent.legs[0]
    fees = fill_fees(leg.symbol, leg.action, quantity, price, DAY, record.filled(leg.symbol))
    fill = Fill(f"x{number}", "1", leg.symbol, leg.action, quantity, price, NOW, fees)
    record.fills[fill.fill_id] = fill
    book.apply(fill, record.intent.strategy, "P")


prices = st.decimals("0.05", "12", places=2)
positions = st.lists(st.tuples(st.sampled_from(CALLS), st.integers(1, 10), prices), max_size=3)
orders = st.lists(
    st.tuples(st.sampled_from(CALLS), st.booleans(), st.integers(1, 8), prices, st.floats(0, 1), st.floats(0.5, 1)),
    max_size=6,
)


@given(positions, orders)
def test_any_subset_filling_in_any_part_never_exceeds_what_was_counted(held, working):
    book, ledger = Book(CASH), Ledger()
    for symbol, quantity, price in held:
        book.adopt(BrokerPosition(symbol, quantity, price, 100), "atr_matrix", "P", NOW)
    for number, (symbol, opens, quantity, price, _, _) in enumerate(working):
        if opens:
            ledger.add(order(number, symbol, Purpose.ENTRY, quantity, price))
        elif quantity <= closable(book, ledger, symbol):  # the gate caps a close by what is closable
            ledger.add(order(number, symbol, Purpose.EXIT, quantity, price))
    before = view(book, ledger)
    counted = open_risk(book, ledger)
    for number, record in enumerate(ledger.records):
        *_, share, better = working[int(record.intent.intent_id[1:])]
        quantity = round(share * record.intent.quantity)
        if quantity:
            limit = abs(record.intent.net_price)
            price = (limit * Decimal(str(round(better, 2)))).quantize(Decimal("0.01")) if limit > 1 else limit
            if record.intent.purpose is Purpose.EXIT:
                price = max(price, limit)
            execute(book, record, quantity, max(price, Decimal("0.01")), number)
        record.state = OrderState.FILLED if quantity == record.intent.quantity else OrderState.CANCELLED
    after = view(book, ledger)
    assert open_risk(book, ledger) <= counted
    for underlying, risk in after.risk_by_symbol.items():
        assert risk <= before.risk_by_symbol[underlying]
    assert after.risk_by_strategy.get("atr_matrix", 0) <= before.risk_by_strategy.get("atr_matrix", 0)
    assert after.cash >= before.cash  # entries were already spent; exits bring money


@given(orders)
def test_what_is_closable_is_what_no_working_order_closes(working):
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, 10, Decimal(4), 100), "s", "P", NOW)
    for number, (_, _, quantity, price, _, _) in enumerate(working):
        if quantity <= closable(book, ledger, OCC):
            ledger.add(order(number, OCC, Purpose.EXIT, quantity, price))
    assert closable(book, ledger, OCC) == 10 - ledger.closing(OCC) >= 0


def test_a_short_call_is_closable_by_buying_and_counts_as_at_twice_its_strike():
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, -3, Decimal(4), 100), "external", "", NOW)
    assert closable(book, ledger, OCC) == -3
    assert view(book, ledger).risk_by_symbol["NVDA"] == 3 * (175 - 4) * 100


def test_a_trade_of_one_leg_can_lose_what_it_cost_with_its_fees():
    book = Book(CASH)
    execute(book, order(1, OCC, Purpose.ENTRY, 2, Decimal("4.15")), 2, Decimal("4.15"), 1)
    (position,) = book.positions
    assert largest_trade(book, Ledger(), view(book, Ledger())) == 830 + position.fees.quantize(
        Decimal("0.01"), ROUND_CEILING
    )


def trade(number, plan, *legs, price, quantity=1, state=OrderState.LIVE):
    """A working entry of a plan: (symbol, side) of one contract each, at a net price."""
    bought = {1: Action.BUY_TO_OPEN, -1: Action.SELL_TO_OPEN}
    intent = replace(
        entry(f"t{number}", quantity, price),
        legs=tuple(Leg(symbol, bought[side], quantity) for symbol, side in legs),
        plan_id=plan,
        max_loss=None,
    )
    return OrderRecord(intent, state)


HIGHER = "NVDA  260417C00180000"
SPREAD = ((OCC, 1), (HIGHER, -1))  # worth 5 at most


def test_nothing_open_can_lose_nothing_by_trade():
    assert largest_trade(Book(CASH), Ledger(), view(Book(CASH), Ledger())) == Decimal(0)


def test_the_largest_trade_is_that_with_the_largest_loss_of_its_legs_together():
    book, ledger = Book(CASH), Ledger()
    for plan, symbol, quantity, price in (
        ("P1", OCC, 2, "4.00"), ("P1", HIGHER, -2, "3.00"), ("P2", CALLS[1], 1, "1.50"), ("P3", CALLS[2], 1, "0.10"),
    ):  # fmt: skip
        book.adopt(BrokerPosition(symbol, quantity, Decimal(price), 100), "atr_matrix", plan, NOW)
    assert largest_trade(book, ledger, view(book, ledger)) == 200  # 2 x (4.00 - 3.00); P2 loses 150, P3 10


def test_what_may_still_be_opened_of_a_trade_counts_with_it_and_what_closes_does_not():
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, 1, Decimal(4), 100), "atr_matrix", "P1", NOW)
    for number in (1, 2):  # two orders of one trade
        ledger.add(trade(number, "P1", (OCC, 1), price="-4.15"))
    ledger.add(trade(3, "P2", *SPREAD, price="-2.00", quantity=2))
    ledger.add(trade(4, "P3", (OCC, 1), price="-9.00", state=OrderState.CANCELLED))
    ledger.add(order(5, OCC, Purpose.EXIT, 1, Decimal("0.05")))
    fees = fill_fees(OCC, Action.BUY_TO_OPEN, 1, Decimal("4.15"), DAY, 0)
    assert 400 + 2 * 415 <= largest_trade(book, ledger, view(book, ledger)) <= 400 + 2 * (415 + fees + 1)


def test_a_trade_of_several_legs_that_works_counts_by_its_legs_together():
    book, ledger = Book(CASH), Ledger()
    ledger.add(trade(1, "P1", *SPREAD, price="-2.00", quantity=3))
    assert 600 <= largest_trade(book, ledger, view(book, ledger)) <= 610


def test_a_trade_that_another_one_covers_counts_no_more_than_both_have_at_risk():
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, 1, Decimal(4), 100), "atr_matrix", "P1", NOW)
    book.adopt(BrokerPosition(HIGHER, -1, Decimal(3), 100), "atr_matrix", "P2", NOW)  # alone it has no bound
    assert largest_trade(book, ledger, view(book, ledger)) == 100


def test_a_trade_bought_at_the_market_counts_by_its_strike_where_nobody_is_asked_for_a_price():
    book, ledger = Book(CASH), Ledger()
    limited = trade(1, "P1", (OCC, 1), price="-4.15")
    ledger.add(replace(limited, intent=replace(limited.intent, kind=OrderKind.MARKET, net_price=None)))
    most = parse_option(OCC).strike * 100
    assert most <= largest_trade(book, ledger, view(book, ledger)) <= most + 5


def test_a_trade_of_another_strategy_covers_nothing():
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, 1, Decimal(4), 100), "other", "P1", NOW)
    book.adopt(BrokerPosition(HIGHER, -1, Decimal(3), 100), "atr_matrix", "P2", NOW)
    assert largest_trade(book, ledger, view(book, ledger)) > 10_000


def test_an_unknown_order_freezes_its_underlying_and_is_counted_whole():
    book, ledger = Book(CASH), Ledger()
    ledger.add(order(1, OCC, Purpose.ENTRY, 2, Decimal("4.15"), OrderState.UNKNOWN))
    seen = view(book, ledger)
    assert seen.frozen == {"NVDA"}
    assert seen.risk_by_symbol["NVDA"] >= 830
    assert seen.cash <= CASH - 830
    assert seen.option_buying_power == seen.cash
    assert seen.working == {("atr_matrix", "NVDA")}


def test_a_working_exit_frees_nothing_and_only_entries_count_for_the_rate():
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, 4, Decimal(4), 100), "atr_matrix", "P", NOW)
    alone = view(book, ledger)
    ledger.add(order(1, OCC, Purpose.EXIT, 4, Decimal("4.00")))
    assert view(book, ledger).risk_by_symbol == alone.risk_by_symbol
    assert view(book, ledger).orders_last_minute == 0
    ledger.add(order(2, CALLS[1], Purpose.ENTRY, 1, Decimal("4.00"), OrderState.FILLED))
    assert view(book, ledger).orders_last_minute == 1
    assert view(book, ledger, now_ns=NOW + MINUTE_NS).orders_last_minute == 0


def test_unknown_buying_power_stays_unknown():
    assert view(Book(CASH), Ledger(), buying_power=None).option_buying_power is None


def test_the_gate_sees_which_side_of_each_contract_is_held_or_being_opened():
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, 2, 4, 100), "atr_matrix", "P", NOW)
    ledger.add(order(1, CALLS[1], Purpose.ENTRY, 1, Decimal("2")))
    ledger.add(order(2, OCC, Purpose.EXIT, 2, Decimal("4")))
    ledger.add(order(3, CALLS[2], Purpose.ENTRY, 1, Decimal("1"), OrderState.FILLED))
    seen = view(book, ledger)
    assert seen.crossed("atr_matrix", OCC, -1) == "is held the other way: close it instead"
    assert seen.crossed("atr_matrix", CALLS[1], -1) == "is being opened the other way"
    assert seen.crossed("atr_matrix", OCC, +1) == seen.crossed("atr_matrix", CALLS[1], +1) == ""
    assert seen.crossed("atr_matrix", CALLS[2], -1) == ""  # its order is over


def test_nothing_held_and_nothing_ordered_risks_nothing_in_dollars():
    nothing = open_risk(Book(CASH), Ledger())
    assert (nothing, type(nothing)) == (0, Decimal)
    assert view(Book(CASH), Ledger()).cash == CASH
    assert type(standing(Book(CASH), Ledger()).spoken_for) is Decimal


def test_risks_of_two_strategies_in_one_stock_add_up_and_so_do_two_stocks_of_one_strategy():
    book = Book(CASH)
    for number, (symbol, strategy) in enumerate([(OCC, "one"), (OCC[:-8] + "00180000", "two"), (CALLS[1], "one")]):
        book.adopt(BrokerPosition(symbol, 1 + number, Decimal(4), 100), strategy, "P", NOW)
    seen = view(book, Ledger())
    assert seen.risk_by_symbol == {"NVDA": 400 + 800, "AMD": 1200}
    assert seen.risk_by_strategy == {"one": 400 + 1200, "two": 800}
    assert seen.held == {("one", "NVDA"), ("two", "NVDA"), ("one", "AMD")}


def test_a_call_sold_on_the_shares_of_another_strategy_risks_what_they_can_lose():
    book = Book(CASH)
    book.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "holder", "P", NOW)
    book.adopt(BrokerPosition(OCC, -1, Decimal(4), 100), "writer", "P", NOW)
    seen = view(book, Ledger())
    assert seen.risk_by_strategy == {"holder": 17_000, "writer": 17_000 - 400}
    assert seen.risk_by_symbol == {"NVDA": 17_000 + 16_600}
    # The same when the call is only ordered.
    ordered, shares = Ledger(), Book(CASH)
    shares.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "holder", "P", NOW)
    write = replace(order(1, OCC, Purpose.ENTRY, 1, Decimal(4)).intent, strategy="writer", net_price=Decimal(4))
    ordered.add(OrderRecord(replace(write, legs=(Leg(OCC, Action.SELL_TO_OPEN, 1),)), OrderState.LIVE))
    assert 16_600 < view(shares, ordered).risk_by_strategy["writer"] < 17_001
    # While an order may sell the shares they cover nothing: the call counts without an end, at twice its strike.
    ledger = Ledger()
    sell = replace(order(1, OCC, Purpose.EXIT, 100, Decimal(171)).intent, strategy="holder", net_price=Decimal(171))
    ledger.add(OrderRecord(replace(sell, legs=(Leg("NVDA", Action.SELL_TO_CLOSE, 100),)), OrderState.LIVE))
    assert view(book, ledger).risk_by_strategy["writer"] > 17_000


def test_the_losses_of_day_week_and_peak_reach_the_gate():
    told = Losses(Decimal(-1), Decimal(2), Decimal(-3), True, Decimal(4), True)
    seen = view(Book(CASH), Ledger(), losses=told)
    assert (seen.day_pnl, seen.previous_nlv, seen.week_pnl, seen.week_blocked) == (-1, 2, -3, True)
    assert (seen.drawdown, seen.drawdown_blocked) == (4, True)
    calm = view(Book(CASH), Ledger())
    assert (calm.day_pnl, calm.previous_nlv, calm.week_pnl, calm.week_blocked) == (None, None, None, False)
    assert (calm.drawdown, calm.drawdown_blocked) == (None, False)


def test_an_order_takes_what_it_pays_and_at_least_what_it_claims_to_lose():
    paid = order(1, OCC, Purpose.ENTRY, 2, Decimal("4.15"))
    assert spent(paid, lambda _: None) == paid.intent.max_loss > 830
    claims = OrderRecord(replace(paid.intent, max_loss=Decimal(5_000)), OrderState.LIVE)
    assert spent(claims, lambda _: None) == 5_000
    silent = OrderRecord(replace(paid.intent, max_loss=Decimal(1)), OrderState.LIVE)
    assert 830 < spent(silent, lambda _: None) < 833
    sells = order(2, OCC, Purpose.EXIT, 2, Decimal("4.15"))
    assert spent(sells, lambda _: None) == 0
    nothing = spent(OrderRecord(replace(sells.intent, legs=()), OrderState.LIVE), lambda _: None)
    assert (nothing, type(nothing)) == (0, Decimal)


def bought_at_the_market():
    """A purchase adopted from elsewhere without a limit: what somebody asks is what it may pay."""
    intent = replace(order(1, OCC, Purpose.EXTERNAL, 2, Decimal(1)).intent, net_price=Decimal(0))
    return OrderRecord(replace(intent, legs=(Leg(OCC, Action.BUY_TO_OPEN, 2),)), OrderState.LIVE)


def test_what_has_no_limit_is_paid_at_the_price_asked():
    ledger = Ledger()
    ledger.add(bought_at_the_market())
    seen = view(Book(CASH), ledger, ask={OCC: Decimal(6)}.get)
    assert 1200 < seen.risk_by_symbol["NVDA"] < 1203
    assert 1200 < CASH - seen.cash < 1203
    assert seen.working == {("atr_matrix", "NVDA")}
    assert seen.orders_last_minute == 0  # it is not ours
    blind = view(Book(CASH), ledger)
    assert 35_000 < blind.risk_by_symbol["NVDA"] < 35_010  # at its strike
    assert 35_000 < CASH - blind.cash < 35_010
    assert 1200 < spent(bought_at_the_market(), {OCC: Decimal(6)}.get) < 1203


def test_orders_alike_count_for_the_time_of_duplicates_unless_they_never_were_at_the_broker():
    ledger = Ledger()
    sent = {
        OrderState.LIVE: CALLS[0], OrderState.NOT_SENT: CALLS[1], OrderState.REJECTED: CALLS[2],
        OrderState.CANCELLED: "NVDA  260417C00180000",
    }  # fmt: skip
    for number, (state, symbol) in enumerate(sent.items()):
        ledger.add(order(number, symbol, Purpose.ENTRY, 2, Decimal(4), state))
    ledger.add(order(9, "NVDA  260417C00190000", Purpose.EXIT, 2, Decimal(4)))
    second = 1_000_000_000
    assert view(Book(CASH), ledger).recent == frozenset()
    assert view(Book(CASH), ledger, now_ns=NOW - 1).recent == frozenset()  # nor on a clock that was set back

    def recent(after_ns):
        keys = view(Book(CASH), ledger, duplicate_s=5.0, now_ns=NOW + after_ns).recent
        return {leg[0] for key in keys for leg in key}

    assert recent(0) == recent(5 * second - 1) == {CALLS[0], "NVDA  260417C00180000"}
    assert recent(5 * second) == set()


def test_day_trades_and_todays_sales_are_those_of_today():
    book, ledger = Book(CASH), Ledger()
    day_ns = 24 * 3600 * 1_000_000_000
    records = []
    for number, (symbol, purpose) in enumerate(
        [
            (OCC, Purpose.ENTRY),
            (OCC, Purpose.EXIT),
            ("NVDA  260417C00180000", Purpose.ENTRY),
            ("NVDA  260417C00180000", Purpose.EXIT),
            (CALLS[1], Purpose.ENTRY),
            (CALLS[2], Purpose.EXIT),
        ]
    ):
        record = order(number, symbol, purpose, 2, Decimal(4), OrderState.FILLED)
        execute(book, record, 2, Decimal(4), number)
        ledger.add(record)
        records.append(record)
    seen = view(book, ledger)
    assert seen.day_trades == 2  # opened and closed; the others only one of both
    sales = [fill for record in records for fill in record.fills.values() if not fill.action.buys]
    assert seen.unsettled == sum(fill.cash_flow for fill in sales) > 2390
    tomorrow = view(book, ledger, now_ns=NOW + day_ns)
    assert (tomorrow.day_trades, tomorrow.unsettled, type(tomorrow.unsettled)) == (0, 0, Decimal)


def test_closable_is_what_is_settled_less_what_closes_and_never_of_the_other_sign():
    cases = [
        (1, 0, 1),
        (1, 1, 0),
        (-1, 0, -1),
        (5, 0, 5),
        (5, 2, 3),
        (5, 5, 0),
        (5, 7, 0),
        (-5, 0, -5),
        (-5, 2, -3),
        (-5, 7, 0),
        (0, 0, 0),
        (0, 2, 0),
    ]
    for held, closing, free in cases:
        book, ledger = Book(CASH), Ledger()
        if held:
            book.adopt(BrokerPosition(OCC, held, Decimal(4), 100), "s", "P", NOW)
        if closing:
            ledger.add(order(1, OCC, Purpose.EXIT, closing, Decimal(4)))
        assert closable(book, ledger, OCC) == free


def test_the_account_the_gate_sees_is_whole():
    frozen = view(Book(CASH), Ledger(), nlv=Decimal(7), buying_power=Decimal(9), frozen=["AMD"])
    assert (frozen.nlv, frozen.option_buying_power, frozen.frozen) == (7, 9, {"AMD"})


def test_an_underlying_is_frozen_under_each_of_its_names_while_an_order_of_it_is_unknown():
    ledger = Ledger()
    ledger.add(OrderRecord(replace(entry(), underlying="BRK/B"), OrderState.UNKNOWN))
    ledger.add(OrderRecord(replace(entry("qm-2"), underlying="AMD"), OrderState.LIVE))
    assert [is_frozen(ledger, name) for name in ("BRK/B", "BRK.B", "AMD")] == [True, True, False]
    assert is_frozen(ledger, "AMD", frozen=["AMD"])
    ledger.get("qm-1").state = OrderState.CANCELLED
    assert not is_frozen(ledger, "BRK.B")


@pytest.mark.parametrize("unknown", ["SPX", "SPXW"])
def test_an_index_is_frozen_in_all_its_roots(unknown):
    ledger = Ledger()
    ledger.add(OrderRecord(replace(entry(), underlying=unknown), OrderState.UNKNOWN))
    assert [is_frozen(ledger, name) for name in ("SPX", "SPXW", "XSP")] == [True, True, False]
    assert is_frozen(Ledger(), "SPXW", frozen=["SPX"])


def test_the_roots_of_an_index_add_up_to_one_risk_and_cover_nothing_of_each_other():
    book = Book(CASH)
    for symbol, quantity in (("SPX   260417P00100000", -1), ("SPXW  260417P00095000", 1)):
        book.adopt(BrokerPosition(symbol, quantity, Decimal(2), 100), "one", "P", NOW)
    seen = view(book, Ledger())
    assert seen.risk_by_symbol == {"SPX": 10_000 - 200 + 200}
    assert set(seen.holdings) == {("one", "SPX"), ("one", "SPXW")}
