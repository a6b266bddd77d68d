"""The engine: one asyncio loop that owns all trading state and ties feed, strategy, risk, desk and schedule together.

`run` is the whole life: recover, trade, stop cleanly. Two ways to be driven: by the clock, or in lockstep with a
server that waits for us after each step; the decisions are made by the same `turn` either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from qmterm.core.calendar import Phase
from qmterm.core.clock import NS
from qmterm.core.errors import DataError, InvariantBroken, JournalError, QmtermError
from qmterm.core.interpreter import collector
from qmterm.core.orders import AccountBalance, BrokerEvent, BrokerOrder, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.engine.answering import Answering
from qmterm.engine.day import MarketDay
from qmterm.engine.ending import ended
from qmterm.engine.ladder import Level
from qmterm.engine.latency import measure_loop_lag
from qmterm.engine.orders.proposals import Proposal
from qmterm.engine.parts import Engaged, Parts
from qmterm.engine.show.summary import RunSummary, summarise
from qmterm.engine.show.watch_list import standing, watch_list
from qmterm.engine.show.wording import describe_signal
from qmterm.engine.start import start_unless_stopped
from qmterm.engine.thread import Mailbox, ViewHolder
from qmterm.engine.view import HeaderView, Snapshot

SCAN_RETRY_S = 300.0  # market seconds before a failed history load is tried again
TIDY_EVERY = 25  # turns
NEVER_WORKED = (OrderState.NOT_SENT, OrderState.REJECTED, OrderState.REMOVED, OrderState.NOT_ACCEPTED)
RECONCILE_STEP_NS = 60 * NS  # lockstep: market time between comparisons


class Engine:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stopping = asyncio.Event()
        self._engaged: Engaged | None = None
        self._next_scan_ns = 0
        self._day = MarketDay(parts)
        self._next_load_ns = 0
        self._reconciled_ns = 0
        self._loading: asyncio.Task[None] | None = None
        self._turns = 0
        self._moving: asyncio.Future[None] | None = None  # the paper broker's market
        self._watched: tuple[frozenset[str], frozenset[str], tuple[str, ...]] = (frozenset(), frozenset(), ())
        self._ended: set[str] = set()
        self._starting = "starting"

    # --- life ---

    async def run(self, view: ViewHolder, mailbox: Mailbox) -> RunSummary | None:
        """Start, trade until told to stop (or the end of the run), stop cleanly; QmtermError when it cannot start.

        None when it was told to stop before it had started.
        """
        parts = self._parts
        view.latest = self._starting_snapshot()

        def progress(text: str) -> None:
            self._starting = text
            parts.on_progress(text)
            view.latest = self._starting_snapshot()

        engaged = self._engaged = await start_unless_stopped(parts, progress, mailbox.stop_asked)
        if engaged is None:
            return None
        parts.feed.standing = lambda: standing(engaged)
        answering = Answering(engaged, parts, self.stop)
        market_from = parts.clock.now()
        collector.calm()
        engaged.lanes.start()
        try:
            async with self._tasks(view, mailbox, answering):
                if parts.lockstep is None:
                    await self._by_the_clock()
                else:
                    await self._in_lockstep()
        finally:
            summary = await self._finish(engaged, market_from)
            view.latest = engaged.publisher.snapshot()
        return summary

    def stop(self, why: str) -> None:
        """Ask the run to end; safe to call twice."""
        if not self._stopping.is_set():
            self._parts.log.info("STOP", why)
            if self._engaged is not None:
                self._engaged.trader.stopping = True
            self._stopping.set()

    @asynccontextmanager
    async def _tasks(self, view: ViewHolder, mailbox: Mailbox, answering: Answering) -> AsyncIterator[None]:
        engaged, parts = self._need(), self._parts
        if parts.control is not None:
            parts.control.answer = answering.answer
            await parts.control.open()
            if parts.control.path.name != "engine.sock":
                parts.log.info(
                    "ENGINE", f"another engine runs; control this one with: ctl --socket {parts.control.path}"
                )
        jobs: list[Awaitable[None]] = [
            measure_loop_lag(parts.clock, parts.loop_lag),
            self._guarded("publish", lambda: self._publish(view)),
            self._guarded("chain", self._read_shown_chain),
            self._guarded("commands", lambda: answering.serve(mailbox)),
            self._guarded("poll", self._poll_orders),
            self._guarded("journal", engaged.oversight.watch_journal),
        ]
        if parts.lockstep is None:
            jobs.append(self._guarded("events", self._listen))
            jobs.append(self._guarded("reconcile", self._reconcile_loop))
            jobs.append(self._guarded("scan", self._scan_loop))
            jobs += [self._guarded(name, job) for name, job in engaged.portfolio.jobs.items()]
            jobs.append(self._guarded("listing", engaged.listing.follow))
            jobs.append(self._guarded("conditions", engaged.conditions.follow))
            if parts.news is not None:  # apart from the scan: a slow answer must not hold up the market
                jobs.append(self._guarded("news", parts.news.follow))
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            yield
        finally:
            if parts.control is not None:
                await parts.control.close()
            await ended([*tasks, *([self._loading] if self._loading is not None else [])])
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(engaged.lanes.idle(), engaged.oversight.sweep.answered()), 10)
            await engaged.oversight.sweep.close()
            await engaged.lanes.close()

    async def _guarded(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        """Run a loop for ever: its failure is shown and holds trading down, and the loop begins again."""
        while not self._stopping.is_set():
            try:
                await job()
                return
            except Exception as error:
                self._failed(name, error)
                await asyncio.sleep(0.5)

    def _failed(self, where: str, error: Exception) -> None:
        """Something broke that should not: shown, journalled, and nothing new is opened until a person looked."""
        engaged = self._need()
        known = isinstance(error, QmtermError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        self._parts.log.error("ENGINE", f"{where}: {text}", where)
        if self._parts.on_trace is not None and not known:
            self._parts.on_trace(error)
        if isinstance(error, JournalError):
            engaged.oversight.lower(Level.REDUCE_ONLY, Reason.JOURNAL_TROUBLE, text)
        elif isinstance(error, InvariantBroken):
            engaged.oversight.lower(Level.HALT, Reason.INVARIANT, text)
        elif not known:
            engaged.oversight.lower(Level.REDUCE_ONLY, Reason.INVARIANT, f"{where}: {text}")

    # --- driven by the clock ---

    async def _by_the_clock(self) -> None:
        parts = self._parts
        ends = None if parts.limits.for_s is None else parts.clock.monotonic() + parts.limits.for_s
        while not self._stopping.is_set():
            try:
                await self.turn()
            except Exception as error:
                self._failed("turn", error)
            if self._reached_end(ends):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), parts.settings.engine.turn_every_s)

    def _reached_end(self, ends: float | None) -> bool:
        parts = self._parts
        if ends is not None and parts.clock.monotonic() >= ends:
            self.stop("the run's time is over (--for)")
        elif parts.limits.until_ns is not None and parts.clock.now() >= parts.limits.until_ns:
            self.stop("the market reached --until")
        return self._stopping.is_set()

    async def _listen(self) -> None:
        patience = self._need().oversight.patience
        async for event in self._parts.broker.events():
            # Behind a fill that waits for its row come ends and cancels.
            await patience.wait(self._on_event(event), partial(self._failed, "events"))

    async def _scan_loop(self) -> None:
        while True:
            await self._scan_if_due()
            await asyncio.sleep(self._parts.settings.engine.turn_every_s)

    async def _poll_orders(self) -> None:
        """The second witness; while an outcome is unknown or the ledger lags, the whole account is read instead."""
        engaged, parts = self._need(), self._parts
        while True:
            await asyncio.sleep(parts.settings.orders.poll_s)
            behind = engaged.book.behind and parts.lockstep is None
            if engaged.desk.ledger.unknown or behind or engaged.oversight.proof.pending:
                await engaged.oversight.read_account()
            elif parts.lockstep is None:
                await engaged.oversight.poll_orders()

    async def _reconcile_loop(self) -> None:
        engaged, parts = self._need(), self._parts
        while True:
            await asyncio.sleep(parts.settings.orders.reconcile_s)
            await engaged.oversight.settle()

    # --- driven in lockstep ---

    async def _in_lockstep(self) -> None:
        parts, engaged = self._parts, self._need()
        lockstep = parts.lockstep
        if lockstep is None:
            raise InvariantBroken("lockstep was asked for without a driver")
        ends = None if parts.limits.for_s is None else parts.clock.monotonic() + parts.limits.for_s
        due = parts.clock.monotonic()
        while not self._stopping.is_set():
            before, asked = parts.clock.now(), parts.clock.monotonic()
            info = await lockstep.driver.advance(1, lockstep.clock.set)
            await parts.feed.wait_step(info.step)
            parts.step_latency.add((parts.clock.monotonic() - asked) * 1000)
            if not await parts.broker.wait_sequence(info.account_sequence):
                parts.log.warn("ORD", f"account events up to {info.account_sequence} did not arrive in time")
            for event in parts.broker.take_events():
                await self._on_event(event)
            try:
                await self.turn()
                await self._scan_if_due()
                await engaged.lanes.idle()
                await self._reconcile_step()
                await parts.feed.settled()
            except Exception as error:
                self._failed("turn", error)
            if info.done:
                self.stop("the simulated market has ended")
            if self._reached_end(ends):
                return
            if parts.limits.speed is not None:  # None = as fast as it goes
                due += (info.now_ns - before) / NS / parts.limits.speed
                behind = due - parts.clock.monotonic()
                if behind > 0:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), behind)
                else:
                    due = parts.clock.monotonic()
            else:
                await asyncio.sleep(0)

    async def _reconcile_step(self) -> None:
        now = self._parts.clock.now()
        oversight = self._need().oversight
        # A difference that was seen is looked at again on every step, until it is gone or has stood long enough.
        if now - self._reconciled_ns >= RECONCILE_STEP_NS or not oversight.reconciler.clean or oversight.proof.pending:
            self._reconciled_ns = now
            await oversight.reconcile()

    # --- one turn ---

    async def turn(self) -> None:
        """Marks, ladder, stops, orders that waited too long, what to watch: in this order, every time."""
        engaged, parts = self._need(), self._parts
        parts.feed.turn()
        try:
            await self._on_market()
        except JournalError as error:  # the stops look all the same
            self._market_failed(error)
        engaged.marks.update()
        if engaged.desk.counting == 0:
            engaged.marks.keep(parts.journal)
        await engaged.oversight.look()
        engaged.proposals.expire(self._proposal_expired)
        engaged.shelf.look()
        await engaged.arming.look(engaged.marks.nlv, len(engaged.book.positions))
        if parts.lockstep is not None:
            await engaged.portfolio.step()
        await engaged.portfolio.expiry.look()
        await engaged.oversight.protection.protect()
        await engaged.oversight.tend_orders()
        engaged.oversight.flattener.close_all()
        self._see_ends()
        self._watch()
        engaged.flow.turn()
        self._turns += 1
        if self._turns % TIDY_EVERY == 0:
            await engaged.oversight.protection.tidy()

    async def _on_market(self) -> None:
        """A paper broker keeps its book on our disk: while that hangs its market stands still, and the turn goes on."""
        if self._moving is None or self._moving.done():
            self._moving = asyncio.ensure_future(self._parts.broker_on_market(self._parts.clock.now()))
            await self._need().oversight.patience.wait(self._moving, self._market_failed)

    def _market_failed(self, error: Exception) -> None:
        """That the paper account's row failed is told once; anything else is a turn's failure, also when it is late."""
        if isinstance(error, JournalError):
            self._need().oversight.lower(Level.REDUCE_ONLY, Reason.JOURNAL_TROUBLE, f"paper account: {error}")
        else:
            self._failed("turn", error)

    def _proposal_expired(self, proposal: Proposal) -> None:
        engaged, symbol = self._need(), proposal.underlying
        self._parts.log.info("PLAN", f"proposal expired unanswered: {symbol}", symbol)
        if proposal.purpose is Purpose.ENTRY:
            engaged.trader.reject(symbol, Reason.PROPOSAL_EXPIRED, {})
            engaged.entries.rest(symbol, self._parts.settings.orders.entry_cooldown_s)

    def _see_ends(self) -> None:
        """An entry that led to nothing, or a position that was closed, leaves its symbol alone for a while."""
        engaged = self._need()
        for record in engaged.desk.ledger.records:
            if record.working or record.intent.intent_id in self._ended:
                continue
            self._ended.add(record.intent.intent_id)
            if engaged.desk.ledger.taken_over(record) is not None:
                continue  # no end: its place was taken
            if record.intent.replaces is not None and record.state in NEVER_WORKED:
                continue  # a step that led to nothing; the order it was to replace works on
            entered = record.intent.purpose is Purpose.ENTRY and record.state is OrderState.FILLED
            if not entered and record.intent.purpose is not Purpose.SCALE_OUT:
                engaged.trader.leave_alone(record.intent.underlying)

    def _watch(self) -> None:
        wish = watch_list(self._need())
        if wish != self._watched:
            self._parts.feed.watch(*wish)
            self._watched = wish
        else:
            self._parts.feed.rotate()
        if self._parts.held_quotes is not None:
            self._parts.held_quotes.want(wish[1] if self._parts.feed.lacks_option_quotes else ())

    async def _on_event(self, event: BrokerEvent) -> None:
        engaged = self._need()
        if isinstance(event, BrokerOrder):
            await engaged.desk.on_order(event)
        elif isinstance(event, AccountBalance):
            engaged.trader.balance = event
        else:
            engaged.book.shows(event)

    # --- scanning ---

    async def _scan_if_due(self) -> None:
        engaged, parts = self._need(), self._parts
        now = parts.clock.now()
        await self._day.look(engaged, now)
        if engaged.scanning.outdated and now >= self._next_load_ns:
            self._next_load_ns = now + int(SCAN_RETRY_S * NS)
            await self._load_history()
        phase = parts.calendar.phase(now)
        if not engaged.scanning.ready or phase not in (Phase.PRE, Phase.REGULAR) or now < self._next_scan_ns:
            return
        self._next_scan_ns = now + int(parts.settings.engine.scan_every_s * NS)
        first = engaged.scanning.result is None
        if parts.lockstep is not None and parts.news is not None:
            await parts.news.refresh()  # one seed, one run: what is known must not depend on the machine's speed
        signals = engaged.scanning.run()
        for signal in signals:
            parts.journal.signal(signal)
            if not first:
                parts.log.info("SIG", describe_signal(signal), signal.symbol)
        if first:
            parts.log.info("SIG", f"first scan: {len(signals)} symbols stand in a signal", signals=len(signals))
        if phase is Phase.PRE:
            await engaged.entries.warm()
        else:
            await engaged.entries.consider()
            held = {position.underlying for position in engaged.book.positions}
            await engaged.volatility.keep_if_due(held, watch_list(engaged)[0])
        if parts.has_screen and engaged.look.symbol is None and engaged.entries.candidates:
            engaged.look.select(engaged.entries.candidates[0])  # the best setup, until the person chooses

    async def _load_history(self) -> None:
        def progress(text: str) -> None:
            self._starting = text

        try:
            await self._need().scanning.load(progress)
        except DataError as error:
            self._parts.log.error("SCAN", f"history is not available, no scan: {error}")
        finally:
            self._starting = ""

    # --- showing ---

    async def _publish(self, view: ViewHolder) -> None:
        engaged, parts = self._need(), self._parts
        while True:
            if parts.has_screen:
                view.latest = engaged.publisher.snapshot()
            await asyncio.sleep(parts.settings.engine.view_every_s)

    async def _read_shown_chain(self) -> None:
        """Apart from the publishing: a server that is silent must not freeze the whole screen."""
        while True:
            await self._need().look.refresh()
            await asyncio.sleep(self._parts.settings.engine.view_every_s)

    def _starting_snapshot(self) -> Snapshot:
        parts = self._parts
        return Snapshot(header=HeaderView(starting=self._starting, source=parts.source_word), log=parts.log.lines)

    # --- the end ---

    async def _finish(self, engaged: Engaged, market_from: int) -> RunSummary:
        """List what still works, write the last marks, close everything in order."""
        parts = self._parts
        for record in engaged.desk.ledger.working:
            parts.log.warn("STOP", f"still working: {record.describe()}", record.intent.intent_id)
        engaged.marks.update()
        engaged.marks.keep(parts.journal, force=True)
        await engaged.scanning.close()
        summary = summarise(engaged, parts, market_from)
        await engaged.flow.keep()
        try:
            await parts.journal.end_session(summary.to_dict())
        except JournalError as error:
            parts.log.error("STOP", f"the journal could not be closed cleanly: {error}")
        await parts.close()
        return summary

    def _need(self) -> Engaged:
        if self._engaged is None:
            raise InvariantBroken("the engine was used before it started")
        return self._engaged
