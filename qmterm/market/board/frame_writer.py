"""Machine code that writes the events of a frame onto the board, in their order.

The trap: these are the rules of plain.py once more, without Python objects; the tests compare every bit.
"""

from __future__ import annotations

from typing import Any

from qmterm.market.board.frame_state import (
    A_AT,
    AP_AT,
    AS_AT,
    AV_AT,
    BAND,
    BANDS,
    BS_AT,
    C_AT,
    CAPACITY,
    CARRY_CLOSE,
    CARRY_MINUTE,
    CODES,
    CONDITIONS,
    END,
    EVENT_FLOATS,
    EVENT_INTS,
    EVENT_WIDTH,
    EXCHANGE,
    H_AT,
    KIND,
    L_AT,
    LATE,
    LOT,
    MALFORMED,
    MINUTE,
    MINUTES,
    NEWEST,
    OP_AT,
    OUT,
    P_AT,
    PRICES,
    QUOTE_EVENT,
    QUOTES,
    RING_CAPACITY,
    ROW,
    S_AT,
    SECONDS,
    SESSION,
    STAMPS,
    TABLE_FLOATS,
    TABLE_TIMES,
    TAPE_CAPACITY,
    TAPE_FILLED,
    TAPE_FLOATS,
    TAPE_INTS,
    TRADE,
    TRADES,
    V_AT,
    WHEN,
)
from qmterm.market.board.minutes import DEPTH, MINUTE_NS
from qmterm.market.board.plain import HALTED, NOT_LAST, RESUMED, UNKNOWN_BAND
from qmterm.market.board.sane import MOST, sane_bar
from qmterm.market.board.table import FLOAT_ROW, HALT_GRACE_NS, TIME_ROW
from qmterm.market.json_bytes import float64, floats_at, ints_at, machine, part
from qmterm.market.times import AHEAD_NS, BAR_AHEAD_NS, NEVER_NS

_NOT_LAST_BITS = sum(1 << code for code in NOT_LAST)  # all below 63, so the number stays positive
_HALTED_BIT, _RESUMED_BIT = 1 << HALTED, 1 << RESUMED

_BID, _ASK, _BID_SIZE, _ASK_SIZE = FLOAT_ROW["bid"], FLOAT_ROW["ask"], FLOAT_ROW["bid_size"], FLOAT_ROW["ask_size"]
_LAST, _DAY_OPEN, _DAY_HIGH, _DAY_LOW = (
    FLOAT_ROW["last"],
    FLOAT_ROW["day_open"],
    FLOAT_ROW["day_high"],
    FLOAT_ROW["day_low"],
)
_DAY_VWAP, _DAY_VOLUME, _BAR_CLOSE = FLOAT_ROW["day_vwap"], FLOAT_ROW["day_volume"], FLOAT_ROW["bar_close"]
_BAND_HIGH, _BAND_LOW = FLOAT_ROW["band_high"], FLOAT_ROW["band_low"]
_QUOTE_NS, _TRADE_NS, _ARRIVAL_NS = TIME_ROW["quote_ns"], TIME_ROW["trade_ns"], TIME_ROW["arrival_ns"]
_BAR_NS, _BAND_NS, _HALTED_NS = TIME_ROW["bar_ns"], TIME_ROW["band_ns"], TIME_ROW["halted_ns"]
part(sane_bar)


@machine
def write(count: int, arrival_ns: int, state: Any) -> None:
    """The read events onto the board, in their order."""
    latest = arrival_ns + AHEAD_NS if arrival_ns != 0 else NEVER_NS
    ints, floats = ints_at(state[EVENT_INTS]), floats_at(state[EVENT_FLOATS])
    for number in range(count):
        event = number * EVENT_WIDTH
        kind, row = ints[event + KIND], ints[event + ROW]
        if row < 0:
            state[OUT + MALFORMED] += 1
        elif kind == QUOTE_EVENT:
            write_quote(event, row, ints, floats, arrival_ns, latest, state)
        elif kind == TRADE:
            write_trade(event, row, ints, floats, arrival_ns, latest, state)
        elif kind == BAND:
            write_band(event, row, ints, floats, arrival_ns, latest, state)
        else:
            write_bar(event, row, ints, floats, arrival_ns, latest, state)


@machine
def write_quote(event: int, row: int, ints: Any, floats: Any, arrival_ns: int, latest: int, state: Any) -> None:
    column, time = floats_at(state[TABLE_FLOATS]), ints_at(state[TABLE_TIMES])
    capacity = state[CAPACITY]
    at = ints[event + WHEN]
    bid, ask, bid_size, ask_size = floats[event], floats[event + AP_AT], floats[event + BS_AT], floats[event + AS_AT]
    total = bid + ask + bid_size + ask_size
    if at >= NEVER_NS or not -MOST < total < MOST:
        state[OUT + MALFORMED] += 1
        return
    state[OUT + QUOTES] += 1
    if at > state[OUT + NEWEST]:
        state[OUT + NEWEST] = at
    if at > latest:
        at = arrival_ns
    if at < time[_QUOTE_NS * capacity + row]:
        state[OUT + LATE] += 1
        return
    lot = float64(state[LOT])
    time[_QUOTE_NS * capacity + row] = at
    time[_ARRIVAL_NS * capacity + row] = max(arrival_ns, at)
    column[_BID * capacity + row] = bid
    column[_ASK * capacity + row] = ask
    column[_BID_SIZE * capacity + row] = bid_size * lot
    column[_ASK_SIZE * capacity + row] = ask_size * lot


@part
def write_trade(event: int, row: int, ints: Any, floats: Any, arrival_ns: int, latest: int, state: Any) -> None:
    column, time = floats_at(state[TABLE_FLOATS]), ints_at(state[TABLE_TIMES])
    capacity = state[CAPACITY]
    at = ints[event + WHEN]
    price, size = floats[event + P_AT], floats[event + S_AT]
    if at >= NEVER_NS or not 0.0 < price < MOST or not 0.0 <= size < MOST:
        state[OUT + MALFORMED] += 1
        return
    state[OUT + TRADES] += 1
    if at > state[OUT + NEWEST]:
        state[OUT + NEWEST] = at
    if at > latest:
        at = arrival_ns
    if state[TAPE_CAPACITY] > 0:
        put_on_tape(event, row, at, ints, floats, state)
    held = time[_TRADE_NS * capacity + row]
    if at < held:
        if held != time[_BAR_NS * capacity + row]:
            state[OUT + LATE] += 1
    elif state[LOT] == 1 or ints[event + CODES] & _NOT_LAST_BITS == 0:
        time[_TRADE_NS * capacity + row] = at
        column[_LAST * capacity + row] = price
        if 0 < time[_HALTED_NS * capacity + row] < at - HALT_GRACE_NS:
            time[_HALTED_NS * capacity + row] = 0


@part
def put_on_tape(event: int, row: int, at: int, ints: Any, floats: Any, state: Any) -> None:
    filled, room = ints_at(state[TAPE_FILLED]), state[TAPE_CAPACITY]
    place = filled[0]
    if place >= room:
        filled[1] += 1
        return
    column, time = floats_at(state[TABLE_FLOATS]), ints_at(state[TABLE_TIMES])
    capacity = state[CAPACITY]
    whole, number = ints_at(state[TAPE_INTS]), floats_at(state[TAPE_FLOATS])
    whole[place] = row
    whole[room + place] = ints[event + EXCHANGE]
    whole[2 * room + place] = at
    whole[3 * room + place] = time[_QUOTE_NS * capacity + row]
    kept = ints[event + CONDITIONS]
    for which in range(4):
        whole[(4 + which) * room + place] = (kept & 0xFFFF) - 1
        kept >>= 16
    number[place] = floats[event + P_AT]
    number[room + place] = floats[event + S_AT]
    number[2 * room + place] = column[_BID * capacity + row]
    number[3 * room + place] = column[_ASK * capacity + row]
    filled[0] = place + 1


@part
def write_band(event: int, row: int, ints: Any, floats: Any, arrival_ns: int, latest: int, state: Any) -> None:
    column, time = floats_at(state[TABLE_FLOATS]), ints_at(state[TABLE_TIMES])
    capacity = state[CAPACITY]
    at = ints[event + WHEN]
    high, low, codes = floats[event + H_AT], floats[event + L_AT], ints[event + CODES]
    banded = 0.0 < low <= high < MOST
    if at >= NEVER_NS or not (banded or codes & (_HALTED_BIT | _RESUMED_BIT) != 0):
        state[OUT + MALFORMED] += 1
        return
    if at > latest or at == 0:
        at = arrival_ns
    state[OUT + BANDS] += 1
    if at < time[_BAND_NS * capacity + row]:
        state[OUT + LATE] += 1
        return
    time[_BAND_NS * capacity + row] = at
    column[_BAND_HIGH * capacity + row] = high if banded else UNKNOWN_BAND
    column[_BAND_LOW * capacity + row] = low if banded else UNKNOWN_BAND
    if codes & _HALTED_BIT != 0:
        time[_HALTED_NS * capacity + row] = max(at, 1)
    elif codes & _RESUMED_BIT != 0:
        time[_HALTED_NS * capacity + row] = 0


@part
def write_bar(event: int, row: int, ints: Any, floats: Any, arrival_ns: int, latest: int, state: Any) -> None:
    column, time = floats_at(state[TABLE_FLOATS]), ints_at(state[TABLE_TIMES])
    capacity = state[CAPACITY]
    start_ns, end_ns = ints[event + WHEN], ints[event + END]
    open_, high, low, close = floats[event], floats[event + H_AT], floats[event + L_AT], floats[event + C_AT]
    day_volume, day_vwap, day_open = floats[event + AV_AT], floats[event + A_AT], floats[event + OP_AT]
    volume = floats[event + V_AT]
    sane = sane_bar(open_, high, low, close, volume) and -MOST < day_volume + day_vwap + day_open < MOST
    furthest = arrival_ns + BAR_AHEAD_NS if arrival_ns != 0 else NEVER_NS
    if max(start_ns, end_ns) > furthest or not sane:
        state[OUT + MALFORMED] += 1
        return
    if end_ns > latest:
        end_ns = arrival_ns
    session = ints_at(state[SESSION])
    regular = session[0] <= start_ns < session[1]
    if ints[event + KIND] == MINUTE:
        state[OUT + MINUTES] += 1
        if regular and state[LOT] != 1 and not write_minute(row, start_ns, open_, high, low, close, volume, state):
            state[OUT + LATE] += 1
    else:
        state[OUT + SECONDS] += 1
    if regular:
        if not high <= column[_DAY_HIGH * capacity + row]:
            column[_DAY_HIGH * capacity + row] = high
        if not low >= column[_DAY_LOW * capacity + row]:
            column[_DAY_LOW * capacity + row] = low
        if volume > 0.0 and 0 < time[_HALTED_NS * capacity + row] < start_ns - HALT_GRACE_NS:
            time[_HALTED_NS * capacity + row] = 0
    if day_open > 0.0:
        column[_DAY_OPEN * capacity + row] = day_open
    if end_ns < time[_BAR_NS * capacity + row]:
        return
    column[_BAR_CLOSE * capacity + row] = close
    time[_BAR_NS * capacity + row] = end_ns
    if day_volume > 0.0:
        column[_DAY_VOLUME * capacity + row] = day_volume
    if day_vwap > 0.0:
        column[_DAY_VWAP * capacity + row] = day_vwap
    if end_ns > time[_TRADE_NS * capacity + row]:
        column[_LAST * capacity + row] = close
        time[_TRADE_NS * capacity + row] = end_ns


@part
def write_minute(
    row: int, start_ns: int, open_: float, high: float, low: float, close: float, volume: float, state: Any
) -> bool:
    """MinuteRing.write."""
    capacity = state[RING_CAPACITY]
    stamps, prices = ints_at(state[STAMPS]), floats_at(state[PRICES])
    minute = start_ns // MINUTE_NS
    at = (minute % DEPTH) * capacity + row
    held = stamps[at]
    if minute < held:
        return False
    plane = DEPTH * capacity
    carried = ints_at(state[CARRY_MINUTE])
    if minute > held and held > carried[row]:
        carried[row] = held
        floats_at(state[CARRY_CLOSE])[row] = prices[3 * plane + at]
    stamps[at] = minute
    prices[at] = open_
    prices[plane + at] = high
    prices[2 * plane + at] = low
    prices[3 * plane + at] = close
    prices[4 * plane + at] = volume
    return True
