"""Money and positions: nothing is lost or made, whatever is traded; margin as the table of QUANT.md; settlement."""

import asyncio
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.clock import from_et
from qmterm.core.fees import order_fees
from qmterm.core.instruments import parse_option
from qmterm.core.orders import Action, Leg
from qmterm.sim.brokerage.app import Brokerage
from qmterm.sim.brokerage.margin import naked_requirement, requirements
from qmterm.sim.brokerage.refusals import Refused
from qmterm.sim.brokerage.world import price_of
from tests.sim.brokerage.fake_world import (
    APRIL,
    CALL_230,
    CALL_240,
    MONDAY,
    PUT_210,
    PUT_220,
    TOKEN,
    fresh_world,
    option,
    step,
)
from tests.sim.brokerage.test_brokerage_life import BTO, STO, ticket

SYMBOLS = ["AAPL", CALL_230, CALL_240, PUT_220, PUT_210]
SETTLED = D("235.5")


def tradable():
    legs = st.lists(st.sampled_from(SYMBOLS[1:]), min_size=1, max_size=3, unique=True)
    single = st.sampled_from(SYMBOLS).map(lambda symbol: [symbol])
    return st.tuples(
        st.one_of(single, legs), st.lists(st.sampled_from(list(Action)), min_size=3, max_size=3), st.integers(1, 40)
    )


def check(broker):
    """Cash and positions recomputed from the orders' own fills."""
    assert broker.book.cash == broker.book.starting_cash + sum(row.net_value for row in broker.book.transactions)
    cash, held = broker.book.starting_cash, dict.fromkeys(SYMBOLS, 0)
    for order in broker.desk.orders.values():
        for leg in order.legs:
            per_unit = 1 if leg.symbol == "AAPL" else 100
            assert 0 <= leg.filled <= leg.quantity
            for fill in leg.fills:
                held[leg.symbol] += leg.action.sign * fill.quantity
                cash -= leg.action.sign * fill.quantity * fill.price * per_unit
    fees = sum(row.fees.total for row in broker.book.transactions)
    assert broker.book.cash == cash - fees
    assert broker.book.holdings() == {symbol: quantity for symbol, quantity in held.items() if quantity}


@settings(max_examples=40, deadline=None)
@given(
    trades=st.lists(tradable(), max_size=8),
    moves=st.lists(st.integers(-40, 40), min_size=8, max_size=8),
    cancels=st.lists(st.booleans(), min_size=8, max_size=8),
    broken=st.booleans(),
)
def test_cash_and_positions_are_exactly_what_was_filled(trades, moves, cancels, broken):
    asyncio.run(_trade(trades, moves, cancels, broken))


async def _trade(trades, moves, cancels, broken):
    world = fresh_world()
    broker = Brokerage(world, TOKEN, participation=0.3)
    if broken:
        broker.faults.arm({"fault": "leg_only_fill", "times": 2})
    for (symbols, actions, quantity), move, cancel in zip(trades, moves, cancels, strict=False):
        legs = [Leg(symbol, action, quantity) for symbol, action in zip(symbols, actions, strict=False)]
        worst = {symbol: D(str(world.quotes[symbol].ask)) * 2 for symbol in symbols}
        price = sum(-worst[leg.symbol] for leg in legs if leg.action.buys) or D("0.05")
        try:
            order, _ = broker.desk.place(ticket(price.quantize(D("0.05")), *legs))
        except Refused:
            continue
        await step(broker)
        if cancel and order.can_be_cancelled:
            broker.desk.cancel(order.order_id)
        for symbol in SYMBOLS[1:]:
            quote = world.quotes[symbol]
            bid = max(0.05, round(quote.bid + move / 100, 2))
            world.set(symbol, bid, round(bid + 0.10, 2), 7 + abs(move))
        await step(broker, 30)
        check(broker)
    assert broker.desk.standing().reserved >= 0


async def test_a_round_trip_at_unchanged_quotes_loses_the_spread_and_the_fees(broker):
    for price, action in (("-5.10", Action.BUY_TO_OPEN), ("5.00", Action.SELL_TO_CLOSE)):
        broker.desk.place(ticket(price, Leg(CALL_230, action, 3)))
        await step(broker)
    opened = order_fees([(Leg(CALL_230, Action.BUY_TO_OPEN, 3), D("5.10"))], MONDAY).total
    closed = order_fees([(Leg(CALL_230, Action.SELL_TO_CLOSE, 3), D("5.00"))], MONDAY).total
    assert broker.book.cash == D(100_000) - D(30) - opened - closed
    assert broker.book.positions[CALL_230].realized_today == D(-30)


# --- expiry ---------------------------------------------------------------------------------------------------------


async def hold(broker, symbol, action):
    price = "-9.00" if action.buys else "0.05"
    broker.desk.place(ticket(price, Leg(symbol, action, 2)))
    await step(broker)


@pytest.mark.parametrize(
    ("symbol", "action", "shares"),
    [
        (CALL_230, BTO, 200),  # in the money: exercised into stock
        (CALL_230, STO, -200),
        (CALL_240, BTO, 0),  # out of the money: removed
        (option(240, "P"), BTO, -200),
        (option(240, "P"), STO, 200),
    ],
)
async def test_expiry_turns_options_into_stock_or_nothing(broker, world, symbol, action, shares):
    world.set(symbol, 5.00, 5.10)
    await hold(broker, symbol, action)
    cash = broker.book.cash
    world.now_ns = from_et(APRIL, 16)
    await broker.on_step(world.now_ns)
    assert set(broker.book.holdings()) == {symbol}  # no settlement price yet
    world.settled["AAPL"] = float(SETTLED)
    await step(broker)
    strike = parse_option(symbol).strike
    assert broker.book.holdings() == ({"AAPL": shares} if shares else {})
    delivered = broker.book.transactions[-1]
    assert broker.book.cash == cash - shares * strike - delivered.fees.total
    assert (delivered.fees.total > 0) == bool(shares)


async def test_a_cent_in_the_money_is_exercised_and_at_the_money_is_not(broker, world):
    await hold(broker, CALL_230, BTO)
    world.now_ns = from_et(APRIL, 16)
    world.settled["AAPL"] = 230.00
    await broker.on_step(world.now_ns)
    assert broker.book.holdings() == {}
    assert broker.book.transactions[-1].sub_kind == "Expiration"


async def test_an_index_option_settles_in_cash(broker, world):
    contract = option(6000, root="SPX")
    world.set("SPX", 6000, 6001)
    world.set(contract, 5.00, 5.10)
    await hold(broker, contract, BTO)
    cash = broker.book.cash
    world.now_ns = from_et(APRIL, 16)
    world.settled["SPX"] = 6012.34
    await broker.on_step(world.now_ns)
    assert broker.book.holdings() == {}
    assert broker.book.cash - cash == D("2468.00")


async def test_a_vertical_is_worth_at_most_its_width_at_expiry(broker, world):
    broker.desk.place(ticket("-3.10", Leg(CALL_230, BTO, 2), Leg(CALL_240, STO, 2)))
    await step(broker)
    world.now_ns = from_et(APRIL, 16)
    world.settled["AAPL"] = 300.0
    world.set("AAPL", 300.0, 300.02)
    cash = broker.book.cash
    await broker.on_step(world.now_ns)
    fees = sum(row.fees.total for row in broker.book.transactions if row.kind == "Receive Deliver")
    assert broker.book.holdings() == {}
    assert broker.book.cash - cash == D(2000) - fees


async def test_an_option_between_expiry_and_settlement_is_marked_at_its_exercise_value(broker, world):
    await hold(broker, CALL_230, BTO)
    world.now_ns = from_et(APRIL, 16)
    del world.quotes[CALL_230]
    world.set("AAPL", 237.00, 237.02)
    assert broker.desk.standing().long_options == 2 * 100 * D("7.01")


def test_marks_fall_back_from_mid_to_last_to_yesterday_to_unknown(world):
    world.set(CALL_240, 0.0, 0.05)
    assert price_of(world, CALL_240) == D("0.025")
    world.set("AAPL", 0.0, 0.0)
    assert price_of(world, "AAPL") == 230
    assert price_of(world, "NOPE") is None
    assert price_of(world, option(999)) is None


# --- margin ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "strike", "spot", "premium", "expected"),
    [("P", 95, 100, "2.10", 1710), ("P", 60, 100, "0.05", 605), ("C", 105, 100, "2.35", 1735), ("P", 2, 3, ".05", 250)],
)
def test_naked_shorts_follow_the_golden_table(right, strike, spot, premium, expected):
    contract = parse_option(option(strike, right))
    assert naked_requirement(contract, D(spot), D(premium)) == expected


@pytest.mark.parametrize(
    ("holdings", "expected"),
    [
        ({CALL_230: 2}, 0),
        ({PUT_220: -2, PUT_210: 2}, 2000),
        ({PUT_220: -1, PUT_210: 1, CALL_230: -1, CALL_240: 1}, 1000),  # iron condor: the dearer side only
        ({CALL_240: -1, CALL_230: 1}, 0),  # debit spread
        ({"AAPL": 100}, D("11500.50")),
        ({"AAPL": 100, CALL_240: -1}, D("11500.50")),  # covered call
        ({"AAPL": -100}, D("11500.50")),
    ],
)
def test_requirements_of_common_structures(world, holdings, expected):
    assert sum(row.initial for row in requirements(holdings, world)) == expected


def test_a_long_that_expires_first_does_not_cover_a_short(world):
    early = option(240, expiry=APRIL.replace(day=10))
    world.set(early, 1.00, 1.10)
    (row,) = requirements({CALL_230: -1, early: 1}, world)
    assert row.initial == naked_requirement(parse_option(CALL_230), D("230.01"), D("5.05"))


def test_working_orders_hold_their_buying_power(broker):
    broker.desk.place(ticket("-5.00", Leg(CALL_230, BTO, 150)))
    with pytest.raises(Refused) as refused:
        broker.desk.place(ticket("-5.00", Leg(CALL_230, BTO, 150)))
    assert [problem.code for problem in refused.value.problems] == ["margin_check_failed"]
    assert refused.value.as_json()["data"]["buying-power-effect"]["new-buying-power-effect"] == "Debit"
