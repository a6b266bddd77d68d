"""An order in another's place: on disk first, sent once, counted once with its original, found whatever gets lost."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.errors import BrokerError, JournalError, OutcomeUnknown
from qmterm.core.orders import OrderKind, OrderState, TimeInForce
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.commands import ApproveProposal, CancelOrder, ClosePosition, EditOrder, Terms
from qmterm.engine.orders.exposure import closable, open_risk, risk_book
from qmterm.engine.orders.fillable import fillable
from qmterm.engine.orders.walker import repriced
from tests.engine.fakes import CASH, OCC
from tests.engine.house import House, opened

STILL = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=False)


@pytest.fixture
async def house():
    async with opened(orders=STILL) as made:
        yield made


async def working(house: House, quantity: int = 4):
    """An entry that rests at the broker and may be walked from 4.10 to 4.15."""
    from tests.engine.house import plan

    intent = house.trader.intent_of(plan(now_ns=house.clock.now()), quantity)
    record = await house.desk.submit(replace(intent, net_price=Decimal("-4.10"), worst_price=Decimal("-4.15")))
    await house.desk.on_order(house.broker.set_state(record.broker_id, OrderState.LIVE))
    return record


async def stepped(house: House, record, price: str = "-4.12"):
    intent = repriced(house.desk.ledger, record, Decimal(price), house.clock.now())
    new = house.trader.replace_order(record, intent)
    await house.lanes.idle()
    return new


def refuse(error):
    def raise_it(_intent):
        raise error

    return raise_it


async def test_the_new_intent_is_on_disk_before_the_one_put_leaves(house):
    old = await working(house)
    house.journal.rows.clear()
    new = await stepped(house, old)
    assert house.broker.puts == [(old.broker_id, "eP1.1")]
    assert house.journal.rows[0] == ("intent", "eP1.1")
    assert (new.state, new.intent.replaces, new.intent.worst_price) == (OrderState.CONTINGENT, "eP1", Decimal("-4.15"))


async def test_without_a_journal_nothing_is_replaced(house):
    old = await working(house)
    house.journal.full = True
    new = await stepped(house, old)
    assert (new.state, house.broker.puts) == (OrderState.NOT_SENT, [])
    assert any(isinstance(error, JournalError) for error in house.lane_errors)
    assert old.working


async def test_the_original_ends_cancelled_and_says_by_whom(house):
    old = await working(house)
    new = await stepped(house, old)
    for order in house.broker.took_over(new.broker_id):
        await house.desk.on_order(order)
    assert (old.state, old.reason) == (OrderState.CANCELLED, "replaced by eP1.1")
    assert house.desk.ledger.taken_over(old) is new
    assert new.state is OrderState.LIVE


async def test_a_fill_of_the_original_calls_the_replacement_off_and_counts_once(house):
    old = await working(house)
    new = await stepped(house, old)
    house.broker.called_off(new.broker_id)
    await house.filled(old.broker_id, 4)
    await house.desk.on_order(house.broker.orders[new.broker_id])
    assert (old.state, new.state) == (OrderState.FILLED, OrderState.REMOVED)
    assert house.book.quantity(OCC) == 4
    assert house.desk.ledger.working == ()


async def test_what_was_filled_before_is_not_asked_for_again(house):
    old = await working(house)
    await house.filled(old.broker_id, 1)
    new = await stepped(house, old)
    assert (new.intent.quantity, new.intent.legs[0].quantity) == (3, 3)
    assert new.intent.max_loss == old.intent.max_loss * 3 / 4


async def test_a_fill_that_overtakes_the_replace_leaves_the_size_the_broker_says(house):
    old = await working(house)

    def fill_first(_intent):
        house.broker.fill(old.broker_id, 1)

    house.broker.before_accept = fill_first
    new = await stepped(house, old)
    assert (new.intent.quantity, new.remaining(OCC)) == (3, 3)
    assert new.intent.max_loss == old.intent.max_loss * 3 / 4


async def test_a_pair_is_counted_once_and_at_the_dearer_price(house):
    old = await working(house)
    alone = open_risk(house.book, house.desk.ledger)
    before = risk_book(house.book, house.desk.ledger, nlv=CASH, now_ns=house.clock.now(), buying_power=CASH)
    new = await stepped(house, old)
    assert open_risk(house.book, house.desk.ledger) == alone
    both = risk_book(house.book, house.desk.ledger, nlv=CASH, now_ns=house.clock.now(), buying_power=CASH)
    assert (both.cash, both.orders_last_minute) == (before.cash, before.orders_last_minute)
    (part,) = fillable(house.book, house.desk.ledger)["atr_matrix", "NVDA"]
    assert (part.units, part.price) == (4, Decimal("-4.15"))
    new.intent = replace(new.intent, worst_price=None, net_price=Decimal("-4.40"))
    (part,) = fillable(house.book, house.desk.ledger)["atr_matrix", "NVDA"]
    assert (part.units, part.price) == (4, Decimal("-4.40"))


async def test_a_pair_whose_outcome_is_lost_is_counted_at_no_less_than_either(house):
    old = await working(house)
    house.broker.after_accept = refuse(OutcomeUnknown("reset"))
    new = await stepped(house, old)
    await house.filled(old.broker_id, 3)
    assert new.state is OrderState.UNKNOWN
    (part,) = fillable(house.book, house.desk.ledger)["atr_matrix", "NVDA"]
    assert part.units == 4  # the replacement's own size is not known yet


async def test_a_pair_of_closes_leaves_as_much_closable_as_one(house):
    await house.hold(4)
    house.trader.close(close_of(house, 3), by_person=True)
    await house.lanes.idle()
    (old,) = house.working
    await house.desk.on_order(house.broker.set_state(old.broker_id, OrderState.LIVE))
    await stepped(house, old, "4.05")
    assert len(house.working) == 2
    assert closable(house.book, house.desk.ledger, OCC) == 1


def close_of(house, quantity):
    from qmterm.core.orders import Action, Leg, OrderIntent, Purpose

    return OrderIntent(
        "c1", house.clock.now(), "atr_matrix", "NVDA", Purpose.EXIT, (Leg(OCC, Action.SELL_TO_CLOSE, quantity),),
        quantity, Decimal("4.10"), plan_id="P1", reason=Reason.USER,
    )  # fmt: skip


async def test_a_refused_replace_leaves_the_original_at_work(house):
    old = await working(house)
    house.broker.before_accept = refuse(BrokerError("no", "margin_check_failed"))
    new = await stepped(house, old)
    assert (new.state, old.state) == (OrderState.REJECTED, OrderState.LIVE)


@pytest.mark.parametrize("keeps_tags", [True, False])
async def test_a_lost_answer_is_settled_by_read_back_by_tag_or_by_link(house, keeps_tags):
    house.broker.keeps_tags = keeps_tags
    old = await working(house)
    house.broker.after_accept = refuse(OutcomeUnknown("reset"))
    new = await stepped(house, old)
    assert new.state is OrderState.UNKNOWN
    await house.oversight.read_account()
    assert (new.state, new.broker_id) == (OrderState.CONTINGENT, "1001")
    assert len(house.desk.ledger.records) == 2  # nothing was taken for an order from elsewhere
    await house.oversight.read_account()
    assert len(house.desk.ledger.records) == 2


async def test_a_replacement_that_carries_its_originals_tag_is_known_again(house):
    old = await working(house)
    new = await stepped(house, old)
    told = replace(house.broker.orders[new.broker_id], external_id="eP1", state=OrderState.LIVE)
    assert await house.desk.on_order(told) is new


async def test_somebody_elses_edit_at_another_price_is_not_taken_for_ours(house):
    house.broker.keeps_tags = False
    old = await working(house)
    house.broker.before_accept = refuse(OutcomeUnknown("reset"))
    new = await stepped(house, old)
    edited = replace(
        house.broker.orders[old.broker_id], broker_id="2000", external_id=None, replaces=old.broker_id,
        net_price=Decimal("-3.90"),
    )  # fmt: skip
    record = await house.desk.on_order(edited)
    assert record.external
    assert new.state is OrderState.UNKNOWN


async def test_a_replacement_that_never_arrived_is_given_up_and_the_original_works_on(house):
    old = await working(house)
    house.broker.before_accept = refuse(OutcomeUnknown("reset"))
    new = await stepped(house, old)
    for _ in range(2):
        await house.oversight.read_account()
        house.clock.advance(1)
    assert (new.state, old.state) == (OrderState.NOT_ACCEPTED, OrderState.LIVE)
    assert house.broker.puts == [(old.broker_id, "eP1.1")]


@pytest.mark.parametrize(
    "state",
    [OrderState.CANCEL_REQUESTED, OrderState.REPLACE_REQUESTED, OrderState.UNKNOWN, OrderState.FILLED,
     OrderState.CANCELLED, OrderState.SENT],
)  # fmt: skip
async def test_only_an_order_that_stands_at_the_broker_is_replaced(house, state):
    old = await working(house)
    intent = repriced(house.desk.ledger, old, Decimal("-4.12"), house.clock.now())
    old.state = state
    new = house.trader.replace_order(old, intent)
    await house.lanes.idle()
    assert (new.state, new.reason, house.broker.puts) == (OrderState.NOT_SENT, "ORIGINAL_GONE", [])


async def test_a_persons_cancel_ends_the_order_and_what_was_to_take_its_place(house):
    old = await working(house)
    new = await stepped(house, old)
    await house.approvals.cancel(CancelOrder(old.intent.intent_id))
    for order in house.broker.took_over(new.broker_id):
        await house.desk.on_order(order)
    house.clock.advance(20)
    await house.turn()
    assert new.broker_id in house.broker.cancels


async def test_an_entrys_time_runs_from_its_first_order(house):
    old = await working(house)
    house.clock.advance(200)
    new = await stepped(house, old)
    for order in house.broker.took_over(new.broker_id):
        await house.desk.on_order(order)
    house.clock.advance(99)
    house.quote(4.10, 4.20)
    await house.turn()
    assert house.broker.cancels == []
    house.clock.advance(2)
    await house.turn()
    assert house.broker.cancels == [new.broker_id]


# --- a person's own replace ---


async def ask(house, limit, name="eP1"):
    result = house.edits.edit(EditOrder(name, limit, dearer=True))
    await house.lanes.idle()
    return result


async def test_a_person_gives_a_working_order_another_limit(house):
    await working(house)
    assert (await ask(house, "4.05")).ok
    (_, new) = house.desk.ledger.records
    assert (new.intent.net_price, new.intent.worst_price, new.intent.reason) == (Decimal("-4.05"), None, Reason.USER)
    assert house.broker.puts == [("1000", "eP1.1")]


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("4.30", "PRICE_INSANE"),
        ("4.03", "the nearest are 4.00 and 4.05"),
        ("0", "cannot be zero"),
        ("NaN", "no price"),
    ],
)
async def test_a_limit_that_must_not_leave_is_refused_in_a_sentence(house, limit, words):
    await working(house)
    result = await ask(house, limit)
    assert not result.ok
    assert words in result.text
    assert house.broker.puts == []


async def test_what_is_on_its_way_out_or_not_ours_is_not_replaced(house):
    old = await working(house)
    assert "no order" in (await ask(house, "4.05", "nobody")).text
    await house.desk.cancel(old, "test")
    assert "cannot be edited now" in (await ask(house, "4.05")).text
    elsewhere = replace(house.broker.orders["1000"], broker_id="7", external_id=None, state=OrderState.LIVE)
    record = await house.desk.on_order(elsewhere)
    assert "placed elsewhere" in (await ask(house, "4.05", record.intent.intent_id)).text
    assert house.broker.puts == []


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms(OrderKind.MARKET), "@ market"),
        (Terms(OrderKind.STOP, trigger=Decimal("3.50"), time_in_force=TimeInForce.GTC), "@ stop 3.50 GTC"),
        (
            Terms(limit=Decimal("6.00"), time_in_force=TimeInForce.GTD, good_until=date(2026, 3, 6)),
            "6.00 cr GTD 2026-03-06",
        ),
    ],
)
async def test_a_person_closes_with_an_order_of_any_kind(house, terms, said):
    await house.hold(4)
    result = house.approvals.close(ClosePosition(OCC, terms=terms))
    assert result.ok
    assert said in result.text
    (waiting,) = house.trader.proposals.waiting
    assert any(said.removeprefix("@ ") in line for line in waiting.why)
    assert house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price))).ok
    await house.lanes.idle()
    (record,) = house.working
    assert (record.intent.kind, record.intent.time_in_force) == (terms.kind, terms.time_in_force)
    assert (record.intent.stop_trigger, record.intent.good_until) == (terms.trigger, terms.good_until)


@pytest.mark.parametrize(
    ("terms", "code"),
    [(Terms(OrderKind.MARKET, time_in_force=TimeInForce.GTC), "ORDER_RULES"),
     (Terms(OrderKind.STOP, trigger=Decimal("9.00")), "TRIGGER_INSANE"),
     (Terms(OrderKind.STOP_LIMIT, trigger=Decimal("3.50")), "ORDER_RULES")],
)  # fmt: skip
async def test_a_close_against_the_rules_is_never_staged(house, terms, code):
    await house.hold(4)
    result = house.approvals.close(ClosePosition(OCC, terms=terms))
    assert (result.ok, code in result.text) == (False, True)
    assert house.trader.proposals.waiting == ()


async def test_a_market_close_into_an_empty_book_is_refused(house):
    await house.hold(4)
    house.quote(0.0, 4.20)
    result = house.approvals.close(ClosePosition(OCC, terms=Terms(OrderKind.MARKET)))
    assert "EMPTY_BOOK: nobody quotes the side that a market order would take" in result.text
