"""`qmterm bars SYMBOL`: a session's bars made from its own trades, beside the vendor's.

The trap: a busy stock has a million trades a day, twenty calls or more, so on a small plan this takes a while.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import date
from typing import Any, TextIO

from qmterm.commands.chain import need_stock, stock_name
from qmterm.commands.market_session import MarketSession, MarketWish, open_market
from qmterm.commands.progress import progress
from qmterm.core.errors import BadInput


def from_command_line(
    symbol: str, day: str | None, wish: MarketWish, *, as_json: bool, out: TextIO | None = None
) -> int:
    """0 when every bar is the vendor's, 1 when one is not; BadInput for a day that is no session or not over."""
    name = stock_name(symbol)
    try:
        wanted = None if day is None else date.fromisoformat(day)
    except ValueError as error:
        raise BadInput(f"--day {day!r}: give a date such as 2026-03-02") from error
    body = asyncio.run(_read(name, wanted, wish))
    target = out if out is not None else sys.stdout
    if as_json:
        print(json.dumps(body, allow_nan=False), file=target)
    else:
        _print(body, target)
    return 0 if body["same"] else 1


async def _read(symbol: str, wanted: date | None, wish: MarketWish) -> dict[str, Any]:
    from qmterm.market.bars.compared import compare

    async with progress("opening the market") as say, open_market(wish) as session:
        day = _session(session, wanted)
        await need_stock(session, symbol)
        say(f"reading the trades of {symbol} on {day}")
        found = await compare(session.rest, session.calendar, symbol, day, session.now())
        return {
            **session.about(),
            **asdict(found),
            "day": day.isoformat(),
            "spans": [{**asdict(span), "same": span.same} for span in found.spans],
            "same": found.same,
        }


def _session(session: MarketSession, wanted: date | None) -> date:
    newest = session.calendar.last_completed(session.now())
    if wanted is None:
        return newest
    if not session.calendar.first <= wanted <= newest or not session.calendar.is_session(wanted):
        raise BadInput(
            f"--day {wanted}: give a session that is over, from {session.calendar.first} to {newest} (the newest)"
        )
    return wanted


def _print(body: dict[str, Any], out: TextIO) -> None:
    print(f"{'BARS':<11} {'OURS':>6} {'THEIRS':>6} {'EQUAL':>6}", file=out)
    for span in body["spans"]:
        print(f"{span['name']:<11} {span['ours']:>6} {span['theirs']:>6} {span['equal']:>6}", file=out)
        for words in span["differ"]:
            print(f"  {words}", file=out)
    theirs = "unknown" if body["vendor_volume"] is None else f"{body['vendor_volume']:,.0f} with the extended hours"
    print(f"volume of the session {body['volume']:,.0f}, the vendor's day {theirs}", file=out)
    for number, count in body["unknown"].items():
        print(f"trade condition {number} is in no table: {count:,} trades counted fully", file=out)
    whole = "" if body["complete"] else ", not all there are: differences are to be expected"
    print(f"{body['symbol']} on {body['day']}: {body['trades']:,} trades{whole}; {body['source']}", file=out)
