"""REST of orders and complex orders: place, dry run, look, cancel, replace, edit.

The trap: `orders/live` is not "working orders" but every order created or updated today, in any status.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from aiohttp import web

from qmterm.core.clock import et_date
from qmterm.core.errors import BadInput
from qmterm.core.orders import Leg
from qmterm.sim.brokerage.complex_orders import ComplexDesk, parse_complex
from qmterm.sim.brokerage.desk import Desk, remaining_ticket
from qmterm.sim.brokerage.door import (
    START_DATE_VERSION,
    Door,
    TornResponse,
    bad_gateway,
    body_of,
    hang_up,
    number_in_path,
    ok,
    paging,
    text_list,
)
from qmterm.sim.brokerage.faults import Faults
from qmterm.sim.brokerage.orders import SimOrder, Status
from qmterm.sim.brokerage.refusals import Problem, Refused, cannot_update, preflight_failed
from qmterm.sim.brokerage.ticket import edited_ticket, parse_ticket
from qmterm.sim.brokerage.wire import page, render_answer, render_order, render_unplaced

ORDERS = "/accounts/{account}/orders"
COMPLEX = "/accounts/{account}/complex-orders"


class OrderRoutes:
    def __init__(self, desk: Desk, complexes: ComplexDesk, faults: Faults) -> None:
        self.desk = desk
        self.complexes = complexes
        self.faults = faults

    def add(self, app: web.Application, door: Door) -> None:
        routes = (
            ("GET", f"{ORDERS}/live", self.live),
            ("GET", ORDERS, self.history),
            ("POST", ORDERS, self.place),
            ("POST", f"{ORDERS}/dry-run", self.dry_run),
            ("GET", f"{ORDERS}/{{order}}", self.single),
            ("PUT", f"{ORDERS}/{{order}}", self.replace),
            ("PATCH", f"{ORDERS}/{{order}}", self.edit),
            ("DELETE", f"{ORDERS}/{{order}}", self.cancel),
            ("POST", f"{ORDERS}/{{order}}/dry-run", self.replace_dry_run),
            ("GET", f"{COMPLEX}/live", self.complex_live),
            ("GET", COMPLEX, self.complex_history),
            ("POST", COMPLEX, self.complex_place),
            ("POST", f"{COMPLEX}/dry-run", self.complex_dry_run),
            ("GET", f"{COMPLEX}/{{order}}", self.complex_single),
            ("DELETE", f"{COMPLEX}/{{order}}", self.complex_cancel),
        )
        for method, path, handler in routes:
            app.router.add_route(method, path, door.open(handler))

    # --- simple orders ---

    async def place(self, request: web.Request) -> web.StreamResponse:
        body = await body_of(request)
        if self.faults.draw("timeout_before_accept") is not None:
            return hang_up(request)
        self._perhaps_refuse()
        order, accepted = self.desk.place(parse_ticket(body))
        answer = render_answer(self._render(order), accepted.effect, accepted.warnings)
        return self._acknowledge(request, answer)

    def _perhaps_refuse(self) -> None:
        refused = self.faults.draw("refuse")
        if refused is not None:
            raise preflight_failed((Problem(str(refused["code"]), "The order was refused."),))

    def _acknowledge(self, request: web.Request, answer: object, status: int = 201) -> web.StreamResponse:
        """The answer to an accepted order, unless it gets lost on the way."""
        lost = self.faults.draw("lost_ack")
        if lost is None:
            return ok(answer, request.path, status=status)
        if lost["how"] == "torn":
            return TornResponse(body=ok(answer, request.path).body, status=status, content_type="application/json")
        return bad_gateway() if lost["how"] == "502" else hang_up(request)

    async def dry_run(self, request: web.Request) -> web.StreamResponse:
        ticket = parse_ticket(await body_of(request))
        accepted = self.desk.check(ticket)
        order = render_unplaced(accepted.ticket, self.desk.account)
        return ok(render_answer(order, accepted.effect, accepted.warnings), request.path, status=201)

    async def single(self, request: web.Request) -> web.StreamResponse:
        return ok(self._render(self._asked(request)), request.path)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        order = self.desk.cancel(number_in_path(request, "order", "order"))
        return ok(self._render(order), request.path)

    async def replace(self, request: web.Request) -> web.StreamResponse:
        old = self._asked(request)
        body = await body_of(request)
        if self.faults.draw("timeout_before_accept") is not None:
            return hang_up(request)
        self._perhaps_refuse()
        new = self.desk.replace(old.order_id, parse_ticket(body, self._open_legs(old)))
        return self._acknowledge(request, self._render(new), status=200)

    async def edit(self, request: web.Request) -> web.StreamResponse:
        old = self._asked(request)
        ticket = edited_ticket(await body_of(request), self._open_legs(old), remaining_ticket(old))
        return ok(self._render(self.desk.replace(old.order_id, ticket)), request.path)

    async def replace_dry_run(self, request: web.Request) -> web.StreamResponse:
        old = self._asked(request)
        ticket = parse_ticket(await body_of(request), self._open_legs(old))
        accepted = self.desk.check(ticket, without=(old.order_id,))
        order = render_unplaced(accepted.ticket, self.desk.account)
        return ok(render_answer(order, accepted.effect, accepted.warnings), request.path, status=201)

    async def live(self, request: web.Request) -> web.StreamResponse:
        today = et_date(self.desk.now_ns)
        orders = [order for order in self.desk.orders.values() if et_date(order.updated_ns) == today]
        return ok({"items": [self._render(order) for order in reversed(orders)]}, request.path)

    async def history(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        wanted = set(text_list(request, "status"))
        start, end = day_asked(query, "start"), day_asked(query, "end")
        version = request.headers.get("Accept-Version")
        if start is None and version is not None and version >= START_DATE_VERSION:
            raise Refused(400, "bad_request", "start-date or start-at is required.")
        underlying = query.get("underlying-symbol")
        rows = [
            order
            for order in self.desk.orders.values()
            if (not wanted or order.status.value in wanted)
            and (start is None or et_date(order.received_ns) >= start)
            and (end is None or et_date(order.received_ns) <= end)
            and (underlying is None or order.underlying == underlying)
        ]
        if query.get("sort", "Desc") != "Asc":
            rows.reverse()
        per_page, offset = paging(request, 10, 200)
        return web.json_response(page([self._render(order) for order in rows], request.path, per_page, offset))

    def _render(self, order: SimOrder) -> dict[str, object]:
        return render_order(order, self.desk.account)

    def _asked(self, request: web.Request) -> SimOrder:
        return self.desk.find(number_in_path(request, "order", "order"))

    @staticmethod
    def _open_legs(order: SimOrder) -> tuple[Leg, ...]:
        if order.terminal or order.status is Status.CANCEL_REQUESTED or order.broken_leg:
            raise cannot_update(f"Order {order.order_id} is {order.status} and cannot be replaced.")
        return remaining_ticket(order).legs

    # --- complex orders ---

    async def complex_place(self, request: web.Request) -> web.StreamResponse:
        body = await body_of(request)
        if self.faults.draw("timeout_before_accept") is not None:
            return hang_up(request)
        self._perhaps_refuse()
        group, accepted = self.complexes.place(*parse_complex(body))
        rendered = self.complexes.render(group)
        answer = render_answer(rendered, accepted.effect, accepted.warnings, "complex-order")
        return self._acknowledge(request, answer)

    async def complex_dry_run(self, request: web.Request) -> web.StreamResponse:
        kind, trigger, children = parse_complex(await body_of(request))
        accepted, _ = self.complexes.check(trigger, children)
        rendered = self.complexes.render_unplaced(kind, trigger, children)
        answer = render_answer(rendered, accepted.effect, accepted.warnings, "complex-order")
        return ok(answer, request.path, status=201)

    async def complex_live(self, request: web.Request) -> web.StreamResponse:
        today = et_date(self.desk.now_ns)
        groups = [group for group in self.desk.complexes.values() if et_date(group.updated_ns) == today]
        return ok({"items": [self.complexes.render(group) for group in reversed(groups)]}, request.path)

    async def complex_history(self, request: web.Request) -> web.StreamResponse:
        rows = [self.complexes.render(group) for group in reversed(self.desk.complexes.values())]
        per_page, offset = paging(request, 10, 200)
        return web.json_response(page(rows, request.path, per_page, offset))

    async def complex_single(self, request: web.Request) -> web.StreamResponse:
        group = self.complexes.find(number_in_path(request, "order", "complex order"))
        return ok(self.complexes.render(group), request.path)

    async def complex_cancel(self, request: web.Request) -> web.StreamResponse:
        group = self.complexes.cancel(number_in_path(request, "order", "complex order"))
        return ok(self.complexes.render(group), request.path)


def day_asked(query: Mapping[str, str], which: str) -> date | None:
    """`start-date` or `start-at` (its day), the same for `end`."""
    text = query.get(f"{which}-date") or query.get(f"{which}-at")
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise BadInput(f"{which}-date {text!r} is not a date such as 2026-03-02") from error
