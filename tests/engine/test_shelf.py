"""The shelf: a question whose price has gone is taken back; what a person meant, and what is unknown, stays."""

from __future__ import annotations

from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.engine.commands import ClosePosition
from qmterm.engine.shelf import Shelf
from tests.engine.house import opened, plan
from tests.engine.test_exits import GONE, close_at, confirmed


async def test_an_entry_whose_mid_moved_beyond_the_band_is_taken_back():
    async with opened(Mode.CONFIRM) as house:
        shelf = Shelf(house.trader)
        house.trader.open(plan(), 0.0)
        house.quote(4.15, 4.25)
        assert shelf.look() == ()
        house.quote(4.40, 4.50)
        (gone,) = shelf.look()
        assert house.trader.proposals.waiting == ()
        assert house.journal.decisions[-1] == ("NVDA", "withdrawn", Reason.PRICE_MOVED)
        assert house.trader.open(plan("P2"), 0.0).approved  # and may be asked again
        assert gone.plan_id == "P1"


async def test_an_entry_without_a_quote_right_now_stays():
    async with opened(Mode.CONFIRM) as house:
        house.trader.open(plan(), 0.0)
        house.quote(0.0, 4.20)
        assert Shelf(house.trader).look() == ()


async def test_a_stop_that_waits_follows_the_market():
    async with opened(Mode.CONFIRM) as house:
        shelf = Shelf(house.trader)
        await confirmed(house)
        close_at(house, GONE)
        await house.turn()
        (first,) = house.trader.proposals.waiting
        house.quote(4.00, 4.10)
        assert shelf.look() == ()  # two ticks are near enough
        house.quote(3.90, 4.00)
        assert shelf.look() == (first,)
        await house.turn()
        (second,) = house.trader.proposals.waiting
        assert (str(second.net_price), second.alarm) == ("3.90", True)


async def test_a_close_that_a_person_staged_keeps_its_price():
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        house.approvals.close(ClosePosition("P1"))
        house.quote(3.00, 3.10)
        assert Shelf(house.trader).look() == ()


async def test_outside_the_session_nothing_is_judged():
    async with opened(Mode.CONFIRM) as house:
        house.trader.open(plan(), 0.0)
        house.open = False
        house.quote(9.00, 9.10)
        assert Shelf(house.trader).look() == ()
