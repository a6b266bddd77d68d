"""What each pane looks like, as plain text. Renew with QMTERM_UPDATE_SNAPSHOTS=1 and look at the difference."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from qmterm.engine.view import HeaderView, PortfolioView, Snapshot
from qmterm.ui.app import QmtermApp
from tests.ui.fake_engine import FakeDoor, rich_snapshot
from tests.ui.running import LARGE, SMALL, running

FOLDER = Path(__file__).parent / "snapshots"
UPDATE = os.environ.get("QMTERM_UPDATE_SNAPSHOTS") == "1"
SIZES = {"80x24": SMALL, "120x40": (120, 40), "200x50": LARGE}


@pytest.fixture(autouse=True)
def still(monkeypatch):
    """The screen's own clock stands: on a busy machine numbers would grow old while they are drawn."""
    monkeypatch.setattr(QmtermApp, "now", lambda self: 1000.0)


def check(name, text):
    path = FOLDER / f"{name}.txt"
    shown = text.rstrip() + "\n"
    if UPDATE:
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), f"{name} looks different: QMTERM_UPDATE_SNAPSHOTS=1 renews it"


def assert_exact(text, size):
    lines = text.split("\n")
    assert len(lines) == size[1]
    assert max(len(line) for line in lines) <= size[0]


@pytest.mark.parametrize("pane", ["1", "2", "3", "4", "5", "7"])
async def test_each_pane_on_a_small_terminal(pane):
    async with running(SMALL) as screen:
        await screen.press(pane)
        assert_exact(screen.text, SMALL)
        check(f"pane-{pane}-80x24", screen.text)


@pytest.mark.parametrize("size", ["120x40", "200x50"])
async def test_the_desk(size):
    async with running(SIZES[size]) as screen:
        assert_exact(screen.text, SIZES[size])
        check(f"desk-{size}", screen.text)


async def test_one_pane_zoomed_on_a_large_terminal():
    async with running(LARGE) as screen:
        await screen.press("2", "z")
        check("zoom-chain-200x50", screen.text)


async def test_the_confirm_dialog():
    async with running(SMALL) as screen:
        await screen.press("5")
        await screen.press("j", "a")
        screen.app.screen.letter = "h"
        await screen.frame()
        check("confirm-80x24", screen.text)


async def test_the_help_of_a_pane():
    async with running(SMALL) as screen:
        await screen.press("2", "question_mark")
        check("help-chain-80x24", screen.text)


async def test_the_start_before_any_data():
    door = FakeDoor(Snapshot(header=HeaderView(starting="history 120/300")))
    async with running(SMALL, door) as screen:
        check("starting-80x24", screen.text)


async def test_an_empty_day():
    nothing = {"positions": (), "orders": (), "proposals": (), "log": (), "expiry": (), "portfolio": PortfolioView()}
    door = FakeDoor(replace(rich_snapshot(), chain=None, **nothing))
    async with running((120, 40), door) as screen:
        check("empty-120x40", screen.text)


async def test_real_money_armed_with_a_ladder_that_is_not_normal():
    door = FakeDoor()
    header = replace(
        door.current.header,
        mode="auto",
        real_money=True,
        armed_s=252.0,
        ladder="REDUCE-ONLY",
        ladder_reason="reconcile difference: NVDA 2 here, 1 at the broker",
        feed_state="mute",
        feed_age_s=12.0,
        broker="tastytrade",
        source="polygon",
    )
    door.set(header=header)
    async with running((120, 40), door) as screen:
        check("live-armed-120x40", screen.text)
