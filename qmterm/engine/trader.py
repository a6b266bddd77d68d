"""From plan to order: the gate, then a proposal (confirm) or the desk (auto); people pass the same gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Protocol

from qmterm.core.clock import Clock, et_date
from qmterm.core.orders import AccountBalance, BrokerPosition, Leg, OrderIntent, OrderKind, Purpose
from qmterm.core.protocols import QuoteSource
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode, OrderSettings
from qmterm.core.signals import MANUAL, TradePlan
from qmterm.engine.decisions import DecisionHash, DecisionTrail
from qmterm.engine.ladder import REFUSAL, Ladder, Level
from qmterm.engine.losses import LossBase
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.brackets import exit_terms, exits_behind, one_long_option
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.dry_run import broker_refusal, sells
from qmterm.engine.orders.exits import Guards
from qmterm.engine.orders.exposure import closable, is_frozen, risk_book, spent
from qmterm.engine.orders.fillable import parts_of
from qmterm.engine.orders.lanes import Lanes
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.orders.making_way import MakingWay
from qmterm.engine.orders.marks import Marks
from qmterm.engine.orders.orphans import Orphans
from qmterm.engine.orders.proposals import Proposals, entry_proposal, exit_proposal, how
from qmterm.engine.orders.staged import as_staged
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.orders.walking import Grid, start_price
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import describe_order, walk_line
from qmterm.risk.book import RiskBook
from qmterm.risk.gate import Gate
from qmterm.risk.price_sanity import unit_mid
from qmterm.risk.protect import guarded_legs, protect
from qmterm.risk.rolls import is_mixed, roll_verdict
from qmterm.risk.surroundings import Surroundings
from qmterm.risk.verdict import Verdict

NOWHERE = Surroundings()
AT_ONCE_S = 5.0  # an order without a limit leaves within these or not at all


class DecisionSink(Protocol):
    def decision(
        self,
        subject: str,
        outcome: str,
        time_ns: int,
        *,
        plan: TradePlan | None = None,
        reason: Reason | None = None,
        numbers: Mapping[str, object] | None = None,
    ) -> None: ...


class Trader:
    def __init__(
        self,
        *,
        mode: Mode,
        clock: Clock,
        log: RunLog,
        journal: DecisionSink,
        book: Book,
        marks: Marks,
        desk: OrderDesk,
        guards: Guards,
        gate: Gate,
        ladder: Ladder,
        lanes: Lanes,
        quotes: QuoteSource,
        settings: OrderSettings,
        market_open: Callable[[], bool],
        real_money_refusal: Callable[[], Reason | None],
        ticks: TickBook | None = None,
    ) -> None:
        self.mode = mode
        self.clock = clock
        self.log = log
        self.journal = journal
        self.book = book
        self.marks = marks
        self.desk = desk
        self.guards = guards
        self.gate = gate
        self.ladder = ladder
        self.lanes = lanes
        self.quotes = quotes
        self.settings = settings
        self.ticks = ticks or TickBook()
        self.market_open = market_open
        self._real_money_refusal = real_money_refusal
        self.closing_refusal = real_money_refusal  # set by the engine: arming that ended by its loss still closes
        self.way = MakingWay(desk, lanes, clock, log)
        self.orphans = Orphans(book, desk.ledger, quotes, self.ticks, clock, log, guards.loose)
        self.proposals = Proposals(clock)
        self.trail = DecisionTrail()
        self.decisions = DecisionHash()
        self.day = LossBase()
        self.balance: AccountBalance | None = None
        self.told: tuple[BrokerPosition, ...] = ()  # the broker's positions as last read
        self.frozen: set[str] = set()
        self.around: Callable[[TradePlan], Surroundings] = lambda _plan: NOWHERE  # set by the engine
        self.lots_of: Callable[[str], Mapping[str, int]] = lambda _trade: {}  # set by the engine: signed, by symbol
        self.leave_alone: Callable[[str], None] = lambda _underlying: None  # set by the engine: no entry for a while
        self.stopping = False  # a stop was asked: what is still queued does not leave any more
        self.plans = 0
        self.rejected: Counter[str] = Counter()

    # --- the book as the gate sees it ---

    @property
    def day_pnl(self) -> Decimal | None:
        return self.day.losses(self.marks.nlv).day_pnl

    def risk_book(self, *without: OrderRecord) -> RiskBook:
        """`without` orders that are about to be replaced or cancelled, and whatever takes their place already."""
        nlv = self.marks.nlv
        return risk_book(
            self.book,
            self.desk.ledger.without(*without) if without else self.desk.ledger,
            nlv=nlv,
            now_ns=self.clock.now(),
            losses=self.day.losses(nlv),
            buying_power=self.balance.option_buying_power if self.balance else None,
            frozen=self.frozen,
            ask=self._ask,
            duplicate_s=self.gate.settings.duplicate_s,
        )

    def _ask(self, symbol: str) -> Decimal | None:
        quote = self.quotes.quote(symbol)
        return Decimal(str(round(quote.ask, 4))) if quote is not None and quote.ask > 0 else None

    def entry_refusal(self) -> Reason | None:
        """Why nothing new may be opened now, whatever it is; None when the ladder and the arming allow it."""
        if self.stopping:
            return Reason.STOPPING
        level = self.ladder.level
        if level is not Level.NORMAL:
            return REFUSAL[level]
        return self._real_money_refusal()

    def money_refusal(self) -> Reason | None:
        """Why real money may not open anything now (live, arming); None for paper too."""
        return self._real_money_refusal()

    def _entry_refusal_of(self, record: OrderRecord) -> Reason | None:
        """`entry_refusal` in the moment it would leave: one before it in the lane may have become UNKNOWN."""
        frozen = is_frozen(self.desk.ledger, record.intent.underlying, self.frozen)
        return self.entry_refusal() or (Reason.SYMBOL_FROZEN if frozen else None) or self._overtaken(record)

    def _overtaken(self, record: OrderRecord) -> Reason | None:
        """It waited too long behind another one: it was judged by a market that may be gone."""
        bounded = record.intent.counted_price is not None
        longest = self.gate.settings.quote_max_age_s if bounded else AT_ONCE_S
        if self.clock.monotonic() - record.known_since <= longest:
            return None
        opened = tuple(parts_of(record, self._ask))
        cover = not self.risk_book(record).effect(record.intent.strategy, opened).worsens
        return None if cover else Reason.STALE_QUOTE  # what worsens no worst case is refused for no quote's age

    def quotes_of(self, legs: tuple[Leg, ...]) -> dict[str, Quote]:
        found = {leg.symbol: self.quotes.quote(leg.symbol) for leg in legs}
        return {symbol: quote for symbol, quote in found.items() if quote is not None}

    # --- entries ---

    def open(
        self,
        plan: TradePlan,
        decided_at: float,
        *,
        wanted: int | None = None,
        propose: bool = False,
        scanned_at: float | None = None,
        warnings: tuple[str, ...] = (),
        staged: OrderIntent | None = None,
    ) -> Verdict:
        """Judge a plan; approved, it becomes a proposal in confirm mode (or when `propose`), an order in auto mode.

        `staged` is one unit of the order as a person typed it, where that is more than a limit at the plan's price.
        """
        self.plans += 1
        # In confirm mode NO-NEW also silences proposals: what may not be sent is not asked.
        verdict = self.judge(plan, self._with_proposals(self.risk_book()), wanted, staged)
        self.trail.add_plan(plan, verdict)
        self.decisions.add(plan.time_ns, plan.underlying, plan.legs, verdict.contracts, plan.net_price)
        if not verdict.approved:
            reason = verdict.reason or Reason.NO_DATA
            self.reject(plan.underlying, reason, verdict.numbers, plan)
            return verdict
        intent = as_staged(self.intent_of(plan, verdict.contracts), staged)
        if propose or self.mode is Mode.CONFIRM:
            self._propose_entry(plan, intent, verdict, warnings, staged)
        else:
            self._decided("sent", plan, verdict)
            self.send_entry(plan, intent, decided_at, scanned_at)
        return verdict

    def judge(
        self,
        plan: TradePlan,
        book: RiskBook,
        wanted: int | None,
        staged: OrderIntent | None,
        without: OrderRecord | None = None,
    ) -> Verdict:
        """The gate's word on a plan at this moment; an order that also closes something is judged as a roll.

        `without` the order that it is to replace: what that one closes is free to close by this one.
        """
        legs = plan.legs if staged is None else staged.legs
        ladder, quotes, market_open = self.entry_refusal(), self.quotes_of(legs), self.market_open()
        program, around = self.ticks.of(plan.legs[0].symbol), self.around(plan)
        if staged is not None and is_mixed(staged):
            ledger = self.desk.ledger if without is None else self.desk.ledger.without(without)
            return roll_verdict(
                self.gate,
                plan,
                staged,
                {leg.symbol: closable(self.book, ledger, leg.symbol) for leg in legs},
                book,
                self.clock.now(),
                wanted=wanted or 1,
                ladder=ladder,
                quotes=quotes,
                market_open=market_open,
                program=program,
                around=around,
            )
        return self.gate.check(
            plan,
            book,
            self.clock.now(),
            ladder=ladder,
            quotes=quotes,
            market_open=market_open,
            program=program,
            wanted=wanted,
            around=around,
            order=None if staged is None else replace(staged, net_price=staged.counted_price),
            fleeting=self._rests(plan),
        )

    def reject(
        self, symbol: str, reason: Reason, numbers: Mapping[str, float | None], plan: TradePlan | None = None
    ) -> None:
        """Count and journal what was not taken."""
        self.rejected[reason.value] += 1
        self.journal.decision(symbol, "rejected", self.clock.now(), plan=plan, reason=reason, numbers=dict(numbers))

    def _decided(self, outcome: str, plan: TradePlan, verdict: Verdict) -> None:
        """Journal a plan that was taken, with the very quotes that it was made from."""
        seen = self.desk.quoted if outcome == "sent" else self.desk.priced  # nothing waits for a proposal
        quotes = seen(plan.legs, plan.underlying)
        numbers: dict[str, object] = dict(verdict.numbers) if quotes is None else {**verdict.numbers, "quotes": quotes}
        self.journal.decision(
            plan.underlying, outcome, self.clock.now(), plan=plan, reason=verdict.reason, numbers=numbers
        )

    def _with_proposals(self, book: RiskBook) -> RiskBook:
        """Proposals that wait count as well: approving all of them must not break a limit."""
        for proposal in self.proposals.waiting:
            if proposal.purpose is Purpose.ENTRY and proposal.plan is not None:
                book = book.counting(self.intent_of(proposal.plan, proposal.quantity))
        return book

    def intent_of(self, plan: TradePlan, contracts: int) -> OrderIntent:
        """The entry order of a plan: its id is the plan's, so one plan can become one order only.

        It starts at the mid and may be walked to the plan's price, which everything counts it at from the start.
        """
        start = None
        if self.settings.walk and plan.strategy != MANUAL and not self._rests(plan):
            grid = Grid(plan.legs, self.ticks.of(plan.legs[0].symbol))
            start = start_price(grid, self.quotes_of(plan.legs), plan.net_price)
        return OrderIntent(
            intent_id=f"e{plan.plan_id}",
            created_ns=self.clock.now(),
            strategy=plan.strategy,
            underlying=plan.underlying,
            purpose=Purpose.ENTRY,
            legs=plan.legs
            if contracts == 1
            else tuple(replace(leg, quantity=leg.quantity * contracts) for leg in plan.legs),
            quantity=contracts,
            net_price=plan.net_price if start is None else start,
            worst_price=None if start is None else plan.net_price,
            max_loss=plan.max_loss * contracts,
            plan_id=plan.plan_id,
        )

    def _propose_entry(
        self,
        plan: TradePlan,
        intent: OrderIntent,
        verdict: Verdict,
        warnings: tuple[str, ...],
        staged: OrderIntent | None,
    ) -> None:
        why = (*self.trail.lines(plan.plan_id), *walk_line(intent), *how(intent), *self._exit_lines(plan, intent))
        mid, life = unit_mid(intent.legs, self.quotes_of(intent.legs)), self._shelf_life()
        proposal = entry_proposal(plan, intent, verdict.reason, why, mid, life, warnings, staged)
        if self.proposals.add(proposal):
            self._decided("proposed", plan, verdict)
            self.log.info(
                "PLAN", f"proposed {describe_order(intent)} ({proposal.binding})", plan.plan_id, **verdict.numbers
            )

    def _shelf_life(self) -> tuple[int, float]:
        """When a proposal is made (market ns) and when it expires (monotonic seconds)."""
        return self.clock.now(), self.clock.monotonic() + self.settings.proposal_ttl_s

    def _rests(self, plan: TradePlan) -> bool:
        """Its exits go to the broker with it: then its price stands, because a bracket's trigger cannot be walked."""
        return self.settings.resting_exits and one_long_option(plan.legs)

    def _exit_lines(self, plan: TradePlan, intent: OrderIntent) -> tuple[str, ...]:
        return tuple(f"rests at the broker: {describe_order(each)}" for each in self._bracketed(plan, intent)[1:])

    def today(self) -> date:
        return et_date(self.clock.now())

    def _bracketed(self, plan: TradePlan, intent: OrderIntent) -> tuple[OrderIntent, ...]:
        """The entry alone, or as the trigger of its resting exits."""
        symbol = intent.legs[0].symbol
        plain = intent.kind is OrderKind.LIMIT and intent.worst_price is None and one_long_option(intent.legs)
        if not plain or not self._rests(plan):
            return (intent,)
        state = protect(plan, plan.plan_id, 0, -plan.net_price)
        terms = exit_terms(state, symbol, self.guards.rules, self.ticks.of(symbol), self.today())
        return (intent,) if terms is None else exits_behind(intent, terms)

    def send_entry(
        self, plan: TradePlan, intent: OrderIntent, decided_at: float | None, scanned_at: float | None = None
    ) -> OrderRecord:
        intent, *exits = self._bracketed(plan, intent)
        record = self._register(intent, decided_at)
        record.scanned_at = scanned_at
        records = (record, *(self.desk.register(each) for each in exits))

        async def job() -> None:
            refusal = None
            if sells(record):  # what is only bought is not tried first: nothing to count, and the book is dear
                counted, left = spent(record, self._ask), self.risk_book().option_buying_power
                refusal = await broker_refusal(self.desk, record, counted, left, self.log)
            guarded = guarded_legs(plan.legs)
            rolled = next((leg.symbol for leg in intent.legs if not leg.action.opens), None)
            guard = self.guards.prepare(plan, guarded, rolled) if guarded else None
            await self.desk.send_bracket(records, lambda each: refusal or self._entry_refusal_of(each), beside=guard)

        self.lanes.entry(job)
        return record

    def _register(self, intent: OrderIntent, decided_at: float | None) -> OrderRecord:
        self.decisions.add(intent.created_ns, intent.underlying, intent.legs, intent.quantity, intent.net_price)
        return self.desk.register(intent, decided_at)

    def replace_order(self, old: OrderRecord, intent: OrderIntent) -> OrderRecord:
        """Another price for a working order: a new order in its place, judged again in the moment it leaves."""
        record = self._register(intent, None)
        record.spared, record.worked_from_ns = old.spared, intent.created_ns
        entry = intent.purpose is Purpose.ENTRY

        def still_wanted(_record: OrderRecord) -> Reason | None:
            if entry:
                return self._entry_refusal_of(record)
            return self.closing_refusal() or self._exit_refusal(record.spared)

        async def job() -> None:
            await self.desk.send(record, still_wanted)

        if entry:
            self.lanes.entry(job)
        else:
            self.lanes.exit(job, intent.underlying)
        return record

    # --- exits ---

    def close(self, intent: OrderIntent, *, by_person: bool, approved: bool = False, propose: bool = False) -> Verdict:
        """A closing order: capped by what is closable, never refused by limits; proposed first in confirm mode."""
        permission = self.closing_refusal()
        if permission is not None:  # an account we may not trade is not traded at all, not even to close
            self.rejected[permission.value] += 1
            return Verdict(0, permission)
        blocked, level = self.way.blocked(intent), self.ladder.level
        verdict = self.judge_exit(intent, by_person=by_person)
        if by_person and intent.purpose is Purpose.SCALE_OUT:  # asked of him a while ago
            wanted = self.guards.still_wanted(intent.plan_id, intent.legs, intent.quantity)
            if wanted < verdict.contracts:
                verdict = replace(verdict, contracts=wanted, reason=Reason.NOTHING_TO_CLOSE)
        if not verdict.approved:
            self.rejected[(verdict.reason or Reason.NO_DATA).value] += 1
            return verdict
        if verdict.contracts != intent.quantity:
            units = verdict.contracts
            legs = tuple(replace(leg, quantity=leg.quantity // intent.quantity * units) for leg in intent.legs)
            intent = replace(intent, legs=legs, quantity=units)
        if (propose or self.mode is Mode.CONFIRM) and not approved:
            if not by_person and self.way.answered(intent):
                return verdict
            self._propose_exit(intent, by_person=by_person)
            return verdict
        if blocked:  # it leaves from protection.py, judged anew, once what rests at the broker is gone
            self.way.hold(intent, by_person=by_person)
            return verdict
        if intent.worst_price is not None and not approved and not by_person:
            intent = replace(intent, worst_price=None)  # alone, the machine follows the market
        record = self._register(intent, self.clock.monotonic())
        record.spared = by_person and level is Level.HALT
        self.guards.tried(intent.plan_id)
        self.lanes.exit(lambda: self.desk.send(record, lambda _r: self._exit_refusal(record.spared)), intent.underlying)
        return verdict

    def judge_exit(self, intent: OrderIntent, *without: OrderRecord, by_person: bool = False) -> Verdict:
        """The gate's word on a close at this moment, and as if orders were not there that are to go first."""
        ledger = self.desk.ledger
        return self.gate.check_exit(
            intent,
            {leg.symbol: closable(self.book, ledger, leg.symbol, resting=False) for leg in intent.legs},
            ladder=REFUSAL.get(self.ladder.level),
            by_person=by_person,
            quotes=self.quotes_of(intent.legs),
            program=self.ticks.of(intent.legs[0].symbol) if intent.legs else None,
            # Beside an exit that rests it would look like one too many.
            book=None if self.way.blocked(intent) else self.risk_book(*without),
        )

    def _exit_refusal(self, spared: bool) -> Reason | None:
        """Under HALT only what a person asked after it leaves: not what one had asked before."""
        return Reason.LADDER_HALT if self.ladder.level is Level.HALT and not spared else None

    def _propose_exit(self, intent: OrderIntent, *, by_person: bool) -> None:
        reason = intent.reason or Reason.USER
        guard = self.guards.of(intent.plan_id)
        mid = unit_mid(intent.legs, self.quotes_of(intent.legs))
        why = (reason.value, *((f"stop {guard.state.stop:.2f}",) if guard else ()), *walk_line(intent), *how(intent))
        proposal = exit_proposal(intent, why, mid, self._shelf_life(), alarm=not by_person)
        if self.proposals.add(proposal):
            self.log.write(
                "info" if by_person else "alarm",
                "PLAN",
                f"close? {describe_order(intent)} ({reason.value})",
                intent.plan_id,
            )
