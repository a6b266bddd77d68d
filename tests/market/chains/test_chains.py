"""Chains: our volatilities and Greeks from live quotes, every missing number with its reason."""

import time
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import from_et
from qmterm.core.errors import DataError
from qmterm.core.instruments import OptionContract, Right
from qmterm.market.board.board import Board
from qmterm.market.chains.chains import Chains
from qmterm.market.quality.codes import QuoteCode
from qmterm.market.records import OptionRows, YieldCurve
from qmterm.quant.options.american import price
from qmterm.quant.options.rates import FALLBACK_RATE
from qmterm.quant.options.solved import IvStatus

CALENDAR = SessionCalendar.load(date(2025, 1, 1), date(2027, 12, 31))
DAY = date(2026, 3, 2)
NOW = from_et(DAY, 10, 0)
SPOT, VOL = 230.0, 0.32


def rows(strikes, expiries, vol=VOL, half=0.02, now=NOW, rate=FALLBACK_RATE, **changes):
    """A chain quoted around the model's value."""
    from decimal import Decimal

    options = [
        OptionContract("AAPL", expiry, right, Decimal(str(strike)))
        for expiry in expiries
        for strike in strikes
        for right in (Right.CALL, Right.PUT)
    ]
    count = len(options)
    strike = np.array([float(option.strike) for option in options])
    is_call = np.array([option.right is Right.CALL for option in options], dtype=bool)
    years = np.array([CALENDAR.years_to(now, CALENDAR.expiry_ns(option.expiry)) for option in options])
    value = price(SPOT, strike, years, rate, 0.0, vol, is_call)
    ones = np.ones(count)
    unknown = np.full(count, np.nan)
    made = {
        "underlying": "AAPL",
        "occ": tuple(option.occ for option in options),
        "expiry": np.array([option.expiry for option in options], dtype="datetime64[D]"),
        "strike": strike,
        "is_call": is_call,
        "multiplier": np.full(count, 100),
        "adjusted": np.zeros(count, dtype=bool),
        "bid": value - half,
        "ask": value + half,
        "bid_size": np.full(count, 5),
        "ask_size": np.full(count, 7),
        "quote_ns": np.full(count, now - 10**9),
        "last": unknown,
        "trade_ns": np.zeros(count, np.int64),
        "day_volume": np.full(count, 40),
        "day_ns": np.full(count, now - 10**9),
        "open_interest": np.full(count, 900),
        "iv": ones * 0.3,
        "delta": ones * 0.5,
        "gamma": unknown,
        "theta": unknown,
        "vega": unknown,
        "spot": SPOT,
        "spot_ns": now - 2 * 10**9,
        "delayed": False,
        "malformed": 0,
    }
    return OptionRows(**{**made, **changes})


class FakeRest:
    def __init__(self, answer):
        self.answer = answer

    async def option_rows(self, underlying, expiry_from, expiry_to, strike_from=None, strike_to=None):
        return self.answer


EXPIRIES = (date(2026, 4, 2), date(2026, 4, 17))
STRIKES = (200, 215, 225, 230, 235, 245, 260)


async def read(answer, board=None, now=NOW):
    chains = Chains(FakeRest(answer), board if board is not None else Board(), CALENDAR)
    return chains, await chains.read("AAPL", now, DAY, DAY + timedelta(days=60))


async def test_our_volatility_is_the_one_that_made_the_prices():
    _, chain = await read(rows(STRIKES, EXPIRIES))
    assert chain.iv == pytest.approx(np.full(len(chain), VOL), abs=1e-6)
    assert (chain.iv_status == IvStatus.OK).all()
    calls, puts = chain.delta[chain.is_call], chain.delta[~chain.is_call]
    # A share bought through both rights, and more where the put would rather be exercised today.
    assert (calls - puts >= 1 - 1e-6).all()
    assert calls - puts == pytest.approx(np.ones(len(calls)), abs=0.02)
    assert (chain.theta < 0).all()
    assert (chain.gamma > 0).all()
    assert chain.dte.tolist()[0] == 31
    assert chain.rate.tolist() == [FALLBACK_RATE] * len(chain)
    assert chain.vendor_iv[0] == 0.3
    assert chain.open_interest[0] == 900


async def test_the_treasury_curve_gives_each_expiry_its_rate_until_it_is_too_old():
    chains = Chains(FakeRest(rows(STRIKES, EXPIRIES)), Board(), CALENDAR)
    assert chains.rate_mark(NOW) == "fallback 4.00%: no Treasury curve"
    chains.set_yields(YieldCurve(date(2026, 2, 27), {"yield_1_month": 4.31, "yield_3_month": 4.25}))
    chain = await chains.read("AAPL", NOW, DAY, DAY)
    assert chain.rate[0] == pytest.approx(2 * np.log1p(0.0431 / 2), abs=2e-4)
    assert chain.rate[0] > chain.rate[-1]
    assert chains.rate_mark(NOW) == ""
    chains.set_yields(YieldCurve(date(2026, 2, 20), {"yield_1_month": 4.31}))
    assert chains.rate_mark(NOW) == "fallback 4.00%: the Treasury curve of 2026-02-20 is 10 days old"


async def test_quotes_that_mean_no_price_have_their_reason_and_neighbours_greeks():
    answer = rows(STRIKES, EXPIRIES[:1])
    bid, ask = answer.bid.copy(), answer.ask.copy()
    bid[0] = 0.0  # nobody bids
    bid[2], ask[2] = ask[2], bid[2]  # crossed
    bid[4], ask[4] = 1.0, 30.0  # too wide to mean a price
    ask[6] = bid[6] = 0.01  # below what it is worth if exercised
    _, chain = await read(replace(answer, bid=bid, ask=ask))
    bad = {0: "NO_QUOTE", 2: "CROSSED", 4: "WIDE_SPREAD"}
    assert {n: IvStatus(int(chain.iv_status[n])).name for n in bad} == bad
    assert np.isnan(chain.iv[[0, 2, 4]]).all()
    _, whole = await read(answer)
    assert chain.delta[[0, 2, 4]] == pytest.approx(whole.delta[[0, 2, 4]], abs=1e-6)  # flat smile: same Greeks


async def test_a_price_that_the_gate_calls_wrong_makes_no_volatility_and_bends_no_greeks():
    answer = rows(STRIKES, EXPIRIES[:1])
    _, whole = await read(answer)
    bid, ask = answer.bid.copy(), answer.ask.copy()
    at = 2 * STRIKES.index(230)  # its call
    bid[at], ask[at] = bid[at] + 20, ask[at] + 20
    _, chain = await read(replace(answer, bid=bid, ask=ask))
    assert np.flatnonzero(chain.quote_code).tolist() == [at]
    assert chain.quote_code[at] == QuoteCode.OFF_NEIGHBOURS
    assert np.flatnonzero(np.isnan(chain.iv)).tolist() == [at]
    assert chain.delta == pytest.approx(whole.delta, abs=1e-6)  # its own from its neighbours' volatility


async def test_a_price_below_intrinsic_is_said():
    answer = rows((200,), EXPIRIES[:1])
    _, chain = await read(replace(answer, bid=np.array([20.0, 0.5]), ask=np.array([20.1, 0.6])))
    assert IvStatus(int(chain.iv_status[0])) is IvStatus.BELOW_INTRINSIC


async def test_a_volatility_that_moves_no_tick_is_marked_and_kept():
    answer = rows((400,), EXPIRIES[:1], vol=0.9, half=0.0)
    sides = replace(answer, bid=np.array([0.0001, answer.bid[1]]), ask=np.array([0.0002, answer.ask[1]]))
    _, chain = await read(sides)
    assert IvStatus(int(chain.iv_status[0])) is IvStatus.LOW_VEGA
    assert chain.iv[0] > 0


async def test_live_quotes_and_spot_win_when_they_are_newer():
    board = Board(["AAPL"])
    answer = rows(STRIKES, EXPIRIES)
    chains, chain = await read(answer, board)
    assert chain.spot == SPOT
    table = board.options
    row = table.numbers[chain.occ[0]]
    table.bid[row], table.ask[row], table.quote_ns[row] = 33.0, 33.1, NOW + 10**9
    stocks = board.stocks
    stocks.bid[0], stocks.ask[0], stocks.quote_ns[0] = 231.9, 232.1, NOW + 10**9
    later = chains.requote(chain, NOW + 2 * 10**9)
    assert (later.bid[0], later.spot, later.time_ns) == (33.0, 232.0, NOW + 2 * 10**9)
    assert later.delta[2] > chain.delta[2]
    again = await chains.read("AAPL", NOW + 2 * 10**9, DAY, DAY)
    assert again.bid[0] == 33.0
    stocks.last[0], stocks.trade_ns[0] = 240.0, NOW + 2 * 10**9
    assert chains.spot("AAPL") == 240.0
    assert chains.spot("NEVER") is None


async def test_a_chain_without_any_price_of_the_underlying_is_an_error():
    with pytest.raises(DataError, match="no price of the underlying"):
        await read(rows(STRIKES, EXPIRIES, spot=None))


async def test_yesterdays_day_bar_is_the_previous_volume_and_todays_is_not():
    before = from_et(date(2026, 2, 27), 15, 59)
    answer = rows((230,), EXPIRIES[:1])
    fresh = replace(answer, day_ns=np.array([before, NOW]), day_volume=np.array([70, 12]))
    chains, chain = await read(fresh)
    assert (chain.volume.tolist(), chain.previous_volume.tolist()) == ([0, 12], [70, -1])
    chains._rest.answer = replace(answer, day_ns=np.array([NOW, NOW]), day_volume=np.array([3, 13]))
    chain = await chains.read("AAPL", NOW, DAY, DAY)
    assert (chain.volume.tolist(), chain.previous_volume.tolist()) == ([3, 13], [70, -1])
    old = replace(answer, day_ns=np.array([before - 30 * 86_400 * 10**9, 0]))
    _, chain = await read(old)
    assert (chain.volume.tolist(), chain.previous_volume.tolist()) == ([0, 0], [0, -1])


async def test_the_last_minute_has_no_greeks_and_says_why():
    expiry = date(2026, 3, 2)
    late = CALENDAR.close_ns(expiry) - 30 * 10**9
    _, chain = await read(rows((230,), (expiry,), now=late), now=late)
    assert IvStatus(int(chain.iv_status[0])) is IvStatus.EXPIRING
    assert np.isnan(chain.delta).all()


async def test_an_empty_chain_is_empty():
    _, chain = await read(rows((), ()))
    assert len(chain) == 0


async def test_a_thousand_contracts_are_priced_again_within_a_frame():
    strikes = [150 + 0.5 * n for n in range(250)]
    chains, chain = await read(rows(strikes, EXPIRIES, half=0.01))
    assert len(chain) == 1_000
    best = 1.0
    for second in range(1, 8):
        began = time.perf_counter()
        later = chains.requote(chain, NOW + second * 10**9)
        best = min(best, time.perf_counter() - began)
    assert later.time_ns == NOW + 7 * 10**9
    assert best < 0.015  # 2-3 ms measured; the ceiling allows for a busy machine
