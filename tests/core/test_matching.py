"""Fills against displayed quotes: improvement, refusal, luck that repeats, sizes and leg prices."""

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.matching import chance, far_price, fillable_units, match, natural_price, net_mid, net_of, unit_ratios
from qmterm.core.orders import Action, Leg
from qmterm.core.quotes import Quote

LOW, HIGH = "AAPL  260417C00230000", "AAPL  260417C00240000"
BTO, STO, STC = Action.BUY_TO_OPEN, Action.SELL_TO_OPEN, Action.SELL_TO_CLOSE


def quote(symbol, bid, ask, bid_size=50, ask_size=50):
    return Quote(symbol, bid, ask, bid_size, ask_size, 0, 0)


def book(*quotes):
    return {q.symbol: q for q in quotes}


BUY = [Leg(LOW, BTO, 10)]
SPREAD = [Leg(LOW, BTO, 4), Leg(HIGH, STO, 4)]
MARKET = book(quote(LOW, 2.40, 2.50), quote(HIGH, 1.00, 1.10))


def test_a_buy_at_or_through_the_ask_fills_at_the_ask():
    for limit in ("-2.50", "-2.75"):
        (fill,) = match(BUY, D(limit), MARKET, 10)
        assert (fill.quantity, fill.price) == (10, D("2.50"))


def test_a_sale_at_or_below_the_bid_fills_at_the_bid():
    (fill,) = match([Leg(LOW, STC, 3)], D("2.00"), MARKET, 3)
    assert (fill.quantity, fill.price) == (3, D("2.40"))


def test_below_the_mid_nothing_fills_however_long_it_waits():
    assert match(BUY, D("-2.44"), MARKET, 10, key="x", waited_s=1e9) == []


def test_between_mid_and_ask_it_fills_at_its_own_limit_after_a_wait():
    assert match(BUY, D("-2.48"), MARKET, 10, key="x", waited_s=0) == []
    (fill,) = match(BUY, D("-2.48"), MARKET, 10, key="x", waited_s=1e6)
    assert fill.price == D("2.48")


def test_luck_is_a_function_of_the_key_and_spread_over_keys():
    def outcome(number):
        return match(BUY, D("-2.47"), MARKET, 10, key=f"order-{number}", waited_s=20)

    first = [bool(outcome(n)) for n in range(400)]
    assert first == [bool(outcome(n)) for n in range(400)]
    expected = chance(0.4, 20)
    assert abs(sum(first) / 400 - expected) < 0.08


def test_the_chance_grows_with_the_wait_and_with_aggressiveness():
    assert chance(0.5, 10) < chance(0.5, 60) < chance(0.9, 60) < 1
    assert chance(-0.1, 60) == 0
    assert chance(0.5, 0) == 0


def test_size_is_capped_by_the_displayed_size_and_the_share_taken():
    thin = book(quote(LOW, 2.40, 2.50, ask_size=7))
    assert match(BUY, D("-2.50"), thin, 10)[0].quantity == 7
    assert match(BUY, D("-2.50"), thin, 10, 0.5)[0].quantity == 3
    assert match(BUY, D("-2.50"), thin, 2)[0].quantity == 2
    assert match(BUY, D("-2.50"), book(quote(LOW, 2.40, 2.50, ask_size=0)), 10) == []


def test_a_share_too_small_for_one_still_takes_one():
    assert fillable_units(BUY, book(quote(LOW, 2.40, 2.50, ask_size=3)), 0.1) == 1


def test_no_quote_no_ask_or_a_crossed_market_never_fills():
    assert match(BUY, D("-9"), {}, 10) == []
    assert match(BUY, D("-9"), book(quote(LOW, 2.4, 0.0)), 10) == []
    assert match(BUY, D("-9"), book(quote(LOW, 2.6, 2.5)), 10) == []
    assert match([Leg(LOW, STC, 1)], D("0.01"), book(quote(LOW, 0.0, 0.05)), 1) == []


def test_a_worthless_option_can_still_be_bought_back_at_its_ask():
    leg = Leg(LOW, Action.BUY_TO_CLOSE, 1)
    assert match([leg], D("-0.05"), book(quote(LOW, 0.0, 0.05)), 1)[0].price == D("0.05")


def test_a_spread_fills_in_ratio_at_the_market_or_better_than_its_limit():
    assert natural_price(SPREAD, MARKET) == D("-1.50")
    assert net_mid(SPREAD, MARKET) == D("-1.40")
    fills = match(SPREAD, D("-1.60"), MARKET, 4)
    assert [(f.symbol, f.quantity, f.price) for f in fills] == [(LOW, 4, D("2.50")), (HIGH, 4, D("1.00"))]
    assert match(SPREAD, D("-1.39"), MARKET, 4, key="x", waited_s=1e9) == []


def test_a_spread_between_mid_and_far_side_trades_at_exactly_its_net():
    fills = match(SPREAD, D("-1.47"), MARKET, 4, key="x", waited_s=1e9)
    assert net_of(SPREAD, [f.price for f in fills]) == D("-1.47")


def test_odd_mids_still_add_up_to_exactly_the_limit_in_cents():
    odd = book(quote(LOW, 2.40, 2.53), quote(HIGH, 1.01, 1.10))
    natural, middle = natural_price(SPREAD, odd), net_mid(SPREAD, odd)
    nets = [D(cents) / 100 for cents in range(-152, -140) if natural < D(cents) / 100 <= middle]
    assert len(nets) > 5
    for net in nets:
        fills = match(SPREAD, net, odd, 4, key="x", waited_s=1e9)
        assert net_of(SPREAD, [f.price for f in fills]) == net
        assert all(f.price % D("0.01") == 0 for f in fills)


def test_nothing_left_or_no_bid_on_one_leg_fills_nothing():
    assert match(BUY, D("-2.50"), MARKET, 0) == []
    no_bid = book(quote(LOW, 2.40, 2.50), quote(HIGH, 0.0, 0.05))
    assert match(SPREAD, D("-2.50"), no_bid, 4) == []


def test_ratios_are_kept_and_one_thin_leg_limits_the_whole():
    legs = [Leg(LOW, BTO, 3), Leg(HIGH, STO, 6)]
    assert unit_ratios(legs) == (3, (1, 2))
    thin = book(quote(LOW, 2.40, 2.50), quote(HIGH, 1.00, 1.10, bid_size=5))
    assert [f.quantity for f in match(legs, D("-0.50"), thin, 3)] == [2, 4]


def test_a_market_order_takes_the_far_side():
    assert match(BUY, None, MARKET, 10)[0].price == D("2.50")


def test_far_price_is_put_on_the_cent_against_the_order():
    odd = quote(LOW, 2.404, 2.496)
    assert far_price(Leg(LOW, BTO, 1), odd) == D("2.50")
    assert far_price(Leg(LOW, STC, 1), odd) == D("2.40")
    assert far_price(Leg("PENY", BTO, 1), quote("PENY", 0.5121, 0.5123)) == D("0.5123")


@given(
    bid=st.integers(1, 900),
    width=st.integers(1, 60),
    bid2=st.integers(1, 900),
    width2=st.integers(1, 60),
    net=st.integers(-1500, 1500),
    size=st.integers(0, 40),
    waited=st.floats(0, 1e5),
)
def test_no_fill_is_ever_worse_than_the_limit_or_larger_than_the_market(bid, width, bid2, width2, net, size, waited):
    market = book(
        quote(LOW, bid / 100, (bid + width) / 100, size, size), quote(HIGH, bid2 / 100, (bid2 + width2) / 100, 99, 99)
    )
    limit = D(net) / 100
    fills = match(SPREAD, limit, market, 4, key="k", waited_s=waited)
    if fills:
        assert net_of(SPREAD, [f.price for f in fills]) >= limit
        assert all(f.price > 0 and f.price % D("0.01") == 0 for f in fills)
        assert fills[0].quantity == fills[1].quantity <= min(4, size)
