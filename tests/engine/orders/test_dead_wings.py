"""A spread whose wing nobody bids for is closed at any price that can be right, and at no other."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.orders import BrokerPosition, OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.commands import EditOrder, StageTicket
from tests.engine.house import opened

SOLD, WING = "NVDA  260417P00150000", "NVDA  260417P00145000"
LINE = "buy 2 NVDA 17APR26 150P / sell 2 NVDA 17APR26 145P"


def hold(house):
    for symbol, quantity, price in ((SOLD, -2, "1.20"), (WING, 2, "0.60")):
        house.book.adopt(BrokerPosition(symbol, quantity, Decimal(price), 100), "manual", "m1", house.clock.now())
    house.quote(0.10, 0.15, SOLD)
    house.quote(0.0, 0.05, WING)


async def close(house, text):
    answer = await house.tickets.stage(StageTicket(text, send=True))
    await house.lanes.idle()
    return answer


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (f"{LINE} @ 50 db", False),
        (f"{LINE} @ 0.17 db", False),
        (f"{LINE} @ 0.16 db", True),
        (f"{LINE} @ 0.05 db", True),
        ("buy 2 NVDA 17APR26 150P @ 0.16", True),
    ],
)
async def test_a_slip_of_the_finger_is_refused_and_a_close_that_crosses_is_not(text, sent):
    async with opened() as house:
        hold(house)
        answer = await close(house, text)
        assert answer.ok is sent, answer.text
        assert len(house.broker.posts) == sent
        if not sent:
            assert answer.data["code"] == Reason.PRICE_INSANE.value
            assert "beyond the market (0.15 db)" in answer.text


@pytest.mark.parametrize(("offered", "most"), [(0.05, "0.16"), (0.0, "5.01")])
async def test_an_edit_of_such_a_close_has_the_same_bound(offered, most):
    async with opened() as house:
        hold(house)
        house.quote(0.0, offered, WING)
        assert (await close(house, f"{LINE} @ 0.05 db")).ok
        (record,) = house.working
        await house.desk.on_order(house.broker.set_state(record.broker_id, OrderState.LIVE))
        beyond = str(Decimal(most) + Decimal("0.01"))
        refused = house.edits.edit(EditOrder(record.intent.intent_id, beyond, True))
        assert (refused.ok, refused.data["code"]) == (False, Reason.PRICE_INSANE.value)
        answer = house.edits.edit(EditOrder(record.intent.intent_id, most, True))
        assert answer.ok, answer.text
