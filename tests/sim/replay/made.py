"""A simulated morning written down as files of the documented layout: what a trader's own data would look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qmterm.core.clock import NS
from qmterm.sim.options import SimOptions
from qmterm.sim.session import MINUTE_NS
from qmterm.sim.world import World


def write_morning(folder: Path, minutes: int = 12, seed: int = 7, symbols: int = 60, dividends: bool = False) -> World:
    """Daily bars of 300 sessions, minute bars and option quotes from 09:30; the world that they were taken from."""
    world = World(SimOptions(seed=seed, symbols=symbols, start="2026-03-02T09:30"))
    tickers = np.array(world.universe.tickers)
    for name in ("minutes", "option_quotes"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = world.history.rows
    count = len(tickers)
    daily = {"symbol": np.tile(tickers, len(rows)), "date": np.repeat([bars.day for bars in rows], count)}
    for name in ("open", "high", "low", "close"):
        daily[name] = np.concatenate([getattr(bars, name) for bars in rows]) / 100.0
    daily["volume"] = np.concatenate([bars.volume for bars in rows]).astype(np.float64)
    pq.write_table(pa.table(daily), folder / "daily.parquet")
    listings = [listing for name in tickers if (listing := world.listing(str(name))) is not None]
    bars, quotes = [], []
    for _ in range(minutes):
        start = world.now_ns
        for minute in world.advance_to(start + MINUTE_NS).minutes:
            columns = {"symbol": tickers[minute.symbol], "start_ns": np.full(len(minute.symbol), minute.start_ns)}
            for name in ("open", "high", "low", "close"):
                columns[name] = getattr(minute, name) / 100.0
            bars.append(pa.table({**columns, "volume": minute.volume.astype(np.float64)}))
        for listing in listings:
            near = np.flatnonzero((listing.contracts.expiry_ns - world.now_ns) / NS / 86_400 < 75)
            now = world.option_quotes(listing.contracts.take(near))
            sides = {"bid": now.bid, "ask": now.ask, "bid_size": now.bid_size, "ask_size": now.ask_size}
            table = {
                "occ": [f"O:{listing.root}{listing.tails[row]}" for row in near.tolist()],
                "start_ns": np.full(len(near), start),
                **{name: np.asarray(column, dtype=np.float64) for name, column in sides.items()},
                "open_interest": world.open_interest(listing.contracts.take(near)).astype(np.float64),
            }
            quotes.append(pa.table(table))
    pq.write_table(pa.concat_tables(bars), folder / "minutes" / "2026-03-02.parquet")
    pq.write_table(pa.concat_tables(quotes), folder / "option_quotes" / "2026-03-02.parquet")
    return world
