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
from qmterm.engine.commands import ApproveProposal, StageTicket
from qmterm.engine.orders.proposals import Proposal, Proposals
from qmterm.engine.orders.shelf import Shelf
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.runlog import RunLog
from qmterm.risk.gate import Gate
from tests.engine.fakes import OCC, TableQuotes, clock_at
from tests.engine.house import GONE, close_at, confirmed, opened, plan
from tests.engine.orders.test_spread_stops import BOUGHT, at, hold

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


def shelf_with(proposal, bid, ask, market_open=True, others=(), flat=()):
    clock = clock_at()
    quotes = TableQuotes()
    if bid is not None:
        quotes.set(OCC, bid, ask, clock.now())
    for symbol, low, high in others:
        quotes.set(symbol, low, high, clock.now())
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
        book=SimpleNamespace(quantity=lambda symbol: 0 if symbol in flat else 2),
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


@pytest.mark.parametrize(("proposal", "stays"), [(EXIT, False), (replace(EXIT, alarm=False), False), (ENTRY, True)])
@pytest.mark.parametrize("market_open", [True, False])
def test_a_close_of_what_is_not_held_any_more_is_taken_back(proposal, stays, market_open):
    shelf, proposals = shelf_with(proposal, 4.05, 4.15, market_open, flat=(OCC,))
    shelf.look()
    assert bool(proposals.waiting) is stays


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


HIGH = "NVDA  260417C00180000"
PENNIES = ("SPY   260417C00600000", "SPY   260417C00605000")
INDEX = ("SPXW  260417P05900000", "SPXW  260417P05890000")


def spread_exit(symbols, net_price):
    """Two of a spread sold back: the first leg sold, the second bought; both legs quoted."""
    legs = (Leg(symbols[0], Action.SELL_TO_CLOSE, 2), Leg(symbols[1], Action.BUY_TO_CLOSE, 2))
    return replace(EXIT, legs=legs, net_price=Decimal(net_price))


@pytest.mark.parametrize(
    ("symbols", "limit", "bid", "ask", "stays"),
    [
        ((OCC, HIGH), "2.00", 4.25, 2.25, True),
        ((OCC, HIGH), "2.00", 4.20, 2.25, True),  # one tick of one leg
        ((OCC, HIGH), "2.00", 4.15, 2.25, True),  # two; the room is twice 0.05 + 0.01
        ((OCC, HIGH), "2.00", 4.10, 2.25, False),
        ((OCC, HIGH), "2.00", 4.40, 2.25, False),  # more is to be had
        ((OCC, HIGH), "0.80", 1.75, 1.00, True),  # a nickel is no move of a spread, whatever its legs' ticks
        ((OCC, HIGH), "0.80", 1.74, 1.00, False),
        (PENNIES, "2.00", 4.20, 2.25, True),
        (PENNIES, "2.00", 4.19, 2.25, False),
        (INDEX, "0.20", 2.00, 1.80, True),
        (INDEX, "0.20", 2.00, 2.00, True),  # two ticks of each leg
        (INDEX, "0.20", 2.00, 2.05, False),
        (INDEX, "5.00", 40.10, 35.50, True),  # and these are dimes from three dollars on
        (INDEX, "5.00", 40.00, 35.50, False),
    ],
)
def test_the_close_of_a_spread_has_the_room_of_all_its_legs_ticks(symbols, limit, bid, ask, stays):
    others = ((symbols[0], bid, bid + 0.10), (symbols[1], ask - 0.10, ask))
    shelf, proposals = shelf_with(spread_exit(symbols, limit), None, None, others=others)
    shelf.look()
    assert bool(proposals.waiting) is stays


async def test_the_question_of_a_spreads_stop_stays_when_one_leg_moves_a_nickel():
    async with opened() as house:
        await hold(house, BOUGHT)
        house.trader.mode = Mode.CONFIRM
        at(house, 1.80, 0.90)
        await house.turn()
        (asked,) = house.trader.proposals.waiting
        house.quote(1.75, 1.85)
        assert Shelf(house.trader).look() == ()
        await house.turn()
        assert house.trader.proposals.waiting == (asked,)
        assert len([line for line in house.log.lines if line.kind == "PLAN" and "close?" in line.text]) == 1


@pytest.mark.parametrize(("step", "stays"), [(0.05, True), (-0.05, True), (0.10, False), (-0.10, False)])
async def test_a_typed_spread_waits_while_its_mid_moves_by_no_more_than_a_nickel(step, stays):
    """A share of a small net mid is less than a tick of one leg: no question would live to its answer."""
    async with opened(mode=Mode.CONFIRM, orders=OrderSettings(walk=True)) as house:
        house.quote(2.90, 3.00, HIGH)
        answer = await house.tickets.stage(StageTicket(BOUGHT.split(" @")[0], False))
        assert answer.ok, answer.text
        (waiting,) = house.trader.proposals.waiting
        assert waiting.order.worst_price == Decimal("-1.30")
        at(house, 4.10 + step, 2.90)
        Shelf(house.trader).look()
        assert (waiting in house.trader.proposals.waiting) is stays
        if stays:
            answer = house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price)))
            assert answer.ok, answer.text
            await house.lanes.idle()
            (sent,) = house.working
            assert (sent.intent.net_price, sent.intent.worst_price) == (
                Decimal("-1.20"),
                Decimal("-1.30") if step > 0 else Decimal("-1.25"),
            )
