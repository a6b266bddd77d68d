"""What is written: one event row, and the projection it implies.

The same SQL serves the live write and the rebuild, so a table that cannot be rebuilt cannot exist. The trap: the
values given to a projection must be JSON values (Decimal as text, enums as words), or the two would differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

import msgspec

from qmterm.core.orders import Fill, OrderIntent

Body = Mapping[str, object]
Values = Body | tuple[object, ...]  # by name, or exactly the kind's TOLD, in that order

INTENT = "intent"
ORDER = "order"
FILL = "fill"
SESSION_START = "session-start"
SESSION_END = "session-end"
SIGNAL = "signal"
DECISION = "decision"
ADJUSTMENT = "adjustment"
MARK = "mark"
EQUITY = "equity"
PROTECT = "protect"
PROTECT_END = "protect-end"
LADDER = "ladder"
DOCUMENT = "document"
NOTES_DROPPED = "notes-dropped"


class Record(msgspec.Struct, gc=False):
    """One event on its way to the file. `values` are JSON values of the event's, for the kind's columns."""

    kind: str
    subject: str
    time_ns: int
    real_ns: int
    session_id: int | None
    values: Values
    body: str


# A row that is already there makes the whole record a duplicate: no second event is written.
GUARD: dict[str, str] = {
    INTENT: "SELECT 1 FROM intents WHERE intent_id = :intent_id",
    FILL: "SELECT 1 FROM fills WHERE account = :account AND fill_id = :fill_id",
}

# `:seq`, `:session_id`, `:time_ns`, `:subject` and `:body` come from the event, the rest from its values.
PROJECTION: dict[str, str] = {
    SESSION_START: "INSERT INTO sessions VALUES (:session_id, :time_ns, NULL, :account, :mode, :source, :broker,"
    " :starting_cash, :positions_json, :settings_hash, NULL, :seq)",
    SESSION_END: "UPDATE sessions SET ended_ns = :time_ns, summary = :body WHERE session_id = :session_id",
    SIGNAL: "INSERT INTO signals VALUES (:seq, :session_id, :time_ns, :symbol, :strategy, :state, :body)",
    DECISION: "INSERT INTO decisions VALUES (:seq, :session_id, :time_ns, :subject, :plan_id, :underlying, :outcome,"
    " :reason, :body)",
    INTENT: "INSERT INTO intents VALUES (:intent_id, :session_id, :created_ns, :strategy, :underlying, :plan_id, :seq)",
    ORDER: "INSERT INTO orders VALUES (:subject, :session_id, :broker_id, :state, :time_ns, :reason, :seq)"
    " ON CONFLICT (intent_id) DO UPDATE SET broker_id = coalesce(excluded.broker_id, broker_id),"
    " state = excluded.state, time_ns = excluded.time_ns, reason = excluded.reason, seq = excluded.seq",
    FILL: "INSERT INTO fills VALUES (:account, :fill_id, :session_id, :subject, :broker_order_id, :symbol, :action,"
    " :quantity, :price, :fees, :time_ns, :seq)",
    ADJUSTMENT: "INSERT INTO adjustments VALUES (:seq, :session_id, :time_ns, :symbol, :amount, :reason)",
    MARK: "INSERT INTO marks VALUES (:subject, :mark, :flag, :time_ns, :seq) ON CONFLICT (symbol) DO UPDATE SET"
    " mark = excluded.mark, flag = excluded.flag, time_ns = excluded.time_ns, seq = excluded.seq",
    EQUITY: "INSERT INTO equity VALUES (:seq, :session_id, :time_ns, :nlv, :cash, :realized, :unrealized)",
    PROTECT: "INSERT OR REPLACE INTO protect VALUES (:subject, :body, :time_ns, :seq)",
    PROTECT_END: "DELETE FROM protect WHERE position_id = :subject",
    LADDER: "INSERT INTO ladder VALUES (:seq, :session_id, :time_ns, :state, :reason, :by_person)",
    DOCUMENT: "INSERT OR REPLACE INTO documents VALUES (:subject, :body, :time_ns, :seq)",
}

OF_EVENT = {"seq", "session_id", "time_ns", "subject", "body"}
# What a kind's columns need beside the event, in the order of its statement.
TOLD: dict[str, tuple[str, ...]] = {
    kind: tuple(name for name in re.findall(r":(\w+)", sql) if name not in OF_EVENT) for kind, sql in PROJECTION.items()
}


def _plain(value: Any) -> Any:
    """What msgspec does not know: numpy scalars become Python numbers, the rest its text."""
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


def plain(value: object) -> Any:
    """JSON values of anything we journal: Decimal as text, enums as words, dates as ISO, tuples as lists."""
    return msgspec.to_builtins(value, enc_hook=_plain, str_keys=True)


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_encode = _encoder.encode
_encode_into = _encoder.encode_into


def _unsaid() -> str:
    """How the JSON of most orders ends: what only some orders have stands last among the fields, and is null."""
    last: list[str] = []
    for field in reversed(fields(OrderIntent)):
        if field.default is not None:
            break
        last.insert(0, f',"{field.name}":null')
    return "".join(last) + "}"


_UNSAID = _unsaid()


def to_json(value: object) -> str:
    """JSON text; NaN becomes null, because unknown is null in the journal."""
    return _encode(value).decode()


@lru_cache(16)
def _account(account: str) -> str:
    """The end of every fill's JSON."""
    return f',"account":{to_json(account)}}}'


def storable(kind: str, value: Any) -> tuple[Any, str]:
    """(values for the kind's columns, JSON of all). A kind without columns of its own needs no values."""
    if TOLD.get(kind):
        return with_json(plain(value))
    try:
        return {}, to_json(value)
    except UnicodeEncodeError:
        return with_json(plain(value))


def intent_values(intent: OrderIntent, quotes: Body | None, buffer: bytearray | None = None) -> tuple[Values, str]:
    """(TOLD of an intent, JSON of the order and of the quotes that priced it).

    An order waits for this: it is encoded as it stands, without a copy in plain values first, into a buffer that may
    be kept for the next (of the same thread), and a quarter of it is left out: fields at the end that are null.
    """
    buffer = bytearray() if buffer is None else buffer
    try:
        _encode_into(intent, buffer)
        body = buffer.decode()
        if body.endswith(_UNSAID):
            body = body[: -len(_UNSAID)] + "}"
        if quotes is not None:
            body = f'{body[:-1]},"quotes":{to_json(quotes)}}}'
    except UnicodeEncodeError:
        values = plain(intent)
        return with_json(values if quotes is None else {**values, "quotes": quotes})
    return (intent.intent_id, intent.created_ns, intent.strategy, intent.underlying, intent.plan_id), body


def decision_values(values: Body) -> tuple[Values, str]:
    """As `intent_values`, for a plan and what became of it: its order waits for this too."""
    try:
        body = to_json(values)
    except UnicodeEncodeError:
        return with_json(plain(values))
    reason = values["reason"]
    return (values["plan_id"], values["underlying"], values["outcome"], None if reason is None else str(reason)), body


def fill_values(fill: Fill, account: str, buffer: bytearray | None = None) -> tuple[Values, str]:
    """As `intent_values`, for a fill of the account."""
    buffer = bytearray() if buffer is None else buffer
    try:
        _encode_into(fill, buffer)
        body = buffer.decode()[:-1] + _account(account)
    except UnicodeEncodeError:
        return with_json({**plain(fill), "account": account})
    return (
        account, fill.fill_id, fill.broker_order_id, fill.symbol, str(fill.action), fill.quantity, str(fill.price),
        str(fill.fees),
    ), body  # fmt: skip


def with_json(values: Any) -> tuple[Any, str]:
    """`plain` values and their JSON. Half a character pair, which JSON from outside may hold, becomes "?"."""
    try:
        return values, to_json(values)
    except UnicodeEncodeError:
        values = _whole_characters(plain(values))
        return values, to_json(values)


def _whole_characters(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_whole_characters(name): _whole_characters(inner) for name, inner in value.items()}
        case list():
            return [_whole_characters(inner) for inner in value]
        case _:
            return value


def from_json(text: str) -> Any:
    return msgspec.json.decode(text)


def parameters(record: Record, seq: int) -> dict[str, object]:
    """The named parameters of PROJECTION and GUARD."""
    values = record.values
    named: dict[str, object] = {
        **(dict(zip(TOLD[record.kind], values, strict=True)) if isinstance(values, tuple) else values),
        "seq": seq,
        "session_id": record.session_id,
        "time_ns": record.time_ns,
        "subject": record.subject,
        "body": record.body,
    }
    if record.kind == SESSION_START:
        named["positions_json"] = to_json(named["starting_positions"])
    return named
