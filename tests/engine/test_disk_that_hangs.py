"""A disk that hangs and never fails: the engine goes on seeing, alarming and cancelling. What it decided is written
when the disk is back, in the order in which it was decided, and no order leaves before its row.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from qmterm.core.clock import NS
from qmterm.core.errors import BrokerError, JournalError
from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.engine.commands import Flatten, Kill, Pause, RejectProposal, Resume
from qmterm.engine.engine import Engine
from qmterm.engine.ladder import Ladder, Level
from qmterm.engine.patience import DiskPatience
from qmterm.journal import writer
from qmterm.journal.beside import open_beside
from qmterm.journal.journal import Journal
from tests.engine import house as house_of_tests
from tests.engine.fakes import CASH, OCC, clock_at, entry
from tests.engine.house import GONE, House, close_at, confirmed, opened

SILENT = "The journal has not answered for 5 s"


@asynccontextmanager
async def hanging(mode=Mode.AUTO, *, held=0):
    """A house whose disk has just begun to hang; after the test it is back, or an order would wait for ever."""
    async with opened(mode, patience=DiskPatience(0.01)) as house:
        if held:
            await house.hold(held)
            await house.turn()
        house.journal.hang()
        try:
            async with asyncio.timeout(10):
                yield house
        finally:
            house.journal.full = False
            await back(house)


async def back(house):
    house.journal.go_on()
    await asyncio.sleep(0.01)
    await house.lanes.idle()


def alarms(house, kind):
    return [line.text for line in house.log.lines if (line.level, line.kind) == ("alarm", kind)]


async def test_the_alarm_comes_and_entries_are_cancelled():
    async with opened(patience=DiskPatience(0.01)) as house:
        await house.desk.submit(entry())
        house.journal.hang()
        await house.turn()
        house.journal.trouble = SILENT
        await house.turn()
        await house.turn()
        assert house.ladder.level is Level.REDUCE_ONLY
        assert alarms(house, "RISK") == [f"ladder REDUCE-ONLY: journal: {SILENT}"]
        assert house.broker.cancels == ["1000"]
        assert house.journal.moves == []
        await back(house)
        assert [move[1] for move in house.journal.moves] == ["REDUCE-ONLY"]
        assert Ladder.from_dict(house.journal.documents["ladder"]).level is Level.REDUCE_ONLY


async def test_a_move_that_hangs_keeps_no_later_one_back_and_all_are_written_in_their_order():
    async with hanging() as house:
        for age in (99.0, 0.5, 99.0):
            house.feed_age = age
            await house.turn()
        house.journal.trouble = SILENT
        await house.turn()
        assert house.ladder.level is Level.REDUCE_ONLY
        for _ in range(3):
            await house.turn()  # with no news there is no row
        await back(house)
        assert [move[:3] for move in house.journal.moves] == [
            ("NORMAL", "NO-NEW", "DATA_STALE"),
            ("NO-NEW", "NORMAL", "DATA_STALE"),
            ("NORMAL", "NO-NEW", "DATA_STALE"),
            ("NO-NEW", "REDUCE-ONLY", "JOURNAL_TROUBLE"),
        ]
        assert house.journal.documents["ladder"] == house.ladder.to_dict()


async def test_moves_that_fail_after_all_are_an_alarm_and_are_written_when_that_is_over():
    async with hanging() as house:
        house.feed_age = 99.0
        await house.turn()
        house.journal.full = True
        await back(house)
        assert (house.journal.moves, house.ladder.level) == ([], Level.REDUCE_ONLY)
        await house.turn()
        house.journal.full = False
        await house.turn()
        moves = [(move[1], move[2]) for move in house.journal.moves]  # the late one under what stands by then
        assert moves == [("REDUCE-ONLY", "DATA_STALE"), ("REDUCE-ONLY", "JOURNAL_TROUBLE")]
        assert house.journal.documents["ladder"] == house.ladder.to_dict()


async def test_a_fault_of_our_own_in_a_late_row_halts():
    async with hanging() as house:
        house.feed_age = 99.0
        write = house.journal.write_ladder

        async def broken(*values, **more):
            await write(*values, **more)
            raise ZeroDivisionError("?")

        house.journal.write_ladder = broken
        await house.turn()
        await back(house)
        assert house.ladder.level is Level.HALT


async def test_a_stop_that_hits_is_an_alarm_at_once_and_its_exit_waits_for_its_rows():
    async with hanging(held=4) as house:
        posts = len(house.broker.posts)
        close_at(house, GONE)
        await house.step()
        assert len(alarms(house, "STOP")) == 1
        house.journal.trouble = SILENT
        for _ in range(3):
            await house.step()
        assert house.ladder.level is Level.REDUCE_ONLY
        assert len(alarms(house, "STOP")) == 1
        assert len(house.broker.posts) == posts
        assert house.journal.protects["P1"]["goal"] == 0

        before = len(house.journal.rows)
        await back(house)
        assert len(house.broker.posts) == posts + 1
        said = [kind for kind, _ in house.journal.rows[before:]]
        assert said.index("protect") < said.index("intent")
        assert house.journal.protects["P1"]["goal"] == 4


async def test_a_stop_whose_row_fails_was_an_alarm_before():
    async with opened() as house:
        await house.hold(4)
        house.journal.full = True
        close_at(house, GONE)
        with pytest.raises(JournalError):
            await house.step()
        assert len(alarms(house, "STOP")) == 1
        assert house.guards.of("P1").goal == 4


async def test_a_stop_whose_row_fails_after_all_is_reduce_only():
    async with hanging(held=4) as house:
        house.open = False  # nothing is ordered: the guard's row is alone
        close_at(house, GONE)
        await house.step()
        assert house.ladder.level is Level.NORMAL
        house.journal.full = True
        house.journal.go_on()
        await asyncio.sleep(0.01)
        assert house.ladder.level is Level.REDUCE_ONLY


@pytest.mark.parametrize("refused", [True, False])
async def test_goals_of_others_and_a_persons_no_hold_at_once(refused):
    async with opened(Mode.CONFIRM, patience=DiskPatience(0.01)) as house:
        await confirmed(house)
        house.journal.hang()
        async with asyncio.timeout(10):
            assert await house.guards.want_out(OCC, Reason.PIN_RISK)
            assert house.guards.of("P1").goal == 4
            await house.step()
            if refused:
                (waiting,) = house.trader.proposals.waiting
                await house.answering.answer(RejectProposal(waiting.proposal_id))
                assert house.guards.of("P1").goal == 0
        await back(house)
        assert house.journal.protects["P1"] == house.guards.of("P1").to_dict()


async def closed_by_its_stop(house):
    """A guard of nothing is left."""
    await house.hold(4)
    close_at(house, GONE)
    await house.turn()
    await house.filled_all()


async def test_guards_of_nothing_are_forgotten():
    async with opened(patience=DiskPatience(0.01)) as house:
        await closed_by_its_stop(house)
        house.journal.hang()
        async with asyncio.timeout(10):
            await house.oversight.protection.tidy()
        assert house.guards.all == ()
        assert "P1" in house.journal.protects
        await back(house)
        assert "P1" not in house.journal.protects


async def test_a_kill_cancels_and_answers():
    async with opened(patience=DiskPatience(0.01)) as house:
        await house.desk.submit(entry())
        house.journal.hang()
        async with asyncio.timeout(10):
            house.feed_age = 99.0
            await house.turn()
            answer = await house.answering.answer(Kill())
        assert answer.ok
        assert house.broker.cancels == ["1000"]
        await back(house)
        assert [move[1] for move in house.journal.moves] == ["NO-NEW", "HALT"]
        assert "KILL" in house.journal.documents["ladder"]


@pytest.mark.parametrize(
    ("command", "level"), [(Pause(), Level.NO_NEW), (Flatten("ctl"), Level.FLATTEN), (Resume(), Level.NORMAL)]
)
async def test_what_else_a_person_asks_of_the_ladder_is_answered(command, level):
    async with hanging() as house:
        answer = await house.answering.answer(command)
        assert answer.ok
        assert house.ladder.level is level


async def test_a_new_day_and_its_losses_are_measured_on():
    async with opened(patience=DiskPatience(0.01)) as house:
        await house.oversight.begin_day()
        house.journal.hang()
        house.book.adjustments = Decimal(-2000)
        async with asyncio.timeout(10):
            await house.turn()
            assert house.ladder.causes[0].reason is Reason.DAILY_LOSS
            house.clock.advance(24 * 3600)
            await house.turn()
        assert house.ladder.level is Level.NORMAL
        await back(house)
        assert house.journal.documents["day"] == house.trader.day.to_dict()


async def test_a_week_that_a_person_goes_on_from_is_measured_anew():
    async with opened(patience=DiskPatience(0.01)) as house:
        await house.oversight.begin_day()
        house.book.adjustments = Decimal(-9000)
        await house.turn()
        house.journal.hang()
        async with asyncio.timeout(10):
            await house.oversight.rearm()
        assert not house.trader.day.week_blocked
        await back(house)
        assert house.journal.documents["day"] == house.trader.day.to_dict()


async def test_an_arming_begins_on_the_disk_only_and_ends_without_it():
    async with opened(patience=DiskPatience(0.01)) as house:
        until = house.clock.now() + 600 * NS
        await house.arming.arm("5WT00001", CASH, until, Decimal(500), "ctl")
        house.journal.hang()
        async with asyncio.timeout(10):
            await house.arming.look(CASH - 500, 1)
            assert house.arming.arms.spent
            await house.arming.disarm("by a person")
        assert house.arming.arms is None
        again = asyncio.create_task(house.arming.arm("5WT00001", CASH, until, None, "ctl"))
        await asyncio.sleep(0.03)
        assert house.arming.arms is None
        await back(house)
        await again
        assert house.journal.documents["arming"] == house.arming.arms.to_dict()


async def failing_back(house):
    """The rows that hang fail now; those that come are written."""
    house.journal.full = True
    await back(house)
    house.journal.full = False


async def test_a_stop_whose_row_fails_after_all_is_written_by_a_later_turn():
    async with hanging(held=4) as house:
        house.open = False  # nothing is ordered: the guard's row is alone
        close_at(house, GONE)
        for _ in range(3):
            await house.step()
        await failing_back(house)
        assert house.journal.protects["P1"]["goal"] == 0
        rows = len(house.journal.rows)
        for _ in range(3):
            await house.step()
        assert house.journal.protects["P1"] == house.guards.of("P1").to_dict()
        assert house.journal.protects["P1"]["goal"] == 4
        assert house.journal.rows[rows:].count(("protect", "P1")) == 1


async def test_a_stop_whose_row_fails_at_once_is_written_by_a_later_turn():
    async with opened() as house:
        await house.hold(4)
        house.open = False
        house.journal.full = True
        close_at(house, GONE)
        with pytest.raises(JournalError):
            await house.step()
        await house.step()  # still full: told, and the turn goes on
        house.journal.full = False
        await house.step()
        assert house.journal.protects["P1"] == house.guards.of("P1").to_dict()


async def test_a_fill_whose_guards_row_fails_is_written_by_a_later_turn():
    async with opened() as house:
        await house.hold(4)
        close_at(house, GONE)
        await house.turn()
        write = house.journal.write_protect

        async def full(*_):
            raise JournalError("full")

        house.journal.write_protect = full
        with pytest.raises(JournalError):
            await house.filled(house.working[0].broker_id, 1)
        house.journal.write_protect = write
        assert house.journal.protects["P1"] != house.guards.of("P1").to_dict()
        await house.step()
        assert house.journal.protects["P1"] == house.guards.of("P1").to_dict()


async def test_a_guard_whose_end_fails_is_forgotten_on_the_disk_by_a_later_turn():
    async with opened(patience=DiskPatience(0.01)) as house:
        await closed_by_its_stop(house)
        house.journal.hang()
        await house.oversight.protection.tidy()
        await failing_back(house)
        assert "P1" in house.journal.protects
        await house.step()
        assert "P1" not in house.journal.protects


async def test_a_disarming_whose_row_fails_after_all_is_written_by_a_later_turn():
    async with opened(patience=DiskPatience(0.01)) as house:
        await house.arming.arm("5WT00001", CASH, house.clock.now() + 600 * NS, None, "ctl")
        house.journal.hang()
        await house.arming.disarm("by a person")
        await house.arming.look(CASH, 0)
        await failing_back(house)
        assert house.journal.documents["arming"] != {}
        await house.arming.look(CASH, 0)
        assert house.journal.documents["arming"] == {}


async def test_a_days_loss_whose_row_fails_is_written_by_a_later_turn():
    async with opened(patience=DiskPatience(0.01)) as house:
        await house.oversight.begin_day()
        house.journal.hang()
        house.book.adjustments = Decimal(-2000)
        await house.turn()
        await failing_back(house)
        assert house.journal.documents["day"]["blocked"] is False
        await house.turn()
        assert house.journal.documents["day"] == house.trader.day.to_dict()
        assert house.journal.documents["day"]["blocked"] is True


async def test_the_alarm_needs_no_turn():
    async with opened() as house:
        watch = asyncio.create_task(house.oversight.watch_journal())
        await asyncio.sleep(0)
        assert house.ladder.level is Level.NORMAL
        watch.cancel()
        house.journal.trouble = SILENT
        watch = asyncio.create_task(house.oversight.watch_journal())
        await asyncio.sleep(0)
        assert alarms(house, "RISK") == [f"ladder REDUCE-ONLY: journal: {SILENT}"]
        watch.cancel()


# --- the engine's own parts ---


def engine_of(house, **parts):
    """An engine whose rooms are the house's."""
    parts = {"on_trace": None} | parts
    made = Engine(SimpleNamespace(clock=house.clock, log=house.log, broker=house.broker, **parts))
    made._engaged = SimpleNamespace(oversight=house.oversight, desk=house.desk, book=house.book, trader=house.trader)
    return made


async def test_a_paper_market_stands_still_and_no_turn_with_it():
    async with opened(patience=DiskPatience(0.01)) as house:
        answers, looks = asyncio.Event(), []

        async def on_market(now_ns):
            looks.append(now_ns)
            await answers.wait()

        engine = engine_of(house, broker_on_market=on_market)
        async with asyncio.timeout(10):
            for _ in range(3):
                await engine._on_market()
        assert len(looks) == 1
        answers.set()
        await asyncio.sleep(0.01)
        await engine._on_market()
        assert len(looks) == 2


async def test_behind_a_fill_that_waits_for_its_row_an_orders_end_is_seen():
    async with opened(patience=DiskPatience(0.01)) as house:
        first, second = [await house.desk.submit(entry(f"qm-{number}")) for number in range(2)]
        house.journal.hang()
        house.broker.queue.put_nowait(house.broker.fill(first.broker_id, 1))
        house.broker.queue.put_nowait(house.broker.set_state(second.broker_id, OrderState.CANCELLED))
        listening = asyncio.create_task(engine_of(house)._listen())
        async with asyncio.timeout(10):
            while second.state is not OrderState.CANCELLED:  # noqa: ASYNC110 - a few turns of the loop
                await asyncio.sleep(0)
        assert house.book.quantity(OCC) == 0  # on the disk first, then in the book
        await back(house)
        assert house.book.quantity(OCC) == 1
        listening.cancel()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("error", "level", "text"),
    [
        (ValueError("?"), Level.REDUCE_ONLY, "events: ValueError: ?"),
        (BrokerError("no"), Level.NORMAL, "events: no"),
        (JournalError("full"), Level.REDUCE_ONLY, "events: full"),
    ],
)
async def test_a_fault_behind_a_fill_means_the_same_in_time_and_late(late, error, level, text):
    async with opened(patience=DiskPatience(0.01)) as house:
        order = await house.desk.submit(entry())

        async def broken(*_):
            raise error

        house.desk._on_fill = broken
        traced = []
        engine = engine_of(house, on_trace=traced.append)
        house.broker.queue.put_nowait(house.broker.fill(order.broker_id, 1))
        if late:
            house.journal.hang()
        listening = asyncio.create_task(engine._guarded("events", engine._listen))
        await asyncio.sleep(0.05)
        if late:
            assert house.ladder.level is Level.NORMAL
            await back(house)
        assert house.ladder.level is level
        assert [line.text for line in house.log.lines if line.kind == "ENGINE"] == [text]
        assert traced == ([error] if isinstance(error, ValueError) else [])
        listening.cancel()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("error", "alarm", "shown"),
    [
        (JournalError("full"), "ladder REDUCE-ONLY: paper account: full", []),
        (ValueError("?"), "ladder REDUCE-ONLY: turn: ValueError: ?", ["turn: ValueError: ?"]),
    ],
)
async def test_a_fault_of_the_paper_market_means_the_same_in_time_and_late(late, error, alarm, shown):
    async with opened(patience=DiskPatience(0.01)) as house:
        answers = asyncio.Event()
        if not late:
            answers.set()

        async def on_market(_now_ns):
            await answers.wait()
            raise error

        engine = engine_of(house, broker_on_market=on_market)
        try:  # as a turn and what drives it do
            await engine._on_market()
        except JournalError as failed:
            engine._market_failed(failed)
        except ValueError as failed:
            engine._failed("turn", failed)
        answers.set()
        await asyncio.sleep(0.01)
        assert alarms(house, "RISK") == [alarm]
        assert [line.text for line in house.log.lines if line.kind == "ENGINE"] == shown


# --- the real journal, its scribe stopped ---


@contextmanager
def stopped(journal):
    pid = journal._connection.disk_thread
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
async def real(tmp_path, monkeypatch):
    """A house over a real journal, with a scribe of its own."""
    journal = await Journal.open(tmp_path / "journal.sqlite", clock_at(), open_beside)
    await journal.start_session("5WT00001", "auto", "sim", "paper", CASH, (), "x")
    monkeypatch.setattr(house_of_tests, "MemoryJournal", lambda: journal)
    monkeypatch.setattr(writer, "SILENT_S", 0.1)
    house = House(patience=DiskPatience(0.01))
    house.lanes.start()
    yield house
    await house.lanes.close()
    with suppress(JournalError):
        await journal.close()


async def until_trouble(house):
    async with asyncio.timeout(20):
        while house.ladder.level is not Level.REDUCE_ONLY:
            await house.step()
            await asyncio.sleep(0.01)
        await house.step()


async def test_a_stopped_scribe_is_an_alarm_and_its_stops_are_kept_when_it_goes_on(real):
    await real.hold(4)
    await real.desk.submit(replace(entry("other", symbol="AMD   260417C00100000"), plan_id="P2"))
    await real.turn()
    with stopped(real.journal):
        real.feed_age = 99.0
        close_at(real, GONE)
        posts = len(real.broker.posts)
        await until_trouble(real)
        assert len(alarms(real, "STOP")) == 1
        assert any("has not answered" in text for text in alarms(real, "RISK"))
        assert real.broker.cancels == ["1001"]
        assert len(real.broker.posts) == posts
        async with asyncio.timeout(10):
            assert (await real.answering.answer(Kill())).ok
    await real.lanes.idle()
    await real.journal.flush()
    kept = await real.journal.load()
    assert kept.protects["P1"]["goal"] == 4
    assert Ladder.from_dict(await real.journal.read_document("ladder")).level is Level.HALT
    moves = [row for row in await real.journal.why("ladder") if row.kind == "ladder"]
    assert [row.body["state"] for row in moves] == ["NO-NEW", "REDUCE-ONLY", "HALT"]
    assert len(real.broker.posts) == posts  # the exit was still in its queue when the kill came
