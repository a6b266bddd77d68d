"""What a person staged beyond a limit at the plan's price: kind, trigger, time in force, a price that starts elsewhere.

One unit of the order is kept beside its plan; the intent that is sent, now or after an approval, is shaped by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from qmterm.core.orders import OrderIntent
from qmterm.core.quotes import Quote
from qmterm.core.ticks import TickProgram, TickTable
from qmterm.risk.price_sanity import crossing, natural_price


def as_staged(intent: OrderIntent, staged: OrderIntent | None) -> OrderIntent:
    """The plan's intent as the person wants it sent; legs that close something come with it (a roll)."""
    if staged is None:
        return intent
    units = intent.quantity
    return replace(
        intent,
        legs=tuple(replace(leg, quantity=leg.quantity * units // staged.quantity) for leg in staged.legs),
        net_price=staged.net_price,
        worst_price=staged.worst_price,
        kind=staged.kind,
        stop_trigger=staged.stop_trigger,
        time_in_force=staged.time_in_force,
        good_until=staged.good_until,
        reason=staged.reason,
    )


def bounded(staged: OrderIntent, quotes: Mapping[str, Quote], program: TickTable | TickProgram) -> OrderIntent:
    """A walked order whose market came nearer since: its worst price is that of crossing now, as it walks no further.

    Any other order stays as it was meant.
    """
    natural = natural_price(staged.legs, staged.quantity, quotes)
    if staged.worst_price is None or staged.net_price is None or natural is None:
        return staged
    worst = max(staged.worst_price, crossing(staged.legs, natural, program))
    return replace(staged, worst_price=worst, net_price=max(staged.net_price, worst))
