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
HIGHER = "NVDA  260417C00180000"
WHY = "makes way for a close"


def of(count, intent_id):
    return replace(CLOSE, intent_id=intent_id, legs=(Leg(OCC, Action.SELL_TO_CLOSE, count),), quantity=count)


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


async def test_it_is_blocked_by_an_exit_on_any_leg_and_any_leg_of_it_waits():
    way = Way()
    spread = replace(CLOSE, legs=(Leg(HIGHER, Action.BUY_TO_CLOSE, 2), *CLOSE.legs))
    assert way.way.blocked(spread)
    way.way.hold(spread, by_person=False)
    assert (way.way.waits(OCC), way.way.waits(HIGHER), way.way.waits("AMD")) == (True, True, False)
    way.records[0].state = OrderState.FILLED
    assert not way.way.blocked(spread)


async def test_an_answer_says_of_a_close_of_a_persons_that_it_waits_and_of_no_other():
    way = Way()
    way.way.hold(replace(CLOSE, intent_id="x-2"), by_person=False)
    assert not way.way.holds("x-2")
    assert way.way.words(CLOSE, "sending") == "sending"
    way.way.hold(CLOSE, by_person=True)
    assert way.way.holds("x-1")
    words = "cancelling the exit that rests at the broker; once it is gone, sending"
    assert way.way.words(CLOSE, "sending") == words
    way.records[0].state = OrderState.CANCELLED
    assert len(list(way.way.released())) == 1
    assert not way.way.holds("x-1")


async def test_two_closes_of_a_persons_in_one_contract_both_leave():
    way = Way()
    another = replace(CLOSE, intent_id="x-2", net_price=Decimal("5.50"))
    for close in (CLOSE, another):
        way.way.hold(close, by_person=True)
    way.records[0].state = OrderState.CANCELLED
    assert [held.intent for held in way.way.released()] == [CLOSE, another]
    assert way.told == []


def waiting(way):
    way.records[0].state = OrderState.CANCELLED
    return list(way.way.released())


async def test_a_persons_close_stands_for_the_machines_of_that_trade_until_that_is_asked_anew():
    way = Way()
    way.way.hold(replace(CLOSE, intent_id="x-2"), by_person=False)
    way.way.hold(CLOSE, by_person=True)
    assert [held.intent for held in waiting(way)] == [CLOSE]
    assert way.told == []


@pytest.mark.parametrize("counts", [(2,), (1, 1)])
async def test_what_a_person_closes_goes_first_where_the_machine_closes_no_more(counts):
    way = Way()
    asked = [of(count, f"x-{number}") for number, count in enumerate(counts)]
    for close in asked:
        way.way.hold(close, by_person=True)
    way.way.hold(of(1, "x-8"), by_person=False)
    way.way.hold(of(2, "x-9"), by_person=False)
    assert [held.intent for held in waiting(way)] == asked
    assert way.told == []


async def test_what_a_person_closes_gives_way_aloud_where_the_machine_closes_more():
    way = Way()
    for number in (1, 2):
        way.way.hold(of(1, f"x-{number}"), by_person=True)
    more = of(3, "x-9")
    way.way.hold(more, by_person=False)
    assert [(held.intent, held.by_person) for held in waiting(way)] == [(more, False)]
    text = (
        "not sent: SELL 1 NVDA 17APR26 175C @ 4.10 cr; "
        "in its place, as it closes more: SELL 3 NVDA 17APR26 175C @ 4.10 cr"
    )
    assert way.told == [("warn", "ORD", text, name, {}) for name in ("x-1", "x-2")]


async def test_a_stop_of_another_trade_in_the_contract_waits_beside_what_a_person_closes():
    way = Way()
    stop = replace(of(3, "x-9"), plan_id="P9")
    way.way.hold(CLOSE, by_person=True)
    way.way.hold(stop, by_person=False)
    assert [held.intent for held in waiting(way)] == [CLOSE, stop]
    assert way.told == []


async def test_two_stops_of_one_contract_that_wait_too_long_are_both_told():
    way = Way(OrderState.UNKNOWN)
    stops = [replace(CLOSE, intent_id=f"x-{plan_id}", plan_id=plan_id) for plan_id in ("A", "B")]
    for _ in range(60):  # each turn asks for both anew
        assert list(way.way.released()) == []
        for stop in stops:
            way.way.hold(stop, by_person=False)
        way.clock.advance(1)
    assert way.told == []
    assert list(way.way.released()) == []
    assert [line[3] for line in way.told] == ["x-A", "x-B"]


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
    fewer = of(1, "x-2")
    way.way.hold(fewer, by_person=False)
    way.way.hold(replace(CLOSE, plan_id="P9"), by_person=True)
    way.clock.advance(1)
    way.way.hold(replace(CLOSE, plan_id="P9"), by_person=True)
    assert waiting(way) == [
        Held(fewer, by_person=False, since_ns=began),
        Held(replace(CLOSE, plan_id="P9"), by_person=True, since_ns=way.clock.now()),
    ]


def test_each_time_that_all_is_called_off_counts_also_with_nothing_that_waits():
    way = Way(OrderState.LIVE).way
    counts = [way.drops, (way.drop("HALT"), way.drops)[1], (way.drop("HALT"), way.drops)[1]]
    assert counts == sorted(set(counts))
