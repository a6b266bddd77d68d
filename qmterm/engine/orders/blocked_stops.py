"""Stops that cannot leave, all or part, as a person's order closes it already or the gate refuses: said once, loudly.

Such an order is the person's: the machine neither moves nor cancels it. The trap: a limit far from the market looks
like a close and protects nothing, so silence here would be a stop that never comes.
"""

from __future__ import annotations

from collections.abc import Iterable

from qmterm.core.orders import OrderIntent
from qmterm.core.reasons import Reason
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import describe_order, structure_label
from qmterm.risk.verdict import Verdict


class BlockedStops:
    def __init__(self, ledger: Ledger, log: RunLog) -> None:
        self._ledger = ledger
        self._log = log
        self._told: set[tuple[str, str]] = set()  # position and order
        self._idle: set[str] = set()  # positions of which that was said
        self._refused: dict[tuple[str, str], str] = {}  # position and legs -> the gate's last word

    def look(self, guards: Iterable[Guard], waited_since_ns: int, waiting: Iterable[Guard]) -> None:
        """`guards` are those whose stop wants to close more than is free; of those `waiting` no order could be made.

        Orders younger than `waited_since_ns` (market time) may be about to fill: they block nothing yet.
        """
        blocked = {
            (guard.state.position_id, record.intent.intent_id): (guard, record)
            for guard in guards
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
        idle = {guard.state.position_id: guard for guard in waiting}
        behind_a_person = {position for position, _ in blocked}
        for position, guard in idle.items():
            if position not in self._idle | behind_a_person:
                self._tell_idle(guard)
        self._idle = set(idle) - behind_a_person  # told once that order is gone

    def _tell_idle(self, guard: Guard) -> None:
        reason = guard.reason or guard.state.latched
        text = f"{reason.value if reason else ''} of {structure_label(guard.legs)} has no order yet: "
        text += "not all of it is priced and free to close"
        if len(guard.legs) > 1:
            text += "; what was sold is bought back alone where it can be"
        self._log.alarm("STOP", text, guard.symbol)

    def answered(self, intent: OrderIntent, verdict: Verdict) -> None:
        """What the gate said of a protective order of the machine's: a no is an alarm, once a position and reason."""
        name = intent.plan_id, "+".join(leg.symbol for leg in intent.legs)
        if verdict.approved:
            self._refused.pop(name, None)
            return
        code = verdict.reason.value if verdict.reason else ""
        if verdict.reason is Reason.LADDER_HALT:
            return  # a person's own word, and the header says it
        if self._refused.get(name) != code:
            text = f"cannot leave ({code}: {verdict.sentence}): {describe_order(intent)}"
            self._log.alarm("STOP", text, intent.legs[0].symbol, reason=code)
        self._refused[name] = code


def _of_a_person(record: OrderRecord) -> bool:
    return record.external or (record.intent.reason is Reason.USER and not record.intent.rests)


def _closes(record: OrderRecord, guard: Guard) -> bool:
    return any(leg.symbol in guard.symbols and not leg.action.opens for leg in record.intent.legs)
