"""A disk that refuses the row of one order keeps no word of the broker about the others back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qmterm.core.errors import JournalError
from qmterm.core.orders import OrderState
from tests.engine.fakes import entry
from tests.engine.house import opened


@pytest.mark.parametrize("look", ["poll_orders", "read_account"])
async def test_an_order_behind_one_that_cannot_be_written_ends_all_the_same(look):
    async with opened() as house:
        await house.hold(1)
        broker, now = house.broker, house.clock.now()
        strange = await broker.place(replace(entry("zz"), created_ns=now))
        broker.orders[strange.broker_id] = replace(strange, external_id=None, state=OrderState.LIVE)
        ours = await house.desk.submit(replace(entry("mine"), created_ns=now))
        write = house.journal.write_intent

        async def full(*_args, **_more):
            raise JournalError("disk full")

        house.journal.write_intent = full
        broker.set_state(ours.broker_id, OrderState.CANCELLED)
        for _ in range(2):  # said each time: the engine decides what a disk that refuses rows means
            with pytest.raises(JournalError, match="disk full"):
                await getattr(house.oversight, look)()
        assert ours.state is OrderState.CANCELLED
        house.journal.write_intent = write
        await getattr(house.oversight, look)()
        assert house.journal.rows.count(("intent", f"ext-{strange.broker_id}")) == 1
