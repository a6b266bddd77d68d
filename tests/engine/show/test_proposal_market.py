"""A spread is compared with its net market, never with a leg's own bid and ask."""

from __future__ import annotations

import pytest

from qmterm.engine.commands import StageTicket
from qmterm.engine.show.greeks import PositionGreeks
from qmterm.engine.show.proposal_market import delta_change, market_of
from tests.engine.fakes import OCC
from tests.engine.house import opened

HIGHER = "NVDA  260417C00180000"
BUY = "buy 1 NVDA 17APR26 175C / sell 1 NVDA 17APR26 180C @ 1.90 db"
SELL = "sell 1 NVDA 17APR26 175C / buy 1 NVDA 17APR26 180C @ 1.90 cr"


async def proposal_of(house, text):
    house.quote(2.20, 2.40, HIGHER)
    answer = await house.tickets.stage(StageTicket(text))
    assert answer.ok, answer.text
    return house.trader.proposals.waiting[-1]


@pytest.mark.parametrize("text", [BUY, SELL])
async def test_the_net_market_reads_the_same_from_either_side(text):
    async with opened() as house:
        proposal = await proposal_of(house, text)
        bid, mid, ask = market_of(proposal, house.trader.quotes_of(proposal.legs))
        assert (bid, mid, ask) == (pytest.approx(1.70), pytest.approx(1.85), pytest.approx(2.00))


async def test_a_leg_without_a_quote_leaves_the_market_unknown():
    async with opened() as house:
        proposal = await proposal_of(house, BUY)
        house.quotes.table.pop(HIGHER)
        assert market_of(proposal, house.trader.quotes_of(proposal.legs)) == (None, None, None)


async def test_a_close_of_a_part_takes_away_that_part_of_the_delta_and_unknown_stays_unknown():
    async with opened() as house:
        await house.hold(4)
        assert (await house.tickets.stage(StageTicket("sell 1 NVDA 17APR26 175C @ 4.30"))).ok
        (proposal,) = house.trader.proposals.waiting
        greeks = {OCC: PositionGreeks(200.0, 1.0, -5.0, 40.0)}
        assert delta_change(proposal, greeks, house.book.quantity) == -50.0
        assert delta_change(proposal, {}, house.book.quantity) is None
