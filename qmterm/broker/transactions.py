"""tastytrade's transactions as core's words.

The trap: amounts come unsigned with an `-effect` beside each, fees in four parts, and a part that is absent is not
charged; a line without any part (an expiry, a deposit) states no fee at all, which is not a fee of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from qmterm.broker import decode
from qmterm.core.transactions import Transaction

FEES = ("commission", "clearing-fees", "regulatory-fees", "proprietary-index-option-fees", "other-charge")


@dataclass(frozen=True, slots=True)
class TransactionRows:
    good: tuple[Transaction, ...]
    faults: tuple[str, ...]


def transactions(bodies: Iterable[Mapping[str, Any]]) -> TransactionRows:
    """One bad row costs that row, and a sentence that says so."""
    good: list[Transaction] = []
    faults: list[str] = []
    for body in bodies:
        try:
            good.append(transaction(body))
        except decode.Unreadable as error:
            faults.append(f"a transaction cannot be read: {error}")
    return TransactionRows(tuple(good), tuple(faults))


def transaction(body: Mapping[str, Any]) -> Transaction:
    """decode.Unreadable where id, value, day or a fee cannot be read."""
    identity = body.get("id")
    if identity is None:
        raise decode.Unreadable("id is missing in a transaction")
    parts = [amount for name in FEES if (amount := decode.signed(body, name)) is not None]
    value, net = decode.signed(body, "value"), decode.signed(body, "net-value")
    if value is None or net is None:
        raise decode.Unreadable(f"value or net-value is missing in transaction {identity}")
    try:
        day = date.fromisoformat(str(body.get("transaction-date")))
    except ValueError as error:
        raise decode.Unreadable(f"transaction {identity} has no date: {error}") from error
    order = body.get("order-id")
    return Transaction(
        transaction_id=str(identity),
        kind=str(body.get("transaction-type", "")),
        sub_kind=str(body.get("transaction-sub-type", "")),
        symbol=None if body.get("symbol") in (None, "") else str(body["symbol"]),
        order_id=None if order in (None, "") else str(order),
        quantity=_number(body, "quantity"),
        price=_number(body, "price"),
        value=value,
        net_value=net,
        fees=-sum(parts, Decimal(0)) if parts else None,  # a debit is negative: what we paid
        estimated=bool(body.get("is-estimated-fee", False)),
        day=day,
        time_ns=decode.time_ns(body.get("executed-at")),
    )


def _number(body: Mapping[str, Any], name: str) -> Decimal | None:
    value = body.get(name)
    return None if value in (None, "") else decode.number(value, name)
