"""Orders in words on the screen: `:order`, `e` on an order, `r` on a position. None of them sends a new order."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from qmterm.engine import commands
from qmterm.ui.acts_trade import named
from tests.ui.running import running


async def test_an_order_line_is_handed_to_the_engine_as_it_was_typed():
    async with running() as screen:
        await screen.command("order buy 2 NVDA 17APR26 175C / sell 2 NVDA 17APR26 180C @ 1.85 db gtc")
        assert screen.door.sent == [
            commands.StageTicket("buy 2 NVDA 17APR26 175C / sell 2 NVDA 17APR26 180C @ 1.85 db gtc")
        ]


async def test_a_wrong_word_is_pointed_at_and_the_line_stays_open():
    async with running() as screen:
        await screen.command("order  buy x NVDA")
        assert screen.door.sent == []
        line = screen.app.desk.bottom.open
        assert line is not None
        assert line.mistake.column == len("order  buy ")
        assert "no quantity" in screen.text
        assert "no quantity" in line.mistake.text


async def test_an_expired_contract_is_said_by_the_markets_own_day():
    async with running() as screen:
        await screen.command("order buy 1 NVDA 20FEB26 175C @ 4")
        assert screen.door.sent == []
        assert "expired on 2026-02-20" in screen.app.desk.bottom.open.mistake.text


async def test_order_alone_shows_the_grammar():
    async with running() as screen:
        await screen.command("order")
        assert screen.door.sent == []
        assert "buy 2 NVDA 17APR26 175C @ 4.15" in screen.status


async def test_e_opens_the_line_for_the_row_and_the_price_typed_there_is_sent():
    async with running() as screen:
        await screen.press("5")
        pane = screen.app.desk.panes["orders"]
        working = next(row for row in screen.door.snapshot.orders if row.working)
        while pane.order() is None or pane.order().order_id != working.order_id:
            await screen.press("j")
        await screen.press("e")
        assert screen.app.desk.bottom.open.editor.text == f"orders edit {working.short_id} "
        await screen.press("4", "full_stop", "2", "0", "enter")
        assert screen.door.sent == [commands.EditOrder(working.order_id, "4.20")]


def test_a_name_that_two_orders_share_is_nobodys():
    rows = [SimpleNamespace(order_id=name, short_id=name[-4:]) for name in ("xP1-1234", "xP2-1234", "eP1")]
    desk = SimpleNamespace(snapshot=SimpleNamespace(orders=rows, proposals=()))
    assert [named(desk, name) for name in ("1234", "xp2-1234", "eP1")] == [None, rows[1], rows[2]]


async def test_e_takes_the_whole_id_of_an_order_whose_short_one_another_has_too():
    async with running() as screen:
        await screen.press("5")
        desk = screen.app.desk
        shown = screen.door.snapshot
        working = next(row for row in shown.orders if row.working)
        twins = tuple(replace(row, short_id=working.short_id) for row in shown.orders)
        screen.door.current = replace(shown, orders=twins)
        await screen.frame()
        pane = desk.panes["orders"]
        while pane.order() is None or pane.order().order_id != working.order_id:
            await screen.press("j")
        await screen.press("e")
        assert desk.bottom.open.editor.text == f"orders edit {working.order_id} "


async def asked_for_more(screen):
    """An edit that the engine asks about, its page open and readable."""
    working = next(row for row in screen.door.snapshot.orders if row.working)
    told = commands.CommandResult(False, "nothing was sent yet: worst case +$10.00", {"code": commands.DEARER})
    screen.door.answer = lambda command: told
    await screen.command(f"orders edit {working.short_id} 4.20")
    await screen.settle()
    await screen.frame()
    screen.app.screen.shown_at -= 1.0
    screen.door.answer = lambda command: commands.CommandResult(True, "replacing")
    return working.order_id


async def test_a_dearer_edit_wants_a_word_and_enter_alone_sends_nothing():
    async with running() as screen:
        order_id = await asked_for_more(screen)
        assert "worst case +$10.00" in screen.text
        await screen.press("enter")
        assert screen.door.sent == [commands.EditOrder(order_id, "4.20")]
        await screen.press(*"DEARER", "enter")
        assert screen.door.sent[1:] == [commands.EditOrder(order_id, "4.20", dearer=True)]


async def test_a_dearer_edit_that_is_not_confirmed_leaves_the_order_as_it_was():
    async with running() as screen:
        await asked_for_more(screen)
        await screen.press("escape")
        assert len(screen.door.sent) == 1
        assert "stays as it was" in screen.status


async def test_e_on_a_proposal_or_an_order_that_ended_says_so():
    async with running() as screen:
        await screen.press("5", "g", "e")
        assert screen.door.sent == []
        assert "no working order" in screen.status
        await screen.command("orders edit zzzz 4.20")
        assert "no order 'zzzz'" in screen.status
        assert screen.door.sent == []


async def test_r_stages_a_roll_of_the_position_and_roll_names_where_to():
    async with running() as screen:
        await screen.press("3")
        await screen.press("r")
        row = screen.app.desk.panes["pos"].table.current
        assert screen.door.sent == [commands.RollPosition(row.position_id)]
        await screen.command("roll NVDA 15MAY26 180C @ 0.95 db")
        assert screen.door.sent[-1] == commands.RollPosition("NVDA 15MAY26 180C @ 0.95 db")
