"""Flow over REST: the busiest contracts, each trade with the quote of its time, and what was covered."""

from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, from_et
from qmterm.core.errors import DataError, NotEntitled
from qmterm.market.board.board import Board
from qmterm.market.flow.from_rest import read_flow, session_of, with_quotes
from qmterm.market.flow.prints import Side
from qmterm.market.ticks import QuoteTicks, TradeTicks
from tests.market.flow.test_conditions import NAMES

CALENDAR = SessionCalendar.load(date(2025, 1, 1), date(2027, 12, 31))
DAY = date(2026, 3, 2)
OPEN = from_et(DAY, 9, 30)
NOW = from_et(DAY, 11, 0)
OCC = ("AAPL  260417C00260000", "AAPL  260417P00250000", "AAPL  260417C00300000")


def trades(*rows, complete=True):
    at, price, size, exchange, conditions = zip(*rows, strict=True)
    return TradeTicks(
        "O:X",
        OPEN + np.array(at, dtype=np.int64) * 1_000_000,
        np.array(price),
        np.array(size, dtype=float),
        np.array(exchange),
        np.arange(len(rows)),
        np.zeros(len(rows), dtype=np.int64),
        conditions,
        complete,
        0,
    )


def quotes(*rows, complete=True):
    at, bid, ask = (np.array(column) for column in zip(*rows, strict=True))
    size = np.ones(len(rows))
    return QuoteTicks("O:X", OPEN + at * 1_000_000, bid, ask, size, size, np.arange(len(rows)), complete, 0)


class Rest:
    """Three contracts, two of which traded today."""

    def __init__(self):
        self.asked = []
        self.quotes_refused = False
        self.conditions_fail = False
        self.missing = ()  # rows of the call's trades that the first answers lack

    async def conditions(self, asset_class):
        if self.conditions_fail:
            raise DataError("conditions: no answer")
        return tuple(SimpleNamespace(number=number, name=name) for number, name in NAMES.items())

    async def option_rows(self, underlying, first, last):
        return Rows(underlying)

    async def trade_ticks(self, ticker, start, end, most):
        self.asked.append((ticker, start, end))
        if "C00260000" in ticker:
            told = ((0, 2.5, 600, 300, (219,)), (100, 2.5, 200, 301, (209,)), (5_000, 2.4, 10, 301, ()))
            return trades(*told, *self.missing)
        return trades((50, 1.0, 30, 300, (232,)), complete=False)

    async def quote_ticks(self, ticker, start, end, most):
        if self.quotes_refused:
            raise NotEntitled("quotes: your plan does not include it")
        return quotes((-500, 2.4, 2.5), (4_500, 2.4, 2.5), complete=False)


class Rows:
    def __init__(self, underlying):
        self.underlying, self.occ = underlying, OCC
        self.day_volume = np.array([900, 40, 5_000])
        self.day_ns = np.array([OPEN, OPEN, OPEN - 3 * 86_400 * NS])  # the last one's volume is Friday's
        self.open_interest = np.array([400, -1, 9])

    def __len__(self):
        return 3


class LoadedBoard(Board):
    def load_options(self, rows, arrival_ns):
        self.options.add(rows.occ)
        return np.array([self.options.numbers[occ] for occ in rows.occ])


async def read(rest=None, contracts=20, means=None):
    rest = rest or Rest()
    return rest, *await read_flow(rest, LoadedBoard(), CALENDAR, ["AAPL"], NOW, contracts, means or {})


async def test_the_days_trades_become_rows_with_their_sides():
    rest, flow, (covered,) = await read(means={OCC[0]: 100.0})
    (row,) = flow.rows
    assert (row.what, row.side, row.size, row.exchanges) == ("SWEEP+BLOCK", Side.ASK, 800, 2)
    call = next(one for one in flow.contracts(unusual_only=False) if one.occ == OCC[0])
    assert (call.volume, call.open_interest, call.mean20) == (900, 400, 100.0), "volume is the snapshot's"
    assert (call.bought, call.sold) == (200_000.0, 2_400.0)
    assert [ticker for ticker, _, _ in rest.asked] == ["O:AAPL260417C00260000", "O:AAPL260417P00250000"]
    assert rest.asked[0][1:] == (OPEN, NOW + 60 * NS), "the snapshot may know of trades after `now`"
    assert (covered.contracts, covered.traded, covered.volume_share) == (2, 2, 840 / 940)
    assert (covered.trades, covered.complete, covered.quotes) == (4, False, "partial")


async def test_only_the_busiest_are_read_and_the_share_is_told():
    rest, _, (covered,) = await read(contracts=1)
    assert len(rest.asked) == 1
    assert (covered.contracts, covered.traded) == (1, 2)
    assert covered.volume_share == pytest.approx(810 / 940)


async def test_trades_that_fall_short_of_the_snapshots_volume_are_not_called_complete():
    rest = Rest()
    _, _, (covered,) = await read(rest, contracts=1)
    assert (covered.trades, covered.complete) == (3, False), "the service called them all, and 90 contracts are missing"
    rest.missing = ((6_000, 2.4, 100, 302, ()), (6_500, 2.4, 100, 302, (201,)))
    _, _, (covered,) = await read(rest, contracts=1)
    assert (covered.trades, covered.volume_share, covered.complete) == (5, 810 / 940, False), "cancelled is not volume"
    rest.missing = ((6_000, 2.4, 100, 302, ()),)
    _, _, (covered,) = await read(rest, contracts=1)
    assert (covered.trades, covered.volume_share, covered.complete) == (4, 900 / 940, True)


async def test_without_quotes_in_the_plan_sides_are_unknown_and_sweeps_still_found():
    rest = Rest()
    rest.quotes_refused = True
    _, flow, (covered,) = await read(rest)
    assert covered.quotes == "none"
    (row,) = flow.rows
    assert (row.what, row.side) == ("SWEEP+BLOCK", Side.NA)


async def test_without_the_services_conditions_our_list_is_used():
    rest = Rest()
    rest.conditions_fail = True
    _, flow, _ = await read(rest)
    assert flow.rows[0].what == "SWEEP+BLOCK"


def test_a_trade_takes_the_newest_quote_that_is_not_younger():
    made = with_quotes(
        trades((0, 2.5, 1, 1, ()), (10, 2.5, 1, 1, (209, 1, 2, 3, 4)), (20, 2.5, 1, 1, ())),
        quotes((5, 2.3, 2.4), (10, 2.4, 2.5), (15, 2.5, 2.6)),
        7,
    )
    assert made.row.tolist() == [7, 7, 7]
    assert np.isnan(made.bid[0])
    assert made.bid[1:].tolist() == [2.4, 2.5]
    assert made.quote_ns[0] == 0
    assert made.conditions[1].tolist() == [209, 1, 2, 3]


def test_before_the_open_it_is_the_last_session():
    friday = date(2026, 2, 27)
    assert session_of(CALENDAR, from_et(DAY, 8, 0))[0] == from_et(friday, 9, 30)
    assert session_of(CALENDAR, from_et(DAY, 8, 0))[1] == from_et(friday, 16, 15)
    assert session_of(CALENDAR, NOW) == (OPEN, NOW)
    saturday = from_et(DAY + timedelta(days=5), 12, 0)
    assert session_of(CALENDAR, saturday)[0] == from_et(date(2026, 3, 6), 9, 30)
