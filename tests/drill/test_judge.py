"""The judge is no ornament: with one safety taken out of the engine, the drill says what went wrong."""

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.broker import orders as broker_orders
from qmterm.broker.ready import HeldOrders
from qmterm.core.orders import OrderState
from qmterm.core.settings.risk import RiskSettings
from qmterm.drill import house, script, work
from qmterm.drill.script import script_of
from qmterm.engine.orders import desk as desk_module
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.making_way import MakingWay
from qmterm.engine.orders.orphans import Orphans
from qmterm.engine.orders.placing import Placing
from qmterm.engine.proof import Proof
from qmterm.risk import gate as gate_module
from qmterm.risk.gate import Gate
from qmterm.risk.verdict import Verdict
from qmterm.sim.brokerage.desk import Desk

RESTING = [seed for seed in range(40) if script_of(seed, "partial").resting][:10]
FLATTENING = [seed for seed in range(60) if any(act.kind == "flatten" for act in script_of(seed).acts)][:12]
DYING_AFTER_A_SEND = [
    seed for seed in range(400) if any(c.act == "send" and c.after for c in script_of(seed, "crash").crashes)
][:25]

LOST = "ack-lost-after"  # of its two faults a poll may meet the stall in an order's place
ANSWERS_LOST = [
    seed for seed in range(400) if all(body["fault"] == "lost_ack" for _, body in script_of(seed, LOST).faults)
][:16]

LEGS = (3004, 3013, 3047)  # days in which a spread's sold leg fills alone


@pytest.fixture
def counted(drill):
    """How often one thing went wrong in some seeds."""

    def count(what, name, seeds=range(6)):
        return sum(outcome.findings.counts[what] for outcome in drill(name, seeds))

    return count


@pytest.fixture
def lost(monkeypatch):
    """The orders that had no answer and of which nothing else had told."""
    found, told = [], Placing._lost

    async def noting(self, records, silence):
        if records[0].state is OrderState.SENT:
            found.append(records)
        await told(self, records, silence)

    monkeypatch.setattr(Placing, "_lost", noting)
    return found


def test_an_order_that_is_sent_again_after_silence_is_seen_as_a_duplicate(counted, lost, monkeypatch):
    once = Placing._place

    async def twice(self, records, ready):
        await once(self, records, ready)
        while lost:
            await once(self, lost.pop(), None)

    monkeypatch.setattr(Placing, "_place", twice)
    assert counted("duplicate_orders", LOST, ANSWERS_LOST) > 0


def test_an_order_sent_before_its_intent_is_on_disk_is_seen(counted, monkeypatch):
    async def send_first(self, records, still_wanted, beside=None):
        await self._place(records, None)
        for record in records:
            await self._journal.write_intent(record.intent)
        if beside is not None:
            await beside

    monkeypatch.setattr(Placing, "send", send_first)
    assert counted("orders_without_intent", "crash", range(40)) > 0


def test_an_order_built_ahead_that_does_not_wait_for_the_disk_is_seen(drill, monkeypatch):
    assert all(outcome.passed for outcome in drill("crash", DYING_AFTER_A_SEND[-8:]))

    async def open_door(self):
        self._check()

    monkeypatch.setattr(HeldOrders, "_door", open_door)
    assert not all(outcome.passed for outcome in drill("crash", DYING_AFTER_A_SEND))  # by the engine or the judge


def test_a_fill_that_is_not_counted_is_seen(counted, monkeypatch):
    monkeypatch.setattr(desk_module, "new_fills", lambda record, order: list(order.fills)[:1])
    assert counted("lost_fills", "partial") > 0


def test_a_fill_that_is_kept_under_two_names_is_seen(counted, monkeypatch):
    count = OrderDesk._count

    async def again(self, record, fill):
        await count(self, record, fill)
        await count(self, record, replace(fill, fill_id=f"{fill.fill_id}#again"))

    monkeypatch.setattr(OrderDesk, "_count", again)
    assert counted("doubled_fills", "double-frame", range(3)) > 0


def test_a_book_that_forgets_is_seen(counted, monkeypatch):
    monkeypatch.setattr(Book, "cash", property(lambda self: self.starting_cash + self.flows + Decimal(1)))
    assert counted("position_differences", "crash", range(8)) > 0


def test_an_entry_beyond_the_limits_is_seen(counted, monkeypatch):
    loose = RiskSettings(max_trade_risk=0.5, max_symbol_risk=0.6, max_strategy_risk=0.9, cash_reserve=0.0)
    monkeypatch.setattr(house, "RISK", loose)
    assert counted("limit_breaches", "partial") > 0


def test_an_engine_that_calls_itself_flat_too_early_is_seen(counted, monkeypatch):
    monkeypatch.setattr(Proof, "confirmed", property(lambda self: True))
    assert counted("position_differences", "all", FLATTENING) > 0


def test_a_flatten_that_is_not_through_and_names_nothing_is_seen(counted, monkeypatch):
    monkeypatch.setattr(Proof, "left", "")
    assert counted("position_differences", "all", FLATTENING) > 0


def test_an_engine_that_gives_up_a_half_filled_entry_is_seen_where_nothing_closes_the_leg(counted, monkeypatch):
    count = OrderDesk._count

    async def and_give_up(self, record, fill):
        await count(self, record, fill)
        if len(record.intent.legs) > 1 and record.working:
            await self.cancel(record, "one leg is enough")

    monkeypatch.setattr(OrderDesk, "_count", and_give_up)
    assert counted("legs_alone", "leg-only", LEGS) == 0
    monkeypatch.setattr(Orphans, "look", lambda self, spoken_for: ())
    assert counted("legs_alone", "leg-only", LEGS) > 0


def test_a_leg_alone_under_a_persons_halt_is_the_persons_to_close(drill):
    """Day 3367: a spread's sold leg filled alone, its closer was lost with the line, then somebody killed."""
    (outcome,) = drill("all", [3367], tell=True)
    assert any("ORPHAN_LEG" in line for line in outcome.story)
    assert "HALT" in [line for line in outcome.story if "ladder" in line][-1]
    assert outcome.findings.clean


@pytest.fixture
def insistent(monkeypatch):
    """Whoever closes something asks for all his earlier closes once more: most of them are done long since."""
    earlier = []
    close = work.Work._close

    def and_again(self, legs, units, strategy, plan_id, random):
        for asked in earlier:
            close(self, *asked, random)
        earlier.append((legs, units, strategy, plan_id))
        close(self, legs, units, strategy, plan_id, random)

    monkeypatch.setattr(work.Work, "_close", and_again)
    monkeypatch.setitem(script.ACTS, "exit", 12)
    return earlier


@pytest.fixture
def unguarded(insistent, monkeypatch):
    monkeypatch.setattr(Gate, "check_exit", lambda self, intent, *rest, **more: Verdict(intent.quantity, None))


@pytest.fixture
def refused_closes(monkeypatch):
    """Closes that the broker did not take."""
    refused = []
    place = Placing._place

    async def counting(self, records, ready):
        await place(self, records, ready)
        refused.extend(r for r in records if r.intent.reduces and r.state is OrderState.REJECTED)

    monkeypatch.setattr(Placing, "_place", counting)
    return refused


def test_a_close_that_neither_guard_nor_strict_flag_holds_back_opens(counted, unguarded, monkeypatch):
    monkeypatch.setattr(broker_orders, "AdvancedInstructions", lambda **_flags: None)
    assert counted("closes_that_opened", "race") > 0


def test_the_strict_flag_alone_holds_what_the_guard_lets_through(counted, unguarded, refused_closes):
    assert counted("closes_that_opened", "race") == 0
    assert refused_closes  # the broker did have to say no: this is its flag, not luck


def test_the_guard_alone_holds_what_the_strict_flag_would_let_through(counted, insistent, monkeypatch):
    monkeypatch.setattr(broker_orders, "AdvancedInstructions", lambda **_flags: None)
    assert counted("closes_that_opened", "race") == 0
    assert insistent


def test_a_gate_that_lets_everything_through_is_seen(counted, monkeypatch):
    monkeypatch.setattr(
        Gate, "check", lambda self, plan, *rest, wanted=None, **more: Verdict(100 * (wanted or 1), None)
    )
    assert counted("limit_breaches", "partial") > 0


def test_an_order_that_read_back_sends_again_is_seen(counted, lost, monkeypatch):
    place, read_back = Placing._place, OrderDesk.read_back

    async def again(self, state, began_at=None):
        await read_back(self, state, began_at)
        while lost:
            await place(self._placing, lost.pop(), None)

    monkeypatch.setattr(OrderDesk, "read_back", again)
    assert counted("duplicate_orders", LOST, ANSWERS_LOST) > 0


def test_a_close_that_does_not_wait_for_the_exit_that_rests_closes_twice(counted, monkeypatch):
    # A broker that does not count what closes already: the engine alone stands between the two then.
    monkeypatch.setattr(Desk, "closers", lambda self, without=(): [])
    monkeypatch.setattr(broker_orders, "AdvancedInstructions", lambda **_flags: None)
    whole = counted("closes_that_opened", "partial", RESTING)
    monkeypatch.setattr(MakingWay, "blocked", lambda self, intent: False)
    monkeypatch.setattr(Gate, "_exposed", lambda self, *rest: None)
    assert counted("closes_that_opened", "partial", RESTING) > whole


TIGHT = [seed for seed in range(200) if script_of(seed, "partial").tight][:24]


@pytest.fixture
def unlimited(monkeypatch):
    """Take some limits out of the engine's sizes; what the judge then says of tight days."""

    def without(drill, **limits):
        sized = gate_module.size

        def larger(*rest, **more):
            *first, settings, power = rest
            return sized(*first, settings.model_copy(update=limits), power, **more)

        monkeypatch.setattr(gate_module, "size", larger)
        return [line for outcome in drill("partial", TIGHT) for line in outcome.findings.lines]

    return without


def test_a_strategy_beyond_its_limit_is_seen(drill, unlimited):
    lines = unlimited(drill, max_strategy_risk=1.0)
    assert any("limit_breaches: strategy " in line for line in lines)
    assert all("strategy " in line for line in lines)  # the other limits still hold


def test_cash_below_the_reserve_is_seen(drill, unlimited):
    lines = unlimited(drill, cash_reserve=0.0)
    assert any("limit_breaches: cash: " in line for line in lines)
    assert all("cash: " in line for line in lines)


def test_a_day_with_narrow_limits_keeps_them(counted):
    assert counted("limit_breaches", "partial", TIGHT) == 0
