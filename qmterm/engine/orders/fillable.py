"""What a working or unknown order may still fill, as parts of the worst case (risk/worst_case.py).

A whole order fills in ratio and is one part; once its legs filled unequally they may end apart and are a part each. The
trap: closes count only up to what is held (the broker refuses more), or a bracket's two exits would look like a naked
short.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import lru_cache

from qmterm.core.clock import et_date
from qmterm.core.fees import leg_fees
from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import Action, BracketRole, Leg, OrderIntent
from qmterm.engine.orders.book import ZERO, Book
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.risk.book import part_of, root_of
from qmterm.risk.cover import Group
from qmterm.risk.worst_case import Part

Ask = Callable[[str], Decimal | None]  # what somebody asks for a symbol now, dollars per share
PartsOf = Callable[[OrderRecord], Sequence[Part]]


def nobody_asks(_symbol: str) -> Decimal | None:
    return None


def once(ask: Ask) -> PartsOf:
    """`parts_of` that remembers, for as long as nothing fills and no quote moves: within one look at the book."""
    found: dict[str, Sequence[Part]] = {}

    def of(record: OrderRecord) -> Sequence[Part]:
        name = record.intent.intent_id
        if name not in found:
            found[name] = parts_of(record, ask)
        return found[name]

    return of


def fillable(book: Book, ledger: Ledger, ask: Ask = nobody_asks) -> dict[Group, tuple[Part, ...]]:
    """All parts by strategy and option root; `ask` prices purchases without a limit of their own."""
    return fillable_of(book, ledger, ledger.chains, once(ask))


def fillable_of(
    book: Book, ledger: Ledger, chains: Sequence[Sequence[OrderRecord]], parts: PartsOf
) -> dict[Group, tuple[Part, ...]]:
    """`fillable` of the ledger's chains, each order's parts as `parts` has them."""
    found: defaultdict[Group, list[Part]] = defaultdict(list)
    closing: defaultdict[str, int] = defaultdict(int)
    # The dearest first: of several closes of one position those that cost most are taken to fill.
    for chain in sorted((sorted(chain, key=_dearest_first) for chain in chains), key=_first_of):
        record = chain[0]
        fleeting = _sold_again(record, ledger)
        for part in parts_of_chain(chain, parts):
            symbol, count = part.legs[0]
            if _closes(record.intent, symbol):
                if len(part.legs) == 1:
                    units = min(part.units, _room(book, symbol, count, closing[symbol]))
                    closing[symbol] += units * abs(count)
                    part = replace(part, units=units)
                # Whoever holds it owns the close, even one placed elsewhere.
                held = book.position(symbol)
                owner = record.intent.strategy if held is None else held.strategy
            else:
                owner = record.intent.strategy
            if part.units:
                found[owner, root_of(symbol)].append(replace(part, fleeting=True) if fleeting else part)
    return {group: tuple(of) for group, of in found.items()}


def parts_of_chain(chain: Sequence[OrderRecord], parts_now: PartsOf) -> Sequence[Part]:
    """Orders that take each other's place: one of them fills what is left, at the dearest price.

    Of two stops that is the one with the higher trigger, which no limit tells.
    """
    parts = [parts_now(record) for record in chain]
    if len(chain) == 1:
        return parts[0]
    if all(len(of) == 1 and of[0].legs == parts[0][0].legs for of in parts):
        dearest = max((of[0] for of in parts), key=lambda part: part.paid)
        return [replace(dearest, units=max(of[0].units for of in parts))]
    return [part for of in parts for part in of]  # legs that filled unequally: too much is counted, never too little


def _sold_again(record: OrderRecord, ledger: Ledger) -> bool:
    """An option that is bought with its exits behind it: they may sell it before the stock turns."""
    bought = record.intent.role is BracketRole.TRIGGER and all(leg.action.buys for leg in record.intent.legs)
    return bought and any(other.working and other.intent.rests for other in ledger.bracket(record))


def parts_of(record: OrderRecord, ask: Ask = nobody_asks) -> Sequence[Part]:
    """One part while the order fills in ratio at its worst limit, else one for each leg that is not done.

    What no quote prices is kept with the record, for as long as its intent, its fills and its being alive stay.
    """
    fills, working, seen = tuple(record.fills.values()), record.working, record.parts_seen
    if seen is not None and seen[0] is record.intent and seen[1:3] == (fills, working):
        return seen[3]
    parts = _in_ratio(record)
    if parts is not None:
        record.parts_seen = (record.intent, fills, working, parts)
        return parts
    intent, day = record.intent, et_date(record.intent.created_ns)
    trigger = intent.stop_trigger if len(intent.legs) == 1 else None
    return [_leg_part(leg, record.remaining(leg.symbol), day, ask, trigger) for leg in intent.legs]


def _in_ratio(record: OrderRecord) -> Sequence[Part] | None:
    """The one part of an order that has a limit and whose legs are filled alike; None for any other."""
    intent = record.intent
    limit = intent.counted_price
    day = et_date(intent.created_ns)
    units = record.remaining_units
    in_ratio = intent.quantity > 0 and all(
        leg.quantity % intent.quantity == 0 and record.remaining(leg.symbol) * intent.quantity == leg.quantity * units
        for leg in intent.legs
    )
    if in_ratio and limit is not None and limit != 0 and len({root_of(leg.symbol) for leg in intent.legs}) == 1:
        price = abs(limit) if len(intent.legs) == 1 else ZERO
        fees = sum((_fee(leg.symbol, leg.action, leg.quantity, price, day) for leg in intent.legs), ZERO)
        return [part_of(intent.legs, intent.quantity, limit, fees / intent.quantity, left=units)]
    return None


def _leg_part(leg: Leg, left: int, day: date, ask: Ask, trigger: Decimal | None) -> Part:
    """A leg by itself, without a limit: bought at the market (a stop: not below its trigger), sold for nothing."""
    if leg.action.buys:
        found = ask(leg.symbol)
        price = found if found is not None else parse_option(leg.symbol).strike if is_option(leg.symbol) else ZERO
        price = max(price, trigger or ZERO)
    else:
        price = ZERO
    fee = _fee(leg.symbol, leg.action, max(left, 1), price, day) / max(left, 1)
    return part_of((replace(leg, quantity=1),), 1, -leg.action.sign * price, fee, left=left)


def _dearest_first(record: OrderRecord) -> tuple[Decimal, str]:
    """An order without a limit is the dearest of all."""
    limit = record.intent.counted_price
    return (Decimal("-Infinity") if limit is None else limit, record.intent.intent_id)


def _first_of(chain: Sequence[OrderRecord]) -> tuple[Decimal, str]:
    return _dearest_first(chain[0])


def _closes(intent: OrderIntent, symbol: str) -> bool:
    return any(leg.symbol == symbol and not leg.action.opens for leg in intent.legs)


def _room(book: Book, symbol: str, count: int, closing: int) -> int:
    """Units that a close of `count` a unit can still take from the position."""
    held = book.quantity(symbol)
    return max(0, (abs(held) - closing) // abs(count)) if held * count < 0 else 0


@lru_cache(maxsize=4096)
def _fee(symbol: str, action: Action, quantity: int, price: Decimal, day: date) -> Decimal:
    """Fees of a whole leg, however it is filled: one contract's rounds differently from its share of many."""
    each = leg_fees(symbol, action, 1, price, day).total
    return each if quantity == 1 else max(leg_fees(symbol, action, quantity, price, day).total, quantity * each)
