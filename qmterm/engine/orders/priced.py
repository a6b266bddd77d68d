"""The exact quotes and ages behind an order, taken when it is decided and again when it is sent.

What is stored of the second moment is enough to price each leg again without the market: spot, strike and years, rate
and dividend yield, volatility, and the quality gate's codes. The traps: a number that was not known is null, and its
code says why; and to work these out takes longer than all else that an order passes, so no order waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from qmterm.core.clock import Clock
from qmterm.core.errors import QmtermError
from qmterm.core.instruments import is_option, underlying_of
from qmterm.core.orders import Leg
from qmterm.core.protocols import QuoteSource
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason

Evidence = dict[str, object]


class Judge(Protocol):
    """The quality gate's word (market.quality.watch)."""

    def quote(self, quote: Quote | None, now_ns: int) -> Reason | None: ...

    def stock(self, symbol: str, now_ns: int) -> Reason | None: ...


class Pricer(Protocol):
    """The chain's own numbers of one contract at the board's quotes (market.chains)."""

    def leg_numbers(self, symbol: str, now_ns: int) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class PricedBy:
    quotes: QuoteSource
    judge: Judge
    pricer: Pricer
    clock: Clock
    source: str  # polygon | sim

    def of(self, legs: tuple[Leg, ...], underlying: str) -> Evidence:
        """What is known of every leg and of the stock at this moment; plain JSON values."""
        now = self.clock.now()
        return {
            "time_ns": now,
            "source": self.source,
            "underlying": self._judged(underlying, now) | {"price_code": _word(self.judge.stock(underlying, now))},
            "legs": [self._leg(leg.symbol, now) for leg in legs],
        }

    def quoted(self, legs: tuple[Leg, ...], underlying: str) -> Evidence:
        """The quotes and their ages alone: all that an order on its way has time for."""
        now = self.clock.now()
        return {
            "time_ns": now,
            "source": self.source,
            "underlying": _body(underlying, self.quotes.quote(underlying), now),
            "legs": [_body(leg.symbol, self.quotes.quote(leg.symbol), now) for leg in legs],
        }

    def _leg(self, symbol: str, now: int) -> Evidence:
        found = self._judged(symbol, now)
        if is_option(symbol):
            try:
                found |= self.pricer.leg_numbers(symbol, now)
            except (QmtermError, ArithmeticError) as error:  # no evidence is no reason to hold a protective order back
                found["not_known"] = str(error)
        return found

    def _judged(self, symbol: str, now: int) -> Evidence:
        quote = self.quotes.quote(symbol)
        return _body(symbol, quote, now) | {"code": _word(self.judge.quote(quote, now))}


def _body(symbol: str, quote: Quote | None, now: int) -> Evidence:
    if quote is None:
        return {"symbol": symbol}
    return {
        "symbol": symbol,
        "bid": quote.bid,
        "ask": quote.ask,
        "bid_size": quote.bid_size,
        "ask_size": quote.ask_size,
        "time_ns": quote.time_ns,
        "age_s": quote.age_s(now),
    }


def _word(reason: Reason | None) -> str:
    return "OK" if reason is None else reason.value


def quote_lines(body: Mapping[str, object]) -> list[str]:
    """The quotes stored in a journal row (of a decision, an order, its sending), one line a leg and moment."""
    numbers = body.get("numbers")
    stored = body.get("quotes") or (numbers.get("quotes") if isinstance(numbers, Mapping) else None)
    if not isinstance(stored, Mapping):
        return []
    moments = {"decided": stored} if "legs" in stored else stored
    return [
        f"  {moment}: {_line(part)}"
        for moment, evidence in moments.items()
        if isinstance(evidence, Mapping)
        for part in (*evidence.get("legs", ()), evidence.get("underlying"))
        if isinstance(part, Mapping)
    ]


def _line(part: Mapping[str, object]) -> str:
    def text(name: str, digits: int) -> str:
        value = part.get(name)
        return f"{value:.{digits}f}" if isinstance(value, int | float) else "–"

    symbol = str(part["symbol"])
    line = (
        f"{symbol}: {text('bid', 2)} x {text('ask', 2)} ({text('bid_size', 0)} x {text('ask_size', 0)}), "
        f"{text('age_s', 1)} s old"
    )
    if "code" in part:
        line += f", {part['code']}"
    if "spot" in part and is_option(symbol):
        line += f"; spot {text('spot', 2)} ({text('spot_age_s', 1)} s, {underlying_of(symbol)}), IV {text('iv', 4)}"
    return line
