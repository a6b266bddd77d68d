"""What a killed import leaves behind is gone with the next; what a living program writes is not touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date

import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.market.history import leftovers
from qmterm.market.history.importing import import_file

CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))
KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from qmterm.core.calendar import SessionCalendar
from qmterm.market.history import importing
importing._read_part = lambda part: os.kill(os.getpid(), signal.SIGKILL)
importing.import_file(Path(sys.argv[1]), Path(sys.argv[2]), SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_what_a_killed_import_left_goes_with_the_next_import(tmp_path):
    path, store = tmp_path / "bars.csv", tmp_path / "store"
    path.write_text("symbol,date,open,high,low,close,volume\nA,2026-02-27,1,2,1,2,100\n")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), str(store)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [left.name[:8] for left in store.iterdir()] == [".import-"]
    (store / "minutes").mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (store / "minutes" / f".2026-02-27.parquet.{dead.pid}.7.tmp").write_bytes(b"half")
    import_file(path, store, CALENDAR)
    assert [left for left in store.rglob("*") if left.name.startswith(".")] == []


def test_what_a_living_program_writes_and_other_hidden_files_stay(tmp_path):
    kept = [f".import-{os.getpid()}-ab", f".2026-02-27.parquet.{os.getpid()}.7.tmp", ".mine.tmp", ".hidden"]
    for name in kept:
        (tmp_path / name).touch()
    leftovers.clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
