"""Every key, at both sizes: what arrived at the engine's door, and that nothing else did."""

import io
from dataclasses import replace

import pytest

from qmterm.core.errors import BadInput
from qmterm.core.settings.screen import ScreenSettings
from qmterm.engine import commands
from qmterm.engine.view import Snapshot
from qmterm.ui.app import run_screen
from qmterm.ui.exits import ScreenExit
from tests.ui.fake_engine import FakeDoor, rich_snapshot
from tests.ui.running import LARGE, SMALL, running

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])


@BOTH
async def test_digits_and_tab_choose_panes_and_minus_goes_back(size):
    async with running(size) as screen:
        for key, name in zip("234571", ("chain", "pos", "risk", "orders", "log", "scan"), strict=True):
            await screen.press(key)
            assert screen.focused == name
            assert screen.app.desk.pane.size.width > 0
        await screen.press("tab")
        assert screen.focused == "chain"
        await screen.press("shift+tab", "hyphen-minus", "hyphen-minus")
        assert screen.focused == "scan"
        assert screen.door.sent == []


@BOTH
async def test_moving_keys_move_the_cursor_and_send_nothing(size):
    async with running(size) as screen:
        table = screen.app.desk.pane.table
        await screen.press("j", "down", "j", "k")
        assert table.cursor == 2
        await screen.press("G")
        assert table.cursor == len(table.rows) - 1
        await screen.press("g")
        assert table.cursor == 0
        await screen.press("pagedown", "up", "pageup", "home", "end")
        assert table.cursor == len(table.rows) - 1
        assert screen.door.sent == []


@BOTH
async def test_enter_on_a_scan_row_opens_its_chain_and_minus_brings_the_old_one_back(size):
    async with running(size) as screen:
        await screen.press("j", "enter")
        assert screen.door.sent == [commands.SelectSymbol("AMD")]
        assert screen.focused == "chain"
        assert "AMD 174.41" in screen.text
        await screen.press("hyphen-minus")
        assert screen.focused == "scan"
        assert screen.door.sent[-1] == commands.SelectSymbol("NVDA")


@BOTH
async def test_chain_keys_change_expiry_and_side_and_stage_the_leg(size):
    async with running(size) as screen:
        await screen.press("2", "h", "l", "l")
        assert screen.door.sent == [commands.SelectExpiry(-1), commands.SelectExpiry(1), commands.SelectExpiry(1)]
        screen.door.sent.clear()
        pane = screen.app.desk.panes["chain"]
        await screen.press("j", "b")
        assert screen.door.sent == [commands.StageOrder(pane.table.current.call.occ, True, 1)]
        await screen.press("right", "s")
        assert screen.door.sent[-1] == commands.StageOrder(pane.table.current.put.occ, False, 1)
        await screen.command("buy 3")
        assert screen.door.sent[-1] == commands.StageOrder(pane.table.current.put.occ, True, 3)


async def test_a_new_chain_starts_at_the_strike_nearest_the_spot_in_the_middle():
    async with running() as screen:
        await screen.press("2")
        pane = screen.app.desk.panes["chain"]
        assert pane.table.current.strike == 175.0
        lines = pane.text.splitlines()
        place = next(number for number, line in enumerate(lines) if "▶ 175.0" in line)
        assert abs(place - len(lines) / 2) <= 2


@BOTH
async def test_position_keys_close_and_drill(size):
    async with running(size) as screen:
        await screen.press("3")
        await screen.press("x")
        assert screen.door.sent == [commands.ClosePosition("pos-1")]
        await screen.press("j", "enter")
        assert screen.door.sent[-1] == commands.SelectSymbol("AMD")
        await screen.command("close smci")
        assert screen.door.sent[-1] == commands.ClosePosition("pos-3")
        await screen.command("close zzz")
        assert "no positions match" in screen.status


@BOTH
async def test_d_rejects_a_proposal_and_cancels_a_working_order_only(size):
    async with running(size) as screen:
        await screen.press("5")
        await screen.press("d")
        assert screen.door.sent == [commands.RejectProposal("prop-1c07")]
        await screen.press("j", "j", "d")
        assert screen.door.sent[-1] == commands.CancelOrder("intent-1")
        screen.door.sent.clear()
        await screen.press("G", "d")
        assert screen.door.sent == []
        assert "nothing to cancel" in screen.status
        await screen.command("orders cancel a303")
        assert screen.door.sent == [commands.CancelOrder("intent-3")]


async def test_a_cancel_without_an_id_is_of_no_row_that_another_pane_may_hide():
    async with running() as screen:
        await screen.press("5")
        await screen.press("1")
        await screen.command("orders cancel")
        assert screen.door.sent == []
        assert "cancel what?" in screen.status


async def test_an_act_typed_ahead_of_a_pane_that_was_never_drawn_does_nothing():
    async with running() as screen:
        await screen.press("3", "x")
        assert screen.door.sent == []
        assert "no position" in screen.status


async def test_an_act_on_a_row_that_has_just_vanished_is_refused():
    async with running() as screen:
        await screen.press("5")
        await screen.press("G", "k", "k", "k")
        assert screen.app.desk.panes["orders"].table.current.order_id == "intent-1"
        screen.door.set(orders=rich_snapshot().orders[1:])
        screen.app.desk.panes["orders"].table._ordered_at = -1e9
        await screen.frame()
        await screen.press("d")
        assert screen.door.sent == []
        assert "gone" in screen.status


@BOTH
async def test_w_asks_why_of_the_row_and_shows_the_trail(size):
    async with running(size) as screen:
        await screen.press("w")
        await screen.pilot.pause(0.1)
        assert screen.door.sent == [commands.Why("NVDA")]
        assert "WHY NVDA" in screen.text
        assert "trade ok" in screen.text
        await screen.press("escape")
        await screen.press("5")
        await screen.press("enter")
        await screen.pilot.pause(0.1)
        assert screen.door.sent[-1] == commands.Why("prop-1c07")


async def test_p_pauses_and_a_hasty_second_p_does_not_resume():
    async with running() as screen:
        await screen.press("P", "P")
        assert screen.door.sent == [commands.Pause()]
        screen.door.set(header=replace(screen.door.current.header, ladder="NO-NEW", ladder_reason="you"))
        await screen.frame()
        await screen.press("P")
        assert screen.door.sent == [commands.Pause()]
        screen.app.desk.paused_at -= 10
        await screen.press("P")
        assert screen.door.sent[-1] == commands.Resume()


async def test_p_does_not_lift_what_is_deeper_than_a_pause():
    door = FakeDoor()
    door.set(header=replace(door.current.header, ladder="HALT", ladder_reason="kill"))
    async with running(door=door) as screen:
        assert " HALT " in screen.text
        assert "HALT: kill" in screen.text
        await screen.press("P")
        assert door.sent == []
        await screen.command("resume")
        assert door.sent == [commands.Resume()]


async def test_kill_needs_two_presses_within_a_second():
    async with running() as screen:
        screen.app.desk.press("K", 10.0)
        screen.app.desk.press("K", 11.5)
        assert screen.door.sent == []
        screen.app.desk.press("K", 12.0)
        assert screen.door.sent == [commands.Kill()]
        screen.app.desk.press("K", 12.1)
        assert screen.door.sent == [commands.Kill()]


async def test_the_kill_keys_work_above_a_dialog():
    async with running() as screen:
        await screen.press("5")
        await screen.press("a")
        assert "CONFIRM" in screen.text
        await screen.press("K", "K")
        assert screen.door.sent == [commands.Kill()]
        assert "CONFIRM PAPER" not in screen.text.splitlines()[3]


async def test_kill_as_a_verb_wants_a_typed_yes():
    async with running() as screen:
        await screen.command("kill")
        await screen.press("n", "o", "enter")
        assert screen.door.sent == []
        await screen.command("kill")
        await screen.press("y", "e", "s", "enter")
        assert screen.door.sent == [commands.Kill()]


async def test_a_burst_of_keys_closes_a_dialog_once_and_leaves_the_desk():
    async with running() as screen:
        await screen.press("question_mark")
        await screen.press("escape", "escape", "enter", "q")
        assert screen.app.screen is screen.app.desk
        assert screen.app.return_value is None


async def test_reconcile_and_repaint():
    async with running() as screen:
        await screen.press("ctrl+r", "ctrl+l")
        assert screen.door.sent == [commands.Reconcile()]


@BOTH
async def test_a_filter_works_while_it_is_typed_and_esc_brings_the_rows_back(size):
    async with running(size) as screen:
        table = screen.app.desk.pane.table
        await screen.press("solidus", "e", "n", "t", "r", "y")
        assert [row.symbol for row in table.rows] == ["NVDA", "SMCI", "MU"]
        await screen.press("enter", "n")
        assert table.current_key == "SMCI"
        await screen.press("N")
        assert table.current_key == "NVDA"
        assert "3 of 20 /entry" in screen.text
        await screen.press("escape")
        assert len(table.rows) == 20
        await screen.press("solidus", "exclamation_mark", *"entry", "enter")
        assert len(table.rows) == 17
        await screen.press("solidus", "x", "escape")
        assert len(table.rows) == 17
        assert screen.door.sent == []


@BOTH
async def test_sort_goes_through_the_columns_and_back_to_the_engines_order(size):
    async with running(size) as screen:
        pane = screen.app.desk.pane
        await screen.press("S")
        assert pane.table.sort == "symbol"
        assert pane.table.rows[0].symbol == "UBER"
        await screen.press("comma")
        assert pane.table.rows[0].symbol == "AAPL"
        await screen.command("sort conf")
        assert pane.table.sort == "confidence"
        for _ in pane.table.sortable(pane.shown_columns()):
            await screen.press("S")
            if not pane.table.sort:
                break
        assert [row.symbol for row in pane.table.rows[:2]] == ["NVDA", "AMD"]
        await screen.command("sort nonsense")
        assert "no column" in screen.status


async def test_zoom_and_desk_on_a_large_and_a_small_terminal():
    async with running(LARGE) as screen:
        assert "2 CHAIN" in screen.text
        await screen.press("z")
        assert "2 CHAIN" not in screen.text
        assert screen.app.desk.pane.size.width == 200
        await screen.press("0")
        assert "2 CHAIN" in screen.text
    async with running(SMALL) as screen:
        await screen.press("z")
        assert "already" in screen.status
        await screen.press("0")
        assert "120x40" in screen.status


async def test_help_shows_the_keys_of_the_focused_pane():
    async with running(LARGE) as screen:
        await screen.press("2", "question_mark")
        assert "in chain" in screen.text
        assert "stage a buy of the leg" in screen.text
        await screen.press("escape")
        assert "KEYS" not in screen.text


async def test_a_mistyped_command_is_marked_under_its_word_and_stays_open():
    async with running() as screen:
        await screen.command("orders cancl a3")
        lines = screen.text.splitlines()
        assert lines[-2].startswith(":orders cancl a3")
        assert lines[-1].index("^") == lines[-2].index("cancl")
        await screen.press("escape")
        assert screen.door.sent == []


async def test_the_command_line_remembers_and_completes():
    async with running() as screen:
        await screen.command("theme paper")
        assert screen.app.colours.name == "paper"
        await screen.press("colon", "up")
        assert screen.text.splitlines()[-2].startswith(":theme paper")
        await screen.press("escape", "colon", *"theme", "space", "d", "tab", "enter")
        assert screen.app.colours.name == "deuteranopia"


async def test_a_bad_theme_leaves_the_old_one_and_says_where(tmp_path):
    (tmp_path / "mine.toml").write_text('[colors]\ngian = "#010203"\n')
    async with running(themes=tmp_path) as screen:
        await screen.command("theme mine")
        assert screen.app.colours.name == "midnight"
        assert "mine.toml:2" in screen.status


async def test_a_bad_first_theme_is_said_at_the_start(tmp_path):
    (tmp_path / "mine.toml").write_text("[colors\n")
    async with running(themes=tmp_path, settings=ScreenSettings(theme="mine")) as screen:
        assert "mine.toml:1" in screen.status


async def test_clashing_own_keys_are_said_at_the_start():
    async with running(settings=ScreenSettings(keys={"approve": "P"})) as screen:
        assert "'P'" in screen.status
        await screen.press("P")
        assert "CONFIRM" in screen.text


async def test_a_refusal_of_the_engine_is_shown():
    async with running() as screen:
        screen.door.ok, screen.door.text = False, "LADDER_HALT: no entries"
        await screen.press("2")
        await screen.press("b")
        assert screen.status == "LADDER_HALT: no entries"


async def test_a_door_that_fails_is_one_sentence():
    class BrokenDoor(FakeDoor):
        def send(self, command):
            raise ConnectionError("socket closed")

    async with running(door=BrokenDoor()) as screen:
        await screen.press("P")
        assert "Pause did not reach the engine" in screen.status


async def test_pasted_text_runs_no_keys():
    from textual import events

    async with running() as screen:
        screen.app.post_message(events.Paste("KKqPab"))
        await screen.pilot.pause(0.1)
        assert screen.door.sent == []
        await screen.press("colon")
        screen.app.post_message(events.Paste("theme paper\nrm -rf"))
        await screen.pilot.pause(0.1)
        await screen.press("enter")
        assert screen.app.colours.name == "paper"


async def test_q_with_something_at_stake_asks_and_enter_stays():
    async with running() as screen:
        await screen.press("q")
        assert "3 positions, 2 working orders" in screen.text
        await screen.press("s")  # typed before the dialog could be read
        await screen.press("enter")
        assert screen.app.return_value is None
        await screen.press("q")
        await screen.pilot.pause(0.4)
        await screen.press("h")
        assert screen.app.return_value is ScreenExit.DETACH
        assert screen.door.sent == []


async def test_stopping_the_engine_with_something_at_stake():
    async with running() as screen:
        await screen.command("quit engine")
        await screen.press("enter")
        assert screen.app.return_value is None
        await screen.command("quit engine yes")
        assert screen.app.return_value is ScreenExit.STOP
        assert screen.door.sent == [commands.StopEngine()]


async def test_q_with_nothing_at_stake_quits_and_detaches_when_attached():
    async with running(door=FakeDoor(Snapshot())) as screen:
        await screen.press("q")
        assert screen.app.return_value is ScreenExit.STOP
    async with running(attached=True) as screen:
        await screen.press("ctrl+c")
        assert screen.app.return_value is ScreenExit.DETACH
        assert screen.door.sent == []


def test_without_a_terminal_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(BadInput, match="--auto"):
        run_screen(FakeDoor(), ScreenSettings())


async def test_below_80x24_one_line_says_so_and_keys_go_on_working():
    async with running((70, 20)) as screen:
        assert screen.text.strip() == "qmterm needs 80x24; this terminal has 70x20. Keys still work."
        await screen.press("P")
        assert screen.door.sent == [commands.Pause()]
        await screen.pilot.resize_terminal(80, 24)
        await screen.frame()
        assert "1 SCAN" in screen.text
        await screen.pilot.resize_terminal(200, 50)
        await screen.frame()
        assert "7 LOG" in screen.text


async def test_a_click_puts_the_cursor_on_its_row():
    async with running() as screen:
        await screen.pilot.click("#scan", offset=(10, 5))
        await screen.frame()
        assert screen.app.desk.pane.table.cursor == 3
        assert screen.door.sent == []


async def test_an_engine_that_falls_silent_is_said_aloud():
    async with running() as screen:
        screen.app._changed_at -= 7
        await screen.frame()
        assert "ENGINE SILENT 7s" in screen.text
        await screen.press("2")
        assert "~7.40" in screen.app.desk.panes["chain"].text, "prices of a silent engine do not look fresh"


async def test_the_stop_of_the_engine_is_said_aloud():
    async with running() as screen:
        screen.door.set(stopped=True)
        await screen.frame()
        assert "ENGINE STOPPED" in screen.text
        await screen.press("q")
        assert screen.app.return_value is ScreenExit.STOP
        assert screen.door.sent == []


async def test_enter_everywhere_sends_no_order():
    async with running(LARGE) as screen:
        for pane in "123457":
            await screen.press(pane, "enter", "enter", "escape")
            await screen.pilot.pause(0.1)
        kinds = {type(command) for command in screen.door.sent}
        assert kinds <= {commands.SelectSymbol, commands.Why}
