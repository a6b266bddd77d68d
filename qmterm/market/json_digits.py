"""Numbers of a few digits read eight letters at a time: a loop over digits costs a wrong guess at every number's end.

The trap: eight letters are looked at whether the number has them or not, so near the end of the text, and for every
number that is not plainly `digits` or `digits.digits`, the loops of json_bytes.py do it. Both give the same double.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types as numba_types
from numba.extending import intrinsic

from qmterm.market.json_bytes import POINT, float64, int64, machine, part, read_number, read_whole, word_at

types: Any = numba_types
uint64: Any = numba.uint64

REACH = 17  # letters that may be looked at: eight, a point, eight

_ZEROS = np.uint64(0x3030303030303030)
_SIXES = np.uint64(0x0606060606060606)
_HIGH = np.uint64(0xF0F0F0F0F0F0F0F0)
_PAIRS = np.uint64(0x000000FF000000FF)
_FIRST = np.uint64(0x000F424000000064)  # 1,000,000 and 100
_SECOND = np.uint64(0x0000271000000001)  # 10,000 and 1
_U8, _U3, _U10, _U16, _U32 = np.uint64(8), np.uint64(3), np.uint64(10), np.uint64(16), np.uint64(32)
_POWERS = np.array([10**power for power in range(9)], dtype=np.uint64)
_EXACT_POWERS = np.array([10.0**power for power in range(9)])


def _inserted(function: Any) -> Any:
    return intrinsic(function)


@_inserted
def zeros_below(typing_context: Any, word: Any) -> Any:
    """How many zero bits lie below the lowest one; 64 of zero."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), code


@machine
def digits_of(word: Any) -> Any:
    """With how many digits eight letters begin."""
    low = word ^ _ZEROS
    # A sum that runs over spoils later letters only, and marks its own.
    return zeros_below(((low + _SIXES) | low) & _HIGH) >> _U3


@machine
def value_of(word: Any, digits: Any) -> Any:
    """The number that the first 1 to 8 letters, all digits, spell (Lemire's: pairs, then fours, then all)."""
    one = (word ^ _ZEROS) << ((_U8 - digits) << _U3)  # the others become leading zeros
    two = one * _U10 + (one >> _U8)
    return ((two & _PAIRS) * _FIRST + ((two >> _U16) & _PAIRS) * _SECOND) >> _U32


@part
def slow_number(text: Any, at: int) -> tuple[int, float]:
    return read_number(text, at)


@part
def slow_whole(text: Any, at: int) -> tuple[int, int]:
    return read_whole(text, at)


@machine
def quick_number(text: Any, at: int, length: int) -> tuple[int, float]:
    """json_bytes.read_number of a text of `length` bytes."""
    if at + REACH > length:
        return slow_number(text, at)
    word = word_at(text, at)
    digits = digits_of(word)
    if digits == 0 or digits == 8 or (digits > 1 and text[at] == 48):
        return slow_number(text, at)
    end = at + int64(digits)
    whole = value_of(word, digits)
    if text[end] != POINT:
        if text[end] == 101 or text[end] == 69:
            return slow_number(text, at)
        return end, float64(int64(whole))
    word = word_at(text, end + 1)
    places = digits_of(word)
    end += 1 + int64(places)
    if places == 0 or places == 8 or text[end] == 101 or text[end] == 69:
        return slow_number(text, at)
    mantissa = int64(whole * _POWERS[places] + value_of(word, places))  # below 10**14: a double holds it
    return end, float64(mantissa) / _EXACT_POWERS[places]


@machine
def quick_whole(text: Any, at: int, length: int) -> tuple[int, int]:
    """json_bytes.read_whole of a text of `length` bytes."""
    if at + REACH > length or text[at] == 48:
        return slow_whole(text, at)
    word = word_at(text, at)
    digits = digits_of(word)
    if digits == 0:
        return slow_whole(text, at)
    value = value_of(word, digits)
    end = at + int64(digits)
    if digits == 8:
        word = word_at(text, end)
        more = digits_of(word)
        if more == 8:
            return slow_whole(text, at)
        if more > 0:
            value = value * _POWERS[more] + value_of(word, more)
            end += int64(more)
    byte = text[end]
    if byte == POINT or byte == 101 or byte == 69:
        return slow_whole(text, at)
    return end, int64(value)
