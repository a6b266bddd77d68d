"""Pane 5: proposals that wait for a person, then working orders, then what became of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qmterm.engine.view import OrderRow, ProposalView, Snapshot
from qmterm.ui.formats import age, clock, countdown, fixed, plain
from qmterm.ui.grid import Grid
from qmterm.ui.palette import BOLD
from qmterm.ui.table import Cell, Column, visible_columns

Row = ProposalView | OrderRow
TEXT_GIVES = 10  # characters of the order's text that a longer price may take in a narrow pane

STATE_TONES = {
    "filled": "gain",
    "rejected": "alarm",
    "unknown": "alarm",
    "not accepted": "alarm",
    "live": "accent",
    "received": "accent",
    "routed": "accent",
    "sent": "accent",
}


def short_id(proposal: ProposalView) -> str:
    """`p9f31`: the end of the id tells it from the others, as an order's does."""
    return f"p{proposal.proposal_id[-4:]}"


def _id(row: Row) -> Cell:
    if isinstance(row, ProposalView):
        return Cell(short_id(row), "alarm" if row.alarm else "proposal", BOLD)
    return Cell(row.short_id, "symbol" if row.working else "dim")


def _text(row: Row) -> Cell:
    if isinstance(row, ProposalView):
        return Cell(plain(row.text), "proposal", BOLD)
    return Cell(plain(row.text), "text" if row.working else "dim")


def _state(row: Row) -> Cell:
    if isinstance(row, ProposalView):
        return Cell("ALARM: act" if row.alarm else "a approve", "alarm" if row.alarm else "proposal", BOLD)
    tone = STATE_TONES.get(row.state.lower(), "dim")
    return Cell(row.state, tone, BOLD if tone == "alarm" else 0)


def _age(row: Row) -> Cell:
    if isinstance(row, ProposalView):
        return Cell(countdown(row.expires_in_s), "warn" if row.expires_in_s < 15 else "proposal")
    return Cell(age(row.age_s), "dim")


def _why(row: Row) -> Cell:
    if isinstance(row, ProposalView):
        return Cell(
            plain("; ".join(row.warnings) or (row.why[0] if row.why else "")), "warn" if row.warnings else "dim"
        )
    return Cell(plain(("external " if row.external else "") + row.reason), "warn" if row.external else "dim")


class OrdersPane(Grid[Row]):
    name_ = "orders"

    def columns(self) -> Sequence[Column[Row]]:
        return (
            Column("id", "id", 5, _id, None, right=False, keep=10),
            Column("time", "time", 8, lambda r: Cell(clock(r.time_ns), "dim"), lambda r: r.time_ns, keep=5),
            Column("text", "order", 26, _text, lambda r: r.text, right=False, keep=10),
            Column("limit", "limit", 9, _limit, None, keep=9),
            Column("mid", "mid", 7, _mid, None, keep=6),
            Column(
                "filled", "filled", 6, lambda r: Cell("" if isinstance(r, ProposalView) else r.filled), None, keep=8
            ),
            Column("state", "state", 12, _state, _state_key, right=False, keep=9),
            Column("purpose", "purpose", 9, lambda r: Cell(plain(r.purpose), "dim"), lambda r: r.purpose, False, 4),
            Column("age", "age", 5, _age, lambda r: r.time_ns, keep=7),
            Column("why", "reason", 8, _why, None, right=False, keep=3, stretch=True),
        )

    def shown_columns(self) -> tuple[Column[Row], ...]:
        """The limit is as wide as its longest price, for a price that cannot be read is none; the state stays."""
        longest = max((len(_limit(row).text) for row in self.table.rows), default=0)
        for cut in range(TEXT_GIVES + 1):
            columns = [_fitted(column, longest, cut) for column in self.table.columns]
            fitted = visible_columns(columns, self.inner_width - 2)
            if {"limit", "state"} <= {column.id for column in fitted}:
                return fitted
        return fitted

    def row_key(self, row: Row) -> str:
        return f"p:{row.proposal_id}" if isinstance(row, ProposalView) else f"o:{row.order_id}"

    def row_search(self, row: Row) -> str:
        if isinstance(row, ProposalView):
            return f"proposal {short_id(row)} {row.text} {row.purpose}"
        return f"{row.short_id} {row.text} {row.state} {row.purpose} {row.reason}"

    def rows_of(self, snapshot: Snapshot) -> Sequence[Row]:
        proposals = sorted(snapshot.proposals, key=lambda row: (not row.alarm, row.expires_in_s))
        working = [row for row in snapshot.orders if row.working]
        done = [row for row in snapshot.orders if not row.working]
        newest_first = sorted(working, key=lambda r: -r.time_ns) + sorted(done, key=lambda r: -r.time_ns)
        return (*proposals, *newest_first)

    def empty(self, snapshot: Snapshot) -> str:
        return "no orders and no proposals today"

    def info(self) -> str:
        if self.frame_ is None:
            return ""
        snapshot = self.frame_.snapshot
        working = sum(1 for row in snapshot.orders if row.working)
        filter_text = f" · {self.count_text()}" if self.table.filter is not None else ""
        return f"{len(snapshot.proposals)} waiting · {working} working · {len(snapshot.orders)} today{filter_text}"

    def proposal(self) -> ProposalView | None:
        row = self.table.current
        return row if isinstance(row, ProposalView) else None

    def order(self) -> OrderRow | None:
        row = self.table.current
        return row if isinstance(row, OrderRow) else None

    def subject(self) -> str:
        row = self.table.current
        if row is None:
            return ""
        return row.proposal_id if isinstance(row, ProposalView) else row.order_id


def _fitted(column: Column[Row], longest: int, cut: int) -> Column[Row]:
    if column.id == "limit":
        return replace(column, width=max(column.width, longest))
    return replace(column, width=column.width - cut) if column.id == "text" else column


def _limit(row: Row) -> Cell:
    if isinstance(row, ProposalView):
        if row.limit is None:
            return Cell("none", "proposal")
        return Cell(f"{abs(row.limit)} {'cr' if row.limit > 0 else 'db'}", "proposal")
    return Cell(row.limit, "text" if row.working else "dim")


def _mid(row: Row) -> Cell:
    return Cell(fixed(row.mid), "text") if isinstance(row, ProposalView) else Cell(row.mid, "dim")


def _state_key(row: Row) -> str:
    return "" if isinstance(row, ProposalView) else row.state
