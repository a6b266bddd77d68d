"""Minute and daily bars from trades, by the rules that the consolidated tape itself uses.

The traps: a trade can arrive twice, late, or be taken back; what counts is its place on the tape (SIP time, then
sequence), never the order of arrival. A minute in which nothing may set the price has no bar, as at the vendor; its
volume counts for the day all the same. Form T trades (condition 12) never move the official day; the closing auction
does, though it prints after the close, and it is what the official close is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.conditions import CLOSING, EXTENDED_HOURS, ConditionBook
from qmterm.core.errors import BadInput

MINUTE_NS = 60_000_000_000
SETS_LAST, SETS_RANGE, SETS_VOLUME, FORM_T, AUCTION = 1, 2, 4, 8, 16  # bits of a trade
AUCTION_NS = 4 * 3_600_000_000_000  # after the close in which a closing auction is printed: while trades are reported
STANDS = (0, 1, 2)  # correction indicators of trades that stand: as printed, or with the corrected data in them

Bits = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Trades of many symbols in any order. Dollars, shares, UTC nanoseconds of the SIP; `row` names the symbol."""

    row: IntArray
    price: FloatArray
    size: FloatArray
    bits: Bits  # what each may move: `bits_of` its conditions
    time_ns: IntArray
    sequence: IntArray  # of the tape; orders trades of one instant, and names a trade of a row when `identity` is None
    correction: IntArray | None = None  # 0 stands; 7, 8, 10, 11, 12 do not
    identity: IntArray | None = None  # a number for each trade of a row: given twice, the last statement counts

    def __post_init__(self) -> None:
        for name in ("price", "size", "bits", "time_ns", "sequence", "correction", "identity"):
            column = getattr(self, name)
            if column is not None and column.shape != self.row.shape:
                raise BadInput(f"trades: column {name} has shape {column.shape}, rows have {self.row.shape}")

    @classmethod
    def of(
        cls,
        row: ArrayLike,
        price: ArrayLike,
        size: ArrayLike,
        bits: Bits,
        time_ns: ArrayLike,
        sequence: ArrayLike | None = None,
        correction: ArrayLike | None = None,
        identity: ArrayLike | None = None,
    ) -> TradeColumns:
        """From anything array-like; without a sequence the order given is the order of the tape."""
        rows = np.asarray(row, dtype=np.int64)
        return cls(
            rows,
            np.asarray(price, dtype=np.float64),
            np.asarray(size, dtype=np.float64),
            bits,
            np.asarray(time_ns, dtype=np.int64),
            np.arange(len(rows)) if sequence is None else np.asarray(sequence, dtype=np.int64),
            None if correction is None else np.asarray(correction, dtype=np.int64),
            None if identity is None else np.asarray(identity, dtype=np.int64),
        )


@dataclass(frozen=True, slots=True)
class BarColumns:
    """Bars one after another, by row and time. `vwap` is over the volume that counts; NaN where that is 0."""

    row: IntArray
    start_ns: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray
    trades: IntArray

    def __len__(self) -> int:
        return len(self.row)


def bits_of(conditions: Sequence[Iterable[int] | None], book: ConditionBook) -> Bits:
    """What each trade may move; alike lists are looked up once."""
    seen: dict[tuple[int, ...], int] = {}
    bits = np.empty(len(conditions), dtype=np.uint8)
    for place, given in enumerate(conditions):
        key = tuple(given or ())
        found = seen.get(key)
        if found is None:
            counts = book.counts(key)
            found = SETS_LAST * counts.last | SETS_RANGE * counts.high_low | SETS_VOLUME * counts.volume
            seen[key] = found = found | FORM_T * (EXTENDED_HOURS in key) | AUCTION * (not CLOSING.isdisjoint(key))
        bits[place] = found
    return bits


def minute_bars(trades: TradeColumns) -> BarColumns:
    """Bars of every minute in which a trade could set the price."""
    kept = _tape(trades)
    return _bars(trades, kept, trades.time_ns[kept] // MINUTE_NS * MINUTE_NS)


def daily_bars(trades: TradeColumns, calendar: SessionCalendar, day: date) -> BarColumns:
    """The official bar of a session: trades from the open up to the close and the closing auction, Form T left out.

    `start_ns` is the open.
    """
    opening, closing = calendar.open_ns(day), calendar.close_ns(day)
    kept = _tape(trades)
    times, bits = trades.time_ns[kept], trades.bits[kept]
    auction = (bits & AUCTION > 0) & (times < closing + AUCTION_NS)
    kept = kept[(times >= opening) & ((times < closing) | auction) & (bits & FORM_T == 0)]
    return _bars(trades, kept, np.full(len(kept), opening, dtype=np.int64))


# --- inside ---


def _tape(trades: TradeColumns) -> IntArray:
    """Trades that stand, each once, in the order of the tape."""
    good: BoolArray = (trades.price > 0) & (trades.price < np.inf) & (trades.size > 0) & (trades.size < np.inf)
    places = np.arange(len(trades.row))
    identity = trades.sequence if trades.identity is None else trades.identity
    # The last statement of a trade is what it is now: a cancellation replaces the trade before it goes.
    order = np.lexsort((places, identity, trades.row))
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = (trades.row[order][1:] != trades.row[order][:-1]) | (identity[order][1:] != identity[order][:-1])
    kept = order[last]
    if trades.correction is not None:
        kept = kept[np.isin(trades.correction[kept], STANDS)]
    kept = kept[good[kept]]
    return np.asarray(kept[np.lexsort((kept, trades.sequence[kept], trades.time_ns[kept], trades.row[kept]))])


def _bars(trades: TradeColumns, kept: IntArray, start_ns: IntArray) -> BarColumns:
    row, price, size, bits = trades.row[kept], trades.price[kept], trades.size[kept], trades.bits[kept]
    if not len(kept):
        none = np.zeros(0)
        whole = np.zeros(0, dtype=np.int64)
        return BarColumns(whole, whole, none, none, none, none, none, none, whole)
    edge = np.flatnonzero(np.concatenate([[True], (row[1:] != row[:-1]) | (start_ns[1:] != start_ns[:-1])]))
    sets_last = (bits & SETS_LAST) > 0
    sets_range, sets_volume = (bits & SETS_RANGE) > 0, (bits & SETS_VOLUME) > 0
    places = np.arange(len(row))
    first = np.minimum.reduceat(np.where(sets_last, places, len(row)), edge)
    final = np.maximum.reduceat(np.where(sets_last, places, -1), edge)
    high = np.maximum.reduceat(np.where(sets_range, price, -np.inf), edge)
    low = np.minimum.reduceat(np.where(sets_range, price, np.inf), edge)
    volume = np.add.reduceat(np.where(sets_volume, size, 0.0), edge)
    turnover = np.add.reduceat(np.where(sets_volume, size * price, 0.0), edge)
    there = final >= 0
    first, final, at = first[there], final[there], edge[there]
    # A price that may be open or close but not high or low still lies inside the bar.
    opened, closed = price[first], price[final]
    vwap = np.full(len(at), np.nan)
    np.divide(turnover[there], volume[there], out=vwap, where=volume[there] > 0)
    return BarColumns(
        row[at],
        start_ns[at],
        opened,
        np.maximum(high[there], np.maximum(opened, closed)),
        np.minimum(low[there], np.minimum(opened, closed)),
        closed,
        volume[there],
        vwap,
        np.diff(np.append(edge, len(row)))[there],
    )
