"""What the account shows of itself over REST and the stream: balance, positions, history of its worth.

The trap it reproduces: for a while after a fill the read-back may still show the past (the ledger_lag fault), while
the stream already told the truth.
"""

from __future__ import annotations

from decimal import Decimal

from qmterm.core.clock import NS, et_date
from qmterm.sim.brokerage.desk import Desk
from qmterm.sim.brokerage.faults import Faults
from qmterm.sim.brokerage.wire import Json
from qmterm.sim.brokerage.wire_account import render_balance, render_position

_SAMPLE_EVERY_NS = 300 * NS


class Ledger:
    def __init__(self, desk: Desk, faults: Faults) -> None:
        self._desk = desk
        self._faults = faults
        self._past: tuple[Json, list[Json]] | None = None
        self._past_until_ns = 0
        self.worth: list[tuple[int, Decimal]] = []  # (time, net liquidating value), every five minutes
        desk.before_fill = self.remember

    def remember(self) -> None:
        """Before a fill is booked: with the fault set, keep what was, to be shown a while longer."""
        fault = self._faults.draw("ledger_lag")
        if fault is not None:
            self._past = (self._balance_now(), self._positions_now())
            self._past_until_ns = self._desk.now_ns + int(fault["seconds"] * NS)

    @property
    def lagging(self) -> bool:
        return self._past is not None and self._desk.now_ns < self._past_until_ns

    def balance(self) -> Json:
        return self._past[0] if self._past is not None and self.lagging else self._balance_now()

    def positions(self) -> list[Json]:
        return self._past[1] if self._past is not None and self.lagging else self._positions_now()

    def publish(self) -> None:
        """Tell the stream what changed since the last time; called at the end of a step."""
        desk, book = self._desk, self._desk.book
        if book.touched or desk.balance_changed:
            for symbol in sorted(book.touched):
                position = book.positions.get(symbol)
                if position is not None:
                    desk.emit("CurrentPosition", render_position(desk.account, position, desk.world, with_marks=False))
            book.touched.clear()
            desk.balance_changed = False
            desk.emit("AccountBalance", self._balance_now())
        if not self.worth or desk.now_ns - self.worth[-1][0] >= _SAMPLE_EVERY_NS:
            self.worth.append((desk.now_ns, desk.standing().net_liquidating_value))
            book.drop_flat(et_date(desk.now_ns))

    def _balance_now(self) -> Json:
        return render_balance(self._desk.account, self._desk.standing(), self._desk.now_ns)

    def _positions_now(self) -> list[Json]:
        book = self._desk.book
        return [
            render_position(self._desk.account, book.positions[symbol], self._desk.world)
            for symbol in sorted(book.positions)
        ]
