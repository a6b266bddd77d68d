"""One stream frame (bytes) straight into the board's columns.

The trap: this runs on the engine's loop for every event of the market, so the hot paths write through memoryviews
and call nothing. (A byte parser without Python objects can take `FrameDecoder.apply`'s place; nothing else changes.)
"""

from __future__ import annotations

from dataclasses import dataclass

from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import is_option, parse_option
from qmterm.market.board.board import Board
from qmterm.market.board.events import BandEvent, BarEvent, MinuteBar, QuoteEvent, Status, TradeEvent, read_frame
from qmterm.market.board.table import QuoteTable
from qmterm.market.rest.columns import ROUND_LOT
from qmterm.market.times import AHEAD_NS, NEVER_NS, to_ns

# SIP conditions whose trades do not set the last price (consolidated rules): average price, cash, derivatively
# priced, bunched sold, sold out of sequence, next day, price variation, prior reference, seller, odd lot, official
# open and close, contingent. Extended-hours trades (12) do count here: before the open they are all there is.
_NOT_LAST = frozenset({2, 5, 7, 10, 13, 15, 16, 20, 21, 22, 29, 33, 37, 38, 52, 53})
_MS = 1_000_000
_MS_ABOVE, _MS_BELOW = 10**11, NEVER_NS // _MS
_MOST = 1e15  # dollars, shares: more is not a price or a size, and infinity would stay on the board


@dataclass(slots=True)
class FrameReport:
    """What one frame held. `newest_ns` is the newest exchange time among trades and quotes, 0 without any."""

    trades: int = 0
    quotes: int = 0
    seconds: int = 0
    minutes: int = 0
    bands: int = 0
    late: int = 0  # older than what the board already has: not taken
    unknown: int = 0
    malformed: int = 0
    newest_ns: int = 0
    statuses: tuple[Status, ...] = ()

    @property
    def events(self) -> int:
        return self.trades + self.quotes + self.seconds + self.minutes + self.bands


class _Views:
    """The table's columns as memoryviews: item access costs a third of numpy's. Stale once the table grows."""

    __slots__ = (
        "arrival_ns",
        "ask",
        "ask_size",
        "band_high",
        "band_low",
        "bar_close",
        "bar_ns",
        "bid",
        "bid_size",
        "day_high",
        "day_low",
        "day_open",
        "day_volume",
        "day_vwap",
        "generation",
        "last",
        "quote_ns",
        "trade_ns",
    )
    arrival_ns: memoryview[int]
    ask: memoryview[float]
    ask_size: memoryview[float]
    band_high: memoryview[float]
    band_low: memoryview[float]
    bar_close: memoryview[float]
    bar_ns: memoryview[int]
    bid: memoryview[float]
    bid_size: memoryview[float]
    day_high: memoryview[float]
    day_low: memoryview[float]
    day_open: memoryview[float]
    day_volume: memoryview[float]
    day_vwap: memoryview[float]
    last: memoryview[float]
    quote_ns: memoryview[int]
    trade_ns: memoryview[int]

    def __init__(self, table: QuoteTable) -> None:
        self.generation = table.generation
        for name in self.__slots__:
            if name != "generation":
                setattr(self, name, table.block(name).data)


class FrameDecoder:
    """Writes the events of one cluster ("stocks" or "options") into its table of the board."""

    def __init__(self, board: Board, cluster: str) -> None:
        self._board = board
        self._options = cluster == "options"
        self._table = board.options if self._options else board.stocks
        self._lot = 1 if self._options else ROUND_LOT
        self._views = _Views(self._table)

    def apply(self, frame: bytes, arrival_ns: int) -> FrameReport:
        """Decode and write one frame; never raises for what a server may send.

        A quote arrives at `arrival_ns`, or at its own time if that is later: 0 makes arrivals depend on the data only.
        A stamp from the future is taken at its arrival: held as it is, every later quote would be "late", and this
        one fresh for ever.
        """
        report = FrameReport()
        events, report.unknown, report.malformed = read_frame(frame)
        numbers = self._table.wire_numbers
        if self._views.generation != self._table.generation:
            self._views = _Views(self._table)
        views = self._views
        bid, ask, bid_size, ask_size = views.bid, views.ask, views.bid_size, views.ask_size
        quote_ns, arrivals, last, trade_ns = views.quote_ns, views.arrival_ns, views.last, views.trade_ns
        lot = self._lot
        quotes = trades = late = newest = 0
        latest = arrival_ns + AHEAD_NS if arrival_ns else NEVER_NS
        statuses: list[Status] = []
        for event in events:
            if isinstance(event, Status):
                statuses.append(event)
                continue
            symbol = event.T if isinstance(event, BandEvent) else event.sym
            row = numbers.get(symbol)
            if row is None:
                row = self._add(symbol)
                if row is None:
                    report.malformed += 1
                    continue
                views = self._views
                bid, ask, bid_size, ask_size = views.bid, views.ask, views.bid_size, views.ask_size
                quote_ns, arrivals, last, trade_ns = views.quote_ns, views.arrival_ns, views.last, views.trade_ns
            if isinstance(event, QuoteEvent):
                at = event.t
                at = at * _MS if _MS_ABOVE < at < _MS_BELOW else to_ns(at)
                if at >= NEVER_NS or not -_MOST < event.bp + event.ap + event.bs + event.as_ < _MOST:
                    report.malformed += 1
                    continue
                if at > latest:
                    at = arrival_ns
                quotes += 1
                if at > newest:
                    newest = at
                if at < quote_ns[row]:
                    late += 1
                    continue
                quote_ns[row] = at
                bid[row] = event.bp
                ask[row] = event.ap
                bid_size[row] = event.bs * lot
                ask_size[row] = event.as_ * lot
                arrivals[row] = arrival_ns if arrival_ns > at else at
            elif isinstance(event, TradeEvent):
                at = event.t
                at = at * _MS if _MS_ABOVE < at < _MS_BELOW else to_ns(at)
                if at >= NEVER_NS or not 0 < event.p < _MOST:
                    report.malformed += 1
                    continue
                if at > latest:
                    at = arrival_ns
                trades += 1
                if at > newest:
                    newest = at
                if at < trade_ns[row]:
                    # Not late when the minute's bar came first: its close already is this trade, or a later one.
                    late += trade_ns[row] != views.bar_ns[row]
                elif event.c is None or lot == 1 or _NOT_LAST.isdisjoint(event.c):
                    trade_ns[row] = at
                    last[row] = event.p
            elif isinstance(event, BandEvent):
                report.bands += 1
                views.band_high[row], views.band_low[row] = event.h, event.l
            else:
                self._bar(event, row, report, latest)
        report.quotes, report.trades, report.newest_ns = quotes, trades, newest
        report.late += late
        report.statuses = tuple(statuses)
        return report

    # --- inside ---

    def _add(self, symbol: str) -> int | None:
        """A row for a symbol the board did not know (new listing, contract off the chain); None when it is none."""
        if self._options:
            try:
                occ = parse_option(symbol).occ if is_option(symbol) else ""
            except BadSymbol:
                occ = ""
            if not occ:
                return None
            self._table.add((occ,))
        elif symbol:
            self._board.add_stocks((symbol,))
        else:
            return None
        if self._views.generation != self._table.generation:
            self._views = _Views(self._table)
        return self._table.wire_numbers.get(symbol)

    def _bar(self, event: BarEvent, row: int, report: FrameReport, latest: int) -> None:
        views, board = self._views, self._board
        start = event.s
        start_ns = start * _MS if _MS_ABOVE < start < _MS_BELOW else to_ns(start)
        end = event.e
        end_ns = end * _MS if _MS_ABOVE < end < _MS_BELOW else to_ns(end)
        high, low = event.h, event.l
        total = event.o + high + low + event.c + event.av + event.a + event.op
        if max(start_ns, end_ns) > latest or start_ns < 0 or not -_MOST < total < _MOST:
            report.malformed += 1
            return
        if type(event) is MinuteBar:
            report.minutes += 1
            # Only the regular session makes five-minute bars: a print at seven in the morning stops nothing out.
            regular = board.session_open_ns <= start_ns < board.session_close_ns
            if regular and not self._options and not board.minutes.write(row, start_ns, event.o, high, low, event.c):
                report.late += 1
        else:
            report.seconds += 1
        if board.session_open_ns <= start_ns < board.session_close_ns:
            # written so that an unknown side (NaN) is replaced
            if not high <= views.day_high[row]:
                views.day_high[row] = high
            if not low >= views.day_low[row]:
                views.day_low[row] = low
        if event.op > 0:
            views.day_open[row] = event.op
        if end_ns < views.bar_ns[row]:  # an older bar again: its day totals are old too
            return
        views.bar_close[row] = event.c
        views.bar_ns[row] = end_ns
        if event.av > 0:
            views.day_volume[row] = event.av
        if event.a > 0:
            views.day_vwap[row] = event.a
        if end_ns > views.trade_ns[row]:
            views.last[row] = event.c
            views.trade_ns[row] = end_ns
