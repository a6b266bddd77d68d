"""When a stop at the paper broker is reached: by what it would trade at, never by the last trade or the middle.

A sale watches what it would get and waits for less; a purchase watches what it would pay and waits for more.
"""

from __future__ import annotations

from collections.abc import Mapping

from qmterm.core.matching import natural_price
from qmterm.core.orders import OrderIntent
from qmterm.core.quotes import Quote


def stop_reached(intent: OrderIntent, quotes: Mapping[str, Quote]) -> bool:
    """True without a trigger; False while a side it needs is not quoted."""
    if intent.stop_trigger is None:
        return True
    natural = natural_price(intent.legs, quotes)
    if natural is None:
        return False
    sells = not intent.legs[0].action.buys if len(intent.legs) == 1 else natural > 0
    return natural <= intent.stop_trigger if sells else -natural >= intent.stop_trigger
