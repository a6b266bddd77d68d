"""Which symbols are listened to so that a mute stream is noticed, and on which channels the plan lets them speak.

The trap: the configured names need not exist (a small market, a replay): then the most active ones stand in.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qmterm.market.board.table import QuoteTable

COUNT = 2  # stand-ins for names the market lacks


def resolve(names: tuple[str, ...], stocks: QuoteTable) -> tuple[str, ...]:
    """The configured names the market has, else its most active symbols by yesterday's dollars; () when unknown."""
    there = tuple(name for name in names if name in stocks.numbers)
    if there or not names or not len(stocks):
        return there
    dollars = np.nan_to_num(stocks.prev_close * np.fmax(stocks.prev_volume, stocks.day_volume))
    best = np.argsort(-dollars, kind="stable")[:COUNT]
    return tuple(stocks.symbols[row] for row in best if dollars[row] > 0)


def channels(canaries: tuple[str, ...], refused: Mapping[str, str]) -> frozenset[str]:
    """Trades and quotes; second bars instead where the plan refuses both; nothing more where it refuses those too."""
    wanted: set[str] = set()
    for symbol in canaries:
        quick = {f"{kind}.{symbol}" for kind in ("T", "Q")}
        wanted |= {f"A.{symbol}"} if quick <= refused.keys() else quick
    return frozenset(wanted)
