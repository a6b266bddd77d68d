"""Rows that the journal's tests write: one option bought, marked and sold."""

from __future__ import annotations

from decimal import Decimal

from qmterm.core.clock import ManualClock
from qmterm.core.orders import Action, Fill, Leg, OrderIntent, Purpose
from qmterm.journal import Journal

CALL = "AAPL  260417C00230000"
T0 = 1_772_461_500_000_000_000  # 2026-03-02 09:25 ET


def clock() -> ManualClock:
    return ManualClock(T0, 1.0)


def intent(number: int = 1, quantity: int = 2) -> OrderIntent:
    return OrderIntent(
        intent_id=f"qm-{number}",
        created_ns=T0 + number,
        strategy="atr-matrix",
        underlying="AAPL",
        purpose=Purpose.ENTRY,
        legs=(Leg(CALL, Action.BUY_TO_OPEN, quantity),),
        quantity=quantity,
        net_price=Decimal("-4.15"),
        max_loss=Decimal("832.30"),
        plan_id=f"plan-{number}",
    )


def fill(number: int = 1, order: str = "1001", action: Action = Action.BUY_TO_OPEN, quantity: int = 2) -> Fill:
    return Fill(f"f-{number}", order, CALL, action, quantity, Decimal("4.10"), T0 + 50 + number, Decimal("2.30"))


async def session(journal: Journal, cash: str = "100000") -> int:
    return await journal.start_session("5WT00001", "auto", "sim", "sim", Decimal(cash), (), "abc123")
