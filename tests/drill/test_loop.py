"""The virtual clock, and what it means to be killed."""

import asyncio
import contextvars

import pytest

from qmterm.core.errors import InvariantBroken
from qmterm.drill.loop import run
from qmterm.drill.process import OWNER, CrashPoint, Process


def test_an_hour_passes_at_once_and_timers_keep_their_order():
    async def main():
        loop, seen = asyncio.get_running_loop(), []
        loop.call_later(3600, seen.append, "late")
        loop.call_later(1, seen.append, "early")
        await asyncio.sleep(3601)
        return seen, loop.time()

    assert run(main()) == (["early", "late"], pytest.approx(3601))


def test_a_time_out_is_a_timer_like_any_other():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(10)


def test_a_loop_that_can_never_go_on_says_so():
    with pytest.raises(InvariantBroken, match="stands still"):
        run(asyncio.Event().wait())


@pytest.mark.parametrize(("after", "done"), [(False, []), (True, ["write"])])
def test_a_process_dies_at_its_point_and_does_nothing_more(after, done):
    async def main():
        process, written = Process(CrashPoint("write", 1, after)), []
        context = contextvars.copy_context()
        context.run(OWNER.set, process)

        async def write():
            try:
                await process.before("write")
                written.append("write")
                await process.after("write")
                written.append("heard of it")
            finally:
                await process.before("send")
                written.append("tidied up")

        task = asyncio.create_task(write(), context=context)
        await process.died.wait()
        await process.kill()
        return written, task.done(), process.alive

    assert run(main()) == (done, True, False)


def test_a_dead_process_starts_no_more_tasks():
    async def main():
        process, ran = Process(), []
        context = contextvars.copy_context()
        context.run(OWNER.set, process)
        await process.kill()

        async def work():
            ran.append(1)

        task = asyncio.create_task(work(), context=context)
        await asyncio.sleep(1)
        return ran, task.cancelled()

    assert run(main()) == ([], True)
