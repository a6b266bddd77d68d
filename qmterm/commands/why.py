"""`qmterm why ID`: why an order, plan, position, symbol or refusal is what it is; from the engine, else the journal."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from qmterm.commands.kept import journal_file
from qmterm.commands.places import places
from qmterm.core.errors import EngineUnreachable
from qmterm.engine.control import ask


def run(subject: str, *, as_json: bool, journal: Path | None, config: Path | None, socket: Path | None) -> int:
    """0 with a trail, 1 when nothing is recorded."""
    answer = None if journal is not None else _from_engine(subject, socket)
    if answer is None:
        file = journal_file(journal, config)
        answer = {"from": str(file), **asyncio.run(_from_file(file, subject))}
    lines = answer["lines"]
    if as_json:
        print(json.dumps({"subject": subject, **answer}, default=str))
    elif isinstance(lines, list) and lines:
        print("\n".join(str(line) for line in lines))
    if not lines:
        print(f"qmterm: nothing is recorded about {subject!r} ({answer['from']})", file=sys.stderr)
        return 1
    if journal is None and answer["from"] != "engine":
        print(f"no engine is running: as {answer['from']} has it", file=sys.stderr)
    return 0


def _from_engine(subject: str, socket: Path | None) -> dict[str, object] | None:
    """None when no engine runs; a socket that was named must answer."""
    try:
        reply = ask(socket or places().socket, ["trail", subject])
    except EngineUnreachable:
        if socket is not None:
            raise
        return None
    data = reply["data"]
    return {"from": "engine", **(data if isinstance(data, dict) else {"lines": [], "events": []})}


async def _from_file(file: Path, subject: str) -> dict[str, object]:
    from qmterm.engine.show.trail import trail_events, trail_lines
    from qmterm.journal.queries import JournalReader

    reader = await JournalReader.open(file)
    try:
        rows = await reader.why(subject)
        if not rows:  # the screen shows the end of an order's id only
            saved = await reader.load()
            named = [o.intent.intent_id for o in saved.orders if o.intent.intent_id.endswith(subject)]
            rows = await reader.why(named[0]) if len(named) == 1 else []
    finally:
        await reader.close()
    return {"lines": trail_lines(rows), "events": trail_events(rows)}
