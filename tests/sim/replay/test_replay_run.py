"""Somebody's files drive the whole program: scanner, chain, strategy, orders and fills, without a made-up market."""

from __future__ import annotations

import sqlite3

import pyarrow.parquet as pq
import pytest

from qmterm.core.instruments import parse_option
from tests.end_to_end.running import Home, run
from tests.sim.replay.files import MINUTE_NS
from tests.sim.replay.made import write_morning


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """`qmterm --auto` on a morning in files, from before the open to the end of the data."""
    root = tmp_path_factory.mktemp("replay")
    write_morning(root / "data", minutes=7)
    words = ["--source", "sim", "--broker", "sim", "--replay", str(root / "data"), "--start", "2026-03-02T09:28"]
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
