"""The expiry desk at work: looks each market minute, alarms once per change, and sends what is planned before its hour.

The trap: an alarm that repeats every minute is not read, and one that was given before a restart need not be given
again. So the severity of each position is journalled, and only a change of it is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Protocol

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.instruments import OptionContract, Right, is_option, parse_option, underlying_of
from qmterm.core.protocols import QuoteSource
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.kept_rows import KeptRows
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exits import Guards
from qmterm.engine.orders.marks import Marks
from qmterm.engine.patience import DiskPatience
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import label
from qmterm.quant.options.dividend_forecast import ExpectedDividend
from qmterm.risk.expiry_desk import ExpiryDesk
from qmterm.risk.expiry_line import Deed, DeskRules, ExpiryLine, Finding, HeldOption, Severity, StockFacts

EVERY_NS = 60 * NS
LEARN_S = 5.0  # real seconds between two looks for stocks whose dividends nobody asked for
DOCUMENT = "expiry"
EXTERNAL = "external"


class Cash(Protocol):
    """Dividends that are declared or expected (market/chains/cash.py), by the stock's own name."""

    def known(self, underlying: str) -> bool: ...

    def expected(self, underlying: str, today: date, until: date) -> list[ExpectedDividend]: ...


class Stocks(Protocol):
    def last(self, symbol: str) -> float | None: ...

    def doubt(self, symbol: str) -> Reason | None: ...

    def ticker(self, symbol: str) -> str: ...


class Documents(Protocol):
    async def write_document(self, name: str, body: dict[str, object]) -> None: ...


class ExpiryWatch:
    def __init__(
        self,
        *,
        book: Book,
        marks: Marks,
        guards: Guards,
        quotes: QuoteSource,
        stocks: Stocks,
        cash: Cash,
        rates: Callable[[FloatArray, int], FloatArray],
        calendar: SessionCalendar,
        clock: Clock,
        log: RunLog,
        journal: Documents,
        settings: RiskSettings,
        iv: Callable[[str], float | None],
        buying_power: Callable[[], Decimal | None],
        learn: Callable[[str], Awaitable[None]],
        patience: DiskPatience | None = None,
    ) -> None:
        """`learn` asks for a stock's dividends; what cannot be had stays unknown."""
        self._book = book
        self._marks = marks
        self._guards = guards
        self._quotes = quotes
        self._stocks = stocks
        self._cash = cash
        self._rates = rates
        self._calendar = calendar
        self._clock = clock
        self._log = log
        self._iv = iv
        self._buying_power = buying_power
        self._learn = learn
        self._rows = KeptRows(patience or DiskPatience(), lambda name: journal.write_document(name, self._told()))
        self._asked: dict[str, date] = {}
        self._rules = DeskRules(
            settings.expiry_cutoff_min,
            settings.expiry_close_lead_min,
            1.0 if settings.day_trade_mode == "cash" else DeskRules().margin_share,
        )
        self._looked: tuple[int, frozenset[tuple[str, int]]] = (-1, frozenset())
        self._said: dict[str, Severity] = {}
        self.lines: tuple[ExpiryLine, ...] = ()

    def restore(self, saved: Mapping[str, object] | None) -> None:
        """Which severities were said before the restart."""
        for symbol, severity in (saved or {}).items():
            if isinstance(severity, int) and severity in Severity._value2member_map_:
                self._said[symbol] = Severity(severity)

    @property
    def twins(self) -> frozenset[str]:
        """Puts whose price says whether a sold call of the same strike is about to be exercised: to be quoted."""
        return frozenset(_twin(symbol) for symbol in self._sold_calls())

    async def learn(self) -> None:
        """Ask once a day for the dividends of shares and behind sold calls; beside the turn: an answer may be slow."""
        today = et_date(self._clock.now())
        shares = [position.symbol for position in self._book.positions if not is_option(position.symbol)]
        for name in sorted({self._stocks.ticker(underlying_of(symbol)) for symbol in (*self._sold_calls(), *shares)}):
            if self._asked.get(name) != today:
                self._asked[name] = today
                await self._learn(name)

    async def follow(self) -> None:
        """For ever, beside the turn."""
        while True:
            await self.learn()
            await asyncio.sleep(LEARN_S)

    async def look(self) -> None:
        """Once a market minute and when something else is held; planned closes whose hour has come become exits."""
        await self._rows.again()
        now = self._clock.now()
        held = frozenset((position.symbol, position.quantity) for position in self._book.positions)
        minute = now // EVERY_NS
        if self._looked == (minute, held):
            return
        self._looked = (minute, held)
        self.lines = self._read(now)
        try:
            await self._say()
        finally:  # a close is not left out for what the desk has said not being on the disk
            await self._act(now)

    def _read(self, now: int) -> tuple[ExpiryLine, ...]:
        positions = self._book.positions
        if not any(is_option(position.symbol) for position in positions):
            return ()

        def mark(symbol: str) -> float | None:
            found = self._marks.of(symbol)
            return None if found is None or found.flag else float(found.price)

        held = [
            HeldOption(p.symbol, p.quantity, p.strategy, p.plan_id, mark(p.symbol), self._iv(p.symbol))
            for p in positions
        ]
        stocks = {p.underlying: self._facts(p.underlying, now) for p in positions}
        desk = ExpiryDesk(self._calendar, self._rules, lambda years: float(self._rates(np.array([years]), now)[0]))
        lines = desk.look(held, stocks, now, buying_power=self._buying_power(), put_mids=self._put_mids())
        return tuple(self._by_whom(line, now) for line in lines)

    def _by_whom(self, line: ExpiryLine, now: int) -> ExpiryLine:
        """A planned close that no guard carries out is a person's: the line says so, and at its hour it is an alarm."""
        action = line.action
        by_hand = tuple(symbol for symbol in action.closes if not self._ours(symbol))
        if action.deed is not Deed.CLOSE or not by_hand:
            return line
        names = " / ".join(label(symbol) for symbol in by_hand)
        text = f"{action.text}: {names} by you, no stop watches it"
        ours = tuple(symbol for symbol in action.closes if symbol not in by_hand)
        plan = replace(action, closes=ours, text=text, deed=Deed.CLOSE if ours else Deed.WATCH)
        if not action.due(now) or action.reason is None:
            return replace(line, action=plan)
        due = Finding(action.reason, Severity.ALARM, f"the hour to close {names} has come, and nobody does it for you")
        return replace(line, action=plan, findings=(due, *line.findings))

    def _ours(self, symbol: str) -> bool:
        """The machine closes it: what a person holds elsewhere a person closes."""
        position = self._book.position(symbol)
        return position is not None and position.strategy != EXTERNAL and self._guards.watching(symbol) is not None

    def _facts(self, underlying: str, now: int) -> StockFacts:
        doubt, spot = self._stocks.doubt(underlying), self._stocks.last(underlying)
        ticker, today = self._stocks.ticker(underlying), et_date(now)
        known = self._cash.known(ticker)
        ahead: tuple[tuple[date, float], ...] = ()
        if known:
            expected = self._cash.expected(ticker, today, min(self._calendar.last, today + timedelta(days=60)))
            ahead = tuple((dividend.ex_date, dividend.amount) for dividend in expected)
        if doubt is not None or spot is None:
            return StockFacts(None, doubt or Reason.NO_QUOTE, ahead, known)
        return StockFacts(spot, None, ahead, known)

    def _put_mids(self) -> dict[str, float]:
        found = {}
        for symbol in self._sold_calls():
            quote = self._quotes.quote(_twin(symbol))
            if quote is not None and quote.two_sided and quote.mid is not None:
                found[symbol] = quote.mid
        return found

    def _sold_calls(self) -> tuple[str, ...]:
        return tuple(
            position.symbol
            for position in self._book.positions
            if position.quantity < 0
            and is_option(position.symbol)
            and parse_option(position.symbol).right is Right.CALL
        )

    async def _say(self) -> None:
        before = dict(self._said)
        for line in self.lines:
            old = self._said.get(line.symbol, Severity.CALM)
            if line.severity is old:
                continue
            self._said[line.symbol] = line.severity
            first = line.findings[0].text if line.findings else "nothing presses any more"
            write = {Severity.ALARM: self._log.alarm, Severity.WARN: self._log.warn}.get(line.severity, self._log.info)
            if line.severity < old:
                write = self._log.info
            plan = f"; {line.action.text}" if line.action.text else ""
            code = line.findings[0].code.value if line.findings else "OK"
            write("EXPIRY", f"{line.quantity:+d} {label(line.symbol)}: {first}{plan}", line.symbol, reason=code)
        held = {line.symbol for line in self.lines}
        self._said = {symbol: severity for symbol, severity in self._said.items() if symbol in held}
        if self._said != before:
            await self._rows.keep(DOCUMENT)

    def _told(self) -> dict[str, object]:
        return {symbol: int(severity) for symbol, severity in self._said.items()}

    async def _act(self, now: int) -> None:
        """Whose hour has come goes the way of a stop: an exit in auto mode, an alarmed proposal in confirm mode."""
        for line in self.lines:
            if not line.action.due(now) or line.action.reason is None:
                continue
            for symbol in line.action.closes:
                reason, text = line.action.reason, f"{line.action.reason.value}: {label(symbol)}: {line.action.text}"
                say = partial(self._log.alarm, "STOP", text, symbol, reason=reason.value)
                await self._guards.want_out(symbol, reason, say)


def _twin(call: str) -> str:
    contract = parse_option(call)
    return OptionContract(contract.root, contract.expiry, Right.PUT, contract.strike, contract.multiplier).occ
