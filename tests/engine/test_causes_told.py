"""What the broker does by itself comes into the book with its cause, and only what nothing explains is alarming."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from qmterm.broker.paper import PaperBroker
from qmterm.core.clock import from_et
from qmterm.core.corporate import DayActions
from qmterm.core.errors import OutcomeUnknown
from qmterm.core.orders import BrokerPosition
from qmterm.core.reasons import Reason
from qmterm.core.settings.broker import PaperSettings
from qmterm.core.settings.engine import EngineSettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.ladder import Level
from qmterm.engine.oversight import Oversight
from tests.broker.test_paper_delivery import Facts, Kept
from tests.engine.fakes import CASH, OCC
from tests.engine.house import opened
from tests.sim.brokerage.fake_world import CALENDAR

EXPIRY = date(2026, 4, 17)


async def papered(house, kept=None, **positions):
    """The house with a paper account that both sides agree on."""
    held = positions or {"NVDA": 100, OCC: -1}
    paper = PaperBroker(house.quotes, kept or Kept(), house.clock, PaperSettings(), calendar=CALENDAR)
    await paper.connect()
    for symbol, quantity in held.items():
        row = BrokerPosition(symbol, quantity, Decimal(4), 1 if symbol == "NVDA" else 100)
        paper._book.positions[symbol] = row
        house.book.adopt(row, "covered_call", "P1", 1)
    house.desk._broker_tells_fees = True
    house.oversight = Oversight(
        house.trader, paper, house.journal, EngineSettings(), RiskSettings(), lambda: 0.0, house.lag
    )
    return paper


async def expire(house, paper, spot=190.0):
    house.clock.now_ns = from_et(EXPIRY, 16)
    house.quotes.set("NVDA", spot - 0.01, spot + 0.01, house.clock.now())
    await paper.on_market(house.clock.now())


def alarms(house):
    return [line.text for line in house.log.lines if line.level == "alarm"]


def said(house):
    return " | ".join(line.text for line in house.log.lines)


async def stood(house):
    """Reconcile until a difference has stood for the window."""
    for _ in range(3):
        answer = await house.oversight.reconcile()
        house.clock.advance(11)
    return answer


async def test_an_assigned_covered_call_is_in_the_book_at_the_next_look_with_its_cause_and_no_alarm():
    async with opened() as house:
        paper = await papered(house)
        await expire(house, paper)
        assert await house.oversight.reconcile() == (True, "book and broker agree")
        assert house.book.positions == ()
        assert house.book.cash == (await paper.account_state()).balance.cash
        assert house.book.realized == 4 * 100 + (175 - 4) * 100  # premium kept, shares sold at the strike
        assert "assignment of 1 NVDA 17APR26 175C" in said(house)
        assert alarms(house) == []
        assert house.ladder.level is Level.NORMAL
        assert house.journal.adjustments == []  # executions of the book, not a correction
        counted = dict(house.journal.fills)
        await house.oversight.reconcile()
        assert house.journal.fills == counted


async def test_a_spread_that_ends_in_the_money_on_both_legs_leaves_its_width():
    async with opened() as house:
        sold = OCC.replace("175", "180")
        paper = await papered(house, **{OCC: 1, sold: -1})
        await expire(house, paper)
        assert (await house.oversight.reconcile())[0]
        assert house.book.cash == (await paper.account_state()).balance.cash > CASH + 499
        assert alarms(house) == []


async def test_an_expiry_that_happened_while_we_were_away_is_counted_once():
    async with opened() as house:
        kept = Kept()
        paper = await papered(house, kept)
        await expire(house, paper, 170.0)
        again = PaperBroker(house.quotes, kept, house.clock, PaperSettings(), calendar=CALENDAR)
        await again.connect()
        house.oversight = Oversight(
            house.trader, again, house.journal, EngineSettings(), RiskSettings(), lambda: 0.0, house.lag
        )
        assert (await house.oversight.settle())[0]
        assert [(p.symbol, p.quantity) for p in house.book.positions] == [("NVDA", 100)]
        assert "expiry of 1 NVDA" in said(house)


async def test_a_dividend_is_adopted_with_its_name_and_is_a_profit_not_a_deposit():
    async with opened() as house:
        paper = await papered(house, NVDA=100)
        house.trader.day.begin_day(date(2026, 3, 2), Decimal(100_000))
        paper.facts = Facts()
        await paper.on_market(house.clock.now())
        day = date(2026, 3, 3)
        paper.facts.days["NVDA", day] = DayActions(Decimal("0.26"))
        house.clock.now_ns = from_et(day, 10)
        await paper.on_market(house.clock.now())
        agreed, _ = await stood(house)
        assert agreed
        assert "dividend NVDA +26.00" in said(house)
        assert house.ladder.level is Level.NORMAL
        assert alarms(house) == []
        assert house.book.cash == CASH + 26


async def test_a_split_is_adopted_with_its_name():
    async with opened() as house:
        paper = await papered(house, NVDA=100)
        paper._book.positions["NVDA"] = BrokerPosition("NVDA", 400, Decimal(1), 1)
        house.oversight = Oversight(
            house.trader, paper, house.journal, EngineSettings(), RiskSettings(), lambda: 0.0, house.lag,
            split_ratio=lambda symbol, after, until: 4.0,
        )  # fmt: skip
        await stood(house)
        assert house.book.quantity("NVDA") == 400
        assert "(split of NVDA)" in said(house)
        assert house.ladder.level is Level.NORMAL


async def test_a_stop_goes_on_with_the_contracts_that_a_split_made():
    new = "NVDA  260417C00087500"
    async with opened() as house:
        await house.hold(2)
        paper = await papered(house, **{OCC: 2})
        house.oversight = Oversight(
            house.trader, paper, house.journal, EngineSettings(), RiskSettings(), lambda: 0.0, house.lag,
            split_ratio=lambda symbol, after, until: 2.0,
        )  # fmt: skip
        paper._book.positions = {new: BrokerPosition(new, 4, Decimal(2), 100)}
        paper._book.cash = house.book.cash
        premium = house.guards.of("P1").state.entry_premium
        await stood(house)
        await house.oversight.protection.tidy()
        position, guard = house.book.position(new), house.guards.of("P1")
        assert (position.quantity, position.strategy, position.plan_id) == (4, "atr_matrix", "P1")
        assert (guard.symbol, guard.state.quantity, guard.state.opened) == (new, 4, 4)
        assert guard.state.entry_premium == premium / 2
        assert house.journal.protects["P1"]["symbol"] == new
        assert "split: the stops now watch 4 NVDA 17APR26 87.5C" in said(house)
        assert house.ladder.level is Level.NORMAL


@pytest.mark.parametrize("readable", [True, False])
async def test_what_nothing_explains_still_alarms_and_says_that_its_cause_is_unknown(readable):
    async with opened() as house:
        paper = await papered(house, NVDA=100)
        del paper._book.positions["NVDA"]
        if not readable:

            async def silent(since):
                raise OutcomeUnknown("no answer")

            paper.transactions = silent
        await stood(house)
        assert "NVDA: ours 100, broker 0 (cause unknown)" in alarms(house)[0]
        assert house.ladder.level is Level.REDUCE_ONLY
        assert "cause unknown" in house.ladder.causes[0].text
        assert house.ladder.causes[0].reason is Reason.RECONCILE_DIFFERENCE


async def test_a_fill_that_is_counted_while_the_broker_is_asked_is_not_undone():
    async with opened() as house:
        paper = await papered(house, NVDA=100)
        paper._book.positions["NVDA"] = BrokerPosition("NVDA", 150, Decimal(4), 1)
        reading = paper.transactions

        async def meanwhile(since):
            if len(asked) == 1:  # when the difference has stood, and would be adopted
                house.book.adopt(BrokerPosition("NVDA", 150, Decimal(4), 1), "x", "", 1)
                house.book.fill_count += 1
            asked.append(since)
            return await reading(since)

        asked = []
        paper.transactions = meanwhile
        await house.oversight.reconcile()
        house.clock.advance(11)
        await house.oversight.reconcile()
        assert house.journal.adjustments == []
        assert alarms(house) == []
