"""What stands alone when a leg has ended: a short whose cover is gone, a long without its other half.

The trap: a long that ends before the short it stands beside is no cover any more from that evening on, and shares that
are called away cannot cover the next month's call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qmterm.core.instruments import OptionContract, Right, is_option, parse_option

SHARES = 100


@dataclass(frozen=True, slots=True)
class Leg:
    """`quantity` signed contracts or shares; `trade` names the plan it belongs to ("" = none)."""

    symbol: str
    quantity: int
    trade: str = ""


@dataclass(frozen=True, slots=True)
class Bare:
    """Contracts of a sold option that nothing covers."""

    symbol: str
    contracts: int


def bare_shorts(legs: Iterable[Leg], shares: int, *, tonight: bool = False) -> tuple[Bare, ...]:
    """Sold options of one underlying without cover: longs of the same kind that last as long, for calls shares too.

    With `tonight` a long counts however soon it ends: what covers until this evening.

    The nearest short is covered first, by the cover that ends first: what lasts is left for the later ones.
    """
    options = [(parse_option(leg.symbol), leg) for leg in legs if is_option(leg.symbol) and leg.quantity]
    bare: list[Bare] = []
    for right in (Right.CALL, Right.PUT):
        longs = sorted(
            ((contract, leg.quantity) for contract, leg in options if contract.right is right and leg.quantity > 0),
            key=lambda pair: pair[0].expiry,
        )
        left = [count for _, count in longs]
        lots = max(0, shares) // SHARES if right is Right.CALL else 0
        shorts = [(contract, leg) for contract, leg in options if contract.right is right and leg.quantity < 0]
        for contract, leg in sorted(shorts, key=lambda pair: pair[0].expiry):
            need = -leg.quantity
            for i, (long, _) in enumerate(longs):
                if tonight or long.expiry >= contract.expiry:
                    used = min(need, left[i])
                    left[i] -= used
                    need -= used
            used = min(need, lots)
            lots -= used
            need -= used
            if need:
                bare.append(Bare(leg.symbol, need))
    return tuple(bare)


def newly_bare(legs: Sequence[Leg], ending: OptionContract, shares_now: int, shares_after: int) -> tuple[Bare, ...]:
    """Shorts of one underlying that lose their cover when everything that ends with `ending` is gone."""
    before = {bare.symbol: bare.contracts for bare in bare_shorts(legs, shares_now, tonight=True)}
    rest = [leg for leg in legs if not (is_option(leg.symbol) and parse_option(leg.symbol).expiry <= ending.expiry)]
    return tuple(
        Bare(bare.symbol, more)
        for bare in bare_shorts(rest, shares_after)
        if (more := bare.contracts - before.get(bare.symbol, 0)) > 0
    )


def left_alone(legs: Sequence[Leg], symbol: str) -> tuple[str, ...]:
    """The other legs of the same trade that outlive this one: a calendar's far leg, a covered call's shares."""
    own = next((leg for leg in legs if leg.symbol == symbol), None)
    if own is None or not own.trade:
        return ()
    ends = parse_option(symbol).expiry
    return tuple(
        leg.symbol
        for leg in legs
        if leg.trade == own.trade
        and leg.symbol != symbol
        and leg.quantity
        and (not is_option(leg.symbol) or parse_option(leg.symbol).expiry > ends)
    )
