"""An order line is read as it was meant or refused in one sentence that points at the word."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.instruments import OptionContract, Right
from qmterm.core.order_text import MOST_QUANTITY, Mistake, read_contract, read_order, read_price
from qmterm.core.orders import OrderKind, TimeInForce
from qmterm.core.tickets import Pricing, Ticket, TicketLeg, order_text

TODAY = date(2026, 3, 2)
CALL = "NVDA  260417C00175000"
HIGHER = "NVDA  260417C00180000"
KNOWN = {"NVDA", "AMD", "SPY", "BRK.B"}


def read(text):
    found = read_order(text, TODAY, KNOWN)
    assert isinstance(found, Ticket), found
    return found


@pytest.mark.parametrize(
    ("text", "kind", "price", "stop", "force"),
    [
        ("buy 2 NVDA 17APR26 175C @ 4.15", OrderKind.LIMIT, "-4.15", None, TimeInForce.DAY),
        ("BUY 2 nvda 17apr2026 175c @4.15 GTC", OrderKind.LIMIT, "-4.15", None, TimeInForce.GTC),
        ("buy 2 NVDA 2026-04-17 175C @ 4.15 db ioc", OrderKind.LIMIT, "-4.15", None, TimeInForce.IOC),
        ("sell 2 NVDA 17APR26 175C @ .5", OrderKind.LIMIT, "0.5", None, TimeInForce.DAY),
        ("sell 2 NVDA 17APR26 175C @ mkt", OrderKind.MARKET, None, None, TimeInForce.DAY),
        ("sell 2 NVDA 17APR26 175C stop 3.00", OrderKind.STOP, None, "3.00", TimeInForce.DAY),
        ("stc 2 NVDA 17APR26 175C stop 3.00 limit 2.90 gtc", OrderKind.STOP_LIMIT, "2.90", "3.00", TimeInForce.GTC),
    ],
)
def test_one_leg_of_every_kind(text, kind, price, stop, force):
    ticket = read(text)
    assert [leg.symbol for leg in ticket.legs] == [CALL]
    assert (ticket.kind, ticket.time_in_force, ticket.units) == (kind, force, 2)
    assert ticket.price == (None if price is None else Decimal(price))
    assert ticket.stop == (None if stop is None else Decimal(stop))


def test_no_price_walks_and_mid_and_natural_are_left_to_the_quotes():
    assert read("buy 1 NVDA 17APR26 175C").pricing is Pricing.WALK
    assert read("buy 1 NVDA 17APR26 175C @ mid").pricing is Pricing.MID
    assert read("buy 1 NVDA 17APR26 175C @ nat gtc").pricing is Pricing.NATURAL


def test_gtd_carries_its_date():
    ticket = read("buy 1 NVDA 17APR26 175C @ 4.15 gtd 2026-12-31")
    assert (ticket.time_in_force, ticket.good_until) == (TimeInForce.GTD, date(2026, 12, 31))


def test_a_spread_has_one_net_price_for_each_of_its_units():
    ticket = read("buy 2 NVDA 17APR26 175C / sell 4 NVDA 17APR26 180C @ 1.85 db")
    assert [(leg.buys, leg.quantity, leg.symbol) for leg in ticket.legs] == [(True, 2, CALL), (False, 4, HIGHER)]
    assert (ticket.units, ticket.price) == (2, Decimal("-1.85"))
    assert read("sto 1 NVDA 17APR26 175C / bto 1 NVDA 17APR26 180C @ 1.85 cr").price == Decimal("1.85")


@pytest.mark.parametrize("occ", ["NVDA  260417C00175000", "NVDA260417C00175000", "nvda 260417c00175000"])
def test_occ_symbols_are_read_padded_or_not(occ):
    assert read(f"buy 1 {occ} @ 4.15").legs[0].symbol == CALL


def test_shares_and_a_root_without_its_dot():
    assert read("sell 100 NVDA @ 180").legs[0] == TicketLeg(False, 100, "NVDA")
    assert read("buy 1 BRK.B 17APR26 400C").legs[0].symbol == "BRKB  260417C00400000"
    assert read("buy 1 BRK/B 17APR26 400C").legs[0].symbol == "BRKB  260417C00400000"
    assert read("buy 1 BRKB  260417C00400000").underlying == "BRKB"


SPREAD = "buy 1 NVDA 17APR26 175C / sell 1 NVDA 17APR26 180C"


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 0, "buy or sell is missing"),
        ("hello", 0, "'hello' is no side"),
        ("buy", 3, "a quantity is missing"),
        ("buy NVDA", 4, "no quantity"),
        ("buy 0 NVDA", 4, "a quantity of 0 trades nothing"),
        ("buy -2 NVDA 17APR26 175C", 4, "above zero"),
        ("buy 1.5 NVDA 17APR26 175C", 4, "whole contracts"),
        ("buy ２ NVDA 17APR26 175C", 4, "type a-z and 0-9"),
        ("buy 2 NVDA 17APR26 175C @ ４.15", 26, "type a-z and 0-9"),
        ("buy 99999999999999999999999 NVDA", 4, "more than one order takes"),
        ("buy 10001 NVDA", 4, "more than one order takes"),
        ("buy 1 NVDX 17APR26 175C", 6, "did you mean NVDA?"),
        ("buy 1 ZZZZZ", 6, "no symbol ZZZZZ is listed"),
        ("buy 1 !!! @ 3", 6, "no symbol"),
        ("buy 1 NVDA 31APR26 175C", 11, "no expiry"),
        ("buy 1 NVDA 17XYZ26 175C", 11, "no expiry"),
        ("buy 1 NVDA 17APR26", 18, "a strike such as 175C is missing"),
        ("buy 1 NVDA 17APR26 175", 19, "C or P together"),
        ("buy 1 NVDA 17APR26 0C", 19, "C or P together"),
        ("buy 1 NVDA 20FEB26 175C @ 4", 6, "expired on 2026-02-20"),
        ("buy 1 NVDA  260220C00175000 @ 4", 6, "expired on 2026-02-20"),
        ("buy 1 NVDA  260231C00175000 @ 4", 6, "no valid expiry"),
        ("buy 1 NVDA 17APR26 175C @", 25, "a price is missing"),
        ("buy 1 NVDA 17APR26 175C @ 0", 26, "cannot be zero"),
        ("buy 1 NVDA 17APR26 175C @ -4.15", 26, "without a sign"),
        ("buy 1 NVDA 17APR26 175C @ cheap", 26, "no price"),
        ("buy 1 NVDA 17APR26 175C @ 1e5", 26, "no price"),
        ("buy 1 NVDA 17APR26 175C @ nan", 26, "no price"),
        ("buy 1 NVDA 17APR26 175C @ 100000", 26, "beyond every price"),
        ("buy 1 NVDA 17APR26 175C @ 4.12345", 26, "too many decimals"),
        ("buy 1 NVDA 17APR26 175C @ 4.15 cr", 26, "a buy pays"),
        ("sell 1 NVDA 17APR26 175C @ 4.15 db", 27, "a sale gets"),
        ("buy 1 NVDA 17APR26 175C @ 4.15 tomorrow", 31, "no meaning here"),
        ("buy 1 NVDA 17APR26 175C @ 4.15 stop 4", 31, "no meaning here"),
        ("buy 1 NVDA 17APR26 175C @ 4.15 gtd", 34, "is missing"),
        ("buy 1 NVDA 17APR26 175C @ 4.15 gtd soon", 35, "no date"),
        ("buy 1 NVDA 17APR26 175C @ 4.15 gtd 2026-03-02", 0, "a date in the future"),
        ("buy 1 NVDA 17APR26 175C @ mkt gtc", 0, "does not wait"),
        ("sell 1 NVDA 17APR26 175C stop 3 ioc", 0, "waits for its trigger"),
        ("bto 1 NVDA 17APR26 175C stop 5 gtc", 0, "Day only"),
        (f"{SPREAD} @ 1.85", 52, "db (you pay it) or cr (you get it)"),
        (f"{SPREAD} @ mkt", 0, "a market order has one leg"),
        (f"{SPREAD} stop 2", 51, "a stop order has one leg"),
        ("buy 1 NVDA 17APR26 175C / buy 1 NVDA 17APR26 175C @ 4", 0, "stands in two legs"),
        ("buy 1 NVDA 17APR26 175C / sell 1 AMD 17APR26 180C @ 1 db", 0, "one underlying"),
        ("buy 100 NVDA / sell 1 NVDA 17APR26 180C @ 170 db", 0, "shares and options"),
        (" / ".join(f"buy 1 NVDA 17APR26 {strike}C" for strike in range(170, 175)), 102, "4 legs at most"),
        ("buy 1 NVDA 17APR26 175C /", 25, "buy or sell is missing"),
        ("x" * 401, 400, "400 letters at most"),
    ],
)
def test_bad_input_is_one_sentence_that_points_at_the_word(text, column, says):
    found = read_order(text, TODAY, KNOWN)
    assert isinstance(found, Mistake), found
    assert says in found.text
    assert "\n" not in found.text
    if column != 102:
        assert found.column == column if says != "db (you pay it) or cr (you get it)" else found.column >= 51
    assert found.column <= max(len(text), 1)


VOCABULARY = (
    "buy sell bto sto btc stc 1 2 0 -3 NVDA AMD 17APR26 175C 180P @ / stop limit mid mkt nat db cr gtc gtd ioc day "
    "2026-12-31 4.15 1e9 ４ NVDA260417C00175000 ''"
)
WORDS = st.sampled_from(VOCABULARY.split())


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=14).map(" ".join)))
def test_any_text_is_a_ticket_or_a_mistake_and_never_an_exception(text):
    found = read_order(text, TODAY, KNOWN)
    if isinstance(found, Mistake):
        assert found.text
        assert 0 <= found.column <= len(text)
    else:
        assert read_order(order_text(found), TODAY, KNOWN) == found


@st.composite
def tickets(draw):
    count = draw(st.integers(1, 4))
    strikes = draw(st.lists(st.integers(1, 199_999), min_size=count, max_size=count, unique=True))
    legs = []
    for strike in strikes:
        right = draw(st.sampled_from(list(Right)))
        contract = OptionContract("NVDA", draw(st.dates(TODAY, date(2027, 12, 31))), right, Decimal(strike) / 2)
        opens = draw(st.sampled_from([None, True, False]))
        legs.append(TicketLeg(draw(st.booleans()), draw(st.integers(1, MOST_QUANTITY)), contract.occ, opens))
    pricing = draw(st.sampled_from([p for p in Pricing if p is not Pricing.MARKET or count == 1]))
    price = None
    if pricing is Pricing.GIVEN:
        price = Decimal(draw(st.integers(1, 9_999_999))) / 100
        if legs[0].buys if len({leg.buys for leg in legs}) == 1 else draw(st.booleans()):
            price = -price
    force = draw(st.sampled_from([TimeInForce.DAY, TimeInForce.IOC, TimeInForce.GTC, TimeInForce.GTD]))
    if pricing is Pricing.MARKET:
        force = TimeInForce.DAY
    until = date(2026, 12, 31) if force is TimeInForce.GTD else None
    return Ticket(tuple(legs), pricing, price, None, force, until)


@given(tickets())
def test_a_ticket_that_is_spelled_out_reads_as_itself(ticket):
    assert read_order(order_text(ticket), TODAY) == ticket


def test_a_rolls_contract_and_an_edits_price():
    assert read_contract(["15MAY26", "180C"], "NVDA", TODAY) == (date(2026, 5, 15), Decimal(180), Right.CALL)
    assert read_contract(["15MAY26"], "NVDA", TODAY) == (date(2026, 5, 15), None, None)
    assert isinstance(read_contract(["15MAY25", "180C"], "NVDA", TODAY), Mistake)
    assert isinstance(read_contract([], "NVDA", TODAY), Mistake)
    assert read_price("4.20") == Decimal("4.20")
    assert isinstance(read_price("-4"), Mistake)
    assert isinstance(read_price("4 5"), Mistake)
