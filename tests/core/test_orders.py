"""The order life cycle is one table: ends are ends, the unknown is never sent again."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.orders import (
    TRANSITIONS,
    AccountBalance,
    Action,
    BracketRole,
    BrokerPosition,
    Fill,
    Leg,
    OrderIntent,
    OrderKind,
    OrderState,
    Purpose,
    TimeInForce,
    may_become,
)

CALL = "AAPL  260417C00230000"
ENDS = {state for state in OrderState if state.terminal}


def intent(purpose, *actions):
    legs = tuple(Leg(CALL, action, 1) for action in actions)
    return OrderIntent("i-1", 0, "atr_matrix", "AAPL", purpose, legs, 1, Decimal("-1.20"))


def test_every_state_has_its_row_in_the_table():
    assert set(TRANSITIONS) == set(OrderState)


@pytest.mark.parametrize("end", sorted(ENDS - {OrderState.NOT_ACCEPTED}))
def test_nothing_follows_an_end(end):
    assert not any(may_become(end, state) for state in OrderState)
    assert not end.working


def test_an_order_given_up_as_not_accepted_may_still_turn_up():
    assert may_become(OrderState.NOT_ACCEPTED, OrderState.LIVE)
    assert may_become(OrderState.NOT_ACCEPTED, OrderState.FILLED)
    assert not may_become(OrderState.NOT_ACCEPTED, OrderState.SENT)


@pytest.mark.parametrize("state", list(OrderState))
def test_nothing_goes_back_to_before_the_send(state):
    assert not may_become(state, OrderState.INTENT)
    assert may_become(state, OrderState.SENT) == (state is OrderState.INTENT)
    kept_back = (OrderState.INTENT, OrderState.SENT)  # on its way, and asked once more at the wire
    assert may_become(state, OrderState.NOT_SENT) == (state in kept_back)


def test_only_read_back_settles_an_unknown_order():
    follows = {state for state in OrderState if may_become(OrderState.UNKNOWN, state)}
    assert OrderState.NOT_ACCEPTED in follows
    assert OrderState.LIVE in follows
    assert OrderState.FILLED in follows
    assert OrderState.SENT not in follows
    assert {state for state in OrderState if may_become(state, OrderState.NOT_ACCEPTED)} == {OrderState.UNKNOWN}


def test_a_fill_may_win_against_a_cancel():
    assert may_become(OrderState.CANCEL_REQUESTED, OrderState.FILLED)
    assert may_become(OrderState.CANCEL_REQUESTED, OrderState.LIVE)  # the broker refused the cancel


def test_working_is_everything_that_may_still_fill():
    working = {state for state in OrderState if state.working}
    assert working == set(OrderState) - ENDS
    assert OrderState.INTENT in working  # about to be sent: limits must already count it
    assert OrderState.UNKNOWN in working
    assert OrderState.SENT in working


@given(walk=st.lists(st.sampled_from(OrderState), max_size=30))
def test_no_walk_leaves_a_final_state_or_is_sent_twice(walk):
    state, sends = OrderState.INTENT, 0
    for wish in walk:
        if not may_become(state, wish):
            continue
        assert not (state.terminal and state is not OrderState.NOT_ACCEPTED)
        sends += wish is OrderState.SENT
        state = wish
    assert sends <= 1


@pytest.mark.parametrize(
    ("action", "buys", "opens", "sign"),
    [
        (Action.BUY_TO_OPEN, True, True, 1),
        (Action.SELL_TO_OPEN, False, True, -1),
        (Action.BUY_TO_CLOSE, True, False, 1),
        (Action.SELL_TO_CLOSE, False, False, -1),
    ],
)
def test_actions_know_their_direction(action, buys, opens, sign):
    assert (action.buys, action.opens, action.sign) == (buys, opens, sign)


def test_cash_of_a_fill_counts_the_multiplier_and_takes_fees_off():
    bought = Fill("f1", "b1", CALL, Action.BUY_TO_OPEN, 2, Decimal("1.25"), 0, fees=Decimal("2.30"))
    assert bought.cash_flow == Decimal("-252.30")
    sold = Fill("f2", "b1", CALL, Action.SELL_TO_CLOSE, 2, Decimal("1.25"), 0, fees=Decimal("2.30"))
    assert sold.cash_flow == Decimal("247.70")
    shares = Fill("f3", "b2", "AAPL", Action.SELL_TO_CLOSE, 10, Decimal("230.00"), 0)
    assert shares.cash_flow == Decimal(2300)
    assert (Leg(CALL, Action.BUY_TO_OPEN, 1).multiplier, Leg("AAPL", Action.BUY_TO_OPEN, 1).multiplier) == (100, 1)


def test_only_an_order_without_opening_legs_reduces():
    assert intent(Purpose.EXIT, Action.SELL_TO_CLOSE).reduces
    assert not intent(Purpose.ENTRY, Action.BUY_TO_OPEN).reduces
    assert not intent(Purpose.ENTRY, Action.SELL_TO_CLOSE).reduces
    assert not intent(Purpose.EXIT, Action.SELL_TO_CLOSE, Action.BUY_TO_OPEN).reduces


# The table again, from the other side: what may follow each state, in words. A row changed by mistake fails here.
AT_BROKER = {"received", "routed", "contingent", "live", "cancel requested", "replace requested"}
OVER = {"filled", "cancelled", "expired", "rejected", "removed"}
FOLLOWS = {
    "intent": AT_BROKER | OVER | {"sent", "not sent", "unknown"},
    "sent": AT_BROKER | OVER | {"unknown", "not sent"},
    "unknown": AT_BROKER | OVER | {"not accepted"},
    "received": AT_BROKER - {"received"} | OVER,
    "routed": AT_BROKER - {"received", "routed", "contingent"} | OVER,
    "contingent": AT_BROKER - {"contingent"} | OVER,
    "live": AT_BROKER - {"received", "routed", "contingent", "live"} | OVER,
    "cancel requested": OVER | {"live"},
    "replace requested": OVER | {"live", "received", "routed"},
    "not accepted": AT_BROKER | OVER,
    "not sent": frozenset(),
} | dict.fromkeys(OVER, frozenset())


@pytest.mark.parametrize("old", list(OrderState))
def test_each_state_is_followed_by_exactly_these(old):
    assert {new.value for new in OrderState if may_become(old, new)} == FOLLOWS[old.value]


def test_the_ends_are_named_one_by_one():
    assert {state.value for state in ENDS} == OVER | {"not accepted", "not sent"}


def test_the_words_of_the_wire_are_tastytrades():
    assert [action.value for action in Action] == ["Buy to Open", "Sell to Open", "Buy to Close", "Sell to Close"]
    assert [purpose.value for purpose in Purpose] == ["entry", "exit", "scale-out", "flatten", "external"]  # journal's
    assert [force.value for force in TimeInForce] == ["Day", "GTC", "GTD", "IOC"]
    assert [kind.value for kind in OrderKind] == ["Limit", "Market", "Stop", "Stop Limit"]


def test_the_words_of_the_journal_stay_what_an_older_journal_has():
    assert [role.value for role in BracketRole] == ["trigger", "target", "stop"]
    assert [state.value for state in OrderState] == [
        "intent", "sent", "unknown", "received", "routed", "contingent", "live", "cancel requested",
        "replace requested", "filled", "cancelled", "expired", "rejected", "removed", "not accepted", "not sent",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "priced", "stopped"),
    [
        (OrderKind.LIMIT, True, False),
        (OrderKind.MARKET, False, False),
        (OrderKind.STOP, False, True),
        (OrderKind.STOP_LIMIT, True, True),
    ],
)
def test_a_kind_knows_whether_it_has_a_price_and_whether_it_waits(kind, priced, stopped):
    assert (kind.priced, kind.stopped) == (priced, stopped)


def test_only_two_times_in_force_outlive_the_day():
    assert [force for force in TimeInForce if force.outlives_day] == [TimeInForce.GTC, TimeInForce.GTD]


@pytest.mark.parametrize("role", [None, *BracketRole])
def test_of_a_bracket_the_target_and_the_stop_rest(role):
    made = replace(intent(Purpose.EXIT, Action.SELL_TO_CLOSE), role=role)
    assert made.rests == (role in (BracketRole.TARGET, BracketRole.STOP))


def test_what_the_broker_does_not_stamp_has_no_stamp():
    assert BrokerPosition("NVDA", 1, Decimal(1), 1).updated_ns == 0


def test_a_balance_that_names_no_requirement_has_none():
    assert AccountBalance(Decimal(1), Decimal(2), Decimal(3)).maintenance_requirement == 0


def test_an_order_lives_for_the_day_and_claims_nothing_unless_it_says_so():
    made = intent(Purpose.EXIT, Action.SELL_TO_CLOSE)
    assert made.time_in_force is TimeInForce.DAY
    assert (made.max_loss, made.plan_id, made.reason) == (None, "", None)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_everything_but_an_entry_reduces_as_long_as_no_leg_opens(purpose):
    assert intent(purpose, Action.SELL_TO_CLOSE).reduces == (purpose is not Purpose.ENTRY)
    assert not intent(purpose, Action.SELL_TO_CLOSE, Action.SELL_TO_OPEN).reduces
