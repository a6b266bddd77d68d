"""Option chains with our own volatilities and Greeks: read from REST, then re-priced from the board at every look.

The trap: the vendor's snapshot is older than the stream. Live quotes on the board win whenever their exchange time
is newer, and a chain on the screen is re-priced from the board without any call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar, years_to
from qmterm.core.chain import Chain
from qmterm.core.clock import NS, et_date
from qmterm.core.errors import DataError
from qmterm.core.expiry import expiry_instant
from qmterm.core.instruments import Right, parse_option
from qmterm.core.settlement import CASH_SETTLED_ROOTS, terms_of
from qmterm.market.analysis.cache import AnalysisCache, Kind
from qmterm.market.board.board import Board
from qmterm.market.chains.cash import CashDividends
from qmterm.market.chains.pricing import ChainNumbers, price_chain
from qmterm.market.chains.spot import Spot, spot_of
from qmterm.market.quality.codes import WRONG_PRICES, CodeArray, QuoteCode
from qmterm.market.quality.gate import Circumstances, chain_codes, spot_code
from qmterm.market.quality.watch import QualityWatch
from qmterm.market.records import OptionRows, YieldCurve
from qmterm.market.rest.client import PolygonRest
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.options.rates import Rates, rates_for
from qmterm.quant.options.solved import IvStatus

_DAY_NS = 86_400_000_000_000
_EASTERN_NS = 5 * 3_600_000_000_000  # nothing trades between 20:00 and 04:00: a fixed offset tells days apart


class Chains:
    """Yields and dividends are given from outside; without yields the fallback is used and says so."""

    def __init__(
        self,
        rest: PolygonRest,
        board: Board,
        calendar: SessionCalendar,
        quality: QualityWatch | None = None,
        cache: AnalysisCache | None = None,
    ) -> None:
        self._rest = rest
        self._cache = cache
        self._board = board
        self._calendar = calendar
        self._quality = quality or QualityWatch(board, delayed=lambda: self.delayed)
        self._curve: YieldCurve | None = None
        self._dividend_yields: dict[str, float] = {}
        self._volume_day: IntArray = np.zeros(0, dtype=np.int64)  # by the board's number of a contract
        self._volume_then: IntArray = np.zeros(0, dtype=np.int64)
        self.cash = CashDividends()
        self.on_read: Callable[[Chain], None] | None = None  # hears of every chain that was read
        self.delayed = False
        self.malformed = 0

    def set_yields(self, curve: YieldCurve | None) -> None:
        self._curve = curve

    def set_dividend_yield(self, underlying: str, continuous: float) -> None:
        """Decimal a year, beside any cash dividends (indices); names never set count as 0."""
        self._dividend_yields[underlying] = continuous

    def rate_mark(self, now_ns: int) -> str:
        """What the screen must show beside numbers made with the fallback rate; empty while the curve is believed."""
        return self._rates(np.empty(0), now_ns).mark

    async def read(
        self,
        underlying: str,
        now_ns: int,
        expiry_from: date,
        expiry_to: date,
        strike_from: float | None = None,
        strike_to: float | None = None,
    ) -> Chain:
        """The chain between two expiries, priced at `now_ns`; DataError when there is no price of the underlying.

        With a cache a chain that was read just now is priced again with the board's newest quotes, without a call.
        """
        window = (underlying, expiry_from, expiry_to, strike_from, strike_to)
        if self._cache is None:
            rows = await self._rest.option_rows(*window)
        else:
            # Together: one call more, but no time.
            ask = partial(self._rest.option_rows, *window)
            aged, _ = await asyncio.gather(self._cache.get(Kind.CHAIN, window, ask), self.learn_cash(underlying))
            rows = aged.value
        self.delayed |= rows.delayed
        self.malformed += rows.malformed
        chain = self._chain(rows, self._board.load_options(rows, now_ns), now_ns)
        if self.on_read is not None:
            self.on_read(chain)
        return chain

    async def learn_cash(self, underlying: str) -> None:
        """Dividends that cannot be had are not known (`cash.known`): the chain is priced without."""
        if self._cache is None or _root(underlying) in CASH_SETTLED_ROOTS:
            return
        try:
            found = await self._cache.dividends(underlying)
        except DataError:
            return
        self.cash.set(underlying, found.value)

    def requote(self, chain: Chain, now_ns: int) -> Chain:
        """The same contracts with the board's quotes and spot, priced again; no call is made."""
        spot = self._spot(chain.underlying) or Spot(chain.spot, chain.spot_ns)
        bid, ask, bid_size, ask_size, quote_ns = self._quotes(self._numbers(chain.occ))
        years = self._years(chain.occ, chain.expiry, now_ns)
        spot_word, codes, numbers = self._judge(
            (chain.underlying, spot, now_ns),
            chain.strike,
            years,
            chain.is_call,
            chain.adjusted,
            chain.rate,
            chain.dividend_yield,
            bid,
            ask,
            quote_ns,
            self._dividends(chain.underlying, chain.expiry, now_ns),
        )
        return replace(
            chain,
            spot=spot.price,
            spot_ns=spot.time_ns,
            spot_code=spot_word,
            time_ns=now_ns,
            years=years,
            dte=_dte(chain.expiry, now_ns),
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            quote_ns=quote_ns,
            quote_code=codes,
            iv=numbers.iv,
            iv_status=numbers.iv_status,
            delta=numbers.delta,
            gamma=numbers.gamma,
            theta=numbers.theta,
            vega=numbers.vega,
            rho=numbers.rho,
        )

    def spot(self, underlying: str) -> float | None:
        """What the underlying is worth now (chains/spot.py); None when unknown."""
        found = self._spot(underlying)
        return None if found is None else found.price

    def leg_numbers(self, symbol: str, now_ns: int) -> dict[str, object]:
        """What one contract is priced with at this moment: enough to price it again later. Unknown is None."""
        contract = parse_option(symbol)
        underlying = contract.root
        ticker, expiry = self._quality.ticker_of(underlying), np.array([contract.expiry], dtype="datetime64[D]")
        spot, dividends = self._spot(ticker), self._dividends(ticker, expiry, now_ns)
        years = self._years((contract.occ,), expiry, now_ns)
        rate, dividend_yield = self.rates(years, now_ns), self._dividend_yields.get(underlying, 0.0)
        numbers: dict[str, object] = {
            "strike": float(contract.strike),
            "right": contract.right.value,
            "years": float(years[0]),
            "rate": float(rate[0]),
            "dividend_yield": dividend_yield,
            # (years from now, dollars) of each that goes ex before the expiry
            "dividends": []
            if dividends is None
            else np.column_stack((dividends.times[0], dividends.amounts[0])).tolist(),
            "spot": None,
            "spot_age_s": None,
            "spot_code": QuoteCode.NO_QUOTE.name,
            "iv": None,
            "iv_status": IvStatus.NO_QUOTE.name,
        }
        quote = self._board.quote(symbol)
        if spot is None:
            return numbers
        around = self._around(underlying, spot)
        numbers["spot"], numbers["spot_code"] = spot.price, spot_code(spot.price, spot.time_ns, now_ns, around).name
        numbers["spot_age_s"] = max(0, now_ns - spot.time_ns) / NS if spot.time_ns > 0 else None
        if quote is None:
            return numbers
        priced = price_chain(
            underlying,
            spot.price,
            np.array([float(contract.strike)]),
            years,
            np.array([contract.right is Right.CALL]),
            rate,
            np.array([dividend_yield]),
            np.array([quote.bid]),
            np.array([quote.ask]),
            dividends=dividends,
        )
        numbers["iv_status"] = IvStatus(int(priced.iv_status[0])).name
        for name in ("iv", "delta"):
            value = float(getattr(priced, name)[0])
            numbers[name] = value if np.isfinite(value) else None
        return numbers

    # --- inside ---

    def _spot(self, underlying: str) -> Spot | None:
        return spot_of(self._board, self._quality, underlying)

    def _around(self, underlying: str, spot: Spot) -> Circumstances:
        return replace(self._quality.around(underlying), spot_insane=spot.insane)

    def _judge(
        self,
        about: tuple[str, Spot, int],  # underlying, its price, market time
        strike: FloatArray,
        years: FloatArray,
        is_call: BoolArray,
        adjusted: BoolArray,
        rate: FloatArray,
        dividend_yield: FloatArray,
        bid: FloatArray,
        ask: FloatArray,
        quote_ns: IntArray,
        dividends: DividendTable | None,
    ) -> tuple[QuoteCode, CodeArray, ChainNumbers]:
        """The gate's word first, then the numbers: a wrong price must not bend its neighbours' Greeks."""
        underlying, (spot, spot_ns, _), now_ns = about
        around = self._around(underlying, about[1])
        codes = chain_codes(now_ns, spot, spot_ns, years, strike, is_call, adjusted, rate, bid, ask, quote_ns, around)
        wrong = np.isin(codes, WRONG_PRICES)
        numbers = price_chain(
            _root(underlying), spot, strike, years, is_call, rate, dividend_yield, bid, ask, wrong, dividends
        )
        return spot_code(spot, spot_ns, now_ns, around), codes, numbers

    def _chain(self, rows: OptionRows, on_board: IntArray, now_ns: int) -> Chain:
        underlying = rows.underlying
        spot = self._spot(underlying) or (None if rows.spot is None else Spot(rows.spot, rows.spot_ns))
        if spot is None:
            raise DataError(f"option chain of {underlying}: no price of the underlying; does the plan include stocks?")
        bid, ask, bid_size, ask_size, quote_ns = self._quotes(on_board)
        years = self._years(rows.occ, rows.expiry, now_ns)
        rate = self.rates(years, now_ns)
        dividend_yield = np.full(len(rows), self._dividend_yields.get(underlying, 0.0))
        spot_word, codes, numbers = self._judge(
            (underlying, spot, now_ns),
            rows.strike,
            years,
            rows.is_call,
            rows.adjusted,
            rate,
            dividend_yield,
            bid,
            ask,
            quote_ns,
            self._dividends(underlying, rows.expiry, now_ns),
        )
        volume, previous = self._volume_of(rows, on_board, now_ns)
        return Chain(
            underlying=underlying,
            spot=spot.price,
            spot_ns=spot.time_ns,
            spot_code=spot_word,
            time_ns=now_ns,
            occ=rows.occ,
            expiry=rows.expiry,
            years=years,
            dte=_dte(rows.expiry, now_ns),
            strike=rows.strike,
            is_call=rows.is_call,
            multiplier=rows.multiplier,
            adjusted=rows.adjusted,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            quote_ns=quote_ns,
            quote_code=codes,
            volume=volume,
            previous_volume=previous,
            open_interest=rows.open_interest,
            rate=rate,
            dividend_yield=dividend_yield,
            iv=numbers.iv,
            iv_status=numbers.iv_status,
            delta=numbers.delta,
            gamma=numbers.gamma,
            theta=numbers.theta,
            vega=numbers.vega,
            rho=numbers.rho,
            vendor_iv=rows.iv,
            vendor_delta=rows.delta,
            vendor_gamma=rows.gamma,
            vendor_theta=rows.theta,
            vendor_vega=rows.vega,
        )

    def _dividends(self, underlying: str, expiry: NDArray[np.datetime64], now_ns: int) -> DividendTable | None:
        return self.cash.table(underlying, now_ns, expiry.max().item()) if expiry.size else None

    def _numbers(self, occ: tuple[str, ...]) -> IntArray:
        numbers = self._board.options.numbers
        return np.fromiter((numbers[name] for name in occ), dtype=np.int64, count=len(occ))

    def _quotes(self, at: IntArray) -> tuple[FloatArray, FloatArray, IntArray, IntArray, IntArray]:
        table = self._board.options
        return (
            table.bid[at],
            table.ask[at],
            table.bid_size[at].astype(np.int64),
            table.ask_size[at].astype(np.int64),
            table.quote_ns[at],
        )

    def _years(self, occ: tuple[str, ...], expiry: NDArray[np.datetime64], now_ns: int) -> FloatArray:
        """Of each contract: an index has roots that settle in the morning beside others that settle at the close."""
        days, which = np.unique(expiry, return_inverse=True)
        roots = _roots(occ)
        names = roots[:1] if (roots == roots[:1]).all() else np.unique(roots)
        kinds = {root: terms_of(root.decode().rstrip()).settlement for root in names.tolist()}
        out = np.empty(len(occ))
        for settlement in set(kinds.values()):
            years = np.array(
                [years_to(now_ns, expiry_instant(self._calendar, day, settlement)) for day in days.tolist()]
            )
            mine = (
                np.isin(roots, [root for root, kind in kinds.items() if kind is settlement]) if len(kinds) > 1 else ...
            )
            out[mine] = years[which[mine]]
        return out

    def rates(self, years: FloatArray, now_ns: int) -> FloatArray:
        """Continuously compounded, for maturities in years: the curve's, or the fallback (`rate_mark` says so)."""
        return self._rates(years, now_ns).rate

    def _rates(self, years: FloatArray, now_ns: int) -> Rates:
        curve = self._curve
        yields, day = (None, None) if curve is None else (curve.yields, curve.day)
        return rates_for(yields, day, et_date(now_ns), years)

    def _volume_of(self, rows: OptionRows, on_board: IntArray, now_ns: int) -> tuple[IntArray, IntArray]:
        """(today's, the previous session's): the vendor's day bar stays until the contract trades again."""
        size = len(self._board.options)
        if size > self._volume_day.size:
            more = size + size // 2 - self._volume_day.size
            self._volume_day = np.append(self._volume_day, np.zeros(more, dtype=np.int64))
            self._volume_then = np.append(self._volume_then, np.full(more, -1, dtype=np.int64))
        today = (now_ns - _EASTERN_NS) // _DAY_NS
        days = np.where(rows.day_ns > 0, (rows.day_ns - _EASTERN_NS) // _DAY_NS, 0)
        yesterday = (self._session_before(now_ns) - date(1970, 1, 1)).days
        running = days == today
        held = self._volume_day[on_board] == yesterday
        previous = np.where(running & held, self._volume_then[on_board], -1)
        over = ~running & (days > 0)
        previous[over] = np.where(days[over] == yesterday, rows.day_volume[over], 0)
        self._volume_day[on_board[over]], self._volume_then[on_board[over]] = days[over], rows.day_volume[over]
        return np.where(running, rows.day_volume, 0), previous

    def _session_before(self, now_ns: int) -> date:
        return self._calendar.previous(et_date(now_ns))


def _root(underlying: str) -> str:
    """The option root of an underlying as the vendor names it: `I:SPX` is an index."""
    return underlying.removeprefix("I:")


def _roots(occ: tuple[str, ...]) -> NDArray[np.bytes_]:
    """The first six letters of each symbol; OCC symbols have 21."""
    return np.frombuffer("".join(occ).encode(), dtype="S21").astype("S6")


def _dte(expiry: NDArray[np.datetime64], now_ns: int) -> IntArray:
    return (expiry - np.datetime64(et_date(now_ns), "D")).astype(np.int64)
