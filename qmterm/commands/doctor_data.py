"""`qmterm doctor`, market data: is the key good, how far is the clock off, what does the plan give.

One small call for each thing the plan may lack. The trap: a plan allows one stream connection, so a doctor that
connects beside a running engine would cut that engine's prices off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from qmterm.commands.doctor_plan import budget_check, refusals_check
from qmterm.commands.doctor_report import Check, fail, ok, warn
from qmterm.core.clock import NS, et_date
from qmterm.core.errors import DataAuthError, DataError, DataSilent, NotEntitled, RateLimited
from qmterm.core.settings.connections import Plan, PolygonSettings
from qmterm.core.settings.engine import MarketClock
from qmterm.core.settings.model import Settings
from qmterm.market.clock import SystemClock
from qmterm.market.rest.client import PolygonRest

SYMBOL = "AAPL"  # listed, optionable and in the news on every day
PATIENCE_S = 10.0  # of one call
OFF_WARN_S, OFF_FAIL_S = 1.5, 30.0
PRICING = "https://polygon.io/pricing"
KEY = "check QMTERM_POLYGON_KEY (`qmterm config show` says where it comes from)"


@dataclass(slots=True)
class Findings:
    """What later checks need from earlier ones."""

    today: date | None = None
    price: float | None = None
    contract: str | None = None
    checks: list[Check] = field(default_factory=list)
    quiet: bool = False  # the server does not answer: the other checks would only wait


async def data_checks(settings: Settings, key: str, engine_runs: bool, history: Path) -> list[Check]:
    """Every check of the data server, in the order in which a run needs them; `history`: where a run keeps its own."""
    patient = hurried(settings.polygon)
    rest = PolygonRest(patient, key)
    found = Findings()
    try:
        found.checks.append(await _key_and_clock(settings, rest, found))
        if found.quiet or found.today is None:
            return found.checks
        for name, question in _QUESTIONS:
            found.checks.append(await _asked(name, question(rest, found, settings), patient))
        found.checks.append(budget_check(settings, rest.budget.view(), history, found.today))
        found.checks.append(refusals_check(settings, history, found.today))
    finally:
        rest.close()
    for cluster in ("stocks", "options"):
        found.checks.append(await _stream(patient, key, cluster, found, engine_runs))
    return found.checks


def hurried(settings: PolygonSettings) -> PolygonSettings:
    """The same addresses with the patience of somebody who waits at a prompt."""
    return settings.model_copy(
        update={
            "attempts": 1,
            "connect_timeout_s": min(settings.connect_timeout_s, PATIENCE_S / 2),
            "read_timeout_s": min(settings.read_timeout_s, PATIENCE_S),
            "deadline_s": min(settings.deadline_s, PATIENCE_S),
            "open_timeout_s": min(settings.open_timeout_s, PATIENCE_S),
        }
    )


async def _key_and_clock(settings: Settings, rest: PolygonRest, found: Findings) -> Check:
    """The market status: an answer means that the key is good; its time says how far this machine's clock is off."""
    name, host = "Polygon key, clock", urlsplit(settings.polygon.rest_url).netloc
    clock = SystemClock()
    trips: list[float] = []
    offsets: list[float] = []
    market = ""
    samples = 1 if settings.polygon.plan is Plan.BASIC else 4
    try:
        for _ in range(samples):
            sent, sent_s = clock.now(), clock.monotonic()
            async with asyncio.timeout(2 * PATIENCE_S):
                status = await rest.market_status()
            trip = clock.monotonic() - sent_s
            trips.append(trip * 1000)
            offsets.append((status.server_ns - sent) / NS - trip / 2)
            market, found.today = status.market, et_date(status.server_ns)
    except DataAuthError as error:
        return fail(name, str(error), KEY)
    except (DataError, TimeoutError) as error:
        found.quiet = True
        why = str(error) or f"no answer from {host}"
        return fail(name, why, "check the network, a proxy, and [polygon] rest_url; nothing else of it was tried")
    # The first answer pays for the connection and for loading the client.
    trips, offsets = trips[samples > 1 :], offsets[samples > 1 :]
    offset = sorted(offsets)[len(offsets) // 2]
    saw = f"{host} takes the key; market {market}; round trips {_ms(trips)}; server clock {_off(offset)} against ours"
    if settings.engine.market_clock is MarketClock.SERVER:
        return ok(name, f"{saw}, which is followed (market_clock = server)")
    todo = "set this machine's clock (timedatectl set-ntp true)"
    if abs(offset) > OFF_FAIL_S:
        return fail(name, saw, f'{todo}, or follow the server with [engine] market_clock = "server"')
    return warn(name, saw, todo) if abs(offset) > OFF_WARN_S else ok(name, saw)


def _ms(trips: list[float]) -> str:
    return f"{min(trips):.0f} to {max(trips):.0f} ms" if len(trips) > 1 else f"{trips[0]:.0f} ms"


def _off(seconds: float) -> str:
    if abs(seconds) < 120:
        return f"{seconds:+.1f} s"
    return f"{seconds / 3600:+,.1f} h" if abs(seconds) < 172_800 else f"{seconds / 86_400:+,.1f} days"


async def _asked(name: str, question: Awaitable[Check], settings: PolygonSettings) -> Check:
    """One capability; every way it can fail is a check of its own, never an exception."""
    try:
        async with asyncio.timeout(2 * PATIENCE_S):
            return await question
    except NotEntitled as error:
        severity = warn if name in _OPTIONAL else fail
        return severity(name, f"not in your plan: {error}", f"{_WITHOUT[name]}; plans: {PRICING}")
    except RateLimited as error:
        return warn(name, str(error), "wait a minute and run doctor again, or choose a larger plan")
    except DataAuthError as error:
        return fail(name, str(error), KEY)
    except (DataSilent, TimeoutError) as error:
        slow = " (5 calls a minute are all that plan = basic allows)" if settings.plan is Plan.BASIC else ""
        return fail(name, f"{str(error) or 'no answer in time'}{slow}", "try again; then check network and proxy")
    except DataError as error:
        return fail(name, str(error), "try again; report it with this line if it stays")


async def _snapshot(rest: PolygonRest, found: Findings, _settings: Settings) -> Check:
    name = "stock snapshot"
    body = await rest.caller.one(
        "stock snapshot", lambda c: c.get_snapshot_all("stocks", tickers=[SYMBOL], raw=True), _object
    )
    row: dict[str, Any] = next(iter(body.get("tickers") or ()), {})
    quote, trade = row.get("lastQuote"), row.get("lastTrade")
    found.price = (trade or {}).get("p") or (row.get("prevDay") or {}).get("c")
    delayed = " 15 minutes late," if body.get("status") == "DELAYED" else ""
    saw = f"{SYMBOL}:{delayed} last trade {_yes(trade)}, quote {_yes(quote)}"
    if not row:
        return fail(name, f"the server knows no {SYMBOL}", "check [polygon] rest_url")
    if quote is None or trade is None or delayed:
        return warn(name, saw, f"{_WITHOUT[name]}; plans: {PRICING}")
    return ok(name, saw)


async def _history(rest: PolygonRest, found: Findings, settings: Settings) -> Check:
    """A day as old as the oldest that indicators want."""
    assert found.today is not None
    day = found.today - timedelta(days=settings.engine.history_sessions * 7 // 5)
    day -= timedelta(days=max(0, day.weekday() - 4))
    bars = await rest.grouped_daily(day)
    return ok("daily history", f"{day}: {len(bars.symbols):,} stocks; the plan reaches back far enough")


async def _chain(rest: PolygonRest, found: Findings, _settings: Settings) -> Check:
    name = "option chain"
    assert found.today is not None
    filters: dict[str, Any] = {
        "expiration_date.gte": (found.today + timedelta(days=7)).isoformat(),
        "expiration_date.lte": (found.today + timedelta(days=60)).isoformat(),
        "limit": 50,
    }
    if found.price:
        filters |= {"strike_price.gte": round(found.price * 0.97), "strike_price.lte": round(found.price * 1.03)}
    body = await rest.caller.one(
        "option chain", lambda c: c.list_snapshot_options_chain(SYMBOL, params=dict(filters), raw=True), _object
    )
    rows: list[dict[str, Any]] = body.get("results") or []
    quoted = [row for row in rows if row.get("last_quote")]
    greeks = sum(1 for row in rows if row.get("greeks"))
    found.contract = next((row["details"]["ticker"] for row in quoted or rows if row.get("details")), None)
    delayed = any((row.get("last_quote") or {}).get("timeframe") == "DELAYED" for row in rows)
    saw = f"{len(rows)} {SYMBOL} contracts, {len(quoted)} with quotes, {greeks} with the vendor's Greeks"
    if not quoted or delayed or body.get("status") == "DELAYED":
        return warn(name, f"{saw}{', 15 minutes late' if delayed else ''}", f"{_WITHOUT[name]}; plans: {PRICING}")
    return ok(name, saw)


async def _news(rest: PolygonRest, _found: Findings, _settings: Settings) -> Check:
    items = await rest.news(None, SystemClock().now() - 3_650 * 86_400 * NS, limit=1)
    saw = f"newest: {items[0].title[:60]}" if items else "no article yet"
    return ok("news", saw)


async def _earnings(rest: PolygonRest, found: Findings, _settings: Settings) -> Check:
    assert found.today is not None
    rows = await rest.earnings([SYMBOL], found.today, found.today + timedelta(days=200))
    return ok("earnings dates", f"{len(rows)} coming for {SYMBOL}" + (f", next {rows[0].day}" if rows else ""))


_QUESTIONS: tuple[tuple[str, Callable[[PolygonRest, Findings, Settings], Awaitable[Check]]], ...] = (
    ("stock snapshot", _snapshot),
    ("daily history", _history),
    ("option chain", _chain),
    ("news", _news),
    ("earnings dates", _earnings),
)
_OPTIONAL = frozenset({"news", "earnings dates"})
_WITHOUT = {
    "stock snapshot": "real-time prices need a stocks plan with trades and quotes (Advanced)",
    "daily history": "the scanner needs this much history of daily bars (a paid stocks plan)",
    "option chain": "trading needs an options plan with real-time quotes (Advanced)",
    "news": "the news pane stays empty",
    "earnings dates": "without the earnings add-on no entry is checked against earnings dates",
}


def _object(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])


def _yes(value: object) -> str:
    return "missing" if value is None else "yes"


async def _stream(settings: PolygonSettings, key: str, cluster: str, found: Findings, engine_runs: bool) -> Check:
    """Log in to one cluster and ask for one channel of quotes; the server's answer is the entitlement."""
    from qmterm.commands.doctor_stream import ask_stream

    name = f"{cluster} stream"
    if engine_runs:
        saw = "not tried: an engine is running and a plan allows one connection"
        return warn(name, saw, "its own header shows the feed; stop it to try this")
    symbol = SYMBOL if cluster == "stocks" else found.contract
    if symbol is None:
        return warn(name, "not tried: no contract is known to ask for", "see option chain above")
    return await ask_stream(name, f"{settings.ws_url}/{cluster}", key, symbol, settings.open_timeout_s)
