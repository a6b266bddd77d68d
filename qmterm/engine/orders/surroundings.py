"""What the gate is told about the moment of a plan, gathered from the rooms that know it.

The trap: everything here may be unknown, and nothing here may raise: a fact that is missing leaves its check out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import cast

from qmterm.core.account import AccountFlags
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.errors import QmtermError
from qmterm.core.expiry import last_trading_day
from qmterm.core.instruments import is_option, option_root, parse_option
from qmterm.core.orders import Leg
from qmterm.core.protocols import QuoteSource
from qmterm.core.reasons import Reason
from qmterm.core.settlement import terms_of
from qmterm.core.signals import TradePlan
from qmterm.engine.orders.priced import Judge, Pricer
from qmterm.quant.options import black_scholes
from qmterm.risk.surroundings import Surroundings

NEAR = timedelta(days=7)  # a contract that expires later is in no last minutes
YEAR_NS = 365 * 86_400 * NS


@dataclass(slots=True)
class Lookout:
    """`earnings` is filled by whoever learns a date, by option root."""

    quotes: QuoteSource
    judge: Judge
    pricer: Pricer
    calendar: SessionCalendar
    clock: Clock
    flags: Callable[[], AccountFlags]
    earnings: MutableMapping[str, date | None] = field(default_factory=dict)

    def of(self, plan: TradePlan) -> Surroundings:
        now = self.clock.now()
        priced = {leg.symbol: self._priced(leg.symbol, now) for leg in plan.legs if is_option(leg.symbol)}
        spot = next((found for body in priced.values() if (found := _number(body.get("spot"))) is not None), None)
        ex_date, dividend = _next_dividend(priced, now)
        return Surroundings(
            doubts=self._doubts(plan.legs, now),
            spot=spot,
            theory=_theory(plan, priced),
            last_trade_ns=self._last_trades(plan.legs, et_date(now)),
            earnings=self.earnings.get(option_root(plan.underlying)),
            ex_date=ex_date,
            dividend=dividend,
            flags=self.flags(),
        )

    def _priced(self, symbol: str, now: int) -> Mapping[str, object]:
        try:
            return self.pricer.leg_numbers(symbol, now)
        except (QmtermError, ArithmeticError):
            return {}

    def _doubts(self, legs: tuple[Leg, ...], now: int) -> dict[str, Reason]:
        words = {leg.symbol: self.judge.quote(self.quotes.quote(leg.symbol), now) for leg in legs}
        return {symbol: word for symbol, word in words.items() if word is not None}

    def _last_trades(self, legs: tuple[Leg, ...], today: date) -> dict[str, int]:
        found = {}
        for leg in legs:
            try:
                contract = parse_option(leg.symbol)
            except QmtermError:
                continue
            if today <= contract.expiry <= min(today + NEAR, self.calendar.last):
                last = last_trading_day(self.calendar, contract.expiry, terms_of(contract.root).settlement)
                found[leg.symbol] = self.calendar.close_ns(last)
        return found


def _theory(plan: TradePlan, priced: Mapping[str, Mapping[str, object]]) -> dict[str, float]:
    """The one leg's value at the volatility that decided and the spot of now; spreads are left to their quotes.

    European, without cash dividends: the band it is compared within is far wider than what that is wrong by.
    """
    vol = plan.numbers.get("iv")
    if len(plan.legs) != 1 or vol is None or not vol > 0:
        return {}
    symbol = plan.legs[0].symbol
    body = priced.get(symbol, {})
    known = [_number(body.get(name)) for name in ("spot", "strike", "years", "rate", "dividend_yield")]
    if any(value is None for value in known) or not is_option(symbol):
        return {}
    spot, strike, years, rate, dividend_yield = cast(list[float], known)
    value = float(
        black_scholes.price(spot, strike, years, rate, dividend_yield, vol, parse_option(symbol).right == "C")
    )
    return {symbol: value} if value >= 0 else {}


def _next_dividend(priced: Mapping[str, Mapping[str, object]], now: int) -> tuple[date | None, float | None]:
    """The next one that goes ex before a leg expires."""
    known = [
        (years, amount)
        for body in priced.values()
        for years, amount in cast(list[list[float]], body.get("dividends", []))
    ]
    if not known:
        return None, None
    years, amount = min(known)
    return et_date(now + int(years * YEAR_NS)), amount


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
