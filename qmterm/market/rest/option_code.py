"""One page of an option chain as machine code: its contracts into two blocks of numbers and a table of OCC symbols.

The trap: every field that bodies.Contract declares is read here too, wanted or not: a row with a wrong one is bad. A
row that is not in the common form, or whose symbol is not, is left with its place to the full reader.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qmterm.market.json_bytes import (
    CLOSE,
    CLOSE_LIST,
    COLON,
    COMMA,
    ODD,
    OPEN,
    OPEN_LIST,
    QUOTE,
    SPACE,
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
    read_words,
    words,
)

# --- the state ---

NUMBERS, WHOLES, OCC, PLACES, ROWS_ROOM, ASSETS, ASSETS_ROOM = range(7)  # addresses and how much there is room for
BEGIN, END, ODD_ROWS, ASSET_COUNT = 8, 9, 10, 11  # answers: the list's place in the body, odd rows, different assets
STATE_SIZE = 12

NOT_READ = -1
MORE_ROOM = -2

# --- a row ---

# In the order of option_page.FLOATS, and of option_page.TIMES.
BID, ASK, BID_SIZE, ASK_SIZE, LAST, IV, DELTA, GAMMA, THETA, VEGA, MULTIPLIER, DAY_VOLUME, OPEN_INTEREST = range(13)
NUMBERS_WIDTH = 13
QUOTE_T, TRADE_T, DAY_T, EXPIRY, STRIKE, MARKS = range(6)  # days since 1970, thousandths of a dollar
WHOLES_WIDTH = 6
IS_CALL, IS_ADJUSTED, IS_DELAYED = 1, 2, 4  # of MARKS
OCC_WIDTH, TAIL = 21, 15
PLACE_FROM, PLACE_TO = range(2)  # of an odd row in the body; 0, 0: it was read
PLACES_WIDTH = 2

_NAN = np.nan
_DAY, _DETAILS, _GREEKS, _QUOTE, _TRADE, _IV, _INTEREST, _ASSET = range(8)
_STEP_OVER, _TICKER, _TIMEFRAME, _WHOLE, _MAYBE = -1, 500, 501, 1_000, 2_000

_KEY_RESULTS = letters("results")
_KEY_DAY, _KEY_DETAILS, _KEY_GREEKS = words("day"), words("details"), words("greeks")
_KEY_QUOTE, _KEY_TRADE, _KEY_ASSET = words("last_quote"), words("last_trade"), words("underlying_asset")
_KEY_IV, _KEY_INTEREST = words("implied_volatility"), words("open_interest")
_KEY_TICKER, _KEY_SHARES, _KEY_VOLUME = words("ticker"), words("shares_per_contract"), words("volume")
_KEY_BID, _KEY_ASK, _KEY_BID_SIZE, _KEY_ASK_SIZE = words("bid"), words("ask"), words("bid_size"), words("ask_size")
_KEY_UPDATED, _KEY_SIP, _KEY_TIMEFRAME = words("last_updated"), words("sip_timestamp"), words("timeframe")
_KEY_PRICE = words("price")
_KEY_DELTA, _KEY_GAMMA, _KEY_THETA, _KEY_VEGA = words("delta"), words("gamma"), words("theta"), words("vega")
_DELAYED = words("DELAYED")
_SMALL_N, _C, _P, _O, _POINT = 110, 67, 80, 79, 46
_ZERO, _NINE, _A, _Z = 48, 57, 65, 90
_MONTHS_BEFORE = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365])
_DAYS_TO_2000 = 10_957


def read_contracts(body: Any, length: int, _: int, state_at: int) -> int:
    """The number of rows, odd ones among them, or NOT_READ or MORE_ROOM."""
    text, state = bytes_of(body), ints_at(state_at)
    at = after_space(text, int64(0))
    if text[at] != OPEN:
        return NOT_READ
    while True:
        at, key = read_key(text, after_space(text, at + 1))
        if at == ODD:
            return NOT_READ
        if key == _KEY_RESULTS:
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
    state[ASSET_COUNT] = 0
    numbers, wholes, places = floats_at(state[NUMBERS]), ints_at(state[WHOLES]), ints_at(state[PLACES])
    occ = bytes_to(state[OCC])
    count: int = int64(0)
    odd_rows: int = int64(0)
    at = after_space(text, at + 1)
    while True:
        if text[at] != OPEN:
            return NOT_READ
        if count == state[ROWS_ROOM]:
            return MORE_ROOM
        begin, known_assets = at, state[ASSET_COUNT]
        number, whole = count * NUMBERS_WIDTH, count * WHOLES_WIDTH
        at = read_row(text, at, length, numbers, number, wholes, whole, occ, count * OCC_WIDTH, state)
        if at == ODD:
            state[ASSET_COUNT] = known_assets
            at = after_object(text, begin, length)
            if at == ODD:
                return NOT_READ
            places[count * PLACES_WIDTH + PLACE_FROM] = begin
            places[count * PLACES_WIDTH + PLACE_TO] = at
            odd_rows += 1
        else:
            places[count * PLACES_WIDTH + PLACE_TO] = 0
        count += 1
        at = after_space(text, at)
        if text[at] == CLOSE_LIST:
            break
        if text[at] != COMMA:
            return NOT_READ
        at = after_space(text, at + 1)
    state[END] = at + 1
    state[ODD_ROWS] = odd_rows
    return count


@machine
def read_row(
    text: Any, at: int, length: int, numbers: Any, number: int, wholes: Any, whole: int, occ: Any, name: int, state: Any
) -> int:
    """Past the row."""
    for place in range(NUMBERS_WIDTH):
        numbers[number + place] = _NAN
    numbers[number + MULTIPLIER] = 100.0
    numbers[number + BID_SIZE] = numbers[number + ASK_SIZE] = numbers[number + DAY_VOLUME] = 0.0
    for place in range(WHOLES_WIDTH):
        wholes[whole + place] = 0
    seen = int64(0)
    while True:
        at, low, middle, high = read_words(text, after_space(text, at + 1))
        if at == ODD or text[at] != COLON:
            return ODD
        at = after_space(text, at + 1)
        what = part_of_row(low, middle, high)
        if what != _STEP_OVER:
            if seen & (1 << what) != 0:  # twice: the full reader knows which of them counts
                return ODD
            seen |= int64(1) << what
        if what == _STEP_OVER or (text[at] == _SMALL_N and what != _DETAILS):
            at = after_value(text, at)
        elif what == _ASSET:
            at = after_asset(text, at, length, state)
        elif what == _IV:
            at, numbers[number + IV] = read_number(text, at)
        elif what == _INTEREST:
            at, numbers[number + OPEN_INTEREST] = read_number(text, at)
        else:
            at = read_part(text, at, what, numbers, number, wholes, whole, occ, name)
        if at == ODD:
            return ODD
        at = after_space(text, at)
        if text[at] == CLOSE:
            break
        if text[at] != COMMA:
            return ODD
    # Every symbol has an expiry, which is no day of 1970.
    return at + 1 if seen & (1 << _DETAILS) != 0 and wholes[whole + EXPIRY] != 0 else ODD


@machine
def part_of_row(low: int, middle: int, high: int) -> int:
    """What a row's key names; keys of up to 24 letters as `read_words` gives them."""
    if high == 0:
        if middle == 0:
            if low == _KEY_DAY[0]:
                return _DAY
            if low == _KEY_DETAILS[0]:
                return _DETAILS
            if low == _KEY_GREEKS[0]:
                return _GREEKS
        if low == _KEY_QUOTE[0] and middle == _KEY_QUOTE[1]:
            return _QUOTE
        if low == _KEY_TRADE[0] and middle == _KEY_TRADE[1]:
            return _TRADE
        if low == _KEY_INTEREST[0] and middle == _KEY_INTEREST[1]:
            return _INTEREST
        if low == _KEY_ASSET[0] and middle == _KEY_ASSET[1]:
            return _ASSET
    elif low == _KEY_IV[0] and middle == _KEY_IV[1] and high == _KEY_IV[2]:
        return _IV
    return _STEP_OVER


@part
def read_part(
    text: Any, at: int, what: int, numbers: Any, number: int, wholes: Any, whole: int, occ: Any, name: int
) -> int:
    """Past one object of a row, its numbers taken."""
    if text[at] != OPEN:
        return ODD
    at = after_space(text, at + 1)
    if text[at] == CLOSE:
        return at + 1
    while True:
        at, low, middle, high = read_words(text, at)
        if at == ODD or text[at] != COLON:
            return ODD
        at = after_space(text, at + 1)
        place = place_of(what, low, middle, high)
        if place == _STEP_OVER:
            at = after_value(text, at)
        elif place == _TICKER:
            at = read_symbol(text, at, wholes, whole, occ, name)
        elif place == _TIMEFRAME:
            at, low, middle, high = read_words(text, at)
            wholes[whole + MARKS] &= ~IS_DELAYED
            if low == _DELAYED[0] and middle == 0 and high == 0:
                wholes[whole + MARKS] |= IS_DELAYED
        elif place >= _MAYBE:
            if text[at] == _SMALL_N:
                at, value = after_value(text, at), _NAN
            else:
                at, value = read_number(text, at)
            numbers[number + place - _MAYBE] = value
        elif place >= _WHOLE:
            at, wholes[whole + place - _WHOLE] = read_whole(text, at)
        else:
            at, numbers[number + place] = read_number(text, at)
        if at == ODD:
            return ODD
        at = after_space(text, at)
        if text[at] == CLOSE:
            return at + 1
        if text[at] != COMMA:
            return ODD
        at = after_space(text, at + 1)


@machine
def place_of(what: int, low: int, middle: int, high: int) -> int:
    """Where a value of a part goes; from _WHOLE on a time, from _MAYBE on a number that may be null."""
    if high != 0:
        if what == _DETAILS and low == _KEY_SHARES[0] and middle == _KEY_SHARES[1] and high == _KEY_SHARES[2]:
            return MULTIPLIER
        return _STEP_OVER
    if what == _QUOTE:
        if low == _KEY_UPDATED[0] and middle == _KEY_UPDATED[1]:
            return _WHOLE + QUOTE_T
        if low == _KEY_TIMEFRAME[0] and middle == _KEY_TIMEFRAME[1]:
            return _TIMEFRAME
        if middle == 0:
            if low == _KEY_BID[0]:
                return BID
            if low == _KEY_ASK[0]:
                return ASK
            if low == _KEY_BID_SIZE[0]:
                return BID_SIZE
            if low == _KEY_ASK_SIZE[0]:
                return ASK_SIZE
    elif what == _DAY:
        if low == _KEY_VOLUME[0] and middle == 0:
            return DAY_VOLUME
        if low == _KEY_UPDATED[0] and middle == _KEY_UPDATED[1]:
            return _WHOLE + DAY_T
    elif what == _TRADE:
        if low == _KEY_PRICE[0] and middle == 0:
            return LAST
        if low == _KEY_SIP[0] and middle == _KEY_SIP[1]:
            return _WHOLE + TRADE_T
    elif what == _DETAILS:
        if low == _KEY_TICKER[0] and middle == 0:
            return _TICKER
    elif middle == 0:
        if low == _KEY_DELTA[0]:
            return _MAYBE + DELTA
        if low == _KEY_GAMMA[0]:
            return _MAYBE + GAMMA
        if low == _KEY_THETA[0]:
            return _MAYBE + THETA
        if low == _KEY_VEGA[0]:
            return _MAYBE + VEGA
    return _STEP_OVER


@part
def read_symbol(text: Any, at: int, wholes: Any, whole: int, occ: Any, name: int) -> int:
    """Past "O:" with a root, YYMMDD, C or P and eight digits: exactly what instruments.parse_option takes for one."""
    if text[at] != QUOTE or text[at + 1] != _O or text[at + 2] != COLON:
        return ODD
    begin = at + 3
    end = after_string(text, begin)
    root = end - 1 - begin - TAIL
    if end == ODD or root < 1 or root > OCC_WIDTH - TAIL:
        return ODD
    is_digit = False
    for place in range(OCC_WIDTH - TAIL):
        byte = int64(text[begin + place]) if place < root else int64(SPACE)
        if place < root:
            is_digit = _ZERO <= byte <= _NINE
            if not (_A <= byte <= _Z or (place > 0 and (is_digit or byte == _POINT))):
                return ODD
        occ[name + place] = byte
    begin += root
    value = int64(0)
    for place in range(TAIL):
        byte = int64(text[begin + place])
        occ[name + OCC_WIDTH - TAIL + place] = byte
        if place == 6:
            if byte != _C and byte != _P:
                return ODD
        elif _ZERO <= byte <= _NINE:
            value = value * 10 + byte - _ZERO
        else:
            return ODD
    strike, date = value % 100_000_000, value // 100_000_000
    year, month, day = date // 10_000, date // 100 % 100, date % 100
    if month < 1 or month > 12 or day < 1:
        return ODD
    leap = int64(1) if year % 4 == 0 else int64(0)  # 2000 … 2099
    february = leap if month == 2 else int64(0)
    if day > _MONTHS_BEFORE[month] - _MONTHS_BEFORE[month - 1] + february:
        return ODD
    days = year * 365 + (year + 3) // 4 + _MONTHS_BEFORE[month - 1] + day - 1 + (leap if month > 2 else int64(0))
    wholes[whole + EXPIRY] = _DAYS_TO_2000 + days
    wholes[whole + STRIKE] = strike
    kept = wholes[whole + MARKS] & IS_DELAYED
    is_call = int64(IS_CALL) if text[begin + 6] == _C else int64(0)
    wholes[whole + MARKS] = kept | is_call | (int64(IS_ADJUSTED) if is_digit else int64(0))
    return end


@part
def after_asset(text: Any, at: int, length: int, state: Any) -> int:
    """Past the object that tells the underlying: compared with the latest one, and its place kept when it differs."""
    if text[at] != OPEN:
        return ODD
    assets, count = ints_at(state[ASSETS]), state[ASSET_COUNT]
    if count > 0:
        begin = assets[2 * count - 2]
        size: int = assets[2 * count - 1] - begin
        if at + size <= length:
            same = int64(0)
            while same < size and text[at + same] == text[begin + same]:
                same += 1
            if same == size:
                return at + size
    if count == state[ASSETS_ROOM]:
        return ODD
    end = after_object(text, at, length)
    if end != ODD:
        assets[2 * count], assets[2 * count + 1] = at, end
        state[ASSET_COUNT] = count + 1
    return end
