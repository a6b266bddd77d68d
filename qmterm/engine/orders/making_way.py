"""A close that finds our own exits resting at the broker: they are cancelled first, and it leaves when they are gone.

The broker refuses a second close while one works (PROTOCOLS.md 10.5). The trap: an exit may fill while its cancel is on
the way; so what waits here is judged anew when it leaves, against what is held then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qmterm.core.clock import NS, Clock
from qmterm.core.orders import OrderIntent, OrderState
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.lanes import Lanes
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import describe_order

PATIENCE_NS = 60 * NS  # market time; a price that was wished for longer ago is nobody's wish any more


@dataclass(frozen=True, slots=True)
class Held:
    intent: OrderIntent
    by_person: bool
    since_ns: int


class MakingWay:
    """The closes that wait, by symbol; the goals behind the machine's own live in the journal (exits.py)."""

    def __init__(self, desk: OrderDesk, lanes: Lanes, clock: Clock, log: RunLog) -> None:
        self._desk = desk
        self._lanes = lanes
        self._clock = clock
        self._log = log
        self._held: dict[str, Held] = {}
        self._queued: set[str] = set()
        self.drops = 0  # how often all that waited was called off

    def blocked(self, intent: OrderIntent) -> bool:
        return any(self._desk.ledger.resting(leg.symbol) for leg in intent.legs)

    def waits(self, symbol: str) -> bool:
        return symbol in self._held

    def words(self, intent: OrderIntent, verb: str) -> str:
        """How an answer to a person begins."""
        if verb == "sending" and self.blocked(intent):
            return "cancelling the exit that rests at the broker; once it is gone, sending"
        return verb

    def hold(self, intent: OrderIntent, *, by_person: bool) -> None:
        symbol, since = intent.legs[0].symbol, self._clock.now()
        before = self._held.get(symbol)
        if before is not None and before.by_person and not by_person:
            if _count(intent, symbol) <= _count(before.intent, symbol):
                self._clear(before)  # a person's close takes as much: it goes first
                return
            text = f"in its place, as it closes more: {describe_order(intent)}"
            self._log.warn("ORD", f"not sent: {describe_order(before.intent)}; {text}", before.intent.intent_id)
        if before is not None and not by_person and _same(before, intent):
            since = before.since_ns  # the machine asks anew each turn: it is still the same wait
        held = self._held[symbol] = Held(intent, by_person, since)
        self._clear(held)

    def ask(self, record: OrderRecord, why: str) -> None:
        """Have an exit of ours cancelled, unless that is on its way already or cannot be asked yet."""
        if record.state in (OrderState.SENT, OrderState.UNKNOWN) or record.intent.intent_id in self._queued:
            return
        if record.cancelling(self._clock.monotonic(), self._clock.now()):
            return
        self._queued.add(record.intent.intent_id)

        async def job() -> None:
            try:
                if not record.cancelling(self._clock.monotonic(), self._clock.now()):  # by its sibling, meanwhile
                    await self._desk.cancel(record, why)
            finally:
                self._queued.discard(record.intent.intent_id)

        self._lanes.exit(job, record.intent.underlying)

    def drop(self, why: str) -> tuple[str, ...]:
        """Forget every close that waits and say so; the sentences. What is asked afterwards waits anew."""
        self.drops += 1
        dropped, self._held = tuple(self._held.values()), {}
        said = []
        for held in dropped:
            said.append(f"not sent ({why}): {describe_order(held.intent)}")
            self._log.warn("ORD", said[-1], held.intent.intent_id)
        return tuple(said)

    def released(self) -> Iterator[Held]:
        """Closes whose way is free now; the others' cancels are asked again where they came to nothing."""
        for symbol, held in list(self._held.items()):
            blocked = self.blocked(held.intent)
            if blocked and self._clock.now() - held.since_ns < PATIENCE_NS:
                self._clear(held)
                continue
            del self._held[symbol]
            if not blocked:
                yield held
                continue
            text = f"not sent: what rests at the broker does not go away: {describe_order(held.intent)}"
            self._log.alarm("ORD", text, held.intent.intent_id)

    def _clear(self, held: Held) -> None:
        for leg in held.intent.legs:
            for record in self._desk.ledger.resting(leg.symbol):
                self.ask(record, "makes way for a close")


def _same(held: Held, intent: OrderIntent) -> bool:
    legs = [(leg.symbol, leg.action) for leg in intent.legs]
    before = [(leg.symbol, leg.action) for leg in held.intent.legs]
    return not held.by_person and (held.intent.plan_id, before) == (intent.plan_id, legs)


def _count(intent: OrderIntent, symbol: str) -> int:
    return sum(leg.quantity for leg in intent.legs if leg.symbol == symbol)
