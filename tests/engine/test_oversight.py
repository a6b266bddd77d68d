"""Watching over the run: each trouble moves the ladder as far as DESIGN.md 5 says, and only NO-NEW lifts itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.clock import from_et
from qmterm.core.errors import RATE_LIMITED, BrokerError, JournalError, OutcomeUnknown
from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import EngineSettings, OrderSettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine import oversight
from qmterm.engine.commands import Resume
from qmterm.engine.ladder import Level
from qmterm.engine.losses import LossBase
from qmterm.engine.orders.explaining import Explainer
from qmterm.engine.oversight import Oversight
from tests.engine.fakes import CASH, OCC, entry
from tests.engine.house import opened


def stale(house, on):
    house.feed_age = 91.0 if on else 0.5


def never(house, on):
    house.feed_age = None if on else 0.5


def broker_lost(house, on):
    house.broker.stream_up = not on


def lag(house, on):
    for _ in range(200):
        house.lag.add(900.0 if on else 1.0)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(stale, Reason.DATA_STALE), (never, Reason.DATA_STALE), (broker_lost, Reason.BROKER_LOST), (lag, Reason.LOOP_LAG)],
)
async def test_a_passing_trouble_is_no_new_and_passes(trouble, reason):
    async with opened() as house:
        await house.oversight.look()
        assert house.ladder.level is Level.NORMAL
        trouble(house, True)
        await house.oversight.look()
        assert house.ladder.level is Level.NO_NEW
        assert house.ladder.causes[0].reason is reason
        assert ("ladder", "NO-NEW") in house.journal.rows
        trouble(house, False)
        await house.oversight.look()
        assert house.ladder.level is Level.NORMAL
        assert house.journal.rows[-1] == ("ladder", "NORMAL")


async def test_a_slow_machine_decides_in_lockstep_what_a_fast_one_decides():
    async with opened() as house:
        trader = house.trader
        stepped = Oversight(trader, house.broker, house.journal, EngineSettings(), RiskSettings(), lambda: 0.0, None)
        lag(house, True)
        await stepped.look()
        assert house.ladder.level is Level.NORMAL


async def test_stale_data_outside_the_session_is_no_trouble():
    async with opened() as house:
        house.open, house.feed_age = False, None
        await house.oversight.look()
        assert house.ladder.level is Level.NORMAL


async def test_a_passing_trouble_does_not_lift_a_persons_pause():
    async with opened() as house:
        house.oversight.lower(Level.NO_NEW, Reason.USER, "paused", by_person=True)
        stale(house, True)
        await house.oversight.look()
        stale(house, False)
        await house.oversight.look()
        assert house.ladder.level is Level.NO_NEW


async def lose(house, dollars):
    """The account is worth `dollars` less than at the day's start."""
    house.book.adjustments = Decimal(-dollars)
    await house.oversight.look()


async def test_the_days_loss_blocks_until_the_next_session_whatever_the_price_does():
    async with opened() as house:
        await house.oversight.begin_day()
        await lose(house, 1999)
        assert house.ladder.level is Level.NORMAL
        await lose(house, 2000)
        assert house.ladder.causes[0].reason is Reason.DAILY_LOSS
        await lose(house, 0)
        assert house.ladder.level is Level.NO_NEW
        assert house.journal.documents["day"]["blocked"] is True
        house.clock.now_ns = from_et(date(2026, 3, 3), 9, 0)
        await lose(house, 500)
        assert house.ladder.level is Level.NORMAL
        assert house.trader.day_pnl == 0
        kept = house.journal.documents["day"]
        assert (kept["date"], kept["nlv"], kept["blocked"]) == ("2026-03-03", str(CASH - 500), False)


async def test_the_weeks_loss_and_a_drawdown_block_until_a_person_resumes():
    async with opened() as house:
        await house.oversight.begin_day()
        await lose(house, 10_000)
        blocked = {Reason.DAILY_LOSS, Reason.WEEKLY_LOSS, Reason.DRAWDOWN}
        assert {cause.reason for cause in house.ladder.causes} == blocked
        house.clock.now_ns = from_et(date(2026, 3, 9), 9, 0)  # another week
        await lose(house, 9_000)
        assert {cause.reason for cause in house.ladder.causes} == {Reason.WEEKLY_LOSS, Reason.DRAWDOWN}
        restored = LossBase()
        restored.restore(house.journal.documents["day"])
        assert restored == house.trader.day
        answer = await house.answering.answer(Resume())
        assert answer.ok
        assert house.ladder.level is Level.NORMAL
        await lose(house, 9_000)
        assert house.ladder.level is Level.NORMAL
        assert house.journal.documents["day"]["week_nlv"] == str(CASH - 9_000)


async def test_journal_trouble_needs_a_person_even_when_it_is_over():
    async with opened() as house:
        house.journal.trouble = "disk full"
        await house.oversight.look()
        assert house.ladder.level is Level.REDUCE_ONLY
        house.journal.trouble = None
        await house.oversight.look()
        assert house.ladder.level is Level.REDUCE_ONLY


async def test_an_order_job_that_breaks_halts_unless_it_was_the_disk():
    async with opened() as house:
        house.oversight.lane_failed(JournalError("disk full"))
        assert house.ladder.level is Level.REDUCE_ONLY
        house.oversight.lane_failed(ZeroDivisionError("?"))
        assert house.ladder.level is Level.HALT


async def settle_with(house, seconds):
    """Comparisons while real time passes."""
    state = house.broker.account_state

    async def later():
        house.clock.advance(seconds)
        return await state()

    house.broker.account_state = later
    return await house.oversight.settle()


async def test_a_lasting_difference_is_adopted_journalled_and_reduces():
    async with opened() as house:
        house.broker.held[OCC] = 2
        agreed, text = await settle_with(house, 0.15)
        assert not agreed
        assert "ours 0, broker 2" in text
        assert house.journal.adjustments == [(OCC, Decimal(2))]
        assert house.book.quantity(OCC) == 2
        assert house.ladder.level is Level.REDUCE_ONLY
        assert house.ladder.causes[0].reason is Reason.RECONCILE_DIFFERENCE


async def test_cents_of_fees_are_adopted_with_a_note_and_move_no_ladder():
    async with opened() as house:
        house.broker.cash = CASH - Decimal("0.37")
        assert (await settle_with(house, 0.15))[0]
        assert house.journal.adjustments == [(None, Decimal("-0.37"))]
        assert house.ladder.level is Level.NORMAL


async def test_five_dollars_and_more_are_not_put_down_to_fees():
    async with opened() as house:
        house.broker.cash = CASH - Decimal("5.01")
        assert not (await settle_with(house, 0.15))[0]
        assert house.ladder.level is Level.REDUCE_ONLY


async def test_an_account_that_cannot_be_read_is_not_clean_and_not_a_difference():
    async with opened() as house:
        await house.oversight.settle()

        async def silent():
            house.clock.advance(2)
            raise OutcomeUnknown("no answer")

        house.broker.account_state = silent
        agreed, text = await house.oversight.settle()
        assert not agreed
        assert "could not be read" in text
        assert not house.oversight.reconciler.clean
        assert house.ladder.level is Level.NORMAL
        assert house.journal.adjustments == []


async def test_an_entry_that_waited_too_long_is_cancelled_once():
    async with opened() as house:
        await house.desk.submit(entry())
        house.clock.advance(299)
        await house.oversight.tend_orders()
        assert house.broker.cancels == []
        house.clock.advance(1)
        await house.oversight.tend_orders()
        await house.oversight.tend_orders()
        assert house.broker.cancels == ["1000"]


async def test_reduce_only_cancels_working_entries_and_leaves_exits():
    async with opened() as house:
        await house.hold(2)
        house.underlyings.closes["NVDA"] = (160.0, house.clock.now())
        await house.turn()
        (leaving,) = house.working
        await house.desk.submit(entry("qm-9", symbol="AMD   260417C00200000"))
        house.oversight.lower(Level.REDUCE_ONLY, Reason.JOURNAL_TROUBLE, "disk")
        await house.oversight.tend_orders()
        assert house.broker.cancels == [house.desk.ledger.get("qm-9").broker_id]
        assert leaving.working


async def test_no_new_leaves_working_entries_alone():
    async with opened() as house:
        await house.desk.submit(entry())
        house.oversight.lower(Level.NO_NEW, Reason.DATA_STALE, "stale")
        await house.oversight.tend_orders()
        assert house.broker.cancels == []


async def test_the_order_poll_is_a_witness_of_its_own():
    async with opened() as house:
        await house.desk.submit(entry())
        house.broker.fill("1000", 2)  # the stream said nothing
        await house.oversight.poll_orders()
        assert house.book.quantity(OCC) == 2
        assert house.desk.ledger.get("qm-1").state is OrderState.FILLED


async def test_overdue_orders_are_cancelled_together_so_a_silent_broker_costs_one_time_out():
    async with opened() as house:
        for number in range(3):
            await house.desk.submit(entry(f"qm-{number}"))
        house.clock.advance(house.orders.entry_timeout_s + 1)
        all_asked = asyncio.Event()

        async def answers_when_all_have_asked(broker_id):
            house.broker.cancels.append(broker_id)
            if len(house.broker.cancels) == 3:
                all_asked.set()
            await all_asked.wait()

        house.broker.cancel = answers_when_all_have_asked
        async with asyncio.timeout(5):
            await house.oversight.tend_orders()
        assert sorted(house.broker.cancels) == ["1000", "1001", "1002"]


@pytest.mark.parametrize(
    ("errors", "asked", "told"),
    [
        ([BrokerError("502")] * 2, 3, 0),
        ([OutcomeUnknown("silence"), BrokerError("502"), BrokerError("503")], 3, 1),
        ([BrokerError("slow down", RATE_LIMITED)], 1, 1),
    ],
)
async def test_a_poll_that_fails_is_asked_again_soon_unless_the_broker_asks_for_fewer(monkeypatch, errors, asked, told):
    monkeypatch.setattr(oversight, "POLL_AGAIN_S", 0.0)
    async with opened() as house:
        await house.desk.submit(entry())
        house.broker.fill("1000", 2)
        live, calls, left = house.broker.live_orders, [], list(errors)

        async def unreliable():
            calls.append(1)
            if left:
                raise left.pop(0)
            return await live()

        house.broker.live_orders = unreliable
        await house.oversight.poll_orders()
        assert len(calls) == asked
        assert len([line for line in house.log.lines if "could not be polled" in line.text]) == told
        assert (house.book.quantity(OCC) == 2) == (told == 0)


@pytest.mark.parametrize("slow", ["the account", "the deliveries"])
async def test_a_reading_that_was_old_before_it_came_takes_no_position_away(slow):
    """The broker's ledger lags behind a fill for three seconds; an answer then takes twelve."""
    async with opened(orders=OrderSettings(readback_window_s=10, walk=False)) as house:
        await house.hold(4)
        house.broker.cash = house.book.cash
        assert (await house.oversight.reconcile())[0]
        read, lags_until, reads = house.broker.account_state, house.clock.monotonic() + 3, 0

        async def lagging():
            nonlocal reads
            reads += 1
            state = await read()
            if house.clock.monotonic() < lags_until:
                state = replace(state, positions=())
            if slow == "the account" and reads == 2:
                house.clock.advance(12)
            return state

        async def deliveries(_since):
            house.clock.advance(12)
            return (), True

        house.broker.account_state = lagging
        if slow == "the deliveries":
            house.broker.transactions = deliveries
            house.oversight._explainer = Explainer(house.trader, house.broker, None)
        for _ in range(2):
            await house.oversight.reconcile()
            house.clock.advance(0.5)
        await house.oversight.protection.tidy()
        assert house.book.quantity(OCC) == 4
        assert house.guards.of("P1").state.quantity == 4


@pytest.mark.parametrize("takes_s", [0, 3, 8])
async def test_settling_waits_for_a_slow_brokers_second_reading_too(monkeypatch, takes_s):
    async with opened(orders=OrderSettings(readback_window_s=10)) as house:
        read, moment = house.broker.account_state, asyncio.sleep

        async def slow():
            state = await read()
            house.clock.advance(takes_s)
            return state

        async def sleep(seconds):
            house.clock.advance(seconds)
            await moment(0)

        house.broker.account_state = slow
        house.broker.cash -= 2  # a drift of fees: explained, once it has stood
        monkeypatch.setattr("qmterm.engine.oversight.asyncio.sleep", sleep)
        assert (await house.oversight.settle())[0]
