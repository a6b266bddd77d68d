"""A proposal that could not be sent as it stands is taken back; one that could stays, and so does a hand-made close."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from qmterm.core.orders import Action, Leg, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode, OrderSettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.orders.proposals import Proposal, Proposals
from qmterm.engine.orders.shelf import Shelf
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.runlog import RunLog
from qmterm.risk.gate import Gate
from tests.engine.fakes import OCC, TableQuotes, clock_at
from tests.engine.house import GONE, close_at, confirmed, opened, plan

ENTRY = Proposal(
    proposal_id="p1",
    created_ns=0,
    expires_at=1e9,
    purpose=Purpose.ENTRY,
    strategy="atr_matrix",
    underlying="NVDA",
    legs=(Leg(OCC, Action.BUY_TO_OPEN, 2),),
    quantity=2,
    net_price=Decimal("-4.15"),
    mid_seen=4.10,
    max_loss=Decimal(830),
    buying_power=Decimal(830),
    binding="LIMIT_TRADE",
    why=(),
    plan_id="plan-1",
)
EXIT = replace(
    ENTRY,
    proposal_id="x1",
    purpose=Purpose.EXIT,
    legs=(Leg(OCC, Action.SELL_TO_CLOSE, 2),),
    net_price=Decimal("4.05"),
    alarm=True,
)


def shelf_with(proposal, bid, ask, market_open=True):
    clock = clock_at()
    quotes = TableQuotes()
    if bid is not None:
        quotes.set(OCC, bid, ask, clock.now())
    proposals = Proposals(clock)
    proposals.add(proposal)
    trader = SimpleNamespace(
        proposals=proposals,
        clock=clock,
        log=RunLog(clock),
        journal=SimpleNamespace(decision=lambda *a, **k: None),
        market_open=lambda: market_open,
        quotes_of=lambda legs: {leg.symbol: q for leg in legs if (q := quotes.quote(leg.symbol))},
        settings=OrderSettings(),
        gate=Gate(RiskSettings()),
        ticks=TickBook(),
    )
    return Shelf(trader), proposals


@pytest.mark.parametrize(
    ("proposal", "bid", "ask", "stays"),
    [
        (ENTRY, 4.05, 4.15, True),
        (ENTRY, 4.30, 4.45, False),  # the mid moved more than the band
        (ENTRY, 3.95, 4.00, False),  # the limit lies beyond the far side now
        (ENTRY, None, None, True),  # no quote says nothing
        (EXIT, 4.05, 4.15, True),
        (EXIT, 4.10, 4.20, True),
        (EXIT, 3.80, 3.95, False),  # nobody pays that any more
        (EXIT, 4.40, 4.50, False),  # more is to be had
        (replace(EXIT, alarm=False), 3.80, 3.95, True),  # a person meant that price
    ],
)
def test_only_what_can_be_sent_keeps_waiting(proposal, bid, ask, stays):
    shelf, proposals = shelf_with(proposal, bid, ask)
    gone = shelf.look()
    assert (proposals.get(proposal.proposal_id) is not None) is stays
    assert bool(gone) is not stays


def test_outside_the_session_everything_waits():
    shelf, proposals = shelf_with(ENTRY, 1.0, 1.1, market_open=False)
    assert shelf.look() == ()
    assert proposals.get("p1") is not None


async def test_an_entry_taken_back_may_be_asked_again_at_todays_price():
    async with opened(Mode.CONFIRM) as house:
        house.trader.open(plan(), 0.0)
        house.quote(4.40, 4.50)
        assert len(Shelf(house.trader).look()) == 1
        assert house.journal.decisions[-1] == ("NVDA", "withdrawn", Reason.PRICE_MOVED)
        assert house.trader.open(plan("P2", net_price="-4.45"), 0.0).approved
        assert [p.plan_id for p in house.trader.proposals.waiting] == ["P2"]


async def test_a_stop_that_waits_for_a_person_follows_the_market():
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        close_at(house, GONE)
        await house.turn()
        house.quote(3.90, 4.00)
        assert len(Shelf(house.trader).look()) == 1
        await house.turn()
        (asked,) = house.trader.proposals.waiting
        assert (asked.net_price, asked.alarm) == (Decimal("3.90"), True)
