"""Somebody's files drive the whole program: scanner, chain, strategy, orders and fills, without a made-up market."""

from __future__ import annotations

import json
import sqlite3

import pyarrow.parquet as pq
import pytest

from qmterm.core.instruments import parse_option
from qmterm.tape.frames import GAP, SUFFIX, FrameWriter, record_bytes
from tests.end_to_end.running import Home, engine, run
from tests.sim.replay import files
from tests.sim.replay.files import MINUTE_NS, OPEN_NS
from tests.sim.replay.made import write_morning


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """`qmterm --auto` on a morning in files, from before the open to the end of the data."""
    root = tmp_path_factory.mktemp("replay")
    write_morning(root / "data", minutes=7)
    words = ["--source", "sim", "--broker", "sim", "--replay", str(root / "data"), "--start", "2026-03-02T09:30"]
    body, engine = run(
        Home(root / "home"), root / "run.sqlite", *words, "--seed", "7", "--speed", "max", "--until", "09:37"
    )
    return body, engine, root


def test_it_scans_chooses_orders_and_fills_from_the_files(played):
    body, engine, _ = played
    assert engine.says(r"SCAN 60 symbols, 300 bars up to 2026-02-27")
    assert body["signals"] >= 5
    assert body["orders"] >= 1
    assert body["fills"] >= 1
    assert body["errors"] == 0
    assert body["market_to"][11:16] == "09:37"


def test_every_fill_is_at_a_price_that_the_files_had(played):
    _, engine, root = played
    table = pq.read_table(root / "data" / "option_quotes" / "2026-03-02.parquet")
    asks: dict[tuple[str, int], float] = {}
    for occ, start, ask in zip(*(table[name].to_pylist() for name in ("occ", "start_ns", "ask")), strict=True):
        asks[parse_option(occ).occ, start + MINUTE_NS] = ask
    with sqlite3.connect(engine.journal) as journal:
        journal.row_factory = sqlite3.Row
        fills = [dict(row) for row in journal.execute("select * from fills")]
    assert fills
    for fill in fills:
        minute = fill["time_ns"] // MINUTE_NS * MINUTE_NS
        assert float(fill["price"]) >= 0.9 * asks[fill["symbol"], minute]
        assert float(fill["price"]) <= asks[fill["symbol"], minute] + 1e-9


def test_what_a_recording_lacks_and_too_short_a_history_are_said_to_the_trader(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    files.daily(data)  # two sessions
    writer = FrameWriter(data / f"one{SUFFIX}", ("stocks", "options"), OPEN_NS)
    frame = json.dumps([{"ev": "T", "sym": "AAA", "p": 99.5, "s": 100, "t": OPEN_NS // 1_000_000}]).encode()
    writer.write_block(record_bytes(0, OPEN_NS, 0, frame) + record_bytes(GAP, OPEN_NS, 0, b"1234"))
    writer.close()
    words = ["--source", "sim", "--broker", "sim", "--replay", str(data), "--seed", "7", "--speed", "max"]
    with engine(Home(tmp_path / "home"), tmp_path / "run.sqlite", *words) as one:
        with pytest.raises(
            AssertionError, match="2 of 300 sessions of history could be had, and nothing can be scanned"
        ):
            one.end()
        assert one.says(r"FEED 1,234 frames are not on the tape")
    with sqlite3.connect(one.journal) as journal:
        assert journal.execute("select count(*) from events where body like '%1,234 frames%'").fetchone() == (1,)
