"""A chain that the plan or its budget kept away is named as such: in the ledger, in the row's note, in the journal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from qmterm.core.errors import DataSilent, NotEntitled, RateLimited
from qmterm.core.orders import BrokerPosition, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import OptionChoiceSettings
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.signals.entries import RETRY_CHOICE_S, Entries
from qmterm.market.quality.coverage import Coverage, Listed
from tests.engine.fakes import entry
from tests.engine.house import House, plan
from tests.market.fakes import until


class Room:
    """Entries with one signal; `answer` is what the question for its chain ends in."""

    def __init__(self, answer: Exception | None = None, symbol: str = "NVDA") -> None:
        self.house = House()
        self.coverage = Coverage()
        self.coverage.list(Listed((symbol,)))
        self.answer = answer
        self.asked = 0
        self.wait_s = 0.0
        self.open_gate = asyncio.Event()
        self.open_gate.set()
        signal = replace(plan(now_ns=self.house.clock.now()).signal, symbol=symbol)
        self.entries = Entries(
            self.house.trader,
            SimpleNamespace(entries=lambda most: [signal], learn_options=lambda *_, **__: None, coverage=self.coverage),
            SimpleNamespace(read=self._read),
            None,
            SimpleNamespace(check=self._listed),
            None,
            self.house.clock,
            self.house.log,
            OptionChoiceSettings(),
            1,
            wait_s=lambda: self.wait_s,
        )

    async def _read(self, *_: object) -> tuple[()]:
        self.asked += 1
        await self.open_gate.wait()
        if self.answer is not None:
            raise self.answer
        return ()

    async def _listed(self, *_: object) -> dict[str, bool]:
        return {"NVDA": True, "SPX": True}


CASES = [
    (NotEntitled("option chains are not in your plan"), Reason.NOT_ENTITLED),
    (RateLimited("no calls for another 40 s"), Reason.WAITING_BUDGET),
    (DataSilent("no answer"), Reason.NO_DATA),
]


@pytest.mark.parametrize(("failure", "reason"), CASES, ids=[reason.value for _, reason in CASES])
async def test_why_a_chain_was_not_looked_at(failure, reason):
    room = Room(failure)
    await room.entries.consider()
    assert room.coverage.chain_of("NVDA") is reason
    assert room.entries.notes["NVDA"] == reason.value
    assert room.house.trader.rejected == {reason.value: 1}
    room.answer = None
    room.house.clock.advance(RETRY_CHOICE_S)
    await room.entries.consider()
    assert room.coverage.chain_of("NVDA") is None


async def test_what_the_plan_lacks_is_not_asked_in_every_pass_and_what_waits_is():
    for failure, asked in ((CASES[0][0], 1), (CASES[1][0], 3)):
        room = Room(failure)
        for _ in range(3):
            await room.entries.consider()
        assert room.asked == asked


@pytest.mark.parametrize(("wait_s", "reason"), [(12.0, Reason.WAITING_BUDGET), (0.2, None)])
async def test_while_the_budget_makes_a_chain_wait_the_ledger_says_so(wait_s, reason):
    room = Room()
    room.wait_s = wait_s
    room.open_gate.clear()
    looking = asyncio.create_task(room.entries.consider())
    await until(lambda: room.asked)
    assert room.coverage.chain_of("NVDA") is reason
    room.open_gate.set()
    await looking
    assert room.coverage.chain_of("NVDA") is None


def holds(room, root):
    row = BrokerPosition(f"{root:<6}260417C05000000", 1, Decimal(4), 100)
    room.house.book.adopt(row, "one", "P", room.house.clock.now())


def orders(room, root):
    room.house.desk.ledger.add(OrderRecord(replace(entry(), underlying=root), OrderState.LIVE))


def proposes(room, root):
    waiting = SimpleNamespace(underlying=root, purpose=Purpose.ENTRY)
    room.house.trader.proposals = SimpleNamespace(waiting=(waiting,))


@pytest.mark.parametrize("busy", [holds, orders, proposes])
async def test_an_index_whose_weekly_is_held_ordered_or_proposed_is_not_looked_at(busy):
    for root, asked in (("SPXW", 0), ("XSP", 1)):
        room = Room(symbol="SPX")
        busy(room, root)
        await room.entries.consider()
        assert room.asked == asked
