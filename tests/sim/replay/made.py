"""A simulated morning written down as files of the documented layout: what a trader's own data would look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qmterm.core.clock import NS
from qmterm.sim.listing import Contracts
from qmterm.sim.options import SimOptions
from qmterm.sim.session import MINUTE_NS
from qmterm.sim.universe import UPTREND
from qmterm.sim.world import World


def write_morning(folder: Path, minutes: int = 12, seed: int = 7, symbols: int = 60) -> World:
    """Daily bars of 300 sessions, minute bars from 09:30, and by the minute option quotes of the names in a trend, with
    yesterday's last quotes and volumes; the world that they were taken from."""
    world = World(SimOptions(seed=seed, symbols=symbols, start="2026-03-02T09:29"))
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
    trending = world.universe.optionable & (world.universe.regime == UPTREND)
    chosen = [_near(world, str(name)) for name in tickers[trending]]
    before = [_quotes(world, *part, world.calendar.close_ns(world.previous.day) - MINUTE_NS, True) for part in chosen]
    pq.write_table(pa.concat_tables(before), folder / "option_quotes" / f"{world.previous.day}.parquet")
    bars, quotes = [], []
    world.advance_to(world.now_ns + MINUTE_NS)
    for _ in range(minutes):
        start = world.now_ns
        for minute in world.advance_to(start + MINUTE_NS).minutes:
            columns = {"symbol": tickers[minute.symbol], "start_ns": np.full(len(minute.symbol), minute.start_ns)}
            for name in ("open", "high", "low", "close"):
                columns[name] = getattr(minute, name) / 100.0
            bars.append(pa.table({**columns, "volume": minute.volume.astype(np.float64)}))
        quotes += [_quotes(world, *part, start) for part in chosen]
    pq.write_table(pa.concat_tables(bars), folder / "minutes" / "2026-03-02.parquet")
    pq.write_table(pa.concat_tables(quotes), folder / "option_quotes" / "2026-03-02.parquet")
    return world


def _near(world: World, ticker: str) -> tuple[list[str], Contracts]:
    """The contracts of an underlying that a strategy may choose from."""
    listing = world.listing(ticker)
    days = (listing.contracts.expiry_ns - world.now_ns) / NS / 86_400
    rows = np.flatnonzero((days > 20) & (days < 75))
    return [f"O:{listing.root}{listing.tails[row]}" for row in rows.tolist()], listing.contracts.take(rows)


def _quotes(world: World, names: list[str], contracts: Contracts, start_ns: int, closing: bool = False) -> pa.Table:
    now, interest = world.option_quotes(contracts), world.open_interest(contracts)
    sides = {"bid": now.bid, "ask": now.ask, "bid_size": now.bid_size, "ask_size": now.ask_size}
    volume = world.option_volume(contracts, interest)[1] if closing else np.zeros(len(names))
    columns = {**sides, "open_interest": interest, "volume": volume}
    floats = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    return pa.table({"occ": names, "start_ns": np.full(len(names), start_ns), **floats})
