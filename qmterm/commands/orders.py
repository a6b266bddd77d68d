"""`qmterm orders list` and `orders cancel`: over the engine's socket; a list also from the journal of an ended run."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

from qmterm.commands.kept import journal_file
from qmterm.commands.places import places
from qmterm.core.errors import EngineUnreachable
from qmterm.engine.control import ask


def show(*, everything: bool, as_json: bool, journal: Path | None, config: Path | None, socket: Path | None) -> int:
    """Working orders, or all of the last days; 0 also for none."""
    answer = None if journal is not None else _from_engine(everything, socket)
    if answer is None:
        file = journal_file(journal, config)
        answer = {"from": str(file), "orders": asyncio.run(_from_file(file, everything))}
    rows = answer["orders"]
    if as_json:
        print(json.dumps(answer, default=str))
        return 0
    from qmterm.engine.show.order_list import order_line

    for row in rows if isinstance(rows, list) else ():
        print(order_line(row))
    if not rows:
        print("no orders" if everything else "no working orders")
    if answer["from"] != "engine":
        print(f"no engine is running: as {answer['from']} knows them; the broker may know more", file=sys.stderr)
    return 0


def cancel(order_id: str, *, as_json: bool, socket: Path | None) -> int:
    """0 when every cancel was asked, 1 otherwise; without an engine nothing is cancelled."""
    try:
        reply = ask(socket or places().socket, ["cancel", order_id])
    except EngineUnreachable as error:
        raise EngineUnreachable(f"{error} Nothing was cancelled: start the engine, or cancel at the broker.") from None
    if as_json:
        print(json.dumps(reply))
    else:
        print(reply["text"], file=sys.stdout if reply["ok"] else sys.stderr)
    return 0 if reply["ok"] else 1


def _from_engine(everything: bool, socket: Path | None) -> dict[str, object] | None:
    try:
        reply = ask(socket or places().socket, ["orders", "all" if everything else "working"])
    except EngineUnreachable:
        if socket is not None:
            raise
        return None
    if not reply["ok"]:
        raise EngineUnreachable(str(reply["text"]))
    return {"from": "engine", "orders": reply["data"]}


async def _from_file(file: Path, everything: bool) -> list[dict[str, object]]:
    from qmterm.engine.show.order_list import order_row
    from qmterm.journal.queries import JournalReader

    reader = await JournalReader.open(file)
    try:
        saved = await reader.load()
    finally:
        await reader.close()
    filled: Counter[tuple[str, str]] = Counter()
    for stored in saved.fills:
        filled[stored.intent_id, stored.fill.symbol] += stored.fill.quantity
    rows = []
    for order in saved.orders:
        intent = order.intent
        units = min(
            (filled[intent.intent_id, leg.symbol] * intent.quantity // leg.quantity for leg in intent.legs), default=0
        )
        if everything or order.state.working:
            rows.append(order_row(intent, order.state, order.broker_id, units, order.reason or "", external=False))
    return rows
