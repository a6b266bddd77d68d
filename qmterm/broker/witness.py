"""Does the stream tell what the poll sees? The difference between a quiet stream and a mute one.

A stream that answers pings and says nothing looks healthy. Twice in a row the poll must know more of an order than
the stream has said of it, because a frame may be on its way while one poll is answered.
"""

from __future__ import annotations

from collections.abc import Iterable

from qmterm.core.orders import BrokerOrder, OrderState

Facts = tuple[OrderState, int]


def facts(order: BrokerOrder) -> Facts:
    """What the stream must have told of an order: its state and how much of it is filled."""
    return order.state, sum(fill.quantity for fill in order.fills)


class StreamWitness:
    """Remembers what was streamed or read back, and compares polls with it."""

    def __init__(self) -> None:
        self._told: dict[str, Facts] = {}
        self._suspected: dict[str, Facts] = {}

    def told(self, order: BrokerOrder) -> None:
        self._told[order.broker_id] = facts(order)

    def polled(self, orders: Iterable[BrokerOrder]) -> BrokerOrder | None:
        """An order of which the stream has kept silent for two polls; None while both agree."""
        silent: BrokerOrder | None = None
        suspected: dict[str, Facts] = {}
        for order in orders:
            seen = facts(order)
            if self._told.get(order.broker_id) == seen:
                continue
            if self._suspected.get(order.broker_id) == seen:
                silent = order
                self._told[order.broker_id] = seen  # said once: a restart is on its way
            else:
                suspected[order.broker_id] = seen
        self._suspected = suspected
        return silent
