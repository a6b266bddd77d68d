"""What an edit answers word for word, and each thing that keeps one from being sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from qmterm.core.clock import et_date
from qmterm.core.orders import Action, Leg, OrderState, TimeInForce
from qmterm.core.reasons import Reason
from qmterm.core.ticks import TickProgram, table_of
from qmterm.engine.commands import DEARER, EditOrder, StageTicket
from qmterm.engine.ladder import Level
from qmterm.risk.verdict import Verdict
from tests.engine.fakes import OCC, entry
from tests.engine.house import opened

HIGHER, LATER = "NVDA  260417C00180000", "NVDA  260515C00175000"


@pytest.fixture
async def house():
    async with opened() as made:
        yield made


async def live(house):
    await house.lanes.idle()
    record = house.working[-1]
    await house.desk.on_order(house.broker.set_state(record.broker_id, OrderState.LIVE))
    return record


async def working(house, text="buy 2 NVDA 17APR26 175C @ 4.10"):
    answer = await house.tickets.stage(StageTicket(text, send=True))
    assert answer.ok, answer.text
    return await live(house)


async def submitted(house, intent):
    """An order of ours that no ticket asked for."""
    await house.desk.submit(intent)
    return await live(house)


async def edit(house, record, price, *, dearer=True):
    answer = house.edits.edit(EditOrder(record.intent.intent_id, price, dearer))
    await house.lanes.idle()
    return answer


def replacement(house, record):
    return house.desk.ledger.replacing(record)[-1]


def said(answer):
    assert answer.ok is False
    return answer.text, answer.data, answer.refused


# --- in words ---


async def test_what_cannot_be_read_points_at_the_word(house):
    text, data, _ = said(await edit(house, await working(house), "cheap"))
    assert "no price" in text
    assert data == {"code": "BAD_INPUT", "column": 0}


async def test_an_unknown_order_is_named(house):
    assert said(house.edits.edit(EditOrder("zzz", "4.15"))) == ("no order 'zzz'", None, False)


async def test_a_dearer_entry_is_asked_for_with_both_terms(house):
    text, data, refused = said(await edit(house, await working(house), "4.15", dearer=False))
    words = "BUY 2 NVDA 17APR26 175C @ 4.10 db to 4.15 db is dearer: worst case +$10.00; say dearer to send it"
    assert text == f"nothing was sent yet: {words}"
    assert data == {"code": DEARER, "more": "10.00", "from": "4.10 db", "to": "4.15 db"}
    assert not refused


async def test_five_cents_dearer_is_dearer(house):
    house.quotes.set("NVDA", 177.95, 178.05, house.clock.now())
    record = await submitted(house, replace(entry(), legs=(Leg("NVDA", Action.BUY_TO_OPEN, 5),), quantity=5,
                                            net_price=Decimal("-178.00"), max_loss=Decimal(890)))  # fmt: skip
    assert said(await edit(house, record, "178.01", dearer=False))[1]["more"] == "0.05"


async def test_an_edit_is_journalled_with_both_terms_and_said(house):
    kept = []
    house.journal.decision = lambda *args, **more: kept.append((args, more))
    record = await working(house)
    kept.clear()
    answer = await edit(house, record, "4.05")
    assert (answer.ok, answer.text) == (True, "replacing BUY 2 NVDA 17APR26 175C @ 4.10 db with 4.05 db")
    numbers = {"from": "4.10 db", "to": "4.05"}
    assert kept == [(("NVDA", "edited", house.clock.now()), {"reason": Reason.USER, "numbers": numbers})]


async def test_a_price_off_the_grid_names_the_order_and_the_near_ones(house):
    text, data, refused = said(await edit(house, await working(house), "4.12"))
    assert text == "4.12 is not on the price grid of NVDA 17APR26 175C: the nearest are 4.10 and 4.15"
    assert (data["code"], refused) == ("OFF_TICK", True)


async def test_the_price_it_has_already_is_no_edit(house):
    text, data, refused = said(await edit(house, await working(house), "4.10"))
    assert (text, data["code"], refused) == ("its price is 4.10 already", "BAD_INPUT", True)


async def test_the_trigger_it_has_already_is_no_edit(house):
    await house.hold(1)
    record = await working(house, "stc 1 NVDA 17APR26 175C stop 3.00 gtc")
    text, data, refused = said(await edit(house, record, "3.00"))
    assert (text, data["code"], refused) == ("its trigger is 3.00 already", "BAD_INPUT", True)


NAME = "BUY 2 NVDA 17APR26 175C @ 4.10 db"


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        ("unknown", f"the outcome of {NAME} is not known yet: read-back settles it first, then edit"),
        ("external", f"{NAME} was placed elsewhere: edit it there, or cancel it"),
        ("ended", f"{NAME} is cancelled: nothing to edit"),
        ("cancelling", f"a cancel of {NAME} is on its way: it cannot be edited now"),
        ("contingent", f"{NAME} is contingent: it cannot be edited until it stands at the broker"),
    ],
)
async def test_an_order_that_cannot_be_edited_says_why_and_nothing_is_sent(house, happens, words):
    record = await working(house)
    if happens == "external":
        record.external = True
    elif happens == "cancelling":
        record.cancel_asked, record.cancel_asked_at = True, house.clock.monotonic()
    else:
        states = {"unknown": OrderState.UNKNOWN, "ended": OrderState.CANCELLED, "contingent": OrderState.CONTINGENT}
        record.state = states[happens]
    assert said(await edit(house, record, "4.05")) == (words, None, False)
    assert house.broker.puts == []


async def test_a_replacement_on_its_way_is_waited_for_in_words(house):
    record = await working(house)
    assert house.edits.edit(EditOrder(record.intent.intent_id, "4.05")).ok
    answer = house.edits.edit(EditOrder(record.intent.intent_id, "4.00"))
    assert answer.text == f"a replacement of {NAME} is on its way: look again in a moment"


async def test_a_market_order_has_no_price_to_edit(house):
    await house.hold(1)
    record = await working(house, "stc 1 NVDA 17APR26 175C @ mkt")
    text = "SELL 1 NVDA 17APR26 175C @ market has no price to edit: cancel it and give a new order"
    assert said(await edit(house, record, "4.00")) == (text, None, False)


async def test_legs_that_filled_unequally_are_cancelled_not_edited(house):
    house.quote(2.20, 2.30, HIGHER)
    record = await working(house, "buy 2 NVDA 17APR26 175C / sell 2 NVDA 17APR26 180C @ 1.90 db")
    await house.filled(record.broker_id, 1)  # of the first leg alone
    text, _, _ = said(await edit(house, record, "1.85"))
    assert text.startswith("the legs of ")
    assert text.endswith(" filled unequally: cancel it, its rest has no net price")


# --- which order is meant ---


async def test_an_order_whose_place_another_took_stands_for_that_one(house):
    house.quote(2.20, 2.30, HIGHER)
    record = await working(house)
    assert (await edit(house, record, "4.05")).ok
    new = replacement(house, record)
    for report in house.broker.took_over(new.broker_id):
        await house.desk.on_order(report)
    await working(house, "buy 1 NVDA 17APR26 180C @ 2.20")
    assert (await edit(house, record, "4.00")).ok
    assert house.broker.puts[-1][0] == new.broker_id
    assert replacement(house, new).intent.created_ns == house.clock.now()


# --- judged where it must be ---


async def test_a_close_at_a_price_out_of_all_reason_is_not_sent(house):
    await house.hold(1)
    record = await working(house, "stc 1 NVDA 17APR26 175C @ 4.15")
    text, data, refused = said(await edit(house, record, "0.05"))
    assert (data["code"], refused) == ("PRICE_INSANE", True)
    assert text.startswith("refused, nothing was sent: PRICE_INSANE: ")
    assert house.broker.puts == []


async def test_a_credit_below_a_dollar_stays_a_credit(house):
    await house.hold(1)
    house.quote(0.50, 0.60)
    record = await working(house, "stc 1 NVDA 17APR26 175C @ 0.60")
    assert (await edit(house, record, "0.55")).ok
    assert replacement(house, record).intent.net_price == Decimal("0.55")


async def test_under_no_new_not_even_a_cheaper_entry_is_sent(house):
    record = await working(house)
    house.ladder.lower(Level.NO_NEW, Reason.USER, "", 1, by_person=True)
    _, data, refused = said(await edit(house, record, "4.05"))
    assert (data["code"], refused) == ("LADDER_NO_NEW", True)
    assert house.broker.puts == []


async def test_a_stop_that_opens_is_dearer_by_its_trigger(house):
    record = await working(house, "bto 2 NVDA 17APR26 175C stop 4.50")
    assert said(await edit(house, record, "4.60", dearer=False))[1]["more"] == "20.00"
    assert (await edit(house, record, "4.45", dearer=False)).ok


async def test_the_new_price_is_what_the_new_order_can_lose(house):
    record = await working(house)
    assert (await edit(house, record, "4.15")).ok
    assert replacement(house, record).intent.max_loss == pytest.approx(Decimal("832.52"), abs=Decimal("0.5"))


async def test_an_entry_of_a_strategy_is_judged_beside_what_that_strategy_holds(house):
    """Sold against its own call, and in spite of the position it has: it adds to nothing."""
    await house.hold(1)
    house.quote(2.20, 2.30, HIGHER)
    sold = replace(entry(), legs=(Leg(HIGHER, Action.SELL_TO_OPEN, 1),), quantity=1, net_price=Decimal("2.25"))
    record = await submitted(house, sold)
    answer = await edit(house, record, "2.20")
    assert answer.ok, answer.text


async def test_an_edit_is_no_second_order_of_the_same_kind(house):
    await submitted(house, entry("qm-1"))
    await house.ended(house.working[0].broker_id)
    record = await submitted(house, entry("qm-2", price="-4.10"))
    answer = await edit(house, record, "4.15")
    assert answer.ok, answer.text


ROLL = "sell 2 NVDA 17APR26 175C / buy 2 NVDA 15MAY26 175C @ 0.95 db"


async def rolling(house):
    await house.hold(2)
    house.quote(5.00, 5.12, LATER)
    return await working(house, ROLL)


async def test_a_dearer_roll_counts_what_it_opens_at_the_price_that_crosses_now(house):
    record = await rolling(house)
    answer = await edit(house, record, "1.00")
    assert answer.ok, answer.text
    assert replacement(house, record).intent.max_loss > Decimal(2 * 515)


async def test_a_roll_that_nobody_would_fill_now_gets_no_dearer(house):
    record = await rolling(house)
    house.quotes.table.pop(LATER)
    text, data, refused = said(await edit(house, record, "1.00"))
    assert text == "nobody quotes the side that opens: a dearer price cannot be judged"
    assert (data["code"], refused) == ("NO_QUOTE", True)
    assert house.broker.puts == []


async def test_a_roll_out_of_more_than_is_held_gets_no_dearer(house):
    record = await rolling(house)
    held = house.book.position(OCC)
    house.book._positions[OCC] = replace(held, quantity=1)
    text, data, refused = said(await edit(house, record, "1.00"))
    assert text == f"refused, nothing was sent: {data['code']} allows 1 of 2 at 1.00"
    assert refused


@pytest.mark.parametrize(
    ("reason", "code"), [(Reason.LIMIT_SYMBOL, "LIMIT_SYMBOL"), (None, "LIMIT_TRADE"), (Reason.NO_NLV, "NO_NLV")]
)
async def test_a_limit_that_allows_fewer_is_named_with_how_many(house, reason, code):
    record = await working(house)
    house.trader.judge = lambda *_args, **_more: Verdict(1, reason)
    text, data, _ = said(await edit(house, record, "4.15"))
    assert (text, data["code"]) == (f"refused, nothing was sent: {code} allows 1 of 2 at 4.15", code)
    assert house.broker.puts == []


async def test_a_strategy_that_holds_the_stock_may_pay_more_for_an_entry_that_works_already(house):
    await house.hold(1)
    house.quote(2.20, 2.30, HIGHER)
    bought = entry(symbol=HIGHER, quantity=1, price="-2.20")
    answer = await edit(house, await submitted(house, bought), "2.25")
    assert answer.ok, answer.text


async def test_the_brokers_own_grid_holds_for_an_edit(house):
    house.trader.ticks._tables["NVDA"] = table_of(TickProgram.PENNY_ALL)
    assert (await edit(house, await working(house), "4.12")).ok
    assert house.broker.puts


async def test_what_a_roll_opens_is_counted_on_the_brokers_own_grid(house):
    record = await rolling(house)
    house.trader.ticks._tables["NVDA"] = table_of(TickProgram.PENNY_ALL)
    answer = await edit(house, record, "0.96")
    assert answer.ok, answer.text
    assert Decimal(1024) < replacement(house, record).intent.max_loss < Decimal(1029)


async def test_an_order_whose_date_has_passed_is_refused_with_the_rule(house):
    until = et_date(house.clock.now()) + timedelta(days=1)
    record = await submitted(house, replace(entry(), time_in_force=TimeInForce.GTD, good_until=until))
    house.clock.advance(86_400)
    house.quote(4.10, 4.20)
    text, data, _ = said(await edit(house, record, "4.10"))
    assert data["code"] == "ORDER_RULES"
    assert f"a GTD order needs a date in the future, not {until}" in text
