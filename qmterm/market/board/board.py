"""The latest value of everything: what the stream and the snapshot write and everybody else reads.

The trap: one writer only, the engine's thread. Values come from three sources that overtake each other (snapshot,
stream, chain), so each is taken only when its own exchange time is not older than what is held.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.quotes import Quote
from qmterm.market.board.minutes import FIVE_NS, FiveMinuteBar, MinuteRing
from qmterm.market.board.previous_close import far_off
from qmterm.market.board.table import HALT_GRACE_NS, QuoteTable
from qmterm.market.records import OptionRows, SnapshotColumns
from qmterm.market.times import held_back

_MINUTE_NS = 60_000_000_000
_FOREVER = 2**62
_OCC_LENGTH = 21


class Board:
    """Stocks and option contracts, each a table; `quote` answers for both (core.protocols.QuoteSource)."""

    def __init__(self, symbols: Iterable[str] = (), bar_grace_s: float = 2.0) -> None:
        self.stocks = QuoteTable(symbols)
        self.options = QuoteTable((), wire=_stream_spelling)
        self.minutes = MinuteRing(self.stocks.capacity)
        self._sources: dict[str, tuple[str, int]] = {}  # OCC symbol: who told its quote of that time, if not Polygon
        self.grace_ns = int(bar_grace_s * 1e9)
        # Open and close of the regular session: only bars inside it move the day's high and low. In an array, at one
        # address for good, because the decoder reads it there.
        self.session: IntArray = np.array([0, _FOREVER], dtype=np.int64)

    @property
    def session_open_ns(self) -> int:
        return int(self.session[0])

    @property
    def session_close_ns(self) -> int:
        return int(self.session[1])

    # --- reading ---

    def quote(self, symbol: str) -> Quote | None:
        """Latest quote of a ticker or of an OCC or Polygon option symbol; None when there never was one."""
        number = self.stocks.numbers.get(symbol)
        if number is not None:
            return self.stocks.quote(number)
        number = self.options.numbers.get(symbol)
        if number is None and symbol.startswith("O:"):
            number = self.options.wire_numbers.get(symbol)
        return None if number is None else self.options.quote(number)

    def quote_source(self, symbol: str) -> str:
        """Who told the quote that is held of an OCC symbol: "" is Polygon."""
        source, time_ns = self._sources.get(symbol, ("", 0))
        number = self.options.numbers.get(symbol)
        return source if number is not None and int(self.options.quote_ns[number]) == time_ns else ""

    def last_price(self, symbol: str) -> float | None:
        """Last price of a stock, else yesterday's close; None when neither is known."""
        number = self.stocks.numbers.get(symbol)
        if number is None:
            return None
        last = float(self.stocks.last[number])
        price = last if last > 0 else float(self.stocks.prev_close[number])
        return price if price > 0 else None

    def last_prices(self) -> FloatArray:
        """Last price of every stock in table order, NaN when it has not traded (a copy)."""
        return self.stocks.last.copy()

    def five_minute_close(self, symbol: str, now_ns: int) -> tuple[float, int] | None:
        """Close and end time of a stock's latest complete five-minute bar; None before the first."""
        number = self.stocks.numbers.get(symbol)
        if number is None:
            return None
        return self.minutes.last_close(number, now_ns, self.grace_ns)

    def five_minute_closes(self, now_ns: int) -> tuple[FloatArray, IntArray]:
        """The same for all stocks: NaN and 0 where there is none."""
        return self.minutes.last_closes(now_ns, self.grace_ns, len(self.stocks))

    def five_minute_bar(self, symbol: str, now_ns: int) -> FiveMinuteBar | None:
        """The five-minute bar of a stock that is running now; None when nothing traded in it yet."""
        number = self.stocks.numbers.get(symbol)
        if number is None:
            return None
        return self.minutes.bar(number, now_ns // FIVE_NS * FIVE_NS, now_ns, self.grace_ns)

    # --- writing ---

    def add_stocks(self, symbols: Iterable[str]) -> None:
        self.stocks.add(symbols)
        if self.stocks.capacity > self.minutes.capacity:
            self.minutes.resize(self.stocks.capacity)

    def start_session(self, open_ns: int, close_ns: int) -> None:
        """A new trading day: the day's columns start empty."""
        self.session[:] = open_ns, close_ns
        for table in (self.stocks, self.options):
            for column in (table.day_open, table.day_high, table.day_low, table.day_vwap):
                column[:] = np.nan
            for column in (table.band_high, table.band_low):  # yesterday's would refuse a stock that gapped
                column[:] = np.nan
            table.day_volume[:] = 0
            table.halted_ns[:] = table.band_ns[:] = 0

    def load_snapshot(self, snapshot: SnapshotColumns, arrival_ns: int) -> None:
        """Take the whole-market snapshot; stream values that are newer stay."""
        self.add_stocks(snapshot.symbols)
        table = self.stocks
        rows = np.fromiter((table.numbers[s] for s in snapshot.symbols), dtype=np.int64, count=len(snapshot))

        quote_ns = held_back(snapshot.quote_ns, arrival_ns)
        newer = (quote_ns > 0) & (quote_ns >= table.quote_ns[rows])
        at = rows[newer]
        table.bid[at], table.ask[at] = snapshot.bid[newer], snapshot.ask[newer]
        table.bid_size[at], table.ask_size[at] = snapshot.bid_size[newer], snapshot.ask_size[newer]
        table.quote_ns[at], table.arrival_ns[at] = quote_ns[newer], arrival_ns

        # Below the Developer plan there is no last trade: the latest minute bar's close stands in, at its end.
        traded = snapshot.trade_ns > 0
        minute_end = held_back(np.where(snapshot.minute_ns > 0, snapshot.minute_ns + _MINUTE_NS, 0), arrival_ns)
        last = np.where(traded, snapshot.last, snapshot.minute_close)
        last_ns = held_back(np.where(traded, snapshot.trade_ns, minute_end), arrival_ns)
        newer = (last_ns > 0) & (last_ns >= table.trade_ns[rows]) & (last > 0)
        table.last[rows[newer]], table.trade_ns[rows[newer]] = last[newer], last_ns[newer]

        # A minute that began after the halt: the resumption was missed. The last trade may be a late report.
        open_ns, close_ns = self.session
        since, minute_ns = table.halted_ns[rows], snapshot.minute_ns
        traded = (minute_ns >= open_ns) & (minute_ns < close_ns) & (minute_ns - HALT_GRACE_NS > since)
        table.halted_ns[rows[traded & (minute_ns <= arrival_ns)]] = 0

        newer = minute_end > table.bar_ns[rows]
        table.bar_close[rows[newer]], table.bar_ns[rows[newer]] = snapshot.minute_close[newer], minute_end[newer]
        table.day_open[rows], table.day_vwap[rows] = snapshot.day_open, snapshot.day_vwap
        table.day_high[rows] = np.fmax(table.day_high[rows], snapshot.day_high)
        table.day_low[rows] = np.fmin(table.day_low[rows], snapshot.day_low)
        table.day_volume[rows] = np.maximum(table.day_volume[rows], snapshot.day_volume)
        # In another unit it would make the wrong prices of the same snapshot look right.
        held, told = table.prev_close[rows], snapshot.prev_close
        table.prev_close[rows] = np.where(far_off(told, held), held, told)
        table.prev_volume[rows] = snapshot.prev_volume

    def apply_quote(
        self,
        symbol: str,
        bid: float,
        ask: float,
        bid_size: float,
        ask_size: float,
        time_ns: int,
        arrival_ns: int,
        source: str,
    ) -> bool:
        """Take an option's quote (OCC symbol) from another source than Polygon; False when a newer one is held.

        A source that does not tell the exchange's time (0) is taken to tell its quote as it arrives.
        """
        table = self.options
        table.add((symbol,))
        number = table.numbers[symbol]
        at = min(time_ns, arrival_ns) if time_ns > 0 else arrival_ns
        if at < table.quote_ns[number]:
            return False
        table.bid[number], table.ask[number] = bid, ask
        table.bid_size[number], table.ask_size[number] = bid_size, ask_size
        table.quote_ns[number], table.arrival_ns[number] = at, arrival_ns
        self._sources[symbol] = (source, at)
        return True

    def know_previous_closes(self, rows: IntArray, close: FloatArray) -> None:
        """From the history, where no snapshot has told them (a plan without snapshots), or told another unit.

        The history knows of splits, and was checked when it was kept.
        """
        column = self.stocks.prev_close
        wrong = np.isnan(column[rows]) | far_off(column[rows], close)
        column[rows] = np.where(wrong, close, column[rows])

    def load_options(self, rows: OptionRows, arrival_ns: int) -> IntArray:
        """Take a chain snapshot's quotes and spot; each contract's row comes back, in the chain's order."""
        stock = self.stocks.numbers.get(rows.underlying)
        # At the same instant the spot wins over a minute's close, which was made before the minute ended.
        spot_ns = int(held_back(np.array([rows.spot_ns]), arrival_ns)[0])
        if stock is not None and rows.spot is not None and spot_ns >= self.stocks.trade_ns[stock]:
            self.stocks.last[stock], self.stocks.trade_ns[stock] = rows.spot, spot_ns
        table = self.options
        numbers = table.rows(rows.occ)
        quote_ns, trade_ns = held_back(rows.quote_ns, arrival_ns), held_back(rows.trade_ns, arrival_ns)
        newer = (quote_ns > 0) & (quote_ns >= table.quote_ns[numbers])
        at = numbers[newer]
        table.bid[at], table.ask[at] = rows.bid[newer], rows.ask[newer]
        table.bid_size[at], table.ask_size[at] = rows.bid_size[newer], rows.ask_size[newer]
        table.quote_ns[at], table.arrival_ns[at] = quote_ns[newer], arrival_ns
        newer = (trade_ns > 0) & (trade_ns >= table.trade_ns[numbers])
        table.last[numbers[newer]], table.trade_ns[numbers[newer]] = rows.last[newer], trade_ns[newer]
        return numbers


def _stream_spelling(occ: str) -> str:
    """Cheap, because a chain brings ten thousand: the length decides, not the careful reader."""
    return f"O:{occ[:6].rstrip()}{occ[6:]}" if len(occ) == _OCC_LENGTH else occ
