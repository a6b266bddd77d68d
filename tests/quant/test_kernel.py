"""Array kernels: plain Python while small, all cores when large, right from any thread, and errors reach the caller."""

import os
import threading
import time

import numpy as np
import pytest

from qmterm.quant import kernel as kernels
from qmterm.quant.kernel import array_kernel, set_cores, spread
from qmterm.quant.options.european import solve


def squares(low, high, x, out):
    for i in range(low, high):
        out[i] = x[i] * x[i]


@pytest.fixture
def two_cores(monkeypatch):
    """As on a machine with two, whatever this one has."""
    monkeypatch.setattr(kernels, "_cores", lambda: 2)


def test_small_inputs_are_not_compiled_and_larger_ones_are():
    fill = array_kernel(small=8)(squares)
    x, out = np.arange(9.0), np.empty(9)
    fill(8, x, out)
    assert not fill.is_compiled
    assert out[:8].tolist() == (x[:8] ** 2).tolist()
    fill(9, x, out)
    assert fill.is_compiled
    assert out.tolist() == (x**2).tolist()
    fill(0, x, out)  # nothing to do, whether compiled or not


@pytest.mark.usefixtures("two_cores")
def test_every_element_belongs_to_one_part():
    seen = []

    def note(low, high, taken):
        time.sleep(0.001)
        taken.extend(range(low, high))

    for size, least in ((0, 1), (1, 1), (7, 3), (1000, 10), (1003, 100)):
        seen.clear()
        spread(note, size, seen, least=least)
        assert sorted(seen) == list(range(size))


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("broken", [0, 499, 500, 999])
def test_an_error_in_any_part_reaches_the_caller(broken):
    def fails(low, high):
        time.sleep(0.001)
        if low <= broken < high:
            raise ArithmeticError(f"element {broken}")

    with pytest.raises(ArithmeticError, match=f"element {broken}"):
        spread(fails, 1000, least=1)


@pytest.mark.usefixtures("two_cores")
def test_kernels_called_from_many_threads_at_once_give_the_same_answers():
    n = 60_000
    generator = np.random.default_rng(5)
    strike, calls = generator.uniform(80.0, 120.0, n), generator.random(n) < 0.5
    prices = generator.uniform(0.0, 30.0, n)
    expected = solve(prices, 100.0, strike, 0.25, 0.04, 0.01, calls)
    answers = [None] * 4

    def ask(number):
        for _ in range(3):
            answers[number] = solve(prices, 100.0, strike, 0.25, 0.04, 0.01, calls)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(answers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        for ours, theirs in zip(answer, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.usefixtures("two_cores")
def test_an_interrupt_leaves_the_rest_undone():
    begun = []

    def interrupted(low, high):
        begun.append(low)
        time.sleep(0.02)
        if low == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spread(interrupted, 1000, least=1)
    assert len(begun) < 8  # parts
    before = len(begun)
    time.sleep(0.05)
    assert len(begun) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # threads and fork: that is the point
@pytest.mark.usefixtures("two_cores")
def test_a_forked_child_has_workers_of_its_own():
    threads = set()

    def note(low, high):
        threads.add(threading.get_ident())
        time.sleep(0.02)

    spread(note, 100)
    assert len(threads) == 2
    child = os.fork()
    if child == 0:
        threads.clear()
        spread(note, 100)
        os._exit(len(threads))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


def test_the_number_of_cores_can_be_limited():
    try:
        set_cores(1)
        assert kernels._cores() == 1
        set_cores(10_000)
        assert 1 <= kernels._cores() < 10_000
    finally:
        set_cores(None)
