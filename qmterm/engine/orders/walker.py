"""Walking what works: entries and exits step toward the market by replacing themselves, one replace at a time.

The trap: a step is made only on certain ground. While a cancel or replace is out, an outcome is unknown, the quote is
not believed or the ladder forbids the order, the price stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from qmterm.core.clock import NS
from qmterm.core.instruments import risk_root
from qmterm.core.orders import OrderIntent, OrderKind, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.engine.ladder import Level
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.walking import Grid, furthest, next_price
from qmterm.engine.trader import Trader
from qmterm.risk.price_sanity import natural_price

EXITS = (Purpose.EXIT, Purpose.SCALE_OUT)


class Walker:
    def __init__(self, trader: Trader) -> None:
        self._trader = trader

    def step(self) -> None:
        """Send every step that is due now."""
        trader = self._trader
        if not trader.settings.walk or not trader.market_open():
            return
        for record, price in list(self._due()):
            trader.replace_order(record, repriced(trader.desk.ledger, record, price, trader.clock.now()))

    def walks(self, record: OrderRecord) -> bool:
        """True for an order whose price the machine may change without cancelling it."""
        intent = record.intent
        if (
            not self._trader.settings.walk
            or record.external
            or intent.role is not None
            or intent.kind is not OrderKind.LIMIT
        ):
            return False
        if intent.purpose is Purpose.ENTRY:
            return intent.worst_price is not None
        if intent.purpose not in EXITS:
            return False
        if intent.worst_price is not None:
            return True
        return self._trader.mode is Mode.AUTO and intent.reason is not Reason.USER  # a person's own price stands

    def reprices(self, record: OrderRecord) -> bool:
        """An exit that gets its next price by a replace; else, or once the broker refused one, it must be cancelled."""
        if self._trader.mode is not Mode.AUTO or not self.walks(record) or not whole(record) or self._stuck(record):
            return False
        tried = self._trader.desk.ledger.replacing(record)
        return not tried or tried[-1].state is not OrderState.REJECTED

    def _stuck(self, record: OrderRecord) -> bool:
        """The whole has no price to leave at, but what was sold of it has: that leaves alone (exits.py).

        Else it waits where it is: nothing could leave in its place.
        """
        legs, units = record.intent.legs, record.intent.quantity
        sold = tuple(leg for leg in legs if leg.action.buys)
        quotes = self._trader.quotes_of(legs)
        unpriced = natural_price(legs, units, quotes) is None
        return unpriced and bool(sold) and natural_price(sold, units, quotes) is not None

    def _due(self) -> Iterator[tuple[OrderRecord, Decimal]]:
        desk, now = self._trader.desk, self._trader.clock.now()
        for chain in desk.ledger.chains:
            record = chain[0]
            alone = len(chain) == 1 and desk.replaceable(record) and not record.unwanted and whole(record)
            if alone and self.walks(record) and self._allowed(record, now) and now >= self._next_ns(record):
                price = self._price(record, now)
                if price is not None:
                    yield record, price

    def _allowed(self, record: OrderRecord, now: int) -> bool:
        trader = self._trader
        if record.intent.purpose is not Purpose.ENTRY:
            return trader.ladder.level is not Level.HALT and trader.closing_refusal() is None
        old = now - trader.desk.ledger.root(record).worked_from_ns >= int(trader.settings.entry_timeout_s * NS)
        frozen = {risk_root(name) for name in trader.frozen}
        return not old and trader.entry_refusal() is None and risk_root(record.intent.underlying) not in frozen

    def _next_ns(self, record: OrderRecord) -> int:
        """When the price may change again; a stop gives its price the time that exits are re-priced after."""
        settings = self._trader.settings
        pace = settings.exit_reprice_s if self._urgent(record.intent) else settings.walk_every_s
        latest = max((r.intent.created_ns for r in self._trader.desk.ledger.replacing(record)), default=0)
        return max(record.intent.created_ns, latest) + int(pace * NS)

    @staticmethod
    def _urgent(intent: OrderIntent) -> bool:
        return intent.purpose is Purpose.EXIT and intent.reason is not Reason.USER

    def _price(self, record: OrderRecord, now: int) -> Decimal | None:
        intent, trader = record.intent, self._trader
        quotes = trader.quotes_of(intent.legs)
        urgent = self._urgent(intent)
        if not urgent and any(trader.marks.doubt(leg.symbol, now) is not None for leg in intent.legs):
            return None
        grid = Grid(intent.legs, trader.ticks.of(intent.legs[0].symbol))
        bound = furthest(grid, intent.quantity, quotes, intent.worst_price)
        if bound is None or intent.net_price is None:
            return None
        if urgent:
            return bound if bound < intent.net_price else None
        return next_price(grid, intent.net_price, bound, trader.settings.walk_ticks)


def repriced(ledger: Ledger, record: OrderRecord, price: Decimal, now_ns: int) -> OrderIntent:
    """The same order at another price, for what is still open of it, to take its place."""
    intent, units = record.intent, record.remaining_units
    loss = intent.max_loss
    return replace(
        intent,
        intent_id=ledger.next_id(record, now_ns),
        created_ns=now_ns,
        legs=tuple(replace(leg, quantity=leg.quantity // intent.quantity * units) for leg in intent.legs),
        quantity=units,
        net_price=price,
        max_loss=None if loss is None else loss * units / intent.quantity,
        replaces=intent.intent_id,
    )


def whole(record: OrderRecord) -> bool:
    """Something is open, in whole units: legs that filled unequally have no net price any more."""
    intent, units = record.intent, record.remaining_units
    return units > 0 and all(
        record.remaining(leg.symbol) * intent.quantity == leg.quantity * units for leg in intent.legs
    )
