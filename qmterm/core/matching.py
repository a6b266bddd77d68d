"""Whether an order fills against displayed quotes, and at which leg prices: pure, shared by every pretend broker.

The trap: a fill between the mid and the far side is a matter of luck in a real market. Here luck is a hash of the
order's key and the time it has waited, so that a run can be repeated and does not depend on how often one looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from hashlib import blake2b
from math import exp, gcd

from qmterm.core.instruments import is_option
from qmterm.core.orders import Action, Leg
from qmterm.core.quotes import Quote

CENT = Decimal("0.01")
_SUB_PENNY = Decimal("0.0001")
MEAN_WAIT_AT_MID_S = 300.0  # an order at the mid waits five minutes on average ...
MEAN_WAIT_AT_FAR_SIDE_S = 5.0  # ... one a hair short of the far side five seconds


@dataclass(frozen=True, slots=True)
class LegFill:
    """One leg's part of one execution: `price` is dollars per share, positive."""

    symbol: str
    action: Action
    quantity: int
    price: Decimal


def unit_ratios(legs: Sequence[Leg]) -> tuple[int, tuple[int, ...]]:
    """(units of the order, contracts or shares of each leg in one unit)."""
    units = gcd(*[leg.quantity for leg in legs])
    return units, tuple([leg.quantity // units for leg in legs])


def _grid(symbol: str, price: Decimal) -> Decimal:
    return CENT if is_option(symbol) or price >= 1 else _SUB_PENNY


def far_price(leg: Leg, quote: Quote | None) -> Decimal | None:
    """What crossing costs: the ask for a buy, the bid for a sell; None when that side is absent or crossed."""
    if quote is None or (quote.bid > 0 and 0 < quote.ask < quote.bid):
        return None
    size = quote.ask_size if leg.action.buys else quote.bid_size
    side = quote.ask if leg.action.buys else quote.bid
    if not side > 0 or size <= 0:
        return None
    price = Decimal(str(round(side, 4)))
    rounding = ROUND_CEILING if leg.action.buys else ROUND_FLOOR
    fitted = price.quantize(_grid(leg.symbol, price), rounding)
    return fitted if fitted > 0 else None


def mid_price(leg: Leg, quote: Quote | None) -> Decimal | None:
    """The middle of a market with an ask (a zero bid counts as zero); None when there is no such market."""
    if quote is None or not quote.ask > 0 or quote.ask < quote.bid:
        return None
    return (Decimal(str(round(quote.bid, 4))) + Decimal(str(round(quote.ask, 4)))) / 2


def net_of(legs: Sequence[Leg], prices: Sequence[Decimal]) -> Decimal:
    """Net price of one unit, positive = credit, negative = debit."""
    _, ratios = unit_ratios(legs)
    parts = zip(legs, ratios, prices, strict=True)
    return sum([-leg.action.sign * ratio * price for leg, ratio, price in parts], Decimal(0))


def _known(prices: Sequence[Decimal | None]) -> tuple[Decimal, ...] | None:
    known = tuple([price for price in prices if price is not None])
    return known if len(known) == len(prices) else None


def natural_price(legs: Sequence[Leg], quotes: Mapping[str, Quote]) -> Decimal | None:
    """The net at which every leg crosses its market; None when one cannot."""
    prices = _known([far_price(leg, quotes.get(leg.symbol)) for leg in legs])
    return None if prices is None else net_of(legs, prices)


def net_mid(legs: Sequence[Leg], quotes: Mapping[str, Quote]) -> Decimal | None:
    """The net of the mids; None when a leg has no market."""
    if len(legs) == 1:  # what `net_of` would give, asked for several times on every order's way
        price = mid_price(legs[0], quotes.get(legs[0].symbol))
        return None if price is None else -legs[0].action.sign * price
    prices = _known([mid_price(leg, quotes.get(leg.symbol)) for leg in legs])
    return None if prices is None else net_of(legs, prices)


def fillable_units(legs: Sequence[Leg], quotes: Mapping[str, Quote], participation: float) -> int:
    """Units the displayed sizes allow, taking `participation` of each; one unit wherever it is displayed at all."""
    _, ratios = unit_ratios(legs)
    units: list[int] = []
    for leg, ratio in zip(legs, ratios, strict=True):
        quote = quotes.get(leg.symbol)
        if quote is None:
            return 0
        size = quote.ask_size if leg.action.buys else quote.bid_size
        whole = size // ratio
        units.append(max(1, int(size * participation) // ratio) if whole else 0)
    return min(units)


def chance(aggressiveness: float, waited_s: float) -> float:
    """Probability of having filled after a wait: 0 = limit at the mid, 1 = limit at the far side."""
    if aggressiveness < 0 or waited_s <= 0:
        return 0.0
    ratio = MEAN_WAIT_AT_FAR_SIDE_S / MEAN_WAIT_AT_MID_S
    mean_wait = MEAN_WAIT_AT_MID_S * ratio ** min(1.0, aggressiveness)
    return 1.0 - exp(-waited_s / mean_wait)


def luck(key: str) -> float:
    """A fixed number in [0, 1) for a key."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) / 2.0**64


def match(
    legs: Sequence[Leg],
    net_price: Decimal | None,
    quotes: Mapping[str, Quote],
    remaining: int,
    participation: float = 1.0,
    *,
    key: str = "",
    waited_s: float = 0.0,
) -> list[LegFill]:
    """Fills of the next execution, one entry a leg, all in ratio; empty when nothing trades.

    `net_price` is the order's limit for one unit (positive = credit; None = market order), `remaining` the units
    still open, `key` names the order **and** its execution number, `waited_s` is market time since it could fill.
    A limit at or through the market fills at the market. Between mid and far side it fills at its own price.
    """
    if remaining <= 0:
        return []
    far = _known([far_price(leg, quotes.get(leg.symbol)) for leg in legs])
    units = min(remaining, fillable_units(legs, quotes, participation))
    if far is None or units <= 0:
        return []
    natural = net_of(legs, far)
    if net_price is None or net_price <= natural:
        return _fills(legs, units, far)
    mids = _known([mid_price(leg, quotes.get(leg.symbol)) for leg in legs])
    if mids is None:
        return []
    middle = net_of(legs, mids)
    if net_price > middle or middle <= natural:
        return []
    aggressiveness = float((middle - net_price) / (middle - natural))
    if luck(key) >= chance(aggressiveness, waited_s):
        return []
    inside = _prices_at(legs, net_price, mids, far, aggressiveness)
    return [] if inside is None else _fills(legs, units, inside)


def _fills(legs: Sequence[Leg], units: int, prices: Sequence[Decimal]) -> list[LegFill]:
    _, ratios = unit_ratios(legs)
    return [
        LegFill(leg.symbol, leg.action, ratio * units, price)
        for leg, ratio, price in zip(legs, ratios, prices, strict=True)
    ]


def _prices_at(
    legs: Sequence[Leg], net_price: Decimal, mids: Sequence[Decimal], far: Sequence[Decimal], aggressiveness: float
) -> tuple[Decimal, ...] | None:
    """Leg prices that add up to exactly the net, each as far from its mid as the order is from the net mid."""
    share = Decimal(str(round(aggressiveness, 6)))
    prices = [mid + (side - mid) * share for mid, side in zip(mids, far, strict=True)]
    prices = [price.quantize(_grid(leg.symbol, price), ROUND_HALF_UP) for leg, price in zip(legs, prices, strict=True)]
    _, ratios = unit_ratios(legs)
    off = net_price - net_of(legs, prices)
    if off:
        for number, (leg, ratio) in enumerate(zip(legs, ratios, strict=True)):
            shifted = prices[number] - leg.action.sign * off / ratio
            if shifted > 0 and shifted % _grid(leg.symbol, shifted) == 0:
                prices[number] = shifted
                return tuple(prices)
        return None
    return tuple(prices) if all(price > 0 for price in prices) else None
