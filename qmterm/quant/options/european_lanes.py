"""Options in blocks of lanes: small local rows that stay in the first cache, so the loops over them become vectors.

The trap: a loop vectorises only if it reads rows before it chooses between them (`a if c else b` of two numbers, never
of two places), counts in integers, and leaves NaN, not a branch, where a lane makes no sense.
"""

from __future__ import annotations

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.arrays import Steps
from qmterm.quant.kernel import piece

LANES = 64
ARGUMENTS = 6  # numbers of an option; its right follows as 1.0 (call) or 0.0
CALL = ARGUMENTS

LEAST, MOST = 1e-100, 1e100  # dollars: a spot or strike outside is no price
MOST_CARRY = 500.0  # of |rate·years|: beyond, a discount factor is no number worth having


@piece
def fill_lanes(lanes: FloatArray, numbers: tuple[FloatArray, ...], calls: BoolArray, steps: Steps) -> None:
    """Once for all blocks: the arguments that are one value for all options (`arrays.option_columns`)."""
    for row in range(ARGUMENTS):
        if steps[row] == 0:
            lanes[row] = numbers[row][0]
    if steps[ARGUMENTS] == 0:
        lanes[CALL] = 1.0 if calls[0] else 0.0


@piece
def read_lanes(
    lanes: FloatArray, first: int, count: int, numbers: tuple[FloatArray, ...], calls: BoolArray, steps: Steps
) -> None:
    """The other arguments of options first … first + count into the first seven rows of `lanes`."""
    for row in range(ARGUMENTS):
        if steps[row] != 0:
            # Slices, so that no index can be negative: Python's counting from the end costs half the time of a copy.
            column, lane = numbers[row][first:], lanes[row]
            for j in range(count):
                lane[j] = column[j]
    if steps[ARGUMENTS] != 0:
        rights, lane = calls[first:], lanes[CALL]
        for j in range(count):
            lane[j] = 1.0 if rights[j] else 0.0


@piece
def write_lanes(lanes: FloatArray, row: int, first: int, count: int, out: FloatArray, rows: int) -> None:
    """Rows row … row + rows of `lanes` into elements first … first + count of all rows of `out`."""
    for number in range(rows):
        lane, to = lanes[row + number], out[number, first:]
        for j in range(count):
            to[j] = lane[j]


@piece
def makes_sense(spot: float, strike: float, years: float, rate: float, dividend_yield: float) -> bool:
    """Whether the arithmetic of an option can be done: numbers, prices above 0, discount factors that are numbers."""
    prices = (spot >= LEAST) & (spot <= MOST) & (strike >= LEAST) & (strike <= MOST)
    carried = (abs(rate * years) <= MOST_CARRY) & (abs(dividend_yield * years) <= MOST_CARRY)
    return prices & carried & (abs(years) <= MOST) & (abs(rate) <= MOST) & (abs(dividend_yield) <= MOST)
