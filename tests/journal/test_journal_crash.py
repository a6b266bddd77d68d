"""kill -9 at any moment: no acknowledged row is lost, and the file opens."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time

import pytest

from qmterm.journal import Journal
from qmterm.journal.audit import audit
from tests.journal.journal_rows import clock

WRITER = """
import asyncio, sys
from decimal import Decimal
from pathlib import Path
from qmterm.core.orders import OrderState
from qmterm.journal import Journal
from tests.journal.journal_rows import clock, fill, intent, session

async def produce(journal, first):
    for number in range(first, first + 100_000, 8):
        await journal.write_intent(intent(number))
        print("intent", f"qm-{number}", flush=True)
        await journal.write_order(f"qm-{number}", OrderState.UNKNOWN, None, number, "lost")
        await journal.write_fill(fill(number, order=str(number)), f"qm-{number}")
        print("fill", f"f-{number}", flush=True)
        journal.note("noise", "x", {"n": number, "text": "y" * 500}, number)

async def main():
    journal = await Journal.open(Path(sys.argv[1]), clock())
    await session(journal)
    await asyncio.gather(*(produce(journal, first) for first in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(4))
async def test_no_acknowledged_row_is_lost_when_the_process_is_killed(tmp_path, seed, pytestconfig):
    path = tmp_path / "j.sqlite"
    luck = random.Random(seed)
    acknowledged = {"intent": set(), "fill": set()}
    said = luck.randint(30, 400)
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(  # noqa: ASYNC220 - the test has nothing else to do
        command, stdout=subprocess.PIPE, text=True, cwd=pytestconfig.rootpath
    ) as child:
        for _ in range(said):
            kind, name = child.stdout.readline().split()
            acknowledged[kind].add(name)
        time.sleep(luck.random() * 0.01)  # noqa: ASYNC251 - the moment of death, wherever the child then is
        child.kill()
        rest = child.stdout.read().splitlines()
    for line in rest:  # what it had said before it died, read after
        parts = line.split()
        if len(parts) == 2:
            acknowledged[parts[0]].add(parts[1])

    journal = await Journal.open(path, clock())
    state = await journal.load(days=10_000)
    await journal.close()
    assert acknowledged["intent"] <= {order.intent.intent_id for order in state.orders}
    assert acknowledged["fill"] <= {stored.fill.fill_id for stored in state.fills}
    assert len(acknowledged["intent"]) > 10
    assert not state.clean_end
    found = audit(path)
    assert found.faults == ()
    assert found.fills == len(state.fills)


async def test_a_torn_tail_of_the_log_costs_only_what_was_never_acknowledged(tmp_path, pytestconfig):
    path = tmp_path / "j.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(  # noqa: ASYNC220 - the test has nothing else to do
        command, stdout=subprocess.PIPE, text=True, cwd=pytestconfig.rootpath
    ) as child:
        first = child.stdout.readline().split()
        for _ in range(100):
            child.stdout.readline()
        child.kill()
        child.stdout.read()
    log = path.with_name(path.name + "-wal")
    log.write_bytes(log.read_bytes()[:-1000] + b"\xff" * 700)
    journal = await Journal.open(path, clock())
    state = await journal.load(days=10_000)
    await journal.close()
    assert first[1] in {order.intent.intent_id for order in state.orders}
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
