"""The ATR Matrix (QUANT.md 1.2-1.3) over all symbols at once: distances, gates, scores, state.

Trap: ≥ and ≤ also hold within 1e-9 short of the limit, > and < must exceed it by more than 1e-9; so never compare
two prices here except through `_at_least` and `_above`. A comparison with an unknown (NaN) number is never true.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import AtrMatrixSettings, ScannerSettings
from qmterm.core.signals import SignalState
from qmterm.strategy.matrix_columns import (
    GATE_BIT,
    STATE_CODE,
    STRATEGY,
    AtrMatrixInputs,
    AtrMatrixResult,
    gate_names,
    to_signal,
)

__all__ = [
    "STRATEGY",
    "AtrMatrixInputs",
    "AtrMatrixResult",
    "evaluate",
    "gate_names",
    "level_price",
    "thresholds",
    "to_signal",
]

EDGE = 1e-9
TARGET_LEVELS = (7.0, 10.0, 12.0)
STOP_ATR = 1.5
STOP_FLOOR = 0.10  # the stop is never further than this share of the price away
STRENGTH_ATR_PCT = 3.0
SCALE_OUT_FROM = 7.0


def thresholds(settings: AtrMatrixSettings) -> AtrMatrixSettings:
    """The settings with their profile applied: what the gates really use."""
    if settings.profile == "strict":
        return settings.model_copy(update={"min_strength": 1.0})
    if settings.profile == "original":
        changes = {"min_strength": 0.60, "require_ma_alignment": False, "atr_pct_floor": 0.0}
        return settings.model_copy(update=changes)
    return settings


def level_price(
    sma50: FloatArray | float, atr14: FloatArray | float, level: float, distance_mode: str = "abs"
) -> FloatArray:
    """Price at which the distance equals `level`; NaN where no price has it (pct mode, far below the SMA50)."""
    base, width = np.asarray(sma50, dtype=np.float64), np.asarray(atr14, dtype=np.float64)
    if distance_mode == "abs":
        return np.asarray(base + level * width)
    under_root = base * base + 4.0 * level * base * width
    with np.errstate(invalid="ignore"):
        return np.asarray((base + np.sqrt(under_root)) / 2.0)


def evaluate(
    inputs: AtrMatrixInputs, settings: AtrMatrixSettings, scanner: ScannerSettings | None = None
) -> AtrMatrixResult:
    """All columns of the ATR Matrix. `scanner` None leaves the universe gates (price, volume, options) out."""
    limits = thresholds(settings)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        result = _one_side(inputs, limits, scanner, side=1)
        if not limits.allow_short:
            return result
        return _with_shorts(result, _one_side(inputs, limits, scanner, side=-1))


def _at_least(left: FloatArray, right: FloatArray | float) -> BoolArray:
    return np.asarray(left >= right - EDGE)


def _above(left: FloatArray, right: FloatArray | float) -> BoolArray:
    return np.asarray(left > right + EDGE)


def _clip(values: FloatArray) -> FloatArray:
    """Into [0, 1]; unknown counts as 0."""
    return np.asarray(np.nan_to_num(np.clip(values, 0.0, 1.0), nan=0.0))


def _one_side(
    inputs: AtrMatrixInputs, limits: AtrMatrixSettings, scanner: ScannerSettings | None, side: int
) -> AtrMatrixResult:
    """The matrix for long (side +1) or mirrored about the SMA50 for short (side −1)."""
    known_atr = inputs.atr14 > 0
    atr = np.where(known_atr, inputs.atr14, np.nan)
    close, mean = inputs.close, inputs.sma50
    distance = (close - mean) / atr
    multiple = distance * close / mean
    measured = (distance if limits.distance_mode == "abs" else multiple) * side
    atr_percent = 100.0 * atr / close
    span = inputs.high20 - inputs.low20
    position = np.where(span > 0, 100.0 * (close - inputs.low20) / np.where(span > 0, span, 1.0), np.nan)
    position = np.where(np.isfinite(atr), position, np.nan)
    lean = (position - 50.0) * side  # how far the price leans our way inside its 20-day range

    stack = (inputs.ema10, inputs.sma20, inputs.sma50, inputs.sma100, inputs.sma200)
    pairs = np.zeros(len(close), dtype=np.int64)
    for faster, slower in pairwise(stack):
        pairs += _at_least(faster * side, slower * side)
    aligned = pairs == 4

    in_zone = _at_least(measured, limits.entry_min) & _at_least(np.full_like(measured, limits.entry_max), measured)
    trend_side = _above(close * side, inputs.sma20 * side)
    hard = {
        Reason.TOO_FEW_BARS: inputs.bars >= limits.min_bars,
        Reason.STALE_BARS: inputs.stale <= limits.max_stale,
        Reason.OUT_OF_ZONE: in_zone,
        (Reason.BELOW_SMA20 if side > 0 else Reason.ABOVE_SMA20): trend_side,
        Reason.LOW_ATR_PCT: _at_least(atr_percent, limits.atr_pct_floor),
    }
    hard_gates = np.logical_and.reduce(list(hard.values()))

    strength = (
        0.35 * in_zone
        + 0.25 * trend_side
        + 0.20 * aligned
        + 0.10 * _above(lean, 0.0)
        + 0.10 * _at_least(atr_percent, STRENGTH_ATR_PCT)
    )
    strength = np.where(hard_gates, strength, 0.0)
    mtf = np.zeros(len(close)) if inputs.mtf is None else np.nan_to_num(inputs.mtf, nan=0.0)
    confidence = _confidence(inputs, limits, measured, pairs, lean, atr_percent, mtf * side)

    stop = close - side * np.minimum(STOP_ATR * atr, STOP_FLOOR * close)
    targets = [level_price(mean, atr, side * level, limits.distance_mode) for level in TARGET_LEVELS]
    risk_reward = (targets[0] - close) / (close - stop)

    gates: dict[Reason, BoolArray] = dict(hard)
    not_checked = np.zeros(len(close), dtype=np.int32)
    if scanner is not None:
        _universe_gates(inputs, scanner, gates, not_checked)
    if limits.require_ma_alignment:
        gates[Reason.NOT_ALIGNED] = aligned
    gates[Reason.LOW_STRENGTH] = _at_least(strength, limits.min_strength)
    gates[Reason.LOW_CONFIDENCE] = _at_least(confidence, limits.min_confidence)
    gates[Reason.LOW_RR] = _at_least(risk_reward, limits.min_rr)
    if limits.min_rvol > 0:
        if inputs.rvol is None:
            not_checked |= GATE_BIT[Reason.LOW_RVOL]
        else:
            gates[Reason.LOW_RVOL] = _at_least(inputs.rvol, limits.min_rvol)
    known = np.isfinite(distance)
    gates[Reason.NO_ATR] = known_atr
    gates[Reason.NO_DATA] = np.isfinite(close) & np.isfinite(mean)
    failed = np.zeros(len(close), dtype=np.int32)
    for gate, passed in gates.items():
        failed |= np.where(passed, 0, GATE_BIT[gate]).astype(np.int32)

    entry = SignalState.ENTRY_LONG if side > 0 else SignalState.ENTRY_SHORT
    ladder = (
        (~known, SignalState.NO_DATA),
        (failed == 0, entry),
        (_above(mean * side, close * side), SignalState.EXIT),
        (_above(measured, limits.overextended), SignalState.OVEREXTENDED),
        (_at_least(measured, SCALE_OUT_FROM), SignalState.SCALE_OUT),
    )
    state = np.select(
        [condition for condition, _ in ladder],
        [STATE_CODE[name] for _, name in ladder],
        default=STATE_CODE[SignalState.HOLD],
    ).astype(np.int8)
    near, middle, far = limits.horizon_days
    horizon = np.where(
        _at_least(np.full_like(measured, 2.0), measured),
        near,
        np.where(_at_least(np.full_like(measured, 3.0), measured), middle, far),
    )
    return AtrMatrixResult(
        close=close,
        sma50=mean,
        atr14=atr,
        atr_distance=distance,
        atr_pct_multiple=multiple,
        atr_percent=atr_percent,
        price_position_20d=position,
        ma_pairs_aligned=pairs,
        ma_aligned=aligned,
        hard_gates=hard_gates,
        strength=np.where(known, strength, np.nan),
        confidence=np.where(known, confidence, np.nan),
        stop=stop,
        target1=targets[0],
        target2=targets[1],
        target3=targets[2],
        risk_reward=risk_reward,
        horizon_days=horizon.astype(np.int64),
        mtf=mtf,
        weak_mtf=_weak(inputs.mtf, limits.mtf_min, side, len(close)),
        state=state,
        failed=failed,
        not_checked=not_checked,
    )


def _weak(mtf: FloatArray | None, least: float, side: int, size: int) -> BoolArray:
    """True where the timeframes are known and speak less for the trade than `mtf_min`."""
    return np.zeros(size, dtype=np.bool_) if mtf is None else np.asarray(mtf * side < least - EDGE)


def _confidence(
    inputs: AtrMatrixInputs,
    limits: AtrMatrixSettings,
    measured: FloatArray,
    pairs: IntArray,
    lean: FloatArray,
    atr_percent: FloatArray,
    mtf: FloatArray,
) -> FloatArray:
    """The explicit score of QUANT.md 1.3; not a probability."""
    zone = np.where(measured >= 0, _clip(1.0 - measured / limits.entry_max), 0.0)
    calm = np.where(atr_percent <= 6.0, _clip((atr_percent - 1.0) / 2.0), _clip(1.0 - (atr_percent - 6.0) / 6.0))
    freshness = np.select([inputs.stale <= 0, inputs.stale == 1], [1.0, 0.5], default=0.0)
    quality = np.minimum(1.0, inputs.bars / 250.0) * freshness
    return np.asarray(
        0.30 * zone
        + 0.20 * (pairs / 4.0)
        + 0.15 * _clip(lean / 50.0)
        + 0.10 * calm
        + 0.15 * _clip((mtf + 1.0) / 2.0)
        + 0.10 * quality
    )


def _universe_gates(
    inputs: AtrMatrixInputs,
    scanner: ScannerSettings,
    gates: dict[Reason, BoolArray],
    not_checked: NDArray[np.int32],
) -> None:
    """Add the gates of the universe; data we do not have at all is marked in `not_checked`, in place."""
    gates[Reason.LOW_PRICE] = _at_least(inputs.close, scanner.min_price)
    if inputs.dollar_volume is None:
        not_checked |= GATE_BIT[Reason.LOW_DOLLAR_VOLUME]
    else:
        gates[Reason.LOW_DOLLAR_VOLUME] = _at_least(inputs.dollar_volume, scanner.min_dollar_volume)
    if scanner.require_options:
        if inputs.options_listed is None:
            not_checked |= GATE_BIT[Reason.NO_OPTIONS]
        else:
            gates[Reason.NO_OPTIONS] = np.asarray(inputs.options_listed != 0)
            not_checked |= np.where(inputs.options_listed < 0, GATE_BIT[Reason.NO_OPTIONS], 0).astype(np.int32)


def _with_shorts(long: AtrMatrixResult, short: AtrMatrixResult) -> AtrMatrixResult:
    """Rows that are a short entry (and not a long one) show the mirrored numbers; all others stay long."""
    turned = (short.state == STATE_CODE[SignalState.ENTRY_SHORT]) & (long.state != STATE_CODE[SignalState.ENTRY_LONG])
    columns = {name: np.where(turned, getattr(short, name), getattr(long, name)) for name in AtrMatrixResult.__slots__}
    return AtrMatrixResult(**columns)
