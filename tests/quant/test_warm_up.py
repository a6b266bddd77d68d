"""Warm-up leaves no kernel of the loop to be compiled at the first decision."""

import subprocess
import sys

CHECK = """
from qmterm.quant import features, implied_vol, black_scholes, probability, indicator_kernels
from qmterm.quant.warm_up import warm_up
warm_up({parallel})
kernels = [features._fill, implied_vol._solve_serial, black_scholes._prices, black_scholes._greeks_serial,
           probability._first_passage, indicator_kernels.sma_rows, indicator_kernels.atr_rows]
kernels += [implied_vol._solve_parallel, black_scholes._greeks_parallel] if {parallel} else []
assert all(len(kernel.signatures) == 1 for kernel in kernels), [k.signatures for k in kernels]
import sys
heavy = [name for name in ("pandas", "scipy.stats", "textual", "exchange_calendars") if name in sys.modules]
assert not heavy, heavy
"""


def test_every_kernel_is_ready_and_nothing_heavy_was_imported():
    for parallel in (True, False):
        done = subprocess.run([sys.executable, "-c", CHECK.format(parallel=parallel)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
