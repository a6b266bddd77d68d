"""What positions are worth now: the mid of a quote that the quality gate believes, else the last good mark, flagged.

The trap: whether a quote is believed is the gate's word (market/quality), never a rule of our own: a stop, a mark and
an entry that disagree about one quote would trade against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol

from qmterm.core.clock import NS, Clock
from qmterm.core.protocols import QuoteSource
from qmterm.core.quotes import Quote, mid_decimal
from qmterm.core.reasons import Reason
from qmterm.engine.orders.book import Book, Mark
from qmterm.market.quality.quotes import doubt

# What a position's mark says of itself; other codes in their own lower case.
FLAGS = {
    Reason.WIDE_SPREAD: "wide",
    Reason.STALE_QUOTE: "stale",
    Reason.ZERO_BID: "one-sided",
    Reason.CROSSED: "crossed",
    Reason.NO_QUOTE: "stale",
}
DoubtOf = Callable[[Quote | None, int], Reason | None]
EQUITY_EVERY_NS = 60 * NS


class MarkSink(Protocol):
    def mark(self, symbol: str, mark: Decimal, flag: str, time_ns: int) -> None: ...

    def equity(self, time_ns: int, nlv: Decimal, cash: Decimal, realized: Decimal, unrealized: Decimal) -> None: ...


def flag_of(reason: Reason) -> str:
    return FLAGS.get(reason) or reason.value.lower().replace("_", " ")


class Marks:
    def __init__(self, book: Book, quotes: QuoteSource, clock: Clock, doubt_of: DoubtOf = doubt) -> None:
        """`doubt_of(quote, now)` is the gate's word on one quote, None when it may be believed."""
        self._doubt_of = doubt_of
        self._book = book
        self._quotes = quotes
        self._clock = clock
        self._marks: dict[str, Mark] = {}
        self._noted: dict[str, Mark] = {}
        self._equity_ns: int | None = None

    def restore(self, saved: Mapping[str, tuple[Decimal, str, int]]) -> None:
        """Last good marks from the journal, flagged as stale until a quote comes."""
        self._marks = {symbol: Mark(price, "stale", at) for symbol, (price, _flag, at) in saved.items()}

    def of(self, symbol: str) -> Mark | None:
        return self._marks.get(symbol)

    def doubt(self, symbol: str, now_ns: int) -> Reason | None:
        """The gate's word on a symbol's quote now; None when it may be believed."""
        return self._doubt_of(self._quotes.quote(symbol), now_ns)

    def update(self) -> None:
        """Look at every held symbol's quote once."""
        now = self._clock.now()
        for position in self._book.positions:
            quote = self._quotes.quote(position.symbol)
            mid = mid_decimal(quote) if quote is not None else None
            last = self._marks.get(position.symbol)
            reason = self._doubt_of(quote, now)
            if reason is None and mid is not None:
                self._marks[position.symbol] = Mark(mid, "", now)
                continue
            flag = flag_of(reason or Reason.NO_QUOTE)
            if reason is Reason.DELAYED and mid is not None and doubt(quote, now, float("inf")) is None:
                self._marks[position.symbol] = Mark(mid, flag, now)  # late by contract, yet better than a cost
                continue
            if last is None and mid is not None and reason is Reason.WIDE_SPREAD:
                self._marks[position.symbol] = Mark(mid, flag, now)  # poor, but nearer than its cost
            elif last is None:
                # Never quoted since we hold it: its cost is the only number there is, and it says so.
                self._marks[position.symbol] = Mark(position.average, "no quote", now)
            elif not last.flag or (last.flag != "no quote" and last.flag != flag):
                self._marks[position.symbol] = Mark(last.price, flag, last.time_ns)

    @property
    def market_value(self) -> Decimal:
        total = Decimal(0)
        for position in self._book.positions:
            mark = self._marks.get(position.symbol)
            total += position.value(mark.price if mark else position.average)
        return total

    @property
    def unrealized(self) -> Decimal:
        total = Decimal(0)
        for position in self._book.positions:
            mark = self._marks.get(position.symbol)
            if mark is not None:
                total += position.unrealized(mark.price)
        return total

    @property
    def nlv(self) -> Decimal:
        """Net liquidating value, dollars: cash plus marks."""
        return self._book.cash + self.market_value

    def keep(self, sink: MarkSink, *, force: bool = False) -> None:
        """Journal the marks that changed and one equity row a minute of market time, marks first."""
        now = self._clock.now()
        due = self._equity_ns is None or now - self._equity_ns >= EQUITY_EVERY_NS
        if not (due or force):
            return
        self._equity_ns = now
        for position in self._book.positions:
            mark = self._marks.get(position.symbol) or Mark(position.average, "no quote", now)
            if self._noted.get(position.symbol) != mark:
                sink.mark(position.symbol, mark.price, mark.flag, mark.time_ns)
                self._noted[position.symbol] = mark
        sink.equity(now, self.nlv, self._book.cash, self._book.realized, self.unrealized)
