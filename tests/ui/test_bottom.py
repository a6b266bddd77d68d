"""What the engine answers can be read to its last word, at every size."""

from __future__ import annotations

import pytest

from qmterm.engine import commands
from qmterm.ui.bottom import NOTICE_S
from tests.ui.fake_engine import FakeDoor
from tests.ui.running import SMALL, running

REFUSAL = (
    "refused, nothing was sent: TRADE_LIMIT: one contract can lose 2,415.00, a trade may lose 2,016.84 (2 %"
    " of 100,842.10); a narrower spread or a further strike loses less"
)
SIZES = pytest.mark.parametrize("size", [SMALL, (120, 40)], ids=["80x24", "120x40"])


def words_of(screen):
    """All words of the bottom lines, as they are read."""
    return " ".join(screen.app.desk.bottom.text.split())


@SIZES
async def test_a_refusal_longer_than_the_line_is_shown_to_its_last_word(size):
    door = FakeDoor()
    door.ok, door.text = False, REFUSAL
    async with running(size, door) as screen:
        await screen.command("order buy 2 NVDA 17APR26 175C @ 4.15")
        assert isinstance(door.sent[-1], commands.StageTicket)
        assert REFUSAL in words_of(screen)
        assert "…" not in screen.app.desk.bottom.text


@SIZES
async def test_the_grammar_of_an_order_is_shown_to_its_last_word(size):
    async with running(size) as screen:
        await screen.command("order")
        assert "A / B @ 1.85 db" in words_of(screen)


async def test_the_keys_come_back_when_a_long_answer_has_had_its_time():
    door = FakeDoor()
    door.ok, door.text = False, REFUSAL
    async with running(SMALL, door) as screen:
        await screen.command("reconcile")
        assert "KK kill" not in screen.text
        bottom = screen.app.desk.bottom
        assert bottom._notice_until > screen.app.now() + NOTICE_S
        bottom._notice_until = 0.0
        await screen.frame()
        assert "KK kill" in screen.text


async def test_an_answer_that_came_while_a_line_was_typed_stands_in_full_after_it():
    async with running(SMALL) as screen:
        screen.app.desk.say(REFUSAL, "warn")
        await screen.press("colon")
        bottom = screen.app.desk.bottom
        bottom._notice_until = screen.app.now() + NOTICE_S
        await screen.frame()
        assert bottom._notice_until > screen.app.now() + NOTICE_S  # its time begins anew for as long as one types
        await screen.press("escape")
        assert REFUSAL in words_of(screen)


async def test_an_answer_that_three_lines_cannot_hold_opens_as_a_page():
    door = FakeDoor()
    door.text = "\n".join(f"cancel asked: e{number:04d} BUY 1 NVDA 17APR26 175C @ 4.15 db" for number in range(9))
    async with running(SMALL, door) as screen:
        await screen.command("reconcile")
        assert " ANSWER " in screen.text
        for number in range(9):
            assert f"e{number:04d}" in screen.text
        await screen.press("escape")
        assert screen.app.screen is screen.app.desk


async def test_a_mistake_longer_than_the_line_keeps_the_line_and_takes_two_under_it():
    async with running(SMALL) as screen:
        wrong = "orders NVDAXYZ" + "Q" * 30
        await screen.command(wrong)
        bottom = screen.app.desk.bottom
        assert bottom.open is not None
        assert "(orders takes a symbol or cancel or edit)" in words_of(screen)
        assert bottom.text.splitlines()[0].startswith(":")
