"""What a real broker checks before it takes an order, and the dollars an opening order ties up. No state of its own."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Protocol

from qmterm.broker.paper_book import PaperBook
from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import BrokerError
from qmterm.core.matching import natural_price, unit_ratios
from qmterm.core.order_rules import rules_fault
from qmterm.core.orders import Action, OrderIntent
from qmterm.core.protocols import QuoteSource


class FillFees(Protocol):
    """core.fees.fill_fees, or a table in tests: dollars one execution costs."""

    def __call__(
        self, symbol: str, action: Action, quantity: int, price: Decimal, day: date, already_opened_in_order: int = 0
    ) -> Decimal: ...


def check_order(intent: OrderIntent, book: PaperBook, without: str = "", *, waits: bool = False) -> None:
    """BrokerError for an order that no broker takes: bad legs, a price on the wrong side, a close of too much.

    `without` the order it replaces; `waits`: an exit behind a trigger, whose position is not there yet.
    """
    if not intent.legs or intent.quantity <= 0:
        raise BrokerError(f"paper order {intent.intent_id} has no legs or quantity", "bad_order")
    fault = rules_fault(intent)
    if fault is not None:
        raise BrokerError(f"paper order {intent.intent_id} was not placed: {fault}", "bad_order")
    once = len({leg.symbol for leg in intent.legs}) == len(intent.legs)
    if not once or any(leg.quantity <= 0 for leg in intent.legs) or unit_ratios(intent.legs)[0] != intent.quantity:
        raise BrokerError(f"the legs of paper order {intent.intent_id} are not its whole units", "bad_order")
    one_sided = len({leg.action.buys for leg in intent.legs}) == 1
    price = intent.net_price
    if price is not None and one_sided and intent.legs[0].action.buys != (price < 0):
        raise BrokerError("a buy needs a debit and a sale a credit; nothing was placed", "cant_buy_for_credit")
    for leg in intent.legs:
        free = book.closable(leg.symbol, leg.action, without)
        if not leg.action.opens and not waits and leg.quantity > free:
            raise BrokerError(
                f"{leg.quantity} {leg.symbol} cannot be closed: {free} are held and not being closed already",
                "cannot_close_against_more_than_existing_position",
            )


class OrderCost:
    """At the quotes of now."""

    def __init__(self, quotes: QuoteSource, fees: FillFees, clock: Clock) -> None:
        self._quotes = quotes
        self._fees = fees
        self._clock = clock

    def reserve(self, intent: OrderIntent) -> Decimal:
        """Dollars per unit an opening order ties up: its worst loss; a sale without a known one is refused."""
        if not any(leg.action.opens for leg in intent.legs):
            return Decimal(0)
        if intent.max_loss is not None:
            return intent.max_loss / intent.quantity
        if any(leg.action is Action.SELL_TO_OPEN for leg in intent.legs):
            raise BrokerError("the paper account sells to open only with a known worst loss", "margin_check_failed")
        per_unit = -self._assumed_price(intent) * intent.legs[0].multiplier
        return max(Decimal(0), per_unit) + self.fees(intent) / intent.quantity

    def fees(self, intent: OrderIntent) -> Decimal:
        """Dollars of the whole order at its price."""
        price = abs(self._assumed_price(intent)) / len(intent.legs)
        day = et_date(self._clock.now())
        return sum((self._fees(leg.symbol, leg.action, leg.quantity, price, day) for leg in intent.legs), Decimal(0))

    def _assumed_price(self, intent: OrderIntent) -> Decimal:
        """The limit; without one the trigger or the far side of the market. BrokerError when nobody is there."""
        if intent.net_price is not None:
            return intent.net_price
        quotes = {leg.symbol: quote for leg in intent.legs if (quote := self._quotes.quote(leg.symbol)) is not None}
        natural = natural_price(intent.legs, quotes)
        if natural is None:
            raise BrokerError("nobody quotes the side that this order would take; nothing was placed", "empty_book")
        return min(natural, -(intent.stop_trigger or Decimal(0))) if intent.legs[0].action.buys else natural
