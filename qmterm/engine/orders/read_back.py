"""Read-back: what the account's lists prove of our orders, and what has to be asked for by its number.

The trap: the lists show what was received or changed of late. A GTC order that rests for weeks is in none of them, and
neither is one that ended while nobody looked: absence proves something only of what the lists would have shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import timedelta

from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import BrokerError, OutcomeUnknown
from qmterm.core.orders import AccountState, BrokerOrder, OrderState
from qmterm.core.protocols import Broker
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.placing import Told
from qmterm.engine.orders.structure import may_still_fill
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import describe_order

ASK_AGAIN_S = 300.0  # real seconds between two questions for one order that works on in no list
FILLS_PATIENCE_S = 120.0  # real seconds that a filled order's missing fills are waited for
GONE = "the broker does not know it any more"  # why an order counts as removed; it may still turn up
SEARCH_DAYS = 90  # so far back an order whose number we never learnt is looked for


def may_turn_up(record: OrderRecord) -> bool:
    """True for an order whose end is our own conclusion, not the broker's word."""
    gone = record.state is OrderState.REMOVED and record.reason == GONE
    return gone or record.state is OrderState.NOT_ACCEPTED


class ReadBack:
    def __init__(
        self, broker: Broker, ledger: Ledger, book: Book, clock: Clock, log: RunLog, window_s: float, desk: Told
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._book = book
        self._clock = clock
        self._log = log
        self._window_s = window_s
        self._desk = desk

    async def take(self, state: AccountState, began_at: float | None) -> None:
        """OrderDesk.read_back. A reading that began before the outcome was lost proves no absence."""
        await self._desk.on_orders(state.orders)
        if not state.complete:
            return
        began = self._clock.monotonic() if began_at is None else began_at
        held = {position.symbol: position.quantity for position in state.positions}
        listed = {order.broker_id for order in state.orders}
        unlisted = []
        for record in self._ledger.working:
            if record.broker_id is not None:
                if record.broker_id in listed:
                    record.absent_since = record.missing_since = None
                elif self._ask_now(record, began):
                    unlisted.append(record)
            elif record.state is OrderState.UNKNOWN and began >= record.unknown_since:
                await self._judge(record, held, began)
        await asyncio.gather(*(self._look_up(record) for record in unlisted))

    # --- an order without a number: found anywhere = accepted, absent twice = not accepted ---

    async def _judge(self, record: OrderRecord, held: dict[str, int], began: float) -> None:
        intent = record.intent
        moved = any(held.get(leg.symbol, 0) != self._book.quantity(leg.symbol) for leg in intent.legs)
        if moved:
            record.absent_since = None
            if record.moved_since is None:
                record.moved_since = began
            self._tell_moved(record)
        else:
            record.moved_since = None
            if record.absent_since is None:
                record.absent_since = began
        # From the beginning of one reading to the beginning of the other: two that overlap are one look.
        since = record.moved_since if moved else record.absent_since
        if since is None or began - since < self._window_s or not await self._nowhere(record):
            return
        if moved:
            text = "in no list of two complete read-backs; what the position moved by is adopted as a difference"
            self._log.alarm("ORD", f"given up: {describe_order(intent)}: {text}", intent.intent_id)
            await self._desk.move(record, OrderState.NOT_ACCEPTED, text)
            return
        text = f"not accepted: {describe_order(intent)}; never sent again, watched until the session ends"
        self._log.warn("ORD", text, intent.intent_id)
        await self._desk.move(record, OrderState.NOT_ACCEPTED, "absent from two complete read-backs")

    def _tell_moved(self, record: OrderRecord) -> None:
        if not record.alarmed:
            record.alarmed = True
            text = f"unknown order is in no list, but the position moved: {describe_order(record.intent)}"
            self._log.alarm("ORD", text, record.intent.intent_id)

    async def _nowhere(self, record: OrderRecord) -> bool:
        """True once it is certain that the lists would show it: one of an earlier day is searched for from that day."""
        today, day = et_date(self._clock.now()), et_date(record.intent.created_ns)
        if day >= today:
            return True
        try:
            found, complete = await self._broker.orders_since(max(day, today - timedelta(days=SEARCH_DAYS)))
        except (BrokerError, OutcomeUnknown) as error:
            self._log.warn("ORD", f"the orders since {day} could not be read: {error}", record.intent.intent_id)
            return False
        for order in found:
            if self._ledger.find(order) is record:  # what others did so long ago is in the book already
                await self._desk.on_order(order)
        return complete and record.state is OrderState.UNKNOWN

    # --- an order with a number that no list shows ---

    def _ask_now(self, record: OrderRecord, began: float) -> bool:
        """The second complete reading without it; again after a while, sooner when the broker did not know it."""
        if record.absent_since is None:
            record.absent_since = began
            return False
        if began <= record.absent_since:
            return False
        if record.missing_since is not None:
            return began - record.missing_since >= self._window_s
        return record.looked_up_at is None or began - record.looked_up_at >= ASK_AGAIN_S

    async def _look_up(self, record: OrderRecord) -> None:
        intent, number, asked_at = record.intent, record.broker_id or "", self._clock.monotonic()
        try:
            order = await self._broker.order(number)
        except (BrokerError, OutcomeUnknown) as error:
            self._log.warn("ORD", f"order {number} could not be looked up: {error}", intent.intent_id)
            return
        if order is not None and await self._is(record, order):
            record.looked_up_at, record.missing_since = asked_at, None
            return
        if not record.working:
            return  # its end was told while we asked
        if record.missing_since is None:
            record.missing_since = asked_at
        elif asked_at - record.missing_since >= self._window_s:
            text = f"counts as removed: {describe_order(intent)}; the broker has no order {number}, look at the account"
            self._log.alarm("ORD", text, intent.intent_id)  # before its row: that may fail, and the order is gone
            await self._desk.move(record, OrderState.REMOVED, GONE)

    async def _is(self, record: OrderRecord, order: BrokerOrder) -> bool:
        """Count what the answer tells; False when the number names another order (a sandbox that began anew)."""
        return await self._desk.on_order(order) is record


def awaited(ledger: Ledger, differing: Collection[str], monotonic: float) -> str:
    """What may still explain differences (by symbol, "" is cash) by itself; "" when nothing does.

    Adopting them now would count an order's fills twice when they turn up.
    """
    if not differing:
        return ""
    if ledger.unknown:
        return "an order's outcome is still unknown; its differences wait for it"
    symbols = set(differing)
    for record in ledger.records:
        legs = {leg.symbol for leg in record.intent.legs}
        if not (legs & symbols or "" in symbols):
            continue
        if _lacks_fills(record, monotonic):
            return f"not all fills of {describe_order(record.intent)} were told yet; its differences wait for them"
        if legs & symbols and _unanswered(record):
            return f"what became of {describe_order(record.intent)} is asked; its differences wait for it"
    return ""


def _lacks_fills(record: OrderRecord, monotonic: float) -> bool:
    """Filled, says the broker, and some of its fills are still on their way; not for ever: then they were lost."""
    since = max(record.known_since, record.filled_at)
    return record.state is OrderState.FILLED and may_still_fill(record) and monotonic - since < FILLS_PATIENCE_S


def _unanswered(record: OrderRecord) -> bool:
    """In no list, and the broker has not answered since what it is now."""
    if not record.working or record.broker_id is None or record.absent_since is None:
        return False
    return record.looked_up_at is None or record.looked_up_at < record.absent_since
