"""What positions are worth now: mid when two-sided and fresh, else the last good mark, flagged (DESIGN.md 3)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from qmterm.core.clock import NS, Clock
from qmterm.core.protocols import QuoteSource
from qmterm.core.quotes import Quote, mid_decimal
from qmterm.engine.orders.book import Book, Mark

FRESH_S = 60.0
WIDE_DOLLARS, WIDE_SHARE = 0.10, 0.50
EQUITY_EVERY_NS = 60 * NS


class MarkSink(Protocol):
    def mark(self, symbol: str, mark: Decimal, flag: str, time_ns: int) -> None: ...

    def equity(self, time_ns: int, nlv: Decimal, cash: Decimal, realized: Decimal, unrealized: Decimal) -> None: ...


def is_wide(quote: Quote) -> bool:
    """A mid between 0.05 and 3.90 says nothing: the rule of QUANT.md 3.5, spread ≤ max($0.10, 50 % of mid)."""
    return quote.ask - quote.bid > max(WIDE_DOLLARS, WIDE_SHARE * (quote.bid + quote.ask) / 2)


class Marks:
    def __init__(self, book: Book, quotes: QuoteSource, clock: Clock) -> None:
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

    def update(self) -> None:
        """Look at every held symbol's quote once."""
        now = self._clock.now()
        for position in self._book.positions:
            quote = self._quotes.quote(position.symbol)
            mid = mid_decimal(quote) if quote is not None else None
            last = self._marks.get(position.symbol)
            wide = quote is not None and mid is not None and is_wide(quote)
            if quote is not None and mid is not None and not wide and quote.age_s(now) <= FRESH_S:
                self._marks[position.symbol] = Mark(mid, "", now)
            elif last is None and mid is not None and wide:
                self._marks[position.symbol] = Mark(mid, "wide", now)  # poor, but nearer than its cost
            elif last is None:
                # Never quoted since we hold it: its cost is the only number there is, and it says so.
                self._marks[position.symbol] = Mark(position.average, "no quote", now)
            elif not last.flag:
                flag = "wide" if wide else "one-sided" if quote is not None and mid is None else "stale"
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
