"""Leaving the screen: what is at stake is said first, and a stop of the engine is never one key away from a habit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmterm.engine.commands import StopEngine
from qmterm.engine.view import Snapshot
from qmterm.ui import typed_lines
from qmterm.ui.dialogs import LeaveDialog
from qmterm.ui.exits import ScreenExit

if TYPE_CHECKING:
    from qmterm.ui.desk import Desk


def at_stake(snapshot: Snapshot) -> str:
    """`3 positions, 1 working order`, "" for nothing."""
    working = sum(1 for row in snapshot.orders if row.working)
    parts = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in ((len(snapshot.positions), "position"), (working, "working order"))
        if number
    ]
    return ", ".join(parts)


def leave(desk: Desk) -> None:
    """q: detach from an engine elsewhere, quit when nothing is at stake, else ask."""
    snapshot = desk.snapshot
    if desk.host.attached:
        desk.host.leave(ScreenExit.DETACH)
        return
    stake = at_stake(snapshot)
    if snapshot.stopped or not stake:
        _stop(desk)
        return

    def answered(answer: str | None) -> None:
        if answer == "headless":
            desk.host.leave(ScreenExit.DETACH)
        elif answer == "stop":
            _stop(desk)

    desk.host.push_screen(LeaveDialog(stake, desk.palette, desk.kill_from_dialog), answered)


def stop_engine(desk: Desk, *, typed: bool) -> None:
    """`:quit engine`; with something at stake it wants a typed yes."""
    stake = at_stake(desk.snapshot)
    if stake and not typed:
        typed_lines.open_question(desk, f"{stake}: stop the engine? type yes: ", lambda: _stop(desk))
        return
    _stop(desk)


def leave_on_request(desk: Desk) -> None:
    """SIGTERM and the like: nobody is there to be asked."""
    if desk.host.attached:
        desk.host.leave(ScreenExit.DETACH)
    else:
        _stop(desk)


def _stop(desk: Desk) -> None:
    if not desk.snapshot.stopped:
        desk.ask(StopEngine(), quiet=True)
    desk.host.leave(ScreenExit.STOP)
