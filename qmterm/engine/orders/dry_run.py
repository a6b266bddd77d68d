"""What sells anything is tried at the broker before it is sent: the worse of its estimate and ours rules.

The trap: what is only bought costs what it costs, so it is not asked about: the question takes as long as an order.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from qmterm.broker.errors import UNREADABLE
from qmterm.core.errors import BrokerError
from qmterm.core.reasons import Reason
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.runlog import RunLog
from qmterm.risk.buying_power import beyond_power


def sells(record: OrderRecord) -> bool:
    """Whether any leg is sold: only then the broker is asked beforehand."""
    return not all([leg.action.buys for leg in record.intent.legs])


async def broker_refusal(
    desk: OrderDesk, record: OrderRecord, counted: Decimal, left: Decimal | None, log: RunLog
) -> Reason | None:
    """Why the order must not go. `left` is our buying power with it and all others taken off, it at `counted`.

    An answer that does not come or cannot be read refuses nothing: our own estimate stands.
    """
    intent = record.intent
    if not sells(record):
        return None
    try:
        answer = await desk.dry_run(replace(intent, net_price=intent.counted_price))  # as dear as it may become
    except BrokerError as error:
        log.warn("RISK", f"the broker's dry run: {error}", intent.intent_id)
        return None if error.code == UNREADABLE else Reason.BROKER_REFUSED
    short = beyond_power(answer, counted, left)
    if short is None:
        return None
    takes = -answer.buying_power_change
    log.warn(
        "RISK",
        f"the broker's dry run takes {takes} of buying power, {short} more than there is",
        intent.intent_id,
        takes=str(takes),
        short=str(short),
    )
    return Reason.LIMIT_BUYING_POWER
