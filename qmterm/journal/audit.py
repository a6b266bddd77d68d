"""What the file alone proves: intents before sends, no fill twice, and NLV to the cent.

It replays `events` only, never the projected tables, so that a wrong table cannot agree with itself. The trap:
equity rows are checked against the marks noted *before* them, in file order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from qmterm.core.errors import JournalError
from qmterm.core.instruments import is_option
from qmterm.core.orders import Action, Fill, OrderState
from qmterm.journal import records, schema
from qmterm.journal.records import from_json

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Audit:
    """What the replay found. `faults` are sentences; none means that the file is sound."""

    events: int
    sessions: int
    intents: int
    orders_sent: int
    fills: int
    equity_rows: int
    cash: Decimal | None  # now, from the last session's start
    market_value: Decimal | None  # None when a position has no mark
    positions: dict[str, int]
    last_equity_nlv: Decimal | None
    orders_without_intent: int
    doubled_fills: int
    faults: tuple[str, ...]

    @property
    def nlv(self) -> Decimal | None:
        """Cash plus marks, recomputed; None while a mark is missing."""
        return None if self.cash is None or self.market_value is None else self.cash + self.market_value

    @property
    def sound(self) -> bool:
        return not self.faults


def audit(path: Path) -> Audit:
    """Replay a journal file; JournalError only when it cannot be read at all."""
    if not path.exists():
        raise JournalError(f"There is no journal at {path}; name it with --journal")
    try:
        connection = schema.connector(path, read_only=True)()
        try:
            replay = _Replay()
            for row in connection.execute("SELECT seq, batch, kind, subject, body FROM events ORDER BY seq"):
                replay.take(row[0], row[1], row[2], row[3], row[4])
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise schema.explain(error, path) from error
    return replay.result()


@dataclass(slots=True)
class _Replay:
    events: int = 0
    sessions: int = 0
    account: str = ""
    intents: dict[str, int] = field(default_factory=dict)  # id -> batch in which it became durable
    sent: set[str] = field(default_factory=set)
    fills: set[tuple[str, str]] = field(default_factory=set)
    equity_rows: int = 0
    cash: Decimal | None = None
    positions: dict[str, int] = field(default_factory=dict)
    marks: dict[str, Decimal] = field(default_factory=dict)
    last_nlv: Decimal | None = None
    orphans: int = 0
    doubled: int = 0
    faults: list[str] = field(default_factory=list)

    def take(self, seq: int, batch: int, kind: str, subject: str, body: str) -> None:
        self.events += 1
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, seq, batch, subject, from_json(body))

    def started(self, seq: int, batch: int, subject: str, body: dict[str, Any]) -> None:
        self.sessions += 1
        self.account = body["account"]
        self.cash = Decimal(body["starting_cash"])
        self.positions = {row["symbol"]: row["quantity"] for row in body["starting_positions"] if row["quantity"]}
        for row in body["starting_positions"]:
            if row["mark"] is not None:
                self.marks[row["symbol"]] = Decimal(row["mark"])

    def intent(self, seq: int, batch: int, subject: str, body: dict[str, Any]) -> None:
        if subject in self.intents:
            self.faults.append(f"event {seq}: the intent {subject} is written twice")
        self.intents.setdefault(subject, batch)

    def order(self, seq: int, batch: int, subject: str, body: dict[str, Any]) -> None:
        state = OrderState(body["state"])
        if state in (OrderState.INTENT, OrderState.NOT_SENT) or subject in self.sent:
            return
        self.sent.add(subject)
        durable_in = self.intents.get(subject)
        if durable_in is None:
            self.orphans += 1
            self.faults.append(f"event {seq}: the order {subject} is {state} without an intent before it")
        elif durable_in >= batch:
            self.orphans += 1
            self.faults.append(f"event {seq}: the order {subject} is {state} in the same commit as its intent")

    def fill(self, seq: int, batch: int, subject: str, body: dict[str, Any]) -> None:
        key = (body["account"], body["fill_id"])
        if key in self.fills:
            self.doubled += 1
            self.faults.append(f"event {seq}: the fill {body['fill_id']} is counted twice")
            return
        self.fills.add(key)
        if subject not in self.intents:
            self.faults.append(f"event {seq}: the fill {body['fill_id']} belongs to no intent ({subject})")
        action, quantity = Action(body["action"]), int(body["quantity"])
        flow = Fill(
            body["fill_id"], body["broker_order_id"], body["symbol"], action, quantity,
            Decimal(body["price"]), int(body["time_ns"]), Decimal(body["fees"]),
        ).cash_flow  # fmt: skip
        self._move(body["symbol"], action.sign * quantity)
        self.cash = (self.cash or Decimal(0)) + flow

    def adjustment(self, seq: int, batch: int, subject: str, body: dict[str, Any]) -> None:
        if body["symbol"] is None:
            self.cash = (self.cash or Decimal(0)) + Decimal(body["amount"])
        else:
            self._move(body["symbol"], int(Decimal(body["amount"])))

    def mark(self, seq: int, batch: int, subject: str, body: dict[str, Any]) -> None:
        self.marks[subject] = Decimal(body["mark"])

    def equity(self, seq: int, batch: int, subject: str, body: dict[str, Any]) -> None:
        self.equity_rows += 1
        self.last_nlv = Decimal(body["nlv"])
        cash = Decimal(body["cash"])
        if self.cash is None or abs(cash - self.cash) >= CENT:
            self.faults.append(f"event {seq}: the equity row has cash {cash}, the fills give {self.cash}")
        value = self.market_value()
        if value is None:
            missing = sorted(symbol for symbol in self.positions if symbol not in self.marks)
            self.faults.append(f"event {seq}: the equity row values positions without a mark: {', '.join(missing)}")
        elif self.cash is not None and abs(self.cash + value - self.last_nlv) >= CENT:
            self.faults.append(f"event {seq}: NLV is {self.last_nlv}, cash plus marks is {self.cash + value}")

    def _move(self, symbol: str, quantity: int) -> None:
        held = self.positions.get(symbol, 0) + quantity
        if held:
            self.positions[symbol] = held
        else:
            self.positions.pop(symbol, None)

    def market_value(self) -> Decimal | None:
        total = Decimal(0)
        for symbol, quantity in self.positions.items():
            mark = self.marks.get(symbol)
            if mark is None:
                return None
            total += quantity * mark * (100 if is_option(symbol) else 1)
        return total

    def result(self) -> Audit:
        return Audit(
            events=self.events,
            sessions=self.sessions,
            intents=len(self.intents),
            orders_sent=len(self.sent),
            fills=len(self.fills),
            equity_rows=self.equity_rows,
            cash=self.cash,
            market_value=self.market_value(),
            positions=dict(self.positions),
            last_equity_nlv=self.last_nlv,
            orders_without_intent=self.orphans,
            doubled_fills=self.doubled,
            faults=tuple(self.faults),
        )


_HANDLERS: dict[str, Callable[[_Replay, int, int, str, dict[str, Any]], None]] = {
    records.SESSION_START: _Replay.started,
    records.INTENT: _Replay.intent,
    records.ORDER: _Replay.order,
    records.FILL: _Replay.fill,
    records.ADJUSTMENT: _Replay.adjustment,
    records.MARK: _Replay.mark,
    records.EQUITY: _Replay.equity,
}
