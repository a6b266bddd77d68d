"""The whole-market snapshot as machine code: the rows of "tickers" into two blocks of numbers and a text of names.

The trap: every field that bodies.Ticker declares is read here too, wanted or not: a row with a wrong one is bad. A row
that is not in the common form is stepped over as a whole and left, with its place, to the full reader.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qmterm.market.json_bytes import (
    CLOSE,
    CLOSE_LIST,
    COMMA,
    ODD,
    OPEN,
    OPEN_LIST,
    QUOTE,
    after_object,
    after_space,
    after_string,
    after_value,
    bytes_of,
    bytes_to,
    floats_at,
    int64,
    ints_at,
    letters,
    machine,
    part,
    read_key,
    read_number,
    read_whole,
)

# --- the state ---

NUMBERS, TIMES, NAMES, NAMES_ROOM, PLACES, ROWS_ROOM = range(6)  # addresses and how much there is room for
BEGIN, END, NAMES_LENGTH, ODD_ROWS = 8, 9, 10, 11  # answers: the list's place in the body, bytes of names, odd rows
STATE_SIZE = 16

NOT_READ = -1
MORE_ROOM = -2

# --- a row ---

DAY_O, DAY_H, DAY_L, DAY_C, DAY_V, DAY_VW = range(6)
PREV_O, PREV_H, PREV_L, PREV_C, PREV_V, PREV_VW = range(6, 12)
MIN_O, MIN_H, MIN_L, MIN_C, MIN_V, MIN_T = range(12, 18)
TRADE_P, QUOTE_BID, QUOTE_ASK, QUOTE_BID_SIZE, QUOTE_ASK_SIZE = range(18, 23)
NUMBERS_WIDTH = 23
QUOTE_T, TRADE_T, UPDATED = range(3)
TIMES_WIDTH = 4
PLACE_FROM, PLACE_TO = range(2)  # of an odd row in the body; 0, 0: it was read
PLACES_WIDTH = 2

_NAN = np.nan
_DAY, _PREV, _MIN, _TRADE, _QUOTE, _TICKER, _UPDATED = range(7)
_KEY_DAY, _KEY_MIN, _KEY_PREV = letters("day"), letters("min"), letters("prevDay")
_KEY_TICKER, _KEY_UPDATED, _KEY_TICKERS = letters("ticker"), letters("updated"), letters("tickers")
_KEY_TRADE_END, _KEY_QUOTE_END = letters("astTrade"), letters("astQuote")  # the last eight of nine letters
_KEY_O, _KEY_H, _KEY_L, _KEY_C, _KEY_V, _KEY_VW = (letters(key) for key in ("o", "h", "l", "c", "v", "vw"))
_KEY_P, _KEY_T, _KEY_S, _KEY_BIG_P, _KEY_BIG_S = (letters(key) for key in ("p", "t", "s", "P", "S"))
_SMALL_L, _SMALL_N, _NEW_LINE = 108, 110, 10
_STEP_OVER, _WHOLE = -1, 1_000


def read_tickers(body: Any, length: int, _: int, state_at: int) -> int:
    """The number of rows, odd ones among them, or NOT_READ or MORE_ROOM."""
    text, state = bytes_of(body), ints_at(state_at)
    at = after_space(text, int64(0))
    if text[at] != OPEN:
        return NOT_READ
    while True:
        at, key = read_key(text, after_space(text, at + 1))
        if at == ODD:
            return NOT_READ
        if key == _KEY_TICKERS:
            break
        at = after_value(text, at)
        if at == ODD:
            return NOT_READ
        at = after_space(text, at)
        if text[at] != COMMA:
            return NOT_READ
    if text[at] != OPEN_LIST:
        return NOT_READ
    state[BEGIN] = at
    numbers, times, places = floats_at(state[NUMBERS]), ints_at(state[TIMES]), ints_at(state[PLACES])
    names, names_used = bytes_to(state[NAMES]), int64(0)
    count: int = int64(0)
    odd_rows: int = int64(0)
    at = after_space(text, at + 1)
    while True:
        if text[at] != OPEN:
            return NOT_READ
        if count == state[ROWS_ROOM] or names_used + 32 > state[NAMES_ROOM]:
            return MORE_ROOM
        begin = at
        at, size = read_row(text, at, numbers, count * NUMBERS_WIDTH, times, count * TIMES_WIDTH, names, names_used)
        if at == ODD:
            at = after_object(text, begin, length)
            if at == ODD:
                return NOT_READ
            places[count * PLACES_WIDTH + PLACE_FROM] = begin
            places[count * PLACES_WIDTH + PLACE_TO] = at
            odd_rows += 1
            size = int64(0)
        else:
            places[count * PLACES_WIDTH + PLACE_TO] = 0
        names_used += size
        names[names_used] = _NEW_LINE
        names_used += 1
        count += 1
        at = after_space(text, at)
        if text[at] == CLOSE_LIST:
            break
        if text[at] != COMMA:
            return NOT_READ
        at = after_space(text, at + 1)
    state[END] = at + 1
    state[NAMES_LENGTH] = names_used
    state[ODD_ROWS] = odd_rows
    return count


@machine
def read_row(
    text: Any, at: int, numbers: Any, number: int, times: Any, time: int, names: Any, name: int
) -> tuple[int, int]:
    """(position after the row, letters of its name)."""
    for place in range(NUMBERS_WIDTH):
        numbers[number + place] = _NAN
    numbers[number + DAY_V] = numbers[number + PREV_V] = numbers[number + MIN_T] = 0.0
    numbers[number + QUOTE_BID_SIZE] = numbers[number + QUOTE_ASK_SIZE] = 0.0
    for place in range(TIMES_WIDTH):
        times[time + place] = 0
    seen = size = int64(0)
    while True:
        key_at = after_space(text, at + 1)
        at, key = read_key(text, key_at)
        if at == ODD:
            return ODD, size
        what = part_of_row(text, key_at, key)
        if what != _STEP_OVER:
            if seen & (1 << what) != 0:  # twice: the full reader knows which of them counts
                return ODD, size
            seen |= int64(1) << what
        if what == _STEP_OVER:
            at = after_value(text, at)
        elif what == _TICKER:
            if text[at] != QUOTE:
                return ODD, size
            begin = at + 1
            at = after_string(text, begin)
            if at == ODD or at - 1 - begin > 24:
                return ODD, size
            size = at - 1 - begin
            for letter in range(size):
                names[name + letter] = text[begin + letter]
        elif what == _UPDATED:
            at, whole = read_whole(text, at)
            times[time + UPDATED] = whole
        elif text[at] == _SMALL_N:
            at = after_value(text, at)
        else:
            at = read_part(text, at, what, numbers, number, times, time)
        if at == ODD:
            return ODD, size
        at = after_space(text, at)
        if text[at] == CLOSE:
            break
        if text[at] != COMMA:
            return ODD, size
    if seen & (1 << _TICKER) == 0:
        return ODD, size
    return at + 1, size


@machine
def part_of_row(text: Any, at: int, key: int) -> int:
    if key == _KEY_DAY:
        return _DAY
    if key == _KEY_PREV:
        return _PREV
    if key == _KEY_MIN:
        return _MIN
    if key == _KEY_TICKER:
        return _TICKER
    if key == _KEY_UPDATED:
        return _UPDATED
    if text[at + 1] == _SMALL_L and ((key == _KEY_TRADE_END) | (key == _KEY_QUOTE_END)) and text[at + 10] == QUOTE:
        return _TRADE if key == _KEY_TRADE_END else _QUOTE
    return _STEP_OVER


@part
def read_part(text: Any, at: int, what: int, numbers: Any, number: int, times: Any, time: int) -> int:
    """Past one object of a row, its numbers taken."""
    if text[at] != OPEN:
        return ODD
    at = after_space(text, at + 1)
    if text[at] == CLOSE:
        return at + 1
    while True:
        at, key = read_key(text, at)
        if at == ODD:
            return ODD
        place = place_of(what, key)
        if place == _STEP_OVER:
            at = after_value(text, at)
        elif place >= _WHOLE:
            at, whole = read_whole(text, at)
            times[time + place - _WHOLE] = whole
        else:
            at, value = read_number(text, at)
            numbers[number + place] = value
        if at == ODD:
            return ODD
        at = after_space(text, at)
        if text[at] == CLOSE:
            return at + 1
        if text[at] != COMMA:
            return ODD
        at = after_space(text, at + 1)


@machine
def place_of(what: int, key: int) -> int:
    """Where a number of a part goes; _WHOLE and more: a time."""
    if (what == _DAY) | (what == _PREV):
        first = DAY_O if what == _DAY else PREV_O
        if key == _KEY_O:
            return first
        if key == _KEY_H:
            return first + DAY_H
        if key == _KEY_L:
            return first + DAY_L
        if key == _KEY_C:
            return first + DAY_C
        if key == _KEY_V:
            return first + DAY_V
        if key == _KEY_VW:
            return first + DAY_VW
    elif what == _MIN:
        if key == _KEY_O:
            return MIN_O
        if key == _KEY_H:
            return MIN_H
        if key == _KEY_L:
            return MIN_L
        if key == _KEY_C:
            return MIN_C
        if key == _KEY_V:
            return MIN_V
        if key == _KEY_T:
            return MIN_T
    elif what == _TRADE:
        if key == _KEY_P:
            return TRADE_P
        if key == _KEY_T:
            return _WHOLE + TRADE_T
    else:
        if key == _KEY_P:
            return QUOTE_BID
        if key == _KEY_BIG_P:
            return QUOTE_ASK
        if key == _KEY_S:
            return QUOTE_BID_SIZE
        if key == _KEY_BIG_S:
            return QUOTE_ASK_SIZE
        if key == _KEY_T:
            return _WHOLE + QUOTE_T
    return _STEP_OVER
