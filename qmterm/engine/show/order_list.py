"""Orders as rows of JSON: the same from a running engine and from a journal file."""

from __future__ import annotations

from qmterm.core.clock import to_et
from qmterm.core.orders import OrderIntent, OrderState
from qmterm.engine.orders.ledger import Ledger
from qmterm.engine.show.wording import describe_order


def order_row(
    intent: OrderIntent, state: OrderState, broker_id: str | None, filled: int | None, reason: str, *, external: bool
) -> dict[str, object]:
    """One order; `filled` is whole units, None when that is not known."""
    return {
        "order_id": intent.intent_id,
        "broker_id": broker_id,
        "created_ns": intent.created_ns,
        "time": f"{to_et(intent.created_ns):%Y-%m-%d %H:%M:%S}",
        "text": describe_order(intent),
        "limit": str(intent.net_price),
        "quantity": intent.quantity,
        "filled": filled,
        "state": state.value,
        "working": state.working,
        "purpose": intent.purpose.value,
        "strategy": intent.strategy,
        "plan_id": intent.plan_id,
        "external": external,
        "reason": reason,
    }


def ledger_rows(ledger: Ledger, *, everything: bool) -> list[dict[str, object]]:
    """Working orders (or all of the last days), oldest first."""
    records = sorted(ledger.records, key=lambda record: record.intent.created_ns)
    return [
        order_row(r.intent, r.state, r.broker_id, r.filled_units, r.reason, external=r.external)
        for r in records
        if everything or r.working
    ]


def order_line(row: dict[str, object]) -> str:
    """`10:31:07 a1b2… BUY 2 NVDA … live 1/2`."""
    filled = "–" if row["filled"] is None else row["filled"]
    tail = f" ({row['reason']})" if row["reason"] else ""
    who = " external" if row["external"] else ""
    return (
        f"{row['time']}  {row['order_id']}  {row['text']}  {row['state']} {filled}/{row['quantity']} "
        f"{row['purpose']}{who}{tail}"
    )
