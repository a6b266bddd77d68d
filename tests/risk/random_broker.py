"""The market and the broker of a random account: fills in any order and part, legs alone, ends, replaced orders.

It only ever does what a true broker could: of two orders that take each other's place one fills, an exit sells what its
entry brought, a close what is held. All is told to the desk as full objects, as the account stream does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from random import Random

from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import BracketRole, BrokerOrder, Fill, OrderState
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.walker import whole
from tests.risk.random_floor import Floor, at_once

SPOT = 100
_S = OrderState


class RandomBroker:
    """What happens to the orders of one floor; `story` tells it."""

    dice: Random
    book: Book
    floor: Floor
    ledger: Ledger

    def __init__(self) -> None:
        self._tale: list[Callable[[], str]] = []
        self._fills = 0

    @property
    def story(self) -> list[str]:
        return [line() for line in self._tale]

    def _say(self, text: str) -> None:
        self._tale.append(lambda: text)

    def ask(self, symbol: str) -> float | None:
        quote = self.floor.quotes.quote(symbol)
        return None if quote is None else quote.ask

    def bid(self, symbol: str) -> float | None:
        quote = self.floor.quotes.quote(symbol)
        return None if quote is None else quote.bid

    @property
    def _now(self) -> int:
        return self.floor.clock.now_ns

    def _some(self, fits: Callable[[OrderRecord], bool]) -> OrderRecord | None:
        found = [record for record in self.ledger.working if fits(record)]
        return self.dice.choice(found) if found else None

    def _original(self, record: OrderRecord) -> OrderRecord:
        return self.ledger.original(record) or record

    def send(self, fresh: list[OrderRecord]) -> None:
        """What its lane would do: it is sent, and answered, or not."""
        first = fresh[0]
        answer = self.dice.choices((_S.LIVE, _S.SENT, _S.UNKNOWN), (6, 1, 1))[0]
        for record in fresh:
            record.state = _S.SENT
            if answer is _S.UNKNOWN:
                record.state = _S.UNKNOWN
            elif answer is _S.LIVE:
                waits = record.intent.replaces is not None or (record is not first and first.intent.role is not None)
                self._tell(record, _S.CONTINGENT if waits and first.intent.role is not BracketRole.STOP else _S.LIVE)
        original = self.ledger.original(first)
        if original is not None and answer is _S.LIVE:
            self._tell(original, _S.REPLACE_REQUESTED)

    def fill(self) -> None:
        record = self._some(self._can_fill)
        if record is None:
            return
        units = self.dice.randint(1, self._fillable(record))
        self._say(f"{record.intent.intent_id} fills {units}")
        self._execute(record, {leg.symbol: units for leg in record.intent.legs})

    def break_legs(self) -> None:
        """One leg of a spread alone: what the exchange should not do, and what no gate prevents."""
        record = self._some(lambda r: len(r.intent.legs) > 1 and self._can_fill(r))
        if record is not None and self.dice.random() < 0.3:
            leg = self.dice.choice(record.intent.legs)
            self._say(f"{record.intent.intent_id}: only {leg.symbol} fills")
            self._execute(record, {leg.symbol: 1})

    def end(self) -> None:
        record = self._some(lambda _record: True)
        if record is None:
            return
        self._say(f"{record.intent.intent_id} is cancelled")
        self._tell(record, _S.CANCELLED)
        self._end_of(record)

    def settle(self) -> None:
        """The broker says which of two orders stands: the new one takes over, or it comes too late."""
        record = self._some(lambda r: r.intent.replaces is not None and self._original(r).working)
        if record is None:
            return
        original = self._original(record)
        if self.dice.random() < 0.7:
            self._say(f"{record.intent.intent_id} takes over")
            left = original.remaining_units
            self._tell(original, _S.CANCELLED)
            self._tell(record, _S.LIVE, units=left)
        else:
            self._say(f"{record.intent.intent_id} comes too late")
            self._tell(record, self.dice.choice((_S.REMOVED, _S.REJECTED)))
            self._tell(original, _S.LIVE)

    def _can_fill(self, record: OrderRecord) -> bool:
        return self._fillable(record) > 0

    def _fillable(self, record: OrderRecord) -> int:
        """Whole units that a true broker could fill of it now."""
        if not whole(record):
            return 0
        intent, units = record.intent, record.remaining_units
        if intent.replaces is not None and self._original(record).working:
            return 0  # its original stands still
        if intent.replaces is not None and self._original(record).state is _S.FILLED:
            return 0  # a fill of the original aborts what was to take its place (PROTOCOLS.md 10.3)
        for leg in intent.legs:
            if not leg.action.opens:
                held = self.book.quantity(leg.symbol) * -leg.action.sign
                units = min(units, held // (leg.quantity // intent.quantity))
        trigger = self.ledger.trigger(record)
        if trigger is not None:
            done = sum(each.filled_units for each in self.ledger.bracket(record) if each.intent.rests)
            units = min(units, trigger.filled_units - done)
        return max(0, units)

    def _execute(self, record: OrderRecord, units: dict[str, int]) -> None:
        intent = record.intent
        # Each leg near its worth now, the first one carries what the limit differs by.
        first, limit = intent.legs[0], intent.counted_price
        each = {leg.symbol: leg.quantity // intent.quantity for leg in intent.legs}
        across = [leg.symbol for leg in intent.legs if leg.action.buys != first.action.buys]
        prices = {s: worth_now(s) + 1 if s in across or s == first.symbol else Decimal("0.05") for s in each}
        if limit is not None:
            while True:
                total = sum(-leg.action.sign * prices[leg.symbol] * each[leg.symbol] for leg in intent.legs)
                fits = prices[first.symbol] - first.action.sign * (limit - total) / each[first.symbol]
                if fits > 0:
                    break
                prices[across[0]] += 1
            prices[first.symbol] = fits
        elif first.action.buys:
            prices[first.symbol] = max(Decimal(str(self.ask(first.symbol) or 0)), intent.stop_trigger or Decimal(0))
        made = []
        for leg in intent.legs:
            if leg.symbol in units:
                self._fills += 1
                count = units[leg.symbol] * each[leg.symbol]
                made.append(Fill(f"f{self._fills}", "1", leg.symbol, leg.action, count, prices[leg.symbol], self._now))
        filled = {fill.symbol: fill.quantity for fill in made}
        done = all(record.filled(leg.symbol) + filled.get(leg.symbol, 0) >= leg.quantity for leg in intent.legs)
        alive = record.state if record.state in (_S.REPLACE_REQUESTED, _S.CANCEL_REQUESTED) else _S.LIVE
        self._tell(record, _S.FILLED if done else alive, tuple(made))
        self._end_of(record)
        broken = len(units) < len(intent.legs)
        for other in self.ledger.replacing(record):  # it came too late, or will be told so in a moment
            if other.working and (broken or self.dice.random() < 0.5):
                self._tell(other, _S.REMOVED)

    def _end_of(self, record: OrderRecord) -> None:
        """What a change of one order of a bracket does to the others."""
        if record.intent.role is None:
            return
        for other in self.ledger.bracket(record):
            if other is record or not other.working:
                continue
            if record.intent.rests and other.intent.rests and record.fills:
                self._tell(other, _S.CANCELLED)
            elif record.intent.role is BracketRole.TRIGGER and not record.working:
                self._tell(other, _S.LIVE if record.state is _S.FILLED else _S.CANCELLED)

    def _tell(
        self, record: OrderRecord, state: OrderState, fills: tuple[Fill, ...] = (), units: int | None = None
    ) -> None:
        """The broker's full object of one order, as the stream would bring it."""
        intent, size = record.intent, units or record.intent.quantity
        legs = tuple(replace(leg, quantity=leg.quantity // intent.quantity * size) for leg in intent.legs)
        at_once(
            self.floor.desk.on_order(
                BrokerOrder(
                    record.broker_id or f"b-{intent.intent_id}", intent.intent_id, "1", intent.underlying, state, legs,
                    (*record.fills.values(), *fills), intent.net_price, "Day", 0, 0,
                )
            )
        )  # fmt: skip


@lru_cache(maxsize=1024)
def worth_now(symbol: str) -> Decimal:
    if not is_option(symbol):
        return Decimal(SPOT)
    contract = parse_option(symbol)
    return max(Decimal(0), contract.right.sign * (SPOT - contract.strike)) + Decimal("0.10")
