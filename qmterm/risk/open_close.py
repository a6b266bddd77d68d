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
        free = -leg.action.sign * closable.get(leg.symbol, 0)  # contracts on the side this leg takes from
        if free < 0:
            return Verdict(0, Reason.WOULD_OPEN, {"closable": float(closable[leg.symbol])})
        units = min(units, free // (leg.quantity // intent.quantity))
    numbers = {"wanted": float(intent.quantity), "closable": float(units)}
    return Verdict(units, None if units else Reason.NOTHING_TO_CLOSE, numbers)
