"""Reading an order body: from the SDK's kebab-case JSON to typed words, with the field named when it is wrong.

The trap: prices come unsigned with a sibling `price-effect`; a price of zero has no effect at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from qmterm.core.instruments import is_option, underlying_of
from qmterm.core.orders import Action, Leg
from qmterm.sim.brokerage.orders import OrderType
from qmterm.sim.brokerage.refusals import MalformedRequest

TIMES_IN_FORCE = ("Day", "GTC", "GTD", "IOC", "Ext", "GTC Ext")
_BEHAVIORS = ("immediate", "never", "reject")


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order as it was asked for."""

    legs: tuple[Leg, ...]
    order_type: OrderType
    time_in_force: str
    price: Decimal | None
    stop_trigger: Decimal | None
    external_identifier: str | None = None
    source: str | None = None
    strict: bool = False
    behavior: str = "immediate"
    gtc_date: date | None = None

    @property
    def underlying(self) -> str:
        return underlying_of(self.legs[0].symbol)


def _decimal(body: Mapping[str, Any], name: str) -> Decimal | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise MalformedRequest(name, f"{value!r} is not a number") from error
    if not number.is_finite() or number < 0:
        raise MalformedRequest(name, f"{value!r} must be a number that is not negative")
    return number


def _signed_price(body: Mapping[str, Any]) -> Decimal | None:
    price = _decimal(body, "price")
    effect = body.get("price-effect")
    if price is None or price == 0:
        return price
    if effect not in ("Debit", "Credit"):
        raise MalformedRequest("price-effect", "must be Debit or Credit beside a price")
    return -price if effect == "Debit" else price


def _date(body: Mapping[str, Any], name: str) -> date | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise MalformedRequest(name, f"{value!r} is not a date such as 2026-03-02") from error


def _leg(body: object, number: int) -> Leg:
    where = f"legs[{number}]"
    if not isinstance(body, Mapping):
        raise MalformedRequest(where, "is not an object")
    symbol, action, kind = body.get("symbol"), body.get("action"), body.get("instrument-type")
    if not isinstance(symbol, str) or not symbol:
        raise MalformedRequest(f"{where}.symbol", "is missing")
    if action not in {word.value for word in Action}:
        raise MalformedRequest(f"{where}.action", "does not have a valid value")
    if kind not in ("Equity", "Equity Option"):
        raise MalformedRequest(f"{where}.instrument-type", "does not have a valid value")
    if (kind == "Equity Option") != is_option(symbol) or (is_option(symbol) and len(symbol) != 21):
        raise MalformedRequest(f"{where}.symbol", f"{symbol!r} does not fit instrument type {kind}")
    try:
        quantity = Decimal(str(body.get("quantity")))
    except InvalidOperation as error:
        raise MalformedRequest(f"{where}.quantity", "is not a number") from error
    if not quantity.is_finite() or quantity <= 0 or quantity % 1 != 0:
        raise MalformedRequest(f"{where}.quantity", "must be a whole number above zero")
    return Leg(symbol, Action(action), int(quantity))


def parse_ticket(body: object, legs: tuple[Leg, ...] | None = None) -> Ticket:
    """The order in a request body; `legs` are those of the order being replaced, which the SDK leaves out."""
    if not isinstance(body, Mapping):
        raise MalformedRequest("order", "the body is not a JSON object")
    if legs is None:
        rows = body.get("legs")
        if not isinstance(rows, list) or not rows:
            raise MalformedRequest("legs", "is missing or empty")
        legs = tuple(_leg(row, number) for number, row in enumerate(rows))
    try:
        order_type = OrderType(str(body.get("order-type")))
    except ValueError as error:
        raise MalformedRequest("order-type", "does not have a valid value") from error
    time_in_force = str(body.get("time-in-force"))
    if time_in_force not in TIMES_IN_FORCE:
        raise MalformedRequest("time-in-force", f"must be one of {', '.join(TIMES_IN_FORCE)} here")
    instructions = body.get("advanced-instructions") or {}
    external = body.get("external-identifier")
    source = body.get("source")
    behavior = str(body.get("behavior") or "immediate")
    return Ticket(
        legs=legs,
        order_type=order_type,
        time_in_force=time_in_force,
        price=_signed_price(body),
        stop_trigger=_decimal(body, "stop-trigger"),
        external_identifier=None if external is None else str(external),
        source=None if source is None else str(source),
        strict=bool(instructions.get("strict-position-effect-validation", False)),
        behavior=behavior if behavior in _BEHAVIORS else "immediate",
        gtc_date=_date(body, "gtc-date"),
    )


def edited_ticket(body: object, legs: tuple[Leg, ...], original: Ticket) -> Ticket:
    """A PATCH: what the body names changes, the rest is the original's."""
    if not isinstance(body, Mapping):
        raise MalformedRequest("order", "the body is not a JSON object")
    merged: dict[str, Any] = {"order-type": original.order_type.value, "time-in-force": original.time_in_force}
    if original.price:
        merged["price"] = str(abs(original.price))
        merged["price-effect"] = "Debit" if original.price < 0 else "Credit"
    if original.stop_trigger is not None:
        merged["stop-trigger"] = str(original.stop_trigger)
    if original.gtc_date is not None:
        merged["gtc-date"] = original.gtc_date.isoformat()
    ticket = parse_ticket({**merged, **body}, legs)
    return replace(ticket, strict=original.strict, external_identifier=original.external_identifier)
