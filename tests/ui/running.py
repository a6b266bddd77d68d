"""A running screen for tests: no terminal, frames on demand."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.events import Key
from textual.pilot import Pilot

from qmterm.core.settings.screen import ScreenSettings
from qmterm.ui.app import QmtermApp
from qmterm.ui.exits import ScreenExit
from tests.ui.fake_engine import FakeDoor
from tests.ui.screen_text import screen_text

THEMES = Path(__file__).resolve().parents[2] / "themes"
SMALL = (80, 24)
LARGE = (200, 50)


def character_of(key: str) -> str | None:
    """What a key prints, by Textual's name for it."""
    if len(key) == 1:
        return key
    try:
        return unicodedata.lookup(key.replace("_", " "))
    except KeyError:
        return None


class Running:
    """App, pilot and door together, with the words tests use."""

    def __init__(self, app: QmtermApp, pilot: Pilot[ScreenExit], door: FakeDoor) -> None:
        self.app = app
        self.pilot = pilot
        self.door = door

    async def press(self, *keys: str) -> None:
        """Keys as a terminal delivers them, all at once, then a frame (pilot.press waits 60 ms for each)."""
        for key in keys:
            self.app.post_message(Key(key, character_of(key)))
        await self.settle()
        await self.frame()

    async def settle(self) -> None:
        """Until every message has been processed; unlike pilot.pause it does not wait for an idle processor."""
        for _ in range(2):
            await self.pilot._wait_for_screen()
        self.app.screen._on_timer_update()

    async def frame(self) -> None:
        self.app.frame()
        await self.settle()

    async def command(self, line: str) -> None:
        """A line typed after `:` and enter."""
        for key in (":", *("space" if letter == " " else letter for letter in line)):
            self.app.desk.press(key, 0.0)
        await self.press("enter")

    @property
    def text(self) -> str:
        return screen_text(self.app)

    @property
    def status(self) -> str:
        return self.app.desk.bottom.notice

    @property
    def focused(self) -> str:
        return self.app.desk.focused_pane


@asynccontextmanager
async def running(
    size: tuple[int, int] = SMALL,
    door: FakeDoor | None = None,
    settings: ScreenSettings | None = None,
    themes: Path = THEMES,
    *,
    attached: bool = False,
) -> AsyncIterator[Running]:
    door = door if door is not None else FakeDoor()
    app = QmtermApp(door, settings if settings is not None else ScreenSettings(), [themes], attached=attached)
    async with app.run_test(size=size) as pilot:
        screen = Running(app, pilot, door)
        await screen.settle()
        await screen.frame()
        yield screen
