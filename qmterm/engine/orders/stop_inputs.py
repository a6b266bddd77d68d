"""What the stops see of a guarded position: its mark, its volatility, its stock, as far as each can be believed.

The trap: after a person's no, what was known before must not ask again; so for a while only a new bar decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

from qmterm.core.clock import NS, et_date
from qmterm.core.protocols import QuoteSource
from qmterm.core.reasons import Reason
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exit_orders import worthless
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import Ledger
from qmterm.engine.orders.marks import Marks
from qmterm.engine.orders.structure import unit_value, units_closable, volatility
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.orders.underlyings import Underlyings
from qmterm.risk.protect import StopInputs

REARM_NS = 300 * NS  # a refused exit asks again after a 5-minute bar that a person has not seen


class StopSight:
    def __init__(
        self,
        book: Book,
        ledger: Ledger,
        marks: Marks,
        quotes: QuoteSource,
        underlyings: Underlyings,
        ticks: TickBook,
        iv_of: Callable[[str], float | None],
    ) -> None:
        self._book = book
        self._ledger = ledger
        self._marks = marks
        self._quotes = quotes
        self._underlyings = underlyings
        self._ticks = ticks
        self._iv_of = iv_of

    def of(self, guard: Guard, refused: Reason | None, now: int) -> tuple[StopInputs, Guard]:
        """What the rules decide by at `now` (market time); the guard with a new session's levels.

        `refused`: why the stock's price is not believed.
        """
        underlying = guard.state.underlying
        opened = et_date(guard.opened_ns)
        # A trade picked by hand (no ATR behind it) has no setup whose end could close it.
        seen = guard.daily_seen or _day_before(opened)
        daily = self._underlyings.daily(underlying, seen) if guard.state.atr > 0 else None
        if daily is not None:
            guard = replace(guard, state=guard.state.new_session(daily.sma50, daily.atr), daily_seen=daily.session)
        mark, sold = self._mark(guard, now), guard.state.sold
        rested = now - guard.called_off_ns >= REARM_NS
        seen_iv = rested and all(self._believed(leg.symbol) for leg in guard.legs if leg.action.buys is not sold)
        return (
            StopInputs(
                today=et_date(now),
                closable=units_closable(self._book, self._ledger, guard.legs),
                five_minute_close=None
                if refused
                else self._underlyings.five_minute_close(underlying, max(guard.opened_ns, guard.called_off_ns)),
                last_trade=self._underlyings.last(underlying) if rested and not refused else None,
                daily_close=daily.close if daily else None,
                daily_sma50=daily.sma50 if daily else None,
                mark=None if mark is None or not rested else -mark if sold else mark,
                iv=volatility(guard.legs, self._iv_of, sold=sold) if seen_iv else None,
                rested=rested,
            ),
            guard,
        )

    def _believed(self, symbol: str) -> Decimal | None:
        mark = self._marks.of(symbol)
        return None if mark is None or mark.flag else mark.price

    def _mark(self, guard: Guard, now_ns: int) -> Decimal | None:
        """What one unit is worth (owed: negative); a leg of several that is worth nothing is counted at its worst."""
        owned = {leg.symbol: leg.action.buys for leg in guard.legs}

        def each(symbol: str) -> Decimal | None:
            price, quote = self._believed(symbol), self._quotes.quote(symbol)
            if price is not None or len(owned) == 1 or quote is None:
                return price
            if not worthless(quote, self._ticks.of(symbol), now_ns):
                return None
            return Decimal(0) if owned[symbol] else Decimal(str(round(quote.ask, 4)))

        return unit_value(guard.legs, each)


def _day_before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)
