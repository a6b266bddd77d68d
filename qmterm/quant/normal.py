"""The normal distribution and the scaled complementary error function, for use inside kernels.

erfcx is one polynomial in (z − 3.75)/(z + 3.75), accurate to 4e-16 relative for z ≥ 0 (coefficients: a Chebyshev
series of (1 + 2z)·erfcx(z), computed with 40 digits). The trap: it is only for z ≥ 0.
"""

from __future__ import annotations

import math

from qmterm.quant.elementary import exp
from qmterm.quant.kernel import piece

SQRT_HALF = math.sqrt(0.5)
SQRT_TWO_PI = math.sqrt(2.0 * math.pi)
INV_SQRT_TWO_PI = 1.0 / SQRT_TWO_PI


@piece
def erfcx(z: float) -> float:
    """exp(z²)·erfc(z) for z ≥ 0."""
    # Term by term: as a loop over a tuple it stays a loop in long kernels, and they do not vectorise.
    y = (z - 3.75) / (z + 3.75)
    total = -7.33950500852954e-11 * y - 3.75315827795962e-11
    total = total * y + 9.02214970034059e-10
    total = total * y + 5.457157304704688e-10
    total = total * y - 6.545560212480267e-09
    total = total * y - 4.389284159986328e-09
    total = total * y + 4.0971223152703005e-08
    total = total * y + 2.4289762925488707e-08
    total = total * y - 2.6114702359900956e-07
    total = total * y - 5.826281078800777e-08
    total = total * y + 1.7534434251106334e-06
    total = total * y - 9.72849582211122e-07
    total = total * y - 1.1445049125831309e-05
    total = total * y + 2.2383912036550678e-05
    total = total * y + 5.164940777546399e-05
    total = total * y - 0.00029015397928986765
    total = total * y + 0.00029371359480570737
    total = total * y + 0.0017556258324217529
    total = total * y - 0.009746579547619623
    total = total * y + 0.0283622774215156
    total = total * y - 0.05869339859054762
    total = total * y + 0.09230432116019834
    total = total * y - 0.10880393014170746
    total = total * y + 0.08227673849015102
    total = total * y + 0.00358541548546369
    total = total * y - 0.14024059858554702
    total = total * y + 1.2375126308378275
    return total / (1.0 + 2.0 * z)


@piece
def cdf(x: float) -> float:
    """Standard normal distribution function, accurate in the lower tail."""
    z = abs(x) * SQRT_HALF
    tail = 0.5 * erfcx(z) * exp(-0.5 * x * x)
    return tail if x < 0.0 else 1.0 - tail


@piece
def pdf(x: float) -> float:
    """Standard normal density."""
    return INV_SQRT_TWO_PI * exp(-0.5 * x * x)
