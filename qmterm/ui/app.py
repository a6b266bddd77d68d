"""The Textual application: one frame clock, one screen, dialogs on top; and `run_screen`, the only way in.

Textual is imported by this module and what it imports, never by `qmterm.ui` itself: headless runs do not pay for it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# Before textual reads them: nothing moves by itself, a screen at rest sends nothing but the clock.
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")

from textual.app import App
from textual.driver import Driver
from textual.theme import Theme as TextualTheme
from textual.timer import Timer

from qmterm.core.settings.screen import ScreenSettings
from qmterm.engine.commands import EngineDoor
from qmterm.engine.view import Snapshot
from qmterm.ui import leaving
from qmterm.ui.desk import Desk
from qmterm.ui.dialogs import Dialog
from qmterm.ui.driver import MOST_PENDING, PatientDriver
from qmterm.ui.exits import ScreenExit, require_terminal
from qmterm.ui.palette import Palette, Theme
from qmterm.ui.pane import Frame
from qmterm.ui.signals import screen_signals
from qmterm.ui.themes import BUILT_IN, ThemeProblem, ThemeShelf

# Answers of the engine are looked for this often (seconds) while one is awaited.
ANSWER_POLL_S = 0.03
# A snapshot that is older than this (seconds) makes every age on the screen grow.
STILL_FROM_S = 1.5


class QmtermApp(App[ScreenExit], inherit_bindings=False):
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    TITLE = "qmterm"

    def __init__(
        self,
        door: EngineDoor,
        settings: ScreenSettings,
        themes_dirs: Sequence[Path] = (),
        *,
        attached: bool = False,
    ) -> None:
        """`attached`: the engine lives in another process, so q only detaches."""
        self.mono = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if self.mono else None)
        self.door = door
        self.settings = settings
        self.attached = attached
        self.themes = ThemeShelf(themes_dirs)
        self._theme_problem = ""
        self._theme_serial = 0
        self.colours = self._first_theme(settings.theme)
        self.palette = Palette(self.colours, mono=self.mono)
        self.desk = Desk(self, self.palette, settings)
        self._snapshot: Snapshot | None = None
        self._changed_at = 0.0
        self._answer_timer: Timer | None = None
        self._running_loop: asyncio.AbstractEventLoop | None = None
        self._early: Callable[[], None] | None = None  # a signal that came before the first frame

    # --- clocks ---

    def now(self) -> float:
        """Real seconds, for what a person waits for; market time comes with the snapshot."""
        return time.monotonic()

    def on_mount(self) -> None:
        self._tell_textual(self.colours)
        self.push_screen(self.desk)
        self.set_interval(1 / self.settings.frames_per_second, self.frame)
        self._answer_timer = self.set_interval(ANSWER_POLL_S, self._look_for_answers, pause=True)
        self.call_after_refresh(self.frame)
        if isinstance(self._driver, PatientDriver):
            self._driver.on_lost = self._terminal_lost
        self._running_loop = asyncio.get_running_loop()
        if self._early is not None:
            self._early()
        if self._theme_problem:
            self.desk.say(self._theme_problem, "warn")
        if not self.is_headless:
            gc.freeze()  # what the start made lives for ever: no collection walks it again

    def frame(self) -> None:
        """The one clock: take the latest snapshot by reference and let whoever is on top draw it."""
        driver = self._driver
        if isinstance(driver, PatientDriver):
            if driver.backlog > MOST_PENDING:
                return
            if driver.dropped:
                driver.dropped = False
                self.repaint()
        snapshot = self.door.snapshot
        now = self.now()
        if snapshot is not self._snapshot:
            self._snapshot, self._changed_at = snapshot, now
        still = now - self._changed_at
        frame = Frame(snapshot, still if still >= STILL_FROM_S else 0.0, now)
        top = self.screen
        self.desk.frame(frame)
        if isinstance(top, Dialog):
            top.frame(frame)

    def expect_answers(self) -> None:
        """A command is on its way: look for its answer more often than once a frame."""
        if self._answer_timer is not None:
            self._answer_timer.resume()

    def _look_for_answers(self) -> None:
        self.desk.answers.poll(self.now())
        if not self.desk.answers.waiting and self._answer_timer is not None:
            self._answer_timer.pause()

    # --- themes ---

    def _first_theme(self, name: str) -> Theme:
        found = self.themes.load(name)
        if isinstance(found, ThemeProblem):
            self._theme_problem = found.text
            return BUILT_IN
        return found

    def _tell_textual(self, theme: Theme) -> None:
        """Textual needs only the backgrounds; a fresh name each time makes it read them again."""
        self._theme_serial += 1
        name = f"{theme.name}-{self._theme_serial}"
        colours = theme.colours
        self.register_theme(
            TextualTheme(
                name=name,
                primary=colours["accent"],
                background=colours["background"],
                foreground=colours["text"],
                surface=colours["background"],
                panel=colours["dialog"],
                dark=theme.dark,
            )
        )
        self.theme = name

    def use_theme(self, name: str) -> str:
        """Another theme at once; "" or why the old one stays."""
        found = self.themes.load(name)
        if isinstance(found, ThemeProblem):
            return found.text
        self.colours = found
        self.palette = Palette(found, mono=self.mono)
        self._tell_textual(found)
        self.desk.use_palette(self.palette)
        self.desk.draw()
        return ""

    # --- terminal ---

    def get_driver_class(self) -> type[Driver]:
        stock = super().get_driver_class()
        return PatientDriver if issubclass(PatientDriver, stock) else stock

    def repaint(self) -> None:
        """Every cell of the screen on top, once."""
        self.screen.refresh()

    def _terminal_lost(self) -> None:
        """Hang-up: only the screen ends."""
        self.exit(ScreenExit.LOST)

    def _fatal_error(self) -> None:
        """A broken screen says where it broke, without the local variables: they may hold secrets."""
        from rich.traceback import Traceback

        self.panic(Traceback(show_locals=False, max_frames=6))

    def leave(self, how: ScreenExit) -> None:
        self.exit(how)

    def hang_up(self) -> None:
        """From a signal handler: the terminal is going away."""
        self._from_signal(self._terminal_lost)

    def asked_to_stop(self) -> None:
        """From a signal handler: SIGTERM or SIGINT, a clean stop of screen and engine (attached: of the screen)."""
        self._from_signal(lambda: leaving.leave_on_request(self.desk))

    def _from_signal(self, act: Callable[[], None]) -> None:
        if self._running_loop is None:
            self._early = act
        else:
            self._running_loop.call_soon_threadsafe(act)


def run_screen(
    door: EngineDoor,
    settings: ScreenSettings,
    themes_dirs: Sequence[Path] = (),
    *,
    attached: bool = False,
) -> ScreenExit:
    """Show the screen until the person leaves it, the terminal goes away or the screen breaks (both LOST).

    Call it on the main thread; it takes SIGHUP, SIGTERM and SIGINT for as long as it runs.
    """
    require_terminal()
    app = QmtermApp(door, settings, themes_dirs, attached=attached)
    with screen_signals(app.hang_up, app.asked_to_stop):
        answer = app.run(mouse=settings.mouse)
    return answer if answer is not None else ScreenExit.LOST
