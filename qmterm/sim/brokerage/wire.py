"""Orders and their answers as tastytrade's JSON: kebab-case, money as text with a sibling effect.

The trap: an effect without its amount crashes the SDK, so both always come from the one function `signed`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from qmterm.core.clock import NS_PER_MS
from qmterm.core.fees import FeeBreakdown
from qmterm.sim.brokerage.orders import OrderLeg, SimOrder, Status
from qmterm.sim.brokerage.preflight import Effect
from qmterm.sim.brokerage.refusals import Problem
from qmterm.sim.brokerage.ticket import Ticket

Json = dict[str, Any]
VENUE = "QMTERM_SIM"
USER_ID = "1"
_TINY = Decimal("0.00000001")
NEXT_SESSION = Problem("tif_next_valid_sesssion", "Your order will begin working during next valid session.")


def money(amount: Decimal) -> str:
    """A decimal as plain text, at least one and at most eight decimals, as the broker writes it."""
    text = format(amount.quantize(_TINY).normalize(), "f")
    if text in ("-0", "0"):
        return "0.0"
    return text if "." in text else f"{text}.0"


def effect_word(amount: Decimal) -> str:
    return "None" if amount == 0 else "Credit" if amount > 0 else "Debit"


def signed(name: str, amount: Decimal) -> dict[str, str]:
    """The unsigned amount and its effect: + is Credit, − is Debit."""
    return {name: money(abs(amount)), f"{name}-effect": effect_word(amount)}


@lru_cache(maxsize=4096)  # an order's times are told again with each report of it
def stamp(ns: int) -> str:
    """UTC nanoseconds as the broker's time text, to the millisecond."""
    moment = datetime.fromtimestamp(ns // NS_PER_MS / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+00:00"


def millis(ns: int) -> int:
    return ns // NS_PER_MS


def _leg(leg: OrderLeg, hide_fills: bool) -> Json:
    fills = [] if hide_fills else leg.fills
    return {
        "instrument-type": leg.instrument_type,
        "symbol": leg.symbol,
        "quantity": leg.quantity,
        "remaining-quantity": leg.quantity - sum(fill.quantity for fill in fills),
        "action": leg.action.value,
        "fills": [
            {
                "ext-group-fill-id": fill.fill_id,
                "ext-exec-id": fill.fill_id,
                "fill-id": fill.fill_id,
                "quantity": fill.quantity,
                "fill-price": money(fill.price),
                "filled-at": stamp(fill.time_ns),
                "destination-venue": VENUE,
            }
            for fill in fills
        ],
    }


def _times(order: SimOrder) -> Json:
    moments = {
        "in-flight-at": order.in_flight_ns,
        "live-at": order.live_ns,
        "cancelled-at": order.cancelled_ns,
        "terminal-at": order.terminal_ns,
    }
    return {name: stamp(ns) for name, ns in moments.items() if ns is not None}


def render_order(order: SimOrder, account: str, hide_legs: frozenset[int] = frozenset()) -> Json:
    """The full object. `hide_legs` are legs whose fills have not been reported yet (a staggered report)."""
    body: Json = {
        "id": order.order_id,
        "account-number": account,
        "time-in-force": order.time_in_force,
        "order-type": order.order_type.value,
        "size": order.units,
        "underlying-symbol": order.underlying,
        "underlying-instrument-type": "Equity",
        "status": order.status.value,
        "cancellable": order.can_be_cancelled,
        "editable": order.can_be_cancelled,
        "edited": order.edited,
        "received-at": stamp(order.received_ns),
        "updated-at": millis(order.updated_ns),
        "user-id": USER_ID,
        "username": "sim",
        "legs": [_leg(leg, number in hide_legs) for number, leg in enumerate(order.legs)],
        **_times(order),
    }
    if order.price is not None:
        body |= signed("price", order.price)
    if order.stop_trigger is not None:
        body["stop-trigger"] = money(order.stop_trigger)
    if order.gtc_date is not None:
        body["gtc-date"] = order.gtc_date.isoformat()
    optional = {
        "external-identifier": order.external_identifier,
        "source": order.source,
        "contingent-status": order.contingent_status,
        "reject-reason": order.reject_reason,
        "replaces-order-id": order.replaces,
        "replacing-order-id": order.replaced_by,
        "complex-order-id": order.complex_id,
        "complex-order-tag": order.complex_tag,
        "preflight-id": order.preflight_id,
    }
    return body | {name: value for name, value in optional.items() if value is not None}


def render_unplaced(ticket: Ticket, account: str) -> Json:
    """The order of a dry run: no id, updated-at 0."""
    order = SimOrder(
        order_id=0,
        legs=[OrderLeg(leg.symbol, leg.action, leg.quantity) for leg in ticket.legs],
        order_type=ticket.order_type,
        time_in_force=ticket.time_in_force,
        price=ticket.price,
        stop_trigger=ticket.stop_trigger,
        received_ns=0,
        updated_ns=0,
        session=datetime.fromtimestamp(0, UTC).date(),
        status=Status.RECEIVED,
        external_identifier=ticket.external_identifier,
        source=ticket.source,
        gtc_date=ticket.gtc_date,
    )
    body = render_order(order, account)
    del body["id"], body["received-at"]
    return body


def render_effect(effect: Effect) -> Json:
    change = effect.change_in_buying_power
    return {
        **signed("change-in-margin-requirement", effect.change_in_margin),
        **signed("change-in-buying-power", change),
        **signed("current-buying-power", effect.current_buying_power),
        **signed("new-buying-power", effect.new_buying_power),
        **signed("isolated-order-margin-requirement", -effect.isolated_requirement),
        "is-spread": effect.is_spread,
        "impact": money(abs(change)),
        "effect": effect_word(change),
    }


def render_fees(fees: FeeBreakdown) -> Json:
    return {
        **signed("regulatory-fees", -fees.regulatory),
        **signed("clearing-fees", -fees.clearing),
        **signed("commission", -fees.commission),
        **signed("proprietary-index-option-fees", -fees.proprietary),
        **signed("total-fees", -fees.total),
    }


def render_answer(order: Json, effect: Effect, warnings: list[Problem], name: str = "order") -> Json:
    """The `data` of a placed order or a dry run."""
    return {
        name: order,
        "warnings": [warning.as_json() for warning in warnings],
        "buying-power-effect": render_effect(effect),
        "fee-calculation": render_fees(effect.fees),
    }


def page(items: list[Json], context: str, per_page: int, offset: int) -> Json:
    """One page of a list with the broker's pagination block."""
    total = len(items)
    pages = max(1, -(-total // per_page))
    shown = items[offset * per_page : (offset + 1) * per_page]
    return {
        "data": {"items": shown},
        "context": context,
        "pagination": {
            "per-page": per_page,
            "page-offset": offset,
            "item-offset": offset * per_page,
            "total-items": total,
            "total-pages": pages,
            "current-item-count": len(shown),
            "previous-link": None,
            "next-link": None,
            "paging-link-template": None,
        },
    }
