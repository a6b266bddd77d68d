"""Orders as rows of JSON, the same from a running engine and from a journal file, and as lines in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qmterm.core.clock import NS, to_et
from qmterm.core.orders import OrderIntent, OrderState
from qmterm.engine.orders.ledger import Ledger
from qmterm.engine.show.wording import describe_order


def order_row(
    intent: OrderIntent,
    state: OrderState,
    broker_id: str | None,
    filled: int | None,
    reason: str,
    *,
    external: bool,
    now_ns: int | None = None,
) -> dict[str, object]:
    """One order; `filled` is whole units, `age_s` market seconds; None where that is not known."""
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
        "age_s": None if now_ns is None else max(0, now_ns - intent.created_ns) / NS,
    }


def ledger_rows(ledger: Ledger, now_ns: int, *, everything: bool) -> list[dict[str, object]]:
    """Working orders (or all of the last days), oldest first."""
    records = sorted(ledger.records, key=lambda record: record.intent.created_ns)
    return [
        order_row(r.intent, r.state, r.broker_id, r.filled_units, r.reason, external=r.external, now_ns=now_ns)
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


def order_words(rows: Sequence[Mapping[str, object]], *, everything: bool) -> list[str]:
    """A line an order: id, state, what at which limit, filled of how many, age, owner. What has ended is counted only,
    unless `everything` is wanted."""
    shown = [row for row in rows if everything or row["working"]]
    cells = [
        (
            str(row["order_id"]),
            str(row["state"]),
            str(row["text"]),
            f"filled {'–' if row['filled'] is None else row['filled']}/{row['quantity']}",
            _age(row["age_s"]),
            "placed elsewhere" if row["external"] else str(row["strategy"]),
            str(row["reason"]),
        )
        for row in shown
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    if not shown:
        lines = ["no orders" if everything else "no working orders"]
    ended = len(rows) - len(shown)
    return [*lines, f"{ended} ended order(s) left out: qmterm ctl orders all"] if ended else lines


def _age(seconds: object) -> str:
    """`37 s`, `12 m`, `3 h`, `2 d` of market time."""
    if not isinstance(seconds, int | float):
        return "–"
    for limit, unit, word in ((100, 1, "s"), (6000, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // unit)} {word}"
    return f"{int(seconds // 86_400)} d"
