"""Cancels: asked for once, confirmed by nobody but the broker's own word on the order.

The trap: of a bracket only the whole can be cancelled, and several of its orders may be wanted gone in the same moment.
"""

from __future__ import annotations

from qmterm.core.clock import Clock
from qmterm.core.errors import BrokerError, OutcomeUnknown
from qmterm.core.orders import OrderState
from qmterm.core.protocols import Broker
from qmterm.engine.orders.ledger import CANCEL_REST_NS, Ledger, OrderRecord
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import describe_order


class Cancelling:
    def __init__(self, broker: Broker, ledger: Ledger, clock: Clock, log: RunLog) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._going: set[str] = set()  # brackets whose cancel has no answer yet

    async def cancel(self, record: OrderRecord, why: str) -> str:
        """Ask once for a cancel; returns one sentence. The end comes from the broker."""
        if not record.working:
            return f"{describe_order(record.intent)} is already {record.state.value}"
        if record.state is OrderState.INTENT:
            record.cancel_asked = True  # still in our queue: it will not leave
            return f"{describe_order(record.intent)} is not sent"
        if record.broker_id is None and record.state is OrderState.SENT and (record.unwanted or record.withdrawn):
            return f"cancel asked for {describe_order(record.intent)}: on its way, kept back unless it has left already"
        if record.broker_id is None:
            return f"{describe_order(record.intent)} has no broker id yet ({record.state.value}): read-back comes first"
        complex_id = record.complex_id
        if complex_id in self._going:
            return f"cancel asked for {describe_order(record.intent)}, with its bracket"
        group = [record] if complex_id is None else [r for r in self._ledger.bracket(record) if r.working]
        for each in group:
            each.cancel_asked, each.cancel_asked_at = True, self._clock.monotonic()
            each.cancels_out += 1
        try:
            if complex_id is None:
                await self._broker.cancel(record.broker_id)
            else:
                self._going.add(complex_id)
                await self._broker.cancel_bracket(complex_id)
        except BrokerError as refusal:
            self._cancel_failed(group)
            self._log.warn("ORD", f"cancel refused: {refusal}", record.intent.intent_id)
            return f"cancel refused: {refusal}"
        except OutcomeUnknown as silence:
            self._cancel_failed(group)
            self._log.warn("ORD", f"cancel not confirmed: {silence}", record.intent.intent_id)
            return f"cancel not confirmed: {silence}"
        finally:
            self._going.discard(complex_id or "")
            for each in group:
                each.cancels_out -= 1
        self._log.info("ORD", f"cancel asked ({why}) {describe_order(record.intent)}", record.intent.intent_id)
        return f"cancel asked for {describe_order(record.intent)}"

    def _cancel_failed(self, group: list[OrderRecord]) -> None:
        """Cancelling twice is harmless; the next poll shows what became of it."""
        for each in group:
            each.cancel_asked = False
            each.cancel_rests_until_ns = self._clock.now() + CANCEL_REST_NS
