"""Positions as a trader counts them: one row a trade, and under a trade of several legs a row for each leg. Pure.

The trap: a sum with an unknown part is unknown; and a leg's row must stay under its trade however the table is sorted,
so it is sorted by its trade's values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from math import gcd
from typing import TypeVar

from qmterm.core.instruments import is_option, parse_option
from qmterm.engine.view import PositionView

N = TypeVar("N", Decimal, float)
SEVERITIES = ("", "calm", "note", "warn", "alarm")


@dataclass(frozen=True, slots=True)
class HoldingRow(PositionView):
    """A position, a leg of a trade (then `head` is the trade's own row), or a trade of several legs (`legs`)."""

    head: HoldingRow | None = None
    legs: int = 1

    @property
    def top(self) -> HoldingRow:
        return self if self.head is None else self.head


def holdings(positions: Sequence[PositionView]) -> list[HoldingRow]:
    """In the order of their first legs; the legs of one trade stand together under it."""
    rows: list[HoldingRow] = []
    done: set[str] = set()
    for position in positions:
        if not position.trade_id:
            rows.append(_row(position))
        elif position.trade_id not in done:
            done.add(position.trade_id)
            legs = [other for other in positions if other.trade_id == position.trade_id]
            head = _trade(legs)
            rows.append(head)
            rows += [
                _row(leg, label=f"└ {_short(leg)}", strategy="", rules="", premium_stop=None, head=head) for leg in legs
            ]
    return rows


def _row(position: PositionView, **changes: object) -> HoldingRow:
    values = {field.name: getattr(position, field.name) for field in fields(PositionView)}
    return HoldingRow(**(values | changes))


def _trade(legs: Sequence[PositionView]) -> HoldingRow:
    """All legs as one position: units, net prices per unit, sums."""
    first, units = legs[0], gcd(*(leg.quantity for leg in legs)) or 1
    cost = _net(legs, lambda leg: leg.average_price)
    mark = _net(legs, lambda leg: leg.mark)
    unrealized = _sum(leg.unrealized for leg in legs)
    paid = abs(cost) * 100 if cost is not None and all(is_option(leg.symbol) for leg in legs) else None
    worst = max(legs, key=lambda leg: SEVERITIES.index(leg.ends_severity))
    flags = [leg.mark_flag for leg in legs if leg.mark_flag]
    return _row(
        first,
        position_id=first.trade_id,
        label=_label(legs),
        quantity=units if cost is None or cost >= 0 else -units,
        dte=min((leg.dte for leg in legs if leg.dte is not None), default=None),
        average_price=Decimal(0) if cost is None else abs(cost) / units,
        mark=None if mark is None else (mark if cost is None or cost >= 0 else -mark) / units,
        mark_flag=flags[0] if flags else "",
        unrealized=unrealized,
        unrealized_pct=float(unrealized / paid * 100) if unrealized is not None and paid else None,
        delta=_sum(leg.delta for leg in legs),
        theta=_sum(leg.theta for leg in legs),
        vega=_sum(leg.vega for leg in legs),
        crossing=_sum(leg.crossing for leg in legs),
        ends=worst.ends,
        ends_severity=worst.ends_severity,
        legs=len(legs),
    )


def _net(legs: Sequence[PositionView], price: Callable[[PositionView], Decimal | None]) -> Decimal | None:
    """Dollars per share of all that is held, positive for what is owned; None where a price is not known."""
    return _sum(None if (each := price(leg)) is None else each * leg.quantity for leg in legs)


def _sum(values: Iterable[N | None]) -> N | None:
    total: N | None = None
    for value in values:
        if value is None:
            return None
        total = value if total is None else total + value
    return total


def _label(legs: Sequence[PositionView]) -> str:
    """`NVDA 17APR26 175/180C` where expiry and right are the same, else `NVDA 4 legs`."""
    if all(is_option(leg.symbol) for leg in legs):
        contracts = sorted((parse_option(leg.symbol) for leg in legs), key=lambda contract: contract.strike)
        if len({(c.root, c.expiry, c.right) for c in contracts}) == 1:
            strikes = "/".join(format(c.strike.normalize(), "f") for c in contracts)
            return f"{contracts[0].root} {contracts[0].expiry:%d%b%y} {strikes}{contracts[0].right.value}".upper()
    return f"{legs[0].underlying} {len(legs)} legs"


def _short(leg: PositionView) -> str:
    """A leg without the name that stands above it: `17APR26 175C`, or `shares`."""
    return leg.label.removeprefix(f"{parse_option(leg.symbol).root} ") if is_option(leg.symbol) else "shares"
