"""What the confirm page compares a proposal with: its market as one quote, and what it does to the book's delta.

The trap: several legs have one net market, and none of their own bids or asks is a price of the order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qmterm.core.instruments import is_option
from qmterm.core.matching import net_mid
from qmterm.core.orders import Purpose
from qmterm.core.quotes import Quote
from qmterm.engine.orders.proposals import Proposal
from qmterm.engine.show.chainview import known
from qmterm.engine.show.greeks import PositionGreeks
from qmterm.risk.price_sanity import natural_price

Side = float | None


def market_of(proposal: Proposal, quotes: Mapping[str, Quote]) -> tuple[Side, Side, Side]:
    """Bid, mid and ask of one unit, dollars per share, positive on the side that the limit trades.

    None where a leg does not quote the side that is needed.
    """
    legs = proposal.legs
    if len(legs) == 1:
        quote = quotes.get(legs[0].symbol)
        return (known(quote.bid), quote.mid, known(quote.ask)) if quote else (None, None, None)
    crossing = natural_price(legs, proposal.quantity, quotes)
    middle = net_mid(legs, quotes)
    if crossing is None or middle is None:
        return None, None, None
    pays = proposal.net_price is None or proposal.net_price < 0
    sign = -1 if pays else 1
    far, mid = float(crossing) * sign, float(middle) * sign
    near = 2 * mid - far  # what the other side gets when it crosses
    return (near, mid, far) if pays else (far, mid, near)


def delta_change(proposal: Proposal, greeks: Mapping[str, PositionGreeks], held: Callable[[str], int]) -> Side:
    """Shares by which the book's delta changes once all of it filled; None where a leg's delta is not known."""
    change = 0.0
    if proposal.purpose is Purpose.ENTRY and proposal.plan is not None:
        each = proposal.plan.numbers.get("delta")
        if each is None:
            return None
        size = 100 if any(is_option(leg.symbol) for leg in proposal.plan.legs) else 1
        change += each * size * proposal.quantity
    for leg in proposal.legs:
        if leg.action.opens:
            continue
        whole, quantity = greeks.get(leg.symbol), abs(held(leg.symbol))
        if whole is None or quantity == 0:
            return None
        change -= whole.delta * min(1.0, leg.quantity / quantity)
    return change
