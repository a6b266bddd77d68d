"""REST of the account: who it is, what it holds, what it owes, what happened."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from aiohttp import web

from qmterm.core.clock import et_date
from qmterm.core.errors import BadInput
from qmterm.core.instruments import is_option, underlying_of
from qmterm.sim.brokerage.desk import Desk
from qmterm.sim.brokerage.door import Door, number_in_path, ok, paging, text_list
from qmterm.sim.brokerage.ledger import Ledger
from qmterm.sim.brokerage.margin import requirements
from qmterm.sim.brokerage.refusals import not_found
from qmterm.sim.brokerage.routes_orders import day_asked
from qmterm.sim.brokerage.wire import page
from qmterm.sim.brokerage.wire_account import (
    render_account,
    render_margin,
    render_net_liq,
    render_trading_status,
    render_transaction,
    total_fees,
)

ACCOUNT = "/accounts/{account}"
_MARKS = ("mark", "mark-price")


class AccountRoutes:
    def __init__(self, desk: Desk, ledger: Ledger) -> None:
        self.desk = desk
        self.ledger = ledger

    def add(self, app: web.Application, door: Door) -> None:
        routes = (
            ("/customers/me", self.customer),
            ("/customers/me/accounts", self.accounts),
            ("/customers/me/accounts/{account}", self.account),
            (f"{ACCOUNT}/balances/{{currency}}", self.balances),
            (f"{ACCOUNT}/balances", self.balances),
            (f"{ACCOUNT}/balance-snapshots", self.balance_snapshots),
            (f"{ACCOUNT}/positions", self.positions),
            (f"{ACCOUNT}/trading-status", self.trading_status),
            (f"{ACCOUNT}/transactions", self.transactions),
            (f"{ACCOUNT}/transactions/total-fees", self.fees),
            (f"{ACCOUNT}/transactions/{{transaction}}", self.transaction),
            (f"{ACCOUNT}/net-liq/history", self.net_liq_history),
            ("/margin/accounts/{account}/requirements", self.margin),
        )
        for path, handler in routes:
            app.router.add_get(path, door.open(handler))

    async def customer(self, request: web.Request) -> web.StreamResponse:
        return ok({"id": "me", "first-name": "Sim", "last-name": "Trader", "email": "sim@localhost"}, request.path)

    async def accounts(self, request: web.Request) -> web.StreamResponse:
        items = [{"account": render_account(self.desk.account), "authority-level": "owner"}]
        return ok({"items": items}, request.path)

    async def account(self, request: web.Request) -> web.StreamResponse:
        return ok(render_account(self.desk.account), request.path)

    async def balances(self, request: web.Request) -> web.StreamResponse:
        currency = request.match_info.get("currency", "USD")
        if currency != "USD":
            raise not_found(f"a balance in {currency}")
        return ok(self.ledger.balance(), request.path)

    async def balance_snapshots(self, request: web.Request) -> web.StreamResponse:
        """Today's only: the simulator keeps no end-of-day balances."""
        per_page, offset = paging(request, 250, 2000)
        return web.json_response(page([self.ledger.balance()], request.path, per_page, offset))

    async def positions(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        with_marks = query.get("include-marks", "false").lower() == "true"
        closed = query.get("include-closed-positions", "false").lower() == "true"
        underlyings = set(text_list(request, "underlying-symbol"))
        rows = [
            row
            for row in self.ledger.positions()
            if (closed or row["quantity"])
            and (not underlyings or row["underlying-symbol"] in underlyings)
            and query.get("symbol", row["symbol"]) == row["symbol"]
            and query.get("instrument-type", row["instrument-type"]) == row["instrument-type"]
        ]
        if not with_marks:
            rows = [{key: value for key, value in row.items() if key not in _MARKS} for row in rows]
        return ok({"items": rows}, request.path)

    async def trading_status(self, request: web.Request) -> web.StreamResponse:
        return ok(render_trading_status(self.desk.account, self.desk.now_ns), request.path)

    async def transactions(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        start, end = day_asked(query, "start"), day_asked(query, "end")
        kinds = {*text_list(request, "type"), *text_list(request, "types")}
        sub_kinds = set(text_list(request, "sub-type"))
        symbol, underlying = query.get("symbol"), query.get("underlying-symbol")
        kind = query.get("instrument-type")
        rows = [
            row
            for row in self.desk.book.transactions
            if (start is None or et_date(row.time_ns) >= start)
            and (end is None or et_date(row.time_ns) <= end)
            and (not kinds or row.kind in kinds)
            and (not sub_kinds or row.sub_kind in sub_kinds)
            and (symbol is None or row.symbol == symbol)
            and (underlying is None or (row.symbol is not None and underlying_of(row.symbol) == underlying))
            and (kind is None or (row.symbol is not None and (kind == "Equity Option") == is_option(row.symbol)))
            and query.get("action", row.sub_kind) == row.sub_kind
        ]
        if query.get("sort", "Desc") != "Asc":
            rows.reverse()
        per_page, offset = paging(request, 250, 2000)
        items = [render_transaction(self.desk.account, row) for row in rows]
        return web.json_response(page(items, request.path, per_page, offset))

    async def transaction(self, request: web.Request) -> web.StreamResponse:
        wanted = number_in_path(request, "transaction", "transaction")
        for row in self.desk.book.transactions:
            if row.transaction_id == wanted:
                return ok(render_transaction(self.desk.account, row), request.path)
        raise not_found(f"transaction {wanted}")

    async def fees(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("date")
        try:
            day = date.fromisoformat(text) if text else et_date(self.desk.now_ns)
        except ValueError as error:
            raise BadInput(f"date {text!r} is not a date such as 2026-03-02") from error
        return ok(total_fees(self.desk.book, day), request.path)

    async def net_liq_history(self, request: web.Request) -> web.StreamResponse:
        rows = self.ledger.worth or [(self.desk.now_ns, Decimal(self.desk.standing().net_liquidating_value))]
        return ok({"items": [render_net_liq(ns, value) for ns, value in rows]}, request.path)

    async def margin(self, request: web.Request) -> web.StreamResponse:
        desk = self.desk
        rows = requirements(desk.book.holdings(), desk.world)
        return ok(render_margin(desk.account, desk.standing(), rows, desk.now_ns), request.path)
