"""What a person staged beyond a limit at the plan's price: kind, trigger, time in force, a price that starts elsewhere.

One unit of the order is kept beside its plan; the intent that is sent, now or after an approval, is shaped by it.
"""

from __future__ import annotations

from dataclasses import replace

from qmterm.core.orders import OrderIntent


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
