"""`qmterm history pull|status|verify|import`: the store of daily bars, looked after by hand.

The trap: a simulated world has its own store below the same folder; `--sim` names it by that world, never the market's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qmterm.commands.places import load_settings, places, require_secret
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import et_date
from qmterm.core.errors import BadInput

if TYPE_CHECKING:
    from qmterm.core.settings.model import Settings

SHOWN = 20  # findings of one kind printed
LISTED = 1_000  # findings in the JSON object
FIRST_DAY = date(2003, 9, 10)  # where the vendor's daily bars begin


def pull(
    sessions: int | None,
    first: str | None,
    last: str | None,
    store: Path | None,
    sim: str | None,
    sim_token_file: Path | None,
    config: Path | None,
    *,
    as_json: bool,
) -> int:
    settings, _ = load_settings(config)
    if sessions is not None and first is not None:
        raise BadInput("give --sessions or --from, not both")
    bounds = (_day("--from", first), _day("--to", last))
    wanted = _sessions(sessions, settings)
    return asyncio.run(_pull(settings, wanted, bounds, store, sim, sim_token_file, as_json=as_json))


async def _pull(
    settings: Settings,
    sessions: int,
    bounds: tuple[date | None, date | None],
    store: Path | None,
    sim: str | None,
    sim_token_file: Path | None,
    *,
    as_json: bool,
) -> int:
    from qmterm.engine.sim_link import with_sim
    from qmterm.market.clock import StepClock, SystemClock
    from qmterm.market.history.history import History
    from qmterm.market.history.status import duration, pull_seconds
    from qmterm.market.rest.budget import Priority, asking_for
    from qmterm.market.rest.client import PolygonRest
    from qmterm.tape.grouped import numbered
    from qmterm.tape.layout import DAILY, stored_sessions

    clock: StepClock | SystemClock = SystemClock()
    if sim is not None:
        if sim_token_file is None:
            raise BadInput("--sim needs --sim-token-file, the file that the simulator wrote")
        from qmterm.commands.simulator import joined_simulator

        link = await asyncio.to_thread(joined_simulator, sim, sim_token_file)
        settings, key = with_sim(settings, link), link.token
        directory = store or places().history / f"sim-{link.world}"
    else:
        key = require_secret("polygon", "market data from Polygon")
        directory = store or places().history / "polygon"
    rest = PolygonRest(settings.polygon, key)
    try:
        if sim is not None:
            clock = StepClock((await rest.market_status()).server_ns)
        calendar = _calendar(et_date(clock.now()))
        days = _wanted(calendar, clock.now(), sessions, bounds)
        await asyncio.to_thread(numbered, directory, stored_sessions(directory, DAILY))
        history = History(rest, directory, calendar, clock)
        lacking = len(history.missing(days))
        rate = settings.polygon.budget_per_minute
        _say(f"{len(days)} sessions wanted, {lacking} to pull: about {duration(pull_seconds(lacking, rate))}")
        began = time.monotonic()

        def progress(done: int, of: int) -> None:
            left = max(pull_seconds(of - done, rate), (time.monotonic() - began) / done * (of - done))
            _say(f"{done} of {of} sessions, {duration(left)} left", again=True)

        with asking_for(Priority.HISTORY):  # evenly paced: a small plan's minute is not spent at once
            report = await history.pull(days, progress)
            fresh = len(await history.refresh_splits())
            fresh += await history.know_splits_since(days[0])
    finally:
        rest.close()
    if as_json:
        failed = {day.isoformat(): why for day, why in report.failed.items()}
        document = {"wanted": len(days), "pulled": len(report.pulled), "failed": failed, "new_splits": fresh}
        print(json.dumps({**document, "store": str(directory)}))
    else:
        done = f"{len(report.pulled)} sessions pulled, {len(report.failed)} not"
        if not report.pulled and not report.failed:
            done = f"all {len(days)} sessions were already here"
        print(f"{done}; {fresh} new splits; {directory}")
        for day, why in list(report.failed.items())[:SHOWN]:
            print(f"  {day}: {why}")
        if history.unsaved:
            print(f"  splits: {history.unsaved}")
    return 0 if report.complete and not history.unsaved else 1


def status(sessions: int | None, store: Path | None, config: Path | None, *, as_json: bool) -> int:
    from qmterm.market.clock import SystemClock
    from qmterm.market.history.status import duration
    from qmterm.market.history.status import status as look

    settings, _ = load_settings(config)
    now = SystemClock().now()
    calendar = _calendar(et_date(now))
    days = _wanted(calendar, now, _sessions(sessions, settings), (None, None))
    found = look(store or places().history / "polygon", days, settings.polygon.budget_per_minute)
    if as_json:
        held = [
            {"what": h.what, "sessions": h.sessions, "first": _text(h.first), "last": _text(h.last)} for h in found.held
        ]
        document: dict[str, Any] = {"store": str(found.directory), "held": held, "symbols": found.symbols}
        document |= {"size_bytes": found.size_bytes, "missing": [day.isoformat() for day in found.missing]}
        document["imports_only"] = len(found.imports_only)
        print(json.dumps({**document, "calls_per_minute": found.calls_per_minute, "eta_s": found.eta_s}))
        return 0
    print(f"{found.directory}: {found.symbols:,} symbols, {found.size_bytes / 1e6:,.1f} MB")
    for h in found.held:
        span = f" from {h.first} to {h.last}" if h.first else ""
        print(f"  {h.what:<24} {h.sessions:>6,} sessions{span}")
    if found.imports_only:
        print(f"  {len(found.imports_only):,} sessions hold imported rows only, newest {found.imports_only[-1]}")
    lacking = len(found.missing)
    if lacking:
        print(f"  {lacking} of the latest {len(days)} sessions are missing, newest {found.missing[-1]}: ", end="")
        print(f"`qmterm history pull` takes about {duration(found.eta_s)} at {found.calls_per_minute:,} calls a minute")
    else:
        print(f"  complete: the latest {len(days)} sessions are here")
    return 0


def verify(symbols: list[str], store: Path | None, config: Path | None, *, as_json: bool) -> int:
    from qmterm.market.clock import SystemClock
    from qmterm.market.history.verify import verify as walk

    load_settings(config)
    directory = store or places().history / "polygon"
    if not directory.is_dir():
        raise BadInput(
            f"{directory} does not exist: run `qmterm history pull` first, or name a folder with --store "
            f"(a simulator's is {places().history}/sim-WORLD)"
        )
    counts: Counter[str] = Counter()
    listed: list[dict[str, str]] = []
    for found in walk(directory, _calendar(et_date(SystemClock().now())), symbols or None):
        counts[found.code.value] += 1
        if as_json:
            if len(listed) < LISTED:
                row = {"code": found.code.value, "symbol": found.symbol, "day": found.day.isoformat()}
                listed.append({**row, "detail": found.detail, "to_do": found.to_do})
        elif counts[found.code.value] <= SHOWN:
            print(f"{found.day} {found.code.value:<13} {found.symbol:<8} {found.detail}; {found.to_do}")
    if as_json:
        print(json.dumps({"store": str(directory), "counts": dict(counts), "findings": listed}))
    else:
        said = ", ".join(f"{count:,} {code}" for code, count in sorted(counts.items()))
        print(f"{directory}: {said or 'nothing found'}")
    return 1 if counts else 0


def import_(file: Path, store: Path | None, config: Path | None, *, as_json: bool) -> int:
    from qmterm.market.clock import SystemClock
    from qmterm.market.history.importing import import_file
    from qmterm.tape.storing import storing

    load_settings(config)
    directory = store or places().history / "polygon"
    with storing(directory):
        report = import_file(file, directory, _calendar(et_date(SystemClock().now())), _say)
    if as_json:
        print(
            json.dumps(
                {
                    "store": str(directory),
                    "layout": report.layout,
                    "rows": report.rows,
                    "written": report.written,
                    "kept": report.kept,
                    "dropped": dict(report.dropped),
                    "closed_days": report.closed_days,
                    "splits": report.splits,
                    "sessions": len(report.sessions),
                }
            )
        )
    else:
        print(f"{report.layout}: {report.sentence()}; {directory}")
    return 0


def _sessions(wish: int | None, settings: Settings) -> int:
    if wish is None:
        return settings.engine.history_sessions
    if wish < 1:
        raise BadInput(f"--sessions {wish}: give the number of the latest sessions, 1 or more")
    return wish


def _wanted(
    calendar: SessionCalendar, now_ns: int, sessions: int, bounds: tuple[date | None, date | None]
) -> tuple[date, ...]:
    first, last = bounds
    newest = calendar.last_completed(now_ns)
    until = newest if last is None else min(last, newest)
    if until < FIRST_DAY:
        raise BadInput(f"--to {until}: the vendor's daily bars begin on {FIRST_DAY}")
    if first is None:
        there = calendar.sessions(FIRST_DAY, until)
        if sessions > len(there):
            raise BadInput(
                f"--sessions {sessions}: from {FIRST_DAY}, where the vendor's begin, there are {len(there):,}"
            )
        return there[-sessions:]
    days = calendar.sessions(max(first, FIRST_DAY), until)
    if not days:
        raise BadInput(f"there is no session from {first} to {until}")
    return days


def _calendar(today: date) -> SessionCalendar:
    return SessionCalendar.load(date(1990, 1, 1), today + timedelta(days=400))


def _day(name: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{name} {text!r}: give a date such as 2026-03-02") from error


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _say(text: str, again: bool = False) -> None:
    """On stderr; progress is written over itself, and only where a person watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}" if again else text, end="" if again else "\n", file=sys.stderr, flush=True)
