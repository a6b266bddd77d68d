"""Dialogs that want a word typed out: flatten (FLAT) and arming (the end of the account's number).

The trap is habit: enter alone answers nothing, what was typed before the page could be read does not count, and a
paste types nothing. Each page shows what the word will do.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from qmterm.core.settings.screen import ScreenSettings
from qmterm.engine.commands import DEARER
from qmterm.engine.view import HeaderView, Snapshot
from qmterm.ui.dialogs import Dialog
from qmterm.ui.formats import money, plain, wrap
from qmterm.ui.palette import BOLD, REVERSE, Line, Palette, Span
from qmterm.ui.pane import Frame

FLAT: Final = "FLAT"
TAIL: Final = 4  # characters of the account's number
LONGEST: Final = 16
LISTED: Final = 8  # positions that are shown one by one


class TypedDialog(Dialog[str]):
    """Collects a word; enter hands it on when it is long enough, esc is no."""

    wants = FLAT

    def __init__(self, palette: Palette, settings: ScreenSettings, kill: Callable[[str, float], bool]) -> None:
        super().__init__(palette, kill)
        self._settings = settings
        self._left = int(settings.confirm_timeout_s)
        self.typed = ""

    def lines(self, width: int) -> list[Line]:
        raise NotImplementedError

    def ready(self) -> bool:
        """Is what was typed an answer."""
        return self.typed == self.wants

    def content(self, width: int) -> list[Line]:
        last: list[Line] = [
            (),
            (
                Span(f"type {self.wants}: ", "text"),
                Span(f"{self.typed}▏", "proposal", BOLD),
                Span("  enter does it" if self.ready() else "", "warn", BOLD),
            ),
            (Span(f"esc: no      closes in {self._left:>2} s", "dim"),),
        ]
        lines = self.lines(width)
        room = max(1, self.canvas.size.height - 2 - len(last))
        if len(lines) > room:
            lines = [*lines[: room - 1], (Span(f"… {len(lines) - room + 1} more lines", "dim"),)]
        return [*lines, *last]

    def take(self, snapshot: Snapshot) -> None:
        """A newer snapshot to show."""

    def frame(self, frame: Frame) -> None:
        if self.closed:
            return
        self.take(frame.snapshot)
        if self.shown_at != float("inf"):
            left = self._settings.confirm_timeout_s - (self.app_time() - self.shown_at)
            if left <= 0:
                self.finish("")
                return
            self._left = int(left + 0.999)
        self.paint()

    def press(self, key: str, at: float) -> None:
        if key in ("escape", "ctrl+c"):
            self.finish("")
        elif self.too_soon(at):
            return
        elif key == "enter":
            if self.ready():
                self.finish(self.typed)
        elif key == "backspace":
            self.typed = self.typed[:-1]
            self.paint()
        elif len(key) == 1 and key.isalnum() and len(self.typed) < LONGEST:
            self.typed += key
            self.paint()


class FlattenDialog(TypedDialog):
    """What will be closed, what crossing the market costs, which orders go."""

    def __init__(
        self, snapshot: Snapshot, palette: Palette, settings: ScreenSettings, kill: Callable[[str, float], bool]
    ) -> None:
        super().__init__(palette, settings, kill)
        self._snapshot = snapshot
        self.tone = "alarm"

    def take(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def title_spans(self) -> Line:
        return (Span(" FLATTEN ", "alarm", BOLD), Span(f"{_money(self._snapshot.header)} ", "text", BOLD))

    def lines(self, width: int) -> list[Line]:
        return flatten_lines(self._snapshot, width)


class DearerDialog(TypedDialog):
    """An edit that can lose more than the order it replaces: the price was one enter away, so a word is wanted."""

    wants = DEARER

    def __init__(
        self, told: str, palette: Palette, settings: ScreenSettings, kill: Callable[[str, float], bool]
    ) -> None:
        super().__init__(palette, settings, kill)
        self._told = told
        self.tone = "warn"

    def title_spans(self) -> Line:
        return (Span(" DEARER ", "warn", BOLD),)

    def lines(self, width: int) -> list[Line]:
        return [(Span(part, "text"),) for part in wrap(self._told, width)]


class ArmDialog(TypedDialog):
    """A quarter of an hour of real money for one account."""

    def __init__(
        self, header: HeaderView, palette: Palette, settings: ScreenSettings, kill: Callable[[str, float], bool]
    ) -> None:
        super().__init__(palette, settings, kill)
        self._header = header
        self.wants = f"the last {TAIL} characters of the account's number"
        self.tone = "live"

    def take(self, snapshot: Snapshot) -> None:
        self._header = snapshot.header

    def ready(self) -> bool:
        return len(self.typed) == TAIL

    def title_spans(self) -> Line:
        return (Span(" ARM ", "live", BOLD), Span(" LIVE: real money ", "live", BOLD | REVERSE), Span(" ", "live"))

    def lines(self, width: int) -> list[Line]:
        header = self._header
        told = (
            f"For 15 minutes {header.mode.upper()} mode may send real orders to {header.broker}. "
            "Every limit and, in confirm mode, the page with the letter stay in force.",
            "It ends by itself, with :disarm, and at a restart that finds a difference. Without it nothing is sent but "
            "cancels, stops included.",
        )
        lines: list[Line] = [(Span(part, "text"),) for text in told for part in wrap(text, width)]
        now = header.arming or "not armed"
        return [*lines, (), (Span("now ", "label"), Span(plain(now), "warn"))]


def _money(header: HeaderView) -> str:
    return "LIVE: real money" if header.real_money else "PAPER"


def flatten_lines(snapshot: Snapshot, width: int) -> list[Line]:
    """Positions with the cost of crossing each, the sum, and the orders that will be cancelled."""
    working = sum(1 for row in snapshot.orders if row.working)
    known = [row.crossing for row in snapshot.positions if row.crossing is not None]
    lines: list[Line] = [
        (Span(f"{row.quantity:>+6} {plain(row.label):<24}", "text"), Span("crossing ", "label"), _cost(row.crossing))
        for row in snapshot.positions[:LISTED]
    ]
    if len(snapshot.positions) > LISTED:
        lines.append((Span(f"… and {len(snapshot.positions) - LISTED} more", "dim"),))
    unknown = len(snapshot.positions) - len(known)
    total: Line = (
        Span(f"{len(snapshot.positions)} position(s) closed at the far side, about ", "text", BOLD),
        Span(money(sum(known, Decimal(0)), cents=True), "loss", BOLD),
        Span(f"; {unknown} wait for a quote" if unknown else "", "warn"),
    )
    rest = f"{working} working order(s) cancelled; no new entries until the broker shows a flat account and you resume."
    lines += [(), total]
    lines += [(Span(part, "text"),) for part in wrap(rest, width)]
    if snapshot.header.session != "regular":
        lines.append((Span("The market is closed: closes wait for the open.", "warn", BOLD),))
    return lines


def _cost(crossing: Decimal | None) -> Span:
    return Span("no quote", "warn") if crossing is None else Span(money(crossing, cents=True), "text")
