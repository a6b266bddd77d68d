"""The closing order that a goal asks for: its legs, and a price that wants out.

A protective order crosses the market, and gives way one tick more after a first try; the gate allows no more than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from math import gcd

from qmterm.core.orders import Leg, OrderIntent, Purpose
from qmterm.core.protocols import QuoteSource
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.core.ticks import TickProgram, TickTable, round_price, tick
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import Ledger
from qmterm.engine.orders.structure import closed
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.orders.walking import Grid, start_price
from qmterm.market.quality.quotes import FRESH_S
from qmterm.risk.price_sanity import natural_price

# An option that nobody bids for is worth nothing when it is asked at no more than this many ticks.
WORTHLESS_TICKS = 3
WORTHLESS_ASK = 0.10  # dollars a share; a wing of a spread may be left behind at no more than this


class ExitOrders:
    def __init__(self, ledger: Ledger, quotes: QuoteSource, ticks: TickBook, settings: OrderSettings) -> None:
        self._ledger = ledger
        self._quotes = quotes
        self._ticks = ticks
        self._settings = settings

    def of_units(self, guard: Guard, units: int, now_ns: int) -> OrderIntent | None:
        """Close `units` of a guard's structure; None while nobody is on the other side.

        A leg of several to be sold that is worth nothing is left: it must not hold up what can lose.
        """
        legs = tuple(closed(leg, leg.quantity * units) for leg in guard.legs)
        if len(legs) > 1:
            legs = tuple(leg for leg in legs if leg.action.buys or not self._worthless(leg.symbol, now_ns)) or legs
        intent = self._order(guard, legs, now_ns)
        return None if intent is None else self._from_mid(guard, intent)

    def of_sold_legs(self, guard: Guard, units: int, now_ns: int) -> OrderIntent | None:
        """Buy back what was sold of `units`, alone: the rest cannot lose more than it cost. None where nothing was."""
        legs = tuple(closed(leg, leg.quantity * units) for leg in guard.legs if not leg.action.buys)
        return self._order(guard, legs, now_ns) if legs else None

    def _worthless(self, symbol: str, now_ns: int) -> bool:
        quote = self._quotes.quote(symbol)
        return quote is not None and worthless(quote, self._ticks.of(symbol), now_ns)

    def _order(self, guard: Guard, legs: tuple[Leg, ...], now_ns: int) -> OrderIntent | None:
        units = gcd(*(leg.quantity for leg in legs))
        price = self._price(guard, legs, units)
        if price is None:
            return None
        return OrderIntent(
            intent_id=self._new_id(f"x{guard.state.position_id}-{now_ns:x}"),
            created_ns=now_ns,
            strategy=guard.state.strategy,
            underlying=guard.state.underlying,
            purpose=Purpose.SCALE_OUT if guard.reason is Reason.SCALE_OUT else Purpose.EXIT,
            legs=legs,
            quantity=units,
            net_price=price,
            plan_id=guard.state.position_id,
            reason=guard.reason,
        )

    def _new_id(self, wanted: str) -> str:
        """Market time may stand still for a moment: the number behind it keeps ids apart."""
        name, number = wanted, 1
        while self._ledger.get(name) is not None:
            number += 1
            name = f"{wanted}.{number}"
        return name

    def _price(self, guard: Guard, legs: tuple[Leg, ...], units: int) -> Decimal | None:
        """Signed net price of one unit."""
        quotes = self._quotes_of(legs)
        if len(legs) == 1:
            quote, leg = quotes.get(legs[0].symbol), legs[0]
            selling = not leg.action.buys
            program = self._ticks.of(leg.symbol)
            price = None if quote is None else exit_price(quote, guard.attempts, program, selling=selling)
            return None if price is None else price if selling else -price
        natural = natural_price(legs, units, quotes)
        if natural is None:
            return None
        grid = Grid(legs, self._ticks.of(legs[0].symbol))
        return grid.toward(grid.theirs(natural), min(guard.attempts, 1))

    def _from_mid(self, guard: Guard, intent: OrderIntent) -> OrderIntent:
        """A scale-out is in no hurry: it starts at the mid and is walked to the price a stop would begin at."""
        worst = intent.net_price
        if guard.reason is not Reason.SCALE_OUT or guard.attempts or not self._settings.walk or worst is None:
            return intent
        grid = Grid(intent.legs, self._ticks.of(intent.legs[0].symbol))
        start = start_price(grid, self._quotes_of(intent.legs), worst)
        return intent if start is None else replace(intent, net_price=start, worst_price=worst)

    def _quotes_of(self, legs: tuple[Leg, ...]) -> Mapping[str, Quote]:
        found = ((leg.symbol, self._quotes.quote(leg.symbol)) for leg in legs)
        return {symbol: quote for symbol, quote in found if quote is not None}


def worthless(quote: Quote, program: TickTable | TickProgram, now_ns: int) -> bool:
    """Nobody bids for it, and it is asked at next to nothing, just now; a missing bid of anything dearer is more likely
    a hole in the data."""
    if quote.bid > 0 or quote.age_s(now_ns) > FRESH_S:
        return False
    return 0 < quote.ask <= max(WORTHLESS_ASK, float(tick(program, Decimal("0.01"))) * WORTHLESS_TICKS)


def exit_price(quote: Quote, attempts: int, program: TickTable | TickProgram, *, selling: bool) -> Decimal | None:
    """The natural price, one tick worse after a first try: a protective order wants out, not a bargain.

    Between two ticks it lands where the other side takes it. None when there is nobody on the other side.
    """
    side = quote.bid if selling else quote.ask
    if side <= 0:
        return None
    price = Decimal(str(round(side, 4)))
    step = tick(program, price)
    give = step * min(attempts, 1)  # the gate allows one tick beyond the market; later tries follow the quote
    price = price - give if selling else price + give
    return round_price(program, max(price, step), buys=selling)
