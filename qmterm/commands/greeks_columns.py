"""Which column of a user's table is what: names in any case and spacing, common other names, the nearest one when one
is missing.

The trap: a column that only looks like an input must never be used silently, so a meaning claimed twice is an error.
"""

from __future__ import annotations

import difflib
import re
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


# As they are compared: lower case, letters and digits only (`normal`).
OTHER_NAMES: Mapping[Field, tuple[str, ...]] = {
    Field.SPOT: (
        "underlyingprice",
        "underlyinglastprice",
        "underlyinglast",
        "lastunderlyingprice",
        "underlyingmark",
        "undprice",
        "stockprice",
        "spotprice",
        "s",
    ),
    Field.STRIKE: ("strikeprice", "k"),
    Field.RIGHT: ("optiontype", "putcall", "callput", "callorput", "putorcall", "contracttype", "cpflag", "cp", "pc"),
    Field.EXPIRY: (
        "expiration",
        "expirationdate",
        "expirydate",
        "expdate",
        "expiredate",
        "expires",
        "maturity",
        "maturitydate",
        "exp",
    ),
    Field.YEARS: ("yearstoexpiry", "t"),
    Field.DAYS: ("daystoexpiry", "daystoexpiration", "dte"),
    Field.PRICE: ("optionprice", "premium", "midprice", "mid", "midpoint", "markprice", "mark"),
    Field.BID: ("bidprice", "bestbid"),
    Field.ASK: ("askprice", "bestask", "offer"),
    Field.VOL: (
        "impliedvolatility",
        "impliedvol",
        "implvolatility",
        "implvol",
        "impvolatility",
        "impvol",
        "volatility",
        "sigma",
        "iv",
    ),
    Field.RATE: ("interestrate", "riskfreerate", "riskfree", "r"),
    Field.DIVIDEND_YIELD: ("divyield", "q"),
    Field.STYLE: ("exercisestyle", "exercise"),
    Field.DIVIDENDS: ("cashdividends", "divs"),
    Field.SYMBOL: ("occsymbol", "optionsymbol", "contractsymbol", "occ", "contract"),
}
# Names that mean something else as often as not (tastytrade's Type is OPTION): taken only when nothing better is there.
_LAST_RESORT: Mapping[Field, tuple[str, ...]] = {
    Field.RIGHT: ("type",),
    Field.SYMBOL: ("root", "ticker"),
}

# Each of these must be answered by at least one of its alternatives; a symbol may be an OCC symbol that says three.
_NEEDED: tuple[tuple[str, tuple[tuple[Field, ...], ...]], ...] = (
    ("the spot", ((Field.SPOT,),)),
    ("the strike", ((Field.STRIKE,), (Field.SYMBOL,))),
    ("the right (C or P)", ((Field.RIGHT,), (Field.SYMBOL,))),
    ("the expiry", ((Field.EXPIRY,), (Field.YEARS,), (Field.DAYS,), (Field.SYMBOL,))),
    ("the price or the vol", ((Field.PRICE,), (Field.VOL,), (Field.BID, Field.ASK))),
)
EXAMPLE = "spot,strike,expiry,right,price"


def normal(name: str) -> str:
    """A heading as it is compared: lower case, letters and digits only."""
    return re.sub(r"[\W_]+", "", name.lower())


def says_percent(name: str) -> bool:
    """True for a heading such as `Implied Vol. %`: its plain numbers are percent."""
    return "%" in name or "percent" in name.lower() or re.search(r"(^|[\W_])pct($|[\W_])", name.lower()) is not None


def is_field(name: str) -> bool:
    """True for a heading that would be read as an input."""
    return any(normal(name) in (normal(field), *OTHER_NAMES.get(field, ())) for field in Field)


def recognise(header: Sequence[str], source: str, line: int = 1) -> dict[Field, int]:
    """The position of each field's column; BadInput naming every missing one with the nearest heading."""
    where = f"{source}: line {line}"
    names = [_without_percent(name) for name in header]
    found: dict[Field, int] = {}
    for field in Field:
        for wanted in ((normal(field),), OTHER_NAMES.get(field, ()), _LAST_RESORT.get(field, ())):
            candidates = [number for number, name in enumerate(names) if name in wanted]
            if len(candidates) > 1:
                listed = " and ".join(repr(header[number]) for number in candidates)
                raise BadInput(
                    f"{where}: columns {listed} both mean {field.value}; rename one of them to {field.value}"
                )
            if candidates:
                found[field] = candidates[0]
                break
    missing = [
        (what, choices)
        for what, choices in _NEEDED
        if not any(all(field in found for field in choice) for choice in choices)
    ]
    if not missing:
        return found
    listed = _short(", ".join(header))
    unknown = [header[number] for number in range(len(header)) if number not in found.values()]
    if not found and not any(_nearest(choices, unknown) for _, choices in missing):
        raise BadInput(f"{where}: is no heading I know: {listed}. The first line must name the columns: {EXAMPLE}")
    said = "; ".join(_missing(what, choices, unknown) for what, choices in missing)
    raise BadInput(f"{where}: {said}. The columns are: {listed}")


def _without_percent(name: str) -> str:
    plain = normal(name)
    return plain.removesuffix("percent").removesuffix("pct") if says_percent(name) else plain


def _short(text: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= 300 else f"{printable[:300]}…"


def _missing(what: str, choices: Sequence[Sequence[Field]], unknown: Sequence[str]) -> str:
    wanted = " or ".join("+".join(field.value for field in choice) for choice in choices)
    near = _nearest(choices, unknown)
    return f"no column says {what}: it is called {wanted}" + (f" (is it {near!r}?)" if near else "")


def _nearest(choices: Sequence[Sequence[Field]], unknown: Sequence[str]) -> str | None:
    """The unused heading that looks most like a name of one of the fields."""
    compared = {normal(name): name for name in unknown if len(normal(name)) > 2}
    words = [word for choice in choices for field in choice for word in (field.value, *OTHER_NAMES.get(field, ()))]
    for word in words:
        near = difflib.get_close_matches(word, compared, n=1, cutoff=0.7) if len(word) > 2 else []
        if near:
            return compared[near[0]]
    return None
