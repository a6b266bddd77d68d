"""Orders lie on the grid the broker says, and on the usual one until it has said."""

from __future__ import annotations

from decimal import Decimal

from qmterm.core.errors import BrokerError
from qmterm.core.orders import BrokerPosition
from qmterm.core.ticks import TickTable, program_for
from qmterm.engine.commands import ClosePosition
from qmterm.engine.orders.ticks import TickBook
from tests.engine.fakes import OCC
from tests.engine.house import GONE, close_at, opened

NICKEL = TickTable.from_broker([{"value": "0.05", "threshold": "3.0"}, {"value": "0.10"}])


class Source:
    def __init__(self, answers) -> None:
        self.answers = list(answers)
        self.asked = []

    async def tick_table(self, underlying):
        self.asked.append(underlying)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_the_brokers_table_is_asked_once_and_serves_every_spelling():
    source = Source([NICKEL])
    book = TickBook(source)
    assert book.of("BRKB  260417C00490000") is program_for("BRKB")
    await book.learn("BRK.B")
    await book.learn("BRKB")
    assert source.asked == ["BRK.B"]
    assert book.of("BRKB  260417C00490000") is NICKEL


async def test_a_failed_question_is_asked_again_and_no_answer_leaves_the_usual_grid():
    source = Source([BrokerError("502"), None])
    book = TickBook(source)
    await book.learn("NVDA")
    await book.learn("NVDA")
    await book.learn("NVDA")
    assert source.asked == ["NVDA", "NVDA"]
    assert book.of(OCC) is program_for("NVDA")


async def test_a_stop_on_a_nickel_class_leaves_on_the_dime_grid():
    """A bid of 4.25 is no price for a class that trades in dimes above $3: the broker would refuse the exit."""
    async with opened(ticks=TickBook(Source([NICKEL]))) as house:
        await house.hold(4)
        await house.ticks.learn("NVDA")
        house.quote(4.25, 4.45)
        close_at(house, GONE)
        await house.turn()
        (record,) = house.working
        assert record.intent.net_price % Decimal("0.10") == 0


async def test_shares_are_priced_in_cents_whatever_their_options_do():
    async with opened() as house:
        house.book.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "external", "", house.clock.now())
        house.book.settle([BrokerPosition("NVDA", 100, Decimal(170), 1)], house.clock.now())
        house.quote(177.93, 178.02, "NVDA")
        assert house.approvals.close(ClosePosition("NVDA", send=True)).ok
        await house.lanes.idle()
        assert [record.intent.net_price for record in house.working] == [Decimal("177.93")]
