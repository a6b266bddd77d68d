"""Which column of a user's table is what: names in any case, common other names, the nearest one when one is missing.

The trap: a column that only looks like an input must never be used silently, so a meaning claimed twice is an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from enum import StrEnum

from qmterm.core.errors import BadInput


class Field(StrEnum):
    SPOT = "spot"
    STRIKE = "strike"
    RIGHT = "right"
    EXPIRY = "expiry"
    YEARS = "years"
    DAYS = "days"
    PRICE = "price"
    BID = "bid"
    ASK = "ask"
    VOL = "vol"
    RATE = "rate"
    DIVIDEND_YIELD = "dividend_yield"
    STYLE = "style"
    DIVIDENDS = "dividends"
    SYMBOL = "symbol"
    AS_OF = "as_of"


OTHER_NAMES: Mapping[Field, tuple[str, ...]] = {
    Field.SPOT: ("underlying_price", "stock_price", "s"),
    Field.STRIKE: ("strike_price", "k"),
    Field.RIGHT: ("type", "option_type", "put_call", "call_put", "cp"),
    Field.EXPIRY: ("expiration", "expiration_date", "expiry_date", "exp"),
    Field.YEARS: ("t", "years_to_expiry"),
    Field.DAYS: ("dte", "days_to_expiry"),
    Field.PRICE: ("mid", "mark", "premium", "option_price"),
    Field.VOL: ("iv", "volatility", "sigma", "implied_vol", "implied_volatility"),
    Field.RATE: ("r", "interest_rate", "risk_free_rate"),
    Field.DIVIDEND_YIELD: ("q", "div_yield"),
    Field.STYLE: ("exercise", "exercise_style"),
    Field.DIVIDENDS: ("cash_dividends", "divs"),
    Field.SYMBOL: ("occ", "occ_symbol", "option_symbol", "contract", "root", "ticker"),
    Field.AS_OF: ("asof",),
}

# Each of these must be answered by at least one of its alternatives; a symbol may be an OCC symbol that says three.
_NEEDED: tuple[tuple[str, tuple[tuple[Field, ...], ...]], ...] = (
    ("the spot", ((Field.SPOT,),)),
    ("the strike", ((Field.STRIKE,), (Field.SYMBOL,))),
    ("the right (C or P)", ((Field.RIGHT,), (Field.SYMBOL,))),
    ("the expiry", ((Field.EXPIRY,), (Field.YEARS,), (Field.DAYS,), (Field.SYMBOL,))),
    ("the price or the vol", ((Field.PRICE,), (Field.VOL,), (Field.BID, Field.ASK))),
)


def normal(name: str) -> str:
    """A heading as it is compared: lower case, words joined by one underscore."""
    return "_".join(name.replace("-", " ").replace("_", " ").replace(".", " ").lower().split())


def is_field(name: str) -> bool:
    """True for a heading that would be read as an input."""
    wanted = normal(name)
    return any(wanted == field.value or wanted in OTHER_NAMES.get(field, ()) for field in Field)


def recognise(header: Sequence[str], source: str) -> dict[Field, int]:
    """The position of each field's column; BadInput naming every missing one with the nearest heading."""
    names = [normal(name) for name in header]
    found: dict[Field, int] = {}
    for field in Field:
        exact = [number for number, name in enumerate(names) if name == field.value]
        others = [number for number, name in enumerate(names) if name in OTHER_NAMES.get(field, ())]
        candidates = exact or others
        if len(candidates) > 1:
            listed = " and ".join(repr(header[number]) for number in candidates)
            raise BadInput(
                f"{source}: line 1: columns {listed} both mean {field.value}; rename one of them to {field.value}"
            )
        if candidates:
            found[field] = candidates[0]
    missing = [
        (what, choices)
        for what, choices in _NEEDED
        if not any(all(field in found for field in choice) for choice in choices)
    ]
    if missing:
        unknown = [header[number] for number in range(len(header)) if number not in found.values()]
        said = "; ".join(_missing(what, choices, unknown) for what, choices in missing)
        raise BadInput(f"{source}: line 1: {said}. The columns are: {', '.join(header)}")
    return found


def _missing(what: str, choices: Sequence[Sequence[Field]], unknown: Sequence[str]) -> str:
    wanted = " or ".join("+".join(field.value for field in choice) for choice in choices)
    compared = {normal(name): name for name in unknown}
    words = [word for choice in choices for field in choice for word in (field.value, *OTHER_NAMES.get(field, ()))]
    for word in words:
        near = difflib.get_close_matches(word, [name for name in compared if len(name) > 2], n=1, cutoff=0.7)
        if near and len(word) > 2:
            return f"no column says {what}: it is called {wanted} (is it {compared[near[0]]!r}?)"
    return f"no column says {what}: it is called {wanted}"
