"""Orders and cancels on their way to the paper market: what has not arrived neither fills nor ends anything.

The trap: until a cancel arrives the order fills as before, and a fill of an order that is being replaced calls its
replacement off; else the paper account would be kinder than any exchange.
"""

from __future__ import annotations

from dataclasses import replace

from qmterm.broker.paper_book import PaperBook, PaperOrder
from qmterm.core.orders import BrokerOrder, OrderState

_ON_ITS_WAY = (OrderState.ROUTED, OrderState.CONTINGENT)


def arrived(order: PaperOrder, now_ns: int) -> bool:
    """It stands in the market, even while a cancel or a replacement is on its way to it."""
    return order.report.state not in _ON_ITS_WAY and now_ns >= order.works_from_ns


def ask_cancel(book: PaperBook, order: PaperOrder, now_ns: int, latency_ns: int) -> list[BrokerOrder]:
    """The cancel leaves; one that is on its way already is not overtaken by the next."""
    if order.report.state is OrderState.CANCEL_REQUESTED:
        return [order.report]
    asked = book.move(replace(order, ends_ns=now_ns + latency_ns), OrderState.CANCEL_REQUESTED, now_ns)
    return [asked.report, *([] if latency_ns else _cancelled(book, asked, now_ns))]


def take_hold(book: PaperBook, now_ns: int) -> list[BrokerOrder]:
    """What arrives by now, oldest first: orders work, replacements take over, cancels end what is left."""
    told: list[BrokerOrder] = []
    for listed in book.working:
        order = book.orders[listed.report.broker_id]
        if order.report.replaces is not None and order.takes_over and now_ns >= order.works_from_ns:
            told += take_over(book, order, now_ns)
            order = book.orders[order.report.broker_id]
        if order.report.state is OrderState.ROUTED and now_ns >= order.works_from_ns:
            order = book.move(order, OrderState.LIVE, now_ns)
            told.append(order.report)
        if order.report.state is OrderState.CANCEL_REQUESTED and now_ns >= order.ends_ns:
            told += _cancelled(book, order, now_ns)
    return told


def take_over(book: PaperBook, order: PaperOrder, now_ns: int) -> list[BrokerOrder]:
    """A replacement that arrives: it works when the old order is as it was, and is called off when that one moved."""
    order = book.keep(replace(order, takes_over=False))
    old = book.orders.get(order.report.replaces or "")
    untouched = old is not None and old.units_left == order.intent.quantity
    if old is None or old.report.state is not OrderState.REPLACE_REQUESTED or not untouched:
        told = [book.move(order, OrderState.REMOVED, now_ns, "the order it was to replace has moved").report]
        if old is not None and old.report.state is OrderState.REPLACE_REQUESTED:
            told.append(book.move(old, OrderState.LIVE, now_ns).report)
        return told
    gone = book.move(old, OrderState.CANCELLED, now_ns)
    told = [book.keep(replace(gone, report=replace(gone.report, replaced_by=order.report.broker_id))).report]
    if order.report.state is OrderState.CONTINGENT:
        told.append(book.move(order, OrderState.LIVE, now_ns).report)
    return told


def _cancelled(book: PaperBook, order: PaperOrder, now_ns: int) -> list[BrokerOrder]:
    return [book.move(order, OrderState.CANCELLED, now_ns).report]
