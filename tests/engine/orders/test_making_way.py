"""A close waits for the exit that rests: that is cancelled once, and what waits leaves, or is given up when too old."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, Leg, OrderState, Purpose
from qmterm.engine.orders.brackets import ExitTerms, exits_behind
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.making_way import Held, MakingWay
from qmterm.engine.runlog import RunLog
from tests.engine.fakes import OCC, clock_at, entry
from tests.engine.orders.desk_seat import Sink

_, TARGET, STOP = exits_behind(entry(), ExitTerms(Decimal("2.05"), Decimal("9.00")))
CLOSE = replace(entry("x-1"), purpose=Purpose.EXIT, legs=(Leg(OCC, Action.SELL_TO_CLOSE, 2),), net_price=Decimal("4.1"))
WHY = "makes way for a close"


class Desk:
    """Takes note of each cancel; what becomes of it a test decides."""

    def __init__(self):
        self.ledger, self.asked = Ledger(), []

    async def cancel(self, record, why):
        self.asked.append((record.intent.intent_id, why))


class Way:
    def __init__(self, *states):
        self.clock, self.desk, self.jobs, self.told = clock_at(), Desk(), [], Sink()
        log = RunLog(self.clock)
        log.keep_in(self.told)
        self.way = MakingWay(self.desk, self, self.clock, log)
        self.records = [
            OrderRecord(intent, state, broker_id=str(number))
            for number, (intent, state) in enumerate(zip((STOP, TARGET), states or (OrderState.LIVE,), strict=False))
        ]
        for record in self.records:
            self.desk.ledger.add(record)

    def exit(self, job, _underlying):
        self.jobs.append(job)

    async def work(self):
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            await job()


async def test_what_rests_is_cancelled_for_a_close_and_the_reason_is_said():
    way = Way(OrderState.LIVE, OrderState.CONTINGENT)
    way.way.hold(CLOSE, by_person=False)
    await way.work()
    assert way.desk.asked == [(STOP.intent_id, WHY), (TARGET.intent_id, WHY)]


@pytest.mark.parametrize("state", [OrderState.SENT, OrderState.UNKNOWN])
async def test_an_exit_without_an_answer_yet_is_not_cancelled_blindly(state):
    way = Way(state)
    way.way.hold(CLOSE, by_person=False)
    assert way.jobs == []


async def test_a_cancel_that_waits_in_the_lane_is_not_asked_a_second_time_and_one_that_failed_is():
    way = Way()
    way.way.hold(CLOSE, by_person=False)
    assert list(way.way.released()) == []
    assert len(way.jobs) == 1
    await way.work()
    assert list(way.way.released()) == []
    await way.work()
    assert [name for name, _ in way.desk.asked] == [STOP.intent_id] * 2


async def test_a_lane_that_fails_does_not_leave_the_exit_marked_as_asked_for():
    way = Way()

    async def refuse(_record, _why):
        raise RuntimeError("no")

    way.desk.cancel = refuse
    way.way.hold(CLOSE, by_person=False)
    with pytest.raises(RuntimeError):
        await way.work()
    assert list(way.way.released()) == []
    assert len(way.jobs) == 1


async def test_while_a_cancel_is_on_its_way_none_is_asked():
    way = Way()
    way.records[0].cancel_asked, way.records[0].cancel_asked_at = True, way.clock.monotonic()
    way.way.hold(CLOSE, by_person=False)
    assert way.jobs == []


async def test_a_sibling_that_was_cancelled_meanwhile_takes_this_one_with_it():
    way = Way()
    way.way.hold(CLOSE, by_person=False)
    way.records[0].cancel_asked, way.records[0].cancel_asked_at = True, way.clock.monotonic()
    await way.work()
    assert way.desk.asked == []


@pytest.mark.parametrize("by_person", [True, False])
async def test_what_waited_leaves_once_with_who_asked_when_its_way_is_free(by_person):
    way = Way()
    way.way.hold(CLOSE, by_person=by_person)
    assert way.way.waits(OCC)
    assert list(way.way.released()) == []
    way.records[0].state = OrderState.CANCELLED
    (held,) = way.way.released()
    assert (held.intent, held.by_person, held.since_ns) == (CLOSE, by_person, way.clock.now())
    assert not way.way.waits(OCC)
    assert list(way.way.released()) == []
    assert way.told == []


async def test_a_way_that_is_free_late_is_still_free():
    way = Way()
    way.way.hold(CLOSE, by_person=True)
    way.records[0].state = OrderState.CANCELLED
    way.clock.advance(600)
    assert [held.intent for held in way.way.released()] == [CLOSE]


async def test_after_a_minute_what_still_waits_is_given_up_aloud_and_not_a_moment_before():
    way = Way()
    way.way.hold(CLOSE, by_person=True)
    way.clock.advance(59)
    assert list(way.way.released()) == []
    assert way.way.waits(OCC)
    way.clock.advance(1)
    assert list(way.way.released()) == []
    assert not way.way.waits(OCC)
    text = "not sent: what rests at the broker does not go away: SELL 2 NVDA 17APR26 175C @ 4.10 cr"
    assert way.told == [("alarm", "ORD", text, "x-1", {})]


async def test_one_close_that_still_waits_does_not_keep_the_next_one_back():
    way = Way()
    other = replace(CLOSE, intent_id="x-2", legs=(Leg("AMD   260417C00200000", Action.SELL_TO_CLOSE, 1),))
    way.way.hold(CLOSE, by_person=False)
    way.way.hold(other, by_person=False)
    assert [held.intent for held in way.way.released()] == [other]
    way.clock.advance(60)
    way.way.hold(other, by_person=False)
    assert [held.intent for held in way.way.released()] == [other]
    assert len(way.told) == 1


async def test_all_that_have_a_free_way_leave_together():
    way = Way()
    other = replace(CLOSE, intent_id="x-2", legs=(Leg("AMD   260417C00200000", Action.SELL_TO_CLOSE, 1),))
    for close in (CLOSE, other):
        way.way.hold(close, by_person=False)
    way.records[0].state = OrderState.CANCELLED
    assert [held.intent for held in way.way.released()] == [CLOSE, other]


async def test_it_is_blocked_by_an_exit_on_any_leg_and_says_so_only_when_it_is_about_to_leave():
    way = Way()
    spread = replace(CLOSE, legs=(Leg("NVDA  260417C00180000", Action.BUY_TO_CLOSE, 2), *CLOSE.legs))
    assert way.way.blocked(spread)
    words = "cancelling the exit that rests at the broker; once it is gone, sending"
    assert way.way.words(CLOSE, "sending") == words
    assert way.way.words(CLOSE, "proposed") == "proposed"
    way.records[0].state = OrderState.FILLED
    assert not way.way.blocked(spread)
    assert way.way.words(CLOSE, "sending") == "sending"


async def test_a_persons_close_gives_way_only_to_one_of_the_machines_that_closes_more():
    way = Way()
    fewer = replace(CLOSE, intent_id="x-2", legs=(Leg(OCC, Action.SELL_TO_CLOSE, 1),), quantity=1)
    way.way.hold(CLOSE, by_person=True)
    way.way.hold(fewer, by_person=False)
    way.way.hold(replace(CLOSE, intent_id="x-3"), by_person=False)
    assert way.way._held[OCC].intent is CLOSE
    assert way.told == []
    more = replace(CLOSE, intent_id="x-4", legs=(Leg(OCC, Action.SELL_TO_CLOSE, 3),), quantity=3)
    way.way.hold(more, by_person=False)
    assert way.way._held[OCC].intent is more
    text = (
        "not sent: SELL 2 NVDA 17APR26 175C @ 4.10 cr; "
        "in its place, as it closes more: SELL 3 NVDA 17APR26 175C @ 4.10 cr"
    )
    assert way.told == [("warn", "ORD", text, "x-1", {})]


def test_what_is_dropped_is_said_and_never_released():
    way = Way()
    way.way.hold(CLOSE, by_person=True)
    text = "not sent (HALT): SELL 2 NVDA 17APR26 175C @ 4.10 cr"
    assert way.way.drop("HALT") == (text,)
    way.records[0].state = OrderState.CANCELLED
    assert list(way.way.released()) == []
    assert way.told == [("warn", "ORD", text, "x-1", {})]
    assert way.way.drop("HALT") == ()


async def test_a_machines_close_that_is_asked_anew_goes_on_waiting_and_a_persons_begins_anew():
    way = Way()
    way.way.hold(CLOSE, by_person=False)
    began = way.clock.now()
    way.clock.advance(40)
    fewer = replace(CLOSE, intent_id="x-2", legs=(Leg(OCC, Action.SELL_TO_CLOSE, 1),))
    way.way.hold(fewer, by_person=False)
    assert way.way._held[OCC] == Held(fewer, by_person=False, since_ns=began)
    way.way.hold(replace(CLOSE, plan_id="P9"), by_person=False)
    assert way.way._held[OCC].since_ns == way.clock.now()
    for by_person in (True, True):
        way.clock.advance(1)
        way.way.hold(CLOSE, by_person=by_person)
        assert way.way._held[OCC].since_ns == way.clock.now()
