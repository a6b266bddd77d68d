"""The stress matrix of 500 positions, European and American: rows of `qmterm bench american`.

The trap: nobody else revalues a book as arrays, so there is no peer; the limit is the time itself.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from qmterm.bench.report import Limit, Row
from qmterm.bench.timing import quietly, race
from qmterm.quant.book.positions import Positions, positions
from qmterm.quant.book.stress import SPOT_SHIFTS, VOL_SHIFTS, stress

POSITIONS = 500
UNDERLYINGS = 60
_MOST_MS = {"European": (5.0, 2.5), "American": (30.0, 15.0)}


def book(american: bool, seed: int = 5) -> Positions:
    """500 option positions in 60 underlyings, 7-200 days, vol 15-80 %, r 4 %, q 0-3 %."""
    random = np.random.default_rng(seed)
    spots = random.uniform(20.0, 600.0, UNDERLYINGS)
    yields = random.uniform(0.0, 0.03, UNDERLYINGS)
    of = random.integers(0, UNDERLYINGS, POSITIONS)
    return positions(
        quantity=random.choice(np.array([-10.0, -5.0, -1.0, 1.0, 5.0, 10.0]), POSITIONS),
        spot=spots[of],
        strike=spots[of] * random.uniform(0.8, 1.2, POSITIONS),
        years=random.integers(7, 200, POSITIONS) / 365.0,
        vol=random.uniform(0.15, 0.8, POSITIONS),
        is_call=random.random(POSITIONS) < 0.5,
        american=american,
        rate=0.04,
        dividend_yield=yields[of],
    )


def stress_rows(rounds: int) -> list[Row]:
    """Milliseconds of one whole matrix, for a European and for an American book."""
    rows: list[Row] = []
    for style, (must, goal) in _MOST_MS.items():
        held = book(american=style == "American")
        timed = race({"ours": quietly(partial(stress, held))}, rounds=max(rounds, 1) * 3, budget_s=3.0)
        unvalued = len(stress(held).unknown)
        rows.append(
            Row(
                work=f"stress matrix {len(SPOT_SHIFTS)} x {len(VOL_SHIFTS)}, {POSITIONS} {style} positions",
                ours=1000.0 * timed["ours"].best,
                unit="ms",
                must=Limit(most=must),
                goal=Limit(most=goal),
                note=f"{timed['ours'].note()}; {unvalued} positions without a value",
            )
        )
    return rows
