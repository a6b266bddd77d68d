"""An order as a person types it: sides, contracts, a price or a way to find one, and how it is spelled.

A ticket says nothing of what is held: whether a leg opens or closes is decided where the book is known, unless the
person said so (bto, sto, btc, stc).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from math import gcd

from qmterm.core.instruments import is_option, parse_option, underlying_of
from qmterm.core.orders import Action, OrderKind, TimeInForce

SIDES = {
    "buy": (True, None),
    "sell": (False, None),
    "bto": (True, True),
    "sto": (False, True),
    "btc": (True, False),
    "stc": (False, False),
}  # word -> buys, opens (None: what is held decides)
_WORDS = {meaning: word for word, meaning in SIDES.items()}


class Pricing(StrEnum):
    """Where the limit comes from."""

    GIVEN = "given"  # the person's own price (or a stop, whose price is found when it is reached)
    MARKET = "market"  # no limit
    MID = "mid"  # the middle of the market when it is staged
    NATURAL = "natural"  # the far side of the market when it is staged
    WALK = "walk"  # from the mid toward the far side: the default


@dataclass(frozen=True, slots=True)
class TicketLeg:
    """`quantity` contracts or shares, positive; `opens` None where what is held decides."""

    buys: bool
    quantity: int
    symbol: str  # OCC, or a ticker
    opens: bool | None = None

    @property
    def word(self) -> str:
        return _WORDS[self.buys, self.opens]

    def action(self, *, opens: bool) -> Action:
        if self.buys:
            return Action.BUY_TO_OPEN if opens else Action.BUY_TO_CLOSE
        return Action.SELL_TO_OPEN if opens else Action.SELL_TO_CLOSE


@dataclass(frozen=True, slots=True)
class Ticket:
    """`price` is dollars per share of one unit, negative = paid (core/orders.py); `stop` dollars, positive."""

    legs: tuple[TicketLeg, ...]
    pricing: Pricing = Pricing.WALK
    price: Decimal | None = None
    stop: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    good_until: date | None = None

    @property
    def units(self) -> int:
        """Whole units of the smallest ratio: what a net price is a price of."""
        return gcd(*(leg.quantity for leg in self.legs))

    @property
    def kind(self) -> OrderKind:
        if self.stop is not None:
            return OrderKind.STOP if self.price is None else OrderKind.STOP_LIMIT
        return OrderKind.MARKET if self.pricing is Pricing.MARKET else OrderKind.LIMIT

    @property
    def underlying(self) -> str:
        return underlying_of(self.legs[0].symbol)

    @property
    def one_sided(self) -> bool:
        return len({leg.buys for leg in self.legs}) == 1


def order_text(ticket: Ticket) -> str:
    """The ticket as it would be typed; reading it gives the same ticket."""
    parts = [" / ".join(_leg_text(leg) for leg in ticket.legs)]
    if ticket.stop is not None:
        parts.append(f"stop {ticket.stop}")
        if ticket.price is not None:
            parts.append(f"limit {abs(ticket.price)}")
    elif ticket.pricing is Pricing.GIVEN and ticket.price is not None:
        side = "" if ticket.one_sided else " db" if ticket.price < 0 else " cr"
        parts.append(f"@ {abs(ticket.price)}{side}")
    elif ticket.pricing is not Pricing.WALK:
        parts.append({Pricing.MARKET: "@ mkt", Pricing.MID: "@ mid", Pricing.NATURAL: "@ nat"}[ticket.pricing])
    if ticket.time_in_force is not TimeInForce.DAY:
        parts.append(ticket.time_in_force.value.lower())
    if ticket.good_until is not None:
        parts.append(ticket.good_until.isoformat())
    return " ".join(parts)


def _leg_text(leg: TicketLeg) -> str:
    name = str(parse_option(leg.symbol)) if is_option(leg.symbol) else leg.symbol
    return f"{leg.word} {leg.quantity} {name}"
