"""What keys and verbs ask about orders in words: an order line, another price for a working order, a roll.

None of them sends a new order: a ticket and a roll become proposals. An edit is sent as it is typed: its price is the
person's, and it takes the place of an order that works already. One that can lose more opens a page that wants a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from qmterm.engine.commands import DEARER, CommandResult, EditOrder, RollPosition, StageTicket
from qmterm.engine.view import OrderRow
from qmterm.ui import typed_lines
from qmterm.ui.acts_trade import named, row_is_steady
from qmterm.ui.panes.orders import OrdersPane
from qmterm.ui.panes.positions import PositionsPane
from qmterm.ui.typed_dialogs import DearerDialog

if TYPE_CHECKING:
    from qmterm.ui.desk import Desk

GRAMMAR = (
    ":order buy 2 NVDA 17APR26 175C @ 4.15 [day|gtc|gtd 2026-12-31|ioc] · @ mkt, mid, nat, no price = walks · stop 3 "
    "limit 2.90 · A / B @ 1.85 db"
)


def order(desk: Desk, args: Sequence[str]) -> None:
    if not args:
        desk.say(GRAMMAR)
        return
    desk.ask(StageTicket(" ".join(args)))


def roll(desk: Desk, args: Sequence[str]) -> None:
    """The row's position to its next expiry, or what is typed: POSITION [15MAY26] [180C] [@ net]."""
    if args:
        desk.ask(RollPosition(" ".join(args)))
        return
    pane = desk.panes["pos"]
    if not isinstance(pane, PositionsPane) or not row_is_steady(desk):
        return
    row = pane.table.current
    if row is None:
        desk.say("no position to roll")
        return
    desk.ask(RollPosition(row.position_id))


def edit(desk: Desk, args: Sequence[str]) -> None:
    """`:orders edit ID 4.20`; the key opens that line for the row, its price is left to type."""
    if len(args) == 2:
        row = named(desk, args[0])
        if not isinstance(row, OrderRow):
            desk.say(f"no order {args[0]!r}, or several; ids stand in the first column of pane 5", "warn")
            return
        _ask_edit(desk, EditOrder(row.order_id, args[1]))
        return
    pane = desk.panes["orders"]
    if args or not isinstance(pane, OrdersPane):
        desk.say("orders edit takes an order and a price: :orders edit a320 4.20", "warn")
        return
    if not row_is_steady(desk):
        return
    current = pane.table.current
    if not isinstance(current, OrderRow) or not current.working:
        desk.say("no working order under the cursor: only those have a price to edit", "warn")
        return
    name = current.short_id if named(desk, current.short_id) is current else current.order_id
    typed_lines.open_command_line(desk, f"orders edit {name} ")


def _ask_edit(desk: Desk, command: EditOrder) -> None:
    """A dearer entry comes back as a question: its page wants the word typed, and only then is it sent."""

    def answered(result: CommandResult) -> None:
        if not isinstance(result.data, dict) or result.data.get("code") != DEARER:
            return

        def typed(word: str | None) -> None:
            if word == DEARER:
                desk.ask(replace(command, dearer=True))
            else:
                desk.say("not edited: the order stays as it was")

        page = DearerDialog(result.text, desk.palette, desk.settings, desk.kill_from_dialog)
        desk.host.push_screen(page, typed)

    desk.ask(command, then=answered)
