"""The screen itself: panes and the lines that never move, keys in, commands out.

Everything runs on the screen's own loop; the engine is seen only through its door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.geometry import Size
from textual.layout import Layout
from textual.screen import Screen

from qmterm.core.settings.screen import ScreenSettings
from qmterm.engine.commands import ApproveProposal, Command, CommandResult, Why
from qmterm.engine.view import ProposalView, Snapshot
from qmterm.ui.actions import ACTIONS, actions_for, footer, verbs
from qmterm.ui.answers import Answers, Then
from qmterm.ui.bottom import Bottom, told_lines
from qmterm.ui.confirm import ConfirmDialog, Verdict
from qmterm.ui.dialogs import TextDialog, help_lines, trail_lines
from qmterm.ui.grid import Grid
from qmterm.ui.header import SILENT_FROM_S, header_line, tabs_line
from qmterm.ui.keymap import build_keymap, key_name
from qmterm.ui.layout import BOTTOM_LINES, Plan, PlanLayout, has_desk, plan, too_small
from qmterm.ui.lines import LineWidget
from qmterm.ui.palette import Line, Palette, Span
from qmterm.ui.pane import PANES, Frame, Pane
from qmterm.ui.panes.chain import ChainPane
from qmterm.ui.panes.log import LogPane
from qmterm.ui.panes.orders import OrdersPane
from qmterm.ui.panes.positions import PositionsPane
from qmterm.ui.panes.risk import RiskPane
from qmterm.ui.panes.scan import ScanPane

if TYPE_CHECKING:
    from qmterm.ui.app import QmtermApp


class Place(NamedTuple):
    """Where `-` goes back to."""

    pane: str
    symbol: str


class Desk(Screen[None], inherit_bindings=False):
    DEFAULT_CSS = "Desk { background: $background; overflow: hidden hidden; }"

    def __init__(self, host: QmtermApp, palette: Palette, settings: ScreenSettings) -> None:
        super().__init__()
        self.host = host
        self.settings = settings
        self.palette = palette
        self.keymap = build_keymap(ACTIONS, settings.keys)
        self.verbs = verbs()
        self.header = LineWidget(palette, id="header")
        self.bottom = Bottom(palette)
        self.small = LineWidget(palette, id="small")
        kinds: tuple[type[Pane], ...] = (ScanPane, ChainPane, PositionsPane, RiskPane, OrdersPane, LogPane)
        self.panes: Mapping[str, Pane] = {kind.name_: kind(palette, settings) for kind in kinds}
        self._plan_layout = PlanLayout(self.plan_for)
        self.focused_pane = "scan"
        self.zoomed = False
        self.places: list[Place] = []
        self.frame_ = Frame(Snapshot(), 0.0, 0.0)
        self.answers = Answers(host.door, self.say)
        self.key_time = 0.0
        self.kill_armed_at = -1e9
        self.paused_at = -1e9
        self.waiting_moved_at = -1e9  # when another proposal than before began to be there to approve
        self.consumed: set[str] = set()  # proposals whose letter was pressed: a second press sends nothing
        self.command_history: list[str] = []
        self.filter_history: list[str] = []

    # --- what acts need ---

    @property
    def snapshot(self) -> Snapshot:
        return self.frame_.snapshot

    @property
    def pane(self) -> Pane:
        return self.panes[self.focused_pane]

    def now(self) -> float:
        return self.host.now()

    def say(self, text: str, tone: str = "text") -> None:
        """A sentence in the status line."""
        self.bottom.say(text, tone, self.now())
        self.draw_edges()

    def _open_long(self, text: str) -> None:
        """An answer that the bottom lines cannot hold is a page, too."""
        if len(told_lines((text, "text"), self.size.width)) > BOTTOM_LINES and self.bottom.open is None:
            self.open_text("ANSWER", trail_lines(text, None))

    def ask(self, command: Command, *, quiet: bool = False, then: Then | None = None) -> None:
        """Hand a command to the engine; its answer appears in the status line (quiet: only when it is a no)."""

        def answered(result: CommandResult) -> None:
            if result.text and not (quiet and result.ok):
                self.say(result.text, "text" if result.ok else "warn")
            if then is not None:
                then(result)
            if result.text and not (quiet and result.ok):
                self._open_long(result.text)

        self.answers.ask(command, answered, self.now())
        self.host.expect_answers()

    def ask_why(self, why: Why) -> None:
        def answered(result: CommandResult) -> None:
            if result.ok:
                self.open_text(f"WHY {why.subject}", trail_lines(result.text, result.data))

        self.ask(why, quiet=True, then=answered)

    # --- layout ---

    @property
    def layout(self) -> Layout:
        """Ours instead of a stylesheet's: the plan decides where each child stands."""
        return self._plan_layout

    def compose(self) -> ComposeResult:
        yield self.header
        yield from self.panes.values()
        yield self.bottom
        yield self.small

    def on_mount(self) -> None:
        for widget in (self.header, self.bottom, self.small):
            widget.painter = self.draw_edges
        if self.keymap.problems:
            more = f" ({len(self.keymap.problems)} problems: :keys)" if len(self.keymap.problems) > 1 else ""
            self.say(self.keymap.problems[0] + more, "warn")

    def plan_for(self, size: Size) -> Plan:
        current = plan(size, self.focused_pane, self.zoomed)
        for name, pane in self.panes.items():
            region = current.regions.get(name)
            pane.active = name == self.focused_pane
            pane.edge = region is not None and region.x > 0
        return current

    def relayout(self) -> None:
        self.header.refresh(layout=True)  # a child: its parent's cached arrangement is thrown away
        self.refresh(layout=True)
        self.plan_for(self.size)
        self.draw()

    def go_to(self, name: str, symbol: str = "") -> None:
        """Focus a pane and remember where we were."""
        chain = self.snapshot.chain
        shown = "" if chain is None else chain.symbol
        if name != self.focused_pane or (symbol and symbol != shown):
            self.places.append(Place(self.focused_pane, shown if symbol and symbol != shown else ""))
            del self.places[:-50]
        self.focused_pane = name
        self.relayout()

    def leave_place(self) -> Place | None:
        """Back one step; None when there is none."""
        if not self.places:
            return None
        place = self.places.pop()
        self.focused_pane = place.pane
        self.relayout()
        return place

    def step_pane(self, step: int) -> None:
        names = list(PANES)
        self.go_to(names[(names.index(self.focused_pane) + step) % len(names)])

    # --- drawing ---

    def frame(self, frame: Frame) -> None:
        """Once per frame of the one clock: everything on the screen from one snapshot."""
        before, after = ({row.proposal_id for row in s.proposals} for s in (self.snapshot, frame.snapshot))
        if before and before != after:
            self.waiting_moved_at = frame.now
        self.frame_ = frame
        self.answers.poll(frame.now)
        self.draw()

    def draw(self) -> None:
        if self.host.screen is not self and self.is_mounted:
            return  # a dialog covers everything: what changes here would be sent for nothing
        regions = self.plan_for(self.size).regions
        for name, pane in self.panes.items():
            if name in regions:
                pane.draw(self.frame_)
        self.draw_edges()

    def draw_edges(self) -> None:
        """Header and bottom lines; on a tiny terminal the one line that says so."""
        if not self.is_mounted or (self.host.screen is not self and self.is_mounted):
            return
        size, frame = self.size, self.frame_
        if too_small(size):
            text = f"qmterm needs 80x24; this terminal has {size.width}x{size.height}. Keys still work."
            self.small.show([(Span(text[: size.width], "warn"),)])
            return
        snapshot = frame.snapshot
        silent = frame.extra_s if frame.extra_s >= SILENT_FROM_S else 0.0
        self.header.show(
            [
                header_line(snapshot.header, size.width, frame.extra_s),
                tabs_line(snapshot, self.focused_pane, has_desk(size) and not self.zoomed, size.width, silent),
            ]
        )
        keys = self.keymap.keys_of
        self.bottom.draw(snapshot, footer(keys, self.focused_pane), footer(keys, ""), self.now())

    def use_palette(self, palette: Palette) -> None:
        self.palette = palette
        for widget in (self.header, self.bottom, self.small, *self.panes.values()):
            widget.use_palette(palette)

    def repaint(self) -> None:
        """Send every cell again, whatever the terminal made of the earlier ones."""
        self.refresh()
        self.host.repaint()

    # --- keys ---

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.press(key_name(event.key, event.character), event.time)

    def press(self, key: str, at: float) -> None:
        self.key_time = at
        if self.bottom.open is not None:
            self.bottom.key(key)
            self.draw_edges()
            return
        action = self.keymap.find(self.focused_pane, key)
        if action is not None:
            action.run(self, ())
        elif len(key) == 1:
            self.say(f"{key!r} does nothing here; ? shows the keys")

    def kill_from_dialog(self, key: str, at: float) -> bool:
        """The kill key works above a dialog too: it closes it and counts."""
        action = self.keymap.find("", key)
        if action is None or action.id != "kill":
            return False
        if self.host.screen is not self:
            self.host.pop_screen()
        self.press(key, at)
        return True

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text goes into an open line and nowhere else."""
        event.stop()
        if self.bottom.open is not None:
            self.bottom.open.editor.insert(event.text.splitlines()[0] if event.text.strip() else "")
            self.bottom.open.typed(self.bottom.open.editor.text)
            self.draw_edges()

    def on_pane_clicked(self, event: Pane.Clicked) -> None:
        pane = self.panes[event.pane]
        if event.pane != self.focused_pane:
            self.go_to(event.pane)
        if isinstance(pane, Grid):
            pane.click_row(event.line)
        pane.redraw()

    # --- dialogs ---

    def on_screen_resume(self) -> None:
        """A dialog has closed: show what happened meanwhile."""
        self.draw()

    def open_text(self, title: str, lines: Sequence[Line]) -> None:
        if self.host.screen is not self:
            return  # an answer that comes late must not cover another dialog
        self.host.push_screen(TextDialog(title, lines, self.palette, self.kill_from_dialog))

    def open_help(self) -> None:
        self.open_text("KEYS", help_lines(self.focused_pane, actions_for(self.focused_pane), self.keymap.keys_of))

    def open_confirm(self, proposal: ProposalView) -> None:
        """The page with the letter; what it answers is the only way an approval leaves the screen."""
        identity = proposal.proposal_id
        if identity in self.consumed:
            self.say("this proposal was approved already: its order is on the way", "warn")
            return

        def answered(verdict: Verdict | None) -> None:
            if verdict is None or not verdict.sends:
                self.say("nothing sent" if verdict is None else verdict.reason)
                return
            self.consumed.add(identity)
            self.ask(ApproveProposal(identity, verdict.limit_seen), then=accepted)

        def accepted(result: CommandResult) -> None:
            if not result.ok:  # refused: a person may look again, with another letter
                self.consumed.discard(identity)

        self.host.push_screen(
            ConfirmDialog(proposal, self.snapshot.header, self.palette, self.settings, self.kill_from_dialog), answered
        )
