"""Option symbols to columns, many at once.

The trap: reading ten thousand of them one by one takes longer than fetching them. They are read as a table of bytes;
what does not fit the plain pattern goes through the careful reader, one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, IntArray
from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import parse_option

OCC_LETTERS = 21  # six of the root, then YYMMDD, C or P, and the strike in thousandths
_TAIL = 15
_PREFIX = 2  # O:
_ZERO, _NINE, _A, _Z, _SPACE = (ord(char) for char in "09AZ ")


@dataclass(frozen=True, slots=True)
class Symbols:
    """Option symbols as columns; where not `good` the other columns mean nothing."""

    good: BoolArray
    occ: NDArray[np.bytes_]  # S21
    expiry: IntArray  # days since 1970
    strike: IntArray  # thousandths of a dollar
    is_call: BoolArray
    adjusted: BoolArray  # the root ends in a digit

    @classmethod
    def together(cls, some: Sequence[Symbols]) -> Symbols:
        return cls(*(np.concatenate([getattr(symbols, name) for symbols in some]) for name in cls.__slots__))

    def put(self, rows: IntArray, some: Symbols) -> None:
        for name in self.__slots__:
            getattr(self, name)[rows] = getattr(some, name)

    def take(self, rows: IntArray) -> Symbols:
        return Symbols(*(getattr(self, name)[rows] for name in self.__slots__))

    def names(self, rows: IntArray) -> tuple[str, ...]:
        """OCC symbols, which all have the same length."""
        text = self.occ[rows].tobytes().decode("ascii")
        return tuple([text[at : at + OCC_LETTERS] for at in range(0, len(text), OCC_LETTERS)])


def read_symbols(tickers: Sequence[str]) -> Symbols:
    """Many Polygon (or OCC) option symbols at once."""
    count = len(tickers)
    table = np.array(tickers, dtype=np.str_)
    width = table.dtype.itemsize // 4
    wide = table.view(np.uint32).reshape(count, width) if count and width else np.zeros((count, 1), dtype=np.uint32)
    raw = np.where(wide < 128, wide, ord("?")).astype(np.uint8)
    length = np.count_nonzero(raw, axis=1)
    root = length - _TAIL - _PREFIX
    plain = (root >= 1) & (root <= OCC_LETTERS - _TAIL)
    if width > _PREFIX:
        plain &= (raw[:, 0] == ord("O")) & (raw[:, 1] == ord(":"))
    out = np.full((count, OCC_LETTERS), _SPACE, dtype=np.uint8)
    for letters in np.unique(root[plain]).tolist():
        some = plain & (root == letters)
        end = letters + _PREFIX + _TAIL
        out[some, OCC_LETTERS - _TAIL :] = raw[some, end - _TAIL : end]
        out[some, :letters] = raw[some, _PREFIX : _PREFIX + letters]
    good = plain & _well_formed(out, root)
    for number in np.flatnonzero(~good).tolist():
        try:
            occ = parse_option(tickers[number]).occ
        except BadSymbol:
            continue
        out[number] = np.frombuffer(occ.encode("ascii"), dtype=np.uint8)
        good[number] = True
    digits = (out[:, 6:] - np.uint8(_ZERO)).astype(np.int64)
    year, month, day = (digits[:, at] * 10 + digits[:, at + 1] for at in (0, 2, 4))
    months = np.where(good, (2000 + year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    last = out[:, :6][np.arange(count), np.maximum(np.count_nonzero(out[:, :6] != _SPACE, axis=1) - 1, 0)]
    return Symbols(
        good=good,
        occ=out.view(f"S{OCC_LETTERS}").ravel(),
        expiry=first + np.where(good, day - 1, 0),
        strike=digits[:, 7:] @ 10 ** np.arange(7, -1, -1),
        is_call=out[:, 12] == ord("C"),
        adjusted=(last >= _ZERO) & (last <= _NINE),
    )


def _well_formed(occ: NDArray[np.uint8], root: IntArray) -> BoolArray:
    """Whether each row reads as a symbol: letters, a real date, a right, digits."""
    digit = (occ >= _ZERO) & (occ <= _NINE)
    letter = (occ >= _A) & (occ <= _Z)
    inside = np.arange(6) < root[:, None]
    named = letter[:, 0] & (letter[:, :6] | digit[:, :6] | (occ[:, :6] == ord(".")) | ~inside).all(axis=1)
    right = (occ[:, 12] == ord("C")) | (occ[:, 12] == ord("P"))
    numbers = digit[:, 6:12].all(axis=1) & digit[:, 13:].all(axis=1)
    value = (occ - np.uint8(_ZERO)).astype(np.int64)
    month, day = value[:, 8] * 10 + value[:, 9], value[:, 10] * 10 + value[:, 11]
    # Short months go through the careful reader, which knows leap years.
    dated = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 28) | ((day > 28) & _has_day(value, month, day))
    return np.asarray(named & right & numbers & dated, dtype=np.bool_)


def _has_day(value: IntArray, month: IntArray, day: IntArray) -> BoolArray:
    sane = np.clip(month, 1, 12)
    months = (2000 + value[:, 6] * 10 + value[:, 7] - 1970) * 12 + sane - 1
    starts = months.astype("datetime64[M]")
    days = ((starts + 1).astype("datetime64[D]") - starts.astype("datetime64[D]")).astype(np.int64)
    return np.asarray((month == sane) & (day <= days), dtype=np.bool_)
