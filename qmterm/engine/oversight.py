"""Watching over the run: data age, broker, loop lag, day loss, reconciliation. Moves the ladder, never an order up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Protocol

from qmterm.core.clock import et_date
from qmterm.core.errors import RATE_LIMITED, BrokerError, JournalError, OutcomeUnknown
from qmterm.core.orders import AccountState, OrderState
from qmterm.core.protocols import Broker
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import EngineSettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.kept_rows import KeptRows
from qmterm.engine.ladder import Ladder, Level
from qmterm.engine.ladder_rows import LadderJournal, LadderRows
from qmterm.engine.latency import Percentiles
from qmterm.engine.losses import DOCUMENT as DAY
from qmterm.engine.orders.adoption import Adoption
from qmterm.engine.orders.explaining import Explainer
from qmterm.engine.orders.flatten import Flattener
from qmterm.engine.orders.read_back import awaited, may_turn_up
from qmterm.engine.orders.reconcile import Difference, Reconciler
from qmterm.engine.orders.resting import Rester
from qmterm.engine.orders.sweep import Sweep
from qmterm.engine.orders.walker import Walker
from qmterm.engine.patience import DiskPatience
from qmterm.engine.proof import Proof
from qmterm.engine.protection import Protection
from qmterm.engine.tending import wanted_gone
from qmterm.engine.trader import Trader
from qmterm.engine.view import LADDER

SETTLE_EVERY_S = 0.5
SETTLE_MARGIN_S = 3.0
WAITS_NAMED = 5
JOURNAL_EVERY_S = 1.0
POLL_TRIES, POLL_AGAIN_S = 3, 1.0
_UNSENT = (OrderState.INTENT, OrderState.SENT)


class OversightJournal(LadderJournal, Protocol):
    async def write_adjustment(self, symbol: str | None, amount: Decimal, reason: str, time_ns: int) -> None: ...

    @property
    def trouble(self) -> str | None: ...


class Oversight:
    def __init__(
        self,
        trader: Trader,
        broker: Broker,
        journal: OversightJournal,
        engine: EngineSettings,
        risk: RiskSettings,
        feed_age_s: Callable[[], float | None],
        loop_lag: Percentiles | None,
        clock_jump: Callable[[], float | None] = lambda: None,
        split_ratio: Callable[[str, date, date], float] | None = None,
        patience: DiskPatience | None = None,
    ) -> None:
        """`clock_jump` tells by how many seconds this machine's clock has just jumped, None when it did not."""
        self._trader = trader
        self._broker = broker
        self._journal = journal
        self._engine = engine
        self._risk = risk
        self._feed_age_s = feed_age_s
        self._loop_lag = loop_lag  # None in lockstep: there a slow machine must decide what a fast one decides
        self.lowered = 0  # how often a person, or deeper than NO-NEW the machine, has asked for less
        self.settling_s = 0.0  # seconds spent until a lagging ledger agreed, or did not
        self._walker = Walker(trader)
        self._rester = Rester(trader)
        self.sweep = Sweep(trader.desk, trader.lanes)
        self._clock_jump = clock_jump
        self.patience = patience or DiskPatience()
        self.patience.failed = self.lane_failed
        self._day_rows = KeptRows(self.patience, lambda name: journal.write_document(name, trader.day.to_dict()))
        self.reconciler = Reconciler(trader.settings.readback_window_s)
        self._explainer = Explainer(trader, broker, split_ratio)
        self.adoption = Adoption(trader, journal, self._explainer, self._day_rows, self.patience)
        self.flattener = Flattener(trader)
        self.protection = Protection(trader)
        self.proof = Proof(
            trader.ladder, trader.desk.ledger, trader.book, lambda text: trader.log.alarm("RISK", text, LADDER)
        )
        self._ladder_rows = LadderRows(
            lambda: self.ladder, self.proof, journal, trader.clock, self.patience, self.lane_failed
        )

    @property
    def ladder(self) -> Ladder:
        return self._trader.ladder

    async def look(self) -> None:
        """Every machine cause of NO-NEW, measured afresh: it goes when its cause is gone."""
        age = self._feed_age_s()
        stale = self._trader.market_open() and (age is None or age > self._engine.stale_feed_s)
        self._hold(stale, Reason.DATA_STALE, f"no market data for {'ever' if age is None else f'{age:.0f} s'}")
        self._hold(not self._broker.stream_up, Reason.BROKER_LOST, "the broker's account stream is down")
        lag = None if self._loop_lag is None else self._loop_lag.recent_p99
        self._hold(
            lag is not None and lag > self._engine.loop_lag_ms, Reason.LOOP_LAG, f"engine loop lag {lag or 0:.0f} ms"
        )
        jumped = self._clock_jump()
        if jumped is not None:
            text = f"this machine's clock jumped by {jumped:+.0f} s: ages and times of before cannot be compared"
            self.lower(Level.REDUCE_ONLY, Reason.CLOCK_JUMP, text)
        await self.adoption.again()  # before the day, which counts from what they changed
        await self._day_rows.again()
        await self._watch_day()
        self._watch_losses()
        await self._watch_flatten()
        self.proof.remind(self._trader.clock.monotonic())
        self._see_journal()
        await self.keep()

    async def watch_journal(self) -> None:
        """For ever, beside the turn: should that wait for the disk after all, the disk is an alarm nevertheless."""
        while True:
            self._see_journal()
            await asyncio.sleep(JOURNAL_EVERY_S)

    def _see_journal(self) -> None:
        if trouble := self._journal.trouble:
            self.lower(Level.REDUCE_ONLY, Reason.JOURNAL_TROUBLE, f"journal: {trouble}")

    def _hold(self, active: bool, reason: Reason, text: str) -> None:
        if active:
            self.lower(Level.NO_NEW, reason, text)
        elif self.ladder.cause_gone(reason):
            self._trader.log.info("RISK", f"{reason.value} is over; ladder {self.ladder.level.label}")

    def lower(self, level: Level, reason: Reason, text: str, *, by_person: bool = False) -> None:
        news = self.ladder.lower(level, reason, text, self._trader.clock.now(), by_person=by_person)
        self.lowered += by_person or (news and level > Level.NO_NEW)  # a second kill is no news, but counts
        if news:
            write = self._trader.log.warn if level is Level.NO_NEW or by_person else self._trader.log.alarm
            write("RISK", f"ladder {self.ladder.level.label}: {text}", LADDER, reason=reason.value)
            if level is Level.HALT:  # spared is only what a person asks from now on
                self._trader.way.drop(level.label)
                self._withdraw()

    def lane_failed(self, error: Exception) -> None:
        """An order job broke, or a row that nobody waited for any more: a journal that cannot keep what is to be kept
        stops entries, anything else needs a person.
        """
        if isinstance(error, JournalError):
            self.lower(Level.REDUCE_ONLY, Reason.JOURNAL_TROUBLE, str(error))
        else:
            self.lower(Level.HALT, Reason.INVARIANT, f"{type(error).__name__}: {error}")

    async def _watch_day(self) -> None:
        """The block of a day's loss ends with the day, not when the price comes back (QUANT.md 5.4)."""
        day = self._trader.day
        if day.date is not None and day.date != et_date(self._trader.clock.now()):
            await self.begin_day()
        elif day.look(self._trader.marks.nlv, self._risk):
            await self._keep_day()

    async def begin_day(self) -> None:
        """From now on the day's P/L is measured from here."""
        day = self._trader.day
        day.begin_day(et_date(self._trader.clock.now()), self._trader.marks.nlv)
        await self._keep_day()

    async def rearm(self) -> None:
        """A person goes on after the loss of a week or a drawdown: both are measured from now."""
        if self._trader.day.rearm(self._trader.marks.nlv):
            await self._keep_day()
            self._watch_losses()

    async def _keep_day(self) -> None:
        await self._day_rows.keep(DAY)

    def _watch_losses(self) -> None:
        day, risk = self._trader.day, self._risk
        self._hold(day.blocked, Reason.DAILY_LOSS, f"the day's loss reached {risk.daily_loss_block:.0%}")
        self._hold(day.week_blocked, Reason.WEEKLY_LOSS, f"the week's loss reached {risk.weekly_loss_block:.0%}")
        self._hold(day.drawdown_blocked, Reason.DRAWDOWN, f"the account is {risk.drawdown_block:.0%} below its peak")

    async def _watch_flatten(self) -> None:
        """A loss at which everything should go: by the machine where that is wished, else a person is told."""
        day = self._trader.day
        if not day.flatten_due or day.flatten_told:
            return
        text = f"the day's loss reached {self._risk.daily_loss_flatten:.0%}"
        if self._risk.auto_flatten:
            await self.flatten(Reason.DAILY_LOSS_FLATTEN, text)
        else:
            self._trader.log.alarm("RISK", f"{text}: F closes everything (ctl flatten)", "day")
        day.flatten_told = True  # once a day: what a person has ended since is not begun again
        await self._keep_day()

    @property
    def flatten_proposed(self) -> str:
        """Why a flatten is due that the settings leave to a person; "" when none is."""
        wanted = self._trader.day.flatten_due and not self._risk.auto_flatten and self.ladder.level < Level.FLATTEN
        return f"the day's loss reached {self._risk.daily_loss_flatten:.0%}: F closes everything" if wanted else ""

    # --- standing down ---

    async def flatten(self, reason: Reason, text: str, *, by_person: bool = False) -> tuple[bool, str]:
        """Go to FLATTEN: what opens or rests is cancelled at once, then everything held is closed, turn by turn."""
        trader = self._trader
        self.lower(Level.FLATTEN, reason, text, by_person=by_person)
        if self.ladder.level is Level.HALT:
            await self.keep()
            return False, "HALT stands above it: nothing is closed by the machine; a resume goes to FLATTEN first"
        trader.way.drop(Level.FLATTEN.label)  # the flatten closes it itself
        working, unwanted = trader.desk.ledger.working, self.flattener.unwanted()
        self.proof.begin(len(working))
        for proposal in trader.proposals.waiting:
            trader.proposals.take(proposal.proposal_id)
        # On the disk before the first cancel leaves: who dies in between goes on. A disk that hangs is not waited for.
        await self.keep()
        await self.sweep.ask((record, "flatten") for record in unwanted)  # what has nothing in its way closes at once
        self.flattener.close_all()
        held = len(trader.book.positions)
        waits = [f"{symbol}: {why}" for symbol, why in self.flattener.waiting.items()]
        said = f"FLATTEN: {len(unwanted)} order(s) asked to cancel, closing {held} position(s)"
        said += f"; {len(waits)} wait: {'; '.join(waits[:WAITS_NAMED])}" if waits else ""
        trader.log.alarm("RISK", said, LADDER)
        return True, said

    async def halt(self, reason: Reason, text: str, *, by_person: bool) -> list[str]:
        """HALT before anything else, so that nothing queued can leave; then all cancels at once; the disk after them.

        Returns what became of each cancel.
        """
        trader = self._trader
        self.lower(Level.HALT, reason, text, by_person=by_person)
        trader.way.drop(Level.HALT.label)  # before the first cancel: those are what it waits for
        working = trader.desk.ledger.working
        for record in trader.desk.ledger.records:
            record.spared = False
        self._withdraw()
        self.proof.begin(len(working))
        for proposal in trader.proposals.waiting:
            trader.proposals.take(proposal.proposal_id)
        # The disk's part is begun first and waited for by nobody: no cancel stands behind it.
        _, *answers = await asyncio.gather(self.keep(), *(trader.desk.cancel(record, "kill") for record in working))
        return [answer for answer in answers if answer is not None]

    async def keep(self) -> None:
        """Journal the ladder when it moved, so that it survives a restart.

        A disk that fails or hangs here is no reason to stop cancelling and closing. What failed is said and tried
        again; what hangs is on the disk when that comes back.
        """
        await self._ladder_rows.keep()

    def _withdraw(self) -> None:
        """All that works goes, also what has no number yet or turns up later, and also when a person resumes first."""
        for record in self._trader.desk.ledger.records:
            if (record.working or may_turn_up(record)) and not record.spared:
                record.withdrawn = record.withdrawn or Reason.LADDER_HALT

    def withdraw_unsent(self) -> None:
        """What opens, and may not have left yet, does not once real money may not move: armed again or not."""
        barred = self._trader.money_refusal()
        if barred is None:
            return
        for record in self._trader.desk.ledger.working:
            if record.state in _UNSENT and any(leg.action.opens for leg in record.intent.legs):
                record.withdrawn = record.withdrawn or barred

    # --- orders that wait too long ---

    async def tend_orders(self) -> None:
        """Cancel entries past their time or under a ladder that forbids them; re-price exits that wait (auto)."""
        trader = self._trader
        self.withdraw_unsent()
        await self.sweep.ask(wanted_gone(trader, self.flattener.unwanted, self._walker.reprices))
        self._walker.step()
        self._rester.step()
        self.sweep.check()

    # --- the third witness ---

    async def read_account(self) -> AccountState | None:
        """One full read-back; None when the broker could not be read completely."""
        began_at, book = self._trader.clock.monotonic(), self._trader.book
        fills = book.fill_count
        try:
            state = await self._broker.account_state()
        except (BrokerError, OutcomeUnknown) as error:
            self._trader.log.warn("RECO", f"the account could not be read: {error}")
            return None
        self._trader.balance, self._trader.told = state.balance, state.positions
        await self._trader.desk.read_back(state, began_at)
        if book.fill_count == fills:  # else the positions may be older than a fill we know
            book.settle(state.positions, self._trader.clock.now())
            if self.proof.witness(state, self._trader.clock.now()):
                self._trader.log.info("RISK", f"{self.ladder.level.label}: {self.proof.text}", LADDER)
        return state if state.complete else None

    async def poll_orders(self) -> None:
        """The cheap second witness: all orders of today, each a full object.

        A question that fails is asked again soon: a lost fill must not wait for two bad answers in a row.
        """
        for left in reversed(range(POLL_TRIES)):
            try:
                orders = await self._broker.live_orders()
            except (BrokerError, OutcomeUnknown) as error:
                if not left or (isinstance(error, BrokerError) and error.code == RATE_LIMITED):
                    self._trader.log.warn("ORD", f"orders could not be polled: {error}")
                    return
                await asyncio.sleep(POLL_AGAIN_S)
            else:
                await self._trader.desk.on_orders(orders)
                return

    async def settle(self) -> tuple[bool, str]:
        """Compare until both sides agree, or a difference has stood so long that it is one."""
        clock, began = self._trader.clock, self._trader.clock.monotonic()
        patience = self._trader.settings.readback_window_s + SETTLE_MARGIN_S
        ends: float | None = None
        while True:
            agreed, text = await self.reconcile()
            now = clock.monotonic()
            # The window is between readings: how long the first took is waited for at its other end as well.
            ends = now + patience + (now - began) if ends is None else ends
            if agreed or self.reconciler.clean or now >= ends:
                return agreed, text
            await asyncio.sleep(SETTLE_EVERY_S)
            self.settling_s += SETTLE_EVERY_S

    async def reconcile(self) -> tuple[bool, str]:
        """Compare book and broker; lasting differences are shown, journalled, adopted, and stop new trades."""
        began = self._trader.clock.now(), self._trader.clock.monotonic()
        state = await self.read_account()
        if state is None:
            self.reconciler.clean = False
            return False, "the account could not be read completely"
        trader = self._trader
        confirmed = self._compare(state, began)
        if not self.reconciler.clean:
            await self._explainer.count_deliveries(state, again=bool(confirmed))
            # Anew: while we asked, an assignment, or any fill, may have been counted.
            confirmed = self._compare(state, began)
        waits = awaited(trader.desk.ledger, [d.symbol for d in confirmed], trader.clock.monotonic())
        if waits:
            return False, waits
        if not confirmed:
            if self.reconciler.clean:
                return True, "book and broker agree"
            return False, "a difference was seen that may be news on its way; the next comparisons decide"
        adopted = self.adoption.adopt(confirmed, state)
        self.reconciler.accept()
        if adopted.serious:
            text = f"book and broker differed: {'; '.join(adopted.serious)}"
            self.lower(Level.REDUCE_ONLY, Reason.RECONCILE_DIFFERENCE, text)
        await self.adoption.keep(adopted)  # the book has moved: what is said and held for it waits for no disk
        await self.keep()
        return not adopted.serious, "; ".join(adopted.texts)

    def _compare(self, state: AccountState, began: tuple[int, float]) -> tuple[Difference, ...]:
        clock = self._trader.clock
        return self.reconciler.look(self._trader.book, state, clock.now(), clock.monotonic(), began)
