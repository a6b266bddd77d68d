"""`qmterm scan` on the live market: the running engine's own scan, else one of our own that never trades.

The trap: without an engine the prices come from one snapshot and the bars from the history store, which is filled first
where it is short; on a small plan that can take long, and says so on stderr.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from qmterm.core.errors import ConfigError, DataError, EngineUnreachable


@dataclass(frozen=True, slots=True)
class LiveWish:
    """Which market; None = the running engine, else the configuration."""

    config: Path | None = None
    source: str | None = None
    sim_url: str | None = None
    sim_token_file: Path | None = None
    socket: Path | None = None

    @property
    def names_a_market(self) -> bool:
        return self.source is not None or self.sim_url is not None or self.config is not None


def run(wish: LiveWish, limit: int | None, *, as_json: bool, out: TextIO | None = None) -> int:
    """Print the scan; EngineUnreachable, ConfigError or DataError in one sentence when there is none."""
    if (wish.sim_url is None) != (wish.sim_token_file is None):
        raise ConfigError("--sim URL and --sim-token-file FILE go together")
    document = None if wish.names_a_market else _of_engine(wish, limit)
    if document is None:
        document = asyncio.run(_of_our_own(wish, limit))
    target = out if out is not None else sys.stdout
    if as_json:
        print(json.dumps(document, allow_nan=False), file=target)
    else:
        _print(document, target)
    return 0


def _of_engine(wish: LiveWish, limit: int | None) -> dict[str, Any] | None:
    """The running engine's latest scan; None when no engine runs."""
    from qmterm.commands.places import places
    from qmterm.engine.control import ask

    try:
        reply = ask(wish.socket or places().socket, ["scan", str(limit or 0)])
    except EngineUnreachable:
        if wish.socket is not None:
            raise
        return None
    data = reply["data"]
    if not reply["ok"] or not isinstance(data, dict):
        raise DataError(f"the running engine gave no scan: {reply['text']}")
    return {"from": "engine", **data}


async def _of_our_own(wish: LiveWish, limit: int | None) -> dict[str, Any]:
    from qmterm.commands.engine import with_engine
    from qmterm.commands.places import load_settings, places, require_secret
    from qmterm.commands.simulator import SimWish, joined_simulator, own_simulator
    from qmterm.core.calendar import SessionCalendar
    from qmterm.core.clock import et_date
    from qmterm.core.compute import ComputeThread
    from qmterm.core.settings.engine import MarketClock, Source
    from qmterm.engine.runlog import RunLog
    from qmterm.engine.show.scan_answer import scan_document
    from qmterm.engine.signals.scanning import Scanning
    from qmterm.engine.sim_link import with_sim
    from qmterm.market.clock import ServerClock, SystemClock
    from qmterm.market.feed import PolygonFeed
    from qmterm.market.history.history import History
    from qmterm.market.quality.coverage import Listed
    from qmterm.market.rest.client import PolygonRest

    settings, _ = load_settings(wish.config)
    source = wish.source or ("sim" if wish.sim_url is not None else None)
    if source is not None:
        settings = with_engine(settings, {"source": source})
    async with contextlib.AsyncExitStack() as opened:
        link = None
        if wish.sim_url is not None and wish.sim_token_file is not None:
            link = await asyncio.to_thread(joined_simulator, wish.sim_url, wish.sim_token_file)
        elif settings.engine.source is Source.SIM:
            running, link = await own_simulator(SimWish())
            opened.push_async_callback(running.close)
        if link is not None:
            settings = with_sim(settings, link)
        key = link.token if link is not None else require_secret("polygon", "market data from Polygon")
        rest = PolygonRest(settings.polygon, key)
        opened.callback(rest.close)
        clock: SystemClock | ServerClock = SystemClock()
        if link is not None or settings.engine.market_clock is MarketClock.SERVER:
            clock = ServerClock()
            await clock.start(rest)
        today = et_date(clock.now())
        calendar = await asyncio.to_thread(
            SessionCalendar.load, today - timedelta(days=1100), today + timedelta(days=30)
        )
        # No stream is started: what is on the board is the snapshot, and its ages say how old it is.
        feed = PolygonFeed(settings.polygon, key, clock, calendar, lockstep=True, rest=rest, quality=settings.quality)
        await feed.load_snapshot()
        if feed.snapshot_refused:
            raise DataError(f"no live scan without the market snapshot: {feed.snapshot_refused}")
        compute = ComputeThread()
        opened.callback(compute.close)
        folder = places().history / (f"sim-{link.world}" if link is not None else "polygon")
        scanning = Scanning(
            feed.board,
            History(rest, folder, calendar, clock),
            calendar,
            compute,
            clock,
            RunLog(clock),
            settings.atr_matrix,
            settings.scanner,
            settings.engine.history_sessions,
            feed.quality,
        )
        await scanning.load(_progress)
        scanning.coverage.list(await feed.active_symbols() or Listed(feed.snapshot_symbols, source="snapshot"))
        scanning.run()
        return {"from": settings.engine.source.value, **scan_document(scanning, limit)}


def _print(document: dict[str, Any], out: TextIO) -> None:
    from qmterm.commands.scan import print_rows

    print_rows(document["rows"], out)
    covered = document["coverage"]
    states = ", ".join(f"{count} {state}" for state, count in sorted(document.get("states", {}).items()))
    seen = document["market_time"] or "no scan yet"
    print(f"{len(document['rows'])} of {document['symbols']} symbols at {seen}: {states}", file=out)
    if covered["pct"] is not None:
        gaps = ", ".join(f"{count} {reason}" for reason, count in covered["skipped"].items()) or "none"
        print(f"coverage {covered['pct']:.2f} % of {covered['listed']:,} listed; not evaluated: {gaps}", file=out)


def _progress(text: str) -> None:
    """On a line of stderr that rewrites itself, only when a person is watching it."""
    if text and sys.stderr.isatty():
        print(f"\r\x1b[2K{text} …", end="", file=sys.stderr, flush=True)
