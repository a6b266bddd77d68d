"""Which working orders have to go now, and why: their time is over, the ladder forbids them, a stop needs their place.

The trap: an order that is taken away leaves a gap until the next one works, so a stop that stands is given up only
where its successor may be sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qmterm.core.orders import OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.engine.ladder import Level
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.orders.orphans import uneven
from qmterm.engine.trader import Trader


def wanted_gone(
    trader: Trader, unwanted: Callable[[], Iterable[OrderRecord]], reprices: Callable[[OrderRecord], bool]
) -> list[tuple[OrderRecord, str]]:
    """Each with its reason in words. `unwanted` under FLATTEN; `reprices` says of an exit that a replace will do."""
    now = trader.clock.now()
    level = trader.ladder.level
    limit = int(trader.settings.entry_timeout_s * 1e9)
    wanted: list[tuple[OrderRecord, str]] = []
    for record in trader.desk.ledger.working:
        if not _may_cancel(record, trader):
            continue
        if record.unwanted:
            wanted.append((record, "gives way to a stop" if record.gives_way else "by you"))
        elif level is Level.HALT:
            if not record.spared:
                wanted.append((record, "HALT"))
        elif record.withdrawn is not None:  # its cancel failed, or it had no number yet, before a person went on
            wanted.append((record, record.withdrawn.value))
        elif level is Level.FLATTEN:
            continue  # below: it takes more than entries away
        elif not record.external and uneven(record, now):
            wanted.append((record, Reason.ORPHAN_LEG.value))  # what stands alone then is closed: orphans.py
        elif (latched := _overtaken(record, trader)) is not None:
            wanted.append((record, latched.value))
        elif record.external or record.intent.purpose is not Purpose.ENTRY:
            continue
        elif level >= Level.REDUCE_ONLY:
            wanted.append((record, level.label))
        elif record.intent.reason is Reason.USER:
            continue  # how long it works is in the order itself
        elif (barred := trader.money_refusal()) is not None:
            wanted.append((record, barred.value))  # its stop could not leave once it has filled
        elif now - trader.desk.ledger.root(record).worked_from_ns >= limit:
            wanted.append((record, Reason.ENTRY_TIMEOUT.value))
    if level is Level.FLATTEN:
        named = {record.intent.intent_id for record, _ in wanted}
        more = (record for record in unwanted() if record.intent.intent_id not in named)
        wanted += [(record, level.label) for record in more if _may_cancel(record, trader)]
    named = {record.intent.intent_id for record, _ in wanted}
    # The goal behind it stands: auto sends the next one at the new price, confirm asks again with an alarm.
    # Only where the next one may be sent: a stop that works is not given up for nothing.
    stale = trader.guards.stale_exits() if trader.closing_refusal() is None else ()
    wanted += [(r, "re-price") for r in stale if r.intent.intent_id not in named and not reprices(r)]
    return wanted


def _overtaken(record: OrderRecord, trader: Trader) -> Reason | None:
    """The whole exit that a scale-out of the machine's stands in the way of: a stop never waits behind a profit."""
    intent = record.intent
    guard = trader.guards.of(intent.plan_id)
    if guard is None or intent.purpose is not Purpose.SCALE_OUT or intent.rests or intent.reason is Reason.USER:
        return None
    return guard.state.latched


def _may_cancel(record: OrderRecord, trader: Trader) -> bool:
    """Is there an order at the broker that a cancel could end, and was it not asked just now."""
    if record.state in (OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN):
        return False
    return not record.cancelling(trader.clock.monotonic(), trader.clock.now())
