"""OCO, OTO and OTOCO: orders that wait for a trigger and stop each other.

The trap: a child that fills only in part already cancels its sibling, or both together would close too much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from qmterm.sim.brokerage.desk import FIRST_COMPLEX_ID, Accepted, ComplexOrder, Desk, remaining_ticket
from qmterm.sim.brokerage.orders import OrderLeg, SimOrder, Status
from qmterm.sim.brokerage.preflight import CANNOT_CLOSE, settle_closing_legs
from qmterm.sim.brokerage.refusals import MalformedRequest, cannot_update, not_found
from qmterm.sim.brokerage.ticket import Ticket, parse_ticket
from qmterm.sim.brokerage.wire import Json, render_order, render_unplaced, stamp

KINDS = ("OCO", "OTO", "OTOCO")
_CHILD_TAG = {"OCO": "OCO::order", "OTO": "OTO::order", "OTOCO": "OTOCO::oco-1-order"}
_ZERO = Decimal(0)


def parse_complex(body: object) -> tuple[str, Ticket | None, list[Ticket]]:
    """(kind, trigger, children) of a request body."""
    if not isinstance(body, Mapping):
        raise MalformedRequest("complex-order", "the body is not a JSON object")
    kind = body.get("type")
    rows = body.get("orders")
    if kind not in KINDS:
        raise MalformedRequest("type", f"must be one of {', '.join(KINDS)}")
    if not isinstance(rows, list) or not 1 <= len(rows) <= 3 or (kind != "OTO" and len(rows) != 2):
        raise MalformedRequest("orders", f"{kind} needs {'one to three orders' if kind == 'OTO' else 'two orders'}")
    trigger = body.get("trigger-order")
    if (trigger is None) != (kind == "OCO"):
        raise MalformedRequest("trigger-order", f"{kind} must {'not have one' if kind == 'OCO' else 'have one'}")
    return str(kind), parse_ticket(trigger) if trigger is not None else None, [parse_ticket(row) for row in rows]


class ComplexDesk:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def check(self, trigger: Ticket | None, children: list[Ticket]) -> tuple[Accepted, list[Accepted]]:
        """(what decides the effect, the children): a child behind a trigger is checked for form only."""
        checked = [self.desk.check(child, contingent=trigger is not None) for child in children]
        return (self.desk.check(trigger) if trigger is not None else checked[0]), checked

    def place(self, kind: str, trigger: Ticket | None, children: list[Ticket]) -> tuple[ComplexOrder, Accepted]:
        decisive, checked = self.check(trigger, children)
        complex_id = FIRST_COMPLEX_ID + len(self.desk.complexes)
        change = max(_ZERO, -decisive.effect.change_in_buying_power)
        first = None
        if trigger is not None:
            first = self._wait(decisive.ticket, complex_id, f"{kind}::trigger-order", 0, change)
        orders = [
            self._wait(child.ticket, complex_id, _CHILD_TAG[kind], number, _ZERO)
            for number, child in enumerate(checked, 0 if first is None else 1)
        ]
        now = self.desk.now_ns
        group = ComplexOrder(complex_id, kind, orders, first, received_ns=now, updated_ns=now)
        self.desk.complexes[complex_id] = group
        for order in orders if first is None else [first, *orders]:
            self.desk.report(order)
        self.report(group)
        self.desk.balance_changed = True
        return group, decisive

    def _wait(self, ticket: Ticket, complex_id: int, tag: str, number: int, reserved: Decimal) -> SimOrder:
        order = self.desk.new_order(ticket, reserved)
        order.status = Status.CONTINGENT
        order.contingent_status = "Pending Order"
        order.complex_id, order.complex_tag, order.preflight_id = complex_id, tag, number
        return order

    # --- life ---

    def start(self) -> None:
        """At the next step after placing: the trigger, or both orders of an OCO, begin to work."""
        for group in self.desk.complexes.values():
            if group.terminal_ns is not None:
                continue
            first = [group.trigger] if group.trigger is not None else group.orders
            for order in first:
                if order.status is Status.CONTINGENT:
                    self._release(order)

    def after_change(self, order: SimOrder) -> None:
        group = self.desk.complexes.get(order.complex_id or 0)
        if group is None or group.terminal_ns is not None:
            return
        if order is group.trigger:
            self._trigger_changed(group, order)
        elif group.kind != "OTO" and order.partly_filled:
            for sibling in group.orders:
                if sibling is not order and not sibling.terminal:
                    self.desk.finish(sibling, Status.CANCELLED)
        group.updated_ns = self.desk.now_ns
        if all(member.terminal for member in self._members(group)):
            group.terminal_ns = self.desk.now_ns
        self.report(group)

    def _trigger_changed(self, group: ComplexOrder, trigger: SimOrder) -> None:
        for child in group.orders:
            if child.terminal:
                continue
            if trigger.status is Status.FILLED:
                self._release(child)
            elif trigger.terminal:
                self.desk.finish(child, Status.CANCELLED)

    def _release(self, order: SimOrder) -> None:
        """Let a waiting order work, after the closing check that had to wait for its position."""
        group = self.desk.complexes[order.complex_id or 0]
        family = [member.order_id for member in self._members(group)]
        ticket, problems = settle_closing_legs(remaining_ticket(order), self.desk.book, self.desk.closers(family))
        if problems:
            self.desk.finish(order, Status.REJECTED, CANNOT_CLOSE.message)
            return
        order.legs = [OrderLeg(leg.symbol, leg.action, leg.quantity) for leg in ticket.legs]
        order.session = self.desk.session()
        self.desk.move(order, Status.RECEIVED)

    @staticmethod
    def _members(group: ComplexOrder) -> list[SimOrder]:
        return group.orders if group.trigger is None else [group.trigger, *group.orders]

    def find(self, complex_id: int) -> ComplexOrder:
        group = self.desk.complexes.get(complex_id)
        if group is None:
            raise not_found(f"complex order {complex_id}")
        return group

    def cancel(self, complex_id: int) -> ComplexOrder:
        """Trigger or working children are asked to stop, waiting children end at once."""
        group = self.find(complex_id)
        members = [member for member in self._members(group) if member.can_be_cancelled]
        if not members:
            raise cannot_update(f"Complex order {complex_id} cannot be cancelled.")
        for member in members:
            self.desk.cancel(member.order_id)
        group.updated_ns = self.desk.now_ns
        if all(member.terminal for member in self._members(group)):
            group.terminal_ns = self.desk.now_ns
        self.report(group)
        return group

    # --- wire ---

    def report(self, group: ComplexOrder) -> None:
        self.desk.emit("ComplexOrder", self.render(group))

    def render(self, group: ComplexOrder) -> Json:
        account = self.desk.account
        body: Json = {
            "id": group.complex_id,
            "account-number": account,
            "type": group.kind,
            "orders": [render_order(order, account) for order in group.orders],
        }
        if group.trigger is not None:
            body["trigger-order"] = render_order(group.trigger, account)
        if group.terminal_ns is not None:
            body["terminal-at"] = stamp(group.terminal_ns)
        return body

    def render_unplaced(self, kind: str, trigger: Ticket | None, children: list[Ticket]) -> Json:
        account = self.desk.account
        body: Json = {
            "account-number": account,
            "type": kind,
            "orders": [render_unplaced(replace(child), account) for child in children],
        }
        if trigger is not None:
            body["trigger-order"] = render_unplaced(trigger, account)
        return body
