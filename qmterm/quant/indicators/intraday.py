"""60-minute and 5-minute bars from one-minute bars, aligned to the open, regular session only (QUANT.md 2.2).

A session's last bar ends at its close: 15:30 to 16:00 is a half-hour bar, on half days 12:30 to 13:00. Sessions come
as instants, so summer time needs no rule here. The trap: a bar is complete by the clock, its end plus the grace, not
by what arrived; minutes that never traded are absent, so are bars without any minute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import to_float
from qmterm.quant.kernel import array_kernel

MINUTE_NS = 60_000_000_000
SECOND_NS = 1_000_000_000
GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class IntradayPanel:
    """Complete bars, shape (symbols, bars), right-aligned without gaps as in a DailyPanel; for `last_features`.

    Prices in dollars per share; start and end are UTC nanoseconds, 0 where there is no bar.
    """

    symbols: tuple[str, ...]
    minutes: int
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    start_ns: IntArray
    end_ns: IntArray
    bars: IntArray  # (symbols,) how many real bars each row holds
    stale: IntArray  # (symbols,) complete bars of the calendar since a row's last one, −1 for a row without bars

    def __len__(self) -> int:
        return len(self.symbols)


@dataclass(frozen=True, slots=True)
class Minutes:
    """One-minute bars of many symbols one after another: symbol k owns entries first[k] … first[k + 1]."""

    symbols: tuple[str, ...]
    first: IntArray  # (symbols + 1,)
    start_ns: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    @classmethod
    def of(
        cls,
        symbols: tuple[str, ...],
        rows: ArrayLike,
        start_ns: ArrayLike,
        open_: ArrayLike,
        high: ArrayLike,
        low: ArrayLike,
        close: ArrayLike,
        volume: ArrayLike,
    ) -> Minutes:
        """From flat columns in any order, `rows` naming the symbol of each bar by its place in `symbols`.

        A minute given twice counts as given last (a correction). A bar whose four prices are not all positive and
        finite is left out. BadInput for columns of different lengths or a row that is no symbol.
        """
        own, starts = _whole("rows", rows), _whole("start_ns", start_ns)
        columns = [
            to_float(name, values)
            for name, values in (("open_", open_), ("high", high), ("low", low), ("close", close), ("volume", volume))
        ]
        for name, column in zip(
            ("start_ns", "open_", "high", "low", "close", "volume"), (starts, *columns), strict=True
        ):
            if column.shape != own.shape:
                raise BadInput(f"argument {name} has shape {column.shape}, rows have {own.shape}")
        if own.size and (own.min() < 0 or own.max() >= len(symbols)):
            raise BadInput(f"rows from {own.min()} to {own.max()} do not all name one of {len(symbols)} symbols")
        good = np.ones(own.shape, dtype=np.bool_)
        for prices in columns[:4]:
            good &= (prices > 0) & (prices < np.inf)
        order = np.lexsort((starts, own))  # stable: of equal minutes the last given stays last
        order = order[good[order]]
        own, starts = own[order], starts[order]
        kept = np.ones(order.size, dtype=np.bool_)
        kept[:-1] = (own[1:] != own[:-1]) | (starts[1:] != starts[:-1])
        first = np.searchsorted(own[kept], np.arange(len(symbols) + 1))
        return cls(symbols, first.astype(np.int64), starts[kept], *(column[order][kept] for column in columns))


def intraday_bars(
    given: Minutes,
    minutes: int,
    session_open_ns: ArrayLike,
    session_close_ns: ArrayLike,
    now_ns: int,
    grace_s: float = GRACE_S,
    count: int = 300,
) -> IntradayPanel:
    """The last `count` complete bars of `minutes` of every symbol, as of an instant.

    Sessions are ascending instants of open and close (core.calendar has them); minutes outside all of them are left
    out. BadInput when sessions overlap or do not match, or the bar length makes no sense.
    """
    if not 1 <= minutes <= 390:
        raise BadInput(f"bars of {minutes} minutes: give 1 to 390")
    if count < 1:
        raise BadInput(f"count must be at least 1 bar, not {count}")
    opens, closes = _whole("session_open_ns", session_open_ns), _whole("session_close_ns", session_close_ns)
    if opens.shape != closes.shape:
        raise BadInput(f"{opens.size} session opens but {closes.size} closes")
    if np.any(closes <= opens) or np.any(opens[1:] < closes[:-1]):
        raise BadInput("sessions must ascend without overlapping, each closing after its open")
    length = minutes * MINUTE_NS
    # Bars of all sessions are numbered through; `before` counts those of earlier sessions.
    before = np.zeros(opens.size + 1, dtype=np.int64)
    np.cumsum(-((opens - closes) // length), out=before[1:])
    border = now_ns - round(grace_s * SECOND_NS)  # bars that end at or before it are complete
    rows = len(given.symbols)
    prices = np.full((5, rows, count), np.nan)
    spans: IntArray = np.zeros((2, rows, count), dtype=np.int64)
    bars: IntArray = np.zeros(rows, dtype=np.int64)
    stale: IntArray = np.full(rows, -1, dtype=np.int64)
    if rows and opens.size:
        begun = int(np.searchsorted(opens, border, side="right")) - 1
        complete = 0  # bars of the calendar that are over
        if begun >= 0:
            over = closes[begun] <= border
            complete = int(before[begun + 1] if over else before[begun] + (border - opens[begun]) // length)
        columns = (given.open, given.high, given.low, given.close, given.volume)
        _gather(
            rows, given.first, given.start_ns, *columns, opens, closes, before, length, complete, prices, spans, bars,
            stale,
        )  # fmt: skip
    open_, high, low, close, volume = prices
    return IntradayPanel(
        given.symbols, minutes, open_, high, low, close, volume, spans[0], spans[1], bars=bars, stale=stale
    )


def _whole(name: str, values: ArrayLike) -> IntArray:
    array = np.asarray(values)
    if array.ndim != 1 or not (array.size == 0 or np.issubdtype(array.dtype, np.integer)):
        raise BadInput(f"argument {name} must be a list of whole numbers, not {array.dtype} of shape {array.shape}")
    return np.ascontiguousarray(array, dtype=np.int64)


@array_kernel(small=0, parallel_from=50)
def _gather(
    begin: int,
    stop: int,
    first: NDArray[np.int64],
    start_ns: NDArray[np.int64],
    opens: FloatArray,
    highs: FloatArray,
    lows: FloatArray,
    closes: FloatArray,
    volumes: FloatArray,
    session_opens: NDArray[np.int64],
    session_closes: NDArray[np.int64],
    before: NDArray[np.int64],
    length: int,
    complete: int,
    prices: FloatArray,
    spans: NDArray[np.int64],
    bars: NDArray[np.int64],
    stale: NDArray[np.int64],
) -> None:
    """From each symbol's newest minute back, so that bars come out right-aligned."""
    for i in range(begin, stop):
        column = prices.shape[2]
        session = session_opens.size - 1
        current = -1
        for t in range(first[i + 1] - 1, first[i] - 1, -1):
            at = start_ns[t]
            while session >= 0 and session_opens[session] > at:
                session -= 1
            if session < 0:
                break
            if at >= session_closes[session]:
                continue
            place = (at - session_opens[session]) // length
            number = before[session] + place
            if number >= complete:
                continue
            if number != current:
                if column == 0:
                    break
                if current < 0:
                    stale[i] = complete - 1 - number
                column -= 1
                current = number
                spans[0, i, column] = session_opens[session] + place * length
                spans[1, i, column] = min(spans[0, i, column] + length, session_closes[session])
                prices[1, i, column] = highs[t]
                prices[2, i, column] = lows[t]
                prices[3, i, column] = closes[t]
                prices[4, i, column] = 0.0
            prices[0, i, column] = opens[t]
            prices[1, i, column] = max(prices[1, i, column], highs[t])
            prices[2, i, column] = min(prices[2, i, column], lows[t])
            prices[4, i, column] += volumes[t]
        bars[i] = prices.shape[2] - column
