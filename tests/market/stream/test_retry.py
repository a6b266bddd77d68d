"""Waits between connections: short while the session runs, long only for a server that counts connections."""

import random

from hypothesis import given
from hypothesis import strategies as st

from qmterm.market.stream.retry import SESSION_CAP_S, SESSION_OPEN_S, Ending, Retry
from tests.market.fakes import settings

REAL = {"backoff_min_s": 0.5, "backoff_max_s": 30.0, "max_connections_wait_s": 60.0, "open_timeout_s": 10.0}


def retry(seed=1, **changes):
    return Retry(settings(**{**REAL, **changes}), random.Random(seed))


@given(seed=st.integers(0, 1000), lives=st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_in_session_a_returned_service_is_found_within_ten_seconds(seed, lives):
    """The worst moment to return is just after an attempt began that will hang: its time-out, then one wait."""
    waits, now = retry(seed), 0.0
    for lived in lives:
        now += lived
        hangs = waits.open_timeout_s(busy=True) if lived else SESSION_OPEN_S
        wait = waits.wait_s(Ending.BROKE, lived_s=lived, now_s=now, busy=True)
        assert 0 < wait <= SESSION_CAP_S
        assert hangs + wait < 10.0
        now += wait


def test_outside_the_session_waits_grow_to_the_configured_longest():
    waits, now = retry(), 0.0
    taken = []
    for _ in range(12):
        taken.append(waits.wait_s(Ending.BROKE, lived_s=0.0, now_s=now, busy=False))
        now += taken[-1]
    assert 10 < max(taken) <= 30
    assert taken[0] <= 0.5


def test_waits_are_spread_so_that_clients_do_not_come_back_together():
    first = {round(retry(seed).wait_s(Ending.BROKE, lived_s=0, now_s=0, busy=True), 6) for seed in range(50)}
    assert len(first) == 50


def test_a_connection_that_lived_starts_the_ladder_afresh():
    waits = retry()
    for _ in range(8):
        waits.wait_s(Ending.BROKE, lived_s=0, now_s=0, busy=False)
    assert waits.wait_s(Ending.BROKE, lived_s=31, now_s=100, busy=False) <= 0.5


def test_another_program_with_our_key_is_left_a_minute_even_in_session():
    assert retry().wait_s(Ending.CROWDED, lived_s=5, now_s=100, busy=True) >= 60


def test_our_own_dead_socket_costs_seconds_once_then_it_is_somebody_else():
    waits = retry()
    waits.wait_s(Ending.BROKE, lived_s=100, now_s=100, busy=True)
    assert waits.wait_s(Ending.CROWDED, lived_s=0.5, now_s=102, busy=True) < 7
    assert waits.wait_s(Ending.CROWDED, lived_s=0.5, now_s=109, busy=True) >= 60


def test_a_host_that_is_always_slow_to_answer_is_given_its_full_time_in_the_end():
    waits = retry()
    for _ in range(3):
        assert waits.open_timeout_s(busy=True) == SESSION_OPEN_S
        waits.wait_s(Ending.BROKE, lived_s=3.5, now_s=0, busy=True, hung=True)
    assert waits.open_timeout_s(busy=True) == 20.0
    assert retry().open_timeout_s(busy=False) == 20.0
