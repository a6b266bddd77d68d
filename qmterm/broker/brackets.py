"""Intents that belong together as one complex order of the SDK: OTOCO, OTO or OCO, and the answer taken apart again.

The trap: the SDK calls the Limit order the take-profit and the other one the stop, whatever order they stand in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tastytrade.order import AnyOrder, LimitOrder, OCOOrder, OTOCOOrder, OTOOrder, StopLimitOrder, StopOrder

from qmterm.broker.orders import BAD_ORDER
from qmterm.broker.orders import to_sdk as simple
from qmterm.core.errors import BrokerError
from qmterm.core.order_rules import bracket_fault
from qmterm.core.orders import BracketRole, OrderIntent


def to_sdk(intents: tuple[OrderIntent, ...]) -> OTOCOOrder | OTOOrder | OCOOrder:
    """BrokerError(bad_order) when they are no bracket, or one of them is no order that could be sent."""
    fault = bracket_fault(intents)
    if fault is not None:
        raise BrokerError(f"a bracket was not sent: {fault}", BAD_ORDER)
    by_role = {intent.role: simple(intent) for intent in intents}
    trigger = by_role.get(BracketRole.TRIGGER)
    target = cast(LimitOrder | None, by_role.get(BracketRole.TARGET))
    stop = cast(StopOrder | StopLimitOrder | None, by_role.get(BracketRole.STOP))
    if target is not None and stop is not None:
        if trigger is not None:
            return OTOCOOrder(trigger_order=trigger, take_profit=target, stop_loss=stop)
        return OCOOrder(take_profit=target, stop_loss=stop)
    exits = [order for order in (target, stop) if order is not None]
    return OTOOrder(trigger_order=cast(LimitOrder, trigger), orders=cast(list[AnyOrder], exits))


def nested(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The simple orders in the answer to a complex one; empty where it has none."""
    body = data.get("complex-order")
    if not isinstance(body, Mapping):
        return []
    rows = body.get("orders")
    found = [body.get("trigger-order"), *(rows if isinstance(rows, list) else [])]
    return [row for row in found if isinstance(row, Mapping)]
