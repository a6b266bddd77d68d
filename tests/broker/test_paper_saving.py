"""A change of the paper account happens once its save did: what comes while one is out waits, what failed never was."""

import asyncio
import json
from decimal import Decimal

import pytest

from qmterm.broker.paper import PaperBroker
from qmterm.core.clock import NS, ManualClock, from_et
from qmterm.core.errors import BrokerError, JournalError, Withheld
from qmterm.core.orders import BrokerOrder, OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.broker import PaperSettings
from tests.broker.conftest import MONDAY, buy
from tests.broker.test_brackets import STOP, TARGET, TRIGGER
from tests.sim.brokerage.fake_world import CALENDAR, CALL_230


class Disk:
    """A ledger whose saves are answered when the test says so: well, or for each True in `fails` badly."""

    def __init__(self):
        self.text = None
        self.fails = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def load(self):
        return None if self.text is None else json.loads(self.text)

    async def save(self, state):
        text = json.dumps(state)
        fails = self.fails.pop(0) if self.fails else False
        await self.answers.wait()
        if fails:
            raise JournalError("the disk is full")
        self.text = text


class Desk:
    """A paper account, its disk and its market."""

    def __init__(self, world, latency_ms):
        self.world = world
        self.disk = Disk()
        self.clock = ManualClock(from_et(MONDAY, 10))
        self.settings = PaperSettings(participation=1.0, latency_ms=latency_ms)
        self.paper = self._account()

    def _account(self):
        return PaperBroker(self.world, self.disk, self.clock, self.settings, calendar=CALENDAR)

    async def working(self, **order):
        answer = await self.paper.place(buy(**order))
        self.clock.advance(0.06)
        return answer.broker_id

    async def market(self, seconds=1.0):
        self.clock.advance(seconds)
        await self.paper.on_market(self.clock.now())

    async def at_once(self, *asked, fails=()):
        """All are asked, in this order, while the disk is silent; then it answers. Answers, and what was shown."""
        self.disk.answers.clear()
        self.disk.fails = list(fails)
        tasks = [asyncio.ensure_future(each) for each in asked]
        for _ in range(3):
            await asyncio.sleep(0)
        shown = await self.orders()
        self.disk.answers.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        self.disk.fails = []
        return answers, shown

    async def orders(self):
        return {order.external_id: order.state for order in await self.paper.live_orders()}

    async def held(self):
        return {position.symbol: position.quantity for position in (await self.paper.account_state()).positions}

    def told(self):
        return [(e.external_id, e.state) for e in self.paper.take_events() if isinstance(e, BrokerOrder)]

    async def kill(self):
        """From here on it is the account that the disk has."""
        self.paper = self._account()
        await self.paper.connect()

    async def filled_once(self, price):
        """One order of two contracts has one fill, which was paid once."""
        state = await self.paper.account_state()
        (order,) = (order for order in state.orders if order.fills)
        assert (order.state, [fill.quantity for fill in order.fills]) == (OrderState.FILLED, [2])
        assert await self.held() == {CALL_230: 2}
        assert state.balance.cash == Decimal(100_000) - 200 * Decimal(price) - order.fills[0].fees


@pytest.fixture
def opened(world):
    async def connected(latency_ms=0):
        desk = Desk(world, latency_ms)
        await desk.paper.connect()
        return desk

    return connected


def cancel(desk, number):
    return desk.paper.cancel(number)


def cheapen(desk, number):
    return desk.paper.replace(number, buy(price="-9.10", intent_id="qm-1.1"))


@pytest.mark.parametrize("latency_ms", [0, 50])
@pytest.mark.parametrize("change", [cancel, cheapen])
async def test_an_order_whose_change_could_not_be_saved_fills_once(opened, change, latency_ms):
    desk = await opened(latency_ms)
    number = await desk.working(price="-9.00")
    before = await desk.orders()
    (refused, _), shown = await desk.at_once(change(desk, number), desk.market(0.01), fails=[True, True])
    assert (type(refused), refused.code) == (BrokerError, "not_saved")
    assert shown == before  # nobody saw a change that was not on the disk
    for _ in range(4):
        await desk.market()
    await desk.filled_once("5.10")
    assert (await desk.orders()) == {"qm-1": OrderState.FILLED}
    await desk.kill()
    await desk.filled_once("5.10")


async def test_a_cancel_holds_and_is_shown_when_the_disk_has_it_and_not_before(opened):
    desk = await opened()
    number = await desk.working(price="-9.00")
    (done, _), shown = await desk.at_once(desk.paper.cancel(number), desk.market())
    assert (done, shown) == (None, {"qm-1": OrderState.LIVE})
    await desk.market()
    assert (await desk.orders(), await desk.held()) == ({"qm-1": OrderState.CANCELLED}, {})


async def test_a_cancel_that_comes_while_a_fill_is_being_saved_is_too_late(opened):
    desk = await opened()
    number = await desk.working(price="-9.00")
    desk.told()
    (_, refused), shown = await desk.at_once(desk.market(), desk.paper.cancel(number))
    assert (type(refused), refused.code) == (BrokerError, "cannot_update_order")
    assert shown == {"qm-1": OrderState.LIVE}
    assert desk.told() == [("qm-1", OrderState.FILLED)]
    await desk.filled_once("5.10")


@pytest.mark.parametrize("bracket", [False, True])
async def test_an_order_whose_place_could_not_be_saved_never_fills(opened, bracket):
    desk = await opened()
    place = desk.paper.place_bracket((TRIGGER, TARGET, STOP)) if bracket else desk.paper.place(buy(price="-9.00"))
    (refused, _), shown = await desk.at_once(place, desk.market(), fails=[True, True])
    assert "nothing was placed" in str(refused)
    await desk.market()
    assert (shown, await desk.orders(), await desk.held(), desk.told()) == ({}, {}, {}, [])
    assert (await desk.paper.account_state()).balance.cash == 100_000


async def test_a_bracket_whose_cancel_could_not_be_saved_works_on(opened):
    desk = await opened(50)
    answers = await desk.paper.place_bracket((TRIGGER, TARGET, STOP))
    await desk.market()
    desk.world.set(CALL_230, 8.10, 8.20)
    asked = desk.paper.cancel_bracket(answers[0].complex_id), desk.market()
    (refused, _), shown = await desk.at_once(*asked, fails=[True, True])
    assert "nothing was cancelled" in str(refused)
    assert shown == {"qm-e": OrderState.FILLED, "qm-t": OrderState.LIVE, "qm-s": OrderState.LIVE}
    for _ in range(3):
        await desk.market()
    assert await desk.held() == {}
    fills = [fill for order in await desk.paper.live_orders() for fill in order.fills]
    assert len({fill.fill_id for fill in fills}) == len(fills) == 2  # in, and out


async def test_an_order_that_was_refused_is_not_kept_by_the_next_ones_save(opened):
    desk = await opened()
    asked = (desk.paper.place(buy(price="-1.00", intent_id=name)) for name in ("first", "second"))
    (refused, placed), _ = await desk.at_once(*asked, fails=[True, False])
    assert refused.code == "not_saved"
    assert (placed.external_id, placed.state) == ("second", OrderState.ROUTED)
    await desk.kill()
    assert await desk.orders() == {"second": OrderState.LIVE}


async def test_a_fill_that_could_not_be_saved_is_shown_to_nobody_and_meets_the_market_anew(opened):
    desk = await opened()
    await desk.working(price="-9.00")
    desk.told()
    (failed,), _ = await desk.at_once(desk.market(), fails=[True])
    assert isinstance(failed, JournalError)
    assert (await desk.orders(), await desk.held(), desk.told()) == ({"qm-1": OrderState.LIVE}, {}, [])
    desk.world.set(CALL_230, 9.10, 9.20)
    await desk.market()
    assert await desk.held() == {}  # the market has left the limit before the disk was back
    desk.world.set(CALL_230, 6.00, 6.10)
    await desk.market()
    assert desk.told() == [("qm-1", OrderState.FILLED)]
    await desk.filled_once("6.10")


async def test_a_caller_that_gives_up_leaves_the_account_as_the_others_see_it(opened):
    desk = await opened()
    number = await desk.working(price="-1.00")
    desk.disk.answers.clear()
    asked = asyncio.ensure_future(desk.paper.cancel(number))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    desk.disk.answers.set()
    assert await desk.orders() == {"qm-1": OrderState.LIVE}
    await desk.paper.cancel(number)  # and nobody waits behind it
    assert await desk.orders() == {"qm-1": OrderState.CANCELLED}


@pytest.mark.parametrize("kind", ["place", "bracket", "replace"])
async def test_an_order_that_is_withdrawn_while_it_waits_for_anothers_save_is_kept_back(opened, kind):
    desk = await opened()
    first = await desk.working(intent_id="qm-1", price="-1.00")
    desk.disk.answers.clear()
    ahead = asyncio.ensure_future(desk.paper.place(buy(intent_id="qm-2", price="-1.00")))
    await asyncio.sleep(0)
    ways = {
        "place": lambda: desk.paper.place(buy(intent_id="qm-3")),
        "bracket": lambda: desk.paper.place_bracket((TRIGGER, TARGET, STOP)),
        "replace": lambda: desk.paper.replace(first, buy(intent_id="qm-3", price="-1.05")),
    }
    waiting = asyncio.ensure_future(ways[kind]())
    await asyncio.sleep(0)
    desk.paper.last_look = lambda _intent: Reason.LADDER_HALT
    desk.disk.answers.set()
    await ahead
    with pytest.raises(Withheld, match="LADDER_HALT"):
        await waiting
    assert [order.external_id for order in await desk.paper.live_orders()] == ["qm-1", "qm-2"]


@pytest.mark.parametrize(("began", "seconds"), [("10:00:00", 600), ("15:59:50", 310)])
async def test_a_look_at_the_market_that_waited_for_a_save_judges_by_the_time_of_then(opened, began, seconds):
    """What was the last quote for ten minutes fills nothing, nor does one of after the close."""
    desk = await opened()
    hour, minute, second = map(int, began.split(":"))
    desk.clock.now_ns = desk.world.now_ns = from_et(MONDAY, hour, minute) + second * NS
    desk.world.set(CALL_230, 9.10, 9.20)
    await desk.working(price="-6.00")
    desk.disk.answers.clear()
    ahead = asyncio.ensure_future(desk.paper.place(buy(price="-1.00", intent_id="other")))
    await asyncio.sleep(0)
    look = asyncio.ensure_future(desk.paper.on_market(desk.clock.now()))
    await asyncio.sleep(0)
    desk.world.now_ns = desk.clock.now() + (5 if seconds == 600 else seconds) * NS
    desk.world.set(CALL_230, 5.00, 5.10)
    desk.clock.advance(seconds)
    desk.disk.answers.set()
    await asyncio.gather(ahead, look)
    assert await desk.held() == {}
