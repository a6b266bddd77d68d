"""One seed over sockets: an engine that is killed again and again with real SIGKILLs, and the judge's word at the end.

The broker is this process's own and outlives every engine; each engine is a process of its own (life.py). Kills sweep
the writes, sends and answers by the seed's number, and every sixth comes from outside at a random moment.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from time import perf_counter
from types import SimpleNamespace
from typing import Any, cast

from qmterm.core.clock import NS
from qmterm.core.errors import QmtermError
from qmterm.drill.child import Child
from qmterm.drill.day import Outcome
from qmterm.drill.house import RISK, TIGHT, TIGHT_CASH, TOKEN, House
from qmterm.drill.judge import Judge
from qmterm.drill.life import Terms
from qmterm.drill.market import START_NS
from qmterm.drill.process import CrashPoint
from qmterm.drill.script import ACTS, FAULTS, TIGHT_SHARE, WORDS, Act
from qmterm.drill.server import BrokerServer, SteppedMarket
from qmterm.drill.verdict import judge_file
from qmterm.drill.wire import Network
from qmterm.drill.work import Work
from qmterm.engine.ending import ended
from qmterm.sim.brokerage.app import STARTING_CASH, Brokerage

OUTSIDE = frozenset({"replace", "manual-open", "manual-close", "jump"})  # acts that pass no engine
DEEDS = {**ACTS, **WORDS}
KILLS_A_SEED = 10
AT_ONCE = 4  # sieges side by side: most of their time is waiting
LONGEST_FAULT_S = 4.0  # the in-process drill has the long ones; here each would cost real time
BIRTH_S = 60.0
STARTS = 30  # in a row, before it is an engine that cannot start
LIFE_S = (0.4, 2.5)  # after it is ready; a crash point that was not met by then becomes a kill from outside
PAUSE_S = (0.05, 0.3)  # between acts
RESUMED = 0.6  # of the lives begin with a person who resumes, and an entry
SETTLE_S = 60.0
_BLIND = ("down", "stall")  # while such a fault lasts no engine can see a fill


def point_of(number: int) -> CrashPoint | None:
    """The crash point of the `number`-th kill: a sweep over kinds first, then over how many acts come before."""
    turn, kind = divmod(number, 8)
    match kind:
        case 0 | 1:
            return CrashPoint("write", turn % 30 + 1, kind == 1)
        case 2 | 3:
            return CrashPoint("send", turn % 6 + 1, kind == 3)
        case 4:
            return CrashPoint("answer", turn % 6 + 1, after=False)
        case 5:
            return CrashPoint("handed", turn % 30 + 1, after=False)
        case 6:
            return CrashPoint("scribe", turn % 30 + 1, after=False)
        case _:
            return None  # from outside


class Siege:
    def __init__(self, seed: int, kills: int, folder: Path, *, tell: bool = False) -> None:
        self._random = Random(f"siege:{seed}")
        self._seed, self._kills = seed, kills
        terms = Random(f"siege-day:{seed}")
        self.resting = terms.random() < 0.5
        self.tight = terms.random() < TIGHT_SHARE
        self._journal = folder / "journal.sqlite"
        self._tell = tell
        self._child: Child | None = None
        self._ready = asyncio.Event()
        self._finished = asyncio.Event()
        self._at_rest = asyncio.Event()  # nothing is in doubt and every fill was told
        self._starts: list[float] = []
        self._found: dict[str, float] = {}
        self._blind: list[tuple[float, float]] = []

    async def run(self) -> Outcome:
        began = perf_counter()
        self._origin = asyncio.get_running_loop().time()
        self._market = SteppedMarket(Random(f"market:{self._seed}"), self._origin)
        self._brokerage = Brokerage(
            self._market,
            TOKEN,
            starting_cash=TIGHT_CASH if self.tight else STARTING_CASH,
            participation=self._random.choice((0.3, 0.5, 1.0)),
            stagger_fills=self._random.random() < 0.5,
        )
        judge = Judge(self._brokerage, TIGHT if self.tight else RISK)
        outcome = self._outcome = Outcome(self._seed, judge.findings)
        self._server = BrokerServer(self._brokerage, self._market)
        self._server.after_order = judge.after_order
        self._server.after_step = self._show_market
        self._elsewhere = Work(
            cast(House, SimpleNamespace(book=self._brokerage.book)),
            self._market,
            cast(Network, SimpleNamespace(brokerage=self._brokerage)),
        )
        await self._server.open()
        try:
            for number in range(self._kills):
                await self._die(point_of(self._seed * KILLS_A_SEED + number))
            await self._live_on()
        except QmtermError as error:
            outcome.trouble.append(f"{type(error).__name__}: {error}")
        finally:
            if self._child is not None:
                self._child.kill()
            await self._server.close()
        self._verdict(judge)
        outcome.took_s = perf_counter() - began
        return outcome

    # --- lives ---

    async def _die(self, point: CrashPoint | None) -> None:
        """Lives until one of them ends by SIGKILL; one that cannot start (its broker is down) is started again."""
        faults = asyncio.create_task(self._disturb())
        acting = asyncio.create_task(self._act())
        for _ in range(STARTS):
            child = self._born(point)
            ends = asyncio.create_task(self._lifetime(None if point is None else LIFE_S[1]))
            over = asyncio.create_task(child.over.wait())
            await asyncio.wait((ends, over), return_when=asyncio.FIRST_COMPLETED)
            chosen = child.over.is_set()
            child.kill()
            await child.over.wait()
            await ended([ends, over])
            if child.killed:
                self._outcome.kills += 1
                self._say(f"{point if chosen else 'killed from outside'}")
                break
            await asyncio.sleep(1.0)
        await ended([faults, acting])
        await asyncio.sleep(self._random.uniform(0.0, 0.3))

    def _born(self, point: CrashPoint | None) -> Child:
        self._ready.clear()
        self._at_rest.clear()
        terms = Terms(
            self._journal,
            self._server.url,
            self._origin,
            self._market.quotes,
            point,
            resting=self.resting,
            tight=self.tight,
        )
        self._child = Child(terms, self._hear)
        return self._child

    async def _lifetime(self, seconds: float | None) -> None:
        """Until it should be killed from outside: also while it starts."""
        if seconds is None and self._random.random() < 0.3:
            await asyncio.sleep(self._random.uniform(0.0, 0.6))
            return
        async with asyncio.timeout(BIRTH_S):
            await self._ready.wait()
        await asyncio.sleep(seconds or self._random.uniform(*LIFE_S))

    async def _act(self) -> None:
        # A kill outlives its life: with nobody who resumes, few orders would follow it.
        first = ["entry", "resume"] if self._random.random() < RESUMED else []
        while True:
            await self._ready.wait()
            kind = first.pop() if first else self._random.choices(list(DEEDS), list(DEEDS.values()))[0]
            act = Act(0.0, kind, self._random.getrandbits(30))
            self._say(f"act {kind}")
            if kind in OUTSIDE:
                await self._elsewhere.do(act)
            elif self._child is not None:
                self._child.tell("act", act)
            await asyncio.sleep(self._random.uniform(*PAUSE_S))

    async def _disturb(self) -> None:
        """A fault or two in most lives, set through the simulator's own door."""
        loop = asyncio.get_running_loop()
        for _ in range(self._random.choice((0, 1, 1, 2))):
            await asyncio.sleep(self._random.uniform(0.0, 1.5))
            body = dict(self._random.choice(FAULTS[self._random.choice(list(FAULTS))]))
            if "seconds" in body:
                body["seconds"] = min(float(str(body["seconds"])), LONGEST_FAULT_S)
            self._say(f"fault {body}")
            if body["fault"] in _BLIND:
                self._blind.append((loop.time(), loop.time() + float(str(body["seconds"])) + 1.0))
            await self._server.arm(body)

    async def _live_on(self) -> None:
        """The last life: no faults, nothing new; everything must come to rest, and the engine stop cleanly."""
        await self._server.clear_faults()
        loop = asyncio.get_running_loop()
        ends = loop.time() + SETTLE_S
        while True:
            child = self._born(None)
            waits = [asyncio.create_task(event.wait()) for event in (self._ready, child.over)]
            await asyncio.wait(waits, timeout=BIRTH_S, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if self._ready.is_set():
                break
            if loop.time() > ends:
                raise QmtermError("the engine does not start")
        await self._server.stand_still()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(ends):
                await self._at_rest.wait()
        child.tell("finish")
        with suppress(TimeoutError):
            async with asyncio.timeout(BIRTH_S):
                await child.over.wait()
        if not self._finished.is_set():
            raise QmtermError("the engine does not stop cleanly")

    # --- what lives say ---

    def _hear(self, what: str, body: Any) -> None:
        outcome, loop = self._outcome, asyncio.get_running_loop()
        match what:
            case "began":
                self._starts.append(body)
            case "ready":
                outcome.restart_s.append(body[0])
                outcome.restart_own_s.append(body[1])
                self._ready.set()
            case "found":
                self._found.setdefault(body[0].partition("#")[0], body[1])
            case "kill_ms" if body is not None:
                outcome.kill_ms.append(body)
            case "quiet":
                if body and self._all_found():
                    self._at_rest.set()
                else:
                    self._at_rest.clear()
            case "trouble":
                outcome.trouble.append(body)
            case "finished":
                self._finished.set()
            case "line" | "failed":
                self._say(body if what == "line" else f"start failed: {body} ({loop.time() - self._origin:.1f})")

    def _show_market(self) -> None:
        if self._child is not None:
            self._child.tell("quotes", self._market.quotes)

    # --- the end ---

    def _fills(self) -> Mapping[str, float]:
        """Every execution at the broker and when it happened, the loop's seconds."""
        return {
            fill.fill_id: self._origin + (fill.time_ns - START_NS) / NS
            for order in self._brokerage.desk.orders.values()
            for leg in order.legs
            for fill in leg.fills
        }

    def _all_found(self) -> bool:
        return all(fill_id in self._found for fill_id in self._fills())

    def _waited(self, happened: float, found: float) -> float:
        """How long a fill went unnoticed by an engine that was alive and had a broker to ask."""
        starts = [began for began in self._starts if began <= found]
        back = [min(end, found) for begin, end in self._blind if begin <= found and end >= happened]
        return found - max([happened, *starts[-1:], *back])

    def _verdict(self, judge: Judge) -> None:
        outcome = self._outcome
        judge_file(judge, self._journal)
        fills = self._fills()
        outcome.fills = len(fills)
        outcome.count_orders(self._brokerage.desk)
        for fill_id, happened in fills.items():
            if fill_id in self._found:
                outcome.lost_fill_found_s = max(outcome.lost_fill_found_s, self._waited(happened, self._found[fill_id]))
        if outcome.kills != self._kills:
            outcome.trouble.append(f"{self._kills} kills were meant, {outcome.kills} happened")
        for line in (*outcome.findings.lines, *outcome.trouble):
            self._say(f"JUDGE {line}")

    def _say(self, text: str) -> None:
        if self._tell:
            self._outcome.story.append(f"{asyncio.get_running_loop().time() - self._origin:8.3f}  {text}")


def besiege(kills: int, first_seed: int, done: Callable[[Outcome], None], *, tell: bool = False) -> None:
    """So many kills, ten to a seed, some seeds side by side; `done` hears each outcome."""

    async def one(seed: int, number: int, turn: asyncio.Semaphore) -> None:
        async with turn:
            with tempfile.TemporaryDirectory(prefix="qmterm-drill-") as folder:
                done(await Siege(seed, number, Path(folder), tell=tell).run())

    async def all_of_them() -> None:
        turn = asyncio.Semaphore(AT_ONCE)
        seeds, left = range(-(-kills // KILLS_A_SEED)), kills
        async with asyncio.TaskGroup() as group:
            for number in seeds:
                group.create_task(one(first_seed + number, min(left, KILLS_A_SEED), turn))
                left -= KILLS_A_SEED

    asyncio.run(all_of_them())
