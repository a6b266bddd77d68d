"""`qmterm bench stream`: frames to the board, the whole way over a socket, and the market snapshot.

The trap: speed counts only if the board is right, so every row that fills one says how many of its numbers differ
from what json.loads and the plain rules make of the same bytes.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import logging
import statistics
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from qmterm.bench.machine import Machine
from qmterm.bench.report import Limit, Report, Row
from qmterm.bench.stream_clients import Client, OurClient, StreamServer, flood_seconds, latencies_us, polygon_client
from qmterm.bench.timing import Seconds, quietly, race
from qmterm.market.board.board import Board
from qmterm.market.board.events import Event
from qmterm.market.board.plain import PlainDecoder
from qmterm.market.board.report import FrameReport
from qmterm.market.board.wire import FrameDecoder
from qmterm.market.board.wire import warm_up as load_decoder
from qmterm.market.rest import snapshot

SYMBOLS = 10_000
WHOLE_MARKET = 32_345
MS = 1_772_463_600_000  # 10:00 New York, 2026-03-02
FRAME = 100  # events
_PEER = "polygon-api-client"
_DIFFER = "board numbers that differ from json.loads and the plain rules"


def run(size: int = SYMBOLS, *, quick: bool = False, progress: Callable[[str], None] = lambda _: None) -> Report:
    """All rows over `size` symbols; `quick` takes one turn of each (the figures are rough then)."""
    machine = Machine.here()
    progress("loading the machine code")
    load_decoder()
    snapshot.warm_up()
    symbols = names(size)
    rows: list[Row] = []
    for count, must, goal in (
        (FRAME, Limit(ratio=15.0, error=0.0), Limit(ratio=25.0, error=0.0)),
        (10, None, None),
        (1, Limit(ratio=5.0, error=0.0), None),
    ):
        progress(f"frames of {count}")
        rows.append(_decode_row(symbols, count, 1 if quick else 9, must, goal))
    progress("over a socket")
    rows += _socket_rows(symbols, quick)
    market = WHOLE_MARKET if size == SYMBOLS else size
    progress(f"snapshot of {market:,}")
    rows.append(_snapshot_row(market, 1 if quick else 7))
    loop = "installed, not used here" if importlib.util.find_spec("uvloop") else "not installed"
    notes = (
        f"half quotes, half second bars of {size:,} symbols; peer: json.loads and polygon's parse into its objects",
        f"sockets: a server process on 127.0.0.1, no TLS, no compression, asyncio for both (uvloop {loop})",
    )
    return Report("stream", machine, tuple(rows), notes)


# --- what is sent ---


def names(count: int, seed: int = 7) -> list[str]:
    """Different tickers of three to five letters."""
    random = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(chr(65 + letter) for letter in random.integers(0, 26, random.integers(3, 6)))] = None
    return list(found)


def stream_frames(symbols: list[str], frames: int, events: int, seed: int = 11) -> list[bytes]:
    """Frames in the vendor's own form, keys in its order, no white space."""
    random = np.random.default_rng(seed)
    made: list[bytes] = []
    number = 0
    for _ in range(frames):
        body = []
        for _ in range(events):
            body.append(_event(random, symbols[random.integers(len(symbols))], number))
            number += 1
        made.append(json.dumps(body, separators=(",", ":")).encode())
    return made


def quote_event(random: np.random.Generator, symbol: str, number: int) -> dict[str, Any]:
    price = round(float(random.uniform(5.0, 500.0)), 3)
    sizes = random.integers(1, 900, 2)
    sides = {"bx": 4, "bp": price, "bs": int(sizes[0]), "ax": 7, "ap": round(price + 0.03, 3), "as": int(sizes[1])}
    return {"ev": "Q", "sym": symbol, **sides, "c": 0, "i": [604], "t": MS + number, "q": 50_385_480, "z": 3}


def _event(random: np.random.Generator, symbol: str, number: int) -> dict[str, Any]:
    if number % 2 == 0:
        return quote_event(random, symbol, number)
    price = round(float(random.uniform(5.0, 500.0)), 3)
    volume = int(random.integers(100, 9_000))
    day = {"v": volume, "av": 8_642_007 + number, "op": price, "vw": round(price + 0.0041, 4)}
    bar = {"o": price, "c": round(price + 0.01, 3), "h": round(price + 0.05, 3), "l": round(price - 0.03, 3)}
    more = {"a": round(price * 1.002, 4), "z": 50, "s": MS + number, "e": MS + number + 1_000}
    return {"ev": "A", "sym": symbol, **day, **bar, **more}


def json_board(symbols: list[str], frames: list[bytes]) -> Board:
    """What json.loads and the plain rules make of the frames."""
    board = Board(symbols)
    plain = PlainDecoder(board, "stocks")
    for frame in frames:
        plain.write(msgspec.convert(json.loads(frame), list[Event]), 0, FrameReport())
    return board


def differences(one: Board, other: Board) -> int:
    """How many of the boards' numbers are not the same bits."""
    count = int(one.stocks.symbols != other.stocks.symbols)
    for mine, theirs in (
        (one.stocks.float_block, other.stocks.float_block),
        (one.stocks.time_block, other.stocks.time_block),
        *zip(one.minutes.arrays, other.minutes.arrays, strict=True),
    ):
        count += int((np.ascontiguousarray(mine).view(np.int64) != np.ascontiguousarray(theirs).view(np.int64)).sum())
    return count


# --- rows ---


def _decode_row(symbols: list[str], events: int, rounds: int, must: Limit | None, goal: Limit | None) -> Row:
    from polygon.websocket.models import parse
    from polygon.websocket.models.common import Market

    frames = stream_frames(symbols, max(20, 10_000 // events), events)
    some = frames[: max(2, 2_000 // events)]
    board = Board(symbols)
    decoder = FrameDecoder(board, "stocks")
    log = logging.getLogger("WebSocketClient")

    def ours() -> None:
        for frame in frames:
            decoder.apply(frame, 0)

    def theirs() -> None:
        for frame in some:
            parse(json.loads(frame), log, Market.Stocks)

    timed = race({"ours": quietly(ours), "peer": quietly(theirs)}, rounds=rounds, budget_s=6.0)
    rate = len(frames) * events / timed["ours"].best
    peer = len(some) * events / timed["peer"].best
    again = Board(symbols)
    checker = FrameDecoder(again, "stocks")
    for frame in frames:
        checker.apply(frame, 0)
    return Row(
        work=f"frames of {events} event{'s' if events > 1 else ''} to the board",
        ours=rate,
        unit="events/s",
        peer=peer,
        peer_name=f"{_PEER} json + parse",
        ratio=rate / peer,
        max_error=float(differences(again, json_board(symbols, frames)) + checker.slow_frames),
        error_of=_DIFFER,
        must=must,
        goal=goal,
        note=f"{1e6 * events / rate:.3g} µs a frame; {timed['ours'].note()}",
    )


def _socket_rows(symbols: list[str], quick: bool) -> list[Row]:
    frames = stream_frames(symbols, 100 if quick else 500, FRAME)
    events = len(frames) * FRAME
    ours = OurClient(symbols)
    our_times, their_times = (5, 1) if quick else (20, 2)
    paced = 60 if quick else 600
    flood: dict[str, list[float]] = {"ours": [], "peer": []}
    waits: dict[str, list[float]] = {"ours": [], "peer": []}
    clients: tuple[tuple[str, Client, int], ...] = (("ours", ours, our_times), ("peer", polygon_client, their_times))
    with StreamServer(frames) as server:
        for _ in range(1 if quick else 3):
            for name, client, times in clients:
                gc.collect()
                flood[name].append(flood_seconds(client, server, times, events) / (times * events))
        differ = differences(ours.board, json_board(symbols, frames * 2))
        for _ in range(1 if quick else 3):
            for name, client, _ in clients:
                gc.collect()
                waits[name] += latencies_us(client, server, paced, 200)
    rate, peer = 1.0 / min(flood["ours"]), 1.0 / min(flood["peer"])
    rows = [
        Row(
            work=f"socket to board, frames of {FRAME} events at once",
            ours=rate,
            unit="events/s",
            peer=peer,
            peer_name=f"{_PEER} WebSocketClient, parsed objects",
            ratio=rate / peer,
            max_error=float(differ),
            error_of=_DIFFER,
            must=Limit(ratio=8.0, error=0.0),
            goal=Limit(ratio=15.0, error=0.0),
            note=f"{Seconds(tuple(seconds * events * our_times for seconds in flood['ours'])).note()}",
        )
    ]
    for share, least, most in ((50, 2.5, 0.4), (99, 1.25, 0.8)):
        mine, theirs = (statistics.quantiles(waits[name], n=100)[share - 1] for name in ("ours", "peer"))
        rows.append(
            Row(
                work=f"sent to board at 200 frames of {FRAME} events a second, p{share}",
                ours=mine,
                unit="µs",
                peer=theirs,
                peer_name=f"{_PEER} WebSocketClient, parsed objects",
                ratio=theirs / mine,
                must=Limit(ratio=least),
                note=f"at most {most:g} of the peer's is asked; {len(waits['ours'])} frames each",
            )
        )
    return rows


def _snapshot_row(market: int, rounds: int) -> Row:
    from polygon.rest.models.snapshot import TickerSnapshot

    body = snapshot_body(names(market))
    parse: Any = TickerSnapshot.from_dict

    def ours() -> None:
        Board().load_snapshot(snapshot.snapshot_columns(body), 0)

    def theirs() -> list[Any]:
        return [parse(ticker) for ticker in json.loads(body)["tickers"]]

    timed = race({"ours": quietly(ours), "peer": quietly(theirs)}, rounds=rounds, budget_s=10.0)
    fast, plain = Board(), Board()
    fast.load_snapshot(snapshot.snapshot_columns(body), 0)
    plain.load_snapshot(snapshot.plain_columns(body), 0)
    return Row(
        work=f"snapshot of {market:,} tickers to the board",
        ours=1000.0 * timed["ours"].best,
        unit="ms",
        peer=1000.0 * timed["peer"].best,
        peer_name=f"{_PEER} json + TickerSnapshot.from_dict",
        ratio=timed["peer"].best / timed["ours"].best,
        max_error=float(differences(fast, plain)),
        error_of="board numbers that differ from the full JSON reader's",
        must=Limit(ratio=8.0, error=0.0),
        note=f"{len(body) / 1e6:.1f} MB, onto an empty board; {timed['ours'].note()}",
    )


def snapshot_body(symbols: list[str], seed: int = 13) -> bytes:
    """The answer to the whole-market call, in the vendor's form."""
    random = np.random.default_rng(seed)
    tickers = []
    for number, symbol in enumerate(symbols):
        price = round(float(random.uniform(1.0, 500.0)), 3)
        bar = {"o": price, "h": round(price + 1, 3), "l": round(price - 0.5, 3), "c": price, "v": 37_216 + number}
        bar |= {"vw": round(price + 0.0033, 4)}
        stamp = MS * 1_000_000 + number
        tickers.append(
            {
                "ticker": symbol,
                "todaysChangePerc": float(random.uniform(-5.0, 5.0)),
                "todaysChange": -0.124,
                "updated": stamp,
                "day": bar,
                "lastQuote": {"P": round(price + 0.01, 3), "S": 22, "p": price, "s": 13, "t": stamp},
                "lastTrade": {"c": [14, 41], "i": "71675577320245", "p": price, "s": 2416, "t": stamp, "x": 4},
                "min": {"av": 37_216, "t": MS - 60_000, "n": 5, **bar},
                "prevDay": bar,
            }
        )
    body = {"tickers": tickers, "status": "OK", "request_id": "0", "count": len(symbols)}
    return json.dumps(body, separators=(",", ":")).encode()
