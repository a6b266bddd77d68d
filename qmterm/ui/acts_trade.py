"""What keys and verbs ask of the engine about orders: stage, look, drop, pause, kill. None of them sends an order.

The trap is the wrong row: an act on a row is refused for half a second after the row under the cursor became another
one, and away from pane 5 `a` opens a proposal only where no other can be meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qmterm.core.instruments import is_option
from qmterm.engine.commands import (
    Arm,
    CancelOrder,
    ClosePosition,
    Disarm,
    Flatten,
    Kill,
    Pause,
    Reconcile,
    RejectProposal,
    Resume,
    StageOrder,
    Why,
)
from qmterm.engine.view import OrderRow, ProposalView
from qmterm.ui import typed_lines
from qmterm.ui.grid import Grid
from qmterm.ui.holdings import HoldingRow, holdings
from qmterm.ui.panes.chain import ChainPane
from qmterm.ui.panes.orders import OrdersPane, short_id
from qmterm.ui.panes.positions import PositionsPane
from qmterm.ui.typed_dialogs import FLAT, ArmDialog, FlattenDialog

if TYPE_CHECKING:
    from qmterm.ui.desk import Desk

# After the row under the cursor became another one, acts on a row wait this long (seconds).
WRONG_ROW_GUARD_S = 0.5
# The second K must come this soon; P after a pause must not come sooner (a key pressed twice in a hurry is no resume).
KILL_TWICE_WITHIN_S = 1.0
RESUME_NOT_BEFORE_S = 2.0


def row_is_steady(desk: Desk) -> bool:
    pane = desk.pane
    if isinstance(pane, Grid) and desk.now() - pane.table.moved_at < WRONG_ROW_GUARD_S:
        desk.say("the rows moved under your hand, yours may have gone: look again, then press again", "warn")
        return False
    return True


# --- stage ---


def _quantity(desk: Desk, args: Sequence[str]) -> int | None:
    if not args:
        return 1
    if args[0].isdecimal() and 0 < int(args[0]) <= 999:
        return int(args[0])
    desk.say(f"{args[0]!r} is not a number of contracts (1 to 999)", "warn")
    return None


def _stage(desk: Desk, buys: bool, args: Sequence[str]) -> None:
    if not row_is_steady(desk):
        return
    quantity = _quantity(desk, args)
    if quantity is None:
        return
    pane = desk.pane
    symbol = ""
    if isinstance(pane, ChainPane):
        leg = pane.leg()
        symbol = "" if leg is None else leg.occ
    elif isinstance(pane, PositionsPane) and pane.table.current is not None:
        symbol = pane.table.current.symbol
    if not is_option(symbol):
        desk.say("no contract under the cursor: choose one in the chain (2)", "warn")
        return
    desk.ask(StageOrder(symbol, buys, quantity))


def buy(desk: Desk, args: Sequence[str]) -> None:
    _stage(desk, True, args)


def sell(desk: Desk, args: Sequence[str]) -> None:
    _stage(desk, False, args)


def close(desk: Desk, args: Sequence[str]) -> None:
    """The row's position, or the one that is named by symbol, label or id."""
    pane = desk.panes["pos"]
    if not isinstance(pane, PositionsPane):
        return
    if args:
        wanted = " ".join(args).upper()
        rows = holdings(desk.snapshot.positions)
        for of in ([row for row in rows if row.head is None], [row for row in rows if row.head is not None]):
            found = [row for row in of if wanted in _names(row)]
            if found:  # a trade before its legs
                break
        if len(found) != 1:
            desk.say(f"{len(found) or 'no'} positions match {wanted!r}: name one", "warn")
            return
        desk.ask(ClosePosition(found[0].position_id))
        return
    if not row_is_steady(desk):
        return
    row = pane.table.current
    if row is None:
        desk.say("no position to close")
        return
    desk.ask(ClosePosition(row.position_id))


def _names(row: HoldingRow) -> tuple[str, ...]:
    names = (row.position_id, row.label.removeprefix("└ "), row.symbol)
    return tuple(name.upper() for name in (*names, *(() if row.head else (row.underlying,))))


# --- proposals and orders ---


def named(desk: Desk, name: str) -> ProposalView | OrderRow | None:
    """A proposal or order by its id, short id or the start of its id; None where it could be two."""
    wanted = name.lower()
    orders = [row for row in desk.snapshot.orders if row.order_id.lower() == wanted]
    orders = orders or [row for row in desk.snapshot.orders if row.short_id.lower() == wanted]
    if orders:
        return orders[0] if len(orders) == 1 else None
    matches = [
        row
        for row in desk.snapshot.proposals
        if row.proposal_id.lower().startswith(wanted) or short_id(row).lower() == wanted
    ]
    return matches[0] if len(matches) == 1 else None


def most_urgent(proposals: Sequence[ProposalView]) -> ProposalView | None:
    """An alarm first, else the one that expires next."""
    return min(proposals, key=lambda row: (not row.alarm, row.expires_in_s), default=None)


def approve(desk: Desk, args: Sequence[str]) -> None:
    """Opens the dialog: the row's proposal, the named one, or elsewhere than in pane 5 the only one that waits.

    Of several none is guessed: which one is the most urgent can change between the look and the key.
    """
    pane = desk.pane
    if args:
        found = named(desk, args[0])
        if not isinstance(found, ProposalView):
            desk.say(f"no proposal {args[0]!r}", "warn")
            return
        desk.open_confirm(found)
        return
    if isinstance(pane, OrdersPane):
        if not row_is_steady(desk):
            return
        row = pane.proposal()
        if row is None and pane.table.current is not None and desk.snapshot.proposals:
            desk.say("this row is an order; the proposals stand above (g)")
            return
        proposal = row
    elif len(desk.snapshot.proposals) > 1:
        _choose_proposal(desk)
        return
    elif desk.now() - desk.waiting_moved_at < WRONG_ROW_GUARD_S:
        desk.say("another proposal waits than a moment ago: look again, then press again", "warn")
        return
    else:
        proposal = most_urgent(desk.snapshot.proposals)
    if proposal is None:
        desk.say("no proposal waits")
        return
    desk.open_confirm(proposal)


def _choose_proposal(desk: Desk) -> None:
    """Pane 5 with the cursor on the most urgent one; a second `a` in a hurry does not open it."""
    first, pane = most_urgent(desk.snapshot.proposals), desk.panes["orders"]
    desk.go_to("orders")
    if first is not None and isinstance(pane, OrdersPane):
        pane.table.go_to_key(pane.row_key(first))
        pane.table.moved_at = desk.now()
        pane.redraw()
    desk.say(f"{len(desk.snapshot.proposals)} proposals wait: choose one (j/k), then a")


def drop(desk: Desk, args: Sequence[str]) -> None:
    """Rejects a proposal, cancels a working order."""
    row: ProposalView | OrderRow | None
    if args:
        row = named(desk, args[0])
        if row is None:
            desk.say(f"no order or proposal {args[0]!r}, or several; ids stand in the first column of pane 5", "warn")
            return
    else:
        pane = desk.pane
        if not isinstance(pane, OrdersPane):  # its cursor may be out of sight: nobody means that row
            desk.say("cancel what? :orders cancel ID; ids stand in the first column of pane 5", "warn")
            return
        if not row_is_steady(desk):
            return
        row = pane.table.current
    if row is None:
        desk.say("nothing to cancel")
    elif isinstance(row, ProposalView):
        desk.ask(RejectProposal(row.proposal_id))
    elif not row.working:
        desk.say(f"{row.short_id} is {row.state}: nothing to cancel")
    else:
        desk.ask(CancelOrder(row.order_id))


def why(desk: Desk, args: Sequence[str]) -> None:
    subject = " ".join(args).upper() if args else desk.pane.subject()
    if args:
        found = named(desk, args[0])
        if isinstance(found, OrderRow):
            subject = found.order_id
        elif isinstance(found, ProposalView):
            subject = found.proposal_id
    if not subject:
        desk.say("why what? put the cursor on a row, or :why SYMBOL")
        return
    desk.ask_why(Why(subject))


def why_row(desk: Desk, args: Sequence[str]) -> None:
    why(desk, ())


# --- the ladder ---


def pause(desk: Desk, args: Sequence[str]) -> None:
    desk.paused_at = desk.now()
    desk.ask(Pause())


def resume(desk: Desk, args: Sequence[str]) -> None:
    desk.ask(Resume())


def pause_or_resume(desk: Desk, args: Sequence[str]) -> None:
    """P pauses; it resumes only a plain pause, and not a moment after one (a hasty second P is no resume)."""
    ladder = desk.snapshot.header.ladder
    if ladder == "NORMAL":
        if desk.now() - desk.paused_at < RESUME_NOT_BEFORE_S:
            return
        pause(desk, args)
    elif ladder != "NO-NEW":
        desk.say(f"{ladder} is deeper than a pause; :resume asks the engine to leave it", "warn")
    elif desk.now() - desk.paused_at < RESUME_NOT_BEFORE_S:
        desk.say("paused; P again resumes")
    else:
        resume(desk, args)


def kill_key(desk: Desk, args: Sequence[str]) -> None:
    """The second K within a second kills; no dialog stands in its way."""
    pressed = desk.key_time
    if 0 <= pressed - desk.kill_armed_at <= KILL_TWICE_WITHIN_S:
        desk.kill_armed_at = -1e9
        desk.ask(Kill())
        return
    desk.kill_armed_at = pressed
    desk.say("K again within a second: cancel every order and halt", "alarm")


def kill_verb(desk: Desk, args: Sequence[str]) -> None:
    if args and args[0].lower() == "yes":
        desk.ask(Kill())
        return
    typed_lines.open_question(desk, "cancel every order and halt? type yes: ", lambda: desk.ask(Kill()))


def flatten(desk: Desk, args: Sequence[str]) -> None:
    """Opens the page that wants FLAT typed."""

    def answered(typed: str | None) -> None:
        if typed == FLAT:
            desk.ask(Flatten())
        else:
            desk.say("nothing flattened")

    desk.host.push_screen(FlattenDialog(desk.snapshot, desk.palette, desk.settings, desk.kill_from_dialog), answered)


def arm(desk: Desk, args: Sequence[str]) -> None:
    """Opens the page that wants the end of the account's number; there is nothing to arm without real money."""
    header = desk.snapshot.header
    if not header.real_money:
        desk.say(f"{header.broker} moves no real money: there is nothing to arm")
        return

    def answered(typed: str | None) -> None:
        if typed:
            desk.ask(Arm(tail=typed))
        else:
            desk.say("not armed" if header.armed_s is None else "armed as before; :disarm ends it")

    desk.host.push_screen(ArmDialog(header, desk.palette, desk.settings, desk.kill_from_dialog), answered)


def disarm(desk: Desk, args: Sequence[str]) -> None:
    desk.ask(Disarm())


def reconcile(desk: Desk, args: Sequence[str]) -> None:
    desk.ask(Reconcile())
