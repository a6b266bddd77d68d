"""The paper account itself: cash, positions and orders, and how they are kept over a restart. No quotes, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy as shallow
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any

import msgspec

from qmterm.core.clock import NS
from qmterm.core.instruments import OptionContract, is_option, parse_option
from qmterm.core.orders import Action, BrokerOrder, BrokerPosition, Fill, OrderIntent, OrderState
from qmterm.core.transactions import Transaction

VERSION = 1
KEPT_NS = 10 * 86_400 * NS  # a booking is told for so long: a program that was away for a week still learns of it


@dataclass(frozen=True, slots=True)
class PaperOrder:
    """An order at the paper broker: the report everybody sees, and what only the broker knows."""

    report: BrokerOrder
    intent: OrderIntent
    reserved: Decimal  # dollars per unit that an unfilled opening order holds back
    executions: int = 0
    triggered: bool = False  # its stop was reached
    works_from_ns: int = 0  # when it arrives in the market
    ends_ns: int = 0  # when the cancel that was asked arrives
    takes_over: bool = False  # a replacement on its way

    @property
    def units_left(self) -> int:
        filled: dict[str, int] = {}
        for fill in self.report.fills:
            filled[fill.symbol] = filled.get(fill.symbol, 0) + fill.quantity
        leg = self.intent.legs[0]
        return (leg.quantity - filled.get(leg.symbol, 0)) * self.intent.quantity // leg.quantity


class _Saved(msgspec.Struct):
    version: int
    cash: Decimal
    next_order: int
    next_fill: int
    positions: list[BrokerPosition]
    orders: list[PaperOrder]
    settlements: list[BrokerOrder]
    transactions: list[Transaction] = []
    settlement_prices: dict[str, Decimal] = {}
    done_until: dict[str, str] = {}


def short_requirement(positions: Iterable[BrokerPosition]) -> Decimal:
    """Dollars that short options hold back: the width to a long that covers them, the whole strike without one."""
    longs: dict[OptionContract, int] = {}
    shorts: dict[OptionContract, int] = {}
    for position in positions:
        if is_option(position.symbol):
            side = longs if position.quantity > 0 else shorts
            side[parse_option(position.symbol)] = abs(position.quantity)
    total = Decimal(0)
    for short, open_quantity in sorted(shorts.items()):
        left = open_quantity
        covers = [long for long in longs if (long.root, long.right) == (short.root, short.right)]
        for cover in sorted(covers, key=lambda long: _width(short, long)):
            if cover.expiry < short.expiry or not left:
                continue
            taken = min(left, longs[cover])
            longs[cover] -= taken
            left -= taken
            total += taken * _width(short, cover) * short.multiplier
        total += left * short.strike * short.multiplier
    return total


def _width(short: OptionContract, cover: OptionContract) -> Decimal:
    """Dollars per share that a short can lose beyond what its cover gains."""
    return max(Decimal(0), (cover.strike - short.strike) * short.right.sign)


def end_name(contract: OptionContract) -> str:
    """All legs of a root and expiry end at one price; the root, for SPX and SPXW of one date end hours apart."""
    return f"{contract.root} {contract.expiry}"


@dataclass(slots=True)
class PaperBook:
    cash: Decimal
    positions: dict[str, BrokerPosition] = field(default_factory=dict)
    orders: dict[str, PaperOrder] = field(default_factory=dict)
    settlements: dict[str, BrokerOrder] = field(default_factory=dict)  # of versions that told an expiry as an order
    transactions: list[Transaction] = field(default_factory=list)  # what came without an order, oldest first
    settlement_prices: dict[str, Decimal] = field(default_factory=dict)  # "root expiry" -> the one price of all legs
    done_until: dict[str, str] = field(default_factory=dict)  # what happens once a day -> the last day it was done
    next_order: int = 1
    next_fill: int = 1

    def copy(self) -> PaperBook:
        """One to change while this one stays as it is; the rows are frozen, so both may hold them."""
        return PaperBook(**{each.name: shallow(getattr(self, each.name)) for each in fields(self)})

    @property
    def working(self) -> list[PaperOrder]:
        return [order for order in self.orders.values() if order.report.state.working]

    @property
    def reports(self) -> tuple[BrokerOrder, ...]:
        """What the account shows of its orders."""
        return (*(order.report for order in self.orders.values()), *self.settlements.values())

    @property
    def reserved(self) -> Decimal:
        """Dollars held back for opening orders that may still fill."""
        return sum((order.reserved * order.units_left for order in self.working), Decimal(0))

    def closable(self, symbol: str, action: Action, without: str = "") -> int:
        """Contracts that a closing action may still take, after all working closes but the order `without`."""
        position = self.positions.get(symbol)
        held = 0 if position is None else position.quantity
        available = -held if action.buys else held
        taken: dict[str, int] = {}
        for order in self.working:
            report = order.report
            if report.state is OrderState.CONTINGENT or report.broker_id == without:
                continue
            for leg in order.intent.legs:
                if leg.symbol == symbol and not leg.action.opens:
                    left = leg.quantity - sum(fill.quantity for fill in report.fills if fill.symbol == symbol)
                    # Of a bracket's exits one fills: together they take what the larger one takes.
                    group = report.complex_id or report.broker_id
                    taken[group] = max(taken.get(group, 0), left)
        return max(0, available - sum(taken.values()))

    def accept(
        self, account: str, intent: OrderIntent, reserve: Decimal, now_ns: int, works_from_ns: int, replaces: str | None
    ) -> PaperOrder:
        """A new order, `reserve` dollars per unit; it works from its time on."""
        report = BrokerOrder(
            broker_id=str(self.next_order),
            external_id=intent.intent_id,
            account=account,
            underlying=intent.underlying,
            state=OrderState.ROUTED,
            legs=intent.legs,
            fills=(),
            net_price=intent.net_price,
            time_in_force=intent.time_in_force.value,
            received_ns=now_ns,
            updated_ns=now_ns,
            remaining=tuple(leg.quantity for leg in intent.legs),
            replaces=replaces,
            kind=intent.kind,
            stop_trigger=intent.stop_trigger,
            good_until=intent.good_until,
        )
        self.next_order += 1
        return self.keep(PaperOrder(report, intent, reserve, works_from_ns=works_from_ns))

    def book(self, fill: Fill) -> BrokerPosition:
        """Apply one fill; returns the position after it (quantity 0 when it is gone)."""
        self.cash += fill.cash_flow
        return self.shift(fill.symbol, fill.action.sign * fill.quantity, fill.price)

    def shift(self, symbol: str, change: int, price: Decimal) -> BrokerPosition:
        """Contracts or shares that came or went at a price; the cash is the caller's business."""
        held = self.positions.get(symbol)
        before = 0 if held is None else held.quantity
        after = before + change
        average = Decimal(0) if held is None else held.average_open_price
        if before == 0 or before * change > 0:
            average = (abs(before) * average + abs(change) * price) / abs(after)
        elif before * after < 0:
            average = price  # turned around: what remains was opened now
        position = BrokerPosition(symbol, after, average, 100 if is_option(symbol) else 1)
        if after:
            self.positions[symbol] = position
        else:
            self.positions.pop(symbol, None)
        return position

    def move(self, order: PaperOrder, state: OrderState, now_ns: int, reason: str | None = None) -> PaperOrder:
        """The order in its next state, remembered."""
        report = replace(order.report, state=state, updated_ns=now_ns, reject_reason=reason)
        return self.keep(replace(order, report=report))

    def keep(self, order: PaperOrder) -> PaperOrder:
        self.orders[order.report.broker_id] = order
        return order

    def forget_settled_before(self, since_ns: int) -> None:
        """Ended orders of former days leave, as they leave the real broker's live list."""
        self.orders = {
            broker_id: order
            for broker_id, order in self.orders.items()
            if order.report.state.working or order.report.updated_ns >= since_ns
        }
        self.settlements = {k: report for k, report in self.settlements.items() if report.updated_ns >= since_ns}
        self.transactions = [row for row in self.transactions if row.time_ns >= since_ns - KEPT_NS]
        open_ends = {end_name(parse_option(symbol)) for symbol in self.positions if is_option(symbol)}
        self.settlement_prices = {name: price for name, price in self.settlement_prices.items() if name in open_ends}

    # --- over a restart ---

    def to_dict(self) -> dict[str, Any]:
        saved = _Saved(
            VERSION,
            self.cash,
            self.next_order,
            self.next_fill,
            list(self.positions.values()),
            list(self.orders.values()),
            list(self.settlements.values()),
            self.transactions,
            self.settlement_prices,
            self.done_until,
        )
        body: dict[str, Any] = msgspec.to_builtins(saved)
        return body

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> PaperBook:
        """ValueError when it is not what `to_dict` gave."""
        saved = msgspec.convert(dict(body), type=_Saved)
        if saved.version != VERSION:
            raise ValueError(f"the paper account has version {saved.version}, this program knows {VERSION}")
        return cls(
            cash=saved.cash,
            positions={position.symbol: position for position in saved.positions},
            orders={order.report.broker_id: order for order in saved.orders},
            settlements={report.broker_id: report for report in saved.settlements},
            next_order=saved.next_order,
            next_fill=saved.next_fill,
            transactions=saved.transactions,
            settlement_prices=saved.settlement_prices,
            done_until=saved.done_until,
        )
