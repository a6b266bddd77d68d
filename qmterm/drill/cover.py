"""Sold options that nothing covers at a day's end, by the broker's own ledger.

The trap: an order of several legs that ends with some of them filled looks complete to whoever counts orders; only
the positions show the leg that was left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import date

from qmterm.core.instruments import Right, is_option, parse_option
from qmterm.sim.brokerage.book import Transaction
from qmterm.sim.brokerage.orders import SimOrder, Status

_Series = tuple[str, date, Right]  # what a bought contract of covers a sold one, whatever their strikes


def alone(
    orders: Mapping[int, SimOrder], transactions: Iterable[Transaction], withdrawn: Collection[str] | None
) -> list[str]:
    """One sentence a series whose sold contracts outnumber the bought ones, though no person's act made it so.

    A person's acts are orders without our tag, and orders cut off by a cancel of theirs: `withdrawn` are the tags of
    those, None where nobody knows who cancelled (every cancelled order then passes for one). What works and would
    cover or close counts as done. Shares are no cover here: no drill trades any.
    """
    net: Counter[_Series] = Counter()  # bought less sold
    forgiven: Counter[_Series] = Counter()
    elsewhere: Counter[_Series] = Counter()  # bought less sold by orders without our tag
    for row in transactions:
        if row.action is None or row.symbol is None or not is_option(row.symbol):
            continue
        series = _series(row.symbol)
        before = max(0, -net[series])
        net[series] += row.action.sign * row.quantity
        bare = max(0, -net[series])
        order = orders.get(row.order_id or 0)
        if order is not None and order.external_identifier is None:
            elsewhere[series] += row.action.sign * row.quantity
        if bare > before and _of_a_person(order, withdrawn):
            forgiven[series] += bare - before
        forgiven[series] = max(forgiven[series], -elsewhere[series])  # a cover may be sold before what it covers
        forgiven[series] = min(forgiven[series], bare)
    mending: Counter[_Series] = Counter()
    for order in orders.values():
        for leg in order.legs:
            if not order.terminal and leg.action.buys and is_option(leg.symbol):
                mending[_series(leg.symbol)] += leg.remaining
    return [
        f"{series[0]} {series[1]} {series[2]}: {count} sold without cover{_broken(series, orders.values())}"
        for series in net
        if (count := -net[series] - forgiven[series] - mending[series]) > 0
    ]


def _of_a_person(order: SimOrder | None, withdrawn: Collection[str] | None) -> bool:
    if order is None:
        return False
    if order.external_identifier is None:
        return True
    return order.status is Status.CANCELLED and (withdrawn is None or order.external_identifier in withdrawn)


def _broken(series: _Series, orders: Iterable[SimOrder]) -> str:
    """The orders of the series that ended with legs filled unevenly."""
    return "".join(
        f"; order {order.order_id} {order.status}: "
        + ", ".join(f"{leg.action} {leg.filled} of {leg.quantity} {leg.symbol}" for leg in order.legs)
        for order in orders
        if order.terminal
        and len({leg.filled * order.units // leg.quantity for leg in order.legs}) > 1
        and series in {_series(leg.symbol) for leg in order.legs if is_option(leg.symbol)}
    )


def _series(symbol: str) -> _Series:
    contract = parse_option(symbol)
    return contract.root, contract.expiry, contract.right
