"""What the broker booked: executions, deliveries, dividends, fees, with the cash each moved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Transaction:
    """One line of the account's ledger. Dollars; `fees` positive = paid, None where the broker states none."""

    transaction_id: str
    kind: str  # Trade, Receive Deliver, Money Movement, …
    sub_kind: str
    symbol: str | None
    order_id: str | None
    quantity: Decimal | None
    price: Decimal | None
    value: Decimal
    net_value: Decimal
    fees: Decimal | None
    estimated: bool  # the fees may still change tonight
    day: date
    time_ns: int
