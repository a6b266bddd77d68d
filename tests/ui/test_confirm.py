"""The confirm dialog: the only way an approval leaves the screen, and all the ways it must not."""

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.settings.screen import ScreenSettings
from qmterm.engine import commands
from qmterm.ui.confirm import LETTERS, ConfirmDialog, against_market, order_lines, reason_lines, tick_of, what_changed
from qmterm.ui.palette import text_of
from tests.ui.fake_engine import FakeDoor, proposal, rich_snapshot
from tests.ui.running import LARGE, SMALL, running

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x50"])
ENTRY = rich_snapshot().proposals[0]


def one_proposal(**changes):
    door = FakeDoor()
    door.set(proposals=(replace(ENTRY, **changes),))
    return door


def dialog_of(screen) -> ConfirmDialog:
    dialog = screen.app.screen
    assert isinstance(dialog, ConfirmDialog)
    return dialog


async def readable(screen):
    """Open the dialog and let its dead time pass."""
    await screen.press("a")
    dialog = dialog_of(screen)
    dialog.shown_at -= 1.0
    return dialog


async def letter(screen, dialog):
    await screen.press(dialog.letter)
    await screen.pilot.pause(0.12)
    await screen.frame()


APPROVAL = commands.ApproveProposal("prop-9f31", "-4.15")


@BOTH
async def test_the_letter_sends_what_was_shown_once(size):
    async with running(size, one_proposal()) as screen:
        dialog = await readable(screen)
        assert f" {dialog.letter}  to send" in screen.text
        await letter(screen, dialog)
        assert screen.door.sent == [APPROVAL]
        await screen.press("a")
        assert "approved already" in screen.status
        assert screen.door.sent == [APPROVAL]


async def test_pressing_the_letter_twice_sends_nothing_and_draws_another():
    """A double press looks like typing; better nothing than twice."""
    async with running(door=one_proposal()) as screen:
        dialog = await readable(screen)
        old = dialog.letter
        await screen.press(old, old)
        await screen.pilot.pause(0.12)
        assert screen.door.sent == []
        assert dialog.letter != old


@pytest.mark.parametrize("key", ["enter", "escape", "q"])
async def test_enter_and_escape_cancel(key):
    async with running(door=one_proposal()) as screen:
        await readable(screen)
        await screen.press(key)
        assert screen.app.screen is screen.app.desk
        assert screen.door.sent == []
        assert screen.status == "nothing sent"


async def test_enter_that_opens_nothing_and_enter_in_the_dialog_never_send():
    async with running(door=one_proposal()) as screen:
        await screen.press("5")
        await screen.press("a", "enter", "enter", "enter", "space", "y")
        await screen.pilot.pause(0.12)
        assert commands.ApproveProposal not in {type(command) for command in screen.door.sent}


async def test_type_ahead_cannot_send_whatever_the_letter_is():
    async with running(door=one_proposal()) as screen:
        await screen.press("a", *LETTERS, *LETTERS)
        await screen.pilot.pause(0.12)
        assert screen.door.sent == []
        assert dialog_of(screen)


async def test_the_letter_is_dead_for_300_ms_after_the_page_or_another_key():
    async with running(door=one_proposal()) as screen:
        await screen.press("a")
        dialog = dialog_of(screen)
        start = dialog.shown_at
        dialog.press(dialog.letter, start + 0.2)
        assert not dialog._pressed
        dialog.press("j", start + 1.0)
        dialog.press(dialog.letter, start + 1.2)
        assert not dialog._pressed
        dialog.press(dialog.letter, start + 1.6)
        assert dialog._pressed


async def test_a_paste_that_holds_the_letter_sends_nothing_and_the_letter_changes():
    async with running(door=one_proposal()) as screen:
        dialog = await readable(screen)
        old = dialog.letter
        await screen.press(old, "x", "j")
        await screen.pilot.pause(0.12)
        assert screen.door.sent == []
        assert dialog.letter != old
        assert "looked like typing" in screen.text


async def test_the_dialog_closes_by_itself_after_its_time():
    async with running(door=one_proposal()) as screen:
        await readable(screen)
        dialog_of(screen).shown_at -= 19.5
        await screen.frame()
        assert screen.app.screen is screen.app.desk
        assert "long enough" in screen.status
        assert screen.door.sent == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"limit": Decimal("-4.20")}, "the limit is -4.20"),
        ({"mid": 4.26}, "mid moved"),
        ({"mid": None}, "two-sided"),
        ({"quantity": 3}, "changed"),
        ({"proposal_id": "other"}, "gone"),
    ],
)
async def test_the_dialog_closes_when_it_no_longer_shows_what_would_be_sent(change, word):
    async with running(door=one_proposal()) as screen:
        dialog = await readable(screen)
        screen.door.set(proposals=(replace(ENTRY, **change),))
        await screen.frame()
        assert screen.app.screen is screen.app.desk
        assert word in screen.status
        dialog.press(dialog.letter, dialog.shown_at + 5)
        await screen.pilot.pause(0.12)
        assert screen.door.sent == []


async def test_a_change_between_letter_and_send_still_stops_it():
    async with running(door=one_proposal()) as screen:
        dialog = await readable(screen)
        dialog.press(dialog.letter, dialog.shown_at + 1)
        screen.door.set(proposals=())
        await screen.frame()
        await screen.pilot.pause(0.12)
        assert screen.door.sent == []


async def test_a_refused_approval_may_be_looked_at_again():
    async with running(door=one_proposal()) as screen:
        screen.door.ok, screen.door.text = False, "PRICE_MOVED: ask again"
        dialog = await readable(screen)
        await letter(screen, dialog)
        assert screen.status == "PRICE_MOVED: ask again"
        await screen.press("a")
        assert dialog_of(screen)


async def test_a_without_a_proposal_says_so():
    door = FakeDoor()
    door.set(proposals=())
    async with running(door=door) as screen:
        await screen.press("a")
        assert screen.status == "no proposal waits"


@BOTH
async def test_of_several_proposals_a_away_from_their_pane_guesses_none_and_goes_to_the_most_urgent(size):
    async with running(size) as screen:
        await screen.press("a")
        assert screen.app.screen is screen.app.desk
        assert screen.focused == "orders"
        assert screen.status == "2 proposals wait: choose one (j/k), then a"
        assert screen.app.desk.pane.table.current.proposal_id == "prop-1c07"
        await screen.press("a")
        assert "moved under your hand" in screen.status
        screen.app.desk.pane.table.moved_at = -1e9
        await screen.press("a")
        assert "SELL 1 AMD" in screen.text


def one_above(door):
    """A stop's question comes, which sorts above the entry that the cursor is on."""
    door.set(proposals=(ENTRY, proposal("prop-77aa", text="SELL 3 MU 20MAR26 110P", purpose="exit", alarm=True)))


@BOTH
async def test_a_stays_with_the_row_it_was_on_when_another_sorts_above_it(size):
    async with running(size, one_proposal()) as screen:
        await screen.press("5")
        one_above(screen.door)
        screen.app.desk.pane.table._stale_order = True
        await screen.frame()
        assert screen.app.desk.pane.table.cursor == 1
        await screen.press("a")
        assert dialog_of(screen).proposal.proposal_id == "prop-9f31"


async def test_a_jump_to_a_line_whose_row_has_just_changed_opens_nothing_for_half_a_second():
    async with running(door=one_proposal()) as screen:
        await screen.press("5")
        one_above(screen.door)
        table = screen.app.desk.pane.table
        table._stale_order = True
        await screen.frame()
        await screen.press("g", "a")
        assert screen.app.screen is screen.app.desk
        assert "moved under your hand" in screen.status
        table.moved_at -= 0.5
        await screen.press("a")
        assert dialog_of(screen).proposal.proposal_id == "prop-77aa"


async def test_a_that_was_meant_for_a_proposal_that_has_just_been_replaced_opens_nothing():
    async with running(door=one_proposal()) as screen:
        screen.door.set(proposals=(proposal("prop-77aa"),))
        await screen.frame()
        await screen.press("a")
        assert screen.app.screen is screen.app.desk
        assert "another proposal waits" in screen.status
        screen.app.desk.waiting_moved_at -= 0.5
        await screen.press("a")
        assert dialog_of(screen).proposal.proposal_id == "prop-77aa"


async def test_proposals_are_told_apart_and_named_by_the_end_of_their_ids():
    async with running() as screen:
        await screen.press("5")
        assert "p1c07" in screen.text
        assert "p9f31" in screen.text
        await screen.command("approve p9f31")
        assert dialog_of(screen).proposal.proposal_id == "prop-9f31"
        assert "entry p9f31" in screen.text


async def test_an_id_that_could_be_two_proposals_opens_neither():
    door = FakeDoor()
    door.set(proposals=(proposal("prop-1-9f31"), proposal("prop-2-9f31")))
    async with running(door=door) as screen:
        await screen.command("approve p9f31")
        assert screen.app.screen is screen.app.desk
        assert "no proposal 'p9f31'" in screen.status


async def test_real_money_is_said_on_the_page():
    door = one_proposal()
    door.set(header=replace(door.current.header, real_money=True, armed_s=252.0))
    async with running(door=door) as screen:
        assert "LIVE ▓ARMED 04:12▓" in screen.text
        await screen.press("a")
        assert "LIVE: real money" in screen.text


def test_letters_are_none_that_a_hand_types_by_itself():
    assert not set(LETTERS) & set("adyqkKpPbsxwnolighj")
    assert len(LETTERS) >= 8


def test_the_page_shows_everything_that_decides():
    lines = [*order_lines(ENTRY, 72, ScreenSettings()), *reason_lines(ENTRY, 72)]
    text = "\n".join(text_of(line) for line in lines)
    for words in ("4.15 debit", "at the mid", "bid 4.10", "ask 4.20", "quantity 2", "832.26", "148 → 252", "trade 2 %"):
        assert words in text
    for reason in ENTRY.why:
        assert reason[:40] in text
    assert "! earnings in 12 days" in text
    stale = "\n".join(text_of(line) for line in order_lines(replace(ENTRY, quote_age_s=31.0), 72, ScreenSettings()))
    assert "31s old" in stale
    assert "~4.15" in stale


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("-4.15", "at the mid"),
        ("-4.25", "2.0 ticks worse"),
        ("-4.05", "2.0 ticks better"),
        ("4.25", "2.0 ticks better"),
    ],
)
def test_the_limit_is_compared_with_the_mid_in_the_traders_words(limit, words):
    assert words in against_market(proposal(limit=Decimal(limit)))


def test_the_tick_follows_price_and_underlying():
    assert tick_of(proposal(limit=Decimal("-2.15"))) == Decimal("0.01")
    assert tick_of(proposal(limit=Decimal("-4.15"))) == Decimal("0.05")
    assert tick_of(proposal(limit=Decimal("-4.15"), underlying="SPY")) == Decimal("0.01")
    assert tick_of(proposal(legs=("a", "b"))) == Decimal("0.05")


def test_exactly_two_ticks_are_no_reason_to_close():
    assert what_changed(ENTRY, replace(ENTRY, mid=4.25), 2.0) == ""
    assert what_changed(ENTRY, replace(ENTRY, mid=4.26), 2.0) != ""


async def test_reasons_that_do_not_fit_are_scrolled_to_their_last_word_and_the_order_stays_in_sight():
    why = tuple(f"reason {number}: {'word ' * 20}end{number}" for number in range(9))
    async with running(SMALL, one_proposal(why=why)) as screen:
        dialog = await readable(screen)
        assert "more lines: j" in screen.text
        seen = screen.text
        for _ in range(40):
            await screen.press("j")
            seen += screen.text
            assert "limit 4.15 debit" in screen.text
            assert " to send" in screen.text
        assert all(f"end{number}" in seen for number in range(9))
        assert "expected pnl 61" in screen.text
        assert "lines above: k" in screen.text
        await screen.press("g")
        assert "reason 0" in screen.text
        assert not dialog._pressed
        assert screen.door.sent == []


async def test_a_letter_right_after_a_scroll_is_dead():
    why = ("word " * 300,)
    async with running(SMALL, one_proposal(why=why)) as screen:
        dialog = await readable(screen)
        start = dialog.shown_at + 1.0
        dialog.press("j", start)
        dialog.press(dialog.letter, start + 0.2)
        assert not dialog._pressed
        dialog.press(dialog.letter, start + 0.6)
        assert dialog._pressed
