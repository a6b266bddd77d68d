"""Flatten and arming on the screen: only the typed word leaves, and nothing leaves by habit."""

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.engine import commands
from qmterm.ui.palette import text_of
from qmterm.ui.typed_dialogs import ArmDialog, FlattenDialog, flatten_lines
from tests.ui.fake_engine import FakeDoor, rich_snapshot
from tests.ui.running import LARGE, SMALL, running

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])


def live_door():
    door = FakeDoor()
    door.set(header=replace(rich_snapshot().header, real_money=True, broker="tastytrade", armed_s=None))
    return door


async def readable(screen, key):
    """Open a dialog and let its dead time pass."""
    await screen.press(key)
    dialog = screen.app.screen
    dialog.shown_at -= 1.0
    return dialog


@BOTH
async def test_flat_and_enter_flatten(size):
    async with running(size) as screen:
        dialog = await readable(screen, "F")
        assert isinstance(dialog, FlattenDialog)
        assert "position(s) closed at the far side, about" in screen.text
        await screen.press("F", "L", "A", "T")
        assert screen.door.sent == []
        assert "enter does it" in screen.text
        await screen.press("enter")
        assert screen.door.sent == [commands.Flatten()]


@pytest.mark.parametrize(
    "keys", [("enter",), ("F", "L", "A", "enter"), ("f", "l", "a", "t", "enter"), ("F", "L", "A", "T", "S", "enter")]
)
async def test_anything_else_flattens_nothing(keys):
    async with running() as screen:
        await readable(screen, "F")
        await screen.press(*keys)
        assert screen.door.sent == []
        assert isinstance(screen.app.screen, FlattenDialog)
        await screen.press("escape")
        assert screen.status == "nothing flattened"
        assert screen.door.sent == []


async def test_what_was_typed_before_the_page_could_be_read_does_not_count():
    async with running() as screen:
        await screen.press("F")
        screen.app.screen.shown_at += 1.0
        await screen.press("F", "L", "A", "T", "enter")
        assert screen.door.sent == []
        assert screen.app.screen.typed == ""


async def test_a_slip_can_be_mended():
    async with running() as screen:
        await readable(screen, "F")
        await screen.press("F", "L", "Y", "backspace", "A", "T", "enter")
        assert screen.door.sent == [commands.Flatten()]


async def test_the_page_closes_by_itself():
    async with running() as screen:
        dialog = await readable(screen, "F")
        dialog.shown_at -= 1000
        await screen.frame()
        assert screen.app.screen is screen.app.desk
        assert screen.door.sent == []


async def test_the_kill_key_works_above_it():
    async with running() as screen:
        await readable(screen, "F")
        await screen.press("K", "K")
        assert screen.door.sent == [commands.Kill()]


def test_the_cost_of_crossing_is_summed_and_what_has_no_quote_is_said():
    snapshot = rich_snapshot()
    first, *others = snapshot.positions
    positions = (replace(first, crossing=Decimal("12.50")), *(replace(row, crossing=None) for row in others))
    closed = replace(snapshot.header, session="closed")
    lines = [text_of(line) for line in flatten_lines(replace(snapshot, positions=positions, header=closed), 76)]
    assert any("about 12.50" in line and f"{len(others)} wait for a quote" in line for line in lines)
    assert any("waits for the open" in line or "wait for the open" in line for line in lines)
    working = sum(row.working for row in snapshot.orders)
    assert any(f"{working} working order(s) cancelled" in line for line in lines)


@BOTH
async def test_the_end_of_the_account_arms(size):
    async with running(size, live_door()) as screen:
        dialog = await readable(screen, "A")
        assert isinstance(dialog, ArmDialog)
        assert "not armed" in screen.text
        await screen.press("4", "4", "1", "enter")
        assert screen.door.sent == []
        await screen.press("7", "enter")
        assert screen.door.sent == [commands.Arm(tail="4417")]


async def test_there_is_nothing_to_arm_on_paper():
    async with running() as screen:
        await screen.press("A")
        assert screen.app.screen is screen.app.desk
        assert "nothing to arm" in screen.status
        assert screen.door.sent == []


async def test_disarm_is_a_word_on_the_command_line():
    async with running(door=live_door()) as screen:
        await screen.command("disarm")
        assert screen.door.sent == [commands.Disarm()]


async def test_escape_does_not_arm():
    async with running(door=live_door()) as screen:
        await readable(screen, "A")
        await screen.press("4", "4", "1", "7", "escape")
        assert screen.door.sent == []
        assert screen.status == "not armed"


async def test_what_the_broker_confirmed_or_what_is_left_stands_beside_the_tabs():
    door = FakeDoor()
    header = replace(rich_snapshot().header, ladder="HALT", ladder_reason="kill by a person", ladder_proof="")
    for proof in ("still there: 2 orders", "all 3 working orders cancelled, confirmed by the broker at 10:31:07"):
        door.set(header=replace(header, ladder_proof=proof))
        async with running(LARGE, door) as screen:
            assert f"HALT: {proof}" in screen.text
