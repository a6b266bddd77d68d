"""A chain of 10,000 contracts from its pages to priced rows, beside the same pages fetched and thrown away.

The trap: a machine's loopback is faster than any network, so only the time beyond the wire says something about us; it
is taken from turns that alternate, because another process on the machine hits both.
"""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from qmterm.bench.machine import Machine
from qmterm.bench.report import Limit, Report, Row
from qmterm.bench.timing import race
from qmterm.core.calendar import SessionCalendar, years_to
from qmterm.core.clock import from_et
from qmterm.core.instruments import OptionContract, Right
from qmterm.core.settings.connections import PolygonSettings

CONTRACTS, PAGE = 10_000, 250
MOST_MS = 50.0
SPOT, VOL, RATE = 500.0, 0.24, 0.04
DAY = date(2026, 3, 2)
EXPIRIES = 25
_NS = 1_000_000_000


def run(contracts: int = CONTRACTS, *, quick: bool, progress: Callable[[str], None]) -> Report:
    progress("chain of options")
    machine = Machine.here()
    return Report("chain", machine, tuple(rows(machine, quick, contracts)))


def rows(machine: Machine, quick: bool, contracts: int = CONTRACTS) -> list[Row]:
    """One row; `machine` is what every bench is given."""
    calendar = SessionCalendar.load(DAY - timedelta(days=30), DAY + timedelta(days=1_200))
    pages = _pages(contracts, calendar)
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder) / "pages", pages) as url:
        seconds, priced = _race(url, len(pages), calendar, rounds=4 if quick else 12)
    ours, wire = seconds["chain"], seconds["wire"]
    beyond = (ours.best - wire.best) * 1e3
    return [
        Row(
            work=f"chain of {contracts:,} contracts, {len(pages)} pages: time beyond the wire",
            ours=beyond,
            unit="ms",
            must=Limit(most=MOST_MS),
            note=(
                f"{ours.best * 1e3:.0f} ms to {priced:,} priced rows, {wire.best * 1e3:.0f} ms for the pages alone; "
                f"best of {len(ours.turns)} turns, medians {ours.median * 1e3:.0f} and {wire.median * 1e3:.0f} ms"
            ),
        )
    ]


def _race(url: str, pages: int, calendar: SessionCalendar, rounds: int) -> tuple[dict[str, Any], int]:
    from qmterm.market.board.board import Board
    from qmterm.market.chains.chains import Chains
    from qmterm.market.rest.client import PolygonRest
    from qmterm.market.rest.vendor import open_vendor
    from qmterm.market.warm_up import warm_up

    settings = PolygonSettings(rest_url=url, page_cap=2_000, calls_per_minute=60_000)
    rest = PolygonRest(settings, "bench")
    vendor = open_vendor(settings, "bench")
    now = from_et(DAY, 10, 0)
    priced = 0
    loop = asyncio.new_event_loop()

    def chain() -> None:
        nonlocal priced
        board = Board(("SPY",))
        reading = Chains(rest, board, calendar).read("SPY", now, DAY, DAY + timedelta(days=1_100))
        chain = loop.run_until_complete(reading)
        priced = int(np.isfinite(chain.delta).sum())

    def wire() -> None:
        for page in range(pages):
            vendor.follow(f"{url}/v3/snapshot/options/SPY?cursor={page}")

    try:
        warm_up()
        return dict(race({"chain": chain, "wire": wire}, rounds=rounds, budget_s=20.0)), priced
    finally:
        rest.close()
        vendor.close()
        loop.close()


@contextmanager
def _server(file: Path, pages: list[bytes]) -> Iterator[str]:
    file.write_bytes(msgspec.msgpack.encode([gzip.compress(page, 6) for page in pages]))
    process = subprocess.Popen(
        [sys.executable, "-m", "qmterm.bench.chain_server", str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            output, end = process.stdout, process.stdin
            if output is None or end is None:
                raise BrokenPipeError("the server process has no pipes")
            yield f"http://127.0.0.1:{int(output.readline())}"
            end.close()
    finally:
        if process.poll() is None:
            process.kill()


def _pages(contracts: int, calendar: SessionCalendar) -> list[bytes]:
    """The chain as the vendor would send it, quoted around the model's values."""
    from qmterm.quant.options.american import price

    now = from_et(DAY, 10, 0)
    days = [calendar.previous(DAY + timedelta(days=8 + 40 * step)) for step in range(EXPIRIES)]
    each = contracts // EXPIRIES // 2
    # In the service's order: calls before puts, by strike.
    options = [
        OptionContract("SPY", day, right, Decimal(200 + 3 * step))
        for day in days
        for right in (Right.CALL, Right.PUT)
        for step in range(each)
    ]
    strike = np.array([float(option.strike) for option in options])
    is_call = np.array([option.right is Right.CALL for option in options])
    years = np.array([years_to(now, calendar.expiry_ns(option.expiry)) for option in options])
    value = price(SPOT, strike, years, RATE, 0.0, VOL, is_call)
    bid, ask = np.floor(value * 100 - 2) / 100, np.ceil(value * 100 + 2) / 100
    made = [_row(option, max(float(b), 0.0), float(a), now) for option, b, a in zip(options, bid, ask, strict=True)]
    return [
        msgspec.json.encode(
            {
                "results": made[start : start + PAGE],
                "status": "OK",
                "request_id": f"{start:032x}",
                **_next(start // PAGE + 1, last=start + PAGE >= len(made)),
            }
        )
        for start in range(0, len(made), PAGE)
    ]


def _next(page: int, *, last: bool) -> dict[str, str]:
    return {} if last else {"next_url": f"https://api.polygon.io/v3/snapshot/options/SPY?cursor={page}"}


def _row(option: OptionContract, bid: float, ask: float, now_ns: int) -> dict[str, Any]:
    middle = round((bid + ask) / 2, 4)
    return {
        "break_even_price": float(option.strike) + middle,
        "day": {
            "change": 0.12,
            "change_percent": 1.5,
            "close": middle,
            "high": middle + 0.2,
            "last_updated": now_ns - 60 * _NS,
            "low": max(middle - 0.2, 0.01),
            "open": middle,
            "previous_close": middle,
            "volume": 120,
            "vwap": middle,
        },
        "details": {
            "contract_type": "call" if option.right is Right.CALL else "put",
            "exercise_style": "american",
            "expiration_date": option.expiry.isoformat(),
            "shares_per_contract": 100,
            "strike_price": float(option.strike),
            "ticker": option.polygon,
        },
        "greeks": {"delta": 0.51234, "gamma": 0.00412, "theta": -0.1321, "vega": 0.4312},
        "implied_volatility": 0.2412,
        "last_quote": {
            "ask": ask,
            "ask_exchange": 309,
            "ask_size": 41,
            "bid": bid,
            "bid_exchange": 313,
            "bid_size": 38,
            "last_updated": now_ns - _NS,
            "midpoint": middle,
            "timeframe": "REAL-TIME",
        },
        "last_trade": {
            "conditions": [209],
            "exchange": 316,
            "price": max(middle, 0.01),
            "sip_timestamp": now_ns - 30 * _NS,
            "size": 2,
            "timeframe": "REAL-TIME",
        },
        "open_interest": 1_543,
        "underlying_asset": {
            "change_to_break_even": 4.2,
            "last_updated": now_ns - 2 * _NS,
            "price": SPOT,
            "ticker": "SPY",
            "timeframe": "REAL-TIME",
        },
    }
