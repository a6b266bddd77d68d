"""The life of a guard: prepared, moved by its own fills, split, forgotten; on the disk at every step."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

from qmterm.core.orders import Leg
from qmterm.core.reasons import Reason
from qmterm.engine.orders.splits import Successor
from qmterm.risk.stops import StopRules
from tests.engine.house import plan
from tests.engine.orders.guard_place import (
    BTC,
    BTO,
    HIGH,
    LOW,
    ONE,
    OTHER,
    SPREAD,
    STC,
    STO,
    TODAY,
    Place,
)


async def test_the_rules_of_a_position_on_one_line():
    place = Place()
    await place.guard()
    assert place.guards.text("P1", TODAY).startswith("stop 170.00 · 7x @ 196.00 · ")
    assert place.guards.text("P9", TODAY) == "no rules (watch it yourself)"
    assert place.guards.text("", TODAY) == "no rules (opened elsewhere)"
    place.underlyings.doubts["NVDA"] = Reason.HALTED
    await place.look()
    assert place.guards.text("P1", TODAY).startswith("blind: HALTED · stop 170.00 · ")


async def test_the_next_target_is_the_first_level_that_has_not_fired():
    place = Place()
    await place.guard()
    await place.guard("P2", fired=(7.0, 9.0))
    await place.guard("P3", fired=(7.0, 8.0, 9.0, 10.0))
    assert [place.guards.next_target(name) for name in ("P1", "P2", "P3", "P9")] == [196.0, 200.0, None, None]
    multiples = Place(StopRules(distance_mode="pct"))
    await multiples.guard()
    assert multiples.guards.next_target("P1") == multiples.of().state.level_price(7.0, "pct") < 196.0


# --- life of a guard ---


async def test_a_guard_is_prepared_from_the_plan_with_nothing_held_yet():
    place = Place()
    await place.guards.prepare(plan(), ONE)
    guard = place.of()
    assert (guard.legs, guard.opened_ns, guard.levels_day) == (ONE, place.now, None)
    assert (guard.state.opened, guard.state.quantity, guard.state.entry_premium) == (0, 0, Decimal("4.15"))
    assert place.journal.protects["P1"] == guard.to_dict()


async def test_what_is_rolled_keeps_the_stocks_levels_and_the_day_they_are_of():
    place = Place()
    await place.guard("P0", stop=150.0, more={"levels_day": date(2026, 2, 20)})
    await place.guards.prepare(plan("P1"), (Leg(HIGH, BTO, 1),), rolled_from=LOW)
    assert (place.of().state.stop, place.of().levels_day) == (150.0, date(2026, 2, 20))
    await place.guard("P0", stop=151.0)
    await place.guards.prepare(plan("P2"), (Leg(HIGH, BTO, 1),), rolled_from=LOW)
    assert (place.of("P2").state.stop, place.of("P2").levels_day) == (151.0, TODAY)
    await place.guards.prepare(plan("P3"), (Leg(HIGH, BTO, 1),), rolled_from=OTHER)  # nobody guards that
    assert (place.of("P3").state.stop, place.of("P3").levels_day) == (170.0, None)


async def test_a_contract_is_watched_by_the_guard_that_holds_it():
    place = Place()
    await place.guard("P0", quantity=0)
    held = await place.guard("P1")
    await place.guard("P2", (Leg(HIGH, BTO, 1),))
    assert place.guards.watching(LOW) == held
    assert place.guards.watching(OTHER) is None


async def test_a_fill_moves_the_guard_of_its_own_trade():
    place = Place()
    await place.guard("P0", quantity=2)
    await place.guard("P1", quantity=0)
    await place.filled(place.order("a", (Leg(LOW, BTO, 3),)), LOW, 3, "4.20")
    assert (place.of("P0").state.quantity, place.of("P1").state.quantity) == (2, 3)
    assert place.of("P1").state.entry_premium == Decimal("4.20")
    await place.filled(place.order("b", (Leg(LOW, STC, 3),)), LOW, 1)
    assert (place.of("P0").state.quantity, place.of("P1").state.quantity) == (2, 2)


async def test_a_close_of_another_order_moves_the_guard_that_holds_something_and_a_purchase_only_from_elsewhere():
    place = Place()
    await place.guard("P0", quantity=0)
    await place.guard("P1", quantity=2)
    sale = place.order("a", (Leg(LOW, STC, 1),), plan_id="elsewhere")
    place.hold(LOW, 2)
    await place.filled(sale, LOW, 1)
    assert (place.of("P0").state.quantity, place.of("P1").state.quantity) == (0, 1)
    await place.guard("P1", quantity=0)
    bought = place.order("b", (Leg(LOW, BTO, 1),), plan_id="elsewhere")
    await place.filled(bought, LOW, 1)  # another plan of ours: its own
    assert (place.of("P0").state.quantity, place.of("P1").state.quantity) == (0, 0)
    bought.external = True
    await place.filled(bought, LOW, 1)
    assert (place.of("P0").state.quantity, place.of("P1").state.quantity) == (1, 0)


async def test_the_leg_that_a_roll_closes_is_another_guards():
    place = Place()
    await place.guard("P1", (Leg(HIGH, BTO, 1),), quantity=0)
    await place.guard("P0", quantity=2)
    roll = place.order("a", (Leg(LOW, STC, 2), Leg(HIGH, BTO, 2)))
    place.hold(LOW, 2)
    await place.filled(roll, LOW, 2)
    assert (place.of("P0").state.quantity, place.of("P1").state.quantity) == (0, 0)
    await place.filled(roll, HIGH, 2)
    assert (place.of("P0").state.quantity, place.of("P1").state.quantity) == (0, 2)


async def test_a_fill_after_its_guard_was_forgotten_is_told_if_it_is_an_entry_of_ours_that_opens():
    place, told = Place(), []
    place.guards.forgotten = lambda record: told.append(record.intent.intent_id)
    entered = place.order("a", (Leg(LOW, BTO, 1),), plan_id="P9")
    rolled = place.order("b", (Leg(HIGH, STC, 1), Leg(LOW, BTO, 1)), plan_id="P9")
    elsewhere = place.order("c", (Leg(LOW, BTO, 1),), plan_id="P9")
    elsewhere.external = True
    place.hold(HIGH, 1)
    for record, symbol in ((entered, LOW), (rolled, HIGH), (elsewhere, LOW)):
        await place.filled(record, symbol, 1)
    assert told == ["a"]


async def test_of_a_plan_without_a_guard_nothing_is_known_to_be_loose():
    place = Place()
    await place.guard("P1", more={"loose": (1,)})
    assert [place.guards.loose(*each) for each in (("P1", LOW), ("P1", HIGH), ("P9", LOW))] == [1, None, None]


async def test_a_fill_that_nothing_guards_moves_nothing():
    place = Place()
    before = await place.guard("P1")
    await place.filled(place.order("a", (Leg(OTHER, BTO, 1),), plan_id="P9"), OTHER, 1)
    assert place.guards.all == (before,)


async def test_a_goal_falls_by_what_was_closed_and_its_tries_are_forgotten_once_it_is_met():
    place = Place()
    await place.guard(more={"goal": 3, "reason": Reason.SCALE_OUT, "attempts": 2})
    place.hold(LOW, 4)
    close = place.order("a", (Leg(LOW, STC, 4),))
    await place.filled(close, LOW, 1)
    assert (place.of().goal, place.of().reason, place.of().attempts) == (2, Reason.SCALE_OUT, 2)
    await place.filled(close, LOW, 2)
    assert (place.of().goal, place.of().reason, place.of().attempts) == (0, None, 0)
    await place.filled(close, LOW, 1)
    assert (place.of().goal, place.of().state.quantity) == (0, 0)


async def test_sold_premium_is_what_was_received():
    place = Place()
    await place.guard("P1", (Leg(LOW, STO, 1), Leg(HIGH, BTO, 1)), 0, sold=True)
    order = place.order("a", (Leg(LOW, STO, 1), Leg(HIGH, BTO, 1)))
    await place.filled(order, LOW, 1, "4.20")
    await place.filled(order, HIGH, 1, "2.10")
    assert (place.of().state.quantity, place.of().state.entry_premium) == (1, Decimal("2.10"))


async def test_every_guard_is_counted_anew_after_a_restart():
    place = Place()
    for name, symbol in (("P1", LOW), ("P2", OTHER)):
        await place.guard(name, (Leg(symbol, BTO, 1),), 4)
        place.fill(place.order(f"in-{name}", (Leg(symbol, BTO, 4),), plan_id=name), symbol, 4)
        place.hold(symbol, 1)
    await place.guards.catch_up()
    assert [guard.state.quantity for guard in place.guards.all] == [1, 1]
    assert [guard.state.entry_premium for guard in place.guards.all] == [Decimal("4.10")] * 2  # nothing new was bought
    rows = len(place.journal.rows)
    await place.guards.catch_up()
    assert len(place.journal.rows) == rows  # nothing new, nothing written


async def test_what_another_trade_holds_of_the_same_contract_is_not_counted_after_a_restart():
    """Killed between the fill's row and the guard's: what its own exit sold is gone, whoever else holds some."""
    place = Place()
    await place.guard("P1", quantity=4)
    await place.guard("P2", quantity=2)
    place.hold(LOW, 5)
    place.fill(place.order("out", (Leg(LOW, STC, 1),)), LOW, 1)
    await place.guards.catch_up()
    assert [guard.state.quantity for guard in place.guards.all] == [3, 2]
    await place.guard("P1", quantity=2, opened=4)  # sold elsewhere before: what is gone does not come back
    await place.guards.catch_up()
    assert [guard.state.quantity for guard in place.guards.all] == [2, 2]


async def test_a_spread_that_a_close_broke_whole_is_no_unit_though_others_hold_its_legs():
    place = Place()
    await place.guard("P1", SPREAD, 2)
    place.hold(LOW, 4)
    place.hold(HIGH, -2)
    close = place.order("a", (Leg(LOW, STC, 2), Leg(HIGH, BTC, 2)))
    await place.filled(close, LOW, 2)
    assert place.of().state.quantity == 0


async def test_a_split_reaches_every_guard_and_is_told_also_while_the_disk_fails():
    place = Place()
    place.underlyings.splits = {"NVDA": 2.0}
    for name in ("P1", "P2"):
        await place.guard(name)
    place.journal.full = True
    assert place.guards.adjust_for_splits() == ("NVDA", "NVDA")
    await asyncio.sleep(0.01)
    assert [place.of(name).state.stop for name in ("P1", "P2")] == [85.0, 85.0]
    place.journal.full = False
    await place.look()
    assert [place.journal.protects[name]["stop"] for name in ("P1", "P2")] == [85.0, 85.0]


async def test_a_split_moves_the_levels_of_every_position_in_that_stock_from_the_day_they_are_of():
    place = Place()
    place.underlyings.splits = {"NVDA": 2.0}
    await place.guard("P0", underlying="AMD")
    await place.guard("P1", more={"levels_day": date(2026, 2, 20)})
    await place.guard("P2")
    assert place.guards.adjust_for_splits() == ("NVDA", "NVDA")
    await asyncio.sleep(0.01)
    assert [asked for asked in place.underlyings.asked if asked[0] == "split"] == [
        ("split", "AMD", TODAY, TODAY),
        ("split", "NVDA", date(2026, 2, 20), TODAY),
        ("split", "NVDA", TODAY, TODAY),
    ]
    for name in ("P1", "P2"):
        assert (place.of(name).state.stop, place.of(name).state.sma50, place.of(name).state.atr) == (85.0, 84.0, 2.0)
        assert place.of(name).levels_day == TODAY
        assert place.journal.protects[name] == place.of(name).to_dict()
    assert (place.of("P0").state.stop, place.of("P0").levels_day) == (170.0, None)


async def test_what_a_split_made_is_guarded_on_the_disk_too_and_the_rest_stays():
    place = Place()
    await place.guard("P0", (Leg(OTHER, BTO, 1),))
    await place.guard("P1")
    (moved,) = await place.guards.follow({LOW: Successor("new", 2)})
    assert (moved.symbol, moved.state.quantity) == ("new", 8)
    assert place.of() == moved
    assert place.journal.protects["P1"] == moved.to_dict()
    assert place.of("P0").symbol == OTHER


async def test_what_is_held_or_may_still_fill_keeps_its_guard_and_the_rest_is_forgotten():
    place, told = Place(), []
    for name, symbol in (("P0", OTHER), ("P1", LOW), ("P2", HIGH), ("P3", "NVDA  260417C00190000")):
        await place.guard(name, (Leg(symbol, BTO, 1),), 0 if name == "P1" else 1, opened=0)
    place.order("a", (Leg(LOW, BTO, 1),))
    place.hold(HIGH, 1)
    place.underlyings.doubts["NVDA"] = Reason.HALTED
    await place.look()
    place.guards.bereft = told.append
    await place.guards.tidy()
    assert not told
    assert [guard.state.position_id for guard in place.guards.all] == ["P1", "P2"]
    assert sorted(place.journal.protects) == ["P1", "P2"]
    await place.guard("P3")
    assert place.guards.text("P3", TODAY).startswith("stop")  # what it was blind for went with it
    await place.look()
    assert place.guards.text("P3", TODAY).startswith("blind")


async def test_a_trade_of_which_a_leg_is_left_is_told_of_unless_another_trade_needs_that_leg():
    place, told = Place(), []
    place.guards.bereft = told.append
    await place.guard("P1", SPREAD, 0, opened=2)
    place.hold(LOW, 2)
    await place.guards.tidy()
    assert [guard.state.position_id for guard in told] == ["P1"]
    await place.guard("P1", SPREAD, 0, opened=2)
    await place.guard("P2", ONE, 2)
    await place.guards.tidy()
    await place.guard("P1", SPREAD, 0, opened=0)  # its entry never filled
    await place.guard("P2", ONE, 1)
    await place.guards.tidy()
    assert len(told) == 1
