"""What a split made of option contracts: the same trade under another name, its strategy and its stops go with it.

Pure. Only a whole ratio leaves standard contracts (2:1: twice as many at half the strike). Anything else becomes an
adjusted contract that no pair of numbers names: a person has to look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from qmterm.core.instruments import is_option, parse_option, underlying_of
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.reconcile import Difference

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Successor:
    """Every old contract is `ratio` new ones."""

    symbol: str
    ratio: int


def successors(differences: Iterable[Difference], ratio_of: Callable[[str], float]) -> dict[str, Successor]:
    """By old symbol. `ratio_of` an underlying is new shares for one old share of late, 1.0 without a split."""
    options = [d for d in differences if d.symbol and is_option(d.symbol)]
    come = [d for d in options if not d.ours]
    found = {}
    for old in options:
        ratio = ratio_of(underlying_of(old.symbol))
        if old.theirs or ratio != int(ratio) or ratio < 2:
            continue
        heirs = [new.symbol for new in come if _follows(new, old, int(ratio))]
        if len(heirs) == 1:
            found[old.symbol] = Successor(heirs[0], int(ratio))
    return found


def owners_of(book: Book, heirs: Mapping[str, Successor]) -> dict[str, tuple[str, str]]:
    """Strategy and plan of each new contract."""
    return {
        heir.symbol: (held.strategy, held.plan_id)
        for symbol, heir in heirs.items()
        if (held := book.position(symbol)) is not None
    }


def renamed(guard: Guard, heirs: Mapping[str, Successor]) -> Guard | None:
    """The guard of the trade as it is now; None when not every leg has gone on alike."""
    found = [heirs.get(leg.symbol) for leg in guard.legs]
    ratios = {heir.ratio for heir in found if heir is not None}
    if None in found or len(ratios) != 1:
        return None
    (ratio,) = ratios
    state = guard.state
    state = replace(
        state,
        opened=state.opened * ratio,
        quantity=state.quantity * ratio,
        entry_premium=state.entry_premium / ratio,
    )
    loose = tuple(count * ratio for count in guard.loose)
    legs = tuple(replace(leg, symbol=heirs[leg.symbol].symbol) for leg in guard.legs)
    return replace(guard, legs=legs, state=state, goal=guard.goal * ratio, loose=loose)


def _follows(new: Difference, old: Difference, ratio: int) -> bool:
    before, after = parse_option(old.symbol), parse_option(new.symbol)
    alike = (before.root, before.expiry, before.right) == (after.root, after.expiry, after.right)
    return alike and abs(after.strike - before.strike / ratio) < _CENT and new.theirs == old.ours * ratio
