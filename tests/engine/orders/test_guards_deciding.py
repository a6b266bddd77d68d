"""What the rules are told of a position, and what their word makes of its guard."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.orders import Leg
from qmterm.core.reasons import Reason
from qmterm.engine.orders import exits
from qmterm.engine.orders.exits import REARM_NS
from qmterm.engine.orders.underlyings import Daily
from qmterm.risk.protect import StopInputs
from qmterm.risk.stops import ExitDecision
from tests.engine.orders.guard_place import BTO, HIGH, LOW, ONE, OTHER, SPREAD, STO, TODAY, Place, forget_while_writing


@pytest.fixture
def seen(monkeypatch):
    """What the rules are asked, and what they answer (in turn; then nothing)."""
    asked, answers = [], []

    def decide(state, inputs, rules):
        asked.append((state, inputs))
        return answers.pop(0) if answers else []

    monkeypatch.setattr(exits, "decide", decide)
    asked_and_answers = type("Seen", (), {"asked": asked, "answers": answers})
    return asked_and_answers


async def test_the_rules_are_told_what_is_known_now(seen):
    place = Place()
    await place.guard(more={"called_off_ns": place.now - REARM_NS})
    place.hold(LOW, 3)
    place.underlyings.closes["NVDA"] = (180.0, place.now)
    place.underlyings.lasts["NVDA"] = 181.0
    place.guards.iv_of = {LOW: 0.4}.get
    await place.look()
    ((state, inputs),) = seen.asked
    assert state == place.of().state
    assert inputs == StopInputs(
        today=TODAY, closable=3, five_minute_close=180.0, last_trade=181.0, mark=Decimal("4.15"), iv=0.4
    )


@pytest.mark.parametrize(("ago", "rested"), [(0, False), (REARM_NS - 1, False), (REARM_NS, True)])
async def test_the_rules_are_told_whether_a_person_refused_its_exit_a_moment_ago(seen, ago, rested):
    place = Place()
    await place.guard(more={"called_off_ns": place.now - ago})
    await place.look()
    ((_, inputs),) = seen.asked
    assert inputs.rested is rested


async def test_a_refused_price_tells_the_rules_nothing_of_the_stock(seen):
    place = Place()
    await place.guard()
    place.hold(LOW, 4)
    place.underlyings.closes["NVDA"] = (180.0, place.now)
    place.underlyings.lasts["NVDA"] = 181.0
    place.underlyings.doubts["NVDA"] = Reason.HALTED
    await place.look()
    ((_, inputs),) = seen.asked
    assert inputs == StopInputs(today=TODAY, closable=4, mark=Decimal("4.15"))


async def test_a_session_that_is_over_gives_its_close_and_the_next_levels_once(seen):
    place = Place()
    await place.guard()
    place.underlyings.sessions["NVDA"] = Daily(TODAY, 160.0, 169.0, 5.0)
    await place.look()
    ((state, inputs),) = seen.asked
    assert (inputs.daily_close, inputs.daily_sma50) == (160.0, 169.0)
    assert (state.sma50, state.atr, state.stop) == (169.0, 5.0, 170.0)
    assert place.of().daily_seen == TODAY
    await place.look()
    assert seen.asked[1][1].daily_close is None
    assert [asked[2] for asked in place.underlyings.asked if asked[0] == "daily"] == [date(2026, 3, 1), TODAY]


async def test_a_trade_picked_by_hand_has_no_setup_whose_end_could_close_it(seen):
    place = Place()
    await place.guard(atr=0.0)
    await place.guard("P2", atr=0.5)
    place.underlyings.sessions["NVDA"] = Daily(TODAY, 160.0, 169.0, 5.0)
    await place.look()
    assert [inputs.daily_close for _, inputs in seen.asked] == [None, 160.0]


async def test_what_is_owed_has_its_mark_in_positive_dollars_and_the_volatility_of_what_was_sold(seen):
    place = Place()
    await place.guard("P1", (Leg(LOW, STO, 1), Leg(HIGH, BTO, 1)), sold=True)
    place.hold(LOW, -4)
    place.hold(HIGH, 4)
    place.guards.iv_of = {LOW: 0.4, HIGH: 0.9}.get
    await place.look()
    assert (seen.asked[0][1].mark, seen.asked[0][1].iv) == (Decimal("1.90"), 0.4)
    place.clock.advance(120)  # no mark is believed any more
    await place.look()
    assert (seen.asked[1][1].mark, seen.asked[1][1].iv) == (None, None)


@pytest.mark.parametrize(
    ("legs", "mark"),
    [
        (ONE, None),  # alone it has no mark
        ((Leg(LOW, BTO, 1), Leg(HIGH, STO, 1)), Decimal("-2.25")),
        ((Leg(LOW, STO, 1), Leg(HIGH, BTO, 1)), Decimal("2.20")),  # owed, it is counted at what it is asked at
    ],
)
async def test_a_leg_that_nobody_bids_for_is_counted_at_its_worst(seen, legs, mark):
    place = Place()
    await place.guard("P1", legs)
    for leg in legs:
        place.hold(leg.symbol, 4 * leg.action.sign)
    place.quotes.set(LOW, 0.0, 0.04996, place.now)  # what a float made of a nickel
    await place.look()
    assert seen.asked[0][1].mark == mark


async def test_a_leg_that_is_dear_and_has_no_bid_has_no_mark(seen):
    place = Place()
    await place.guard("P1", SPREAD)
    for leg in SPREAD:
        place.hold(leg.symbol, 4 * leg.action.sign)
    place.quotes.set(LOW, 0.0, 1.00, place.now)
    await place.look()
    del place.quotes.table[LOW]
    await place.look()
    assert [inputs.mark for _, inputs in seen.asked] == [None, None]


async def test_a_decision_is_a_goal_on_the_disk_and_said_once(seen):
    place = Place()
    await place.guard(more={"attempts": 3})
    seen.answers.append([ExitDecision(Reason.ATR_STOP, 4, {"stop": 170.0})])
    await place.look()
    guard = place.of()
    assert (guard.goal, guard.reason, guard.attempts, guard.state.latched) == (4, Reason.ATR_STOP, 0, Reason.ATR_STOP)
    assert place.journal.protects["P1"] == guard.to_dict()
    ((told, reason, numbers),) = place.told
    assert (told.state.position_id, reason, numbers) == ("P1", Reason.ATR_STOP, {"stop": 170.0})
    await place.look()
    assert len(seen.asked) == 1  # it is on its way out


async def test_a_latched_stop_whose_goal_was_met_in_part_goes_on_without_saying_so_again(seen):
    place = Place()
    await place.guard(latched=Reason.ATR_STOP)
    seen.answers.append([ExitDecision(Reason.ATR_STOP, 2)])
    await place.look()
    assert (place.of().goal, place.told) == (2, [])


async def test_a_scale_out_is_said_though_nothing_is_latched_by_it(seen):
    place = Place()
    await place.guard(quantity=3)
    seen.answers.append([ExitDecision(Reason.SCALE_OUT, 1, levels=(7.0,))])
    await place.look()
    assert [(guard.state.position_id, reason) for guard, reason, _ in place.told] == [("P1", Reason.SCALE_OUT)]
    assert (place.of().goal, place.of().state.latched) == (1, None)


async def test_levels_without_a_contract_to_close_are_used_up_in_silence(seen):
    place = Place()
    await place.guard(quantity=1)
    seen.answers.append([ExitDecision(Reason.SCALE_OUT, 0, levels=(7.0,))])
    await place.look()
    assert (place.of().goal, place.of().reason, place.of().state.fired, place.told) == (0, None, (7.0,), [])


async def test_a_scale_out_on_its_way_does_not_blind_the_stops_and_starts_no_second_one(seen):
    place = Place()
    await place.guard(more={"goal": 1, "reason": Reason.SCALE_OUT})
    scale, stop = ExitDecision(Reason.SCALE_OUT, 1, levels=(8.0,)), ExitDecision(Reason.ATR_STOP, 3)
    seen.answers += [[scale], [stop]]
    await place.look()
    assert (place.of().goal, place.of().reason, place.of().state.fired) == (1, Reason.SCALE_OUT, ())
    await place.look()
    assert (place.of().goal, place.of().reason) == (4, Reason.ATR_STOP)  # all of it, the working part too


async def test_one_that_decides_nothing_keeps_none_after_it_from_deciding(seen):
    place = Place()
    await place.guard("P0", quantity=0)
    await place.guard("P1", more={"goal": 4, "reason": Reason.ATR_STOP})
    await place.guard("P2")
    await place.guard("P3")
    seen.answers += [[], [ExitDecision(Reason.ATR_STOP, 4)]]
    await place.look()
    assert [place.of(f"P{n}").goal for n in range(4)] == [0, 4, 0, 4]
    assert len(seen.asked) == 2


async def test_a_guard_that_goes_while_another_is_written_keeps_none_after_it_from_deciding(seen):
    place = Place()
    for name in ("P1", "P2", "P3"):
        await place.guard(name)
    forget_while_writing(place, "P1", "P2")
    seen.answers += [[ExitDecision(Reason.ATR_STOP, 4)], [ExitDecision(Reason.ATR_STOP, 3)]]
    await place.look()
    assert (place.of("P1").goal, place.of("P2"), place.of("P3").goal) == (4, None, 3)


async def test_a_fallen_volatility_is_said_once_and_kept():
    place = Place()
    await place.guard(entry_iv=0.5)
    place.hold(LOW, 4)
    place.guards.iv_of = {LOW: 0.35}.get
    await place.look()
    assert place.journal.protects["P1"]["iv_alerted"] is True
    await place.look()
    ((guard, reason, numbers),) = place.told
    assert (guard.state.position_id, reason, numbers["iv"]) == ("P1", Reason.IV_FALLEN, 0.35)
    assert place.of().goal == 0


async def test_an_exit_wanted_elsewhere_closes_everything_that_is_held():
    place = Place()
    await place.guard(more={"attempts": 2, "goal": 1, "reason": Reason.SCALE_OUT})
    assert await place.guards.want_out(LOW, Reason.PIN_RISK) is True
    guard = place.of()
    assert (guard.goal, guard.reason, guard.attempts, guard.state.latched) == (4, Reason.PIN_RISK, 0, Reason.PIN_RISK)
    assert place.journal.protects["P1"] == guard.to_dict()
    assert await place.guards.want_out(LOW, Reason.PIN_RISK) is False
    await place.guards._keep(replace(place.of(), goal=1))  # the last of it is on its way
    assert await place.guards.want_out(LOW, Reason.PIN_RISK) is False
    assert await place.guards.want_out(OTHER, Reason.PIN_RISK) is False


@pytest.mark.parametrize(("ago", "wanted"), [(REARM_NS - 1, False), (REARM_NS, True)])
async def test_a_person_who_refused_it_a_moment_ago_is_not_asked_again(ago, wanted):
    place = Place()
    await place.guard(more={"called_off_ns": place.now - ago})
    assert await place.guards.want_out(LOW, Reason.PIN_RISK) is wanted


async def test_a_persons_no_ends_the_goal_and_the_stop_watches_again_from_then():
    place = Place()
    await place.guard(latched=Reason.ATR_STOP, more={"goal": 4, "reason": Reason.ATR_STOP})
    await place.guards.call_off("P9")
    await place.guards.call_off("P1")
    guard = place.of()
    assert (guard.goal, guard.reason, guard.state.latched, guard.called_off_ns) == (0, None, None, place.now)
    assert place.journal.protects["P1"] == guard.to_dict()
