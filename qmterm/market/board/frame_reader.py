"""Machine code that reads a frame's bytes into a list of events, writing nothing to the board.

The trap: a frame is read to its end before anything is written, because a frame that ends in the middle of an event
holds no events at all. What is not in the common form makes the whole frame `NOT_READ`.
"""

from __future__ import annotations

from typing import Any

from qmterm.market.board.frame_state import (
    A_AT,
    AP_AT,
    AS_AT,
    AV_AT,
    BAND,
    BP_AT,
    BS_AT,
    C_AT,
    CODES,
    CONDITIONS,
    EVENT_CAPACITY,
    EVENT_FLOATS,
    EVENT_INTS,
    EVENT_WIDTH,
    EXCHANGE,
    H_AT,
    KIND,
    L_AT,
    MALFORMED,
    MINUTE,
    MORE_ROOM,
    NAME_AT,
    NAMES,
    NAMES_MASK,
    NOT_READ,
    O_AT,
    OP_AT,
    OUT,
    P_AT,
    QUOTE_EVENT,
    ROW,
    S_AT,
    SECOND,
    TRADE,
    UNKNOWN,
    V_AT,
    WHEN,
)
from qmterm.market.board.trades import MOST_CONDITION, MOST_EXCHANGE
from qmterm.market.json_bytes import (
    CLOSE,
    CLOSE_LIST,
    COMMA,
    ODD,
    OPEN,
    OPEN_LIST,
    QUOTE,
    after_space,
    after_value,
    floats_at,
    int64,
    ints_at,
    letters,
    machine,
    part,
    read_key,
    read_name,
    read_whole,
)
from qmterm.market.json_digits import quick_number, quick_whole
from qmterm.market.times import NEVER_NS

_KEY_EV, _KEY_SYM, _KEY_NAME = letters("ev"), letters("sym"), letters("T")
_KEY_BP, _KEY_AP, _KEY_BS, _KEY_AS = letters("bp"), letters("ap"), letters("bs"), letters("as")
_KEY_O, _KEY_H, _KEY_L, _KEY_C, _KEY_S, _KEY_E = (letters(key) for key in "ohlcse")
_KEY_AV, _KEY_A, _KEY_OP, _KEY_V = letters("av"), letters("a"), letters("op"), letters("v")
_KEY_P, _KEY_T, _KEY_X, _KEY_I = (letters(key) for key in "ptxi")
_STATUS = letters("status")

# What a key means in an event: a double's place, or one of these.
_WHEN, _END, _EXCHANGE, _SYMBOL, _LIST, _STEP_OVER = 8, 9, 10, 11, 12, 13

_NEEDS_QUOTE = 1 << _SYMBOL | 1 << _WHEN
_NEEDS_TRADE = 1 << _SYMBOL | 1 << _WHEN | 1 << P_AT
_NEEDS_BAR = 1 << _SYMBOL | 1 << _WHEN | 1 << _END | 1 << O_AT | 1 << H_AT | 1 << L_AT | 1 << C_AT
_NEEDS_BAND = 1 << _SYMBOL


@machine
def read(text: Any, length: int, state: Any) -> tuple[int, bool]:
    """(events, whether a symbol is new), or (NOT_READ or MORE_ROOM, …)."""
    ints, floats = ints_at(state[EVENT_INTS]), floats_at(state[EVENT_FLOATS])
    capacity = state[EVENT_CAPACITY]
    count = int64(0)
    is_new = False
    at = after_space(text, int64(0))
    if text[at] != OPEN_LIST:
        return NOT_READ, False
    at = after_space(text, at + 1)
    ended = text[at] == CLOSE_LIST
    while not ended:
        if text[at] != OPEN:
            return NOT_READ, False
        if count == capacity:
            return MORE_ROOM, False
        at, key = read_key(text, after_space(text, at + 1))
        if at == ODD or key != _KEY_EV or text[at] != QUOTE:
            return NOT_READ, False
        kind = int64(0)
        at += 1
        begin = at
        byte = int64(text[at])
        while byte != QUOTE:
            if byte <= 32 or byte > 126 or byte == 92 or at - begin == 7:
                return NOT_READ, False
            kind = (kind << 8) | byte
            at += 1
            byte = int64(text[at])
        at += 1
        if kind == 0 or kind == _STATUS:
            return NOT_READ, False
        event = count * EVENT_WIDTH
        for number in range(EVENT_WIDTH):
            floats[event + number] = 0.0
        ints[event + WHEN] = 0
        ints[event + CONDITIONS] = 0
        ints[event + CODES] = 0
        ints[event + EXCHANGE] = 0
        seen = int64(0)
        at = after_space(text, at)
        while text[at] == COMMA:
            at, key = read_key(text, after_space(text, at + 1))
            if at == ODD or key == _KEY_EV:
                return NOT_READ, False
            place = place_of(kind, key)
            seen |= int64(1) << place
            if place == _STEP_OVER:
                at = after_value(text, at)
            elif place < _WHEN:
                at, value = quick_number(text, at, length)
                floats[event + place] = value
            elif place < _EXCHANGE:
                at, whole = quick_whole(text, at, length)
                ints[event + WHEN + place - _WHEN] = to_ns(whole)
            elif place == _SYMBOL:
                if text[at] != QUOTE:
                    return NOT_READ, False
                begin = at + 1
                at, size, first, second, third = read_name(text, begin)
                row = row_of(state, first, second, third)
                ints[event + ROW] = row
                ints[event + NAME_AT] = (begin << 8) | size
            elif place == _LIST:
                at, first_four, codes = read_conditions(text, at)
                ints[event + CONDITIONS] = first_four
                ints[event + CODES] = codes
            else:
                at, whole = read_whole(text, at)
                if not 0 <= whole < MOST_EXCHANGE:
                    return NOT_READ, False
                ints[event + EXCHANGE] = whole
            if at == ODD:
                return NOT_READ, False
            at = after_space(text, at)
        if text[at] != CLOSE:
            return NOT_READ, False
        needs = needs_of(kind)
        if needs == 0:
            state[OUT + UNKNOWN] += 1
        elif seen & needs != needs:
            state[OUT + MALFORMED] += 1
        else:
            ints[event + KIND] = kind
            is_new = is_new or ints[event + ROW] < 0
            count += 1
        at = after_space(text, at + 1)
        if text[at] == COMMA:
            at = after_space(text, at + 1)
        elif text[at] == CLOSE_LIST:
            ended = True
        else:
            return NOT_READ, False
    if after_space(text, at + 1) != length:
        return NOT_READ, False
    return count, is_new


@machine
def place_of(kind: int, key: int) -> int:
    """What a key means in an event of this kind."""
    if kind == QUOTE_EVENT:
        if key == _KEY_BP:
            return BP_AT
        if key == _KEY_AP:
            return AP_AT
        if key == _KEY_BS:
            return BS_AT
        if key == _KEY_AS:
            return AS_AT
        if key == _KEY_T:
            return _WHEN
        if key == _KEY_SYM:
            return _SYMBOL
    elif (kind == SECOND) | (kind == MINUTE):
        if key == _KEY_O:
            return O_AT
        if key == _KEY_H:
            return H_AT
        if key == _KEY_L:
            return L_AT
        if key == _KEY_C:
            return C_AT
        if key == _KEY_AV:
            return AV_AT
        if key == _KEY_A:
            return A_AT
        if key == _KEY_OP:
            return OP_AT
        if key == _KEY_V:
            return V_AT
        if key == _KEY_S:
            return _WHEN
        if key == _KEY_E:
            return _END
        if key == _KEY_SYM:
            return _SYMBOL
    elif kind == TRADE:
        if key == _KEY_P:
            return P_AT
        if key == _KEY_S:
            return S_AT
        if key == _KEY_T:
            return _WHEN
        if key == _KEY_X:
            return _EXCHANGE
        if key == _KEY_C:
            return _LIST
        if key == _KEY_SYM:
            return _SYMBOL
    elif kind == BAND:
        if key == _KEY_NAME:
            return _SYMBOL
        if key == _KEY_H:
            return H_AT
        if key == _KEY_L:
            return L_AT
        if key == _KEY_T:
            return _WHEN
        if key == _KEY_I:
            return _LIST
    return _STEP_OVER


@machine
def needs_of(kind: int) -> int:
    """A bit for every key an event of this kind must have; 0: a kind we do not use."""
    if kind == QUOTE_EVENT:
        return _NEEDS_QUOTE
    if kind == TRADE:
        return _NEEDS_TRADE
    if (kind == SECOND) | (kind == MINUTE):
        return _NEEDS_BAR
    return _NEEDS_BAND if kind == BAND else 0


@part
def read_conditions(text: Any, at: int) -> tuple[int, int, int]:
    """(position after it, the first four, a bit for each below 64) of a list of condition numbers, or of null."""
    if text[at] == 110:
        return after_value(text, at), 0, 0
    if text[at] != OPEN_LIST:
        return ODD, 0, 0
    at = after_space(text, at + 1)
    kept = codes = shift = int64(0)
    if text[at] == CLOSE_LIST:
        return at + 1, kept, codes
    while True:
        at, code = read_whole(text, at)
        if at == ODD or not 0 <= code < MOST_CONDITION:
            return ODD, kept, codes
        if code < 64:
            codes |= int64(1) << code
        if shift < 64:
            kept |= (code + 1) << shift
            shift += 16
        at = after_space(text, at)
        if text[at] == CLOSE_LIST:
            return at + 1, kept, codes
        if text[at] != COMMA:
            return ODD, kept, codes
        at = after_space(text, at + 1)


@machine
def to_ns(value: int) -> Any:
    """times.to_ns; what would be past NEVER_NS is just past it. A negative value ran over: it is past it too."""
    if value < 100_000_000_000:
        factor = int64(1_000_000_000)
    elif value < 100_000_000_000_000:
        factor = int64(1_000_000)
    elif value < 100_000_000_000_000_000:
        factor = int64(1_000)
    else:
        factor = int64(1)
    if value < 0 or value > NEVER_NS // factor:
        return NEVER_NS + 1
    return int64(value * factor)


@machine
def row_of(state: Any, first: int, second: int, third: int) -> Any:
    """The table's row of a symbol, −1 when it is not among the names yet (symbol_index.py)."""
    names, mask = ints_at(state[NAMES]), state[NAMES_MASK]
    place = (name_hash(first, second, third) >> 20) & mask
    while True:
        entry = place * 4
        row = names[entry + 3]
        if row == 0:
            return -1
        if names[entry] == first and names[entry + 1] == second and names[entry + 2] == third:
            return int64(row - 1)
        place = (place + 1) & mask


@machine
def name_hash(first: int, second: int, third: int) -> Any:
    mixed = first * 0x1E3779B97F4A7C15 + second * 0x2545F4914F6CDD1D + third * 0x27220A95FE0B2B05
    return int64(mixed ^ (mixed >> 29))
