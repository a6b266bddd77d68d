"""One life of the engine in a process of its own: production's order half over real sockets, told what to do by a pipe.

It ends when it is told to, when its pipe closes (its owner is gone), or by SIGKILL. Whatever it has to say goes
through the pipe at once, because a killed process says nothing afterwards.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import warnings
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, cast

from qmterm.broker.tastytrade import TastytradeBroker
from qmterm.core.errors import QmtermError
from qmterm.core.interpreter import collector, loop_factory
from qmterm.core.orders import OrderState
from qmterm.core.quotes import Quote
from qmterm.core.settings.broker import TastytradeSettings
from qmterm.drill.fate import Fate
from qmterm.drill.house import RISK, TIGHT, TOKEN, House
from qmterm.drill.market import DrillClock, DrillMarket
from qmterm.drill.process import CrashPoint
from qmterm.drill.script import Act
from qmterm.drill.wire import Network
from qmterm.drill.work import Work
from qmterm.engine.commands import Kill
from qmterm.engine.runlog import RunLog
from qmterm.engine.view import LogLine
from qmterm.journal.database import Database
from qmterm.journal.journal import Journal
from qmterm.journal.lock import JournalLock

STATE_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Terms:
    """What a life is born with."""

    journal: Path
    url: str  # of the broker, http://
    origin: float  # the machine's monotonic seconds at which the market stood at its start
    quotes: tuple[Quote, ...]
    crash: CrashPoint | None
    resting: bool = False  # exits rest at the broker
    tight: bool = False  # limits that a few trades reach


class Life:
    """Override `told` to teach it more, `watch` to listen to its wire, `risk` for other limits."""

    risk = RISK

    def __init__(self, pipe: Connection, terms: Terms) -> None:
        self._pipe = pipe
        self._terms = terms
        self.fate = Fate(terms.crash)
        self.trouble: list[str] = []
        self._inbox: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def run(self) -> None:
        self._listen()
        clock = DrillClock(self._terms.origin)
        self.market = DrillMarket(Random(0), self._terms.origin)
        self.market.take(self._terms.quotes)
        settings = TastytradeSettings(
            rest_url=self._terms.url, streamer_url=self._terms.url.replace("http", "ws", 1) + "/streamer"
        )
        self.broker = TastytradeBroker(settings, TOKEN, TOKEN, clock=clock)
        self.watch()
        self.house = House(
            clock,
            self.broker,
            lambda: Journal.open(self._terms.journal, clock, self.connect),
            self.market,
            RunLog(clock, print_line=self._line),
            self.trouble,
            lambda fill_id, at: self.say("found", (fill_id, at)),
            TIGHT if self._terms.tight else self.risk,
            resting=self._terms.resting,
        )
        loop = asyncio.get_running_loop()
        self.say("began", loop.time())
        try:
            await self.house.open()
        except QmtermError as error:
            self.say("failed", str(error))
            return
        self.work = Work(self.house, self.market, cast(Network, None))
        self.say("ready", (self.house.restart_s, self.house.restart_own_s))
        states = asyncio.create_task(self._states())
        while True:
            what, body = await self._inbox.get()
            if what == "finish":
                states.cancel()
                await self.house.finish()
                self.say("finished", None)
                return
            try:
                await self.told(what, body)
            except Exception as error:
                self.say("trouble", f"{what}: {type(error).__name__}: {error}")

    def watch(self) -> None:
        """Before the first call leaves."""
        self.fate.watch(self.broker)

    async def connect(self, path: Path, lock: JournalLock) -> Database:
        """The journal's file."""
        return await self.fate.connect(path, lock)

    def shown(self, quotes: tuple[Quote, ...]) -> None:
        """What the owner's market shows now."""
        self.market.take(quotes)

    async def told(self, what: str, body: Any) -> None:
        if what == "act":
            await self._act(body)

    async def _act(self, act: Act) -> None:
        if act.kind == "kill":
            self.say("kill_ms", await self.kill())
        else:
            await self.work.do(act)

    async def kill(self) -> float | None:
        """Milliseconds from the command to the last byte of the last first cancel; None when nothing was to cancel."""
        self.fate.cancels.clear()
        began = perf_counter()
        await self.house.person.answer(Kill("drill"))
        return (max(self.fate.cancels.values()) - began) * 1000 if self.fate.cancels else None

    # --- the pipe ---

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._read)
        # uvloop makes what it watches non-blocking: half of a long message would then be an error, and so would a
        # word to an owner who is busy.
        os.set_blocking(self._pipe.fileno(), True)

    def say(self, what: str, body: Any) -> None:
        with suppress(OSError):
            self._pipe.send((what, body))

    def _line(self, line: LogLine, _numbers: object) -> None:
        self.say("line", f"{line.level} {line.kind} {line.text}")

    def _read(self) -> None:
        try:
            while self._pipe.poll():
                what, body = self._pipe.recv()
                if what == "quotes":
                    self.shown(body)
                else:
                    self._inbox.put_nowait((what, body))
        except (EOFError, ConnectionError):  # the owner is gone
            os._exit(0)

    async def _states(self) -> None:
        """How much is in doubt, for an owner who waits until nothing is."""
        while True:
            ledger = self.house.desk.ledger
            pending = any(r.state in (OrderState.INTENT, OrderState.SENT) for r in ledger.working)
            quiet = self.broker.stream_up and not ledger.unknown and not pending and not self.house.lanes.depth
            for text in self.trouble:
                self.say("trouble", text)
            self.trouble.clear()
            self.say("quiet", quiet)
            await asyncio.sleep(STATE_EVERY_S)


def live(pipe: Connection, terms: Terms, make: type[Life] = Life) -> None:
    """The whole process."""
    warnings.simplefilter("ignore")
    logging.getLogger("qmterm").addHandler(logging.NullHandler())
    gc.freeze()  # what was loaded before the birth is shared with the siblings
    collector.calm()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(make(pipe, terms).run())
