"""The order desk: intent on disk, sent once, never twice (DESIGN.md 5, points 1-3).

Whatever is not a certain refusal leaves the order UNKNOWN: counted at its full worst case, its underlying frozen,
settled only by read-back. Nothing in this file sends an order a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from math import gcd
from typing import Protocol, runtime_checkable

from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import BrokerError, InvariantBroken, JournalError, OutcomeUnknown
from qmterm.core.fees import fill_fees
from qmterm.core.orders import AccountState, BrokerOrder, DryRun, Fill, Leg, OrderIntent, OrderState
from qmterm.core.protocols import Broker
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.latency import Percentiles
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.ledger import CANCEL_REST_NS, Ledger, OrderRecord, adopt, new_fills, next_state
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import describe_fill, describe_order, terms_text


class OrderJournal(Protocol):
    """The durable part of the journal that the desk waits for."""

    async def write_intent(self, intent: OrderIntent, quotes: Mapping[str, object] | None = None) -> None: ...

    async def write_order(
        self, intent_id: str, state: OrderState, broker_id: str | None, time_ns: int, reason: str | None
    ) -> None: ...

    async def write_fill(self, fill: Fill, intent_id: str) -> bool: ...


class ReadyOrder(Protocol):
    """An order built and held: it leaves once `leave` is called, never after `drop`."""

    async def leave(self) -> BrokerOrder: ...

    async def drop(self) -> None: ...


@runtime_checkable
class ReadyingBroker(Protocol):
    """A broker that can build an order while its intent is being written."""

    def ready(self, intent: OrderIntent) -> ReadyOrder: ...


DISK_AT_WORK_S = 0.002  # by then the disk has the intent: sooner, building the order would keep it from beginning
TOLD_AFTER_S = 0.02  # at the latest: that an order was sent is said once its bytes are on their way
_STANDS = (OrderState.RECEIVED, OrderState.ROUTED, OrderState.LIVE)
TOO_LATE = "cannot_update_order"  # the broker's word for an order that has ended
Priced = Callable[[tuple[Leg, ...], str], Mapping[str, object] | None]
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
        priced: Priced = lambda _legs, _underlying: None,
    ) -> None:
        """`priced` gives the quotes behind some legs now; they are kept with the order."""
        self.priced = priced
        self._broker = broker
        self._journal = journal
        self._book = book
        self._clock = clock
        self._log = log
        self._settings = settings
        self._on_fill = on_fill
        self._broker_tells_fees = broker_tells_fees  # the paper broker does; tastytrade's fills carry none
        self.ledger = Ledger()
        self._untold: dict[str, asyncio.TimerHandle] = {}  # sent a moment ago, its line of the log is not written yet
        self.acknowledged = Percentiles()
        self.scan_to_ack = Percentiles()
        self.sent = 0
        self.counting = 0  # fills on their way to the disk: cash must not be journalled meanwhile

    # --- sending ---

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
            decided_on=self.priced(intent.legs, intent.underlying),
        )
        self.ledger.add(record)
        return record

    async def send(
        self,
        record: OrderRecord,
        still_wanted: Callable[[OrderRecord], Reason | None],
        beside: Awaitable[None] | None = None,
    ) -> None:
        """Write the intent, look once more whether it is still wanted, send it once, record what came of it.

        `beside` is made durable in the same commit (an entry's stop): the order waits for both.
        Raises JournalError when the intent could not be made durable: then nothing was sent.
        """
        if record.state is not OrderState.INTENT:
            raise InvariantBroken(f"order {record.intent.intent_id} is {record.state.value}: it is sent once only")
        intent = record.intent
        quotes = None
        if record.decided_on is not None:
            quotes = {"decided": record.decided_on, "sent": self.priced(intent.legs, intent.underlying)}
        written = self._journal.write_intent(intent, quotes)
        try:
            ready = await self._readied(intent, written if beside is None else asyncio.gather(written, beside))
        except JournalError:
            record.state = OrderState.NOT_SENT
            record.reason = Reason.JOURNAL_FAILED.value
            raise
        refusal = Reason.USER if record.cancel_asked else self._pointless(record) or still_wanted(record)
        if refusal is not None:
            if ready is not None:
                await ready.drop()
            await self._move(record, OrderState.NOT_SENT, refusal.value)
            write = self._log.info if refusal is Reason.ORIGINAL_GONE else self._log.warn
            write("ORD", f"not sent ({refusal.value}): {describe_order(intent)}", intent.intent_id)
            return
        record.state = OrderState.SENT
        self.sent += 1
        later = asyncio.get_running_loop().call_later(TOLD_AFTER_S, self._tell_sent, intent)
        self._untold[intent.intent_id] = later
        try:
            await self._place(record, ready)
        finally:
            self._tell_sent(intent)

    async def _readied(self, intent: OrderIntent, written: Awaitable[object]) -> ReadyOrder | None:
        """Returns when the intent is on the disk. Meanwhile the order is built, as far as that goes without leaving."""
        writing, ready = asyncio.ensure_future(written), None
        try:
            if isinstance(self._broker, ReadyingBroker) and intent.replaces is None:
                await asyncio.wait({writing}, timeout=DISK_AT_WORK_S)
                ready = None if writing.done() else self._broker.ready(intent)
            await writing
        except BaseException:
            writing.cancel()
            if ready is not None:
                await ready.drop()
            raise
        return ready

    def _tell_sent(self, intent: OrderIntent) -> None:
        """Once, and before anything else that is told of the order."""
        later = self._untold.pop(intent.intent_id, None)
        if later is None:
            return
        later.cancel()
        self._log.info(
            "ORD",
            f"sent {describe_order(intent)}{f' in the place of {intent.replaces}' if intent.replaces else ''}",
            intent.intent_id,
            plan=intent.plan_id,
            limit=terms_text(intent),
            purpose=intent.purpose.value,
            quantity=intent.quantity,
            worst=None if intent.worst_price is None else str(intent.worst_price),
        )

    def _pointless(self, record: OrderRecord) -> Reason | None:
        """A replacement whose original ended or is on its way out while we waited for the disk."""
        if record.intent.replaces is None:
            return None
        return None if self.replaceable(self.ledger.original(record)) else Reason.ORIGINAL_GONE

    def replaceable(self, record: OrderRecord | None) -> bool:
        """True for an order that stands at the broker, with no cancel or replace of it on the way."""
        return (
            record is not None
            and record.broker_id is not None
            and record.state in _STANDS
            and not record.cancelling(self._clock.monotonic(), self._clock.now())
        )

    async def submit(self, intent: OrderIntent, decided_at: float | None = None) -> OrderRecord:
        """Register and send in one go."""
        record = self.register(intent, decided_at)
        await self.send(record, lambda _record: None)
        return record

    async def dry_run(self, intent: OrderIntent) -> DryRun:
        """The broker's own estimate; BrokerError when it refuses the order or does not answer."""
        return await self._broker.dry_run(intent)

    async def _place(self, record: OrderRecord, ready: ReadyOrder | None) -> None:
        try:
            answer = await (self._put(record) if ready is None else ready.leave())
        except BrokerError as refusal:
            self._tell_sent(record.intent)
            await self._move(record, OrderState.REJECTED, f"{refusal.code or Reason.BROKER_REFUSED.value}: {refusal}")
            # A replacement that came too late is news of its original, no trouble.
            late = record.intent.replaces is not None and refusal.code == TOO_LATE
            write = self._log.info if late else self._log.warn
            write("ORD", f"refused by the broker: {refusal}", record.intent.intent_id, code=refusal.code)
            return
        except OutcomeUnknown as silence:
            self._tell_sent(record.intent)
            # The stream may have told us meanwhile; only an order still without any news is UNKNOWN.
            if record.state is OrderState.SENT:
                await self._move(record, OrderState.UNKNOWN, str(silence))
                self._log.alarm(
                    "ORD",
                    f"outcome unknown: {describe_order(record.intent)} ({silence}); not sent again, "
                    f"{record.intent.underlying} is frozen until read-back settles it",
                    record.intent.intent_id,
                )
            return
        if record.decided_at is not None:
            record.acknowledged_ms = (self._clock.monotonic() - record.decided_at) * 1000
            self.acknowledged.add(record.acknowledged_ms)
        if record.scanned_at is not None:
            self.scan_to_ack.add((self._clock.monotonic() - record.scanned_at) * 1000)
        await self.on_order(answer)

    async def _put(self, record: OrderRecord) -> BrokerOrder:
        original = self.ledger.original(record)
        if record.intent.replaces is None:
            return await self._broker.place(record.intent)
        if original is None or original.broker_id is None:
            raise InvariantBroken(f"order {record.intent.intent_id} replaces nothing at the broker; nothing was sent")
        return await self._broker.replace(original.broker_id, record.intent)

    # --- what the broker says ---

    async def on_order(self, order: BrokerOrder) -> OrderRecord:
        """One full order object from the stream, a poll or an answer; may be old, may be a repeat."""
        record = self.ledger.find(order)
        if record is None:
            record = adopt(order, self._clock.now(), self._clock.monotonic())
            self.ledger.add(record)
            await self._journal.write_intent(record.intent)
            await self._journal.write_order(
                record.intent.intent_id, record.state, order.broker_id, self._clock.now(), "adopted"
            )
            words = describe_order(record.intent)
            if order.external_id and self.ledger.get(order.external_id) is not None:
                text = f"a second order carries our tag {order.external_id} (edited elsewhere?): {words}"
                self._log.alarm("ORD", text, record.intent.intent_id)
            else:
                self._log.warn("ORD", f"external order adopted: {words}", record.intent.intent_id)
        self._tell_sent(record.intent)
        if record.broker_id != order.broker_id:
            self.ledger.name(record, order.broker_id)
        if record.intent.replaces is not None and not record.external and order.legs != record.intent.legs:
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
            await self._move(record, state, self._replaced_by(record, order, state) or order.reject_reason or "")
        return record

    def _fit(self, record: OrderRecord, order: BrokerOrder) -> None:
        """A replacement is for what was open when it arrived: its size is what the broker says."""
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
        if not self._broker_tells_fees:
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
            record.fills.setdefault(fill.fill_id, counted)
            return  # the other witness was faster while we waited for the disk
        record.fills[fill.fill_id] = counted
        after = self._book.apply(counted, record.intent.strategy, record.intent.plan_id)
        self._log.info(
            "FILL",
            describe_fill(counted),
            record.intent.intent_id,
            price=str(counted.price),
            quantity=counted.quantity,
            fees=str(counted.fees),
        )
        await self._on_fill(record, counted, after)

    async def _move(self, record: OrderRecord, state: OrderState, reason: str) -> None:
        record.state = state
        if state is OrderState.UNKNOWN:
            record.unknown_since = self._clock.monotonic()
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

    # --- cancelling ---

    async def cancel(self, record: OrderRecord, why: str) -> str:
        """Ask once for a cancel; returns one sentence. The end comes from the broker."""
        if not record.working:
            return f"{describe_order(record.intent)} is already {record.state.value}"
        if record.state is OrderState.INTENT:
            record.cancel_asked = True  # still in our queue: it will not leave
            return f"{describe_order(record.intent)} is not sent"
        if record.broker_id is None:
            return f"{describe_order(record.intent)} has no broker id yet ({record.state.value}): read-back comes first"
        record.cancel_asked, record.cancel_asked_at = True, self._clock.monotonic()
        try:
            await self._broker.cancel(record.broker_id)
        except BrokerError as refusal:
            record.cancel_asked = False
            record.cancel_rests_until_ns = self._clock.now() + CANCEL_REST_NS
            self._log.warn("ORD", f"cancel refused: {refusal}", record.intent.intent_id)
            return f"cancel refused: {refusal}"
        except OutcomeUnknown as silence:
            record.cancel_asked = False  # cancelling twice is harmless; the next poll shows what became of it
            record.cancel_rests_until_ns = self._clock.now() + CANCEL_REST_NS
            self._log.warn("ORD", f"cancel not confirmed: {silence}", record.intent.intent_id)
            return f"cancel not confirmed: {silence}"
        self._log.info("ORD", f"cancel asked ({why}) {describe_order(record.intent)}", record.intent.intent_id)
        return f"cancel asked for {describe_order(record.intent)}"

    # --- read-back ---------------------------------------------------------------------------------------------

    async def read_back(self, state: AccountState, began_at: float | None = None) -> None:
        """Settle UNKNOWN orders by what the account shows: found anywhere = accepted; absent twice = not accepted.

        `began_at` (monotonic) is when the reading began: one that began before the outcome was lost proves no absence.
        """
        for order in state.orders:
            await self.on_order(order)
        if not state.complete:
            return
        now = self._clock.monotonic()
        held = {position.symbol: position.quantity for position in state.positions}
        for record in self.ledger.unknown:
            if began_at is not None and began_at < record.unknown_since:
                continue
            moved = any(held.get(leg.symbol, 0) != self._book.quantity(leg.symbol) for leg in record.intent.legs)
            if moved:
                record.absent_since = None
                if record.alarmed:
                    continue
                record.alarmed = True
                self._log.alarm(
                    "ORD",
                    f"unknown order is in no list, but the position moved: {describe_order(record.intent)}",
                    record.intent.intent_id,
                )
            elif record.absent_since is None:
                record.absent_since = now
            elif now - record.absent_since >= self._settings.readback_window_s:
                await self._move(record, OrderState.NOT_ACCEPTED, "absent from two complete read-backs")
                self._log.warn(
                    "ORD",
                    f"not accepted: {describe_order(record.intent)}; never sent again, watched until the session ends",
                    record.intent.intent_id,
                )
