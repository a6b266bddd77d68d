"""The open/close guard: a close is at most what is really held, and never enlarges, reverses or opens anything.

What is really held is settled at the broker and closed by no working order (the caller counts it); the strict flag on
every close makes the broker refuse what this guard could not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from qmterm.core.orders import OrderIntent
from qmterm.core.reasons import Reason
from qmterm.risk.verdict import Verdict


def close_verdict(intent: OrderIntent, closable: Mapping[str, int]) -> Verdict:
    """Whole units that may be closed, with `closable` the signed quantity free of each symbol."""
    units = intent.quantity
    if units <= 0 or not intent.legs:
        return Verdict(0, Reason.NOTHING_TO_CLOSE)
    if len({leg.symbol for leg in intent.legs}) < len(intent.legs):
        return Verdict(0, Reason.WOULD_OPEN)  # one symbol in two legs would count its closable quantity twice
    for leg in intent.legs:
        if leg.action.opens or leg.quantity <= 0 or leg.quantity % intent.quantity:
            return Verdict(0, Reason.WOULD_OPEN)
        held = closable.get(leg.symbol, 0)
        if held == 0:
            return Verdict(0, Reason.NOTHING_TO_CLOSE, {"closable": 0.0})
        if (held > 0) == leg.action.buys:
            return Verdict(0, Reason.WOULD_OPEN, {"closable": float(held)})
        units = min(units, abs(held) // (leg.quantity // intent.quantity))
    numbers: dict[str, float | None] = {"wanted": float(intent.quantity), "closable": float(units)}
    return Verdict(units, None, numbers) if units else Verdict(0, Reason.NOTHING_TO_CLOSE, numbers)
