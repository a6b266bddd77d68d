"""Where a roll leads when no contract is named, and the words of every roll that is not sent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest

from qmterm.core.errors import BadSymbol, DataError
from qmterm.core.orders import Action, Leg, OrderState, TimeInForce
from qmterm.engine.commands import ClosePosition, CommandResult, RollPosition
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.rolls import Rolls
from tests.engine.fakes import CASH, OCC
from tests.engine.house import opened
from tests.engine.orders.test_resting import RESTING, enter

HIGHER, PUT = "NVDA  260417C00180000", "NVDA  260515P00170000"
MAY, JUNE = "NVDA  260515C00175000", "NVDA  260618C00175000"


class Chains:
    """Answers every question with the same contracts."""

    def __init__(self, *listed, trouble=None):
        self.listed, self.trouble, self.asked = listed, trouble, []

    async def read(self, underlying, now_ns, expiry_from, expiry_to, strike_from=None, strike_to=None):
        self.asked.append((underlying, now_ns, expiry_from, expiry_to, strike_from, strike_to))
        if self.trouble is not None:
            raise self.trouble
        return SimpleNamespace(occ=self.listed)


def position(symbol, quantity, plan_id="P1", strategy="atr_matrix"):
    return Position(symbol, quantity, Decimal("4.10"), strategy, plan_id, 1)


async def roll(house, text, chains=None):
    rolls = house.rolls if chains is None else Rolls(house.trader, house.tickets, chains)
    answer = await rolls.roll(RollPosition(text, True))
    await house.lanes.idle()
    return answer


def said(answer):
    assert answer.ok is False
    return answer.data["code"], answer.text


@pytest.fixture
async def house():
    async with opened() as made:
        await made.hold(2)
        for symbol, bid in ((MAY, 5.00), (JUNE, 6.00), (PUT, 4.90)):
            made.quote(bid, bid + 0.10, symbol)
        yield made


# --- the next expiry ---


async def test_without_a_name_it_goes_to_the_first_later_expiry_that_lists_the_strike(house):
    listed = (JUNE, MAY, "NVDA  260424P00175000", "NVDA  260424C00180000")
    chains = Chains(*listed)
    answer = await roll(house, "P1 @ 0.95 db", chains)
    assert answer.ok, answer.text
    (order,) = house.working
    assert order.intent.legs == (Leg(OCC, Action.SELL_TO_CLOSE, 2), Leg(MAY, Action.BUY_TO_OPEN, 2))
    day = date(2026, 4, 18)
    assert chains.asked == [("NVDA", house.clock.now(), day, date(2026, 11, 4), 175.0, 175.0)]


@pytest.mark.parametrize(
    "chains",
    [Chains(), Chains("NVDA  260424P00175000"), Chains(trouble=DataError("down")), Chains(trouble=BadSymbol("NVDA"))],
)
async def test_without_a_later_one_it_asks_for_a_name(house, chains):
    text = "no later expiry with the strike of NVDA 17APR26 175C is listed: name one, as in 15MAY26 180C"
    assert said(await roll(house, "P1", chains)) == ("NO_EXPIRY", text)


# --- to another contract ---


async def test_it_may_change_the_right_with_the_strike(house):
    answer = await roll(house, "P1 15MAY26 170P @ 0.85 db")
    assert answer.ok, answer.text
    assert house.working[0].intent.legs[1] == Leg(PUT, Action.BUY_TO_OPEN, 2)


async def test_what_it_rolls_to_is_opened_and_never_closes_something_sold_there(house):
    house.book._positions[MAY] = position(MAY, -2, "", "external")
    posts = list(house.broker.posts)
    answer = await roll(house, "P1 15MAY26 175C @ 0.95 db")
    assert not answer.ok
    assert house.broker.posts == posts


async def test_each_leg_says_whether_it_closes_or_opens_so_that_no_later_look_can_turn_it(house):
    staged = []

    async def stage_ticket(ticket, _drops, *, send):
        staged.append((ticket, send))
        return CommandResult(True, "")

    house.tickets.stage_ticket = stage_ticket
    await roll(house, "P1 15MAY26 175C @ 0.95 db gtc")
    ((ticket, send),) = staged
    assert [(leg.buys, leg.quantity, leg.symbol, leg.opens) for leg in ticket.legs] == [
        (False, 2, OCC, False), (True, 2, MAY, True),
    ]  # fmt: skip
    assert (ticket.price, ticket.time_in_force, send) == (Decimal("-0.95"), TimeInForce.GTC, True)


# --- not sent ---


@pytest.mark.parametrize(
    ("held", "names"),
    [
        ((position("NVDA", 100),), "NVDA"),
        ((position(OCC, 1), position("NVDA", 100)), "NVDA 17APR26 175C / NVDA"),
        (
            (position(OCC, 1), position(HIGHER, 1), position(MAY, 1)),
            "NVDA 17APR26 175C / NVDA 17APR26 180C / NVDA 15MAY26 175C",
        ),
    ],
)
async def test_what_is_no_one_or_two_options_does_not_roll(held, names):
    async with opened(book=Book(CASH, held)) as house:
        text = f"only one or two option legs roll as one order, this is {names}"
        assert said(await roll(house, "P1 15MAY26")) == ("BAD_INPUT", text)
        assert house.broker.posts == []


async def test_a_spread_keeps_its_strikes():
    async with opened(book=Book(CASH, (position(OCC, 1), position(HIGHER, -1)))) as house:
        text = "a spread keeps its strikes when it rolls: name the expiry alone"
        assert said(await roll(house, "P1 15MAY26 180C")) == ("BAD_INPUT", text)


async def test_what_a_working_order_closes_does_not_roll(house):
    assert house.approvals.close(ClosePosition("P1", send=True)).ok
    await house.lanes.idle()
    await house.ended(house.working[0].broker_id, OrderState.LIVE)
    text = "NVDA 17APR26 175C: a working order closes it already"
    assert said(await roll(house, "P1 15MAY26 175C")) == ("NOTHING_TO_CLOSE", text)


async def test_what_is_not_held_is_named_with_how_to_type_it(house):
    text = "no position 'AMD 15MAY26 180C'; :roll POSITION 15MAY26 180C @ 0.40 db"
    assert said(await roll(house, "AMD 15MAY26 180C now")) == ("NOTHING_TO_CLOSE", text)


async def test_into_itself_is_no_roll(house):
    text = "NVDA 17APR26 175C would be rolled into itself: name another expiry or strike"
    assert said(await roll(house, "P1 17APR26")) == ("BAD_INPUT", text)


async def test_what_an_exit_that_rests_closes_is_not_rolled():
    async with opened(orders=RESTING) as house:
        await enter(house)
        house.quote(5.00, 5.10, MAY)
        code, text = said(await roll(house, "P1 15MAY26 175C @ 0.95 db"))
        assert (code, text) == ("NOTHING_TO_CLOSE", "NVDA 17APR26 175C: a working order closes it already")
