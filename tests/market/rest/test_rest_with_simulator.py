"""Every REST call of ours against the simulator, and: nothing is fetched twice while it is fresh."""

import asyncio
from contextlib import asynccontextmanager
from datetime import date, timedelta

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, et_date, from_et
from qmterm.core.errors import DataError, NotEntitled
from qmterm.core.settings.analysis import AnalysisSettings
from qmterm.market.analysis.cache import AnalysisCache, Kind
from qmterm.market.board.board import Board
from qmterm.market.chains.chains import Chains
from qmterm.market.clock import StepClock
from qmterm.market.rest.client import PolygonRest
from qmterm.market.rest.entitlements import Family
from qmterm.quant.indicators import series
from qmterm.sim.options import SimOptions
from qmterm.sim.spawn import spawn
from tests.market.fakes import settings

CALENDAR = SessionCalendar.load(date(2024, 1, 1), date(2029, 12, 31))
DAY = date(2026, 3, 2)


@asynccontextmanager
async def connected(**options):
    sim = await spawn(SimOptions(seed=7, symbols=60, lockstep=True, **options))
    rest = PolygonRest(settings(sim.url, sim.ws_url, read_timeout_s=60.0, deadline_s=60.0), sim.token)
    try:
        yield rest, StepClock(sim.now_ns)
    finally:
        rest.close()
        await sim.close()


async def test_every_call_answers_in_our_own_words():
    async with connected() as (rest, _):
        friday = from_et(date(2026, 2, 27), 15, 0)

        one = await rest.snapshot("AAPL")
        whole = await rest.whole_market_snapshot()
        assert one.last[0] == whole.last[whole.symbols.index("AAPL")]
        gainers, losers = await rest.movers("gainers"), await rest.movers("losers")
        assert len(gainers) == len(losers) == 20
        with pytest.raises(DataError, match="not found"):
            await rest.snapshot("NOPE")

        mixed = {row.symbol: row for row in await rest.universal_snapshot(["AAPL", "O:AAPL260417C00260000", "NOPE"])}
        assert mixed["AAPL"].price == one.last[0]
        assert mixed["AAPL"].bid < mixed["AAPL"].ask
        assert mixed["O:AAPL260417C00260000"].iv > 0
        assert "not found" in mixed["NOPE"].error.lower()

        for span, most in (("minute", 1_400), ("hour", 24), ("day", 30), ("week", 8), ("month", 3), ("quarter", 2)):
            days = 3 if span in ("minute", "hour") else 40
            bars = await rest.aggs("AAPL", 1, span, DAY - timedelta(days=days), DAY)
            assert 0 < len(bars) <= most, span
            assert (np.diff(bars.start_ns) > 0).all()
        before = await rest.previous_close("AAPL")
        assert before.close[0] == whole.prev_close[whole.symbols.index("AAPL")]
        day = await rest.open_close("AAPL", et_date(int(before.start_ns[0])))
        assert day.close == before.close[0]

        trade, quote = await rest.last_trade("AAPL"), await rest.last_quote("AAPL")
        assert quote.bid - 1 < trade.price < quote.ask + 1
        assert quote.bid_size % 100 == 0
        with pytest.raises(DataError, match="none for options"):
            await rest.last_quote("O:AAPL260417C00260000")

        ticks = await rest.trade_ticks("AAPL", friday, friday + 300 * NS)
        assert len(ticks) >= 16
        assert ticks.complete
        assert any(37 in conditions for conditions in ticks.conditions)
        some = await rest.trade_ticks("AAPL", friday, friday + 3_000 * NS, most=10)
        assert (len(some), some.complete) == (10, False)
        quotes = await rest.quote_ticks("AAPL", friday, friday + 300 * NS)
        assert (quotes.bid < quotes.ask).all()

        tickers = await rest.tickers()
        assert len(tickers) == 60
        assert set(tickers.type) == {"CS", "ETF"}
        assert all(tickers.active)
        assert len(await rest.delisted_since(DAY)) == 0
        company = await rest.company("AAPL")
        assert (company.symbol, company.type, company.list_date) == ("AAPL", "CS", date(2004, 8, 19))
        assert company.market_cap > 0
        assert company.shares > 0
        assert company.sector == "TECHNOLOGY"
        assert [change.symbol for change in await rest.ticker_changes("META")] == ["META"]
        assert "NVDA" in await rest.related("AAPL")
        filings = await rest.financials("AAPL", limit=3)
        assert filings[0].filed <= DAY
        assert filings[0].value("income_statement", "revenues") > 0
        assert filings[0].value("income_statement", "nothing") is None
        assert (await rest.short_interest("AAPL"))[0].settled < DAY

        listed = await rest.option_contracts("AAPL")
        chain = await rest.option_rows("AAPL", DAY, DAY + timedelta(days=1_200))
        assert {contract.occ for contract in listed} == set(chain.occ)
        single = await rest.option_row("AAPL", chain.occ[100])
        assert (single.occ[0], single.bid[0], single.iv[0]) == (chain.occ[100], chain.bid[100], chain.iv[100])
        assert (await rest.option_contract(chain.occ[100])).underlying == "AAPL"

        holidays = await rest.market_holidays()
        assert {holiday.status for holiday in holidays} >= {"closed"}
        assert all(holiday.day >= DAY for holiday in holidays)
        window = await rest.market_dividends(DAY - timedelta(days=60), DAY + timedelta(days=30))
        assert len({dividend.symbol for dividend in window}) > 3
        assert all(DAY - timedelta(days=60) <= dividend.ex_date <= DAY + timedelta(days=30) for dividend in window)
        conditions = {condition.number: condition for condition in await rest.conditions("stocks")}
        assert (conditions[37].updates_high_low, conditions[37].updates_volume) == (False, True)
        assert len(await rest.conditions("options")) > 5
        assert {exchange.kind for exchange in await rest.exchanges()} == {"exchange"}

        closes = (await rest.aggs("AAPL", 1, "day", DAY - timedelta(days=300), DAY)).close
        vendor = await rest.indicator("sma", "AAPL", window=20, limit=5)
        assert vendor.value[-1] == pytest.approx(series.sma(closes, 20)[-1])
        macd = await rest.indicator("macd", "AAPL", limit=3)
        assert macd.histogram == pytest.approx(macd.value - macd.signal)
        for kind in ("ema", "rsi"):
            assert np.isfinite((await rest.indicator(kind, "AAPL")).value).all()


async def test_nothing_is_fetched_twice_while_fresh_and_dividends_price_the_chain():
    async with connected(start="2026-03-02T09:31") as (rest, clock):  # before the open quotes are yesterday's
        coming = await rest.market_dividends(DAY - timedelta(days=90), DAY)
        payer = max(
            (
                dividend
                for dividend in coming
                if dividend.symbol in ("AAPL", "MSFT", "SPY", "QQQ", "TXN", "QCOM", "IBM")
            ),
            key=lambda dividend: dividend.amount,
        ).symbol
        board = Board((payer,))
        cache = AnalysisCache(rest, clock, AnalysisSettings(), patient=True)
        chains = Chains(rest, board, CALENDAR, cache=cache)
        curve = await rest.treasury_yields(DAY - timedelta(days=30))
        chains.set_yields(curve)
        window = (payer, clock.now(), DAY, DAY + timedelta(days=130))
        await chains.read(*window)
        spent = rest.budget.spent
        chain, _, _ = await asyncio.gather(chains.read(*window), chains.read(*window), cache.dividends(payer))
        assert rest.budget.spent == spent
        assert cache.counts[Kind.CHAIN].asked == cache.counts[Kind.DIVIDENDS].asked == 1
        together = [cache.company(payer), cache.company(payer), cache.news(payer), cache.financials(payer)]
        await asyncio.gather(*together)
        assert rest.budget.spent == spent + 3
        clock.set(clock.now() + 11 * NS)
        await chains.read(payer, clock.now(), *window[2:])
        assert cache.counts[Kind.CHAIN].asked == 2
        assert cache.counts[Kind.DIVIDENDS].asked == 1

        expected = chains.cash.expected(payer, DAY, DAY + timedelta(days=130))
        assert len(expected) >= 1
        plain = Chains(rest, board, CALENDAR)
        plain.set_yields(curve)
        without = await plain.read(payer, clock.now(), *window[2:])
        known = np.isfinite(chain.iv) & np.isfinite(without.iv) & (np.abs(chain.vendor_delta) > 0.3)
        # Where an exercise before the ex-date is worth nothing: the simulator knows none for the dividend's sake.
        known &= (np.abs(chain.vendor_delta) < 0.7) & (chain.dte > 60) & (chain.dte < 100) & chain.is_call
        assert known.sum() > 10
        away = np.median(np.abs(chain.iv - chain.vendor_iv)[known])
        assert away < 0.006
        assert np.median(np.abs(without.iv - chain.vendor_iv)[known]) > 2 * away
        await cache.close()


async def test_what_a_starter_plan_lacks_is_asked_once():
    async with connected(plan="starter") as (rest, _):
        for _ in range(3):
            with pytest.raises(NotEntitled):
                await rest.last_quote("AAPL")
            with pytest.raises(NotEntitled):
                await rest.trade_ticks("AAPL", 0, 1)
            with pytest.raises(NotEntitled):
                await rest.earnings(["AAPL"], DAY, DAY)
        assert rest.budget.spent == 3
        assert set(rest.entitlements.refused) == {Family.QUOTES, Family.TRADES, Family.EARNINGS}
        assert len(await rest.whole_market_snapshot()) == 60
        assert rest.delayed
