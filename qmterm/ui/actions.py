"""The one table of actions: keys, footer, help and `:` verbs are all derived from it.

A single key may stage, pause or cancel; none may send or add risk. Sending happens in one place, the confirm
dialog, with a letter that is drawn anew each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qmterm.ui import acts_orders as orders
from qmterm.ui import acts_trade as trade
from qmterm.ui import acts_view as view
from qmterm.ui.action import Action, shown_key

ACTIONS: Final[tuple[Action, ...]] = (
    # --- acts on a row: first in the footer ---
    Action("scan.chain", ("enter",), "scan", "the chain of the symbol", view.drill_scan, word="chain"),
    Action("chain.buy", ("b",), "chain", "stage a buy of the leg",
            trade.buy, "buy", "buy", "count", danger=True),
    Action("chain.sell", ("s",), "chain", "stage a sell of the leg",
            trade.sell, "sell", "sell", "count", danger=True),
    Action("chain.expiry_before", ("h",), "chain", "earlier expiry", view.expiry_before, word="expiry"),
    Action("chain.expiry_after", ("l",), "chain", "later expiry", view.expiry_after, word="expiry"),
    Action("chain.calls", ("left",), "chain", "choose the calls", view.calls, word="side"),
    Action("chain.puts", ("right",), "chain", "choose the puts", view.puts, word="side"),
    Action("pos.close", ("x",), "pos", "stage a close of the position",
            trade.close, "close", "close", "position", True),
    Action("pos.roll", ("r",), "pos", "stage a roll to the next expiry (:roll NAME 15MAY26 180C)",
            orders.roll, "roll", "roll", "roll", True),
    Action("pos.chain", ("enter",), "pos", "the chain of the underlying", view.drill_position, word="chain"),
    Action("pos.buy", ("b",), "pos", "stage a buy of the contract", trade.buy, danger=True),
    Action("pos.sell", ("s",), "pos", "stage a sell of the contract", trade.sell, danger=True),
    Action("orders.cancel", ("d",), "orders", "reject the proposal, cancel the order",
            trade.drop, "orders cancel", "drop", "order", True),
    Action("orders.edit", ("e",), "orders", "another price for the order (:orders edit ID 4.20)",
            orders.edit, "orders edit", "edit", "edit", True),
    Action("orders.why", ("enter",), "orders", "the decision trail of the row", trade.why_row),
    Action("log.read", ("enter",), "log", "the whole line", view.read_line, word="read"),
    # --- everywhere ---
    Action("approve", ("a",), "", "open the page whose letter sends",
            trade.approve, "approve", "approve", "order"),
    Action("why", ("w",), "", "why: the decision trail of the row", trade.why, "why", "why", "symbol"),
    Action("filter", ("/",), "", "filter rows (/!text: rows without it)",
            view.filter_rows, "filter", "filter", "text"),
    Action("sort", ("S",), "", "sort by the next column", view.sort, "sort", "sort", "column"),
    Action("reverse", (",",), "", "turn the sort around", view.reverse),
    Action("next_match", ("n",), "", "next row that matches", view.next_match),
    Action("previous_match", ("N",), "", "previous row that matches", view.previous_match),
    Action("zoom", ("z",), "", "this pane alone, and back", view.zoom, "zoom", "zoom"),
    Action("pause", ("P",), "", "no new entries; again: go on",
            trade.pause_or_resume, word="pause", danger=True),
    Action("kill", ("K",), "", "twice in a second: cancel all orders, halt",
            trade.kill_key, word="kill", danger=True),
    Action("flatten", ("F",), "", "close everything (wants FLAT typed)",
            trade.flatten, "flatten", "flatten", danger=True),
    Action("arm", ("A",), "", "let real money move (wants the account)",
            trade.arm, "arm", danger=True),
    Action("command", (":",), "", "command line", view.command_line, word="command"),
    Action("help", ("?",), "", "keys of this pane", view.help_text, "help", "help"),
    Action("back", ("-",), "", "back to where you were", view.back, "back", "back"),
    Action("quit", ("q", "ctrl+c"), "", "leave the screen", view.leave, "quit", "quit"),
    Action("next_pane", ("tab",), "", "next pane", view.next_pane, word="pane"),
    Action("previous_pane", ("shift+tab",), "", "previous pane", view.previous_pane),
    Action("desk", ("0",), "", "all panes (from 120x40)", view.desk, "desk"),
    Action("show.scan", ("1",), "", "scanner", view.show("scan"), "scan", takes="symbol"),
    Action("show.chain", ("2",), "", "option chain", view.show("chain"), "chain", takes="symbol"),
    Action("show.pos", ("3",), "", "positions", view.show("pos"), "pos", takes="symbol"),
    Action("show.risk", ("4",), "", "risk", view.show("risk"), "risk"),
    Action("show.orders", ("5",), "", "orders and proposals", view.show("orders"), "orders", takes="symbol"),
    Action("show.log", ("7",), "", "log", view.show("log"), "log", takes="text"),
    Action("down", ("j", "down"), "", "down", view.move(1)),
    Action("up", ("k", "up"), "", "up", view.move(-1)),
    Action("page_down", ("pagedown", "ctrl+d"), "", "a page down", view.page(1)),
    Action("page_up", ("pageup", "ctrl+u"), "", "a page up", view.page(-1)),
    Action("first", ("g", "home"), "", "first row", view.end(last=False)),
    Action("last", ("G", "end"), "", "last row", view.end(last=True)),
    Action("escape", ("escape",), "", "clear the filter", view.escape),
    Action("reconcile", ("ctrl+r",), "", "compare with the broker", trade.reconcile, "reconcile"),
    Action("repaint", ("ctrl+l",), "", "draw everything anew", view.repaint),
    # --- verbs without a key ---
    Action("order", (), "", "stage an order: buy 2 NVDA 17APR26 175C @ 4.15",
            orders.order, "order", takes="ticket", danger=True),
    Action("pause.verb", (), "", "no new entries", trade.pause, "pause", danger=True),
    Action("resume", (), "", "let entries go on, from any state", trade.resume, "resume", danger=True),
    Action("kill.verb", (), "", "cancel all orders, halt (wants a typed yes)",
            trade.kill_verb, "kill", takes="yes", danger=True),
    Action("disarm", (), "", "no real money any more", trade.disarm, "disarm"),
    Action("theme", (), "", "another theme", view.theme, "theme", takes="theme"),
    Action("quit.engine", (), "", "stop the engine and leave (asks first)",
            view.stop_engine, "quit engine", takes="yes"),
    Action("keys", (), "", "problems with your own keys", view.key_problems, "keys"),
)  # fmt: skip


def actions_for(pane: str) -> tuple[Action, ...]:
    """The pane's own first, then the global ones."""
    own = tuple(action for action in ACTIONS if action.pane == pane)
    return own + tuple(action for action in ACTIONS if action.pane == "")


def verbs() -> dict[str, Action]:
    return {action.verb: action for action in ACTIONS if action.verb}


def footer(keymap_keys: Mapping[str, tuple[str, ...]], pane: str) -> list[tuple[str, str]]:
    """(key, word) of the pane's own acts ("" = the global ones); acts that share a word share a place (h/l expiry)."""
    hints: dict[str, str] = {}
    for action in ACTIONS:
        keys = keymap_keys.get(action.id, ())
        if action.pane == pane and action.word and keys:
            key = shown_key(keys[0]) * (2 if action.id == "kill" else 1)
            hints[action.word] = f"{hints[action.word]}/{key}" if action.word in hints else key
    return [(key, word) for word, key in hints.items()]
