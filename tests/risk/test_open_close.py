"""The open/close guard's exact answers: never more than is held and free, never the other way, whole units only."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.orders import Action, Leg
from qmterm.core.reasons import Reason
from qmterm.risk.open_close import close_verdict
from qmterm.risk.verdict import Verdict
from tests.risk.plans import CALL, HIGHER, PUT, closing

SELL, BUY = Action.SELL_TO_CLOSE, Action.BUY_TO_CLOSE


def order(*legs, units):
    return replace(closing((CALL, -1)), legs=tuple(Leg(*leg) for leg in legs), quantity=units)


def goes(units, wanted):
    return Verdict(units, None, {"wanted": float(wanted), "closable": float(units)})


def nothing(wanted):
    return Verdict(0, Reason.NOTHING_TO_CLOSE, {"wanted": float(wanted), "closable": 0.0})


def opens(held):
    return Verdict(0, Reason.WOULD_OPEN, {"closable": float(held)})


SHAPELESS = Verdict(0, Reason.WOULD_OPEN)

CASES = [
    # one leg: as many as are free, on the side that is held
    (order((CALL, SELL, 3), units=3), {CALL: 5}, goes(3, 3)),
    (order((CALL, SELL, 3), units=3), {CALL: 3}, goes(3, 3)),
    (order((CALL, SELL, 3), units=3), {CALL: 2}, goes(2, 3)),
    (order((CALL, SELL, 1), units=1), {CALL: 1}, goes(1, 1)),
    (order((CALL, BUY, 3), units=3), {CALL: -5}, goes(3, 3)),
    (order((CALL, BUY, 3), units=3), {CALL: -1}, goes(1, 3)),
    (order((CALL, SELL, 3), units=3), {CALL: 0}, nothing(3)),
    (order((CALL, BUY, 3), units=3), {CALL: 0}, nothing(3)),
    (order((CALL, SELL, 3), units=3), {}, nothing(3)),
    (order((CALL, SELL, 3), units=3), {HIGHER: 3}, nothing(3)),
    (order((CALL, SELL, 3), units=3), {CALL: -1}, opens(-1)),
    (order((CALL, SELL, 3), units=3), {CALL: -3}, opens(-3)),
    (order((CALL, BUY, 3), units=3), {CALL: 1}, opens(1)),
    # an opening leg is no close, whatever is held
    (order((CALL, Action.SELL_TO_OPEN, 3), units=3), {CALL: 3}, SHAPELESS),
    (order((CALL, Action.BUY_TO_OPEN, 3), units=3), {CALL: -3}, SHAPELESS),
    (order((CALL, SELL, 1), (HIGHER, Action.BUY_TO_OPEN, 1), units=1), {CALL: 1, HIGHER: -1}, SHAPELESS),
    # several legs: the scarcest one decides, in whole units
    (order((CALL, SELL, 4), (HIGHER, BUY, 8), units=4), {CALL: 4, HIGHER: -8}, goes(4, 4)),
    (order((CALL, SELL, 4), (HIGHER, BUY, 8), units=4), {CALL: 4, HIGHER: -5}, goes(2, 4)),
    (order((CALL, SELL, 4), (HIGHER, BUY, 8), units=4), {CALL: 1, HIGHER: -8}, goes(1, 4)),
    (order((CALL, SELL, 4), (HIGHER, BUY, 8), units=4), {CALL: 4, HIGHER: -1}, nothing(4)),
    (order((CALL, SELL, 4), (HIGHER, BUY, 8), units=4), {HIGHER: -8}, nothing(4)),
    (order((CALL, SELL, 1), (HIGHER, BUY, 1), units=1), {CALL: 1, HIGHER: 1}, opens(1)),
    (order((CALL, SELL, 1), (HIGHER, BUY, 1), units=1), {HIGHER: 2}, opens(2)),
    # shapes that are no order at all
    (order((CALL, SELL, 3), units=0), {CALL: 3}, Verdict(0, Reason.NOTHING_TO_CLOSE)),
    (order((CALL, SELL, 3), units=-3), {CALL: 3}, Verdict(0, Reason.NOTHING_TO_CLOSE)),
    (order(units=3), {CALL: 3}, Verdict(0, Reason.NOTHING_TO_CLOSE)),
    (order((CALL, SELL, 0), units=1), {CALL: 3}, SHAPELESS),
    (order((CALL, SELL, -3), units=3), {CALL: 3}, SHAPELESS),
    (order((CALL, SELL, 3), units=2), {CALL: 3}, SHAPELESS),
    (order((CALL, SELL, 1), units=2), {CALL: 3}, SHAPELESS),
    (order((CALL, SELL, 2), (HIGHER, BUY, 3), units=2), {CALL: 2, HIGHER: -3}, SHAPELESS),
    # one symbol in two legs would count what is held twice
    (order((CALL, SELL, 1), (CALL, SELL, 1), units=1), {CALL: 2}, SHAPELESS),
    (order((CALL, SELL, 1), (HIGHER, BUY, 1), (CALL, SELL, 1), units=1), {CALL: 2, HIGHER: -1}, SHAPELESS),
]


@pytest.mark.parametrize(("intent", "closable", "verdict"), CASES)
def test_a_close_is_answered_exactly(intent, closable, verdict):
    assert close_verdict(intent, closable) == verdict


signed = st.integers(-6, 6)
legs = st.lists(
    st.tuples(st.sampled_from((CALL, HIGHER, PUT)), st.sampled_from(list(Action)), st.integers(-1, 9)), max_size=3
)


@given(legs, st.integers(-1, 6), st.dictionaries(st.sampled_from((CALL, HIGHER, PUT)), signed))
def test_what_passes_leaves_every_position_on_its_side_of_zero(chosen, units, held):
    intent = order(*chosen, units=units)
    verdict = close_verdict(intent, held)
    assert 0 <= verdict.contracts <= max(0, units)
    after = dict(held)
    for leg in intent.legs if verdict.contracts else ():
        assert leg.quantity * verdict.contracts % units == 0
        after[leg.symbol] = after.get(leg.symbol, 0) + leg.action.sign * leg.quantity * verdict.contracts // units
    for symbol, left in after.items():
        before = held.get(symbol, 0)
        assert left * before >= 0
        assert abs(left) <= abs(before)
