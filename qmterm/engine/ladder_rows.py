"""The ladder and its proof on the disk: two documents of which the newest counts, and a row for each move, in order.

The trap is that order: a restart reads the level from the last row, and what a person sent under HALT by what came
behind it. So a move is queued at once, and one that failed is written again under the level that stands by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from qmterm.core.clock import Clock
from qmterm.core.errors import JournalError
from qmterm.engine.ladder import Ladder, Move
from qmterm.engine.patience import DiskPatience
from qmterm.engine.proof import DOCUMENT, Proof


class LadderJournal(Protocol):
    async def write_ladder(
        self, state: str, reason: str | None, by_person: bool, time_ns: int, *, before: str = "", text: str = ""
    ) -> None: ...

    async def write_document(self, name: str, body: dict[str, object]) -> None: ...


class LadderRows:
    def __init__(
        self,
        ladder: Callable[[], Ladder],
        proof: Proof,
        journal: LadderJournal,
        clock: Clock,
        patience: DiskPatience,
        failed: Callable[[JournalError], None],
    ) -> None:
        """`ladder` is the one that holds now; `failed` hears of each row that was lost: it is written again."""
        self._ladder = ladder
        self._proof = proof
        self._journal = journal
        self._clock = clock
        self._patience = patience
        self._failed = failed
        self._kept: dict[str, object] = {"ladder": None, DOCUMENT: {}}  # as last given to the journal

    async def keep(self) -> None:
        """Write what has changed since: all of it is queued at once. A disk that hangs is waited for by nobody."""
        bodies = {"ladder": self._ladder().to_dict(), DOCUMENT: self._proof.to_dict()}
        changed = {name: body for name, body in bodies.items() if body != self._kept[name]}
        waiting = self._ladder().moves
        moves, waiting[:] = tuple(waiting), ()
        if changed or moves:
            self._kept |= changed
            await self._patience.wait(self._write(changed, moves))

    async def _write(self, changed: Mapping[str, dict[str, object]], moves: Sequence[Move]) -> None:
        now = self._clock.now()
        rows = [self._journal.write_document(name, body) for name, body in changed.items()]
        rows += [
            self._journal.write_ladder(
                move.after.label,
                move.reason.value if move.reason else None,
                move.by_person,
                now,
                before=move.before.label,
                text=move.text,
            )
            for move in moves
        ]
        failures = await asyncio.gather(*rows, return_exceptions=True)
        named = zip((*changed, *moves), failures, strict=True)
        lost = [(what, failure) for what, failure in named if failure is not None]
        self._kept |= {what: None for what, _ in lost if isinstance(what, str)}
        ladder = self._ladder()
        ladder.moves[:0] = [replace(what, after=ladder.level) for what, _ in lost if isinstance(what, Move)]
        for _, failure in lost:
            if not isinstance(failure, JournalError):
                raise failure
            self._failed(failure)
