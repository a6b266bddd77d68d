"""The journal as the engine uses it: durable rows are awaited, everything else is noted and never waited for.

The trap: an order may be sent only after `write_intent` has returned; when it raises JournalError nothing may leave.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Self, TypeVar

from qmterm.core.clock import NS, Clock
from qmterm.core.errors import JournalError
from qmterm.core.orders import BrokerPosition, Fill, OrderIntent, OrderState
from qmterm.core.reasons import Reason
from qmterm.core.signals import Signal, TradePlan
from qmterm.journal import queries, records, schema
from qmterm.journal.apart import Apart
from qmterm.journal.database import Connect, Database, open_connection
from qmterm.journal.lock import JournalLock
from qmterm.journal.queries import EventRow
from qmterm.journal.records import Record
from qmterm.journal.state import JournalState, StoredOrder, load_state, stored_order
from qmterm.journal.writer import BATCH_ROWS, GroupWriter

T = TypeVar("T")

RECENT_DAYS = 7


class Journal:
    """One open journal file. Its methods belong to the event loop that opened it."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        lock: JournalLock,
        connection: Database,
        session_id: int,
        next_batch: int,
        apart: Apart,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self.path = path
        self._clock = clock
        self._lock = lock
        self._connection = connection
        self._writer = GroupWriter(connection, path, next_batch, apart, batch_rows)
        self._last_session = session_id
        self._session: int | None = None
        self._account = ""
        self._buffer = bytearray()  # of the JSON that orders and fills are written as
        self._closed = False
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        clock: Clock,
        connect: Connect = open_connection,
        batch_rows: int = BATCH_ROWS,
    ) -> Self:
        """Lock, check, migrate; JournalError with one sentence when the file cannot be trusted or written.

        `connect` opens the file: on a thread as it stands, in a process of its own for an engine (beside.py), another
        way for drills. `batch_rows` is the most that one commit takes (1, to measure what grouping gains).
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(
                f"The journal's folder {path.parent} cannot be made ({error.strerror}); "
                "choose another file with --journal"
            ) from error
        lock = JournalLock(path)
        lock.acquire()
        try:
            connection = await connect(path, lock)
            try:
                session_id, batch = await connection.run(queries.last_numbers)
                apart = Apart(lambda: connection.disk_thread)
            except BaseException:
                await connection.close()  # its process would hold the lock on
                raise
        except sqlite3.Error as error:
            lock.release()
            raise schema.explain(error, path) from error
        except BaseException:
            lock.release()
            raise
        return cls(path, clock, lock, connection, session_id, batch + 1, apart, batch_rows)

    async def close(self) -> None:
        """Write what is queued, close the file, free the lock. Safe to call twice, and done also when cancelled."""
        if not self._closed:
            self._closed = True
            self._closing = asyncio.create_task(self._close(), name="journal-close")
            await asyncio.shield(self._closing)
        elif self._closing is not None:
            await asyncio.wait([self._closing])

    async def _close(self) -> None:
        """Not before the database has ended: the next journal of this file would number its batches anew."""
        try:
            try:
                await self._writer.close()
            finally:
                await self._connection.close()
        finally:
            self._lock.release()

    def abandon(self) -> None:
        """Free the lock and write nothing: all that the system does for a process that was killed (drills)."""
        self._closed = True
        self._lock.release()

    # --- how it is doing ---

    @property
    def depth(self) -> int:
        """Rows queued or being written."""
        return self._writer.depth

    @property
    def dropped(self) -> int:
        """Notes lost since the journal was opened, to a full queue or a failed write (never durable rows)."""
        return self._writer.dropped

    @property
    def trouble(self) -> str | None:
        """Why the latest write failed; None while writing works."""
        return self._writer.trouble

    @property
    def session_id(self) -> int | None:
        return self._session

    # --- durable rows ---

    async def start_session(
        self,
        account: str,
        mode: str,
        source: str,
        broker: str,
        starting_cash: Decimal,
        starting_positions: tuple[BrokerPosition, ...],
        settings_hash: str,
    ) -> int:
        """Begin a session; the account's cash and positions now are the base that fills add to."""
        number = self._last_session + 1
        record = self._record(
            records.SESSION_START,
            f"session-{number}",
            None,
            {
                "account": account,
                "mode": mode,
                "source": source,
                "broker": broker,
                "starting_cash": starting_cash,
                "starting_positions": starting_positions,
                "settings_hash": settings_hash,
            },
        )
        record.session_id = number
        await self._writer.durable(record)
        self._last_session = self._session = number
        self._account = account
        return number

    async def end_session(self, summary: Mapping[str, object]) -> None:
        await self._durable(records.SESSION_END, f"session-{self._session}", None, summary)

    def write_intent(self, intent: OrderIntent, quotes: Mapping[str, object] | None = None) -> Awaitable[None]:
        """Queue the intent now; done only when it is on the disk: the order may leave after that, never before.

        `quotes` are those that priced it, with their ages, at decision and at send: on the disk with it, in its body.
        """
        values, body = records.intent_values(intent, quotes, self._buffer)
        record = self._event(records.INTENT, intent.intent_id, intent.created_ns, values, body)
        return self._new(self._writer.durable(record), intent.intent_id)

    async def _new(self, written: Awaitable[bool], intent_id: str) -> None:
        if not await written:
            raise JournalError(f"Order {intent_id} is already in the journal {self.path}; it is not sent again")

    def while_writing(self, work: Callable[[], object]) -> None:
        """Have `work` called once the disk is at work on what was queued; later or never when that fails."""
        self._writer.while_writing(work)

    async def write_order(
        self, intent_id: str, state: OrderState, broker_id: str | None, time_ns: int, reason: str | None
    ) -> None:
        """The newest state of an order. UNKNOWN and every end are awaited; steps between are noted, in order."""
        values = {"state": state, "broker_id": broker_id, "reason": reason}
        if state is OrderState.UNKNOWN or state.terminal:
            await self._durable(records.ORDER, intent_id, time_ns, values)
        else:
            self._writer.note(self._record(records.ORDER, intent_id, time_ns, values))

    async def write_fill(self, fill: Fill, intent_id: str) -> bool:
        """True: new and on the disk. False: this fill was already there, count it no second time."""
        values, body = records.fill_values(fill, self._account, self._buffer)
        return await self._writer.durable(self._event(records.FILL, intent_id, fill.time_ns, values, body))

    async def write_adjustment(self, symbol: str | None, amount: Decimal, reason: str, time_ns: int) -> None:
        """A change that no fill explains: cash (symbol None, dollars) or a position (signed quantity)."""
        values = {"symbol": symbol, "amount": amount, "reason": reason}
        await self._durable(records.ADJUSTMENT, symbol or "cash", time_ns, values)

    def write_protect(self, position_id: str, state: Mapping[str, object] | None) -> Awaitable[object]:
        """The state of a position's stops, queued now; None when the position is gone."""
        if state is None:
            return self._durable(records.PROTECT_END, position_id, None, {})
        return self._durable(records.PROTECT, position_id, None, state)

    async def write_ladder(
        self, state: str, reason: str | None, by_person: bool, time_ns: int, *, before: str = "", text: str = ""
    ) -> None:
        """One move of the ladder: the level before and after (`state`), the cause, and who moved it."""
        values = {"state": state, "before": before, "reason": reason, "by_person": by_person, "text": text}
        await self._durable(records.LADDER, "ladder", time_ns, values)

    async def write_document(self, name: str, body: Mapping[str, object]) -> None:
        """A small named state that replaces its predecessor (the paper broker's book, the arming)."""
        await self._durable(records.DOCUMENT, name, None, body)

    # --- notes: queued, never waited for ---

    def note(self, kind: str, subject: str, body: Mapping[str, object], time_ns: int) -> None:
        """Any other event; `kind` must not be one that has a table of its own."""
        if kind in records.PROJECTION:
            raise ValueError(f"{kind!r} has its own method: a note would bypass its columns")
        self._writer.note(self._record(kind, subject, time_ns, body))

    def signal(self, signal: Signal) -> None:
        self._writer.note(self._record(records.SIGNAL, signal.symbol, signal.time_ns, signal))

    def decision(
        self,
        subject: str,
        outcome: str,
        time_ns: int,
        *,
        plan: TradePlan | None = None,
        reason: Reason | None = None,
        numbers: Mapping[str, object] | None = None,
    ) -> None:
        """A plan and what became of it, or a candidate that gave none (`subject` its symbol); `reason` if refused."""
        values = {
            "plan_id": plan.plan_id if plan is not None else None,
            "underlying": plan.underlying if plan is not None else None,
            "outcome": outcome,
            "reason": reason,
            "numbers": numbers or {},
            "plan": plan,
        }
        self._writer.note(self._event(records.DECISION, subject, time_ns, *records.decision_values(values)))

    def mark(self, symbol: str, mark: Decimal, flag: str, time_ns: int) -> None:
        """The mark a position is valued at from here on; note it before the equity that uses it."""
        self._writer.note(self._record(records.MARK, symbol, time_ns, {"mark": mark, "flag": flag}))

    def equity(self, time_ns: int, nlv: Decimal, cash: Decimal, realized: Decimal, unrealized: Decimal) -> None:
        values = {"nlv": nlv, "cash": cash, "realized": realized, "unrealized": unrealized}
        self._writer.note(self._record(records.EQUITY, "equity", time_ns, values))

    async def flush(self) -> None:
        """Everything noted so far is on the disk when this returns; JournalError when the last write failed."""
        await self._writer.flush()
        if self._writer.trouble is not None:
            raise JournalError(self._writer.trouble)

    # --- reading back ---

    async def load(self, days: int = RECENT_DAYS) -> JournalState:
        """What recovery starts from; settled orders older than `days` of market time are left out."""
        return await self._read(load_state, days)

    async def stored_order(self, intent_id: str) -> StoredOrder | None:
        """One order of this account, also one that `load` left out; None when there is none of that id."""
        return await self._read(stored_order, intent_id, self._account)

    async def why(self, subject: str, limit: int = queries.WHY_ROWS) -> list[EventRow]:
        """The trail of a symbol, plan, order, broker order or position, oldest first."""
        return await self._read(queries.why, subject, limit)

    async def read_document(self, name: str) -> Mapping[str, Any] | None:
        return await self._read(queries.document, name)

    # --- inside ---

    def _record(self, kind: str, subject: str, time_ns: int | None, value: object) -> Record:
        return self._event(kind, subject, time_ns, *records.storable(kind, value))

    def _event(self, kind: str, subject: str, time_ns: int | None, values: records.Values, body: str) -> Record:
        return Record(
            kind,
            subject if subject.isascii() else subject.encode("utf-8", "replace").decode(),
            self._clock.now() if time_ns is None else time_ns,
            int(self._clock.monotonic() * NS),
            self._session,
            values,
            body,
        )

    def _durable(self, kind: str, subject: str, time_ns: int | None, value: object) -> Awaitable[bool]:
        return self._writer.durable(self._record(kind, subject, time_ns, value))

    async def _read(self, function: Callable[..., T], *arguments: Any) -> T:
        if not self._closed:
            await self._writer.flush()
        try:
            return await self._connection.run(function, *arguments)
        except sqlite3.Error as error:
            raise schema.explain(error, self.path) from error
        except ValueError as error:
            raise JournalError(f"The journal {self.path} is closed or holds an unreadable row: {error}") from error
