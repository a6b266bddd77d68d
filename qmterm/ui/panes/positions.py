"""Pane 3: what we hold, trade by trade, its risk, and the rules that watch it."""

from __future__ import annotations

from collections.abc import Sequence

from qmterm.engine.view import PositionView, Snapshot
from qmterm.ui.formats import fixed, percent, plain, signed_money
from qmterm.ui.grid import Grid
from qmterm.ui.holdings import HoldingRow, holdings
from qmterm.ui.palette import BOLD, DIM, STRUCK
from qmterm.ui.table import Cell, Column

# How a mark that is not fresh looks: "stale" was good once, "none" never was.
# any other flag: not a fresh mid. "b": the broker's quote, where the data plan has none
MARK_LOOKS = {"": (0, ""), "none": (STRUCK, ""), "no quote": (STRUCK, ""), "dxlink": (0, "b")}


def profit(row: PositionView) -> Cell:
    value = row.unrealized
    tone = "text" if not value else "gain" if value > 0 else "loss"
    return Cell(signed_money(value), tone)


def mark(row: PositionView) -> Cell:
    marks, sign = MARK_LOOKS.get(row.mark_flag, (DIM, "~"))
    return Cell(f"{sign}{fixed(row.mark)}" if row.mark is not None else "–", "text", marks)


def stop_level(row: PositionView) -> Cell:
    """The stock's price that stops it; `2.07 p`, a price of the trade itself, where its premium alone does."""
    if row.stop is None and row.premium_stop is not None:
        return Cell(f"{fixed(row.premium_stop)} p")
    return Cell(fixed(row.stop))


def stop_distance(row: PositionView) -> Cell:
    """How far the stop is; near is a warning, through is an alarm."""
    value = row.stop_distance_pct
    tone = "text" if value is None or value > 2 else "warn" if value > 0 else "alarm"
    return Cell(percent(value), tone, BOLD if tone == "alarm" else 0)


def days(row: PositionView) -> Cell:
    value = row.dte
    return Cell("–" if value is None else str(value), "text" if value is None or value > 7 else "warn")


# How much the end of a contract presses (risk/expiry_desk.py).
ENDS = {"note": 1, "warn": 2, "alarm": 3}
ENDS_TONES = {"note": "dim", "warn": "warn", "alarm": "alarm"}


def ends(row: PositionView) -> Cell:
    """What the expiry desk plans of it."""
    tone = ENDS_TONES.get(row.ends_severity, "dim")
    return Cell(plain(row.ends), tone, BOLD if tone == "alarm" else 0)


class PositionsPane(Grid[HoldingRow]):
    name_ = "pos"
    _rows: tuple[Sequence[PositionView], Sequence[HoldingRow]] = ((), ())

    def columns(self) -> Sequence[Column[HoldingRow]]:
        return (
            Column(
                "label",
                "position",
                21,
                lambda r: Cell(plain(r.label), "symbol"),
                lambda r: r.top.label,
                right=False,
                keep=10,
            ),
            Column(
                "strategy",
                "strategy",
                10,
                lambda r: Cell(plain(r.strategy), "dim"),
                lambda r: r.top.strategy,
                False,
                2,
            ),
            Column("qty", "qty", 5, lambda r: Cell(f"{r.quantity:+d}"), lambda r: r.top.quantity, keep=10),
            Column("dte", "dte", 4, days, lambda r: r.top.dte, keep=7),
            Column(
                "average",
                "avg",
                7,
                lambda r: Cell(fixed(r.average_price), "dim"),
                lambda r: r.top.average_price,
                keep=6,
            ),
            Column("mark", "mark", 8, mark, lambda r: r.top.mark, keep=9),
            Column("pnl", "uPnL", 8, profit, lambda r: r.top.unrealized, keep=9),
            Column(
                "pnl_pct",
                "%",
                7,
                lambda r: Cell(percent(r.unrealized_pct, sign=True), profit(r).tone),
                lambda r: r.top.unrealized_pct,
                keep=6,
            ),
            Column("delta", "Δ", 6, lambda r: Cell(fixed(r.delta, 0)), lambda r: r.top.delta, keep=7),
            Column("theta", "θ", 6, lambda r: Cell(fixed(r.theta, 1)), lambda r: r.top.theta, keep=5),
            Column("vega", "V", 6, lambda r: Cell(fixed(r.vega, 1)), lambda r: r.top.vega, keep=4),
            Column("spot", "spot", 8, lambda r: Cell(fixed(r.spot)), lambda r: r.top.spot, keep=4),
            Column("stop", "stop", 8, stop_level, lambda r: r.top.stop, keep=7),
            Column("to_stop", "to stop", 7, stop_distance, lambda r: r.top.stop_distance_pct, keep=7),
            Column("target", "target", 8, lambda r: Cell(fixed(r.next_target)), lambda r: r.top.next_target, keep=3),
            Column("ends", "ends", 11, ends, lambda r: ENDS.get(r.top.ends_severity, 0), False, 6),
            Column("rules", "rules", 8, lambda r: Cell(plain(r.rules), "dim"), None, False, 3, stretch=True),
        )

    def row_key(self, row: HoldingRow) -> str:
        return row.position_id

    def row_search(self, row: HoldingRow) -> str:
        head = row.top  # a leg stays with its trade under a filter too
        return f"{head.label} {head.strategy} {row.underlying} {head.rules} {row.label}"

    def rows_of(self, snapshot: Snapshot) -> Sequence[HoldingRow]:
        if snapshot.positions is not self._rows[0]:  # the table takes the same rows for no news
            self._rows = (snapshot.positions, holdings(snapshot.positions))
        return self._rows[1]

    def empty(self, snapshot: Snapshot) -> str:
        return "no positions"

    def info(self) -> str:
        if self.frame_ is None or not self.table.rows:
            return ""
        rows = self.frame_.snapshot.positions
        unknown = sum(1 for row in rows if row.unrealized is None)
        known = sum(row.unrealized for row in rows if row.unrealized is not None)
        legs = sum(1 for row in self.table.rows if row.head is not None)
        count = self.count_text() if self.table.filter is not None or not legs else f"{len(self.table.rows) - legs}"
        text = f"{count} · uPnL {signed_money(known)}"
        return f"{text} + {unknown} without a mark" if unknown else text

    def subject(self) -> str:
        return self.table.current_key
