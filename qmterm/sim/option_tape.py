"""Who traded which option contract, when, where and how: prints of single seconds, with sweeps and blocks by seed.

The trap: every number follows from (contract, day, second), never from who listens, and the sizes add up to the
volume that snapshots tell. A busted trade is the one exception, as in life: it and its cancel cancel out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.clock import NS
from qmterm.sim.listing import Contracts, years_left
from qmterm.sim.randomness import chance

# OPRA participants by Polygon's exchange numbers.
EXCHANGES = (300, 301, 302, 303, 304, 307, 308, 309, 312, 313, 316, 319, 320, 322, 323, 325)
AUTO, ISO, CANCEL, LATE = 209, 219, 201, 202
AT_BID, AT_MID, AT_ASK, ABOVE_ASK = -1, 0, 1, 2
MOST_BURSTS, MOST_PIECES = 4, 9
QUIET_OPEN_S, QUIET_CLOSE_S = 300, 1500  # no campaign begins in the first or the last seconds of a session
NEVER = 1 << 40
_SALT = 4100

# Condition, share of ordinary prints, and how its price stands: multi-leg and crosses trade between the sides.
_MIX: tuple[tuple[int, float, bool], ...] = (
    (AUTO, 0.555, False),
    (ISO, 0.12, False),
    (227, 0.09, True),  # single leg auction
    (228, 0.01, True),
    (229, 0.015, True),  # single leg cross
    (230, 0.005, True),
    (231, 0.015, True),  # floor
    (232, 0.11, True),  # multi-leg
    (233, 0.03, True),
    (234, 0.01, True),
    (235, 0.01, True),
    (237, 0.01, True),  # tied to stock
    (240, 0.005, True),
    (LATE, 0.01, True),
    (210, 0.005, False),
)
_CONDITIONS = np.array([condition for condition, _, _ in _MIX])
_BETWEEN = np.array([between for _, _, between in _MIX])
_UP_TO = np.cumsum([share for _, share, _ in _MIX])
_BLOCK_CONDITIONS = np.array([AUTO, 227, 229, 231, 232])
BUSTED = 0.003  # share of ordinary prints that are entered by mistake and cancelled


@dataclass(frozen=True)
class Prints:
    """Trades in the order of their time; `row` points into the contracts asked about, `side` says where against the
    quote in force each was made. `busted` prints are cancelled `cancelled_ns` later and count in no volume."""

    row: IntArray
    time_ns: IntArray
    side: IntArray
    size: IntArray
    exchange: IntArray
    condition: IntArray
    busted: BoolArray
    cancelled_ns: IntArray

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Campaigns:
    """Buyers and sellers in a hurry: for some contracts up to four bursts, at seconds of the session."""

    row: IntArray
    second: IntArray  # (rows, bursts); NEVER where there is none
    size: IntArray  # contracts a burst
    sweep: BoolArray  # else a block
    iso: BoolArray
    side: IntArray


def campaigns(
    contracts: Contracts, reference: FloatArray, depth: FloatArray, day: int, seconds: int, day_ns: int
) -> Campaigns:
    """Today's campaigns among `contracts`: near-dated, out of the money or near it, more in busy names."""
    key, symbol = contracts.key, contracts.symbol
    years = years_left(day_ns, contracts.expiry_ns)
    distance = np.log(contracts.strike / reference[symbol]) * np.where(contracts.is_call, 1.0, -1.0)
    eligible = (years < 50 / 365) & (distance > -0.02) & (distance < 0.12)
    luck = chance(key, _SALT, day)
    row = np.flatnonzero(eligible & (luck < 0.004 + 0.01 * depth[symbol]))
    picked, busy = key[row], depth[symbol[row]]

    def draw(purpose: int) -> FloatArray:
        return chance(picked, _SALT + purpose, day)

    bursts = 1 + (MOST_BURSTS * draw(1) ** 2).astype(np.int64)
    room = max(1, seconds - QUIET_OPEN_S - QUIET_CLOSE_S)
    start = QUIET_OPEN_S + (draw(2) * room).astype(np.int64)
    gap = 20 + (280 * draw(3)).astype(np.int64)
    number = np.arange(MOST_BURSTS)
    total = np.exp(np.log(120.0) + draw(4) * np.log(40.0)) * (0.25 + 0.75 * busy)
    size = np.maximum(10, total / bursts).astype(np.int64)
    happens = number[None, :] < bursts[:, None]
    second = np.where(happens, start[:, None] + gap[:, None] * number[None, :], NEVER)
    return Campaigns(
        row=row,
        second=second,
        size=np.broadcast_to(size[:, None], second.shape),
        sweep=draw(5) < 0.6,
        iso=draw(6) < 0.7,
        side=np.where(draw(7) < 0.7, AT_ASK, AT_BID),
    )


def campaign_volume(found: Campaigns, count: int, second: int) -> IntArray:
    """Contracts that campaigns traded up to a second of the session, one entry for each of `count` contracts."""
    out = np.zeros(count, dtype=np.int64)
    out[found.row] = np.where(found.second <= second, found.size, 0).sum(axis=1)
    return out


def lumps(key: NDArray[np.uint64], session_volume: IntArray, day: int) -> IntArray:
    """Contracts that come to trade together, by contract: orders are for a few, not for one each second."""
    wish = 1 + (24 * chance(key, _SALT + 70, day)).astype(np.int64)
    return np.minimum(wish, np.maximum(1, session_volume // 20))


def traded(session_volume: IntArray, share: FloatArray | float, lump: IntArray) -> IntArray:
    """Everyday volume when a share of the session's has been done: whole lumps only."""
    return np.floor(session_volume * share / lump).astype(np.int64) * lump


def prints(
    contracts: Contracts,
    session_volume: IntArray,
    done: FloatArray,
    found: Campaigns,
    open_ns: int,
    day: int,
    first: int,
    last: int,
) -> Prints:
    """Prints of seconds (first, last] of a session: `done` is the share of its volume done after each second."""
    share = done[first : last + 1]
    lump = lumps(contracts.key, session_volume, day)
    volume = traded(session_volume[None, :], share[:, None], lump[None, :])
    grown = np.diff(volume, axis=0)
    where, row = np.nonzero(grown)
    parts = [_ordinary(contracts, row, first + 1 + where, grown[where, row], open_ns, day)]
    burst_row, number = np.nonzero((found.second > first) & (found.second <= last))
    if len(burst_row):
        parts.append(_bursts(contracts, found, burst_row, number, open_ns, day))
    every = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    order = np.argsort(every[1], kind="stable")
    return Prints(*(column[order] for column in every))


def latest(
    contracts: Contracts,
    session_volume: IntArray,
    done: FloatArray,
    found: Campaigns,
    open_ns: int,
    day: int,
    second: int,
) -> Prints:
    """The last print of each contract up to a second of the session, in the order of `row`; none for those without."""
    lump = lumps(contracts.key, session_volume, day)
    volume = traded(session_volume, float(done[second]), lump)
    row = np.flatnonzero(volume)
    when = np.searchsorted(done, volume[row] / session_volume[row] * (1.0 - 1e-12))
    when = np.clip(when, 1, second)
    grown = volume[row] - traded(session_volume[row], done[when - 1], lump[row])
    parts = [_ordinary(contracts, row, when, np.maximum(grown, 1), open_ns, day)]
    burst_row, number = np.nonzero(found.second <= second)
    if len(burst_row):
        parts.append(_bursts(contracts, found, burst_row, number, open_ns, day))
    every = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    real = ~every[6]
    order = np.lexsort((every[1][real], every[0][real]))
    ordered = [column[real][order] for column in every]
    ends = np.flatnonzero(np.diff(ordered[0], append=-1))
    return Prints(*(column[ends] for column in ordered))


_Columns = tuple[IntArray, IntArray, IntArray, IntArray, IntArray, IntArray, BoolArray, IntArray]


def _ordinary(
    contracts: Contracts, row: IntArray, second: IntArray, volume: IntArray, open_ns: int, day: int
) -> _Columns:
    """The everyday flow: a second's volume of a contract in one to four prints."""
    pieces = np.minimum(volume, 1 + (4 * chance(contracts.key[row], _SALT + 20, day, second) ** 3).astype(np.int64))
    row, second, size, piece = _split(row, second, volume, pieces)
    key = contracts.key[row]

    def draw(purpose: int) -> FloatArray:
        return chance(key, _SALT + 30 + purpose, day, second, piece)

    kind = np.minimum(np.searchsorted(_UP_TO, draw(0), side="right"), len(_MIX) - 1)
    where = draw(1)
    side = np.where(where < 0.46, AT_ASK, np.where(where < 0.86, AT_BID, AT_MID))
    side = np.where(_BETWEEN[kind] & (draw(2) < 0.7), AT_MID, side)
    busted = (draw(3) < BUSTED) & (_CONDITIONS[kind] == AUTO)
    millisecond = (draw(4) * 1000).astype(np.int64)
    time_ns = open_ns + (second - 1) * NS + millisecond * 1_000_000
    # A busted print comes on top of the volume: the real one stands beside it.
    again = np.flatnonzero(busted)
    delay = ((1.0 + 9.0 * draw(5)) * 1e9).astype(np.int64) // 1_000_000 * 1_000_000
    columns = (row, time_ns, side, size, _exchange(draw(6)), _CONDITIONS[kind])
    none = np.zeros(len(row), dtype=np.bool_)
    regular = (*columns, none, np.zeros(len(row), dtype=np.int64))
    mistakes = (*(column[again] for column in columns), busted[again], delay[again])
    joined = [np.concatenate(pair) for pair in zip(regular, mistakes, strict=True)]
    return joined[0], joined[1], joined[2], joined[3], joined[4], joined[5], joined[6], joined[7]


def _bursts(
    contracts: Contracts, found: Campaigns, which: IntArray, number: IntArray, open_ns: int, day: int
) -> _Columns:
    """Sweeps: pieces on several exchanges within half a second. Blocks: one print."""
    row, second, volume = found.row[which], found.second[which, number], found.size[which, number]
    sweep = found.sweep[which]
    wish = 3 + (MOST_PIECES - 2) * chance(contracts.key[row], _SALT + 50, day, second)
    pieces = np.where(sweep, np.minimum(volume, wish.astype(np.int64)), 1)
    index = np.repeat(np.arange(len(row)), pieces)
    row, second, size, piece = _split(row, second, volume, pieces)
    key, sweep, iso, side = contracts.key[row], sweep[index], found.iso[which][index], found.side[which][index]

    def draw(purpose: int, part: IntArray | int) -> FloatArray:
        return chance(key, _SALT + 60 + purpose, day, second, part)

    block_condition = _BLOCK_CONDITIONS[(draw(0, 0) * len(_BLOCK_CONDITIONS)).astype(np.int64)]
    condition = np.where(sweep, np.where(iso, ISO, AUTO), block_condition)
    between = ~sweep & (draw(1, 0) < 0.3)
    last = piece == pieces[index] - 1
    walked = sweep & last & (side == AT_ASK) & (draw(2, 0) < 0.3)
    side = np.where(between, AT_MID, np.where(walked, ABOVE_ASK, side))
    begin = (draw(3, 0) * 500).astype(np.int64)
    time_ns = open_ns + (second - 1) * NS + (begin + 45 * piece) * 1_000_000
    venue = ((draw(4, 0) * len(EXCHANGES)).astype(np.int64) + 3 * piece) % len(EXCHANGES)
    nothing = np.zeros(len(row), dtype=np.int64)
    return row, time_ns, side, size, np.array(EXCHANGES)[venue], condition, nothing.astype(np.bool_), nothing


def _split(
    row: IntArray, second: IntArray, volume: IntArray, pieces: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Each volume in its number of nearly equal pieces, numbered from 0."""
    index = np.repeat(np.arange(len(row)), pieces)
    piece = np.arange(len(index)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    size = volume[index] // pieces[index] + (piece < volume[index] % pieces[index])
    return row[index], second[index], size, piece


def _exchange(luck: FloatArray) -> IntArray:
    return np.asarray(np.array(EXCHANGES)[(luck * len(EXCHANGES)).astype(np.int64)], dtype=np.int64)


def paid(contracts: Contracts, found: Prints, bid: FloatArray, ask: FloatArray, tick: FloatArray) -> FloatArray:
    """The price of each print at the quotes in force; a late one may lie off them, as what it tells has passed."""
    luck = chance(contracts.key[found.row], found.time_ns, found.exchange)
    price = print_prices(found.side, bid, ask, tick, luck)
    off = np.maximum(np.round(price * (0.97 + 0.06 * luck), 2), 0.01)
    return np.asarray(np.where(found.condition == LATE, off, price), dtype=np.float64)


def print_prices(
    side: IntArray, bid: FloatArray, ask: FloatArray, tick: FloatArray, luck: NDArray[np.float64]
) -> FloatArray:
    """Where prints were made against the quotes in force, on whole cents: auctions and crosses price in pennies."""
    middle = bid + (ask - bid) * (0.35 + 0.3 * luck)
    price = np.select(
        [side == AT_ASK, side == ABOVE_ASK, (side == AT_BID) & (bid > 0)], [ask, ask + tick, bid], default=middle
    )
    return np.asarray(np.maximum(np.rint(price * 100.0) / 100.0, 0.01), dtype=np.float64)
