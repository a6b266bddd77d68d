"""Options flow of named stocks from REST: their busiest contracts' trades of the session with the quotes of their time.

The trap: a contract's quotes of one day can be a hundred pages. One page is read; trades after its end have no quote in
force and therefore no side. What was covered is said with the result, by the sizes that were read: a vendor may answer
with fewer trades than the day's volume is made of, and call that all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from qmterm.core.bars import IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import et_date
from qmterm.core.errors import DataError, NotEntitled
from qmterm.core.instruments import parse_option
from qmterm.market.board.board import Board
from qmterm.market.flow.conditions import Conditions
from qmterm.market.flow.flow import Flow
from qmterm.market.flow.prints import Prints
from qmterm.market.records import OptionRows
from qmterm.market.rest.client import PolygonRest
from qmterm.market.ticks import QuoteTicks, TradeTicks

HORIZON_DAYS = 60
MOST_TICKS = 50_000  # one page, the vendor's most
CONDITIONS_KEPT = 4
_AT_ONCE = 4
_LATER_NS = 60_000_000_000  # the snapshot is made after `now`, and the trades of its volume are read after it


@dataclass(frozen=True, slots=True)
class Covered:
    """What of one stock's flow was looked at."""

    underlying: str
    contracts: int  # read
    traded: int  # that traded in the session, of the expiries within the horizon
    volume_share: float | None  # of the horizon's volume, 0 to 1: what the trades that were read come to
    trades: int
    complete: bool  # the trades of the contracts that were read come to all of their volume
    quotes: str  # complete | partial | none (the plan has none: sides are unknown)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one stock's snapshot said, and what came for its busiest contracts."""

    rows: OptionRows
    volume: IntArray  # of the session, by row
    busiest: list[int]  # rows
    read: Sequence[tuple[Prints, bool, str]]


async def load_conditions(rest: PolygonRest) -> Conditions:
    """What the service says the numbers mean; our own list where it cannot be asked."""
    try:
        rows = await rest.conditions("options")
    except DataError:
        return Conditions()
    return Conditions({row.number: row.name for row in rows})


def session_of(calendar: SessionCalendar, now_ns: int) -> tuple[int, int]:
    """(open, end so far) of the session that runs, or of the last one."""
    today = et_date(now_ns)
    if calendar.is_session(today) and now_ns >= calendar.open_ns(today):
        return calendar.open_ns(today), now_ns
    day = calendar.last_completed(now_ns)
    return calendar.open_ns(day), min(now_ns, calendar.close_ns(day) + 900_000_000_000)


async def read_flow(
    rest: PolygonRest,
    board: Board,
    calendar: SessionCalendar,
    underlyings: Sequence[str],
    now_ns: int,
    contracts: int,
    means: Mapping[str, float],
) -> tuple[Flow, tuple[Covered, ...]]:
    """The day's flow of some stocks, of at most `contracts` contracts each; DataError when it cannot be read."""
    start_ns, end_ns = session_of(calendar, now_ns)
    flow = Flow(board.options.symbols, await load_conditions(rest))
    gate = asyncio.Semaphore(_AT_ONCE)
    asked: list[_Asked] = []
    prints: list[Prints] = []
    snapshots: list[tuple[IntArray, IntArray, IntArray, list[float | None]]] = []
    for underlying in underlyings:
        today = et_date(now_ns)
        rows = await rest.option_rows(underlying, today, today + timedelta(days=HORIZON_DAYS))
        if not len(rows):
            raise DataError(f"{underlying} has no listed options within {HORIZON_DAYS} days")
        numbers = board.load_options(rows, now_ns)
        volume = np.where(_days(rows.day_ns) == _days(np.array([start_ns]))[0], rows.day_volume, 0)
        busiest = [row for row in np.argsort(-volume, kind="stable")[:contracts].tolist() if volume[row] > 0]
        average = [means.get(rows.occ[row]) for row in busiest]
        picked = numbers[busiest]
        nothing = np.zeros(len(busiest), dtype=np.int64)
        flow.seed(picked.tolist(), nothing, rows.open_interest[busiest], average, start_ns)
        snapshots.append((picked, volume[busiest], rows.open_interest[busiest], average))
        read = await asyncio.gather(
            *(_contract(rest, rows.occ[row], int(numbers[row]), start_ns, end_ns + _LATER_NS, gate) for row in busiest)
        )
        prints += [found for found, _, _ in read]
        asked.append(_Asked(rows, volume, busiest, read))
    flow.take(_in_order(prints))
    flow.settle(end_ns + _LATER_NS + 1_000_000_000)
    came = {one.occ: one.volume for one in flow.contracts(unusual_only=False)}  # without what was cancelled
    covered = tuple(_covered(one, came) for one in asked)
    for picked, volume, interest, average in snapshots:
        flow.seed(picked.tolist(), volume, interest, average, start_ns)
    return flow, covered


def with_quotes(trades: TradeTicks, quotes: QuoteTicks | None, row: int) -> Prints:
    """A contract's trades, each with the newest quote that is not younger than it."""
    count = len(trades)
    bid, ask = np.full(count, np.nan), np.full(count, np.nan)
    quote_ns = np.zeros(count, dtype=np.int64)
    if quotes is not None and len(quotes.time_ns):
        at = np.searchsorted(quotes.time_ns, trades.time_ns, side="right") - 1
        there = at >= 0
        bid[there], ask[there] = quotes.bid[at[there]], quotes.ask[at[there]]
        quote_ns[there] = quotes.time_ns[at[there]]
    conditions = np.zeros((count, CONDITIONS_KEPT), dtype=np.int64)
    for i, several in enumerate(trades.conditions):
        kept = several[:CONDITIONS_KEPT]
        conditions[i, : len(kept)] = kept
    return Prints(
        row=np.full(count, row, dtype=np.int64),
        price=trades.price,
        size=trades.size.astype(np.int64),
        exchange=trades.exchange,
        conditions=conditions,
        time_ns=trades.time_ns,
        bid=bid,
        ask=ask,
        quote_ns=quote_ns,
    )


async def _contract(
    rest: PolygonRest, occ: str, row: int, start_ns: int, end_ns: int, gate: asyncio.Semaphore
) -> tuple[Prints, bool, str]:
    """(prints, all trades read, how far the quotes reach) of one contract."""
    ticker = parse_option(occ).polygon
    async with gate:
        trades = await rest.trade_ticks(ticker, start_ns, end_ns, MOST_TICKS)
        quotes: QuoteTicks | None
        try:
            quotes = await rest.quote_ticks(ticker, start_ns - 1_000_000_000, end_ns, MOST_TICKS)
        except NotEntitled:
            quotes = None
    word = "none" if quotes is None else "complete" if quotes.complete else "partial"
    return with_quotes(trades, quotes, row), trades.complete, word


def _covered(asked: _Asked, came: Mapping[str, int]) -> Covered:
    """`came`: contracts that the trades of each option come to."""
    total = int(asked.volume.sum())
    wanted = [(int(asked.volume[row]), came.get(asked.rows.occ[row], 0)) for row in asked.busiest]
    words = {word for _, _, word in asked.read}
    return Covered(
        underlying=asked.rows.underlying,
        contracts=len(asked.busiest),
        traded=int(np.count_nonzero(asked.volume > 0)),
        volume_share=sum(min(want, got) for want, got in wanted) / total if total else None,
        trades=sum(len(prints) for prints, _, _ in asked.read),
        complete=all(complete for _, complete, _ in asked.read) and all(got >= want for want, got in wanted),
        quotes="none" if "none" in words else "partial" if "partial" in words else "complete",
    )


def _in_order(parts: Sequence[Prints]) -> Prints:
    """The prints of all contracts in the order of their time."""
    names = ("row", "price", "size", "exchange", "conditions", "time_ns", "bid", "ask", "quote_ns")
    if not parts:
        none, unknown = np.empty(0, dtype=np.int64), np.empty(0)
        return Prints(none, unknown, none, none, none.reshape(0, 1), none, unknown, unknown, none)
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    order = np.argsort(joined["time_ns"], kind="stable")
    return Prints(**{name: column[order] for name, column in joined.items()})


def _days(times: IntArray) -> IntArray:
    """Days by New York's winter offset: nothing trades between 20:00 and 04:00, so it tells days apart."""
    return np.asarray((times - 5 * 3_600_000_000_000) // 86_400_000_000_000)
