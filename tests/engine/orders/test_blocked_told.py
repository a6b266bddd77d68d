"""Word by word: what is said of a stop that cannot leave, how often, and of whose orders nothing is said."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BracketRole, Leg, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.engine.orders.blocked_stops import BlockedStops
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.runlog import RunLog
from qmterm.risk.protect import protect
from qmterm.risk.verdict import Verdict
from tests.engine.fakes import OCC, clock_at, entry
from tests.engine.house import plan
from tests.engine.orders.desk_seat import Sink

HIGH = "NVDA  260417C00180000"
SALE = (Leg(OCC, Action.SELL_TO_CLOSE, 2),)
SPREAD = (Leg(OCC, Action.BUY_TO_OPEN, 1), Leg(HIGH, Action.SELL_TO_OPEN, 1))
NOW = clock_at().now()


class Place:
    def __init__(self):
        self.told, self.ledger = Sink(), Ledger()
        log = RunLog(clock_at())
        log.keep_in(self.told)
        self.stops = BlockedStops(self.ledger, log)

    def order(self, name="a", legs=SALE, state=OrderState.LIVE, **more):
        terms = {"purpose": Purpose.EXIT, "reason": Reason.USER, "net_price": Decimal("9.00")} | more
        record = OrderRecord(replace(entry(name), legs=legs, **terms), state, broker_id=name, worked_from_ns=NOW)
        self.ledger.add(record)
        return record

    def look(self, *guards, since=NOW):
        self.stops.look(guards or (guard(),), since, ())


def guard(name="P1", legs=SPREAD[:1], quantity=2, latched=None, **more):
    state = replace(protect(plan(), name, quantity, Decimal("4.10")), latched=latched)
    return Guard(legs, 1, state, **({"goal": 2, "reason": Reason.ATR_STOP} | more))


def test_the_stop_its_position_and_the_order_in_its_way_are_named_once():
    place = Place()
    place.order()
    text = (
        "ATR_STOP of NVDA 17APR26 175C waits behind an order of yours"
        " (SELL 2 NVDA 17APR26 175C @ 9.00 cr): cancel it to let the stop out"
    )
    for _ in range(2):
        place.look()
        assert place.told == [("alarm", "STOP", text, OCC, {"order": "a"})]


def test_the_last_contract_is_told_of_too():
    place = Place()
    place.order()
    place.look(guard(quantity=1, goal=1))
    assert len(place.told) == 1


def test_a_latched_stop_without_a_goal_is_named_by_its_latch():
    place = Place()
    place.order()
    place.look(guard(goal=0, reason=None, latched=Reason.TIME_STOP))
    assert place.told[0][2].startswith("TIME_STOP of NVDA 17APR26 175C waits")


def test_each_position_and_each_order_is_told_of_and_again_when_it_came_back():
    place = Place()
    first = place.order("a")
    place.look(guard(), guard("P2"))
    assert [line[4]["order"] for line in place.told] == ["a", "a"]
    place.order("b")
    place.look(guard())
    assert [line[4]["order"] for line in place.told] == ["a", "a", "b"]
    place.look(guard("P2"))
    assert [line[4]["order"] for line in place.told[3:]] == ["a", "b"]
    first.state = OrderState.CANCELLED
    place.look(guard("P2"))
    first.state = OrderState.LIVE
    place.ledger.add(first)
    place.look(guard("P2"))
    assert [line[4]["order"] for line in place.told[5:]] == ["a"]


@pytest.mark.parametrize(
    ("more", "blocks"),
    [
        ({}, True),
        ({"reason": Reason.ATR_STOP}, False),
        ({"role": BracketRole.STOP}, False),
        ({"legs": (Leg(OCC, Action.BUY_TO_OPEN, 2),)}, False),
        ({"legs": (Leg(HIGH, Action.BUY_TO_CLOSE, 2), *SALE)}, True),
        ({"state": OrderState.CANCELLED}, False),
    ],
)
def test_only_a_persons_own_close_is_in_the_way(more, blocks):
    place = Place()
    place.order(**more)
    place.look()
    assert bool(place.told) is blocks


def test_a_close_placed_elsewhere_is_in_the_way_too():
    place = Place()
    place.order(reason=None).external = True
    place.look()
    assert len(place.told) == 1


def test_an_order_that_is_younger_may_be_about_to_fill():
    place = Place()
    place.order()
    place.look(since=NOW - 1)
    assert place.told == []


def test_the_second_leg_of_a_spread_is_its_own_as_well():
    place = Place()
    place.order(legs=(Leg(HIGH, Action.BUY_TO_CLOSE, 2),))
    place.look(guard(legs=SPREAD))
    assert place.told[0][2].startswith("ATR_STOP of +1 NVDA 17APR26 175C / -1 NVDA 17APR26 180C waits")


REFUSED = replace(entry("x"), legs=SALE, net_price=Decimal("4.10"), plan_id="P1")
NO = Verdict(0, Reason.UNDEFINED_RISK)


def test_a_no_of_the_gates_is_said_once_a_position_and_reason():
    place = Place()
    text = f"cannot leave (UNDEFINED_RISK: {NO.sentence}): SELL 2 NVDA 17APR26 175C @ 4.10 cr"
    for _ in range(2):
        place.stops.answered(REFUSED, NO)
        assert place.told == [("alarm", "STOP", text, OCC, {"reason": "UNDEFINED_RISK"})]
    place.stops.answered(REFUSED, replace(NO, reason=Reason.PRICE_INSANE))
    assert [line[4]["reason"] for line in place.told] == ["UNDEFINED_RISK", "PRICE_INSANE"]
    place.stops.answered(replace(REFUSED, plan_id="P2"), NO)
    place.stops.answered(replace(REFUSED, legs=(*SALE, Leg(HIGH, Action.BUY_TO_CLOSE, 2))), NO)
    assert len(place.told) == 4


def test_after_a_yes_the_same_no_is_news_again():
    place = Place()
    place.stops.answered(REFUSED, Verdict(2, None))
    place.stops.answered(REFUSED, NO)
    place.stops.answered(REFUSED, Verdict(2, None))
    place.stops.answered(REFUSED, NO)
    assert len(place.told) == 2


def test_a_halt_is_a_persons_own_word_and_no_news():
    place = Place()
    place.stops.answered(REFUSED, NO)
    place.stops.answered(REFUSED, replace(NO, reason=Reason.LADDER_HALT))
    place.stops.answered(REFUSED, NO)
    assert len(place.told) == 1


def test_a_no_without_a_reason_is_told_by_its_sentence():
    place = Place()
    place.stops.answered(REFUSED, replace(NO, reason=None))
    assert place.told[0][2].startswith("cannot leave (: ): SELL")


IDLE = "has no order yet: not all of it is priced and free to close"
ALONE = "; what was sold is bought back alone where it can be"


@pytest.mark.parametrize(
    ("waiting", "text"),
    [
        (guard(), f"ATR_STOP of NVDA 17APR26 175C {IDLE}"),
        (guard(reason=None, latched=Reason.SMA50_EXIT), f"SMA50_EXIT of NVDA 17APR26 175C {IDLE}"),
        (guard(latched=Reason.SMA50_EXIT), f"ATR_STOP of NVDA 17APR26 175C {IDLE}"),
        (guard(legs=SPREAD), f"ATR_STOP of +1 NVDA 17APR26 175C / -1 NVDA 17APR26 180C {IDLE}{ALONE}"),
    ],
)
def test_a_stop_of_which_no_order_could_be_made_is_told_once_and_again_after_it_could(waiting, text):
    place = Place()
    for _ in range(2):
        place.stops.look((), NOW, (waiting,))
        assert place.told == [("alarm", "STOP", text, OCC, {})]
    place.stops.look((), NOW, ())
    place.stops.look((), NOW, (waiting,))
    assert len(place.told) == 2


def test_one_that_waits_behind_a_persons_order_is_told_of_that_alone():
    place = Place()
    place.order()
    place.stops.look((guard(),), NOW, (guard(), guard("P2", legs=SPREAD)))
    assert ["waits behind" in line[2] for line in place.told] == [True, False]
