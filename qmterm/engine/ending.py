"""Ending tasks for certain.

The trap: `asyncio.wait_for` of Python 3.11 swallows a cancellation that arrives together with its result, so a task
that was cancelled once may go on for ever (and an engine that was told to stop with it). Ask until it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.2


async def ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel the tasks and return when the last one has ended, however it ended."""
    given = tuple(tasks)
    pending = {task for task in given if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
    for task in given:
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains that nobody did
