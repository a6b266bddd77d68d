"""Pieces of machine code that read JSON from raw bytes: words, numbers, strings, and whole values to step over.

The trap: a piece never guesses. What is not plainly the common form (an escape, a letter beyond ASCII, "-0", a number
a double cannot hold exactly at once) is `ODD`, and the caller gives the text to a full JSON reader. Every text must be
followed by a zero byte, as Python's bytes are: it ends every loop here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types as numba_types
from numba.extending import intrinsic, register_jitable

F = TypeVar("F", bound=Callable[..., Any])

# As `Any` for the type checker: what machine code computes is neither Python's int nor numpy's.
types: Any = numba_types
int64: Any = numba.int64
float64: Any = numba.float64

ODD = -1  # in the place of a position
QUOTE, BACKSLASH, COMMA, COLON, MINUS, POINT = 34, 92, 44, 58, 45, 46
OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, SPACE = 123, 125, 91, 93, 32
EXACT = 2**53  # integers up to here are doubles
WORDS = 3  # of eight bytes: the longest name read as one (option symbols have up to 23 letters)
_WORD = 2**64 - 1
_EXACT_POWERS = np.array([10.0**power for power in range(23)])


def machine(function: F) -> F:
    """Becomes part of the machine code that calls it. No fast mathematics: every double is the JSON reader's."""
    inlined: F = register_jitable(forceinline=True, error_model="numpy", nogil=True)(function)
    return inlined


def part(function: F) -> F:
    """A function of the machine code that stays one: what is large, or seldom called, is compiled once only."""
    called: F = register_jitable(error_model="numpy", nogil=True)(function)
    return called


def _inserted(function: Callable[..., Any]) -> Any:
    """A function whose machine code is written here (numba's own annotation names the compiler's arguments)."""
    return intrinsic(function)


@_inserted
def floats_at(typing_context: Any, address: Any) -> Any:
    """The doubles at an address."""
    return types.CPointer(types.float64)(types.int64), _to_pointer


@_inserted
def ints_at(typing_context: Any, address: Any) -> Any:
    """The 64-bit integers at an address."""
    return types.CPointer(types.int64)(types.int64), _to_pointer


@_inserted
def bytes_to(typing_context: Any, address: Any) -> Any:
    """The bytes at an address, to be written."""
    return types.CPointer(types.uint8)(types.int64), _to_pointer


@_inserted
def bytes_of(typing_context: Any, text: Any) -> Any:
    """The bytes of a Python bytes object, with the zero behind them."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(types.uint8)(text), code


def _to_pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))


@_inserted
def word_at(typing_context: Any, text: Any, at: Any) -> Any:
    """Eight bytes of the text as one number, the first the lowest; they must all be there."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.gep(arguments[0], [arguments[1]])
        word = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return types.uint64(types.CPointer(types.uint8), types.int64), code


def letters(text: str) -> int:
    """The number `read_key` gives for a key of at most eight letters."""
    return int.from_bytes(text.encode(), "big")


def words(text: str) -> tuple[int, int, int]:
    """What `read_words` gives for a name of at most 23 letters."""
    value = int.from_bytes(text.encode(), "big")
    return value & _WORD, value >> 64 & _WORD, value >> 128


@machine
def after_space(text: Any, at: int) -> int:
    while text[at] <= SPACE and (text[at] == SPACE or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at


@machine
def after_string(text: Any, at: int) -> int:
    """Past the quote that ends a string; `at` is past the one that begins it."""
    byte = int64(text[at])
    while byte != QUOTE:
        if byte < SPACE or byte > 126 or byte == BACKSLASH:
            return ODD
        at += 1
        byte = int64(text[at])
    return at + 1


@machine
def read_name(text: Any, at: int) -> tuple[int, int, int, int, int]:
    """(position past its quote, length, three words) of a string of at most 24 letters."""
    first = second = third = int64(0)
    begin = at
    byte = int64(text[at])
    shift = int64(0)
    while byte != QUOTE:
        if byte < SPACE or byte > 126 or byte == BACKSLASH:
            return ODD, 0, first, second, third
        if at - begin < 8:
            first |= byte << shift
        elif at - begin < 16:
            second |= byte << shift
        elif at - begin < 24:
            third |= byte << shift
        else:
            return ODD, 0, first, second, third
        shift = (shift + 8) & 63
        at += 1
        byte = int64(text[at])
    return at + 1, at - begin, first, second, third


@machine
def read_key(text: Any, at: int) -> tuple[int, int]:
    """(position at its value, its letters as one number) of a key; `at` is on its first quote.

    Longer keys than eight letters give a number that no shorter key has.
    """
    if text[at] != QUOTE:
        return ODD, 0
    at += 1
    key = int64(0)
    byte = int64(text[at])
    while byte != QUOTE:
        if byte < SPACE or byte > 126 or byte == BACKSLASH:
            return ODD, 0
        key = (key << 8) | byte
        at += 1
        byte = int64(text[at])
    at = after_space(text, at + 1)
    if text[at] != COLON:
        return ODD, 0
    return after_space(text, at + 1), key


@machine
def read_words(text: Any, at: int) -> tuple[int, int, int, int]:
    """(position after it and after space, its last eight letters as a number, the eight before, the eight before)
    of a string; `at` is on its first quote. No longer string has the numbers of one of at most 23 letters.
    """
    low = middle = high = int64(0)
    if text[at] != QUOTE:
        return ODD, low, middle, high
    at += 1
    byte = int64(text[at])
    while byte != QUOTE:
        if byte < SPACE or byte > 126 or byte == BACKSLASH:
            return ODD, low, middle, high
        # No letter is beyond ASCII, so the highest bit is never set and every shift is of a positive number.
        high = (high << 8) | (middle >> 56)
        middle = (middle << 8) | (low >> 56)
        low = (low << 8) | byte
        at += 1
        byte = int64(text[at])
    return after_space(text, at + 1), low, middle, high


@machine
def read_whole(text: Any, at: int) -> tuple[int, int]:
    """(position after it, value) of a whole number of at most 19 digits without a sign; past 2**63 it is negative."""
    begin = at
    value = int64(0)
    digit = int64(text[at]) - 48
    while 0 <= digit <= 9:
        value = value * 10 + digit
        at += 1
        digit = int64(text[at]) - 48
    digits = at - begin
    byte = text[at]
    if digits == 0 or digits > 19 or (digits > 1 and text[begin] == 48) or byte == POINT or byte == 101 or byte == 69:
        return ODD, 0
    return at, value


@machine
def after_digits(text: Any, at: int) -> int:
    while 48 <= text[at] <= 57:
        at += 1
    return at


@machine
def read_number(text: Any, at: int) -> tuple[int, float]:
    """(position after it, value) of a number whose nearest double is one exact multiplication or division away."""
    negative = text[at] == MINUS
    if negative:
        at += 1
    begin = at
    mantissa = int64(0)
    power = int64(0)
    digit = int64(text[at]) - 48
    while 0 <= digit <= 9:
        mantissa = mantissa * 10 + digit
        at += 1
        digit = int64(text[at]) - 48
    digits = at - begin
    if digits == 0 or (digits > 1 and text[begin] == 48):
        return ODD, 0.0
    if text[at] == POINT:
        at += 1
        first = at
        digit = int64(text[at]) - 48
        while 0 <= digit <= 9:
            mantissa = mantissa * 10 + digit
            at += 1
            digit = int64(text[at]) - 48
        power = first - at
        digits -= power
        if power == 0:
            return ODD, 0.0
    if text[at] == 101 or text[at] == 69:
        at += 1
        minus = text[at] == MINUS
        if minus or text[at] == 43:
            at += 1
        first = at
        exponent = int64(0)
        digit = int64(text[at]) - 48
        while 0 <= digit <= 9:
            exponent = exponent * 10 + digit
            at += 1
            digit = int64(text[at]) - 48
        if at == first or at - first > 3:
            return ODD, 0.0
        power += -exponent if minus else exponent
    # Up to 18 digits the mantissa is what was written; more may have run over.
    if digits > 18 or mantissa > EXACT or not -22 <= power <= 22 or (negative and mantissa == 0):
        return ODD, 0.0
    value = float64(mantissa)
    if power < 0:
        value = value / _EXACT_POWERS[-power]
    elif power > 0:
        value = value * _EXACT_POWERS[power]
    return at, -value if negative else value


@part
def after_number(text: Any, at: int) -> int:
    """Past any number JSON allows."""
    if text[at] == MINUS:
        at += 1
    begin = at
    at = after_digits(text, at)
    if at == begin or (at - begin > 1 and text[begin] == 48):
        return ODD
    if text[at] == POINT:
        begin = at + 1
        at = after_digits(text, begin)
        if at == begin:
            return ODD
    if text[at] == 101 or text[at] == 69:
        at += 1
        if text[at] == MINUS or text[at] == 43:
            at += 1
        begin = at
        at = after_digits(text, begin)
        if at == begin:
            return ODD
    return at


@part
def after_word(text: Any, at: int) -> int:
    """Past null, true or false."""
    if text[at] == 110 and text[at + 1] == 117 and text[at + 2] == 108 and text[at + 3] == 108:
        return at + 4
    if text[at] == 116 and text[at + 1] == 114 and text[at + 2] == 117 and text[at + 3] == 101:
        return at + 4
    if text[at] == 102 and text[at + 1] == 97 and text[at + 2] == 108 and text[at + 3] == 115 and text[at + 4] == 101:
        return at + 5
    return ODD


@machine
def after_plain(text: Any, at: int) -> int:
    """Past a value that is no list and no object."""
    byte = text[at]
    if byte == QUOTE:
        return after_string(text, at + 1)
    if byte == MINUS or 48 <= byte <= 57:
        return after_number(text, at)
    return after_word(text, at)


@part
def after_value(text: Any, at: int) -> int:
    """Past any value but an object, or a list that holds one or another list."""
    if text[at] != OPEN_LIST:
        return after_plain(text, at)
    at = after_space(text, at + 1)
    if text[at] == CLOSE_LIST:
        return at + 1
    while True:
        at = after_plain(text, at)
        if at == ODD:
            return ODD
        at = after_space(text, at)
        if text[at] == CLOSE_LIST:
            return at + 1
        if text[at] != COMMA:
            return ODD
        at = after_space(text, at + 1)


@part
def after_object(text: Any, at: int, length: int) -> int:
    """Past an object by its braces alone: whether it is JSON, the full reader says."""
    depth = int64(0)
    is_string = False
    while at < length:
        byte = text[at]
        if is_string:
            if byte == BACKSLASH:
                at += 1
            elif byte == QUOTE:
                is_string = False
        elif byte == QUOTE:
            is_string = True
        elif byte == OPEN:
            depth += 1
        elif byte == CLOSE:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return ODD
