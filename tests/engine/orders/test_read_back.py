"""Orders that no list shows: what ended while nobody looked is asked for by its number, or searched for by its day."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.clock import et_date
from qmterm.core.errors import BrokerError, JournalError
from qmterm.core.orders import Action, Leg, OrderState, Purpose, TimeInForce
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.commands import ClosePosition
from qmterm.engine.ladder import Level
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.read_back import ASK_AGAIN_S, FILLS_PATIENCE_S, awaited
from tests.engine.fakes import OCC, entry, lost
from tests.engine.house import GONE, close_at, opened
from tests.engine.orders.desk_seat import BUY, Seat, order_line
from tests.engine.orders.test_recovery import Life

DAY_S = 86_400


@pytest.fixture
def at() -> Seat:
    return Seat()


@pytest.fixture
async def life(tmp_path):
    one = Life(tmp_path)
    await one.begin()
    yield one
    await one.journal.close()


def away(broker, broker_id, state=None):
    """It ended, or works on, and no list of the day shows it any more."""
    order = broker.orders.pop(broker_id)
    broker.archive[broker_id] = order if state is None else replace(order, state=state)


async def read_twice(at):
    for _ in range(2):
        await at.desk.read_back(await at.broker.account_state())
        at.clock.advance(1)


# --- asked for by its number ---


async def test_what_ended_in_no_list_ends_by_its_number_after_two_readings(at):
    record = await at.desk.submit(entry())
    away(at.broker, "1000", OrderState.CANCELLED)
    await at.desk.read_back(await at.broker.account_state())
    assert (record.state, at.broker.looked_up) == (OrderState.RECEIVED, [])
    at.clock.advance(0.1)
    await at.desk.read_back(await at.broker.account_state())
    assert (record.state, at.broker.looked_up) == (OrderState.CANCELLED, ["1000"])


async def test_fills_that_no_list_shows_any_more_are_counted_once(at):
    record = await at.desk.submit(entry())
    at.broker.fill("1000", 2)
    away(at.broker, "1000")
    await read_twice(at)
    await read_twice(at)
    assert (record.state, at.book.quantity(OCC), len(at.fills)) == (OrderState.FILLED, 2, 1)


async def test_an_order_that_rests_for_weeks_is_asked_for_seldom(at):
    record = await at.desk.submit(replace(entry(), time_in_force=TimeInForce.GTC))
    await at.desk.on_order(at.broker.set_state("1000", OrderState.LIVE))
    away(at.broker, "1000")
    await read_twice(at)
    await read_twice(at)
    assert (record.state, at.broker.looked_up) == (OrderState.LIVE, ["1000"])
    at.clock.advance(ASK_AGAIN_S)
    await at.desk.read_back(await at.broker.account_state())
    assert at.broker.looked_up == ["1000", "1000"]


async def test_a_reading_that_is_not_whole_or_shows_it_asks_nothing(at):
    await at.desk.submit(entry())
    await read_twice(at)
    away(at.broker, "1000")
    at.broker.complete = False
    await read_twice(at)
    assert at.broker.looked_up == []


async def test_a_number_that_the_broker_does_not_know_counts_as_removed_with_an_alarm(at):
    record = await at.desk.submit(entry())
    at.told.clear()
    at.broker.orders.clear()
    await read_twice(at)
    assert (record.state, at.told) == (OrderState.RECEIVED, [])  # said once is not certain
    at.clock.advance(9)
    await at.desk.read_back(await at.broker.account_state())
    assert record.state is OrderState.REMOVED
    text = f"counts as removed: {BUY}; the broker has no order 1000, look at the account"
    assert at.told[0] == order_line("alarm", text)


@pytest.mark.parametrize("how", ["of a known number", "given up", "not accepted"])
async def test_what_became_of_a_lost_order_is_said_though_the_row_of_it_fails(at, how):
    if how == "of a known number":
        await at.desk.submit(entry())
    else:
        at.broker.after_accept = lost
        await at.desk.submit(entry())
    at.broker.orders.clear()
    if how == "given up":
        at.broker.held[OCC] = 2
    await read_twice(at)
    at.told.clear()
    at.journal.full = True
    for _ in range(2):
        at.clock.advance(9)
        with suppress(JournalError):
            await at.desk.read_back(await at.broker.account_state())
    words = {"of a known number": "counts as removed", "given up": "given up", "not accepted": "not accepted"}
    assert [line[2] for line in at.told if line[2].startswith(words[how])]


@pytest.mark.parametrize("state", [OrderState.LIVE, OrderState.CANCELLED, OrderState.FILLED])
async def test_what_counted_as_removed_and_turns_up_is_seen_again_with_an_alarm(at, state):
    record = await at.desk.submit(entry())
    kept = at.broker.orders.pop("1000")
    await read_twice(at)
    at.clock.advance(9)
    await at.desk.read_back(await at.broker.account_state())
    assert at.desk.ledger.working == ()
    for _ in range(2):
        await at.desk.on_order(replace(kept, state=state))
    assert (record.state, at.desk.ledger.working) == (state, () if state.terminal else (record,))
    assert at.journal.orders[-1] == ("qm-1", state, "1000", at.now, "turned up after all")
    told = [line for line in at.told if "turned up" in line[2]]
    assert told[0] == order_line("alarm", f"an order that the broker did not know turned up: {BUY}")


async def test_an_order_that_the_broker_itself_removed_is_not_brought_back_by_old_news(at):
    record = await at.desk.submit(entry())
    await at.desk.on_order(at.broker.set_state("1000", OrderState.REMOVED))
    await at.desk.on_order(at.broker.set_state("1000", OrderState.LIVE))
    assert (record.state, at.desk.ledger.working) == (OrderState.REMOVED, ())


async def test_a_number_that_is_known_again_is_not_removed(at):
    record = await at.desk.submit(entry())
    kept = at.broker.orders.pop("1000")
    await read_twice(at)
    at.broker.orders["1000"] = kept
    await read_twice(at)
    del at.broker.orders["1000"]
    at.clock.advance(60)
    await read_twice(at)
    assert (record.state, record.missing_since is None) == (OrderState.RECEIVED, False)


async def test_no_answer_proves_nothing_and_is_asked_again(at):
    record = await at.desk.submit(entry())
    at.broker.orders.clear()
    asked = []

    async def order(broker_id):
        asked.append(broker_id)
        raise BrokerError("busy", "rate_limited")

    at.broker.order = order
    for _ in range(4):
        at.clock.advance(60)
        await at.desk.read_back(await at.broker.account_state())
    assert (record.state, len(asked)) == (OrderState.RECEIVED, 3)
    assert at.told[-1] == order_line("warn", "order 1000 could not be looked up: busy")


# --- searched for by its day ---


async def test_an_unknown_order_of_an_earlier_day_is_searched_for_from_that_day_before_it_is_given_up(at):
    at.broker.after_accept = lost
    record = await at.desk.submit(entry())
    at.broker.fill("1000", 2)
    away(at.broker, "1000")
    at.broker.held.clear()
    at.clock.advance(8 * DAY_S)
    kept, state = at.broker.archive, await at.broker.account_state()
    at.broker.archive, at.broker.complete = {}, False
    await at.desk.read_back(state)
    at.clock.advance(11)
    await at.desk.read_back(state)
    assert record.state is OrderState.UNKNOWN  # the search was not whole
    at.broker.archive, at.broker.complete = kept, True
    await at.desk.read_back(state)
    assert at.broker.searched == [et_date(record.intent.created_ns)] * 2
    assert (record.state, at.book.quantity(OCC)) == (OrderState.FILLED, 2)


async def test_a_search_without_an_answer_gives_nothing_up(at):
    at.broker.before_accept = lost
    record = await at.desk.submit(entry())
    at.clock.advance(DAY_S)

    async def orders_since(day):
        raise BrokerError("busy", "rate_limited")

    at.broker.orders_since = orders_since
    for _ in range(3):
        await at.desk.read_back(await at.broker.account_state())
        at.clock.advance(11)
    assert record.state is OrderState.UNKNOWN
    assert at.told[-1] == order_line("warn", "the orders since 2026-03-02 could not be read: busy")


async def test_what_others_did_that_long_ago_is_not_counted_by_the_search(at):
    at.broker.before_accept = lost
    record = await at.desk.submit(entry())
    at.broker.before_accept = lambda intent: None
    await at.broker.place(entry("from-elsewhere"))
    at.broker.fill("1000", 2)
    away(at.broker, "1000")
    at.broker.held.clear()  # inside the book since
    at.clock.advance(8 * DAY_S)
    for _ in range(2):
        await at.desk.read_back(await at.broker.account_state())
        at.clock.advance(11)
    assert (record.state, at.book.quantity(OCC)) == (OrderState.NOT_ACCEPTED, 0)
    assert len(at.desk.ledger.records) == 1


# --- over a restart ---


async def test_a_day_order_that_ended_while_the_engine_was_off_is_ended_at_the_start(life):
    record = await life.desk.submit(entry("qm-1", 2))
    await life.desk.on_order(life.broker.set_state(record.broker_id, OrderState.LIVE))
    life.clock.advance(8 * DAY_S)
    away(life.broker, record.broker_id, OrderState.EXPIRED)
    await life.restart()
    for _ in range(2):
        await life.desk.read_back(await life.broker.account_state())
        life.clock.advance(1)
    assert life.desk.ledger.working == ()
    assert life.desk.ledger.get("qm-1").state is OrderState.EXPIRED


async def test_an_exit_that_ended_while_the_engine_was_off_holds_back_no_stop_and_no_close():
    async with opened(orders=OrderSettings(readback_window_s=10, walk=False)) as house:
        await house.hold(4)
        ghost = replace(
            entry("xP1-old", 4),
            purpose=Purpose.EXIT,
            legs=(Leg(OCC, Action.SELL_TO_CLOSE, 4),),
            net_price=Decimal("4.50"),
            plan_id="P1",
            max_loss=None,
            reason=Reason.PREMIUM_STOP,
        )
        house.desk.ledger.add(OrderRecord(ghost, OrderState.LIVE, broker_id="77"))  # as the journal gives it back
        house.broker.cash = house.book.cash
        assert not house.approvals.close(ClosePosition(OCC, send=True)).ok
        for _ in range(3):
            await house.oversight.reconcile()
            house.clock.advance(11)
        posts = len(house.broker.posts)
        house.quote(2.0, 2.1)
        house.quotes.set("NVDA", GONE - 0.05, GONE + 0.05, house.clock.now())
        close_at(house, GONE)
        await house.turn()
        assert len(house.broker.posts) == posts + 1


async def test_an_unknown_order_that_filled_out_of_reach_ends_as_a_difference_that_a_person_is_told_of():
    async with opened(orders=OrderSettings(readback_window_s=10, walk=False)) as house:
        house.broker.before_accept = lost
        record = await house.desk.submit(entry("qm-1", 2))
        house.broker.held, house.broker.cash = {OCC: 2}, house.broker.cash - 831
        for _ in range(4):
            house.clock.advance(11)
            await house.oversight.reconcile()
        assert (record.state, house.book.quantity(OCC)) == (OrderState.NOT_ACCEPTED, 2)
        assert house.ladder.level is Level.REDUCE_ONLY


# --- differences that wait for what is on its way ---


async def half_told(house):
    """All four are filled, says the broker; its list of orders shows two of the fills."""
    record = await house.desk.submit(entry("qm-1", 4))
    house.broker.fill(record.broker_id, 2)
    whole = house.broker.fill(record.broker_id, 2)
    house.broker.orders[record.broker_id] = replace(whole, fills=whole.fills[:1])
    fees = sum(f.fees for f in (await house.desk.on_order(house.broker.orders[record.broker_id])).fills.values())
    house.broker.cash -= 1640 + fees * 2
    return whole


async def test_a_filled_order_whose_fills_are_not_all_told_holds_its_differences_back():
    async with opened(orders=OrderSettings(readback_window_s=10, walk=False)) as house:
        whole = await half_told(house)
        for _ in range(3):
            house.clock.advance(11)
            agreed, text = await house.oversight.reconcile()
        assert (agreed, text) == (
            False,
            "not all fills of BUY 4 NVDA 17APR26 175C @ 4.15 db were told yet; its differences wait for them",
        )
        house.broker.orders[whole.broker_id] = whole
        await house.oversight.reconcile()
        assert (house.book.quantity(OCC), house.journal.adjustments) == (4, [])


async def test_the_patience_for_missing_fills_begins_when_the_order_is_called_filled(at):
    await at.desk.submit(entry())
    at.clock.advance(FILLS_PATIENCE_S)
    await at.desk.on_order(at.broker.set_state("1000", OrderState.FILLED))
    at.clock.advance(FILLS_PATIENCE_S - 1)
    assert awaited(at.desk.ledger, {OCC}, at.clock.monotonic())
    at.clock.advance(1)
    assert awaited(at.desk.ledger, {OCC}, at.clock.monotonic()) == ""


async def test_fills_that_never_come_are_adopted_as_a_difference_after_their_patience():
    async with opened(orders=OrderSettings(readback_window_s=10, walk=False)) as house:
        await half_told(house)
        for _ in range(2):
            house.clock.advance(FILLS_PATIENCE_S / 2)
            await house.oversight.reconcile()
        assert house.book.quantity(OCC) == 4
        assert house.journal.adjustments[0] == (OCC, 2)
        assert house.ladder.level is Level.REDUCE_ONLY


async def test_a_difference_waits_while_what_became_of_its_order_has_no_answer():
    async with opened(orders=OrderSettings(readback_window_s=10, walk=False)) as house:
        record = await house.desk.submit(entry("qm-1", 2))
        house.broker.fill(record.broker_id, 2)
        away(house.broker, record.broker_id)
        house.broker.cash -= 822
        answers = house.broker.order

        async def silent(broker_id):
            raise BrokerError("busy", "rate_limited")

        house.broker.order = silent
        for _ in range(3):
            house.clock.advance(11)
            assert not (await house.oversight.reconcile())[0]
        assert house.journal.adjustments == []
        house.broker.order = answers
        house.clock.advance(11)
        await house.oversight.reconcile()
        assert (house.book.quantity(OCC), record.state) == (2, OrderState.FILLED)


async def test_an_old_filled_order_without_fills_or_one_of_another_contract_holds_nothing_back():
    other = "NVDA  260417C00180000"
    ledger = Ledger()
    ledger.add(OrderRecord(entry("qm-1"), OrderState.FILLED, known_since=1000.0))
    assert awaited(ledger, [OCC], 1000.0 + FILLS_PATIENCE_S) == ""
    assert awaited(ledger, [other], 1001.0) == ""
    assert awaited(ledger, [""], 1001.0) != ""
    assert awaited(ledger, [OCC], 1001.0) != ""
