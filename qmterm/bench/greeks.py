"""`qmterm bench greeks`: European implied volatility and five Greeks against py_vollib and py_vollib_vectorized.

The trap: py_vollib's loop takes a minute for the whole market, so it is timed on a few thousand options and its rate
compared; the rate does not depend on the number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qmterm.bench.machine import Machine
from qmterm.bench.option_data import Options, european
from qmterm.bench.peers import VECTORIZED_INSTALL, PeerFailed, VectorizedPeer, load
from qmterm.bench.report import Limit, Missing, Report, Row
from qmterm.bench.timing import Seconds, Turn, quietly, race
from qmterm.core.bars import FloatArray
from qmterm.quant.options import european as pricer
from qmterm.quant.options.implied_vol import IvStatus

WHOLE_MARKET = 1_500_000
SCALAR_ROWS = 4_000
VECTORIZED_ROWS = 300_000
WORK = "European IV + 5 Greeks"
UNIT = "options/s"
IV_ERROR = 1e-10

_SCALAR_LIMITS = (Limit(ratio=600.0, error=IV_ERROR), Limit(ratio=950.0, error=IV_ERROR))
_VECTORIZED_LIMITS = (Limit(ratio=30.0, error=IV_ERROR), Limit(ratio=45.0, error=IV_ERROR))


def run(
    size: int = WHOLE_MARKET,
    *,
    quick: bool = False,
    peer_python: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """All rows; `quick` takes one turn each (the figures are rough then)."""
    progress(f"drawing {size:,} options")
    options, prices = european(size)
    machine = Machine.here()
    scalar = load("py_vollib.black_scholes", "py_vollib")
    contestants: dict[str, Turn] = {"ours": quietly(lambda: _solve(prices, options))}
    scalar_rows = min(size, 200 if quick else SCALAR_ROWS)
    if not isinstance(scalar, Missing):
        contestants["scalar"] = quietly(_scalar_loop(prices, options.first(scalar_rows)))
    vectorized_rows = min(size, VECTORIZED_ROWS)
    why, peer = _start_vectorized(peer_python, prices, options.first(vectorized_rows), progress)
    vectorized_error: float | None = None
    try:
        if peer is not None:
            contestants["vectorized"] = peer.seconds
        progress(f"timing {', '.join(contestants)}")
        timed = race(contestants, rounds=1 if quick else 9, budget_s=30.0)
        if peer is not None:
            vectorized_error = _worst(peer.implied_vols(), options.vol[:vectorized_rows])
    except PeerFailed as failure:
        why = f"py_vollib_vectorized stopped: {failure}"
        contestants.pop("vectorized")
        timed = race(contestants, rounds=1 if quick else 9, budget_s=30.0)
    finally:
        if peer is not None:
            peer.close()

    solved = pricer.solve(prices, *_terms(options))
    error = _worst(solved.iv, options.vol)
    unanswered = int(np.count_nonzero(solved.status != IvStatus.OK))
    ours = timed["ours"]
    rows = [
        _row(size, ours, timed.get("scalar"), scalar_rows, "py_vollib scalar loop", _SCALAR_LIMITS, error, scalar),
        _vectorized_row(size, ours, timed.get("vectorized"), vectorized_rows, error, why, vectorized_error),
        _market_row(size, ours, error),
    ]
    notes = [f"IV errors against the volatility the prices were made with; {unanswered} of {size:,} not answered"]
    if not isinstance(scalar, Missing):
        notes.append(_greeks_differ(prices, options.first(min(scalar_rows, 1000))))
    return Report("greeks", machine, tuple(rows), tuple(notes))


def _terms(options: Options) -> tuple[Any, ...]:
    return (
        options.spot,
        options.strike,
        options.years,
        options.rate,
        options.dividend_yield,
        options.is_call,
    )


def _solve(prices: FloatArray, options: Options) -> object:
    return pricer.solve(prices, *_terms(options))


def _worst(found: FloatArray, truth: FloatArray) -> float:
    """The largest error; infinite where there is no answer."""
    differences = np.abs(found - truth)
    return float(np.max(np.where(np.isnan(differences), np.inf, differences)))


def _scalar_loop(prices: FloatArray, options: Options) -> Callable[[], list[tuple[float, ...]]]:
    from py_vollib.black_scholes.greeks import analytical
    from py_vollib.black_scholes.implied_volatility import implied_volatility

    columns = (prices[: options.size], options.spot, options.strike, options.years, options.rate)
    flags = np.where(options.is_call, "c", "p").tolist()
    rows = list(zip(*(column.tolist() for column in columns), flags, strict=True))

    def loop() -> list[tuple[float, ...]]:
        found: list[tuple[float, ...]] = []
        for price, spot, strike, years, rate, flag in rows:
            vol = implied_volatility(price, spot, strike, years, rate, flag)
            terms = (flag, spot, strike, years, rate, vol)
            found.append(
                (
                    vol,
                    analytical.delta(*terms),
                    analytical.gamma(*terms),
                    analytical.theta(*terms),
                    analytical.vega(*terms),
                    analytical.rho(*terms),
                )
            )
        return found

    return loop


def _greeks_differ(prices: FloatArray, options: Options) -> str:
    """Our Greeks and py_vollib's analytical ones have the same units, so they must agree."""
    theirs = np.array(_scalar_loop(prices, options)()).T
    ours = pricer.solve(prices[: options.size], *_terms(options))
    worst = {
        name: float(np.max(np.abs(getattr(ours, name) - theirs[number])))
        for number, name in enumerate(("delta", "gamma", "theta", "vega", "rho"), start=1)
    }
    said = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
    return f"largest differences from py_vollib's Greeks: {said}"


def _start_vectorized(
    python: str | None, prices: FloatArray, options: Options, progress: Callable[[str], None]
) -> tuple[str, VectorizedPeer | None]:
    if python is None:
        return "not measured: --peer-python names the interpreter of an environment that has py_vollib_vectorized", None
    progress("starting py_vollib_vectorized in its own environment")
    try:
        return "", VectorizedPeer(python, options, prices[: options.size])
    except PeerFailed as error:
        return f"not measured: {error}", None


def _row(
    size: int,
    ours: Seconds,
    theirs: Seconds | None,
    their_rows: int,
    name: str,
    limits: tuple[Limit, Limit],
    error: float,
    missing: object = None,
    note: str = "",
) -> Row:
    rate = size / ours.best
    peer = None if theirs is None else their_rows / theirs.best
    said = [note] if note else []
    if theirs is not None:
        said.append(f"peer timed on {their_rows:,} options, best of {len(theirs.turns)} turns; ours {ours.note()}")
    return Row(
        work=f"{WORK}, {size:,} contracts",
        ours=rate,
        unit=UNIT,
        peer=peer,
        peer_name=name,
        ratio=None if peer is None else rate / peer,
        max_error=error,
        error_of="largest IV error (out-of-the-money value ≥ $0.005)",
        must=limits[0],
        goal=limits[1],
        note="; ".join(said),
    ).lacking(missing)


def _vectorized_row(
    size: int, ours: Seconds, theirs: Seconds | None, their_rows: int, error: float, why: str, their_error: float | None
) -> Row:
    missing = Missing(why, VECTORIZED_INSTALL) if theirs is None else None
    note = "" if their_error is None else f"its own largest IV error {their_error:.1e}"
    return _row(size, ours, theirs, their_rows, "py_vollib_vectorized", _VECTORIZED_LIMITS, error, missing, note)


def _market_row(size: int, ours: Seconds, error: float) -> Row:
    """The whole of OPRA in one call; a smaller size is scaled, and says so."""
    seconds = ours.best * WHOLE_MARKET / size
    return Row(
        work="European IV + 5 Greeks, the whole of OPRA (1.5 M)",
        ours=seconds,
        unit="s",
        max_error=error,
        error_of="largest IV error",
        goal=Limit(most=0.06),
        note=ours.note() if size == WHOLE_MARKET else f"scaled from {size:,} options",
    )
