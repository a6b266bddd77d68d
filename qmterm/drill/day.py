"""One seed: a small day in one process on a virtual clock, from the first start to the judge's word."""

from __future__ import annotations

import asyncio
import contextvars
import random as global_random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter

from qmterm.broker.tastytrade import TastytradeBroker
from qmterm.core.clock import NS
from qmterm.core.errors import QmtermError
from qmterm.core.orders import OrderState
from qmterm.drill.disk import Disk
from qmterm.drill.house import RISK, TIGHT, TIGHT_CASH, TOKEN, House
from qmterm.drill.judge import Findings, Judge
from qmterm.drill.loop import run
from qmterm.drill.market import START_NS, DrillClock, DrillMarket
from qmterm.drill.process import OWNER, CrashPoint, Process
from qmterm.drill.script import Script
from qmterm.drill.verdict import judge_file
from qmterm.drill.wire import ADDRESSES, MemoryTransport, Network
from qmterm.drill.work import Work
from qmterm.engine.ladder import Level
from qmterm.engine.runlog import RunLog
from qmterm.engine.view import LogLine
from qmterm.journal.journal import Journal
from qmterm.sim.brokerage.app import STARTING_CASH, Brokerage
from qmterm.sim.brokerage.desk import Desk
from qmterm.sim.brokerage.faults import FAULTS, ActiveFault

STEP_S = 0.5
SETTLE_S = 90.0  # virtual: an UNKNOWN order needs two read-backs, a stream its longest pause
DOWNTIME_S = 1.0  # from a crash to the next start
FOUND_WITHIN_S = 10.0
AFTERWARDS_S = 3.0
STARTS = 100  # in a row, before a drill calls it an engine that cannot start; a minute's outage takes some


@dataclass(slots=True)
class Outcome:
    """What one seed found."""

    seed: int
    findings: Findings
    kills: int = 0
    faults_met: int = 0  # that really happened
    orders: int = 0
    brackets: int = 0  # entries with exits behind them, and exits that rest, in one call
    replaced: int = 0  # orders that were to take another's place
    fills: int = 0
    restart_s: list[float] = field(default_factory=list)
    restart_own_s: list[float] = field(default_factory=list)  # without the wait for a broker that is down or lags
    lost_fill_found_s: float = 0.0
    kill_ms: list[float] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)  # what broke inside the engine
    story: list[str] = field(default_factory=list)
    took_s: float = 0.0
    flattened: bool | None = None  # the day ended at FLATTEN: was it through; None: it did not

    def count_orders(self, desk: Desk) -> None:
        """What the broker took."""
        self.orders, self.brackets = len(desk.orders), len(desk.complexes)
        self.replaced = sum(order.replaces is not None for order in desk.orders.values())

    @property
    def passed(self) -> bool:
        return self.findings.clean and not self.trouble and self.lost_fill_found_s <= FOUND_WITHIN_S


def run_seed(script: Script, folder: Path, *, tell: bool = False) -> Outcome:
    """`folder` is empty and stays the caller's; `tell` collects a readable story."""
    began = perf_counter()
    global_random.seed(script.seed)  # the stream's reconnects draw their jitter from it
    outcome = run(_Day(script, folder, tell).run())
    outcome.took_s = perf_counter() - began
    return outcome


class _Day:
    def __init__(self, script: Script, folder: Path, tell: bool) -> None:
        self._script = script
        self._disk = Disk(folder, Random(f"disk:{script.seed}"))
        self._tell = tell
        self._crashes = list(script.crashes)
        self._house: House | None = None
        self._found: dict[str, float] = {}
        self._armed: list[ActiveFault] = []
        self._began: list[float] = []  # when each life began to look
        self._outages: list[float] = []  # ends
        self._withdrawn: set[str] = set()

    async def run(self) -> Outcome:
        script = self._script
        self._market = DrillMarket(Random(f"market:{script.seed}"))
        self._brokerage = Brokerage(
            self._market,
            TOKEN,
            starting_cash=TIGHT_CASH if script.tight else STARTING_CASH,
            participation=script.participation,
            stagger_fills=script.staggered,
            real_time=asyncio.get_running_loop().time,
        )
        self._network = Network(self._brokerage, Random(f"network:{script.seed}"))
        judge = self._judge = Judge(self._brokerage, TIGHT if script.tight else RISK)
        judge.withdrawn = self._withdrawn
        self._network.after_order = judge.after_order
        self._outcome = Outcome(script.seed, judge.findings)
        stepping = asyncio.create_task(self._step())
        faults = asyncio.create_task(self._disturb())
        try:
            await self._live()
            await self._act()
            faults.cancel()
            self._brokerage.faults.clear()
            await self._back()
            stepping.cancel()  # the market stands still: a fill of the last instant would be nobody's fault
            await self._settle()
            await self._last_close()
        except QmtermError as error:
            self._outcome.trouble.append(f"{type(error).__name__}: {error}")
        stepping.cancel()
        self._verdict(judge)
        return self._outcome

    # --- the outside ---

    async def _step(self) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            self._market.step()
            await self._brokerage.on_step(self._market.now_ns)

    async def _disturb(self) -> None:
        loop = asyncio.get_running_loop()
        for at, body in self._script.faults:
            await asyncio.sleep(max(0.0, at - loop.time()))
            fault = self._brokerage.faults.arm(dict(body))
            self._armed.append(fault)
            if fault.kind is FAULTS["expire_tokens"]:
                fault.used += 1
                self._brokerage.tokens.expire_all()
                self._brokerage.faults.active.remove(fault)
            if fault.kind is FAULTS["down"]:
                self._outages.append(loop.time() + STEP_S + float(fault.options["seconds"]))
            self._say(f"fault {dict(body)}")

    # --- the engine's lives ---

    async def _live(self) -> None:
        """Start the engine, as often as it takes: one that dies while it starts is started again."""
        for _ in range(STARTS):
            crash = self._crashes.pop(0) if self._crashes else None
            process = Process(crash)
            log = RunLog(DrillClock(), print_line=self._say_line)
            context = contextvars.copy_context()
            context.run(OWNER.set, process)
            house = context.run(self._house_of, process, log)
            self._process = process
            opening = asyncio.create_task(house.open(), context=context)
            dying = asyncio.create_task(process.died.wait())
            await asyncio.wait((opening, dying), return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            if process.alive and opening.exception() is None:
                self._house, self._context = house, context
                self._work = Work(house, self._market, self._network)
                self._work.withdrawn = self._withdrawn
                self._outcome.restart_s.append(house.restart_s)
                self._outcome.restart_own_s.append(house.restart_own_s)
                return
            if process.alive:
                error = opening.exception()
                self._say(f"start failed: {error}")
                if not isinstance(error, QmtermError):
                    self._outcome.trouble.append(f"start: {type(error).__name__}: {error}")
            await self._bury(house, crash if not process.alive else None)

        raise QmtermError(f"the engine does not start: {STARTS} starts failed one after the other")

    def _house_of(self, process: Process, log: RunLog) -> House:
        clock = DrillClock()
        broker = TastytradeBroker(
            ADDRESSES, TOKEN, TOKEN, clock=clock, transport=MemoryTransport(self._network, process)
        )
        disk, connect = self._disk, self._disk.connect(process)
        return House(
            clock,
            broker,
            lambda: Journal.open(disk.path, clock, connect),
            self._market,
            log,
            self._outcome.trouble,
            self._note_found,
            TIGHT if self._script.tight else None,
            resting=self._script.resting,
        )

    def _note_found(self, fill_id: str, at: float) -> None:
        self._found.setdefault(fill_id.partition("#")[0], at)

    async def _bury(self, house: House, crash: CrashPoint | None) -> None:
        self._outcome.kills += crash is not None
        self._say(str(crash or "start abandoned"))
        self._keep_began(house)
        await self._process.kill()
        if house.journal is not None:
            house.journal.abandon()
        self._disk.crash()
        await asyncio.sleep(DOWNTIME_S)

    def _keep_began(self, house: House) -> None:
        if house.began_at is not None:
            self._began.append(house.began_at)

    async def _or_death(self, seconds: float) -> None:
        """Let time pass; a death in it is followed by the next life."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while loop.time() < ends:
            house = self._need()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(ends):
                    await self._process.died.wait()
            if not self._process.alive:
                await self._reborn(house)

    async def _reborn(self, house: House) -> None:
        await self._bury(house, self._process.crash)
        await self._live()

    async def _act(self) -> None:
        loop = asyncio.get_running_loop()
        for act in self._script.acts:
            await self._or_death(act.at - loop.time())
            house = self._need()
            self._say(f"act {act.kind}")
            task = asyncio.create_task(self._work.do(act), context=self._context)
            dying = asyncio.create_task(self._process.died.wait())
            await asyncio.wait((task, dying), return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            if not self._process.alive:
                await self._reborn(house)
            elif task.exception() is not None:
                raise task.exception() or QmtermError("an act failed")
            self._outcome.kill_ms += self._work.kill_ms
            self._work.kill_ms = []
        await self._or_death(self._script.lasts_s - loop.time())

    # --- the end ---

    async def _back(self) -> None:
        """Until the last outage is over, and a while for what was held up by it."""
        now = asyncio.get_running_loop().time()
        await self._or_death(max([0.0, *(end - now for end in self._outages)]) + AFTERWARDS_S)

    async def _settle(self) -> None:
        """Wait until nothing is in doubt; what still is then, the judge will see."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + SETTLE_S
        while loop.time() < ends:
            await self._or_death(3.0)
            house = self._need()
            pending = any(r.state in (OrderState.INTENT, OrderState.SENT) for r in house.desk.ledger.working)
            quiet = house.broker.stream_up and not house.desk.ledger.unknown and not pending and not house.lanes.depth
            if quiet and not house.oversight.proof.pending and self._all_found():
                return

    def _all_found(self) -> bool:
        return all(fill_id in self._found for fill_id in self._fills())

    def _fills(self) -> dict[str, float]:
        """Every execution at the broker and when it happened, virtual seconds."""
        return {
            fill.fill_id: (fill.time_ns - START_NS) / NS
            for order in self._brokerage.desk.orders.values()
            for leg in order.legs
            for fill in leg.fills
        }

    async def _last_close(self) -> None:
        house = self._need()
        proof = house.oversight.proof
        if house.trader.ladder.level is Level.FLATTEN:
            if proof.confirmed:
                self._judge.said_flat()
            else:
                self._judge.stuck(proof.left)
            self._say(f"flatten: {proof.text}")
            self._outcome.flattened = proof.confirmed
        self._process.crash = None  # a point that was not reached by now is not reached
        closing = asyncio.create_task(house.finish(), context=self._context)
        await closing
        self._keep_began(house)

    def _verdict(self, judge: Judge) -> None:
        outcome = self._outcome
        judge_file(judge, self._disk.path)
        outcome.faults_met = sum(fault.used for fault in self._armed)
        outcome.count_orders(self._brokerage.desk)
        fills = self._fills()
        outcome.fills = len(fills)
        for fill_id, happened in fills.items():
            if fill_id in self._found:
                outcome.lost_fill_found_s = max(outcome.lost_fill_found_s, self._waited(happened, self._found[fill_id]))
        for line in (*outcome.findings.lines, *outcome.trouble):
            self._say(f"JUDGE {line}")

    def _waited(self, happened: float, found: float) -> float:
        """How long a fill went unnoticed by an engine that was at work and had a broker to ask."""
        starts = [began for began in self._began if began <= found]
        silences = [*self._outages, *self._network.silences]
        back = [end for end in silences if happened <= end <= found + FOUND_WITHIN_S]
        return found - max([happened, *starts[-1:], *(min(end, found) for end in back)])

    def _need(self) -> House:
        if self._house is None:
            raise QmtermError("the drill has no engine")
        return self._house

    def _say_line(self, line: LogLine, _numbers: Mapping[str, object]) -> None:
        self._say(f"{line.level} {line.kind} {line.text}")

    def _say(self, text: str) -> None:
        if self._tell:
            self._outcome.story.append(f"{asyncio.get_running_loop().time():8.3f}  {text}")
