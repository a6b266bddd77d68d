"""The order desk: what the broker says of our orders, and what of theirs is proven (DESIGN.md 5, points 2-4).

Whatever is not a certain refusal leaves the order UNKNOWN: counted at its full worst case, its underlying frozen,
settled only by read-back. Sending, cancelling and reading back are placing.py's, cancelling.py's and read_back.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from math import gcd

from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import InvariantBroken, JournalError
from qmterm.core.fees import fill_fees
from qmterm.core.interpreter import collector
from qmterm.core.orders import AccountState, BrokerOrder, DryRun, Fill, OrderIntent, OrderState
from qmterm.core.protocols import Broker
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.latency import Percentiles
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.cancelling import Cancelling
from qmterm.engine.orders.causes import BOOKED
from qmterm.engine.orders.exposure import standing
from qmterm.engine.orders.ledger import Ledger, OrderRecord, adopt, new_fills, next_state
from qmterm.engine.orders.placing import OrderJournal, Placing, Priced, StillWanted, nothing_known
from qmterm.engine.orders.read_back import GONE, ReadBack
from qmterm.engine.orders.recovery import from_journal
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import describe_fill, describe_order
from qmterm.journal.state import TAKEN_AWAY

AHEAD_S = 0.002  # after a change: until then whoever caused it has his answer

FillListener = Callable[[OrderRecord, Fill, Position | None], Awaitable[None]]


class OrderDesk:
    def __init__(
        self,
        broker: Broker,
        journal: OrderJournal,
        book: Book,
        clock: Clock,
        log: RunLog,
        settings: OrderSettings,
        on_fill: FillListener,
        broker_tells_fees: bool = False,
        priced: Priced = nothing_known,
        quoted: Priced = nothing_known,
    ) -> None:
        """`quoted` gives the quotes of some legs now, `priced` also what they are worth; kept with an order."""
        self._broker = broker
        self._journal = journal
        self._book = book
        self._clock = clock
        self._log = log
        self._on_fill = on_fill
        self._broker_tells_fees = broker_tells_fees  # the paper broker does; tastytrade's fills carry none
        self.ledger = Ledger()
        self._placing = Placing(broker, journal, self.ledger, clock, log, self)
        self._cancelling = Cancelling(broker, self.ledger, clock, log)
        self._reading = ReadBack(broker, self.ledger, book, clock, log, settings.readback_window_s, self)
        self.priced = priced
        self.quoted = quoted
        self._unwritten: set[str] = set()  # adopted orders that the disk does not have
        self._adopting = asyncio.Lock()
        self._ahead: asyncio.TimerHandle | None = None
        self.counting = 0  # fills on their way to the disk: cash must not be journalled meanwhile

    # --- sending (placing.py) and cancelling (cancelling.py) ---

    def register(self, intent: OrderIntent, decided_at: float | None = None) -> OrderRecord:
        """Enter the order in the ledger before it is sent, so that the very next decision already counts it."""
        if self.ledger.get(intent.intent_id) is not None:
            raise InvariantBroken(f"order id {intent.intent_id} was used before; nothing was sent")
        record = OrderRecord(
            intent,
            OrderState.INTENT,
            known_since=self._clock.monotonic(),
            decided_at=decided_at,
            worked_from_ns=intent.created_ns,
            decided_on=self.quoted(intent.legs, intent.underlying),
        )
        self.ledger.add(record)
        return record

    async def send(
        self, record: OrderRecord, still_wanted: StillWanted, beside: Awaitable[object] | None = None
    ) -> None:
        """Write the intent, look once more whether it is still wanted, send it once, record what came of it.

        `beside` is made durable in the same commit (an entry's stop): the order waits for both.
        Raises JournalError when the intent could not be made durable: then nothing was sent.
        """
        await self._placing.send((record,), still_wanted, beside)

    async def send_bracket(
        self,
        records: tuple[OrderRecord, ...],
        still_wanted: StillWanted,
        beside: Awaitable[object] | None = None,
    ) -> None:
        """`send` for orders that belong together: all are durable before anything leaves, and they leave as one."""
        await self._placing.send(records, still_wanted, beside)

    async def submit(self, intent: OrderIntent, decided_at: float | None = None) -> OrderRecord:
        """Register and send in one go."""
        record = self.register(intent, decided_at)
        await self.send(record, lambda _record: None)
        return record

    def replaceable(self, record: OrderRecord | None) -> bool:
        """True for an order that stands at the broker, no cancel or replace of it on the way or unsettled."""
        return self._placing.replaceable(record)

    async def dry_run(self, intent: OrderIntent) -> DryRun:
        """The broker's own estimate; BrokerError when it refuses the order or does not answer."""
        return await self._broker.dry_run(intent)

    async def cancel(self, record: OrderRecord, why: str) -> str:
        """Ask once for a cancel; returns one sentence. The end comes from the broker."""
        for member in self.ledger.bracket(record):
            await self._keep_taken_away(member)
        return await self._cancelling.cancel(record, why)

    async def _keep_taken_away(self, record: OrderRecord) -> None:
        """That a person took an exit away outlives this run: it is not put back. No cancel waits for the disk."""
        at_broker = record.working and record.broker_id is not None and record.state is not OrderState.UNKNOWN
        if record.taken_away and at_broker and record.reason != TAKEN_AWAY:
            record.reason = TAKEN_AWAY
            now = self._clock.now()
            await self._journal.write_order(record.intent.intent_id, record.state, record.broker_id, now, TAKEN_AWAY)

    @property
    def sent(self) -> int:
        """Orders that were sent."""
        return self._placing.done.orders

    @property
    def acknowledged(self) -> Percentiles:
        """Real ms from the decision to the broker's answer."""
        return self._placing.done.acknowledged

    @property
    def scan_to_ack(self) -> Percentiles:
        """Real ms from the beginning of the pass that found it to the broker's answer."""
        return self._placing.done.scan_to_ack

    @property
    def priced(self) -> Priced:
        """What some legs are priced with now: kept with an order once it has left, as it takes its time."""
        return self._placing.priced

    @priced.setter
    def priced(self, priced: Priced) -> None:
        self._placing.priced = priced

    # --- what the broker says ---

    async def on_order(self, order: BrokerOrder) -> OrderRecord:
        """One full order object from the stream, a poll or an answer; may be old, may be a repeat."""
        record = self.ledger.find(order)
        if record is None or record.intent.intent_id in self._unwritten:
            async with self._adopting:  # whoever else tells of it waits, and finds it then
                record = self.ledger.find(order) or await self._adopt(order)
                await self._keep_adopted(record, order.broker_id)
        self._placing.tell(record)
        if record.broker_id != order.broker_id:
            self.ledger.name(record, order.broker_id)
        record.complex_id = order.complex_id or record.complex_id
        resized = record.intent.replaces is not None or record.intent.rests
        if resized and not record.external and order.legs != record.intent.legs:
            self._fit(record, order)
        if record.state is OrderState.NOT_ACCEPTED:
            self._log.alarm(
                "ORD",
                f"an order counted as never accepted turned up: {describe_order(record.intent)}",
                record.intent.intent_id,
            )
        for fill in new_fills(record, order):
            await self._count(record, fill)
        state = next_state(record, order.state)
        if state is not None:
            await self.move(record, state, self._replaced_by(record, order, state) or order.reject_reason or "")
        elif record.state is OrderState.REMOVED and record.reason == GONE and order.state is not OrderState.REMOVED:
            # The one end that is not the broker's own word: whatever works there must be seen here.
            text = f"an order that the broker did not know turned up: {describe_order(record.intent)}"
            self._log.alarm("ORD", text, record.intent.intent_id)
            self.ledger.watch_again()
            await self.move(record, order.state, "turned up after all")
        return record

    async def on_orders(self, orders: Iterable[BrokerOrder]) -> None:
        """Each of a list, though the disk refuses a row of one: what the broker says of the others is heard.

        The first JournalError is raised at the end.
        """
        failed: JournalError | None = None
        for order in orders:
            try:
                await self.on_order(order)
            except JournalError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    async def _adopt(self, order: BrokerOrder) -> OrderRecord:
        """A record for an order that we do not have: ours of long ago, adopted long ago, or somebody's that is new."""
        record = adopt(order, self._clock.now(), self._clock.monotonic())
        name = record.intent.intent_id
        for known_as in (order.external_id, name):
            stored = await self._journal.stored_order(known_as) if known_as and not self.ledger.get(known_as) else None
            if stored is not None and stored.broker_id in (None, order.broker_id):
                record = from_journal(stored, (), self._clock.monotonic())
                self.ledger.add(record)
                return record
        self.ledger.add(record)
        self._unwritten.add(name)
        words = describe_order(record.intent)
        if order.broker_id.startswith(BOOKED):
            pass  # no order of anybody's: who found the booking says what it was
        elif order.external_id and self.ledger.get(order.external_id) is not None:
            text = f"a second order carries our tag {order.external_id} (edited elsewhere?): {words}"
            self._log.alarm("ORD", text, name)
        else:
            self._log.warn("ORD", f"external order adopted: {words}", name)
        return record

    async def _keep_adopted(self, record: OrderRecord, broker_id: str) -> None:
        """On the disk, with whichever report of it the disk takes it; JournalError until then."""
        name = record.intent.intent_id
        if name in self._unwritten:
            await self._journal.write_intent(record.intent)
            self._unwritten.discard(name)
            await self._journal.write_order(name, record.state, broker_id, self._clock.now(), "adopted")

    def _fit(self, record: OrderRecord, order: BrokerOrder) -> None:
        """A replacement, or an exit of a bracket, is for what was open then: its size is what the broker says."""
        intent = record.intent
        quantities = {(leg.symbol, leg.action): leg.quantity for leg in order.legs}
        if quantities.keys() != {(leg.symbol, leg.action) for leg in intent.legs}:
            text = f"the broker shows other legs than ours: {describe_order(intent)}"
            self._log.alarm("ORD", text, intent.intent_id)
            return
        legs = tuple(replace(leg, quantity=quantities[leg.symbol, leg.action]) for leg in intent.legs)
        units = gcd(*(leg.quantity for leg in legs))
        loss = intent.max_loss
        record.intent = replace(
            intent, legs=legs, quantity=units, max_loss=None if loss is None else loss * units / intent.quantity
        )

    def _replaced_by(self, record: OrderRecord, order: BrokerOrder, state: OrderState) -> str:
        """Why it was cancelled, when it was for another order's sake."""
        by = order.replaced_by
        if state is not OrderState.CANCELLED or by is None:
            return ""
        for ours in reversed(self.ledger.replacing(record)):
            if ours.broker_id == by:
                return "" if ours.state is OrderState.REMOVED else f"replaced by {ours.intent.intent_id}"
            if ours.broker_id is None and ours.working:  # its answer is still on the way
                return f"replaced by {ours.intent.intent_id}"
        return f"replaced by order {by}"

    async def _count(self, record: OrderRecord, fill: Fill) -> None:
        fees = fill.fees
        if not self._broker_tells_fees and not fill.fill_id.startswith(BOOKED):  # a booking states what it cost
            fees = fill_fees(
                fill.symbol,
                fill.action,
                fill.quantity,
                fill.price,
                et_date(fill.time_ns),
                record.filled(fill.symbol),
            )
        counted = replace(fill, fees=fees)
        if not self._book.seen(fill.fill_id):
            self.counting += 1
            try:
                await self._journal.write_fill(counted, record.intent.intent_id)
            finally:
                self.counting -= 1
        if fill.fill_id in record.fills or self._book.seen(fill.fill_id):
            self.ledger.fill(record, counted)
            return  # the other witness was faster while we waited for the disk
        self.ledger.fill(record, counted)
        after = self._book.apply(counted, record.intent.strategy, record.intent.plan_id)
        self._log.info(
            "FILL",
            describe_fill(counted),
            record.intent.intent_id,
            price=str(counted.price),
            quantity=counted.quantity,
            fees=str(counted.fees),
        )
        if record.intent.rests:
            self._tell_rested(record, counted)
        self._work_ahead()
        await self._on_fill(record, counted, after)

    def _tell_rested(self, record: OrderRecord, fill: Fill) -> None:
        """An exit that rested at the broker filled by itself: its cause, and an alarm should its sibling have too."""
        intent, role = record.intent, record.intent.role
        if not record.external:
            cause = f"{intent.reason.value}: " if intent.reason else ""
            text = f"{cause}the {role} that rested at the broker filled: {describe_fill(fill)}"
            self._log.warn("STOP", text, intent.intent_id)
        exits = [each for each in self.ledger.bracket(record) if each.intent.rests]
        if sum(each.filled(fill.symbol) for each in exits) > max(leg.quantity for e in exits for leg in e.intent.legs):
            text = f"both exits of a bracket filled: {describe_order(intent)}; look at the position"
            self._log.alarm("ORD", text, intent.intent_id)

    async def move(self, record: OrderRecord, state: OrderState, reason: str) -> None:
        """Note and journal what became of it."""
        record.state = state
        self._work_ahead()
        if record.taken_away and state in (OrderState.CANCEL_REQUESTED, OrderState.CANCELLED):
            reason = reason or TAKEN_AWAY
        if state is OrderState.UNKNOWN:
            record.unknown_since = self._clock.monotonic()
        if state is OrderState.FILLED:
            record.filled_at = self._clock.monotonic()
        if reason:
            record.reason = reason
        record.absent_since = None
        await self._journal.write_order(
            record.intent.intent_id, state, record.broker_id, self._clock.now(), reason or None
        )
        if state in (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REMOVED):
            units = f"{record.filled_units}/{record.intent.quantity}"
            why = f" ({reason})" if reason else ""
            self._log.info(
                "ORD",
                f"{state.value} {describe_order(record.intent)} filled {units}{why}",
                record.intent.intent_id,
            )

    def _work_ahead(self) -> None:
        """What stands now is made out soon, once for all that changes meanwhile: no order has to wait for it then."""
        if self._ahead is None:
            self._ahead = asyncio.get_running_loop().call_later(AHEAD_S, self._make_out)

    def _make_out(self) -> None:
        self._ahead = None
        if self._placing.on_the_way:
            return  # it comes first, and what becomes of it is a change too
        standing(self._book, self.ledger)
        collector.rest()

    # --- read-back (read_back.py) ---

    async def read_back(self, state: AccountState, began_at: float | None = None) -> None:
        """Settle by what the account shows; `began_at` (monotonic) is when the reading began, None: just now."""
        await self._reading.take(state, began_at)
