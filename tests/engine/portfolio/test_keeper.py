"""The keeper: lots follow every fill and the book, volatilities reach the stops, days end."""

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, from_et
from qmterm.core.compute import ComputeThread
from qmterm.core.orders import Action, BrokerPosition, Fill
from qmterm.engine.portfolio.keeper import PortfolioKeeper
from qmterm.engine.show.greeks import HeldGreeks
from qmterm.journal.state import StoredFill
from tests.engine.fakes import OCC
from tests.engine.house import opened

CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))


class Stocks:
    def __init__(self, spot=178.0):
        self.spot = spot

    def last(self, symbol):
        return self.spot if symbol == "NVDA" else None

    def hv20(self, symbol):
        return 0.35

    def daily_closes(self, symbol):
        return None


@pytest.fixture
def compute():
    with ComputeThread() as thread:
        yield thread


def keeper_of(house, compute):
    greeks = HeldGreeks(CALENDAR, lambda years, _now: np.full(years.shape, 0.04))
    return PortfolioKeeper(house.book, house.marks, Stocks(), greeks, compute, house.clock)


async def test_the_mark_of_a_position_gives_the_stops_its_volatility(compute):
    async with opened() as house:
        await house.hold(2)
        house.quote(9.90, 10.10)
        house.marks.update()
        keeper = keeper_of(house, compute)
        assert keeper.iv(OCC) is None
        await keeper.refresh()
        assert 0.2 < keeper.iv(OCC) < 0.6
        assert keeper.greeks[OCC].delta > 0


async def test_in_lockstep_a_look_is_taken_each_minute_and_when_something_else_is_held(compute):
    async with opened() as house:
        await house.hold(2)
        keeper = keeper_of(house, compute)
        await keeper.step()
        first = keeper.latest
        await keeper.step()
        assert keeper.latest is first
        house.clock.advance(60)
        await keeper.step()
        assert keeper.latest is not first


async def test_lots_follow_the_book_where_no_fill_explains_it(compute):
    async with opened() as house:
        keeper = keeper_of(house, compute)
        house.book.adopt(BrokerPosition(OCC, 3, Decimal("4.10"), 100), "external", "", 1)
        books = keeper.accounts()
        (lot,) = keeper.lots.of(OCC)
        assert (lot.quantity, lot.price, lot.fill_id) == (3, Decimal("4.10"), "")
        assert books.trades[0].strategy == "external"
        house.book.adopt(BrokerPosition(OCC, 0, Decimal(0), 100), "external", "", 1)
        assert keeper.accounts().total.unpriced == 1
        assert keeper.lots.of(OCC) == ()


async def test_the_journals_fills_rebuild_lots_and_todays_fees(compute):
    async with opened() as house:
        keeper = keeper_of(house, compute)
        yesterday = from_et(date(2026, 2, 27), 10)
        rows = [
            (1, Action.BUY_TO_OPEN, 2, "4.00", "2.26", yesterday),
            (2, Action.SELL_TO_CLOSE, 1, "5.00", "0.14", yesterday + NS),
            (3, Action.SELL_TO_CLOSE, 1, "6.00", "0.15", house.clock.now()),
        ]
        keeper.restore(
            StoredFill(Fill(f"f{n}", "1", OCC, action, q, Decimal(p), at, Decimal(f)), "qm", 1, n, "atr_matrix", "P1")
            for n, action, q, p, f, at in rows
        )
        books = keeper.accounts()
        assert keeper.fees_today == Decimal("0.15")
        assert books.day.realized == Decimal(200)
        assert books.total.realized == Decimal(300)
        assert books.total.fees == Decimal("2.55")
        keeper.on_fill(Fill("f3", "1", OCC, Action.SELL_TO_CLOSE, 1, Decimal(6), 1, Decimal("0.15")), "x", "y")
        assert keeper.accounts().total.fees == Decimal("2.55")


async def test_a_fallen_volatility_is_said_once_and_closes_nothing(compute):
    async with opened() as house:
        await house.hold(2)
        guard = house.guards.of("P1")
        await house.guards._keep(replace(guard, state=replace(guard.state, entry_iv=0.50)))
        house.guards.iv_of = lambda symbol: 0.20
        for _ in range(3):
            await house.turn()
        said = [line for line in house.log.lines if "IV_FALLEN" in line.text]
        assert len(said) == 1
        assert house.working == ()
        await asyncio.sleep(0)


async def test_a_trades_own_contracts_are_those_of_its_lots_also_where_another_trade_has_the_same(compute):
    async with opened() as house:
        keeper, now = keeper_of(house, compute), house.clock.now()
        for number, (trade, count) in enumerate((("T1", 2), ("T2", 4))):
            fill = Fill(f"f{number}", "1000", OCC, Action.BUY_TO_OPEN, count, Decimal("4.10"), now)
            house.book.apply(fill, "manual", trade)
            keeper.on_fill(fill, "manual", trade)
        assert (keeper.held_by("T1"), keeper.held_by("T2")) == ({OCC: 2}, {OCC: 4})
        house.book.adopt(BrokerPosition(OCC, 5, Decimal("4.10"), 100), "external", "", now)
        assert keeper.held_by("T1") == {OCC: 1}  # the broker's word counts: first in, first out
        assert keeper.held_by("T3") == {}
