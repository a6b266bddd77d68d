"""25-delta risk reversal and butterfly of each expiry (QUANT.md 3.6).

The trap: the 25-delta option usually lies between two listed strikes. Its volatility is interpolated in |delta| over
the out-of-the-money strikes, and where those do not reach around 25 there is no number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.arrays import flatten
from qmterm.quant.surface.curves import Curves
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.status import StatusArray, SurfaceStatus

DELTA = 0.25


class Skew(NamedTuple):
    """One entry an expiry. `status` is that of the risk reversal; the butterfly also needs the at-the-money vol."""

    rr25: FloatArray  # IV(25Δ call) − IV(25Δ put)
    bf25: FloatArray  # mean of both − ATM
    call25: FloatArray
    put25: FloatArray
    status: StatusArray


def risk_reversal(call25: ArrayLike, put25: ArrayLike) -> FloatArray:
    """IV(25Δ call) − IV(25Δ put), in decimals: negative where downside protection costs more."""
    shape, (call, put) = flatten(call25=call25, put25=put25)
    return np.asarray(call - put).reshape(shape)


def butterfly(atm: ArrayLike, call25: ArrayLike, put25: ArrayLike) -> FloatArray:
    """Mean of both wings less the at-the-money volatility, in decimals."""
    shape, (middle, call, put) = flatten(atm=atm, call25=call25, put25=put25)
    return np.asarray((call + put) / 2 - middle).reshape(shape)


def skew(
    ladder: Ladder, iv: ArrayLike, delta: ArrayLike, forward: ArrayLike, atm: ArrayLike, at_delta: float = DELTA
) -> Skew:
    """Risk reversal and butterfly; `iv` and `delta` (signed) one a contract, `forward` and `atm` one an expiry.

    Unknown deltas or volatilities leave their strike out.
    """
    vols, deltas = ladder.vol_column("iv", iv), np.abs(ladder.column("delta", delta))
    forwards = ladder.expiry_column("forward", forward)
    level = forwards[ladder.expiry]
    call25, call_status = _at_delta(ladder, ladder.calls(vols), ladder.calls(deltas), ladder.strike > level, at_delta)
    put25, put_status = _at_delta(ladder, ladder.puts(vols), ladder.puts(deltas), ladder.strike < level, at_delta)
    status = np.where(call_status != SurfaceStatus.OK, call_status, put_status).astype(np.int8)
    status[~np.isfinite(forwards)] = SurfaceStatus.BAD_INPUT
    return Skew(
        rr25=risk_reversal(call25, put25),
        bf25=butterfly(ladder.expiry_column("atm", atm), call25, put25),
        call25=call25,
        put25=put25,
        status=status,
    )


def _at_delta(
    ladder: Ladder, vols: FloatArray, deltas: FloatArray, outside: BoolArray, at_delta: float
) -> tuple[FloatArray, StatusArray]:
    """The volatility at |delta| of one side of every expiry, and whether there is one."""
    rows = np.flatnonzero(outside)
    curves = Curves.through(ladder.expiries, ladder.expiry[rows], deltas[rows], vols[rows])
    value, inside = curves.at(np.arange(ladder.expiries), np.full(ladder.expiries, at_delta))
    status = np.select(
        [curves.sizes == 0, ~inside], [SurfaceStatus.NO_QUOTE, SurfaceStatus.NOT_BRACKETED], SurfaceStatus.OK
    ).astype(np.int8)
    return np.where(inside, value, np.nan), status
