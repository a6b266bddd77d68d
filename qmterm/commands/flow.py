"""`qmterm flow [SYMBOL…]`: sweeps, blocks and unusual contracts, from the running engine or read over REST.

The trap: the engine knows the contracts that it streams, REST the busiest ones of a stock; neither is the whole market,
so every answer says what it covers.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TextIO

from qmterm.commands.chain import cell, need_stock, stock_name
from qmterm.commands.market_session import MarketSession, MarketWish, open_market
from qmterm.commands.places import places
from qmterm.commands.progress import progress
from qmterm.core.clock import to_et
from qmterm.core.errors import BadInput, EngineUnreachable

MOST_SYMBOLS, MOST_CONTRACTS = 10, 200
PRINTS = (
    ("TIME", 8, 0),
    ("CONTRACT", 22, 0),
    ("WHAT", 11, 0),
    ("KIND", 11, 0),
    ("SIDE", 9, 0),
    ("SIZE", 7, 0),
    ("PRICE", 8, 2),
    ("PREMIUM", 11, 0),
    ("VOL/OI", 7, 2),
    ("OPENING", 7, 0),
    ("SCORE", 5, 0),
)
CONTRACTS = (
    ("CONTRACT", 22, 0),
    ("VOLUME", 8, 0),
    ("OI", 8, 0),
    ("VOL/OI", 7, 2),
    ("PREMIUM", 11, 0),
    ("BOUGHT", 11, 0),
    ("SOLD", 11, 0),
    ("SWEEPS", 6, 0),
    ("BLOCKS", 6, 0),
    ("SCORE", 5, 0),
)


def from_command_line(
    symbols: Sequence[str], contracts: int, wish: MarketWish, *, as_json: bool, out: TextIO | None = None
) -> int:
    """From an engine that watches the symbols, else from REST; EngineUnreachable when there is neither."""
    names = list(dict.fromkeys(stock_name(symbol) for symbol in symbols))
    if len(names) > MOST_SYMBOLS:
        raise BadInput(f"{len(names)} symbols in one question: options flow is read for at most {MOST_SYMBOLS}")
    if not 1 <= contracts <= MOST_CONTRACTS:
        raise BadInput(f"--contracts {contracts}: give a number from 1 to {MOST_CONTRACTS}")
    body = _of_engine(names, wish)
    if body is None:
        if not names:
            raise EngineUnreachable(
                "no engine answers, so nothing is watched: name symbols to read their flow over REST (qmterm flow AAPL)"
            )
        body = asyncio.run(_of_rest(names, contracts, wish))
    target = out if out is not None else sys.stdout
    if as_json:
        print(json.dumps(body, allow_nan=False), file=target)
    else:
        print_flow(body, target)
    return 0


def _of_engine(names: list[str], wish: MarketWish) -> dict[str, Any] | None:
    """The running engine's view; None when there is none, when it does not watch the symbols, or a market was named."""
    from qmterm.engine.control import ask

    if wish.source is not None or wish.sim_url is not None:
        return None
    try:
        reply = ask(places().socket, ["flow", *names])
    except EngineUnreachable:
        return None
    data = reply.get("data")
    if not reply.get("ok") or not isinstance(data, dict):
        return None
    if not set(names) <= set(data["underlyings"]):
        return None
    return {"from": "engine", **data}


async def _of_rest(names: list[str], contracts: int, wish: MarketWish) -> dict[str, Any]:
    from qmterm.market.flow.from_rest import read_flow

    async with progress("opening the market") as say, open_market(wish) as session:
        for name in names:
            await need_stock(session, name)
        say(f"reading the trades of {', '.join(names)}")
        now = session.now()
        flow, covered = await read_flow(
            session.rest, session.board, session.calendar, names, now, contracts, _means(session)
        )
        from qmterm.engine.signals.flow import shown_contract, shown_print

        return {
            "from": "rest",
            **session.about(),
            "prints": [
                asdict(shown_print(row)) for row in sorted(flow.rows, key=lambda row: row.time_ns, reverse=True)
            ],
            "contracts": [asdict(shown_contract(row)) for row in flow.contracts()],
            "underlyings": names,
            "seen": flow.prints,
            "cancelled": flow.cancelled,
            "dropped": 0,
            "unknown_conditions": sorted(flow.conditions.unknown),
            "covered": [asdict(one) for one in covered],
        }


def _means(session: MarketSession) -> Any:
    from qmterm.market.flow.volumes import VolumeStore

    world = f"sim-{session.sim.world}" if session.sim is not None else "polygon"
    return VolumeStore(places().history / world / "contract-volumes").means(session.today)


def print_flow(body: dict[str, Any], out: TextIO) -> None:
    """Sweeps and blocks, contracts, and what was covered."""
    if body["prints"]:
        print(_heading(PRINTS), file=out)
    for row in body["prints"]:
        values = (
            f"{to_et(row['time_ns']):%H:%M:%S}",
            *(row[name] for name in ("label", "what", "kind", "side", "size", "price", "premium", "vol_oi")),
            row["opening"] or None,
            row["score"],
        )
        print(_line(values, PRINTS), file=out)
    if body["contracts"]:
        print(_heading(CONTRACTS), file=out)
    for row in body["contracts"]:
        names = ("label", "volume", "open_interest", "vol_oi", "premium", "bought", "sold", "sweeps", "blocks", "score")
        print(_line(tuple(row[name] for name in names), CONTRACTS), file=out)
    for line in covers(body):
        print(line, file=out)


def covers(body: dict[str, Any]) -> list[str]:
    """What the answer is about, and what is missing from it."""
    lines = [f"{len(body['prints'])} sweeps and blocks, {len(body['contracts'])} unusual contracts"]
    if body["from"] == "engine":
        watched = ", ".join(body["underlyings"]) or "nothing yet"
        lines[0] += f" among {body['seen']:,} prints that the engine streamed of {watched}"
        if body["dropped"]:
            lines.append(f"{body['dropped']:,} prints came too fast to be read")
        return lines
    lines[0] += f"; {body['market_time']} market {body['market']}, {body['source']}"
    for one in body["covered"]:
        share = "" if one["volume_share"] is None else f", {100 * one['volume_share']:.0f} % of the volume"
        words = f"{one['underlying']}: {one['contracts']} of {one['traded']} traded contracts{share}"
        words += "" if one["complete"] else ", not all of their trades"
        words += {"complete": "", "partial": ", quotes of a part of the day", "none": ", no quotes: sides unknown"}[
            one["quotes"]
        ]
        lines.append(words)
    return lines


def _heading(columns: Sequence[tuple[str, int, int]]) -> str:
    return " ".join(f"{name:>{width}}" for name, width, _ in columns)


def _line(values: Sequence[object], columns: Sequence[tuple[str, int, int]]) -> str:
    return " ".join(
        cell(value, width, decimals) for value, (_, width, decimals) in zip(values, columns, strict=True)
    ).rstrip()
