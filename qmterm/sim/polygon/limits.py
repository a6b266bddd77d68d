"""Limit-up limit-down events: price bands twice a minute in the session, and a halt's beginning and end.

The trap: the indicators for halts (17) and resumptions (18) exist for Nasdaq-listed names only; of the others one
sees that their bands stop coming.
"""

from __future__ import annotations

import msgspec
import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.clock import NS
from qmterm.sim.bar_history import MS
from qmterm.sim.market import Market
from qmterm.sim.polygon.reference import listing_exchange

HALTED, RESUMED = 17, 18
BAND_NS = 30 * NS
REFERENCE_MINUTES = 5
MOVED = 0.01
TIER_ONE = 150  # names at the head of the universe: the index members and funds
LAST_MINUTES_NS = 25 * 60 * NS  # before the close the bands of tier 1 are twice as wide


class LimitEvent(msgspec.Struct, gc=False):
    ev: str
    T: str
    h: float
    l: float  # noqa: E741
    i: list[int]
    z: int
    t: int
    q: int


def limit_events(
    world: Market, keep: BoolArray | None, first_ns: int, last_ns: int, told: FloatArray | None = None
) -> list[LimitEvent]:
    """What happened in (first, last]: transitions at their instants, bands when a half minute went by.

    `told` holds the upper bands that somebody heard (0: none) and is kept up: new ones come only when the price they
    are made around has moved by 1 % or more, which is the plan's own rule.
    """
    out: list[LimitEvent] = []
    names, today = world.universe.tickers, world.today
    halts = world.happenings.transitions(first_ns, last_ns)
    due = today.open_ns < last_ns < today.close_ns and last_ns // BAND_NS > first_ns // BAND_NS
    if not halts and not due:
        return out
    high, low = bands(world)

    def event(symbol: int, indicators: list[int], at_ns: int) -> LimitEvent:
        stamp = at_ns // MS
        tape = 3 if listing_exchange(world.universe, symbol) == "XNAS" else 1
        prices = round(float(high[symbol]), 2), round(float(low[symbol]), 2)
        return LimitEvent("LULD", names[symbol], *prices, indicators, tape, stamp, stamp % 86_400_000)

    for at_ns, halt, begins in halts:
        heard = keep is None or bool(keep[halt.symbol])
        if heard and listing_exchange(world.universe, halt.symbol) == "XNAS":
            out.append(event(halt.symbol, [HALTED if begins else RESUMED], at_ns))
    if due:
        wanted = ~today.halted if keep is None else keep & ~today.halted
        if told is not None:
            wanted = wanted & (np.abs(high - told) >= MOVED * told)
            told[wanted] = high[wanted]
        at_ns = last_ns // BAND_NS * BAND_NS
        out += [event(symbol, [], at_ns) for symbol in np.flatnonzero(wanted & (high > 0)).tolist()]
    return out


def bands(world: Market) -> tuple[FloatArray, FloatArray]:
    """Upper and lower band of each stock in dollars around the mean of its latest minutes (else its last price)."""
    today = world.today
    total, count = np.zeros(len(today.last)), np.zeros(len(today.last))
    for minute in today.minutes[-REFERENCE_MINUTES:]:
        total[minute.symbol] += minute.close
        count[minute.symbol] += 1
    reference = np.where(count > 0, total / np.maximum(count, 1), today.last) / world.unit
    first_tier = np.arange(len(reference)) < TIER_ONE
    share = np.where(reference > 3.0, np.where(first_tier, 0.05, 0.10), 0.20)
    wide = world.step_ns > today.close_ns - LAST_MINUTES_NS
    share = np.where(wide & (first_tier | (reference <= 3.0)), 2 * share, share)
    width = np.where(reference < 0.75, np.minimum(0.15, 0.75 * reference), share * reference)
    return reference + width, np.maximum(reference - width, 0.01)
