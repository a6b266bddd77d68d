"""Stream frames to the board's columns in plain Python: the meaning of every event, and the way for odd frames.

The trap: the machine code (frame_code.py) must leave the board bit for bit as this does. A change of a rule is made
in both, and the tests hold them together with frames nobody would write by hand.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmterm.core.conditions import RULES
from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import is_option, parse_option
from qmterm.market.board.board import Board
from qmterm.market.board.events import (
    BandEvent,
    BarEvent,
    Event,
    MinuteBar,
    QuoteEvent,
    Status,
    TradeEvent,
    read_frame,
)
from qmterm.market.board.report import FrameReport
from qmterm.market.board.sane import MOST, sane_bar
from qmterm.market.board.table import HALT_GRACE_NS
from qmterm.market.board.trades import MOST_EXCHANGE, TradeTape
from qmterm.market.rest.columns import ROUND_LOT
from qmterm.market.times import AHEAD_NS, BAR_AHEAD_NS, NEVER_NS, to_ns

NOT_LAST = frozenset(code for code, rule in RULES.items() if not rule.last)
HALTED, RESUMED = 17, 18  # LULD indicators; sent for NASDAQ-listed symbols only
UNKNOWN_BAND = float("nan")


class PlainDecoder:
    """Writes the events of one cluster ("stocks" or "options") into its table of the board, and trades on a tape."""

    def __init__(self, board: Board, cluster: str, tape: TradeTape | None = None) -> None:
        self._board = board
        self._options = cluster == "options"
        self.table = board.options if self._options else board.stocks
        self.lot = 1 if self._options else ROUND_LOT
        self.tape = tape

    def apply(self, frame: bytes, arrival_ns: int) -> FrameReport:
        """Decode and write one frame; never raises for what a server may send."""
        events, unknown, malformed = read_frame(frame)
        report = FrameReport(unknown=unknown, malformed=malformed)
        self.write(events, arrival_ns, report)
        return report

    def write(self, events: Sequence[Event], arrival_ns: int, report: FrameReport) -> None:
        latest = arrival_ns + AHEAD_NS if arrival_ns else NEVER_NS
        statuses: list[Status] = []
        for event in events:
            if isinstance(event, Status):
                statuses.append(event)
                continue
            row = self.row_of(event.T if isinstance(event, BandEvent) else event.sym)
            if row is None:
                report.malformed += 1
            elif isinstance(event, QuoteEvent):
                self._quote(event, row, report, arrival_ns, latest)
            elif isinstance(event, TradeEvent):
                self._trade(event, row, report, arrival_ns, latest)
            elif isinstance(event, BandEvent):
                self._band(event, row, report, arrival_ns, latest)
            else:
                self._bar(event, row, report, arrival_ns, latest)
        report.statuses = tuple(statuses)

    def row_of(self, symbol: str) -> int | None:
        """The row of a symbol, a new one if it must be (new listing, contract off the chain); None when it is none."""
        row = self.table.wire_numbers.get(symbol)
        if row is not None:
            return row
        if self._options:
            try:
                occ = parse_option(symbol).occ if is_option(symbol) else ""
            except BadSymbol:
                occ = ""
            if not occ:
                return None
            self.table.add((occ,))
        elif symbol:
            self._board.add_stocks((symbol,))
        else:
            return None
        return self.table.wire_numbers.get(symbol)

    def _quote(self, event: QuoteEvent, row: int, report: FrameReport, arrival_ns: int, latest: int) -> None:
        table, at = self.table, to_ns(event.t)
        if not 0 <= at < NEVER_NS or not -MOST < event.bp + event.ap + event.bs + event.as_ < MOST:
            report.malformed += 1
            return
        report.quotes += 1
        report.newest_ns = max(report.newest_ns, at)
        at = arrival_ns if at > latest else at
        if at < table.quote_ns[row]:
            report.late += 1
            return
        table.quote_ns[row] = at
        table.bid[row], table.ask[row] = event.bp, event.ap
        table.bid_size[row], table.ask_size[row] = event.bs * self.lot, event.as_ * self.lot
        table.arrival_ns[row] = max(arrival_ns, at)

    def _trade(self, event: TradeEvent, row: int, report: FrameReport, arrival_ns: int, latest: int) -> None:
        table, at = self.table, to_ns(event.t)
        if not 0 <= at < NEVER_NS or not 0 < event.p < MOST or not 0 <= event.s < MOST:
            report.malformed += 1
            return
        report.trades += 1
        report.newest_ns = max(report.newest_ns, at)
        at = arrival_ns if at > latest else at
        if self.tape is not None:
            exchange = event.x if 0 <= event.x < MOST_EXCHANGE else 0
            whole = row, exchange, at, int(table.quote_ns[row])
            self.tape.push(whole, (event.p, event.s, float(table.bid[row]), float(table.ask[row])), event.c)
        if at < table.trade_ns[row]:
            # Not late when the minute's bar came first: its close already is this trade, or a later one.
            report.late += int(table.trade_ns[row] != table.bar_ns[row])
        elif event.c is None or self._options or NOT_LAST.isdisjoint(event.c):
            table.trade_ns[row] = at
            table.last[row] = event.p
            if 0 < table.halted_ns[row] < at - HALT_GRACE_NS:
                table.halted_ns[row] = 0

    def _band(self, event: BandEvent, row: int, report: FrameReport, arrival_ns: int, latest: int) -> None:
        table, at = self.table, to_ns(event.t)
        high, low, indicators = event.h or 0.0, event.l or 0.0, event.i or ()
        banded = 0 < low <= high < MOST
        if not 0 <= at < NEVER_NS or not (banded or HALTED in indicators or RESUMED in indicators):
            report.malformed += 1
            return
        if at > latest or at == 0:
            at = arrival_ns
        report.bands += 1
        if at < table.band_ns[row]:
            report.late += 1
            return
        table.band_ns[row] = at
        # Those of before a halt do not hold after it.
        table.band_high[row], table.band_low[row] = (high, low) if banded else (UNKNOWN_BAND, UNKNOWN_BAND)
        if HALTED in indicators:
            table.halted_ns[row] = max(at, 1)
        elif RESUMED in indicators:
            table.halted_ns[row] = 0

    def _bar(self, event: BarEvent, row: int, report: FrameReport, arrival_ns: int, latest: int) -> None:
        table, board = self.table, self._board
        start_ns, end_ns = to_ns(event.s), to_ns(event.e)
        high, low = event.h, event.l
        sane = sane_bar(event.o, high, low, event.c, event.v) and -MOST < event.av + event.a + event.op < MOST
        furthest = arrival_ns + BAR_AHEAD_NS if arrival_ns else NEVER_NS
        if max(start_ns, end_ns) > furthest or start_ns < 0 or not sane:
            report.malformed += 1
            return
        end_ns = arrival_ns if end_ns > latest else end_ns
        regular = board.session_open_ns <= start_ns < board.session_close_ns
        if type(event) is MinuteBar:
            report.minutes += 1
            # Only the regular session makes five-minute bars: a print at seven in the morning stops nothing out.
            if regular and not self._options:
                report.late += not board.minutes.write(row, start_ns, event.o, high, low, event.c, event.v)
        else:
            report.seconds += 1
        if regular:
            # written so that an unknown side (NaN) is replaced
            if not high <= table.day_high[row]:
                table.day_high[row] = high
            if not low >= table.day_low[row]:
                table.day_low[row] = low
            if event.v > 0 and 0 < table.halted_ns[row] < start_ns - HALT_GRACE_NS:
                table.halted_ns[row] = 0
        if event.op > 0:
            table.day_open[row] = event.op
        if end_ns < table.bar_ns[row]:  # an older bar again: its day totals are old too
            return
        table.bar_close[row] = event.c
        table.bar_ns[row] = end_ns
        if event.av > 0:
            table.day_volume[row] = event.av
        if event.a > 0:
            table.day_vwap[row] = event.a
        if end_ns > table.trade_ns[row]:
            table.last[row] = event.c
            table.trade_ns[row] = end_ns
