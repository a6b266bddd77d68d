"""Ticks of one option contract over REST: the running session's prints, each with the quote it was made against.

The trap: nobody kept the quotes of those moments. They are priced anew from the stock's minute bars, so a print costs
over REST nearly what it cost on the stream, not to the cent; who traded, when, where and how much is the same to the
contract. Of earlier sessions, and of a market that only files tell of, there is the latest trade and quote.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.sim.bar_history import MS
from qmterm.sim.listing import Contracts
from qmterm.sim.option_quotes import contract_number
from qmterm.sim.option_tape import CANCEL, Prints, paid
from qmterm.sim.polygon.aggregates import aggregate
from qmterm.sim.polygon.answers import Context, not_found
from qmterm.sim.polygon.options import chain_rows
from qmterm.sim.polygon.tick_rows import TopOfBook, Trade

MINUTE_MS = 60_000
QUOTED_BEFORE_NS = MS  # a venue restates its market right before it trades
VENUE = 302


@dataclass(frozen=True)
class _Session:
    """A contract's prints of the running session with the sides in force."""

    contracts: Contracts
    prints: Prints
    bid: FloatArray
    ask: FloatArray


def option_trades(context: Context, ticker: str) -> Iterator[Trade]:
    """Every print of the session and the cancels that are due; the latest trade where there are no prints."""
    session, now = _session(context, ticker), context.clock()
    found = session.prints
    if not len(found):
        yield from _last_trade(context, ticker)
        return
    tick = context.world.option_ticks(session.contracts.take(found.row), session.ask)
    price = paid(session.contracts, found, session.bid, session.ask, tick)
    columns = (price, found.size, found.exchange, found.condition, found.time_ns, found.busted, found.cancelled_ns)
    for number, (dollars, size, venue, condition, time_ns, busted, delay) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        yield _trade(dollars, size, venue, condition, time_ns, number)
        if busted and time_ns + delay <= now:
            yield _trade(dollars, size, venue, CANCEL, time_ns + delay, number)


def option_quotes(context: Context, ticker: str) -> Iterator[TopOfBook]:
    """The quote in force at each print, and the latest one."""
    session = _session(context, ticker)
    sizes = (contract_number(session.contracts, salt)[0] % 40 + 1 for salt in (8, 9))
    bid_size, ask_size = (int(size) for size in sizes)
    stamps, first = np.unique(session.prints.time_ns, return_index=True)
    for stamp, place in zip(stamps.tolist(), first.tolist(), strict=True):
        bid, ask = float(session.bid[place]), float(session.ask[place])
        yield _quote(stamp - QUOTED_BEFORE_NS, bid, ask, bid_size, ask_size)
    quote = _row(context, ticker).get("last_quote")
    if isinstance(quote, dict):
        sides = float(quote["bid"]), float(quote["ask"])
        yield _quote(int(quote["last_updated"]), *sides, int(quote["bid_size"]), int(quote["ask_size"]))


# --- inside ---


def _session(context: Context, ticker: str) -> _Session:
    context.need(context.plan.options)
    world = context.world
    found = world.listed(ticker)
    if found is None:
        raise not_found("Options contract not found.")
    contracts = found[0].contracts.take(np.array([found[1]]))
    prints = world.option_prints(contracts, world.today.open_ns, world.now_ns)
    spot = _spots(context, int(contracts.symbol[0]), prints.time_ns)
    return _Session(contracts, prints, *world.option_sides_at(contracts.take(prints.row), spot, prints.time_ns))


def _spots(context: Context, symbol: int, time_ns: IntArray) -> FloatArray:
    """The stock's price at some moments of the session: the open of their minute, else its close before them."""
    world = context.world
    ticker = world.universe.tickers[symbol]
    bars = aggregate(context, ticker, 1, "minute", world.today.open_ns // MS, world.now_ns // MS)
    if not len(bars):
        return np.full(len(time_ns), world.last(ticker) or world.previous_close(ticker) or np.nan)
    minute = time_ns // MS // MINUTE_MS * MINUTE_MS
    place = np.maximum(np.searchsorted(bars.start_ms, minute, side="right") - 1, 0)
    before = bars.start_ms[place] < minute
    return np.where(before, bars.close[place], bars.open[place])


def _trade(price: float, size: int, exchange: int, condition: int, time_ns: int, number: int) -> Trade:
    return Trade(
        price=price,
        size=float(size),
        sip_timestamp=time_ns,
        participant_timestamp=time_ns,
        sequence_number=time_ns // MS % 86_400_000 * 1_000 + number % 1_000,
        exchange=exchange,
        id="",
        conditions=[condition],
    )


def _quote(stamp: int, bid: float, ask: float, bid_size: int, ask_size: int) -> TopOfBook:
    return TopOfBook(
        bid_price=bid,
        ask_price=ask,
        bid_size=bid_size,
        ask_size=ask_size,
        sip_timestamp=stamp,
        participant_timestamp=stamp,
        sequence_number=stamp // (1_000 * MS),
        bid_exchange=VENUE,
        ask_exchange=VENUE,
    )


def _last_trade(context: Context, ticker: str) -> Iterator[Trade]:
    trade = _row(context, ticker).get("last_trade")
    if isinstance(trade, dict):
        size, venue, condition = int(trade["size"]), int(trade["exchange"]), int(trade["conditions"][0])
        yield _trade(float(trade["price"]), size, venue, condition, int(trade["sip_timestamp"]), 0)


def _row(context: Context, ticker: str) -> dict[str, object]:
    found = context.world.listed(ticker)
    assert found is not None, "asked for in _session"
    return next(chain_rows(context, found[0], np.array([found[1]])))
