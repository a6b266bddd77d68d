"""tastytrade's JSON as core's words, from a raw body or an SDK model alike.

The SDK rejects a whole list over one field it does not know; this reads what trading needs and names what it cannot.
The traps: prices come unsigned with a sibling `-effect`, quantities as number or text, times as ISO text or epoch ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from qmterm.core.orders import (
    AccountBalance,
    Action,
    BracketRole,
    BrokerOrder,
    BrokerPosition,
    DryRun,
    Fill,
    Leg,
    OrderKind,
    OrderState,
)

Body = Mapping[str, Any]

STATES: dict[str, OrderState] = {
    "Received": OrderState.RECEIVED,
    "Routed": OrderState.ROUTED,
    "In Flight": OrderState.ROUTED,
    "Live": OrderState.LIVE,
    "Contingent": OrderState.CONTINGENT,
    "Cancel Requested": OrderState.CANCEL_REQUESTED,
    "Replace Requested": OrderState.REPLACE_REQUESTED,
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELLED,  # British on the wire ...
    "Canceled": OrderState.CANCELLED,  # ... and American in old payloads
    "Expired": OrderState.EXPIRED,
    "Rejected": OrderState.REJECTED,
    "Removed": OrderState.REMOVED,
    "Partially Removed": OrderState.REMOVED,
}

_KINDS = {kind.value: kind for kind in OrderKind}
_OUR_KINDS = ("Equity", "Equity Option", None)
_MOST = 1_000_000_000
_LATEST_MS = 9_000_000_000_000  # the year 2255: beyond it nanoseconds leave 64 bits
_FIRST_YEAR, _LAST_YEAR = 1900, 2250
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unreadable(ValueError):
    """A body that lacks what trading needs; the text names the field."""


@dataclass(frozen=True, slots=True)
class OrderRows:
    """What could be read of a list of orders, and one sentence for each thing that could not."""

    good: tuple[BrokerOrder, ...]
    faults: tuple[str, ...]
    missing: bool  # a row is missing from `good`: the list is not complete


def order(body: Body) -> tuple[BrokerOrder, str | None]:
    """One order, and a fault when its status is a word we do not know: then it counts as working, it may still fill."""
    broker_id = str(_need(body, "id"))
    status = str(_need(body, "status"))
    state = STATES.get(status)
    rows = [row for row in _list(body, "legs") if row.get("action") is not None]
    legs = tuple(_leg(row) for row in rows)
    if not legs:
        raise Unreadable(f"order {broker_id} has no legs")
    fills = tuple(_fill(fill, row, broker_id, len(rows) > 1) for row in rows for fill in _list(row, "fills"))
    external = body.get("external-identifier")
    trigger = body.get("stop-trigger")
    received = body.get("received-at")
    updated = time_ns(body.get("updated-at"))
    decoded = BrokerOrder(
        broker_id=broker_id,
        external_id=None if external in (None, "") else str(external),
        account=str(body.get("account-number", "")),
        underlying=str(body.get("underlying-symbol", "")),
        state=state or OrderState.LIVE,
        legs=legs,
        fills=fills,
        net_price=signed(body, "price"),
        time_in_force=str(body.get("time-in-force", "")),
        received_ns=time_ns(received) or updated,
        updated_ns=updated,
        reject_reason=_text(body.get("reject-reason")),
        replaces=_number_text(body, "replaces-order-id"),
        remaining=tuple(
            leg.quantity if row.get("remaining-quantity") is None else whole(row["remaining-quantity"])
            for leg, row in zip(legs, rows, strict=True)
        ),
        kind=_KINDS.get(str(body.get("order-type"))),
        stop_trigger=None if trigger in (None, "") else number(trigger, "stop-trigger"),
        good_until=_day(body.get("gtc-date")),
        replaced_by=_number_text(body, "replacing-order-id"),
        complex_id=_number_text(body, "complex-order-id"),
        role=_role(body),
    )
    fault = None if state is not None else f"order {broker_id} has the unknown status {status!r}; it counts as working"
    return decoded, fault


def orders(bodies: Iterable[Body]) -> OrderRows:
    """Every order that qmterm could have placed; one bad row costs that row, not the list."""
    good: list[BrokerOrder] = []
    faults: list[str] = []
    missing = False
    for body in bodies:
        try:
            if foreign(body):
                continue
            decoded, fault = order(body)
        except Unreadable as error:
            faults.append(str(error))
            missing = True
            continue
        good.append(decoded)
        if fault is not None:
            faults.append(fault)
    return OrderRows(tuple(good), tuple(faults), missing)


def foreign(body: Body) -> bool:
    """True for an order in instruments that qmterm does not trade (futures, crypto, dollars' worth of stock)."""
    kinds = [row.get("instrument-type") for row in _list(body, "legs")]
    return body.get("order-type") == "Notional Market" or any(kind not in _OUR_KINDS for kind in kinds)


def foreign_position(body: Body) -> bool:
    """True for a holding that qmterm cannot trade (futures, crypto, bonds): a billion coins are no contracts."""
    return body.get("instrument-type") not in _OUR_KINDS


def position(body: Body) -> BrokerPosition:
    """One position, quantity signed by its direction."""
    symbol = str(_need(body, "symbol"))
    quantity = whole(_need(body, "quantity"))
    direction = str(_need(body, "quantity-direction"))
    if direction not in ("Long", "Short", "Zero"):
        raise Unreadable(f"position {symbol} has the unknown direction {direction!r}")
    mark = body.get("mark-price")
    return BrokerPosition(
        symbol=symbol,
        quantity=-quantity if direction == "Short" else 0 if direction == "Zero" else quantity,
        average_open_price=number(body.get("average-open-price", "0"), "average-open-price"),
        multiplier=whole(body.get("multiplier", 1)),
        mark=None if mark is None else number(mark, "mark-price"),
        updated_ns=_stamp(body.get("updated-at")),
        realized_today=signed(body, "realized-today"),
    )


def _stamp(value: object) -> int:
    """A position without a readable time is still a position; it only cannot say that it is news."""
    try:
        return 0 if value is None else time_ns(value)
    except Unreadable:
        return 0


def balance(body: Body) -> AccountBalance:
    """Dollars; a negative cash balance is a debit."""
    return AccountBalance(
        cash=_required(body, "cash-balance"),
        net_liquidating_value=_required(body, "net-liquidating-value"),
        option_buying_power=_required(body, "derivative-buying-power"),
        maintenance_requirement=signed(body, "maintenance-requirement") or Decimal(0),
    )


def dry_run(body: Body) -> DryRun:
    effect, fees = _object(body, "buying-power-effect"), _object(body, "fee-calculation")
    return DryRun(
        buying_power_change=_required(effect, "change-in-buying-power"),
        fees=signed(fees, "total-fees") or Decimal(0),
        warnings=tuple(
            f"{warning.get('code', 'warning')}: {warning.get('message', '')}".strip()
            for warning in _list(body, "warnings")
        ),
    )


def signed(body: Body, name: str) -> Decimal | None:
    """An amount with its sign: the effect's where there is one (Debit = negative), else as it stands."""
    value = body.get(name)
    if value is None or value == "":
        return None
    amount = number(value, name)
    effect = body.get(f"{name}-effect")
    if effect == "Debit":
        return -abs(amount)
    return abs(amount) if effect == "Credit" else amount


def number(value: object, name: str) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise Unreadable(f"{name} is {value!r}, not a number") from error
    if not amount.is_finite():
        raise Unreadable(f"{name} is {value!r}, not a number")
    return amount


def whole(value: object) -> int:
    """Contracts or shares; fractional shares count down to the whole ones we could trade."""
    amount = number(value, "quantity")
    if amount.copy_abs() > _MOST:  # abs() would round, and overflow for a number such as 1E+999999999
        raise Unreadable(f"a quantity of {amount} is not possible")
    return int(amount)


def time_ns(value: object) -> int:
    """UTC ns of ISO text, a datetime or epoch milliseconds; 0 when there is none (dry runs say 0)."""
    match value:
        case None | "" | 0:
            return 0
        case int():
            return value * 1_000_000 if abs(value) < _LATEST_MS else _bad_time(value)
        case datetime():
            moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        case _:
            try:
                moment = datetime.fromisoformat(str(value))
            except ValueError as error:
                raise Unreadable(f"{value!r} is not a time") from error
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        _bad_time(value)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def _bad_time(value: object) -> int:
    raise Unreadable(f"{value!r} is not a time")


def _leg(row: Body) -> Leg:
    word = str(row["action"])
    try:
        action = Action(word)
    except ValueError as error:
        raise Unreadable(f"leg {row.get('symbol')} has the unknown action {word!r}") from error
    return Leg(symbol=str(_need(row, "symbol")), action=action, quantity=whole(_need(row, "quantity")))


def _fill(body: Body, row: Body, broker_id: str, several_legs: bool) -> Fill:
    fill_id = str(_need(body, "fill-id"))
    return Fill(
        # Whether one id covers all legs of a spread's execution is not documented: the leg is part of our key.
        fill_id=f"{fill_id}#{row['symbol']}" if several_legs else fill_id,
        broker_order_id=broker_id,
        symbol=str(row["symbol"]),
        action=Action(str(row["action"])),
        quantity=whole(_need(body, "quantity")),
        price=number(_need(body, "fill-price"), "fill-price"),
        time_ns=time_ns(_need(body, "filled-at")),
    )


def _need(body: Body, name: str) -> Any:
    value = body.get(name)
    if value is None:
        raise Unreadable(f"{name} is missing in {_label(body)}")
    return value


def _required(body: Body, name: str) -> Decimal:
    value = signed(body, name)
    if value is None:
        raise Unreadable(f"{name} is missing in {_label(body)}")
    return value


def _label(body: Body) -> str:
    """What a broken body is about, without its contents (they may hold more than a log should)."""
    for name in ("id", "symbol", "fill-id", "account-number"):
        if body.get(name) is not None:
            return f"{name} {body[name]}" if name != "account-number" else "the account's answer"
    return "the broker's answer"


def _list(body: Body, name: str) -> list[Body]:
    """The objects of a list; an absent list is an empty one, anything else in its place is unreadable."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise Unreadable(f"{name} is not a list of objects in {_label(body)}")
    return value


def _object(body: Body, name: str) -> Body:
    value = body.get(name)
    return value if isinstance(value, Mapping) else {}


def _number_text(body: Body, name: str) -> str | None:
    value = body.get(name)
    return None if value in (None, "") else str(value)


def _role(body: Body) -> BracketRole | None:
    """From the tag ("OTOCO::trigger-order", "OCO::order"); of the exits, the limit order is the target."""
    tag = body.get("complex-order-tag")
    if body.get("complex-order-id") in (None, "") or not isinstance(tag, str):
        return None
    if tag.endswith("::trigger-order"):
        return BracketRole.TRIGGER
    return BracketRole.TARGET if body.get("order-type") == OrderKind.LIMIT.value else BracketRole.STOP


def _day(value: object) -> date | None:
    """A date, or none where the broker's word is no date: it is shown, and decides nothing."""
    if isinstance(value, date):
        return value
    try:
        return None if value in (None, "") else date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return None if value in (None, "") else one_line(str(value))


def one_line(text: str) -> str:
    """The broker's words without what would steer a terminal or cannot be written (half a character pair)."""
    return "".join(char if char.isprintable() else " " for char in text)
