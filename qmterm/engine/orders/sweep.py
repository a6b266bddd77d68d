"""The cancels of a turn: asked together and at once, and no turn waits for the broker's answers.

The trap: a DELETE may stay without an answer for as long as the broker's time-out; marks, ladder and stops go on
meanwhile. In lockstep they are waited for, or the decisions would depend on how fast the broker is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from qmterm.engine.ending import ended
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.lanes import Lanes
from qmterm.engine.orders.ledger import OrderRecord


class Sweep:
    def __init__(self, desk: OrderDesk, lanes: Lanes) -> None:
        self._desk = desk
        self._lanes = lanes
        self._asked: dict[str, asyncio.Task[str]] = {}  # by intent id: without an answer, or not looked at yet

    async def ask(self, wanted: Iterable[tuple[OrderRecord, str]]) -> None:
        """Have these orders cancelled, each with its reason; one whose cancel has no answer yet is not asked again."""
        if self._lanes.single:
            await asyncio.gather(*(self._desk.cancel(record, why) for record, why in wanted))
            return
        for record, why in wanted:
            name = record.intent.intent_id
            if name not in self._asked:
                self._asked[name] = asyncio.create_task(self._desk.cancel(record, why), name=f"cancel {name}")
        await asyncio.sleep(0)  # now all have begun: whoever looks next sees that a cancel is on its way

    def check(self) -> None:
        """Raise what one of them ended with: the turn says it, as if it had waited."""
        done = [self._asked.pop(name) for name, task in tuple(self._asked.items()) if task.done()]
        errors = [error for task in done if not task.cancelled() and (error := task.exception()) is not None]
        if errors:
            raise errors[0]

    async def answered(self) -> None:
        """Wait for every answer; a failure is left to `check`."""
        if self._asked:
            await asyncio.wait(self._asked.values())

    async def close(self) -> None:
        await ended(self._asked.values())
        self._asked.clear()
