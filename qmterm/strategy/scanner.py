"""The scan: every symbol through the ATR Matrix in one go, sorted, with each failed gate counted.

Trap: during a session only the price moves. Indicators stay those of the last completed session (no look-ahead), so
`features` are computed once a session and `scan` runs as often as prices come in.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, DailyPanel, FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.errors import BadInput
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import AtrMatrixSettings, ScannerSettings
from qmterm.core.signals import Signal, SignalState
from qmterm.quant.indicators.features import Features, last_features
from qmterm.quant.indicators.timeframes import mtf_score, timeframe_votes, weekly_bars
from qmterm.strategy.atr_matrix import AtrMatrixInputs, AtrMatrixResult, evaluate
from qmterm.strategy.matrix_columns import GATES, STATE_CODE, STATES, to_signal


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Columns in the panel's order of symbols; `order` lists rows as they are shown, those without data last."""

    symbols: tuple[str, ...]
    matrix: AtrMatrixResult
    hv20: FloatArray  # annual, decimal; NaN when unknown
    rvol: FloatArray
    live: BoolArray  # the price is a trade of the running session, not the last completed close
    order: IntArray
    states: Counter[SignalState]
    failed: Counter[Reason]  # rows that fail a gate, by gate; a row counts under each gate it fails
    not_checked: Counter[Reason]

    def __len__(self) -> int:
        return len(self.symbols)

    def rows_in(self, *states: SignalState) -> IntArray:
        """Rows in any of the states, in display order."""
        codes = [STATE_CODE[state] for state in states]
        return self.order[np.isin(self.matrix.state[self.order], codes)]

    @property
    def entries(self) -> IntArray:
        """Rows that are an entry, best first."""
        return self.rows_in(SignalState.ENTRY_LONG, SignalState.ENTRY_SHORT)

    def state(self, row: int) -> SignalState:
        return STATES[int(self.matrix.state[row])]

    def signal(self, row: int, time_ns: int) -> Signal:
        """One row as a Signal; ValueError for a row without data."""
        hv20 = float(self.hv20[row])
        return to_signal(self.matrix, row, self.symbols[row], time_ns, hv20 if np.isfinite(hv20) and hv20 > 0 else None)


def daily_mtf(panel: DailyPanel, features: Features, calendar: SessionCalendar) -> FloatArray:
    """The multi-timeframe score of each symbol from its daily and weekly bars; NaN where it is not usable."""
    weekly = last_features(weekly_bars(panel, calendar))
    score = mtf_score({"1D": timeframe_votes(features), "1W": timeframe_votes(weekly)})
    return np.where(score.usable, score.score, np.nan)


def scan(
    panel: DailyPanel,
    features: Features,
    last_price: FloatArray | None = None,
    *,
    matrix: AtrMatrixSettings,
    scanner: ScannerSettings,
    mtf: FloatArray | None = None,
    options_listed: NDArray[np.int8] | None = None,
) -> ScanResult:
    """Evaluate and sort all symbols of the panel; a few milliseconds for 32,345.

    `last_price` is the last trade of the running session (NaN: none yet, the last close is used), `mtf` from
    `daily_mtf`, `options_listed` 1 yes, 0 no, −1 not known.
    """
    for name, column in (("last_price", last_price), ("mtf", mtf), ("options_listed", options_listed)):
        if column is not None and len(column) != len(panel):
            raise BadInput(f"{name} has {len(column)} entries for a panel of {len(panel)} symbols")
    live = np.zeros(len(panel), dtype=np.bool_)
    close = features.close
    if last_price is not None:
        live = last_price > 0
        close = np.where(live, last_price, features.close)
    result = evaluate(
        AtrMatrixInputs(
            close=close,
            ema10=features.ema10,
            sma20=features.sma20,
            sma50=features.sma50,
            sma100=features.sma100,
            sma200=features.sma200,
            atr14=features.atr14,
            high20=features.high20,
            low20=features.low20,
            bars=features.bars,
            stale=features.stale,
            mtf=mtf,
            dollar_volume=features.dollar_volume20,
            rvol=features.rvol20,
            options_listed=options_listed,
        ),
        matrix,
        scanner,
    )
    return ScanResult(
        symbols=panel.symbols,
        matrix=result,
        hv20=features.hv20,
        rvol=features.rvol20,
        live=live,
        order=_order(result, scanner.sort),
        states=_state_counts(result),
        failed=_gate_counts(result.failed),
        not_checked=_gate_counts(result.not_checked),
    )


def _order(result: AtrMatrixResult, sort: str) -> IntArray:
    """Rows by the sort key; equal keys stay in the panel's (alphabetical) order, unknown ones go last."""
    key = -result.confidence if sort == "confidence" else result.atr_distance
    return np.argsort(key, kind="stable").astype(np.int64)


def _state_counts(result: AtrMatrixResult) -> Counter[SignalState]:
    numbers = np.bincount(result.state, minlength=len(STATES)).tolist()
    return Counter({state: count for state, count in zip(STATES, numbers, strict=True) if count})


def _gate_counts(masks: NDArray[np.int32]) -> Counter[Reason]:
    numbers = ((gate, int(np.count_nonzero(masks & (1 << bit)))) for bit, gate in enumerate(GATES))
    return Counter({gate: count for gate, count in numbers if count})
