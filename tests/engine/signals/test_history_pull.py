"""A long history pull goes on behind the engine: the newest sessions are scanned meanwhile, step by step."""

import asyncio
from datetime import date

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import ManualClock, from_et
from qmterm.core.compute import ComputeThread
from qmterm.core.errors import DataError, NotEntitled
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import AtrMatrixSettings, ScannerSettings
from qmterm.engine.runlog import RunLog
from qmterm.engine.signals.history_pull import HistoryPull
from qmterm.engine.signals.scanning import Scanning
from qmterm.market.board.board import Board
from qmterm.market.history.history import History
from qmterm.market.quality.coverage import Listed
from qmterm.market.quality.watch import QualityWatch
from qmterm.market.records import GroupedColumns
from qmterm.market.rest.budget import Priority, RequestBudget, asking
from tests.market.fakes import until

CALENDAR = SessionCalendar.load(date(2024, 1, 1), date(2027, 12, 31))
NOW = from_et(date(2026, 3, 2), 9, 25)
SESSIONS = 60
SYMBOLS = ("AAPL", "MSFT")


class GatedRest:
    """Answers as many sessions as it is allowed to, newest first."""

    def __init__(self):
        self.allowed = asyncio.Semaphore(0)
        self.priorities = set()
        self.days = []

    async def grouped_daily(self, day):
        await self.allowed.acquire()
        self.priorities.add(asking.get())
        self.days.append(day)
        price = np.full(len(SYMBOLS), 100.0 + day.day)
        return GroupedColumns(day, SYMBOLS, price, price + 1, price - 1, price, price * 1e5, price)

    async def splits(self, since):
        return ()

    def allow(self, sessions):
        for _ in range(sessions):
            self.allowed.release()


@pytest.fixture
def compute():
    thread = ComputeThread()
    yield thread
    thread.close()


def scanning(tmp_path, rest, compute, *, per_minute=5, patient=False):
    clock = ManualClock(NOW)
    budget = RequestBudget(per_minute, clock.monotonic)
    history = History(rest, tmp_path / "daily", CALENDAR, clock)
    pull = HistoryPull(history, budget, clock, patient=patient)
    board = Board()
    made = Scanning(
        board,
        history,
        CALENDAR,
        compute,
        clock,
        RunLog(clock),
        AtrMatrixSettings(min_bars=50),
        ScannerSettings(),
        SESSIONS,
        pull,
        QualityWatch(board),
    )
    return made, budget, pull


async def here(pull, sessions):
    """Until so many of the newest sessions are on disk."""
    await until(lambda: pull._here() >= sessions, timeout=10)


async def test_the_engine_is_useful_while_an_hour_of_history_is_pulled(tmp_path, compute):
    rest, said = GatedRest(), []
    made, budget, pull = scanning(tmp_path, rest, compute)
    await made.load(said.append)
    assert not made.ready
    assert said == ["history 0/60, 12 min left"]
    assert budget.view().pull_eta_s > 600
    rest.allow(25)
    await here(pull, 25)
    assert made.outdated
    await made.load(said.append)
    assert (made.ready, made._panel.close.shape[1]) == (True, 20)
    assert not made.outdated
    assert made.pulling.startswith("history 25/60")
    made._board.stocks.last[:] = 110.0
    made.run()
    assert made.result.failed[Reason.TOO_FEW_BARS] == 2
    assert not made.entries(5)
    rest.allow(30)
    await here(pull, 55)
    assert made.outdated
    await made.load(said.append)
    assert made._panel.close.shape[1] == 50
    rest.allow(5)
    await here(pull, SESSIONS)
    await asyncio.wait({pull._behind})
    assert made.outdated
    await made.load(said.append)
    assert (made._panel.close.shape[1], made.pulling, made.outdated) == (SESSIONS, "", False)
    assert budget.view().pull_eta_s is None
    assert rest.priorities == {Priority.HISTORY}
    assert rest.days == sorted(rest.days, reverse=True)


async def test_what_waits_for_the_budget_is_named_in_the_ledger(tmp_path, compute):
    rest = GatedRest()
    made, _, pull = scanning(tmp_path, rest, compute)
    made.coverage.list(Listed((*SYMBOLS, "OLDX")))
    assert made.covered().skipped == {"NOT_CHECKED": 3}
    await made.load(lambda text: None)
    assert made.covered().skipped == {"WAITING_BUDGET": 3}  # not even the newest sessions are there
    rest.allow(25)
    await here(pull, 25)
    await made.load(lambda text: None)
    made.run()
    assert made.covered().skipped == {"WAITING_BUDGET": 1}  # its last bar may be in a session still to come
    assert made.coverage.of("OLDX")[1] is Reason.WAITING_BUDGET
    rest.allow(SESSIONS)
    await here(pull, SESSIONS)
    await asyncio.wait({pull._behind})
    await made.load(lambda text: None)
    made.run()
    assert made.covered().skipped == {"NO_HISTORY": 1}


class RefusingRest(GatedRest):
    async def grouped_daily(self, day):
        raise NotEntitled("bars are not in your plan")


async def test_a_plan_without_history_is_named_in_the_ledger(tmp_path, compute):
    made, _, _ = scanning(tmp_path, RefusingRest(), compute, patient=True)
    made.coverage.list(Listed(SYMBOLS))
    with pytest.raises(DataError, match="not in your plan"):
        await made.load(lambda text: None)
    assert made.covered().skipped == {"NOT_ENTITLED": 2}


async def test_a_lockstep_run_waits_for_all_of_it(tmp_path, compute):
    rest = GatedRest()
    made, _, pull = scanning(tmp_path, rest, compute, patient=True)
    loading = asyncio.create_task(made.load(lambda text: None))
    rest.allow(SESSIONS - 1)
    await asyncio.sleep(0.05)
    assert not loading.done()
    rest.allow(1)
    await loading
    assert made._panel.close.shape[1] == SESSIONS
    assert not pull.running


async def test_a_short_pull_is_waited_for(tmp_path, compute):
    rest = GatedRest()
    rest.allow(SESSIONS)
    made, _, pull = scanning(tmp_path, rest, compute, per_minute=4_800)
    await made.load(lambda text: None)
    assert (made.ready, pull.running) == (True, False)


async def test_closing_ends_the_pull_and_a_restart_goes_on_where_it_was(tmp_path, compute):
    rest, said = GatedRest(), []
    made, _, pull = scanning(tmp_path, rest, compute)
    await made.load(said.append)
    rest.allow(30)
    await here(pull, 30)
    fresh = lambda: History(rest, tmp_path / "daily", CALENDAR, ManualClock(NOW))  # noqa: E731
    await until(lambda: len(fresh().missing(pull._days)) <= SESSIONS - 20, timeout=10)  # told to the manifest
    await made.close()
    assert not pull.running
    again, _, _ = scanning(tmp_path, GatedRest(), compute)
    await again.load(said.append)
    # A crash loses what the manifest had not been told yet: ten sessions at most.
    assert again.ready
    assert said[-1].startswith(("history 2", "history 3"))
    await again.close()
