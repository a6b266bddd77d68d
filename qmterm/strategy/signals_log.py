"""Which symbols *became* a signal between two scans: the count of `signals` and the bell of the scanner.

Trap: a state is not a signal. Only the change into ENTRY_LONG (or ENTRY_SHORT) and SCALE_OUT is; the first scan of a
run has nothing before it, so all that stand there then are news.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmterm.core.errors import BadInput
from qmterm.core.signals import SignalState
from qmterm.strategy.matrix_columns import STATE_CODE, STATES

SIGNALS = (SignalState.ENTRY_LONG, SignalState.ENTRY_SHORT, SignalState.SCALE_OUT)


@dataclass(frozen=True, slots=True)
class Change:
    """One symbol that became a signal; `before` is None on the first scan."""

    row: int
    before: SignalState | None
    state: SignalState


def changes(previous_state: NDArray[np.int8] | None, new_state: NDArray[np.int8]) -> tuple[Change, ...]:
    """Rows whose state code turned into a signal, in row order; both scans must hold the same symbols."""
    if previous_state is not None and len(previous_state) != len(new_state):
        raise BadInput(
            f"scans of {len(previous_state)} and {len(new_state)} symbols cannot be compared: start from None "
            "after the universe changed"
        )
    turned = np.isin(new_state, [STATE_CODE[state] for state in SIGNALS])
    if previous_state is not None:
        turned &= new_state != previous_state
    return tuple(
        Change(
            row=row,
            before=None if previous_state is None else STATES[int(previous_state[row])],
            state=STATES[int(new_state[row])],
        )
        for row in np.flatnonzero(turned).tolist()
    )
