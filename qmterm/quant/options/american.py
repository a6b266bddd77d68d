"""American options on arrays: prices, Greeks and implied volatility, with continuous yield and with cash dividends.

Each option goes to the method that is right for it: Black-Scholes where early exercise never pays, the boundary method
of american_curve.py where a rate alone decides, and the escrowed model where a dividend falls before expiry or where
two boundaries exist (a put with q < r < 0, a call with r < q < 0). The trap: Greeks are the bump definitions of
QUANT.md 3.4, so theta is tomorrow's value less today's and NaN on the last day; in the exercise region delta is ±1 and
the others 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import flatten_options, to_float
from qmterm.quant.options import black_scholes
from qmterm.quant.options import implied_vol as european
from qmterm.quant.options.american_block import ONE_DAY, solve_block
from qmterm.quant.options.american_lanes import PRICE, RATE, STOCK, STRIKE, VOL, YEARS, YIELD
from qmterm.quant.options.american_prices import price_block
from qmterm.quant.options.american_search import BOUNDARY, HIGHEST, search
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.options.european_lanes import LEAST, MOST, makes_sense
from qmterm.quant.options.solved import IvStatus, Solved, StatusArray

# From where the joint search sets out when the price has no European volatility.
PLAIN_START = 0.5
# A rate that brings less than this on exercise is none: its premium would not show in the last digit of a price.
NEXT_TO_NOTHING = 1e-12
# A negative rate on the giving side needs this share of it, positive, on the gaining side: with less there are two
# boundaries, or one so far from the strike that its first guess misses it.
NEGATIVE_SHARE = 0.02
# The tree's search ends at 10, and approaches that end when a price lies beyond it.
HIGHEST_OF_TREE = 9.9
_OUT = 7


class AmericanGreeks(NamedTuple):
    """Arrays in the arguments' common shape; units of QUANT.md 3.3, all per share; NaN where an input is bad."""

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    vega: FloatArray
    rho: FloatArray


def price(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    dividends: DividendTable | None = None,
) -> FloatArray:
    """Values in dollars per share; arguments broadcast, rates and volatility are decimals, a bad element is NaN."""
    shape, calls, numbers = flatten_options(
        is_call,
        price=np.nan,
        spot=spot,
        strike=strike,
        years=years,
        rate=rate,
        dividend_yield=dividend_yield,
        vol=vol,
    )
    return _prices(numbers[STOCK].reshape(-1, 1), numbers, calls, dividends).reshape(shape)


def price_at_spots(
    spots: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    dividends: DividendTable | None = None,
) -> FloatArray:
    """As `price` at several spots of each option, for a fraction of the cost: they share one exercise boundary.

    spots (..., m): the other arguments, and the rows of `dividends`, go with its leading shape; so does the answer.
    """
    ladder = to_float("spots", spots)
    if ladder.ndim == 0:
        raise BadInput("argument spots is a single number: it needs a last axis of spots for each option")
    shape, calls, numbers = flatten_options(
        is_call,
        price=np.nan,
        spot=np.full(ladder.shape[:-1], np.nan),
        strike=strike,
        years=years,
        rate=rate,
        dividend_yield=dividend_yield,
        vol=vol,
    )
    shape = (*shape, ladder.shape[-1])
    # A copy always: a read-only view would have the kernel compiled a second time.
    rows = np.array(np.broadcast_to(ladder, shape), order="C").reshape(calls.size, ladder.shape[-1])
    return _prices(rows, numbers, calls, dividends).reshape(shape)


def greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    dividends: DividendTable | None = None,
) -> AmericanGreeks:
    """Price and the five Greeks at a volatility."""
    shape, calls, numbers = flatten_options(
        is_call,
        price=np.nan,
        spot=spot,
        strike=strike,
        years=years,
        rate=rate,
        dividend_yield=dividend_yield,
        vol=vol,
    )
    out = np.empty((_OUT, calls.size))
    for kind, rows in _split(numbers, calls, dividends):
        some, sides = _take(numbers, calls, rows)
        if kind == _PLAIN:
            found = _plain_greeks(some, sides)
        elif kind == _TREE:
            found = _tree_greeks(some, sides, _table(dividends, rows))
        else:
            found = _boundary_greeks(some, sides)
        _put(out, rows, found)
    return AmericanGreeks(*out[1:].reshape(_OUT - 1, *shape))


def solve(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
    dividends: DividendTable | None = None,
) -> Solved:
    """The volatility that explains each price, and the Greeks there; NaN with the reason in `status` elsewhere.

    Statuses in the order of QUANT.md 3.5, with the American bounds: at least exercise value, at most S (call), K (put).
    """
    shape, calls, numbers = flatten_options(
        is_call,
        price=price,
        spot=spot,
        strike=strike,
        years=years,
        rate=rate,
        dividend_yield=dividend_yield,
        vol=np.nan,
    )
    out = np.empty((_OUT, calls.size))
    status = np.empty(calls.size, dtype=np.int8)
    for kind, rows in _split(numbers, calls, dividends):
        some, sides = _take(numbers, calls, rows)
        if kind == _TREE:
            found, codes = _tree_solve(some, sides, _table(dividends, rows))
        else:
            p, s, k, t, r, q = some[PRICE:VOL]
            some[VOL], codes = european.implied_vol(p, s, k, t, r, q, sides)
            if kind == _PLAIN:
                found = _plain_greeks(some, sides)
            else:
                found = np.empty((_OUT, sides.size))
                started = codes == _OK
                some[VOL] = np.where(started, np.minimum(some[VOL], HIGHEST), PLAIN_START)
                search(some, sides, found, codes)
                _try_tree(some, sides, found, codes)
        _put(out, rows, found)
        status[rows] = codes
    iv, _, delta, gamma, theta, vega, rho = out.reshape(_OUT, *shape)
    return Solved(iv, status.reshape(shape), delta, gamma, theta, vega, rho)


def implied_vol(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
    dividends: DividendTable | None = None,
) -> tuple[FloatArray, StatusArray]:
    """(volatility, status) of `solve`."""
    found = solve(price, spot, strike, years, rate, dividend_yield, is_call, dividends)
    return found.iv, found.status


# The methods: the boundary, Black-Scholes, the escrowed model.
_BOUNDARY, _PLAIN, _TREE = range(3)
_OK = int(IvStatus.OK)
_NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)
_Rows = IntArray | slice


def _kinds(numbers: FloatArray, calls: BoolArray, dividends: DividendTable | None) -> NDArray[np.int8]:
    """Which method each option needs."""
    # As a put: what exercise brings (interest on the strike) and what it gives up (the yield of the stock).
    gained = np.where(calls, numbers[YIELD], numbers[RATE])
    lost = np.where(calls, numbers[RATE], numbers[YIELD])
    kinds = np.zeros(calls.size, dtype=np.int8)
    kinds[(gained <= NEXT_TO_NOTHING) & (lost >= np.minimum(gained, 0.0))] = _PLAIN
    kinds[(lost < 0.0) & (gained < -NEGATIVE_SHARE * lost) & (kinds != _PLAIN)] = _TREE
    if dividends is not None:
        dividends.fits(calls.size)
        kinds[dividends.any_before(numbers[YEARS])] = _TREE
    return kinds


def _split(numbers: FloatArray, calls: BoolArray, dividends: DividendTable | None) -> list[tuple[int, _Rows]]:
    """The options of each method that occurs; a slice of all where there is only one."""
    kinds = _kinds(numbers, calls, dividends)
    if kinds.size == 0:
        return []
    if (kinds == kinds[0]).all():
        return [(int(kinds[0]), slice(None))]
    return [(int(kind), np.flatnonzero(kinds == kind)) for kind in np.unique(kinds)]


def _take(numbers: FloatArray, calls: BoolArray, rows: _Rows) -> tuple[FloatArray, BoolArray]:
    return (numbers, calls) if isinstance(rows, slice) else (numbers[:, rows], calls[rows])


def _put(out: FloatArray, rows: _Rows, found: FloatArray) -> None:
    out[:, rows] = found


def _table(dividends: DividendTable | None, rows: _Rows) -> DividendTable:
    """The dividends of some rows; none for options that need the tree for other reasons."""
    if dividends is None:
        return DividendTable.none()
    return dividends if isinstance(rows, slice) else dividends.take(rows)


def _prices(spots: FloatArray, numbers: FloatArray, calls: BoolArray, dividends: DividendTable | None) -> FloatArray:
    out = np.empty(spots.shape)
    for kind, rows in _split(numbers, calls, dividends):
        some, sides = _take(numbers, calls, rows)
        own = spots if isinstance(rows, slice) else spots[rows]
        if kind == _PLAIN:
            k, t, r, q, v = some[STRIKE:, :, None]
            found = _at_least_exercise(black_scholes.price(own, k, t, r, q, v, sides[:, None]), own, k, sides[:, None])
        elif kind == _TREE:
            found = _tree_prices(own, some, sides, _table(dividends, rows))
        else:
            found = np.empty(own.shape)
            price_block(sides.size, own, some, sides, BOUNDARY, found)
            priced = (own >= LEAST) & (own <= MOST)
            lost = np.flatnonzero((np.isnan(found) & priced).any(axis=1) & _sound(some))
            if lost.size:
                spare = _tree_prices(own[lost], some[:, lost], sides[lost], DividendTable.none())
                found[lost] = np.where(priced[lost], spare, np.nan)
        out[rows] = found
    return out


def _sound(numbers: FloatArray) -> BoolArray:
    """Options whose inputs, spot and price apart, make a price possible."""
    k, t, r, q, v = numbers[STRIKE:]
    with np.errstate(all="ignore"):
        return np.asarray(makes_sense(k, k, t, r, q) & (t > 0.0) & (v > 0.0) & (v <= MOST))


def _tree_prices(spots: FloatArray, numbers: FloatArray, calls: BoolArray, dividends: DividendTable) -> FloatArray:
    from qmterm.quant.options import escrowed  # many kernels, and most options need none of them

    wide = dividends
    if dividends.rows > 1:
        wide = DividendTable(
            dividends.times.repeat(spots.shape[1], axis=0), dividends.amounts.repeat(spots.shape[1], axis=0)
        )
    k, t, r, q, v = numbers[STRIKE:, :, None]
    return escrowed.price(spots, k, t, r, q, v, calls[:, None], wide)


def _at_least_exercise(value: FloatArray, spot: FloatArray, strike: FloatArray, calls: BoolArray) -> FloatArray:
    """Without the last digit that a formula may be short of; NaN stays NaN."""
    with np.errstate(all="ignore"):
        gain = np.where(calls, spot - strike, strike - spot)
    return np.maximum(value, np.where(gain > 0.0, gain, 0.0))


def _plain_greeks(numbers: FloatArray, calls: BoolArray) -> FloatArray:
    """The rows of solve_block's `out`, theta being tomorrow's value less today's."""
    s, k, t, r, q, v = numbers[STOCK:]
    value = _at_least_exercise(black_scholes.price(s, k, t, r, q, v, calls), s, k, calls)
    found = black_scholes.greeks(s, k, t, r, q, v, calls)
    # On the last day there is no tomorrow: NaN.
    theta = black_scholes.price(s, k, t - ONE_DAY, r, q, v, calls) - value
    return np.stack([v, value, found.delta, found.gamma, theta, found.vega, found.rho])


def _tree_greeks(numbers: FloatArray, calls: BoolArray, dividends: DividendTable) -> FloatArray:
    from qmterm.quant.options import escrowed  # many kernels, and most options need none of them

    s, k, t, r, q, v = numbers[STOCK:]
    return np.stack([v, *escrowed.greeks(s, k, t, r, q, v, calls, dividends)])


def _boundary_greeks(numbers: FloatArray, calls: BoolArray) -> FloatArray:
    out = np.empty((_OUT, calls.size))
    status = np.empty(calls.size, dtype=np.int8)
    solve_block(calls.size, numbers, calls, False, BOUNDARY, out, status)
    lost = np.flatnonzero(status == _NO_CONVERGENCE)
    if lost.size:
        out[:, lost] = _tree_greeks(numbers[:, lost], calls[lost], DividendTable.none())
    return out


def _try_tree(numbers: FloatArray, calls: BoolArray, found: FloatArray, codes: StatusArray) -> None:
    """What the boundary method could not settle, where a negative rate makes its search unsafe."""
    lost = np.where(calls, numbers[RATE], numbers[YIELD])
    rows = np.flatnonzero((codes == _NO_CONVERGENCE) & (lost < 0.0))
    if rows.size:
        found[:, rows], codes[rows] = _tree_solve(numbers[:, rows], calls[rows], DividendTable.none())


def _tree_solve(numbers: FloatArray, calls: BoolArray, dividends: DividendTable) -> tuple[FloatArray, StatusArray]:
    from qmterm.quant.options import escrowed  # many kernels, and most options need none of them

    p, s, k, t, r, q = numbers[PRICE:VOL]
    solved = escrowed.solve(p, s, k, t, r, q, calls, dividends)
    found, codes = np.stack([solved.iv, p, *solved[2:]]), solved.status.copy()
    # At the end of its search the tree has run out of volatilities, whatever it says.
    beyond = (codes == _OK) & (solved.iv > HIGHEST_OF_TREE)
    found[:, beyond], codes[beyond] = np.nan, _NO_CONVERGENCE
    return found, codes
