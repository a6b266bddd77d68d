"""Stream events as JSON arrays: trades, quotes, second and minute bars of stocks and options.

The trap: a minute of the whole market is 25,000 events; they are cut into frames and built once for all listeners.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from qmterm.core.bars import BoolArray, IntArray
from qmterm.core.clock import NS
from qmterm.sim.bar_history import MS
from qmterm.sim.market import Market
from qmterm.sim.past import PriceArray
from qmterm.sim.prints import EXTENDED_HOURS
from qmterm.sim.session import MinuteBars, Trades

EVENTS_PER_FRAME = 500
Event = TypeVar("Event", bound=msgspec.Struct)


class Aggregate(msgspec.Struct, gc=False):
    ev: str
    sym: str
    v: int
    av: int
    op: float
    vw: float | msgspec.UnsetType
    o: float
    c: float
    h: float
    l: float  # noqa: E741
    a: float | msgspec.UnsetType
    z: int | msgspec.UnsetType
    s: int
    e: int


class StockTrade(msgspec.Struct, gc=False):
    ev: str
    sym: str
    x: int
    i: str
    z: int
    p: float
    s: int
    c: list[int]
    t: int
    q: int


class StockQuote(msgspec.Struct, gc=False, rename={"ask_lots": "as"}):
    ev: str
    sym: str
    bx: int
    bp: float
    bs: int
    ax: int
    ap: float
    ask_lots: int
    c: int
    t: int
    q: int
    z: int


class OptionTrade(msgspec.Struct, gc=False):
    ev: str
    sym: str
    x: int
    p: float
    s: int
    c: list[int]
    t: int
    q: int


class OptionQuote(msgspec.Struct, gc=False, rename={"ask_size": "as"}):
    ev: str
    sym: str
    bx: int
    ax: int
    bp: float
    ap: float
    bs: int
    ask_size: int
    t: int
    q: int


class Status(msgspec.Struct):
    status: str
    message: str
    ev: str = "status"


def status_frame(*rows: tuple[str, str]) -> bytes:
    return msgspec.json.encode([Status(status, message) for status, message in rows])


def frames(events: Sequence[Event]) -> Iterator[bytes]:
    """Events as JSON arrays of a bounded size."""
    for first in range(0, len(events), EVENTS_PER_FRAME):
        yield msgspec.json.encode(events[first : first + EVENTS_PER_FRAME])


def known(values: np.ndarray) -> list[float | msgspec.UnsetType]:
    """What is not known (NaN) is left out of its event."""
    return [value if value == value else msgspec.UNSET for value in values.tolist()]


def minute_events(world: Market, bars: MinuteBars, keep: BoolArray | None) -> Iterator[list[Aggregate]]:
    """AM events of one minute, a frame's worth at a time; `keep` masks by symbol number, None takes all."""
    wanted = np.arange(len(bars.symbol)) if keep is None else np.flatnonzero(keep[bars.symbol])
    for first in range(0, len(wanted), EVENTS_PER_FRAME):
        yield _minute_part(world, bars, wanted[first : first + EVENTS_PER_FRAME])


def _minute_part(world: Market, bars: MinuteBars, rows: IntArray) -> list[Aggregate]:
    symbol = bars.symbol[rows]
    prices = [column[rows] / world.unit for column in (bars.open, bars.close, bars.high, bars.low)]
    window = known(bars.vwap[rows])
    volume = bars.volume[rows]
    return _aggregates(
        "AM", world, symbol, volume, bars.day_volume[rows], window, prices, bars.start_ns // MS, bars.end_ns // MS
    )


def second_events(world: Market, trades: Trades, keep: BoolArray | None) -> list[Aggregate]:
    """A events of one second (in the quiet hours: of one minute's step)."""
    rows: IntArray | slice = slice(None) if keep is None else np.flatnonzero(keep[trades.symbol])
    symbol = trades.symbol[rows]
    price = trades.price[rows] / world.unit
    end = trades.time_ns // MS
    day_volume = world.today.all_volume[symbol]
    return _aggregates(
        "A", world, symbol, trades.volume[rows], day_volume, price.tolist(), [price] * 4, end - 1000, end
    )


def _aggregates(
    kind: str,
    world: Market,
    symbol: np.ndarray,
    volume: np.ndarray,
    day_volume: np.ndarray,
    window: Sequence[float | msgspec.UnsetType],
    prices: list[np.ndarray],
    start: int,
    end: int,
) -> list[Aggregate]:
    today, names = world.today, world.universe.tickers
    count = len(symbol)
    day_average = np.where(today.volume[symbol] > 0, today.turnover[symbol] / np.maximum(today.volume[symbol], 1), 0)
    average = np.round(np.where(np.isnan(day_average) | (day_average > 0), day_average / world.unit, prices[1]), 4)
    opened = today.open[symbol] / world.unit
    size: Sequence[int | msgspec.UnsetType] = [msgspec.UNSET] * count
    if world.invents:
        size = np.minimum(volume, 100).tolist()
    o, c, h, l = (column.tolist() for column in prices)  # noqa: E741
    return list(
        map(
            Aggregate,
            [kind] * count,
            [names[number] for number in symbol.tolist()],
            volume.tolist(),
            day_volume.tolist(),
            opened.tolist(),
            window,
            o,
            c,
            h,
            l,
            known(average),
            size,
            [start] * count,
            [end] * count,
        )
    )


def trade_events(world: Market, trades: Trades, keep: BoolArray | None) -> list[StockTrade]:
    """One regular print a symbol, and those with conditions: Form T outside the session, odd lots and their like.

    A step's trades happened up to its instant, so they are stamped the millisecond before it: they belong to the bar
    that ends there.
    """
    mine: IntArray = np.arange(len(trades.symbol)) if keep is None else np.flatnonzero(keep[trades.symbol])
    names, stamp = world.universe.tickers, trades.time_ns // MS - 1
    sequence = trades.time_ns // NS % 10**7
    extra, hours = trades.conditioned, [] if trades.regular else [EXTENDED_HOURS]
    main = trades.volume.copy()
    np.subtract.at(main, extra.of, extra.size)
    columns = (trades.symbol[mine].tolist(), (trades.price[mine] / world.unit).tolist(), main[mine].tolist())
    events = [
        StockTrade("T", names[number], 4, f"{sequence}{number}", 3, price, size, hours or [0], stamp, sequence)
        for number, price, size in zip(*columns, strict=True)
    ]
    wanted = np.flatnonzero(np.isin(extra.of, mine))
    columns = (
        trades.symbol[extra.of[wanted]].tolist(),
        (extra.price[wanted] / world.unit).tolist(),
        extra.size[wanted].tolist(),
    )
    events += [
        StockTrade("T", names[number], 4, f"{sequence}{number}x", 3, price, size, [*hours, code], stamp, sequence)
        for number, price, size, code in zip(*columns, extra.condition[wanted].tolist(), strict=True)
    ]
    return events


def quote_events(world: Market, rows: IntArray, bid: PriceArray, ask: PriceArray) -> list[StockQuote]:
    """Q events of some stocks; sizes in round lots."""
    names, stamp = world.universe.tickers, world.step_ns // MS
    bid_lots, ask_lots = world.stock_lots(rows)
    columns: Iterable[list[float]] = (
        rows.tolist(),
        (bid / world.unit).tolist(),
        bid_lots.tolist(),
        (ask / world.unit).tolist(),
        ask_lots.tolist(),
    )
    return [
        StockQuote("Q", names[int(n)], 11, bp, int(bs), 12, ap, int(size), 0, stamp, stamp // 1000 % 10**7, 3)
        for n, bp, bs, ap, size in zip(*columns, strict=True)
    ]
