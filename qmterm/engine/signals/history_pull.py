"""The pull of daily history: waited for when it is short, behind the working engine when the plan makes it long.

The trap: on the free plan 300 sessions take an hour. What is there is used meanwhile, newest sessions first, and
indicators that need more bars stay unknown; a lockstep run waits for all of it, or two runs would differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date

from qmterm.core.clock import Clock
from qmterm.core.reasons import Reason
from qmterm.market.history.history import History, PullReport
from qmterm.market.rest.budget import Priority, RequestBudget, asking_for

WAIT_S = 30.0  # a pull longer than this goes on behind the engine
STEPS = (20, 50, 100, 150, 200, 250)  # sessions at which the panel is made anew: averages and ranges appear by steps

Progress = Callable[[str], None]


class HistoryPull:
    """One pull at a time. `patient`: always wait for the whole history."""

    def __init__(self, history: History, budget: RequestBudget, clock: Clock, *, patient: bool) -> None:
        self._history = history
        self._budget = budget
        self._clock = clock
        self._patient = patient
        self._behind: asyncio.Task[PullReport] | None = None
        self._days: tuple[date, ...] = ()
        self._began = 0.0
        self._report: PullReport | None = None  # of the latest pull that ended
        self.text = ""  # "history 42/300, 52 min left"; empty while nothing is pulled

    async def run(self, days: Sequence[date], progress: Progress) -> PullReport | None:
        """The report once all of `days` were tried; None while that goes on behind."""
        if self._behind is not None and self._days == tuple(days):
            if not self._behind.done():
                return None
            done, self._behind = self._behind, None
            return done.result()
        await self.close()  # a new session came: what is still missing is asked for with it
        self._days = tuple(days)
        missing = len(self._history.missing(days))
        self._began = self._clock.monotonic()
        if self._patient or self._budget.eta_s(missing, Priority.HISTORY) <= WAIT_S:
            return await self._pull(progress)
        self._told(0, missing, progress)
        self._behind = asyncio.get_running_loop().create_task(self._pull(progress), name="history")
        return None

    @property
    def running(self) -> bool:
        return self._behind is not None

    @property
    def lacking(self) -> Reason:
        """Why the history of a symbol may not be here."""
        if self._behind is not None and not self._behind.done():
            return Reason.WAITING_BUDGET
        if self._report is None:
            return Reason.NOT_CHECKED
        if 2 * len(self._report.refused) > len(self._days):
            return Reason.NOT_ENTITLED
        return Reason.NO_HISTORY

    def ready_step(self) -> int:
        """Newest sessions worth a new panel now: one of STEPS, all when the pull has ended, 0 before the first step."""
        if self._behind is None or self._behind.done():
            return len(self._days)
        return max((step for step in STEPS if step <= self._here()), default=0)

    async def close(self) -> None:
        if self._behind is not None:
            self._behind.cancel()
            await asyncio.gather(self._behind, return_exceptions=True)
            self._behind = None
        self._ended()

    # --- inside ---

    async def _pull(self, progress: Progress) -> PullReport:
        try:
            with asking_for(Priority.HISTORY):
                while True:
                    report = await self._history.pull(self._days, lambda done, total: self._told(done, total, progress))
                    self._report = report
                    if report.complete or self._budget.held_s <= 0:
                        return report
                    await self._budget.open_again()  # the server wanted silence: the rest comes after it
        finally:
            self._ended()

    def _here(self) -> int:
        """How many of the newest sessions are there without a gap."""
        missing = set(self._history.missing(self._days))
        count = 0
        for day in reversed(self._days):
            if day in missing:
                break
            count += 1
        return count

    def _told(self, done: int, total: int, progress: Progress) -> None:
        self._budget.pull_left = total - done
        left = self._budget.eta_s(total - done, Priority.HISTORY)
        if done:  # a slow server counts, too
            left = max(left, (self._clock.monotonic() - self._began) / done * (total - done))
        self.text = f"history {len(self._days) - total + done}/{len(self._days)}{_left(left)}"
        progress(self.text)

    def _ended(self) -> None:
        self.text = ""
        self._budget.pull_left = 0


def _left(seconds: float) -> str:
    if seconds < 1.0:
        return ""
    return f", {seconds / 60:.0f} min left" if seconds >= 90.0 else f", {seconds:.0f} s left"
