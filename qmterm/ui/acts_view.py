"""What keys and verbs do to the view: moving, filtering, sorting, showing, leaving. Nothing here touches an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qmterm.engine.commands import SelectExpiry, SelectSymbol
from qmterm.ui import leaving, typed_lines
from qmterm.ui.formats import clock, plain, wrap
from qmterm.ui.grid import Grid
from qmterm.ui.layout import has_desk
from qmterm.ui.palette import Line, Span
from qmterm.ui.panes.chain import ChainPane
from qmterm.ui.panes.log import LogPane
from qmterm.ui.panes.positions import PositionsPane
from qmterm.ui.panes.scan import ScanPane

if TYPE_CHECKING:
    from qmterm.ui.desk import Desk

Run = Callable[["Desk", Sequence[str]], None]


def _grid(desk: Desk) -> Grid[Any] | None:
    """The focused pane if it is a table; says so if not."""
    pane = desk.pane
    if isinstance(pane, Grid):
        return pane
    desk.say("this pane has no rows")
    return None


# --- panes ---


def show(name: str) -> Run:
    def run(desk: Desk, args: Sequence[str]) -> None:
        if args and name in ("chain", "scan", "pos", "orders"):
            symbol = args[0].upper()
            if name == "chain":
                open_chain(desk, symbol)
                return
            desk.go_to(name)
            pane = desk.panes[name]
            if isinstance(pane, Grid):
                pane.table.set_filter(symbol, desk.now())
                desk.draw()
            return
        desk.go_to(name)

    return run


def open_chain(desk: Desk, symbol: str) -> None:
    desk.ask(SelectSymbol(symbol), quiet=True)
    desk.go_to("chain", symbol)


def desk(desk: Desk, args: Sequence[str]) -> None:
    if not has_desk(desk.size):
        desk.say(f"the desk needs 120x40, this terminal has {desk.size.width}x{desk.size.height}")
    desk.zoomed = False
    desk.relayout()


def next_pane(desk: Desk, args: Sequence[str]) -> None:
    desk.step_pane(1)


def previous_pane(desk: Desk, args: Sequence[str]) -> None:
    desk.step_pane(-1)


def back(desk: Desk, args: Sequence[str]) -> None:
    place = desk.leave_place()
    if place is None:
        desk.say("nowhere to go back to")
    elif place.symbol:
        desk.ask(SelectSymbol(place.symbol), quiet=True)


def zoom(desk: Desk, args: Sequence[str]) -> None:
    if not has_desk(desk.size):
        desk.say("this pane has the whole terminal already")
        return
    desk.zoomed = not desk.zoomed
    desk.relayout()


def repaint(desk: Desk, args: Sequence[str]) -> None:
    desk.repaint()


# --- rows ---


def move(step: int) -> Run:
    def run(desk: Desk, args: Sequence[str]) -> None:
        desk.pane.move(step)
        desk.pane.redraw()

    return run


def page(direction: int) -> Run:
    def run(desk: Desk, args: Sequence[str]) -> None:
        desk.pane.move(direction * desk.pane.page())
        desk.pane.redraw()

    return run


def end(*, last: bool) -> Run:
    def run(desk: Desk, args: Sequence[str]) -> None:
        desk.pane.to_end(last)
        desk.pane.redraw()

    return run


def filter_rows(desk: Desk, args: Sequence[str]) -> None:
    grid = _grid(desk)
    if grid is None:
        return
    if args:
        grid.table.set_filter(" ".join(args), desk.now())
        desk.draw()
        return
    typed_lines.open_filter(desk, grid)


def escape(desk: Desk, args: Sequence[str]) -> None:
    pane = desk.pane
    if isinstance(pane, Grid) and pane.table.filter is not None:
        pane.table.set_filter("", desk.now())
    desk.say("")
    desk.draw()


def _find(desk: Desk, step: int) -> None:
    grid = _grid(desk)
    if grid is None:
        return
    if not grid.table.find(step):
        desk.say("nothing to look for: / sets a filter first")
    grid.redraw()


def next_match(desk: Desk, args: Sequence[str]) -> None:
    _find(desk, 1)


def previous_match(desk: Desk, args: Sequence[str]) -> None:
    _find(desk, -1)


def sort(desk: Desk, args: Sequence[str]) -> None:
    """The next column, or the one that is named; past the last one the engine's own order returns."""
    grid = _grid(desk)
    if grid is None:
        return
    table = grid.table
    ids = table.sortable(grid.shown_columns())
    if not ids:
        desk.say("this pane keeps its own order")
        return
    if args:
        titles = {column.title.lower(): column.id for column in table.columns}
        wanted = titles.get(args[0].lower(), args[0].lower())
        if wanted not in table.sortable(table.columns):
            desk.say(f"no column {args[0]!r}; there are {', '.join(ids)}", "warn")
            return
        table.set_sort(wanted, "asc" not in args[1:], desk.now())
    else:
        place = ids.index(table.sort) + 1 if table.sort in ids else 0
        table.set_sort(ids[place] if place < len(ids) else "", True, desk.now())
    direction = "falling" if table.descending else "rising"
    desk.say(f"sorted by {table.sort}, {direction}" if table.sort else "in the engine's own order")
    grid.redraw()


def reverse(desk: Desk, args: Sequence[str]) -> None:
    grid = _grid(desk)
    if grid is not None:
        grid.table.set_sort(grid.table.sort, not grid.table.descending, desk.now())
        grid.redraw()


# --- drilling in: never sends an order ---


def drill_scan(desk: Desk, args: Sequence[str]) -> None:
    pane = desk.panes["scan"]
    if isinstance(pane, ScanPane) and pane.table.current is not None:
        open_chain(desk, pane.table.current.symbol)


def drill_position(desk: Desk, args: Sequence[str]) -> None:
    pane = desk.panes["pos"]
    if isinstance(pane, PositionsPane) and pane.table.current is not None:
        open_chain(desk, pane.table.current.underlying)


def read_line(desk: Desk, args: Sequence[str]) -> None:
    pane = desk.panes["log"]
    if isinstance(pane, LogPane) and pane.table.current is not None:
        line = pane.table.current
        lines: list[Line] = [(Span(part),) for part in wrap(plain(line.text), 72)]
        desk.open_text(f"{clock(line.time_ns)} {line.kind} {line.level}", lines)


def expiry_before(desk: Desk, args: Sequence[str]) -> None:
    desk.ask(SelectExpiry(-1), quiet=True)


def expiry_after(desk: Desk, args: Sequence[str]) -> None:
    desk.ask(SelectExpiry(1), quiet=True)


def _choose(desk: Desk, side: str) -> None:
    pane = desk.panes["chain"]
    if isinstance(pane, ChainPane):
        pane.choose_side(side)
        pane.redraw()


def calls(desk: Desk, args: Sequence[str]) -> None:
    _choose(desk, "call")


def puts(desk: Desk, args: Sequence[str]) -> None:
    _choose(desk, "put")


# --- the screen itself ---


def command_line(desk: Desk, args: Sequence[str]) -> None:
    typed_lines.open_command_line(desk)


def help_text(desk: Desk, args: Sequence[str]) -> None:
    desk.open_help()


def theme(desk: Desk, args: Sequence[str]) -> None:
    if not args:
        desk.say(f"themes: {', '.join(desk.host.themes.names())}")
        return
    problem = desk.host.use_theme(args[0])
    desk.say(problem or f"theme {args[0]}", "warn" if problem else "text")


def key_problems(desk: Desk, args: Sequence[str]) -> None:
    problems = desk.keymap.problems
    desk.open_text("[ui.keys]", [(Span(text, "warn"),) for text in problems] or [(Span("no problems"),)])


def leave(desk: Desk, args: Sequence[str]) -> None:
    leaving.leave(desk)


def stop_engine(desk: Desk, args: Sequence[str]) -> None:
    leaving.stop_engine(desk, typed=bool(args) and args[0].lower() == "yes")
