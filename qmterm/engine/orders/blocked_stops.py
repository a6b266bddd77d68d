"""Stops that cannot leave, because an order that a person placed closes their position already: said once, loudly.

Such an order is the person's: the machine neither moves nor cancels it. The trap: a limit far from the market looks
like a close and protects nothing, so silence here would be a stop that never comes.
"""

from __future__ import annotations

from collections.abc import Iterable

from qmterm.core.reasons import Reason
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import describe_order, structure_label


class BlockedStops:
    def __init__(self, ledger: Ledger, log: RunLog) -> None:
        self._ledger = ledger
        self._log = log
        self._told: set[tuple[str, str]] = set()  # position and order

    def look(self, guards: Iterable[Guard], waited_since_ns: int) -> None:
        """Orders younger than `waited_since_ns` (market time) may be about to fill: they block nothing yet."""
        blocked = {
            (guard.state.position_id, record.intent.intent_id): (guard, record)
            for guard in guards
            if guard.goal > 0 or guard.state.latched is not None
            for record in self._ledger.working
            if record.worked_from_ns <= waited_since_ns and _of_a_person(record) and _closes(record, guard)
        }
        for name, (guard, record) in blocked.items():
            if name not in self._told:
                reason = guard.reason or guard.state.latched
                text = (
                    f"{reason.value if reason else ''} of {structure_label(guard.legs)} waits behind an order of yours"
                )
                text += f" ({describe_order(record.intent)}): cancel it to let the stop out"
                self._log.alarm("STOP", text, guard.symbol, order=record.intent.intent_id)
        self._told = set(blocked)


def _of_a_person(record: OrderRecord) -> bool:
    return record.external or (record.intent.reason is Reason.USER and not record.intent.rests)


def _closes(record: OrderRecord, guard: Guard) -> bool:
    return any(leg.symbol in guard.symbols and not leg.action.opens for leg in record.intent.legs)
