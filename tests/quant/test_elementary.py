"""exp, log and the normal distribution without libm: right to the last digits, as Python and as machine code."""

import numpy as np
import pytest
from scipy import special

from qmterm.quant import elementary, normal
from qmterm.quant.kernel import kernel

ULP = np.finfo(float).eps


def in_machine_code(piece, x):
    @kernel
    def over(values, out):
        for i in range(values.size):
            out[i] = piece(values[i])

    out = np.empty(x.size)
    over(x, out)
    return out


def worst(ours, exact):
    return np.max(np.abs(ours / exact - 1.0))


def log_spaced(low, high, n=50_000):
    return np.exp(np.random.default_rng(2).uniform(np.log(low), np.log(high), n))


@pytest.mark.parametrize(
    ("piece", "exact", "x", "allowed"),
    [
        (elementary.exp, np.exp, np.random.default_rng(1).uniform(-708.0, 709.0, 50_000), 2 * ULP),
        (elementary.exp, np.exp, np.random.default_rng(1).uniform(-1.0, 1.0, 50_000), 2 * ULP),
        (elementary.log, np.log, log_spaced(1e-300, 1e300), 2 * ULP),
        (elementary.log, np.log, log_spaced(0.5, 0.999), 2 * ULP),
        (elementary.log, np.log, 1.0 + log_spaced(1e-15, 0.5), 2 * ULP),
        (normal.erfcx, special.erfcx, log_spaced(1e-12, 1e12), 8 * ULP),
        (normal.erfcx, special.erfcx, np.random.default_rng(1).uniform(0.0, 30.0, 50_000), 8 * ULP),
        (normal.pdf, lambda x: np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi), np.linspace(-9.0, 9.0, 20_001), 4 * ULP),
        # The argument's own rounding, x²·ε/2, is in every formula that squares it.
        (normal.cdf, special.ndtr, np.linspace(-9.0, 9.0, 20_001), 100 * ULP),
    ],
)
def test_digits(piece, exact, x, allowed):
    assert worst(in_machine_code(piece, x), exact(x)) <= allowed
    with np.errstate(all="ignore"):
        python = np.array([piece(value) for value in x[:300]])
    assert worst(python, exact(x[:300])) <= allowed


def test_borders():
    assert elementary.exp(0.0) == 1.0
    assert elementary.log(1.0) == 0.0
    assert elementary.exp(-1e9) == elementary.exp(-708.0) < 1e-307
    assert np.isfinite(elementary.exp(1e9))
    assert normal.cdf(0.0) == pytest.approx(0.5, rel=1e-15)
    assert normal.cdf(40.0) == 1.0
    assert 0.0 <= normal.cdf(-40.0) < 1e-300
