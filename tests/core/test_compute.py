"""There is one compute thread: calls run on it one after the other, and its errors reach the caller."""

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from qmterm.core.compute import ComputeThread


@pytest.fixture
def compute():
    with ComputeThread() as thread:
        yield thread


def test_every_call_runs_on_the_same_other_thread(compute):
    names = {compute.run(threading.get_ident).result() for _ in range(5)}
    assert len(names) == 1
    assert threading.get_ident() not in names
    assert compute.run(lambda: threading.current_thread().name).result().startswith("qmterm-compute")


def test_calls_keep_their_order(compute):
    seen = []
    futures = [compute.run(seen.append, number) for number in range(20)]
    for future in futures:
        future.result()
    assert seen == list(range(20))


async def test_the_loop_keeps_running_while_a_call_waits(compute):
    gate = threading.Event()
    waiting = asyncio.ensure_future(compute.arun(gate.wait, 30))
    await asyncio.sleep(0)  # the loop is alive although the thread is not done
    assert not waiting.done()
    gate.set()
    assert await waiting is True


async def test_an_error_in_a_call_is_the_callers(compute):
    def fail():
        raise ZeroDivisionError("in the kernel")

    with pytest.raises(ZeroDivisionError, match="in the kernel"):
        await compute.arun(fail)
    assert await compute.arun(lambda: 7) == 7


def test_close_drops_what_has_not_begun():
    thread = ComputeThread()
    begun, gate = threading.Event(), threading.Event()

    def hold():
        begun.set()
        return gate.wait(30)

    running = thread.run(hold)
    assert begun.wait(30)
    queued = thread.run(lambda: "never")
    closer = threading.Thread(target=thread.close)
    closer.start()
    with pytest.raises(CancelledError):
        queued.result(30)
    gate.set()
    closer.join(30)
    assert running.result() is True
    with pytest.raises(RuntimeError):
        thread.run(int)
