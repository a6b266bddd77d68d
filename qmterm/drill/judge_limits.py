"""Are all limits kept if everything of ours that works fills? Asked of the simulator's ledger when it takes an order.

The broker knows no strategies: each moment is kept, and the journal says at the end whose orders they were. The trap: a
moment is judged for its new orders only, because prices and other people move the rest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from qmterm.core.clock import NS
from qmterm.core.settings.risk import RiskSettings
from qmterm.sim.brokerage.app import Brokerage
from qmterm.sim.brokerage.book import Transaction
from qmterm.sim.brokerage.orders import OrderLeg, SimOrder, Status

_ROOM = Decimal("1.01")  # NLV moves between the decision and the broker's acceptance
_ZERO = Decimal(0)
UNSEEN_NS = 10 * NS  # for so long a trade that was made elsewhere may be unknown to us
WALKED = Decimal("1.03")  # a walk was judged at its worst price; its steps are no new decisions


@dataclass(frozen=True, slots=True)
class Moment:
    """When orders of ours were taken: what each order of ours put at risk. Whose they are, the journal says later."""

    worth: Decimal
    fresh: frozenset[str]  # tags
    at_risk: tuple[tuple[str, Decimal], ...]  # tag, dollars


class Limits:
    """`breach` hears one sentence for each limit that an order broke."""

    def __init__(self, brokerage: Brokerage, risk: RiskSettings, breach: Callable[[str], None]) -> None:
        self._brokerage = brokerage
        self._risk = risk
        self._breach = breach
        self._moments: list[Moment] = []

    def check(self, fresh: list[SimOrder], orders: list[SimOrder]) -> None:
        """`fresh` were just taken, of `orders`, all of ours."""
        fresh = [order for order in fresh if not self._walks(order)]
        if not fresh:
            return
        worth = self._brokerage.desk.standing().net_liquidating_value
        for order in fresh:
            paid = _debit(order) * order.units
            if paid > worth * _ROOM * _share(self._risk.max_trade_risk):
                self._breach(f"order {order.order_id} risks {paid} of {worth}")
        closed = self._closed_units()
        at_risk = {order.order_id: risk for order in orders if (risk := self._at_risk(order, closed))}
        for symbol in sorted({order.underlying for order in fresh}):
            of_it = (at_risk.get(order.order_id, _ZERO) for order in orders if order.underlying == symbol)
            risk = sum(of_it, _ZERO)
            if risk > worth * _ROOM * _share(self._risk.max_symbol_risk):
                self._breach(f"{symbol} risks {risk} of {worth}")
        tags = {order.order_id: order.external_identifier or "" for order in orders}
        self._moments.append(
            Moment(
                worth,
                frozenset(order.external_identifier or "" for order in fresh),
                tuple((tags[order_id], risk) for order_id, risk in at_risk.items()),
            )
        )
        reserve = worth / _ROOM * _share(self._risk.cash_reserve)
        left = self._cash_left(orders)
        if left < reserve:
            self._breach(f"cash: {left} stay of {worth} when all that works has filled")

    def _walks(self, order: SimOrder) -> bool:
        """It takes the place of another and pays little more: a step of a walk, decided when the walk began."""
        original = None if order.replaces is None else self._brokerage.desk.orders.get(order.replaces)
        return original is not None and _debit(order) <= _debit(original) * WALKED

    def _at_risk(self, order: SimOrder, closed: Counter[str]) -> Decimal:
        """What an order's positions cost and what it may still pay; `closed` is used up by the oldest first."""
        opened = [leg for leg in order.legs if leg.action.opens]
        if not opened:
            return _ZERO
        filled = min(leg.filled for leg in opened)
        cost = max(_ZERO, -sum((_brought(leg) for leg in opened), _ZERO) / filled) if filled else _ZERO
        left, each = 0, _ZERO
        if (
            len(opened) == len(order.legs) and order.price is not None and not order.terminal
        ):  # a roll opens at no limit
            left, each = order.remaining_units, self._beyond_original(order)
        sold = min(closed[opened[0].symbol], filled + left)
        closed[opened[0].symbol] -= sold
        return cost * max(0, filled - sold) + each * (left - max(0, sold - filled))

    def _beyond_original(self, order: SimOrder) -> Decimal:
        """Dollars a unit; while its original still works one of the two fills, so only what it costs more counts."""
        if order.status is not Status.CONTINGENT or order.replaces is None:
            return _debit(order)
        return max(_ZERO, _debit(order) - _debit(self._brokerage.desk.orders[order.replaces]))

    def _cash_left(self, orders: list[SimOrder]) -> Decimal:
        """When everything of ours that pays has filled; what somebody else just spent is not known to us yet."""
        desk, book = self._brokerage.desk, self._brokerage.book
        working = [order for order in orders if not order.terminal]
        pays = sum((self._beyond_original(order) * order.remaining_units for order in working), _ZERO)
        since = desk.now_ns - UNSEEN_NS
        unseen = sum(
            (
                max(_ZERO, row.fees.total - row.value)
                for row in book.transactions
                if row.time_ns > since and self._elsewhere(row)
            ),
            _ZERO,
        )
        return book.cash - pays + unseen

    def _elsewhere(self, row: Transaction) -> bool:
        order = None if row.order_id is None else self._brokerage.desk.orders.get(row.order_id)
        return order is not None and not ours(order)

    def check_strategies(self, owners: Mapping[str, str]) -> None:
        """At the end: `owners` names the strategy of every tag."""
        for moment in self._moments:
            risks: defaultdict[str, Decimal] = defaultdict(Decimal)
            for tag, risk in moment.at_risk:
                risks[owners.get(tag, "")] += risk
            for owner in sorted({owners.get(tag, "") for tag in moment.fresh}):
                if risks[owner] > moment.worth * _ROOM * _share(self._risk.max_strategy_risk):
                    self._breach(f"strategy {owner} risks {risks[owner]} of {moment.worth}")

    def _closed_units(self) -> Counter[str]:
        closed: Counter[str] = Counter()
        for order in self._brokerage.desk.orders.values():
            for leg in order.legs:
                if not leg.action.opens:
                    closed[leg.symbol] += leg.filled
        return closed


def ours(order: SimOrder) -> bool:
    return order.external_identifier is not None


def _debit(order: SimOrder) -> Decimal:
    """Dollars one unit pays at its limit."""
    return max(_ZERO, -(order.price or _ZERO)) * 100


def _brought(leg: OrderLeg) -> Decimal:
    """Dollars that a leg's fills brought, negative where they cost."""
    return sum((-leg.action.sign * fill.quantity * fill.price * 100 for fill in leg.fills), _ZERO)


def _share(fraction: float) -> Decimal:
    return Decimal(str(fraction))
