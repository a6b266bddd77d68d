"""`qmterm bench american`: American volatility, Greeks, dividends, a chain and stress against QuantLib.

The trap: QuantLib's exact scheme does some hundred options a second, so errors are measured on a few hundred and
speeds on many; neither depends on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qmterm.bench.machine import Machine
from qmterm.bench.option_data import Options, chain
from qmterm.bench.option_data import american as drawn
from qmterm.bench.peers import load
from qmterm.bench.quantlib_peer import GREEKS, QuantLibAmerican
from qmterm.bench.report import Limit, Missing, Report, Row
from qmterm.bench.stress import stress_rows
from qmterm.bench.timing import Seconds, quietly, race
from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.options import american as pricer
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.options.implied_vol import IvStatus

SIZE = 100_000
REFERENCE_ROWS = 500
PEER_ROWS = 250
CHAIN = 10_000
CHAIN_CHECKED = 48
DIVIDEND_CHECKED = 40
LEAST_TIME_VALUE = 0.02
UNIT = "options/s"

_Solved = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, BoolArray]
_Valued = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, BoolArray]


def run(size: int = SIZE, *, quick: bool = False, progress: Callable[[str], None] = lambda _: None) -> Report:
    """All rows; `quick` takes one turn each on few options (the figures are rough then)."""
    machine = Machine.here()
    rounds = 1 if quick else 7
    quantlib = load("QuantLib", "QuantLib")
    progress(f"pricing {size:,} options")
    options, prices = _with_time_value(drawn(size))
    references = 20 if quick else REFERENCE_ROWS
    checked = drawn(references, seed=3)
    exact: FloatArray | None = None
    if not isinstance(quantlib, Missing):
        progress(f"{references} reference prices (QuantLib QdFp, high precision)")
        exact = QuantLibAmerican(quantlib, "high").prices(checked)
    progress("timing volatility and Greeks, and prices")
    rows = [
        _solve_row(options, prices, quantlib, checked, exact, rounds),
        _price_row(options, quantlib, checked, exact, rounds),
    ]
    progress("timing discrete dividends")
    rows.append(_dividend_row(options.first(min(options.size, 20_000)), quantlib, rounds, quick, rows[0].peer))
    progress("timing a chain and the stress matrix")
    rows.append(_chain_row(min(CHAIN, size), quantlib, rounds, quick))
    rows.extend(stress_rows(rounds))
    notes = (f"drawn: S 100, K 70-140, 7-700 days, vol 10-100 %, r 4 %, q 2 %, time value above ${LEAST_TIME_VALUE}",)
    return Report("american", machine, tuple(rows), notes)


def _with_time_value(options: Options) -> tuple[Options, FloatArray]:
    """The options whose price says something about their volatility, and those prices."""
    prices = pricer.price(*_valued(options))
    kept = time_value(options, prices) > LEAST_TIME_VALUE
    return options.take(kept), prices[kept]


def time_value(options: Options, prices: FloatArray) -> FloatArray:
    sign = np.where(options.is_call, 1.0, -1.0)
    return np.asarray(prices - np.maximum(0.0, sign * (options.spot - options.strike)))


def _valued(options: Options) -> _Valued:
    """The arguments of price and greeks."""
    terms = (options.spot, options.strike, options.years, options.rate, options.dividend_yield)
    return (*terms, options.vol, options.is_call)


def _solved(options: Options) -> _Solved:
    """The arguments of solve, after the price."""
    terms = (options.spot, options.strike, options.years, options.rate, options.dividend_yield)
    return (*terms, options.is_call)


def _solve_row(
    options: Options, prices: FloatArray, quantlib: Any, checked: Options, exact: FloatArray | None, rounds: int
) -> Row:
    contestants = {"ours": quietly(lambda: pricer.solve(prices, *_solved(options)))}
    few = options.first(min(options.size, PEER_ROWS))
    if not isinstance(quantlib, Missing):
        fast = QuantLibAmerican(quantlib, "fast")
        few_prices = fast.prices(few)
        contestants["peer"] = quietly(lambda: fast.solve(few, few_prices))
    timed = race(contestants, rounds=rounds, budget_s=12.0)
    error, said = (None, "") if exact is None else _iv_error(checked, exact)
    limit = 6e-4
    return Row(
        work=f"American IV + 5 Greeks, {options.size:,} contracts",
        ours=options.size / timed["ours"].best,
        unit=UNIT,
        peer=few.size / timed["peer"].best if "peer" in timed else None,
        peer_name="scipy brentq over QuantLib QdFp fast + 5 bumped Greeks",
        ratio=_ratio(options.size, timed["ours"], few.size, timed.get("peer")),
        max_error=error,
        error_of="IV error, 99th percentile, prices from QdFp high precision",
        must=Limit(ratio=70.0, error=limit),
        goal=Limit(ratio=100.0, error=limit),
        note=f"{said}; {timed['ours'].note()}",
    ).lacking(quantlib)


def _iv_error(checked: Options, exact: FloatArray) -> tuple[float, str]:
    """(99th percentile of the IV error where there is time value, what else to say about it)."""
    kept = time_value(checked, exact) > LEAST_TIME_VALUE
    solved = pricer.solve(exact, *_solved(checked))
    errors = np.abs(solved.iv - checked.vol)[kept]
    unanswered = int(np.count_nonzero(solved.status[kept] != IvStatus.OK))
    worst = np.where(np.isnan(errors), np.inf, errors)
    said = f"median {np.median(worst):.1e}, largest {worst.max():.1e} of {kept.sum()} options"
    return float(np.quantile(worst, 0.99)), said + (f", {unanswered} not answered" if unanswered else "")


def _price_row(options: Options, quantlib: Any, checked: Options, exact: FloatArray | None, rounds: int) -> Row:
    contestants = {"ours": quietly(lambda: pricer.price(*_valued(options)))}
    few = options.first(min(options.size, 10 * PEER_ROWS))
    if not isinstance(quantlib, Missing):
        fast = QuantLibAmerican(quantlib, "fast")
        contestants["peer"] = quietly(lambda: fast.prices(few))
    timed = race(contestants, rounds=rounds, budget_s=5.0)
    error, said = None, ""
    if exact is not None:
        differences = pricer.price(*_valued(checked)) - exact
        error = float(np.sqrt(np.mean(differences**2)))
        said = f"largest {np.abs(differences).max():.1e} of {checked.size}; "
    return Row(
        work=f"American prices, {options.size:,} contracts",
        ours=options.size / timed["ours"].best,
        unit=UNIT,
        peer=few.size / timed["peer"].best if "peer" in timed else None,
        peer_name="QuantLib QdFp fast, one at a time",
        ratio=_ratio(options.size, timed["ours"], few.size, timed.get("peer")),
        max_error=error,
        error_of="price error in $, root mean square, S = 100, against QdFp high precision",
        must=Limit(error=0.003),
        goal=Limit(error=0.0005),
        note=f"{said}{timed['ours'].note()}",
    ).lacking(quantlib)


def _ratio(our_rows: int, ours: Seconds, their_rows: int, theirs: Seconds | None) -> float | None:
    return None if theirs is None else (our_rows / ours.best) / (their_rows / theirs.best)


def quarterly(options: Options, seed: int = 4) -> DividendTable:
    """$0.50 a quarter, the first at any day of the first quarter: about 2 % a year, as the yield it stands for."""
    first = np.random.default_rng(seed).integers(1, 92, options.size)
    times = (first[:, np.newaxis] + 91 * np.arange(8)) / 365.0
    return DividendTable(times, np.where(times <= options.years[:, np.newaxis], 0.5, 0.0))


def _dividend_row(options: Options, quantlib: Any, rounds: int, quick: bool, loop: float | None) -> Row:
    """What discrete dividends cost, as a multiple of the same options with a yield."""
    plain = options._replace(dividend_yield=np.zeros(options.size))
    table = quarterly(options)
    with_yield = pricer.price(*_valued(options))
    with_cash = pricer.price(*_valued(plain), dividends=table)
    contestants = {
        "yield": quietly(lambda: pricer.solve(with_yield, *_solved(options))),
        "cash": quietly(lambda: pricer.solve(with_cash, *_solved(plain), dividends=table)),
    }
    timed = race(contestants, rounds=rounds, budget_s=8.0)
    rate = options.size / timed["cash"].best
    beside = "" if loop is None else f", {rate / loop:,.0f}x the brentq loop without dividends"
    error, said = None, timed["cash"].note()
    if not isinstance(quantlib, Missing):
        few = plain.first(min(plain.size, 3 if quick else DIVIDEND_CHECKED))
        peer = QuantLibAmerican(quantlib, "fast")
        exact = peer.escrowed_prices(few, table.times, table.amounts, 800)
        differences = with_cash[: few.size] - exact
        error = float(np.sqrt(np.mean(differences**2)))
        said = f"largest {np.abs(differences).max():.1e} of {few.size}; {said}"
    return Row(
        work=f"discrete dividends ($0.50 a quarter): IV + 5 Greeks of {options.size:,} contracts",
        ours=timed["cash"].best / timed["yield"].best,
        unit="x the cost with a yield",
        max_error=error,
        error_of="price error in $, root mean square, against QuantLib finite differences 800 x 800, escrowed",
        must=Limit(most=3.0, error=0.003),
        note=f"{rate:,.0f} options/s{beside}; {said}",
    ).lacking(quantlib)


def _chain_row(size: int, quantlib: Any, rounds: int, quick: bool) -> Row:
    """One screenful: volatility and Greeks from prices; the error is of every column at known volatilities."""
    options = chain(size)
    prices = pricer.price(*_valued(options))
    timed = race({"ours": quietly(lambda: pricer.solve(prices, *_solved(options)))}, rounds=rounds, budget_s=3.0)
    error, said = None, timed["ours"].note()
    if not isinstance(quantlib, Missing):
        # Beside the exercise boundary gamma jumps, and nobody's volatility is known (QUANT.md 3.4).
        few = _spread(options.take(time_value(options, prices) > LEAST_TIME_VALUE), 3 if quick else CHAIN_CHECKED)
        exact = QuantLibAmerican(quantlib, "high").greeks(few)
        found = pricer.greeks(*_valued(few))
        worst = {name: _worst(getattr(found, name), exact[row]) for row, name in enumerate(GREEKS)}
        error = max(worst.values())
        columns = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
        said = (
            f"{few.size} options with time value above ${LEAST_TIME_VALUE} checked: {columns}; {timed['ours'].note()}"
        )
    return Row(
        work=f"a chain on screen, {size:,} American contracts: IV + 5 Greeks",
        ours=timed["ours"].best,
        unit="s",
        max_error=error,
        error_of="largest error of price and Greeks at known volatility, against QdFp high precision",
        must=Limit(most=0.4, error=5e-4),
        goal=Limit(most=0.1, error=5e-4),
        note=said,
    ).lacking(quantlib)


def _spread(options: Options, count: int) -> Options:
    """Some of the options, evenly over the chain."""
    rows = np.unique(np.linspace(0, options.size - 1, count).astype(int))
    return options.take(rows)


def _worst(found: FloatArray, truth: FloatArray) -> float:
    differences = np.abs(found - truth)
    known: BoolArray = np.isfinite(differences)
    return float(differences.max()) if known.all() else float("inf")
