"""What the desk says and marks of orders in a bracket, word for word."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.errors import BrokerError
from qmterm.core.orders import Action, OrderState
from qmterm.engine.orders.brackets import ExitTerms, exits_behind
from tests.engine.fakes import OCC, entry
from tests.engine.orders.desk_seat import Seat

FILLED = "SLD 2 NVDA 17APR26 175C @ 2.00"


@pytest.fixture
def at():
    return Seat()


async def sent(at, **stop_changes):
    trigger, target, stop = exits_behind(entry(), ExitTerms(Decimal("2.05"), Decimal("9.00")))
    records = tuple(at.desk.register(intent) for intent in (trigger, target, replace(stop, **stop_changes)))
    await at.desk.send_bracket(records, lambda _record: None)
    await at.desk.on_order(at.broker.fill(records[0].broker_id, 2))
    at.told.clear()
    return records


def loud(at):
    return [line for line in at.told if line[0] in ("warn", "alarm")]


@pytest.mark.parametrize(("reason", "cause"), [({}, "PREMIUM_STOP: "), ({"reason": None}, "")])
async def test_an_exit_that_filled_by_itself_is_told_with_its_cause(at, reason, cause):
    _, _, stop = await sent(at, **reason)
    await at.desk.on_order(at.broker.fill(stop.broker_id, 2, "2.00"))
    ((level, kind, text, subject, more),) = loud(at)
    assert (level, kind, subject, more) == ("warn", "STOP", stop.intent.intent_id, {})
    assert text.startswith(f"{cause}the stop that rested at the broker filled: {FILLED}")


async def test_the_second_exit_of_a_bracket_that_fills_is_an_alarm_of_its_own(at):
    _, target, stop = await sent(at)
    await at.desk.on_order(at.broker.fill(stop.broker_id, 2, "2.00"))
    at.told.clear()
    await at.desk.on_order(at.broker.fill(target.broker_id, 1, "9.00"))
    name = "SELL 2 NVDA 17APR26 175C @ 9.00 cr GTC (target)"
    text = f"both exits of a bracket filled: {name}; look at the position"
    assert loud(at)[-1] == ("alarm", "ORD", text, target.intent.intent_id, {})


async def test_an_exit_that_the_broker_shows_with_other_legs_is_an_alarm_and_keeps_its_own(at):
    _, _, stop = await sent(at)
    told = at.broker.orders[stop.broker_id]
    legs = (replace(told.legs[0], action=Action.SELL_TO_OPEN, quantity=1),)
    await at.desk.on_order(replace(told, legs=legs))
    text = "the broker shows other legs than ours: SELL 2 NVDA 17APR26 175C @ stop 2.05 GTC (stop)"
    assert loud(at) == [("alarm", "ORD", text, stop.intent.intent_id, {})]
    assert (stop.intent.quantity, stop.intent.legs[0].symbol, stop.intent.reduces) == (2, OCC, True)


async def test_one_whose_bracket_has_no_number_is_cancelled_alone_and_marks_no_other(at):
    _, target, stop = await sent(at)
    await at.desk.on_order(at.broker.set_state(target.broker_id, OrderState.LIVE))
    stop.complex_id = None
    await at.desk.cancel(stop, "x")
    assert (stop.cancel_asked, target.cancel_asked) == (True, False)


async def test_an_order_that_may_be_walked_leaves_with_its_worst_price_in_the_log(at):
    await at.desk.submit(replace(entry(), worst_price=Decimal("-4.30")))
    (line,) = [line for line in at.told if line[2].startswith("sent ")]
    assert (line[4]["worst"], line[4]["limit"]) == ("-4.30", "4.15 db")


@pytest.mark.parametrize(
    ("replacing", "code", "level"),
    [
        (True, "cannot_update_order", "info"),  # it came too late: news of its original, no trouble
        (True, "margin_check_failed", "warn"),
        (False, "cannot_update_order", "warn"),
    ],
)
async def test_a_refusal_is_trouble_unless_a_replacement_only_came_too_late(at, replacing, code, level):
    old = await at.desk.submit(entry())
    await at.desk.on_order(at.broker.set_state(old.broker_id, OrderState.LIVE))

    def refuse(_intent):
        raise BrokerError("no", code)

    at.broker.before_accept = refuse
    await at.desk.submit(replace(entry("qm-1.1"), replaces="qm-1" if replacing else None))
    assert at.told[-1] == (level, "ORD", "refused by the broker: no", "qm-1.1", {"code": code})


async def test_a_replacement_leaves_with_the_name_of_what_it_replaces(at):
    old = await at.desk.submit(entry())
    await at.desk.on_order(at.broker.set_state(old.broker_id, OrderState.LIVE))
    await at.desk.submit(replace(entry("qm-1.1"), replaces="qm-1"))
    assert at.told[-1][2] == "sent BUY 2 NVDA 17APR26 175C @ 4.15 db in the place of qm-1"
