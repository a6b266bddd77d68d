"""The columns of the ATR Matrix: what goes in, what comes out, and the names behind its state and gate codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.reasons import Reason
from qmterm.core.signals import Signal, SignalState

STRATEGY = "atr_matrix"

STATES = (
    SignalState.NO_DATA,
    SignalState.HOLD,
    SignalState.SCALE_OUT,
    SignalState.OVEREXTENDED,
    SignalState.EXIT,
    SignalState.ENTRY_LONG,
    SignalState.ENTRY_SHORT,
)
STATE_CODE = {state: code for code, state in enumerate(STATES)}

# One bit a gate, in the order they are shown. The first five are the hard gates behind the strength.
GATES = (
    Reason.TOO_FEW_BARS,
    Reason.STALE_BARS,
    Reason.OUT_OF_ZONE,
    Reason.BELOW_SMA20,
    Reason.LOW_ATR_PCT,
    Reason.LOW_PRICE,
    Reason.LOW_DOLLAR_VOLUME,
    Reason.NO_OPTIONS,
    Reason.NOT_ALIGNED,
    Reason.LOW_STRENGTH,
    Reason.LOW_CONFIDENCE,
    Reason.LOW_RR,
    Reason.LOW_RVOL,
    Reason.NO_ATR,
    Reason.NO_DATA,
    Reason.ABOVE_SMA20,
)
GATE_BIT = {gate: 1 << position for position, gate in enumerate(GATES)}


@dataclass(frozen=True, slots=True)
class AtrMatrixInputs:
    """Columns over symbols; dollars per share. NaN where a number is unknown.

    `close` is the last completed close, or the last trade of a running session while everything else stays frozen
    at the previous session. A column that is None was not available at all: its gate is reported as not checked.
    """

    close: FloatArray
    ema10: FloatArray
    sma20: FloatArray
    sma50: FloatArray
    sma100: FloatArray
    sma200: FloatArray
    atr14: FloatArray
    high20: FloatArray
    low20: FloatArray
    bars: IntArray
    stale: IntArray
    mtf: FloatArray | None = None  # −1..1; NaN when unusable (counts as 0)
    dollar_volume: FloatArray | None = None  # mean(close × volume, 20), dollars
    rvol: FloatArray | None = None  # last completed volume over its 20-day mean
    options_listed: NDArray[np.int8] | None = None  # 1 yes, 0 no, −1 not known


@dataclass(frozen=True, slots=True)
class AtrMatrixResult:
    """Columns over symbols. `failed` and `not_checked` are bit masks over GATES, `state` indexes STATES."""

    close: FloatArray
    sma50: FloatArray
    atr14: FloatArray
    atr_distance: FloatArray
    atr_pct_multiple: FloatArray
    atr_percent: FloatArray
    price_position_20d: FloatArray
    ma_pairs_aligned: IntArray
    ma_aligned: BoolArray
    hard_gates: BoolArray
    strength: FloatArray
    confidence: FloatArray
    stop: FloatArray
    target1: FloatArray
    target2: FloatArray
    target3: FloatArray
    risk_reward: FloatArray
    horizon_days: IntArray
    mtf: FloatArray  # 0 where it is not usable
    weak_mtf: BoolArray  # a usable score below `mtf_min`: a warning beside the signal, not a gate
    state: NDArray[np.int8]
    failed: NDArray[np.int32]
    not_checked: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.close)


def gate_names(mask: int) -> tuple[str, ...]:
    """The gates of a bit mask by name, in the order of GATES."""
    return tuple(gate.value for position, gate in enumerate(GATES) if mask >> position & 1)


def to_signal(result: AtrMatrixResult, row: int, symbol: str, time_ns: int, hv20: float | None = None) -> Signal:
    """One row as the Signal the rest of the program carries. A row without data has no signal: ValueError."""
    state = STATES[int(result.state[row])]
    if state is SignalState.NO_DATA:
        raise ValueError(f"{symbol} has no ATR distance, so there is nothing to signal")
    return Signal(
        symbol=symbol,
        strategy=STRATEGY,
        time_ns=time_ns,
        state=state,
        close=float(result.close[row]),
        atr=float(result.atr14[row]),
        sma50=float(result.sma50[row]),
        atr_distance=float(result.atr_distance[row]),
        strength=float(result.strength[row]),
        confidence=float(result.confidence[row]),
        stop=float(result.stop[row]),
        targets=(float(result.target1[row]), float(result.target2[row]), float(result.target3[row])),
        risk_reward=float(result.risk_reward[row]),
        horizon_days=int(result.horizon_days[row]),
        hv20=hv20,
        failed=gate_names(int(result.failed[row])),
        not_checked=gate_names(int(result.not_checked[row])),
    )
