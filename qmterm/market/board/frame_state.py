"""What the stream's machine code and the Python around it agree on: where each number lies.

The trap: both sides only hold addresses and places, nobody checks them: this file is the one place they come from.
"""

from __future__ import annotations

from qmterm.market.json_bytes import letters

# --- the state: what the code is told and what it tells, as 64-bit integers ---

OUT = 0  # nine numbers of FrameReport, in its order
OUT_COUNT = 9
TRADES, QUOTES, SECONDS, MINUTES, BANDS, LATE, UNKNOWN, MALFORMED, NEWEST = range(OUT_COUNT)
TABLE_FLOATS, TABLE_TIMES, CAPACITY, LOT = 16, 17, 18, 19
NAMES, NAMES_MASK = 20, 21  # the symbols, see symbol_index.py
STAMPS, PRICES, CARRY_MINUTE, CARRY_CLOSE, RING_CAPACITY, SESSION = 22, 23, 24, 25, 26, 27
EVENT_INTS, EVENT_FLOATS, EVENT_CAPACITY = 28, 29, 30
TAPE_INTS, TAPE_FLOATS, TAPE_CAPACITY, TAPE_FILLED = 31, 32, 33, 34
STATE_SIZE = 40

# --- answers ---

NOT_READ = -1  # plain.py's frame
MORE_ROOM = -2  # more events than EVENT_CAPACITY
NEW_SYMBOLS = -(2**40)  # plus the number of events: read but not written, some have row −1

# --- a read event: EVENT_WIDTH integers and as many doubles ---

EVENT_WIDTH = 8
KIND, ROW, WHEN, END, CONDITIONS, CODES, EXCHANGE, NAME_AT = range(EVENT_WIDTH)
# CONDITIONS: the first four, 16 bits each, plus one, 0 = none. CODES: a bit for each below 64. NAME_AT: place, length.

# Kinds of events, by their "ev".
TRADE, QUOTE_EVENT, SECOND, MINUTE, BAND = (letters(ev) for ev in ("T", "Q", "A", "AM", "LULD"))

# Places among an event's doubles: of a bar, a quote, a trade (bands are a bar's high and low).
O_AT, H_AT, L_AT, C_AT, AV_AT, A_AT, OP_AT, V_AT = range(8)
BP_AT, AP_AT, BS_AT, AS_AT = range(4)
P_AT, S_AT = range(2)
