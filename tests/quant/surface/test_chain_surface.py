"""One call answers everything about a chain, as the parts do alone."""

import time

import numpy as np
import pytest

from qmterm.core.errors import BadInput
from qmterm.quant.surface.chain_surface import chain_surface
from qmterm.quant.surface.status import SurfaceStatus
from qmterm.quant.surface.term import MaturityVol
from tests.quant.surface.chains import RATE, SPOT, YEARS, YIELD, chain, forward_of


def surface(columns, bid=None, ask=None, **changes):
    given = {
        "spot": SPOT,
        "years": columns.years,
        "dte": np.rint(columns.years * 365),
        "strike": columns.strike,
        "is_call": columns.is_call,
        "rate": RATE,
        "bid": columns.value - 0.01 if bid is None else bid,
        "ask": columns.value + 0.01 if ask is None else ask,
        "iv": columns.iv,
        "delta": columns.delta,
    }
    return chain_surface(**(given | changes))


def test_a_flat_chain_in_any_order_is_flat_in_everything():
    columns = chain()
    shuffled = columns.take(np.random.default_rng(3).permutation(columns.years.size))
    found = surface(shuffled)
    np.testing.assert_allclose(found.forwards.forward, forward_of(YEARS), rtol=1e-12)
    np.testing.assert_allclose(found.forwards.dividend_yield, YIELD, atol=1e-10)
    np.testing.assert_allclose(found.atm.vol, 0.3, rtol=1e-12)
    np.testing.assert_allclose(found.skew.rr25, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.one_deviation, SPOT * 0.3 * np.sqrt(YEARS), rtol=1e-12)
    assert found.term.iv30 == MaturityVol(pytest.approx(0.3), True)
    assert found.term.slope == pytest.approx(0.0, abs=1e-12)
    assert found.term.event is False
    assert len(found.violations) == 0
    # A straddle and strangles cost about 0.8 of a deviation, less further out.
    share = found.quoted_move.move / found.one_deviation
    assert ((share > 0.6) & (share < 0.85)).all()


def test_a_chain_without_quotes_says_so_everywhere_and_raises_nothing():
    columns = chain()
    with np.errstate(all="raise"):
        found = surface(columns, bid=np.nan, ask=np.nan, iv=np.nan, delta=np.nan)
    assert (found.forwards.status == SurfaceStatus.NO_QUOTE).all()
    assert (found.atm.status == SurfaceStatus.NO_QUOTE).all()
    assert (found.skew.status == SurfaceStatus.NO_QUOTE).all()
    assert (found.quoted_move.status == SurfaceStatus.NO_QUOTE).all()
    assert np.isnan(found.one_deviation).all()
    assert found.term.iv30 is None
    assert len(found.violations) == 0
    np.testing.assert_allclose(found.forwards.forward, SPOT * np.exp(RATE * YEARS))


def test_an_empty_chain_is_an_empty_surface():
    nothing = np.empty(0)
    found = chain_surface(SPOT, nothing, nothing, nothing, nothing > 0, nothing, nothing, nothing, nothing, nothing)
    assert found.ladder.expiries == found.atm.vol.size == found.one_deviation.size == len(found.violations) == 0


def test_one_bad_expiry_leaves_the_others_alone():
    columns = chain()
    good = surface(columns)
    bid = columns.value - 0.01
    bid[columns.years == YEARS[2]] = np.inf
    rate = np.where(columns.years == YEARS[1], np.nan, RATE)
    found = surface(columns, bid=bid, rate=rate)
    assert found.forwards.status.tolist() == [0, SurfaceStatus.BAD_INPUT, SurfaceStatus.NO_QUOTE, 0, 0]
    np.testing.assert_array_equal(found.forwards.forward[[0, 3, 4]], good.forwards.forward[[0, 3, 4]])
    assert np.isnan(found.atm.vol).tolist() == [False, True, False, False, False]


def test_a_length_that_does_not_fit_is_named():
    with pytest.raises(BadInput, match="argument delta has shape"):
        surface(chain(), delta=[0.1, 0.2])
    with pytest.raises(BadInput, match="argument is_call must be True or False"):
        surface(chain(), is_call=1.0)


def test_ten_thousand_contracts_take_milliseconds():
    columns = chain(years=np.arange(1, 21) * 0.1, strikes=np.arange(50.0, 175.0, 0.5))
    assert columns.years.size == 10_000
    best = np.inf
    for _ in range(5):
        begin = time.perf_counter()
        surface(columns)
        best = min(best, time.perf_counter() - begin)
    assert best < 0.1  # about 5 ms alone on a slow core; this only catches a loop over contracts
