"""Brackets in the paper account: exits wait for their trigger, and the first fill of one exit ends the other.

The trap: a trigger that ends half filled takes its waiting exits with it, as at the real broker; what it opened stands
without an exit then, and whoever sent the bracket has to see to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qmterm.broker.paper_book import PaperBook, PaperOrder
from qmterm.core.orders import BracketRole, BrokerOrder, OrderState


def members(book: PaperBook, complex_id: str) -> list[PaperOrder]:
    return [order for order in book.orders.values() if order.report.complex_id == complex_id]


def join(book: PaperBook, orders: list[PaperOrder], complex_id: str) -> list[PaperOrder]:
    """Make one bracket of orders that were just taken: exits behind a trigger wait."""
    waits = any(order.intent.role is BracketRole.TRIGGER for order in orders)
    found = []
    for order in orders:
        state = OrderState.CONTINGENT if waits and order.intent.rests else order.report.state
        report = replace(order.report, complex_id=complex_id, role=order.intent.role, state=state)
        found.append(book.keep(replace(order, report=report)))
    return found


def follow(book: PaperBook, complex_id: str | None, now_ns: int) -> list[BrokerOrder]:
    """What one member's change does to the others, as reports."""
    return [] if complex_id is None else list(_follow(book, members(book, complex_id), now_ns))


def _follow(book: PaperBook, orders: list[PaperOrder], now_ns: int) -> Iterator[BrokerOrder]:
    trigger = next((order for order in orders if order.intent.role is BracketRole.TRIGGER), None)
    exits = [order for order in orders if order.intent.rests]
    if trigger is not None and trigger.report.state.terminal:
        to = OrderState.LIVE if trigger.report.state is OrderState.FILLED else OrderState.CANCELLED
        for order in exits:
            if order.report.state is OrderState.CONTINGENT:
                yield book.move(order, to, now_ns).report
    for filled in (order for order in exits if order.report.fills):
        for other in exits:
            if other is not filled and book.orders[other.report.broker_id].report.state.working:
                yield book.move(other, OrderState.CANCELLED, now_ns).report
