"""The lines a person types: a command, a filter that works while it is typed, a question that wants a whole word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qmterm.core.clock import et_date
from qmterm.core.order_text import Mistake as OrderMistake
from qmterm.core.order_text import read_order
from qmterm.ui.bottom import OpenLine
from qmterm.ui.editor import LineEditor
from qmterm.ui.grid import Grid
from qmterm.ui.verbs import Mistake, completions, parse

if TYPE_CHECKING:
    from qmterm.ui.desk import Desk


def _open(desk: Desk, line: OpenLine) -> None:
    desk.bottom.open = line
    desk.draw_edges()


def words(desk: Desk) -> Mapping[str, Sequence[str]]:
    """What tab may offer for an argument, from what is on the screen."""
    snapshot = desk.snapshot
    symbols = dict.fromkeys([row.symbol for row in snapshot.scan.rows] + [row.underlying for row in snapshot.positions])
    if snapshot.chain is not None:
        symbols[snapshot.chain.symbol] = None
    pane = desk.pane
    return {
        "symbol": tuple(symbols),
        "theme": desk.host.themes.names(),
        "order": (
            *(row.proposal_id for row in snapshot.proposals),
            *(row.short_id for row in snapshot.orders if row.working),
        ),
        "position": tuple(dict.fromkeys(row.underlying for row in snapshot.positions)),
        "roll": tuple(dict.fromkeys(row.underlying for row in snapshot.positions)),
        "edit": tuple(row.short_id for row in snapshot.orders if row.working),
        "ticket": ("buy", "sell", "bto", "sto", "btc", "stc", *symbols),
        "column": pane.table.sortable(pane.table.columns) if isinstance(pane, Grid) else (),
        "yes": ("yes",),
    }


def run_command(desk: Desk, text: str) -> Mistake | None:
    """None when it was understood (and done); a mistake keeps the line open."""
    found = parse(text, desk.verbs, desk.settings.aliases, frozenset(words(desk)["symbol"]))
    if isinstance(found, Mistake):
        return found
    if found is not None:
        if found.action.takes == "ticket" and found.args:
            wrong = _wrong_order(desk, text, found.args[0])
            if wrong is not None:
                return wrong
        found.action.run(desk, found.args)
    return None


def _wrong_order(desk: Desk, typed: str, first: str) -> Mistake | None:
    """An order line that nobody could mean is pointed at while it can still be mended; the engine reads it again."""
    column = typed.index(first, len(typed) - len(typed.lstrip()) + len("order"))
    read = read_order(typed[column:], et_date(desk.snapshot.header.market_ns))
    return Mistake(column + read.column, read.text) if isinstance(read, OrderMistake) else None


def open_command_line(desk: Desk, begun: str = "") -> None:
    editor = LineEditor(":", lambda text: completions(text, desk.verbs, words(desk)), desk.command_history)
    editor.insert(begun)
    _open(desk, OpenLine(editor, lambda text: run_command(desk, text)))


def open_filter(desk: Desk, grid: Grid[Any]) -> None:
    """Rows are filtered while the text is typed; esc brings back what was there before."""
    before = str(grid.table.filter).removeprefix("/") if grid.table.filter is not None else ""

    def apply(text: str) -> None:
        grid.table.set_filter(text, desk.now())
        grid.redraw()

    def done(text: str) -> None:
        apply(text)

    _open(desk, OpenLine(LineEditor("/", history=desk.filter_history), done, apply, lambda: apply(before)))


def open_question(desk: Desk, question: str, act: Callable[[], None]) -> None:
    """Does it only when the whole word yes is typed."""

    def done(text: str) -> None:
        if text.strip().lower() == "yes":
            act()
        else:
            desk.say("not done: that was not yes")

    _open(desk, OpenLine(LineEditor(question), done, cancelled=lambda: desk.say("not done")))
