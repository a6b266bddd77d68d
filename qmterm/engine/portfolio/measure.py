"""The heavy part: Greeks, beta-weighted sums, stress and value at risk of the whole book, in one call.

Pure and slow enough (milliseconds for fifty positions) to belong on the compute thread. The trap is in what is missing:
a position without a value makes a total unknown and is named with its reason.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.clock import et_date
from qmterm.core.instruments import is_option, parse_option, underlying_of
from qmterm.core.reasons import Reason
from qmterm.engine.show.greeks import Gathered, HeldOption, PositionGreeks, solve_held
from qmterm.quant.book.exposure import BETA_RETURNS, Betas, Exposure, betas, exposure
from qmterm.quant.book.positions import Positions, positions
from qmterm.quant.book.stress import SpotMode, StressMatrix, stress
from qmterm.quant.book.value_at_risk import LEAST_RETURNS, cornish_fisher_many, historical, historical_pnl

LEVELS = (0.95, 0.99)
YEAR_DAYS = 365.0


class Closes(NamedTuple):
    """Daily closes of one stock, oldest first, with their dates."""

    days: NDArray[np.datetime64]
    prices: FloatArray


@dataclass(frozen=True, slots=True)
class Wanted:
    """The book of one moment; safe to hand to another thread. Spots and closes by underlying."""

    now_ns: int
    held: Gathered
    spots: Mapping[str, float | None] = field(default_factory=dict)
    closes: Mapping[str, Closes] = field(default_factory=dict)
    market: Closes | None = None
    market_spot: float | None = None


class Tail(NamedTuple):
    """One day's loss, positive dollars; None with the reason."""

    method: str  # historical | cornish-fisher
    level: float
    var: float | None
    es: float | None
    reason: Reason | None = None


class Beta(NamedTuple):
    beta: float
    returns: int
    assumed: bool


@dataclass(frozen=True, slots=True)
class Measured:
    now_ns: int
    took_ms: float = 0.0
    greeks: Mapping[str, PositionGreeks] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()  # rows of `exposure` and of both stress matrices
    exposure: Exposure | None = None
    betas: Mapping[str, Beta] = field(default_factory=dict)
    each: StressMatrix | None = None
    market: StressMatrix | None = None
    tails: tuple[Tail, ...] = ()
    days: int = 0  # joint returns the historical figures rest on
    unknown: Mapping[str, Reason] = field(default_factory=dict)


def measure(wanted: Wanted) -> Measured:
    """Everything of one moment."""
    began = time.perf_counter()
    greeks, unknown = solve_held(wanted.held)
    symbols = _symbols(wanted)
    if not symbols:
        return Measured(wanted.now_ns)
    for symbol in wanted.held.stocks:
        if wanted.spots.get(symbol) is None:
            unknown[symbol] = Reason.NO_QUOTE
    underlyings = list(dict.fromkeys(underlying_of(symbol) for symbol in symbols))
    table = _aligned(wanted, underlyings)
    found = _betas(wanted, table)
    per_row = [found[underlying_of(symbol)].beta for symbol in symbols]
    book = _book(symbols, wanted, greeks, per_row)
    which: IntArray = np.array([underlyings.index(underlying_of(symbol)) for symbol in symbols], dtype=np.int64)
    each, market = stress(book), stress(book, mode=SpotMode.MARKET)
    for row in each.unknown:
        unknown.setdefault(symbols[row.row], row.reason)
    shown = _exposure(symbols, wanted, greeks, per_row)
    tails, days = _tails(book, table, which, shown)
    return Measured(
        wanted.now_ns,
        (time.perf_counter() - began) * 1000,
        greeks,
        symbols,
        shown,
        found,
        each,
        market,
        tails,
        days,
        unknown,
    )


def _aligned(wanted: Wanted, underlyings: Sequence[str]) -> FloatArray:
    """Closes on the market's sessions, one row an underlying (the days of the longest where there is no market)."""
    axis = wanted.market or max(wanted.closes.values(), key=lambda closes: closes.days.size, default=None)
    if axis is None:
        return np.full((len(underlyings), 0), np.nan)
    table = np.full((len(underlyings), axis.days.size), np.nan)
    for row, underlying in enumerate(underlyings):
        closes = wanted.closes.get(underlying)
        if closes is None or not closes.days.size:
            continue
        at = np.searchsorted(axis.days, closes.days)
        there = (at < axis.days.size) & (axis.days[np.minimum(at, axis.days.size - 1)] == closes.days)
        table[row, at[there]] = closes.prices[there]
    return table


def _betas(wanted: Wanted, table: FloatArray) -> dict[str, Beta]:
    names = list(dict.fromkeys(underlying_of(symbol) for symbol in _symbols(wanted)))
    if wanted.market is None or not table.size:
        return dict.fromkeys(names, Beta(1.0, 0, True))
    found: Betas = betas(table, wanted.market.prices)
    return {
        name: Beta(float(found.beta[row]), int(found.returns[row]), bool(found.assumed[row]))
        for row, name in enumerate(names)
    }


def _symbols(wanted: Wanted) -> tuple[str, ...]:
    held = wanted.held
    return (*held.stocks, *(option.symbol for option in held.options), *held.unpriced)


def _book(
    symbols: Sequence[str], wanted: Wanted, greeks: Mapping[str, PositionGreeks], per_row: Sequence[float]
) -> Positions:
    options: dict[str, HeldOption] = {option.symbol: option for option in wanted.held.options}

    def column(of_option: str, otherwise: float = np.nan) -> FloatArray:
        return np.array([getattr(options[s], of_option) if s in options else otherwise for s in symbols], dtype=float)

    stock = np.array([symbol in wanted.held.stocks for symbol in symbols])
    spots = [wanted.spots.get(underlying_of(symbol)) for symbol in symbols]
    vols = [found.iv if (found := greeks.get(symbol)) is not None else None for symbol in symbols]
    size = [float(wanted.held.stocks.get(s, options[s].size if s in options else np.nan)) for s in symbols]
    return positions(
        quantity=size,
        multiplier=1.0,
        spot=_floats(spots),
        strike=column("strike"),
        years=column("years"),
        vol=_floats(vols),
        rate=column("rate", 0.0),
        is_call=np.array([options[s].is_call if s in options else True for s in symbols]),
        is_stock=stock,
        american=np.array([s in options and not options[s].european for s in symbols]),
        beta=per_row,
    )


def _exposure(
    symbols: Sequence[str], wanted: Wanted, greeks: Mapping[str, PositionGreeks], per_row: Sequence[float]
) -> Exposure:
    """PositionGreeks are of whole positions already: quantity and multiplier are 1."""
    rows = [greeks.get(symbol) for symbol in symbols]
    days = [max(0.0, (parse_option(s).expiry - et_date(wanted.now_ns)).days) if is_option(s) else 30.0 for s in symbols]
    return exposure(
        quantity=1.0,
        multiplier=1.0,
        spot=_floats([wanted.spots.get(underlying_of(symbol)) for symbol in symbols]),
        delta=_floats([None if row is None else row.delta for row in rows]),
        gamma=_floats([None if row is None else row.gamma for row in rows]),
        theta=_floats([None if row is None else row.theta for row in rows]),
        vega=_floats([None if row is None else row.vega for row in rows]),
        market_spot=np.nan if wanted.market_spot is None else wanted.market_spot,
        beta=per_row,
        days_to_expiry=days,
    )


def _tails(book: Positions, table: FloatArray, which: IntArray, shown: Exposure) -> tuple[tuple[Tail, ...], int]:
    """Historical by full revaluation, and Cornish-Fisher where its expansion may be believed."""
    with np.errstate(all="ignore"):
        returns = (table[:, 1:] / table[:, :-1] - 1.0).T if table.shape[1] > 1 else np.empty((0, table.shape[0]))
    past = historical_pnl(book, returns, which)
    tails = [Tail("historical", level, *historical(past.total, level)) for level in LEVELS]
    joint = returns[np.isfinite(returns).all(axis=1)][-BETA_RETURNS:]
    if joint.shape[0] < LEAST_RETURNS:
        tails += [Tail("cornish-fisher", level, None, None, Reason.NO_HISTORY) for level in LEVELS]
        return tuple(tails), past.total.size
    count = table.shape[0]
    delta, gamma = np.zeros(count), np.zeros(count)
    np.add.at(delta, which, shown.per_position.dollar_delta)
    np.add.at(gamma, which, shown.per_position.gamma_1pct * 100.0)
    covariance = np.atleast_2d(np.cov(joint, rowvar=False))
    for level in LEVELS:
        found = cornish_fisher_many(delta, np.diag(gamma), float(shown.total.theta), covariance, level)
        if not np.isfinite(found.var):
            tails.append(Tail("cornish-fisher", level, None, None, Reason.NO_DATA))
        elif found.historical_only:
            tails.append(Tail("cornish-fisher", level, None, None, Reason.UNRELIABLE))
        else:
            tails.append(Tail("cornish-fisher", level, found.var, found.es))
    return tuple(tails), past.total.size


def _floats(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)
