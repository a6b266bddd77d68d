"""The columns of a clean chain, quoted on the tick grid around the model's value, that tests spoil one quote of."""

from dataclasses import dataclass, replace

import numpy as np

from qmterm.core.clock import NS
from qmterm.market.quality.gate import Circumstances, chain_codes
from qmterm.quant.options import american

NOW = 1_772_460_000 * NS


@dataclass(frozen=True)
class Columns:
    spot: float
    years: np.ndarray
    strike: np.ndarray
    is_call: np.ndarray
    adjusted: np.ndarray
    rate: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    quote_ns: np.ndarray
    spot_ns: int = NOW - NS

    def __len__(self):
        return len(self.strike)

    def codes(self, now_ns=NOW, **around):
        return chain_codes(
            now_ns,
            self.spot,
            self.spot_ns,
            self.years,
            self.strike,
            self.is_call,
            self.adjusted,
            self.rate,
            self.bid,
            self.ask,
            self.quote_ns,
            Circumstances(**around),
        )

    def quoted(self, row, bid, ask):
        """The same chain with one other quote."""
        bids, asks = self.bid.copy(), self.ask.copy()
        bids[row], asks[row] = bid, ask
        return replace(self, bid=bids, ask=asks)


def clean(
    spot=100.0,
    vol=0.35,
    rate=0.043,
    dividend_yield=0.0,
    expiries=(0.05, 0.12, 0.5),
    strikes=None,
    half=0.01,
    smile=0.3,
    tick=0.01,
):
    """Calls and puts at every strike: bid on the grid below the value, ask above it; all one second old."""
    levels = np.asarray(strikes if strikes is not None else spot * np.arange(0.9, 1.101, 0.02))
    years, strike, is_call = (
        column.ravel() for column in np.meshgrid(np.asarray(expiries), levels, [True, False], indexing="ij")
    )
    is_call = is_call.astype(bool)
    moneyness = np.log(strike / spot)
    value = american.price(
        spot, strike, years, rate, dividend_yield, vol * (1 + smile * moneyness**2 - 0.1 * moneyness), is_call
    )
    around = np.maximum(half, half * value)
    bid = np.floor((value - around) / tick) * tick
    ask = np.ceil((value + around) / tick) * tick
    count = strike.size
    return Columns(
        spot,
        years,
        strike,
        is_call,
        np.zeros(count, dtype=bool),
        np.full(count, rate),
        np.maximum(bid, 0.0),
        ask,
        np.full(count, NOW - NS),
    )
