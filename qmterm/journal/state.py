"""Everything recovery needs to rebuild the book, read from the file in one look."""

from __future__ import annotations

import contextlib
import gc
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from qmterm.core.clock import NS
from qmterm.core.orders import Action, BrokerPosition, Fill, OrderIntent, OrderState
from qmterm.journal.records import from_json


@dataclass(frozen=True, slots=True)
class StoredSession:
    session_id: int
    started_ns: int
    ended_ns: int | None  # None: still running, or it died
    account: str
    mode: str
    source: str
    broker: str
    starting_cash: Decimal
    starting_positions: tuple[BrokerPosition, ...]
    settings_hash: str
    summary: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An intent and what became of it: state INTENT when nothing was journalled after it."""

    intent: OrderIntent
    state: OrderState
    broker_id: str | None
    time_ns: int
    reason: str | None
    session_id: int | None
    seq: int = 0  # of its intent


@dataclass(frozen=True, slots=True)
class StoredFill:
    fill: Fill
    intent_id: str
    session_id: int | None
    seq: int
    strategy: str = "external"  # of the order it belongs to, however old
    plan_id: str = ""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of cash (symbol None, dollars) or of a position (signed quantity) that no fill explains."""

    symbol: str | None
    amount: Decimal
    reason: str
    time_ns: int
    session_id: int | None
    seq: int


@dataclass(frozen=True, slots=True)
class StoredMark:
    mark: Decimal
    flag: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class StoredLadder:
    state: str
    reason: str | None
    by_person: bool
    time_ns: int
    since_seq: int = 0  # the event with which the ladder came to this level


@dataclass(frozen=True, slots=True)
class JournalState:
    """`fills` and `adjustments` are those of the last session's account, oldest first, all sessions."""

    session: StoredSession | None = None
    orders: tuple[StoredOrder, ...] = ()  # not settled, or of the last days; oldest first
    fills: tuple[StoredFill, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    protects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ladder: StoredLadder | None = None
    marks: Mapping[str, StoredMark] = field(default_factory=dict)
    last_seq: int = 0

    @property
    def clean_end(self) -> bool:
        """True when there is no earlier session, or it said goodbye."""
        return self.session is None or self.session.ended_ns is not None


# The reason of an exit that rested at the broker and that a person cancelled: given back however long ago that was,
# because as long as its position lives it is not put back.
TAKEN_AWAY = "taken away by you"

# NOT_ACCEPTED is watched until the session ends: it may still turn up.
_UNSETTLED = tuple(state.value for state in OrderState if not state.terminal or state is OrderState.NOT_ACCEPTED)


# Events tell of market time roughly as it passes: the newest time is looked for in the last ones, not in all.
_NEWEST_AMONG = 10_000

# Few prices and fewer actions make up many fills.
_money = lru_cache(4096)(Decimal)
_action = lru_cache(16)(Action)


def load_state(connection: sqlite3.Connection, days: int) -> JournalState:
    """Read it all. `days` of market time of settled orders are included, counted back from the newest event."""
    with _collector_paused():
        return _load_state(connection, days)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """All that is read stays: the garbage collector would walk it again and again, for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _load_state(connection: sqlite3.Connection, days: int) -> JournalState:
    newest = connection.execute(
        "SELECT max(seq), max(time_ns) FROM (SELECT seq, time_ns FROM events ORDER BY seq DESC LIMIT ?)",
        (_NEWEST_AMONG,),
    ).fetchone()
    last_seq, last_ns = int(newest[0] or 0), int(newest[1] or 0)
    session = last_session(connection)
    account = session.account if session is not None else ""
    return JournalState(
        session=session,
        orders=_orders(connection, account, last_ns - days * 86_400 * NS),
        fills=fills(connection, account),
        adjustments=_adjustments(connection, account),
        protects={row[0]: from_json(row[1]) for row in connection.execute("SELECT position_id, body FROM protect")},
        ladder=_ladder(connection),
        marks={
            row[0]: StoredMark(Decimal(row[1]), row[2], row[3])
            for row in connection.execute("SELECT symbol, mark, flag, time_ns FROM marks")
        },
        last_seq=last_seq,
    )


def last_session(connection: sqlite3.Connection) -> StoredSession | None:
    row = connection.execute(
        "SELECT session_id, started_ns, ended_ns, account, mode, source, broker, starting_cash, starting_positions,"
        " settings_hash, summary FROM sessions ORDER BY session_id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    return StoredSession(
        session_id=row[0],
        started_ns=row[1],
        ended_ns=row[2],
        account=row[3],
        mode=row[4],
        source=row[5],
        broker=row[6],
        starting_cash=Decimal(row[7]),
        starting_positions=msgspec.json.decode(row[8], type=tuple[BrokerPosition, ...]),
        settings_hash=row[9],
        summary=from_json(row[10]) if row[10] is not None else None,
    )


_ORDERS = (
    "SELECT e.body, coalesce(o.state, 'intent'), o.broker_id, coalesce(o.time_ns, i.created_ns), o.reason,"
    " i.session_id, i.seq FROM intents i LEFT JOIN orders o ON o.intent_id = i.intent_id"
    " LEFT JOIN sessions s ON s.session_id = i.session_id"
    " CROSS JOIN events e ON e.seq = i.seq"  # CROSS: last, for the orders that are wanted only
    " WHERE coalesce(s.account, ?) = ? AND "
)


def _orders(connection: sqlite3.Connection, account: str, since_ns: int) -> tuple[StoredOrder, ...]:
    """By when it was made or ended, the later of both: a GTC order of last month that filled today is today's."""
    marks = ", ".join("?" * len(_UNSETTLED))
    wanted = f"(coalesce(o.state, 'intent') IN ({marks}) OR i.created_ns >= ? OR o.time_ns >= ? OR o.reason = ?)"
    values = (account, account, *_UNSETTLED, since_ns, since_ns, TAKEN_AWAY)
    return _stored(connection.execute(f"{_ORDERS}{wanted} ORDER BY i.seq", values))


def stored_order(connection: sqlite3.Connection, intent_id: str, account: str) -> StoredOrder | None:
    """One order of the account, however long ago it ended; None when there is none of that id."""
    found = _stored(connection.execute(_ORDERS + "i.intent_id = ?", (account, account, intent_id)))
    return found[0] if found else None


def _stored(rows: Iterable[tuple[Any, ...]]) -> tuple[StoredOrder, ...]:
    return tuple(
        StoredOrder(
            intent=msgspec.json.decode(body, type=OrderIntent),
            state=OrderState(state),
            broker_id=broker_id,
            time_ns=time_ns,
            reason=reason,
            session_id=session_id,
            seq=seq,
        )
        for body, state, broker_id, time_ns, reason, session_id, seq in rows
    )


def fills(connection: sqlite3.Connection, account: str) -> tuple[StoredFill, ...]:
    """All fills of one account, in the order in which they were written."""
    # `+` and rowid: as the table lies, which is in this order, instead of by the index and a sort.
    rows = connection.execute(
        "SELECT f.fill_id, f.broker_order_id, f.symbol, f.action, f.quantity, f.price, f.time_ns, f.fees, f.intent_id,"
        " f.session_id, f.seq, coalesce(i.strategy, 'external'), coalesce(i.plan_id, '')"
        " FROM fills f LEFT JOIN intents i ON i.intent_id = f.intent_id WHERE +f.account = ? ORDER BY f.rowid",
        (account,),
    )
    return tuple(
        StoredFill(
            Fill(fill_id, order_id, symbol, _action(action), quantity, _money(price), time_ns, _money(fees)),
            intent_id,
            *of_row,
        )
        for fill_id, order_id, symbol, action, quantity, price, time_ns, fees, intent_id, *of_row in rows
    )


def _adjustments(connection: sqlite3.Connection, account: str) -> tuple[Adjustment, ...]:
    rows = connection.execute(
        "SELECT a.symbol, a.amount, a.reason, a.time_ns, a.session_id, a.seq FROM adjustments a"
        " LEFT JOIN sessions s ON s.session_id = a.session_id WHERE coalesce(s.account, ?) = ? ORDER BY a.seq",
        (account, account),
    )
    return tuple(Adjustment(row[0], Decimal(row[1]), *row[2:]) for row in rows)


def _ladder(connection: sqlite3.Connection) -> StoredLadder | None:
    row = connection.execute(
        "SELECT state, reason, by_person, time_ns FROM ladder ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    since = connection.execute(
        "SELECT min(seq) FROM ladder WHERE seq > (SELECT coalesce(max(seq), 0) FROM ladder WHERE state <> ?)", (row[0],)
    ).fetchone()
    return StoredLadder(row[0], row[1], bool(row[2]), row[3], int(since[0]))
