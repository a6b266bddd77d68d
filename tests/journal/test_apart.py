"""Two CPUs for two threads while orders leave: held for a while, given back whole, and never a reason to fail."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from qmterm.journal import apart as module
from qmterm.journal.apart import Apart

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two CPUs"
)


class Other:
    """A thread that waits until it is told to end."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._over.wait, daemon=True)
        self._thread.start()
        assert self._thread.native_id is not None
        self.number: int = self._thread.native_id

    @property
    def cpus(self) -> set[int]:
        return os.sched_getaffinity(self.number)

    def end(self) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def disk():
    other = Other()
    yield other
    other.end()


@pytest.fixture(autouse=True)
def cpus():
    """What this thread may use, and does again after the test."""
    before = os.sched_getaffinity(0)
    yield before
    os.sched_setaffinity(0, before)


async def test_the_loop_stays_where_it_is_and_the_disks_thread_keeps_off_that_cpu(disk, cpus):
    here = max(cpus)
    apart = Apart(lambda: disk.number, lambda: here)
    apart.hold()
    assert (os.sched_getaffinity(0), disk.cpus) == ({here}, cpus - {here})
    apart.free()
    assert (os.sched_getaffinity(0), disk.cpus) == (cpus, cpus)


async def test_it_is_over_some_time_after_the_last_order(disk, cpus, monkeypatch):
    monkeypatch.setattr(module, "HELD_S", 0.05)
    apart = Apart(lambda: disk.number, lambda: min(cpus))
    apart.hold()
    apart.hold()
    assert disk.cpus != cpus
    async with asyncio.timeout(5):
        while os.sched_getaffinity(0) != cpus or disk.cpus != cpus:  # noqa: ASYNC110 - a timer gives them back
            await asyncio.sleep(0.01)


async def test_a_thread_that_was_born_meanwhile_goes_where_it_likes_too(disk, cpus):
    apart = Apart(lambda: disk.number, lambda: min(cpus))
    apart.hold()
    born = Other()
    try:
        assert born.cpus == {min(cpus)}
        apart.free()
        assert born.cpus == cpus
    finally:
        born.end()


async def test_two_journals_of_one_loop_give_it_back_whole_in_whichever_order(disk, cpus):
    second = Other()
    try:
        for first_first in (True, False):
            both = [Apart(lambda of=other: of.number, lambda: min(cpus)) for other in (disk, second)]
            for apart in both:
                apart.hold()
            for apart in both if first_first else reversed(both):
                apart.free()
            assert (os.sched_getaffinity(0), disk.cpus, second.cpus) == (cpus, cpus, cpus)
    finally:
        second.end()


async def test_a_loop_that_somebody_has_put_on_a_cpu_stays_there(disk, cpus):
    os.sched_setaffinity(0, {min(cpus)})
    apart = Apart(lambda: disk.number, lambda: min(cpus))
    apart.hold()
    apart.free()
    assert (os.sched_getaffinity(0), disk.cpus) == ({min(cpus)}, cpus)


async def test_what_somebody_chose_meanwhile_stays(disk, cpus):
    apart = Apart(lambda: disk.number, lambda: min(cpus))
    apart.hold()
    os.sched_setaffinity(0, {max(cpus)})
    apart.free()
    assert (os.sched_getaffinity(0), disk.cpus) == ({max(cpus)}, cpus)


async def test_a_disk_on_the_loops_own_thread_is_left_alone(cpus):
    apart = Apart(threading.get_native_id, lambda: min(cpus))
    apart.hold()
    assert os.sched_getaffinity(0) == cpus
    apart.free()


async def test_what_the_system_forbids_costs_speed_and_nothing_else(disk, cpus, monkeypatch):
    def forbidden(*_arguments):
        raise PermissionError

    apart = Apart(lambda: disk.number, lambda: min(cpus))
    with monkeypatch.context() as patch:
        patch.setattr(os, "sched_setaffinity", forbidden)
        apart.hold()
        apart.free()
        patch.setattr(os, "sched_getaffinity", forbidden)
        apart.hold()
        apart.free()
    assert (os.sched_getaffinity(0), disk.cpus) == (cpus, cpus)


async def test_a_thread_that_has_ended_is_no_trouble(cpus):
    gone = Other()
    apart = Apart(lambda: gone.number, lambda: min(cpus))
    apart.hold()
    gone.end()
    apart.free()
    assert os.sched_getaffinity(0) == cpus
    apart.hold()
    apart.free()
    assert os.sched_getaffinity(0) == cpus


def test_the_systems_own_word_on_the_cpu_is_one_of_ours(cpus):
    finder = module._cpu_finder()
    assert finder is None or finder() in cpus
