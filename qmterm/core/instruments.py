"""Instruments and their spellings: OCC 21 characters (our key), Polygon `O:`, dxFeed `.`.

Everywhere in the program an instrument is named by one string: a stock by its ticker (`AAPL`), an option
by its OCC symbol with the root padded to six (`AAPL  260417C00230000`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from qmterm.core.errors import BadSymbol

# The other roots of an index: each settles in its own way, all of them move with the one index.
_INDEX_OF = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX", "XEO": "OEX"}
_OCC = re.compile(r"^([A-Z][A-Z0-9.]{0,5}) *([0-9]{6})([CP])([0-9]{8})\Z")


class Right(StrEnum):
    CALL = "C"
    PUT = "P"

    @property
    def sign(self) -> int:
        """+1 for a call, −1 for a put (φ in QUANT.md)."""
        return 1 if self is Right.CALL else -1


@dataclass(frozen=True, slots=True, order=True)
class OptionContract:
    """One listed option. `strike` is dollars per share, `multiplier` shares per contract."""

    root: str
    expiry: date
    right: Right
    strike: Decimal
    multiplier: int = 100

    @property
    def adjusted(self) -> bool:
        """True when the deliverable is not 100 shares of the root: shown, never scanned, sized or traded."""
        return self.root[-1].isdigit() or self.multiplier != 100

    @property
    def occ(self) -> str:
        return f"{self.root:<6}{self._tail}"

    @property
    def polygon(self) -> str:
        return f"O:{self.root}{self._tail}"

    @property
    def dxfeed(self) -> str:
        strike = format(self.strike.normalize(), "f")
        return f".{self.root}{self.expiry:%y%m%d}{self.right.value}{strike}"

    @property
    def _tail(self) -> str:
        return f"{self.expiry:%y%m%d}{self.right.value}{int(self.strike * 1000):08d}"

    def __str__(self) -> str:
        strike = format(self.strike.normalize(), "f")
        return f"{self.root} {self.expiry:%d%b%y} {strike}{self.right.value}".upper()


@lru_cache(maxsize=16_384)
def parse_option(symbol: str) -> OptionContract:
    """Read an OCC or Polygon option symbol, padded or not; BadSymbol when it is neither."""
    text = symbol.removeprefix("O:")
    match = _OCC.match(text)
    if match is None:
        raise BadSymbol(f"{symbol!r} is not an OCC option symbol such as 'AAPL  260417C00230000'")
    root, ymd, right, strike = match.groups()
    try:
        expiry = date(2000 + int(ymd[:2]), int(ymd[2:4]), int(ymd[4:6]))
    except ValueError as error:
        raise BadSymbol(f"{symbol!r} has no valid expiry date: {error}") from error
    return OptionContract(root, expiry, Right(right), Decimal(strike) / 1000)


@lru_cache(maxsize=16_384)
def is_option(symbol: str) -> bool:
    """True for an OCC or Polygon option symbol (cheap: no date check)."""
    return len(symbol) > 15 and _OCC.match(symbol.removeprefix("O:")) is not None


def underlying_of(symbol: str) -> str:
    """The stock behind a symbol: the root of an option, the symbol itself otherwise."""
    return symbol.removeprefix("O:")[:-15].rstrip() if is_option(symbol) else symbol


def option_root(ticker: str) -> str:
    """The root a stock's options are listed under: letters only, so BRK.B (at tastytrade BRK/B) trades as BRKB.

    Two names mean one class of contracts when their roots are equal; compare this, never the tickers.
    """
    return ticker.replace(".", "").replace("/", "")


def risk_root(ticker: str) -> str:
    """The root that stands for a whole underlying, SPX for SPXW too: limits and freezes go by it, netting never."""
    root = option_root(ticker)
    return _INDEX_OF.get(root, root)
