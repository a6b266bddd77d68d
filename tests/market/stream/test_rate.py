"""Events a second over a window, from looks at any time."""

from qmterm.market.stream.rate import WINDOW_S, EventRate


def test_the_first_seconds_are_told_at_once():
    rate = EventRate(10.0)
    assert rate.look(0, 10.0) == 0.0
    assert rate.look(40, 12.0) == 20.0


def test_a_window_stands_until_the_next_one_is_over():
    rate = EventRate(0.0)
    assert rate.look(50, WINDOW_S) == 10.0
    assert rate.look(5_000, WINDOW_S + 1) == 10.0
    assert rate.look(5_000, 2 * WINDOW_S) == 4_950 / WINDOW_S


def test_silence_comes_down_to_nothing():
    rate = EventRate(0.0)
    rate.look(50, WINDOW_S)
    assert rate.look(50, 2 * WINDOW_S) == 0.0
