"""An order's way out: its intent on the disk, looked at once more, sent once (DESIGN.md 5, points 1 and 2).

While the disk works, a broker that can do so builds the order and holds it. The traps: nothing held may leave before
the disk has answered, and whatever ends the wait in another way must drop it. Nothing here sends an order twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from qmterm.core.clock import Clock
from qmterm.core.errors import BrokerError, InvariantBroken, JournalError, OutcomeUnknown, Withheld
from qmterm.core.orders import BrokerOrder, Fill, Leg, OrderIntent, OrderState
from qmterm.core.protocols import Broker
from qmterm.core.reasons import Reason
from qmterm.engine.latency import Percentiles
from qmterm.engine.orders.fillable import parts_of
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import describe_order, terms_text
from qmterm.journal.state import StoredOrder

TOLD_AFTER_S = 0.02  # at the latest: that an order was sent is said once its bytes are on their way
PRICED = "priced"  # the journal's word for what the quotes of an order that left were worth
TOO_LATE = "cannot_update_order"  # the broker's word for an order that has ended
_STANDS = (OrderState.RECEIVED, OrderState.ROUTED, OrderState.LIVE)

Priced = Callable[[tuple[Leg, ...], str], Mapping[str, object] | None]
StillWanted = Callable[[OrderRecord], Reason | None]


def nothing_known(_legs: tuple[Leg, ...], _underlying: str) -> None:
    """Before anybody has said where prices come from."""


class OrderJournal(Protocol):
    """The durable part of the journal that the desk waits for."""

    def write_intent(self, intent: OrderIntent, quotes: Mapping[str, object] | None = None) -> Awaitable[None]: ...

    def while_writing(self, work: Callable[[], object]) -> None: ...

    async def write_order(
        self, intent_id: str, state: OrderState, broker_id: str | None, time_ns: int, reason: str | None
    ) -> None: ...

    async def write_fill(self, fill: Fill, intent_id: str) -> bool: ...

    async def stored_order(self, intent_id: str) -> StoredOrder | None: ...

    def note(self, kind: str, subject: str, body: Mapping[str, object], time_ns: int) -> None: ...


class ReadyOrders(Protocol):
    """Orders of one call, built and held: they leave once `leave` is called, never after `drop`."""

    async def leave(self) -> tuple[BrokerOrder, ...]: ...

    async def drop(self) -> None: ...


@runtime_checkable
class ReadyingBroker(Protocol):
    """A broker that can build orders while their intents are being written."""

    def ready(self, intents: tuple[OrderIntent, ...]) -> ReadyOrders: ...


@runtime_checkable
class AskingBroker(Protocol):
    """A broker that asks once more as an order leaves: before that it may wait for its turn, a login, a connection."""

    last_look: Callable[[OrderIntent], Reason | None]


class Told(Protocol):
    """The desk: who keeps what becomes of an order."""

    async def move(self, record: OrderRecord, state: OrderState, reason: str) -> None: ...

    async def on_order(self, order: BrokerOrder) -> OrderRecord: ...

    async def on_orders(self, orders: Iterable[BrokerOrder]) -> None: ...


@dataclass(slots=True)
class Sent:
    """What was sent so far, and how long the broker took to say so (real ms)."""

    orders: int = 0
    acknowledged: Percentiles = field(default_factory=Percentiles)  # since the decision
    scan_to_ack: Percentiles = field(default_factory=Percentiles)  # since the pass that found it began


class Placing:
    def __init__(
        self, broker: Broker, journal: OrderJournal, ledger: Ledger, clock: Clock, log: RunLog, desk: Told
    ) -> None:
        self.priced: Priced  # set by the desk, before anything is sent
        self._unpriced: set[str] = set()  # orders that left, the evidence of that moment is not written yet
        self.done = Sent()
        self.on_the_way = 0  # to the disk, and not to the broker yet: what can wait waits for them
        self._broker = broker
        self._readying = broker if isinstance(broker, ReadyingBroker) else None
        if isinstance(broker, AskingBroker):
            broker.last_look = self._last_look
        self._wanted: dict[str, Callable[[], Reason | None]] = {}  # by the first intent of what is on its way
        self._journal = journal
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._desk = desk
        self._untold: dict[str, asyncio.TimerHandle] = {}  # sent a moment ago, its line of the log is not written yet

    async def send(
        self, records: tuple[OrderRecord, ...], still_wanted: StillWanted, beside: Awaitable[object] | None
    ) -> None:
        """OrderDesk.send_bracket."""
        _check_first(records)
        self.on_the_way += 1
        try:
            ready = await self._durable(records, beside)
        finally:
            self.on_the_way -= 1
        leaves = False
        try:
            _check_first(records)  # nothing else may have sent it, or ended it, meanwhile
            refusal = self._refusal(records, still_wanted)
            if refusal is None:
                leaves = True
                for record in records:
                    self._leaving(record)
        finally:
            if ready is not None and not leaves:
                await ready.drop()
        if refusal is not None:
            await self._not_sent(records, refusal)
            return
        name = records[0].intent.intent_id
        self._wanted[name] = lambda: _withdrawn(records) or still_wanted(records[0])
        try:
            await self._place(records, ready)
        finally:
            del self._wanted[name]
            for record in records:
                self.tell(record)
            for record in records:
                self._keep_priced(record)

    def _last_look(self, intent: OrderIntent) -> Reason | None:
        """Why an order that is on its way to the wire must not leave after all."""
        asked = self._wanted.get(intent.intent_id)
        return None if asked is None else asked()

    async def _durable(self, records: tuple[OrderRecord, ...], beside: Awaitable[object] | None) -> ReadyOrders | None:
        """Returns when the intents are on the disk. Meanwhile the order is built, as far as that goes without leaving.

        JournalError when they are not: then nothing is held any more.
        """
        building = None
        if self._readying is not None and records[0].intent.replaces is None:
            building = _Building(self._readying, tuple(record.intent for record in records))
        try:
            rows: list[Awaitable[object]] = [self._journal.write_intent(r.intent, self._quotes(r)) for r in records]
            rows += () if beside is None else (beside,)
            if building is not None:
                self._journal.while_writing(building.begin)
            await _all(rows)
        except BaseException as ended:
            if building is not None:
                await building.stop()
            if isinstance(ended, JournalError):
                for record in records:
                    record.state = OrderState.NOT_SENT
                    record.reason = Reason.JOURNAL_FAILED.value
            raise
        return None if building is None else building.taken()

    def _quotes(self, record: OrderRecord) -> Mapping[str, object] | None:
        return None if record.decided_on is None else {"decided": record.decided_on}

    def _refusal(self, records: tuple[OrderRecord, ...], still_wanted: StillWanted) -> Reason | None:
        return _withdrawn(records) or self._pointless(records[0]) or still_wanted(records[0])

    def _pointless(self, record: OrderRecord) -> Reason | None:
        """A replacement whose original ended or is on its way out while we waited for the disk."""
        if record.intent.replaces is None:
            return None
        return None if self.replaceable(self._ledger.original(record)) else Reason.ORIGINAL_GONE

    def replaceable(self, record: OrderRecord | None) -> bool:
        """True for an order that stands at the broker, no cancel or replace of it on the way or unsettled."""
        return (
            record is not None
            and record.broker_id is not None
            and record.state in _STANDS
            and record.intent.role is None  # another order in its place would not belong to the bracket
            and not record.cancelling(self._clock.monotonic(), self._clock.now())
            and not any(r.working and r.state is not OrderState.INTENT for r in self._ledger.replacing(record))
        )

    async def _not_sent(self, records: tuple[OrderRecord, ...], refusal: Reason) -> None:
        failed = await self._move_all(records, OrderState.NOT_SENT, refusal.value)
        for record in records:
            write = self._log.info if refusal is Reason.ORIGINAL_GONE else self._log.warn
            text = f"not sent ({refusal.value}): {describe_order(record.intent)}"
            write("ORD", text, record.intent.intent_id)
        if failed is not None:
            raise failed

    # --- it leaves ---

    def _leaving(self, record: OrderRecord) -> None:
        record.state = OrderState.SENT
        self.done.orders += 1
        later = asyncio.get_running_loop().call_later(TOLD_AFTER_S, self._left, record)
        self._untold[record.intent.intent_id] = later
        if record.decided_on is not None:
            self._unpriced.add(record.intent.intent_id)

    def _not_leaving(self, record: OrderRecord) -> None:
        self.done.orders -= 1
        self._unpriced.discard(record.intent.intent_id)
        if (later := self._untold.pop(record.intent.intent_id, None)) is not None:
            later.cancel()

    def _left(self, record: OrderRecord) -> None:
        self.tell(record)
        self._keep_priced(record)

    def _keep_priced(self, record: OrderRecord) -> None:
        """What it was priced with as it left: once, and behind it. The quotes of the decision went before it."""
        intent = record.intent
        if intent.intent_id not in self._unpriced:
            return
        self._unpriced.remove(intent.intent_id)
        try:
            evidence = self.priced(intent.legs, intent.underlying)
        except Exception as error:  # it has left: no trouble with its evidence is trouble with the order
            self._log.warn("ORD", f"not known what it was priced with: {error}", intent.intent_id)
            return
        if evidence is not None:
            self._journal.note(PRICED, intent.intent_id, {"quotes": {"sent": evidence}}, self._clock.now())

    def tell(self, record: OrderRecord) -> None:
        """Say that it was sent: once, and before anything else that is told of the order."""
        intent = record.intent
        later = self._untold.pop(intent.intent_id, None)
        if later is None:
            return
        if intent.intent_id not in self._unpriced:
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
        parts_of(record)  # kept with it: the next decision asks, and its order waits for the answer

    async def _place(self, records: tuple[OrderRecord, ...], ready: ReadyOrders | None) -> None:
        record = records[0]
        try:
            answers = await (self._put(records) if ready is None else ready.leave())
        except Withheld as kept:
            for each in records:
                self._not_leaving(each)
            await self._not_sent(records, Reason(kept.code))
            return
        except BrokerError as refusal:
            await self._refused(records, refusal)
            return
        except OutcomeUnknown as silence:
            await self._lost(records, silence)
            return
        except Exception as error:  # nothing says that it has not left
            await self._lost(records, OutcomeUnknown(f"{type(error).__name__}: {error}"))
            raise
        if record.decided_at is not None:
            record.acknowledged_ms = (self._clock.monotonic() - record.decided_at) * 1000
            self.done.acknowledged.add(record.acknowledged_ms)
        if record.scanned_at is not None:
            self.done.scan_to_ack.add((self._clock.monotonic() - record.scanned_at) * 1000)
        for answer in answers:
            await self._desk.on_order(answer)

    async def _put(self, records: tuple[OrderRecord, ...]) -> tuple[BrokerOrder, ...]:
        if len(records) > 1:
            return await self._broker.place_bracket(tuple(record.intent for record in records))
        record = records[0]
        original = self._ledger.original(record)
        if record.intent.replaces is None:
            return (await self._broker.place(record.intent),)
        if original is None or original.broker_id is None:
            raise InvariantBroken(f"order {record.intent.intent_id} replaces nothing at the broker; nothing was sent")
        return (await self._broker.replace(original.broker_id, record.intent),)

    async def _refused(self, records: tuple[OrderRecord, ...], refusal: BrokerError) -> None:
        record = records[0]
        why = f"{refusal.code or Reason.BROKER_REFUSED.value}: {refusal}"
        failed = await self._move_all(records, OrderState.REJECTED, why)
        # A replacement that came too late is news of its original, no trouble.
        late = record.intent.replaces is not None and refusal.code == TOO_LATE
        write = self._log.info if late else self._log.warn
        write("ORD", f"refused by the broker: {refusal}", record.intent.intent_id, code=refusal.code)
        if failed is not None:
            raise failed

    async def _move_all(self, records: Iterable[OrderRecord], state: OrderState, why: str) -> JournalError | None:
        """All of them, though the disk fails at the first; returns the failure. What stays SENT nobody settles."""
        failed: JournalError | None = None
        for each in records:
            self.tell(each)
            try:
                await self._desk.move(each, state, why)
            except JournalError as error:
                failed = failed or error
        return failed

    async def _lost(self, records: tuple[OrderRecord, ...], silence: OutcomeUnknown) -> None:
        """The stream may have told us meanwhile; only an order still without any news is UNKNOWN."""
        record = records[0]
        lost = [each for each in records if each.state is OrderState.SENT]
        failed = await self._move_all(lost, OrderState.UNKNOWN, str(silence))
        if lost:
            self._log.alarm(
                "ORD",
                f"outcome unknown: {describe_order(record.intent)} ({silence}); not sent again, "
                f"{record.intent.underlying} is frozen until read-back settles it",
                record.intent.intent_id,
            )
        if failed is not None:
            raise failed


class _Building:
    """An order that is built while the disk keeps its intent, unless the disk is faster."""

    def __init__(self, broker: ReadyingBroker, intents: tuple[OrderIntent, ...]) -> None:
        self._broker = broker
        self._intents = intents
        self._ready: ReadyOrders | None = None
        self._over = False

    def begin(self) -> None:
        """The disk is at work: sooner, building the order would only keep it from beginning."""
        if not self._over and self._ready is None:
            self._ready = self._broker.ready(self._intents)

    def taken(self) -> ReadyOrders | None:
        """The intents are on the disk; None when nothing was built meanwhile."""
        self._over = True
        return self._ready

    async def stop(self) -> None:
        """They are not: nothing stays held."""
        self._over = True
        if self._ready is not None:
            await self._ready.drop()


async def _all(rows: list[Awaitable[object]]) -> None:
    """Waits for each row, in whichever order they come; the first failure is raised once all have ended.

    They are queued already and wait for one commit: a task for each would only cost turns of the loop.
    """
    failure: Exception | None = None
    while rows:
        try:
            await rows.pop(0)
        except Exception as error:
            failure = failure or error
        except BaseException:
            for row in rows:
                _forgotten(row)
            raise
    if failure is not None:
        raise failure


def _forgotten(row: Awaitable[object]) -> None:
    """What becomes of a row that nobody waits for any more is no news."""
    if isinstance(row, Coroutine):
        row.close()
    elif isinstance(row, asyncio.Future):
        row.cancel()


def _withdrawn(records: tuple[OrderRecord, ...]) -> Reason | None:
    """A cancel that came before the broker had it: by a person, for a stop, by a kill, by a disarm."""
    for record in records:
        if record.cancel_asked or record.unwanted:
            return Reason.GIVES_WAY if record.gives_way else Reason.USER
        if record.withdrawn is not None:
            return record.withdrawn
    return None


def _check_first(records: tuple[OrderRecord, ...]) -> None:
    for record in records:
        if record.state is not OrderState.INTENT:
            raise InvariantBroken(f"order {record.intent.intent_id} is {record.state.value}: it is sent once only")
