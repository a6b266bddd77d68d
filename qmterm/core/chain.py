"""One underlying's option chain as columns: what the chain pane shows and option choice reads."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Chain:
    """All columns have one entry a contract, sorted by expiry, strike, call before put.

    Unknown numbers are NaN inside arrays and carry a code in `iv_status` (index into quant.implied_vol.STATUS);
    they become None at the edge (view, JSON). `quote_code` and `spot_code` are the quality gate's word on bid, ask and
    mid, and on the spot (market.quality.codes.CODES; 0 = may be traded on). Prices in dollars per share; iv decimal;
    Greeks in the units of QUANT.md 3.3 (theta per calendar day, vega per volatility point, rho per 1 %).
    """

    underlying: str
    spot: float
    spot_ns: int  # when the spot was made, 0 when that is not known
    spot_code: int
    time_ns: int  # market time the chain was read
    occ: tuple[str, ...]
    expiry: NDArray[np.datetime64]  # datetime64[D]
    years: FloatArray  # year fraction to the expiry instant
    dte: IntArray  # calendar days
    strike: FloatArray
    is_call: BoolArray
    multiplier: IntArray
    adjusted: BoolArray
    bid: FloatArray
    ask: FloatArray
    bid_size: IntArray
    ask_size: IntArray
    quote_ns: IntArray  # exchange time of the quote, 0 when there is none
    quote_code: NDArray[np.int8]  # as of `time_ns`
    volume: IntArray  # today's contracts
    previous_volume: IntArray  # previous session's, −1 when unknown
    open_interest: IntArray  # end of the previous session, −1 when unknown
    rate: FloatArray  # continuously compounded, per contract
    dividend_yield: FloatArray
    iv: FloatArray
    iv_status: NDArray[np.int8]
    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    vega: FloatArray
    rho: FloatArray
    vendor_iv: FloatArray
    vendor_delta: FloatArray
    vendor_gamma: FloatArray
    vendor_theta: FloatArray
    vendor_vega: FloatArray

    def __len__(self) -> int:
        return len(self.occ)

    def take(self, rows: IntArray) -> Chain:
        """The chain of some of the contracts, in the given order."""
        columns: dict[str, Any] = {"occ": tuple(self.occ[row] for row in rows.tolist())}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                columns[field.name] = value[rows]
        return replace(self, **columns)
