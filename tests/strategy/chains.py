"""A small chain and a signal that tests bend one number at a time."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from qmterm.core.chain import Chain
from qmterm.core.clock import NS, et_date, from_et
from qmterm.core.signals import Signal, SignalState
from qmterm.market.quality.gate import Circumstances, chain_codes
from qmterm.quant.options import black_scholes

NOW = from_et(date(2026, 3, 2), 11, 0)
SPOT = 103.0
IV = 0.42


def signal(**changes):
    base = Signal(
        symbol="AAPL",
        strategy="atr_matrix",
        time_ns=NOW,
        state=SignalState.ENTRY_LONG,
        close=103.0,
        atr=3.2,
        sma50=100.0,
        atr_distance=0.9375,
        strength=1.0,
        confidence=0.86,
        stop=98.2,
        targets=(122.4, 132.0, 138.4),
        risk_reward=4.04,
        horizon_days=18,
        hv20=0.40,
    )
    return replace(base, **changes)


def chain(dtes=(11, 25, 32, 39, 60), strikes=(95.0, 100.0, 105.0, 110.0), now_ns=NOW, **columns):
    """Calls and puts at every strike and expiry, fair at IV 42 %, spread 4 %, liquid; columns may be replaced."""
    today = et_date(now_ns)
    rows = [(dte, strike, call) for dte in dtes for strike in strikes for call in (True, False)]
    dte = np.array([row[0] for row in rows], dtype=np.int64)
    strike = np.array([row[1] for row in rows])
    is_call = np.array([row[2] for row in rows])
    expiry = [today + timedelta(days=int(days)) for days in dte]
    years = (dte + 5 / 24) / 365.0
    count = len(rows)
    rate, dividend_yield, iv = np.full(count, 0.043), np.zeros(count), np.full(count, IV)
    value = black_scholes.price(SPOT, strike, years, rate, dividend_yield, iv, is_call)
    greeks = black_scholes.greeks(SPOT, strike, years, rate, dividend_yield, iv, is_call)
    unknown = np.full(count, np.nan)
    base = Chain(
        underlying="AAPL",
        spot=SPOT,
        spot_ns=now_ns - NS,
        spot_code=0,
        time_ns=now_ns,
        occ=tuple(
            f"AAPL  {day:%y%m%d}{'C' if call else 'P'}{int(level * 1000):08d}"
            for day, level, call in zip(expiry, strike.tolist(), is_call.tolist(), strict=True)
        ),
        expiry=np.array(expiry, dtype="datetime64[D]"),
        years=years,
        dte=dte,
        strike=strike,
        is_call=is_call,
        multiplier=np.full(count, 100, dtype=np.int64),
        adjusted=np.zeros(count, dtype=np.bool_),
        bid=value * 0.98,
        ask=value * 1.02,
        bid_size=np.full(count, 40, dtype=np.int64),
        ask_size=np.full(count, 60, dtype=np.int64),
        quote_ns=np.full(count, now_ns - 2 * NS, dtype=np.int64),
        quote_code=np.zeros(count, dtype=np.int8),
        volume=np.full(count, 400, dtype=np.int64),
        previous_volume=np.full(count, 300, dtype=np.int64),
        open_interest=np.full(count, 2000, dtype=np.int64),
        rate=rate,
        dividend_yield=dividend_yield,
        iv=iv,
        iv_status=np.zeros(count, dtype=np.int8),
        delta=greeks.delta,
        gamma=greeks.gamma,
        theta=greeks.theta,
        vega=greeks.vega,
        rho=greeks.rho,
        vendor_iv=unknown,
        vendor_delta=unknown,
        vendor_gamma=unknown,
        vendor_theta=unknown,
        vendor_vega=unknown,
    )
    return judged(replace(base, **columns))


def judged(made, now_ns=None, **around):
    """The chain with the gate's word on it, as market.chains gives it."""
    codes = chain_codes(
        made.time_ns if now_ns is None else now_ns,
        made.spot,
        made.spot_ns,
        made.years,
        made.strike,
        made.is_call,
        made.adjusted,
        made.rate,
        made.bid,
        made.ask,
        made.quote_ns,
        Circumstances(**around),
    )
    return replace(made, quote_code=codes)
