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
    """The closes that wait: a person's each by itself, the machine's by symbol and plan, as it asks anew each turn.

    The goals behind those live in the journal (exits.py).
    """

    def __init__(self, desk: OrderDesk, lanes: Lanes, clock: Clock, log: RunLog) -> None:
        self._desk = desk
        self._lanes = lanes
        self._clock = clock
        self._log = log
        self._held: dict[tuple[str, ...], Held] = {}
        self._queued: set[str] = set()
        self.drops = 0  # how often all that waited was called off

    def blocked(self, intent: OrderIntent) -> bool:
        return any(self._desk.ledger.resting(leg.symbol) for leg in intent.legs)

    def waits(self, symbol: str) -> bool:
        return any(leg.symbol == symbol for held in self._held.values() for leg in held.intent.legs)

    def holds(self, intent_id: str) -> bool:
        """True for a close of a person's that waits."""
        return (intent_id,) in self._held

    def covers(self, intent: OrderIntent) -> bool:
        """True when what waits of a person's closes as much of this trade."""
        asked = self._asked_of(_trade(intent)).values()
        return intent.legs[0].quantity <= sum(held.intent.legs[0].quantity for held in asked)

    def answered(self, intent: OrderIntent) -> bool:
        """True when a person said yes to this very close already, for the same reason, and it waits."""
        sides = {(leg.symbol, leg.action) for leg in intent.legs}
        same = [
            held.intent.legs[0].quantity
            for held in self._asked_of(_trade(intent)).values()
            if held.intent.reason is intent.reason and {(leg.symbol, leg.action) for leg in held.intent.legs} == sides
        ]
        return intent.legs[0].quantity <= sum(same)

    def _asked_of(self, trade: tuple[str, str]) -> dict[tuple[str, ...], Held]:
        return {key: held for key, held in self._held.items() if held.by_person and _trade(held.intent) == trade}

    def words(self, intent: OrderIntent, verb: str) -> str:
        """How an answer to a person begins."""
        if self.holds(intent.intent_id):
            return "cancelling the exit that rests at the broker; once it is gone, sending"
        return verb

    def hold(self, intent: OrderIntent, *, by_person: bool) -> None:
        trade, now = _trade(intent), self._clock.now()
        if by_person:
            self._held.pop(trade, None)  # asked anew in the next turn, beside this one
            self._wait((intent.intent_id,), Held(intent, by_person, now))
            return
        if self.covers(intent):
            return  # it goes first
        for key, held in self._asked_of(trade).items():
            del self._held[key]
            text = f"in its place, as it closes more: {describe_order(intent)}"
            self._log.warn("ORD", f"not sent: {describe_order(held.intent)}; {text}", held.intent.intent_id)
        before = self._held.get(trade)
        self._wait(trade, Held(intent, by_person, now if before is None else before.since_ns))

    def _wait(self, key: tuple[str, ...], held: Held) -> None:
        self._held[key] = held
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
        return tuple(self._dropped(held, why) for held in dropped)

    def drop_one(self, intent_id: str, why: str) -> str | None:
        """Forget a close of a person's that waits; the sentence, None when none of that id does."""
        held = self._held.pop((intent_id,), None)
        return None if held is None else self._dropped(held, why)

    def _dropped(self, held: Held, why: str) -> str:
        text = f"not sent ({why}): {describe_order(held.intent)}"
        self._log.warn("ORD", text, held.intent.intent_id)
        return text

    def released(self) -> Iterator[Held]:
        """Closes whose way is free now; the others' cancels are asked again where they came to nothing."""
        for key, held in list(self._held.items()):
            blocked = self.blocked(held.intent)
            if blocked and self._clock.now() - held.since_ns < PATIENCE_NS:
                self._clear(held)
                continue
            del self._held[key]
            if not blocked:
                yield held
                continue
            text = f"not sent: what rests at the broker does not go away: {describe_order(held.intent)}"
            self._log.alarm("ORD", text, held.intent.intent_id)

    def _clear(self, held: Held) -> None:
        for leg in held.intent.legs:
            for record in self._desk.ledger.resting(leg.symbol):
                self.ask(record, "makes way for a close")


def _trade(intent: OrderIntent) -> tuple[str, str]:
    return intent.legs[0].symbol, intent.plan_id
