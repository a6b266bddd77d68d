"""REST of instruments, chains, market data and market time, as far as a trading program asks the broker for them.

Polygon's side of the simulator is the data source; here is what the broker's own SDK reads about the same world.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from urllib.parse import unquote
from zlib import crc32

from aiohttp import web

from qmterm.core.calendar import Phase, days_to_expiry
from qmterm.core.clock import NS, et_date
from qmterm.core.fees import INDEX_ROOTS
from qmterm.core.instruments import OptionContract, Right, is_option
from qmterm.core.ticks import TickTable, program_for, table_of
from qmterm.sim.brokerage.door import Door, ok, text_list
from qmterm.sim.brokerage.refusals import MalformedRequest, not_found
from qmterm.sim.brokerage.wire import Json, money, stamp
from qmterm.sim.brokerage.world import BrokerageWorld, ChainWorld, EarningsWorld, price_of

MAX_SYMBOLS = 100
_STATES = {Phase.REGULAR: "Open", Phase.PRE: "Pre-market", Phase.POST: "Extended", Phase.CLOSED: "Closed"}
_AFTER_HOURS_NS = 4 * 3600 * NS
_PRE_MARKET_NS = 75 * 60 * NS  # the broker's session starts at 08:15
_STOCK_TICKS = [{"value": "0.0001", "threshold": "1.0"}, {"value": "0.01"}]


def _tick_sizes(table: TickTable) -> list[Json]:
    return [
        {"value": money(value)} | ({} if threshold is None else {"threshold": money(threshold)})
        for threshold, value in table.steps
    ]


class MarketRoutes:
    def __init__(self, world: BrokerageWorld) -> None:
        self.world = world

    def add(self, app: web.Application, door: Door) -> None:
        routes = (
            ("/instruments/equities", self.equities),
            ("/instruments/equities/{symbol}", self.equity),
            ("/instruments/equity-options", self.options),
            ("/instruments/equity-options/{symbol}", self.option),
            ("/option-chains/{symbol}", self.chain),
            ("/option-chains/{symbol}/nested", self.nested_chain),
            ("/market-metrics", self.metrics),
            ("/market-data/by-type", self.market_data),
            ("/market-time/sessions/current", self.sessions),
            ("/market-time/equities/holidays", self.holidays),
        )
        for path, handler in routes:
            app.router.add_get(path, door.open(handler))

    # --- instruments ---

    async def equity(self, request: web.Request) -> web.StreamResponse:
        return ok(self._equity(unquote(request.match_info["symbol"])), request.path)

    async def equities(self, request: web.Request) -> web.StreamResponse:
        known = [symbol for symbol in text_list(request, "symbol") if self.world.symbol_exists(symbol)]
        return ok({"items": [self._equity(symbol) for symbol in known]}, request.path)

    async def option(self, request: web.Request) -> web.StreamResponse:
        symbol = unquote(request.match_info["symbol"])
        contract = self.world.contract(symbol) if is_option(symbol) else None
        if contract is None:
            raise not_found(f"option {symbol!r}")
        return ok(self._option(contract), request.path)

    async def options(self, request: web.Request) -> web.StreamResponse:
        found = (self.world.contract(symbol) for symbol in text_list(request, "symbol") if is_option(symbol))
        return ok({"items": [self._option(contract) for contract in found if contract is not None]}, request.path)

    def _equity(self, symbol: str) -> Json:
        if not self.world.symbol_exists(symbol):
            raise not_found(f"equity {symbol!r}")
        body: Json = {
            "id": crc32(symbol.encode()),
            "symbol": symbol,
            "instrument-type": "Equity",
            "short-description": symbol,
            "description": symbol,
            "is-index": symbol in INDEX_ROOTS,
            "is-etf": False,
            "listed-market": "XNAS",
            "lendability": "Easy To Borrow",
            "borrow-rate": "0.0",
            "market-time-instrument-collection": "Equity",
            "is-closing-only": False,
            "is-options-closing-only": False,
            "active": True,
            "is-fractional-quantity-eligible": False,
            "is-illiquid": False,
            "streamer-symbol": symbol,
            "tick-sizes": _STOCK_TICKS,
        }
        if self.world.is_optionable(symbol):
            body["option-tick-sizes"] = _tick_sizes(table_of(program_for(symbol)))
        return body

    def _option(self, contract: OptionContract) -> Json:
        expires = stamp(self.world.calendar.expiry_ns(contract.expiry))
        return {
            "symbol": contract.occ,
            "instrument-type": "Equity Option",
            "active": True,
            "strike-price": money(contract.strike),
            "root-symbol": contract.root,
            "underlying-symbol": contract.root,
            "expiration-date": contract.expiry.isoformat(),
            "exercise-style": "European" if contract.root in INDEX_ROOTS else "American",
            "shares-per-contract": contract.multiplier,
            "option-type": contract.right.value,
            "option-chain-type": "Non-standard" if contract.adjusted else "Standard",
            "expiration-type": self._expiration_type(contract.expiry),
            "settlement-type": "PM",
            "stops-trading-at": expires,
            "expires-at": expires,
            "market-time-instrument-collection": "Equity Option",
            "days-to-expiration": days_to_expiry(self.world.now_ns, contract.expiry),
            "is-closing-only": False,
            "streamer-symbol": contract.dxfeed,
        }

    def _expiration_type(self, expiry: date) -> str:
        monthly = self.world.calendar.monthly_expiry(expiry.year, expiry.month)
        return "Regular" if expiry == monthly else "Weekly"

    # --- chains ---

    def _strikes(self, symbol: str) -> dict[date, list[Decimal]]:
        if not isinstance(self.world, ChainWorld) or not self.world.is_optionable(symbol):
            raise not_found(f"an option chain of {symbol!r}")
        listed = self.world.chain_symbols(symbol)
        return {day: [Decimal(str(strike)) for strike in listed[day]] for day in sorted(listed)}

    async def chain(self, request: web.Request) -> web.StreamResponse:
        symbol = unquote(request.match_info["symbol"])
        items = [
            self._option(OptionContract(symbol, day, right, strike))
            for day, strikes in self._strikes(symbol).items()
            for strike in strikes
            for right in Right
        ]
        return ok({"items": items}, request.path)

    async def nested_chain(self, request: web.Request) -> web.StreamResponse:
        symbol = unquote(request.match_info["symbol"])
        expirations = [
            {
                "expiration-type": self._expiration_type(day),
                "expiration-date": day.isoformat(),
                "days-to-expiration": days_to_expiry(self.world.now_ns, day),
                "settlement-type": "PM",
                "strikes": [self._pair(symbol, day, strike) for strike in strikes],
            }
            for day, strikes in self._strikes(symbol).items()
        ]
        item = {
            "underlying-symbol": symbol,
            "root-symbol": symbol,
            "option-chain-type": "Standard",
            "shares-per-contract": 100,
            "tick-sizes": _tick_sizes(table_of(program_for(symbol))),
            "expirations": expirations,
        }
        return ok({"items": [item]}, request.path)

    @staticmethod
    def _pair(symbol: str, day: date, strike: Decimal) -> Json:
        call, put = (OptionContract(symbol, day, right, strike) for right in (Right.CALL, Right.PUT))
        return {
            "strike-price": money(strike),
            "call": call.occ,
            "call-streamer-symbol": call.dxfeed,
            "put": put.occ,
            "put-streamer-symbol": put.dxfeed,
        }

    # --- data ---

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """What the world can vouch for: the next report; the volatility figures are Polygon's side."""
        symbols = [symbol for symbol in request.query.get("symbols", "").split(",") if symbol]
        now = stamp(self.world.now_ns)
        items = [
            {"symbol": symbol, "updated-at": now, "market-cap": 0, "lendability": "Easy To Borrow"}
            | self._earnings(symbol)
            for symbol in symbols
            if self.world.symbol_exists(symbol)
        ]
        return ok({"items": items}, request.path)

    def _earnings(self, symbol: str) -> Json:
        day = self.world.next_report(symbol) if isinstance(self.world, EarningsWorld) else None
        if day is None:
            return {}
        report = {"visible": True, "expected-report-date": day.isoformat(), "estimated": True, "time-of-day": "AMC"}
        return {"earnings": report}

    async def market_data(self, request: web.Request) -> web.StreamResponse:
        asked = {kind: text_list(request, kind) for kind in ("equity", "equity-option")}
        if sum(map(len, asked.values())) > MAX_SYMBOLS:
            raise MalformedRequest("symbols", f"at most {MAX_SYMBOLS} symbols over all types")
        items = [*self._data(asked["equity"], "Equity"), *self._data(asked["equity-option"], "Equity Option")]
        return ok({"items": items}, request.path)

    def _data(self, symbols: Iterable[str], kind: str) -> Iterable[Json]:
        today = et_date(self.world.now_ns)
        for symbol in symbols:
            quote = self.world.quote(symbol)
            if quote is None:
                continue
            prices = {
                "mark": price_of(self.world, symbol),
                "mid": None if quote.mid is None else Decimal(str(round(quote.mid, 4))),
                "last": _known(self.world.last(symbol)),
                "prev-close": _known(self.world.previous_close(symbol)),
            }
            yield {
                "symbol": symbol,
                "instrument-type": kind,
                "updated-at": stamp(quote.time_ns),
                "bid": money(Decimal(str(round(quote.bid, 4)))),
                "bid-size": str(quote.bid_size),
                "ask": money(Decimal(str(round(quote.ask, 4)))),
                "ask-size": str(quote.ask_size),
                **{name: money(price) for name, price in prices.items() if price is not None},
                "close-price-type": "Regular",
                "summary-date": today.isoformat(),
                "prev-close-date": self.world.calendar.previous(today).isoformat(),
                "prev-close-price-type": "Final",
                "is-trading-halted": False,
                "halt-start-time": -1,
                "halt-end-time": -1,
            }

    # --- time ---

    def _session(self, day: date) -> Json:
        calendar = self.world.calendar
        opens, closes = calendar.open_ns(day), calendar.close_ns(day)
        return {
            "instrument-collection": "Equity",
            "session-date": day.isoformat(),
            "start-at": stamp(opens - _PRE_MARKET_NS),
            "open-at": stamp(opens),
            "close-at": stamp(closes),
            "close-at-ext": stamp(closes + _AFTER_HOURS_NS),
        }

    async def sessions(self, request: web.Request) -> web.StreamResponse:
        calendar, today = self.world.calendar, et_date(self.world.now_ns)
        current = today if calendar.is_session(today) else calendar.next(today)
        body = self._session(current)
        del body["session-date"]
        body |= {
            "state": _STATES[self.world.phase],
            "next-session": self._session(calendar.next(current)),
            "previous-session": self._session(calendar.previous(current)),
        }
        return ok({"items": [body]}, request.path)

    async def holidays(self, request: web.Request) -> web.StreamResponse:
        calendar = self.world.calendar
        span = range(calendar.first.toordinal(), calendar.last.toordinal() + 1)
        days = [date.fromordinal(number) for number in span]
        closed = [day for day in days if day.weekday() < 5 and not calendar.is_session(day)]
        half = [day for day in calendar.days if calendar.half_day(day)]
        body = {
            "market-holidays": [day.isoformat() for day in closed],
            "market-half-days": [day.isoformat() for day in half],
        }
        return ok(body, request.path)


def _known(price: float | None) -> Decimal | None:
    return None if price is None else Decimal(str(round(price, 4)))
