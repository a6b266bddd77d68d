import pytest

from qmterm.ui.actions import verbs
from qmterm.ui.editor import LineEditor
from qmterm.ui.verbs import Mistake, completions, parse

VERBS = verbs()
ALIASES = {"OMON": "chain", "PF": "pos"}
SYMBOLS = frozenset({"NVDA", "AMD"})


@pytest.mark.parametrize(
    ("typed", "action", "args"),
    [
        ("nvda chain", "show.chain", ("nvda",)),
        ("NVDA OMON", "show.chain", ("NVDA",)),
        ("chain nvda", "show.chain", ("nvda",)),
        ("PF", "show.pos", ()),
        ("nvda", "show.chain", ("NVDA",)),
        ("xyz chain", "show.chain", ("xyz",)),
        ("orders cancel a320", "orders.cancel", ("a320",)),
        ("theme paper", "theme", ("paper",)),
        ("quit", "quit", ()),
        ("quit engine", "quit.engine", ()),
        ("  pause ", "pause.verb", ()),
        ("sort conf asc", "sort", ("conf", "asc")),
        ("amd orders", "show.orders", ("amd",)),
    ],
)
def test_verbs_are_understood_with_the_symbol_first_or_last(typed, action, args):
    request = parse(typed, VERBS, ALIASES, SYMBOLS)
    assert (request.action.id, request.args) == (action, args)


@pytest.mark.parametrize(
    ("typed", "column", "word"),
    [
        ("puase", 0, "'pause'"),
        ("xyz", 0, "no verb"),
        ("orders cancl a3", 7, "cancel"),
        ("nvda foo", 5, "foo"),
        ("theme paper x", 12, "one word"),
        ("pause now", 6, "nothing"),
        ("chain !!", 6, "not a symbol"),
    ],
)
def test_a_mistake_points_at_its_word(typed, column, word):
    mistake = parse(typed, VERBS, ALIASES, SYMBOLS)
    assert isinstance(mistake, Mistake)
    assert mistake.column == column
    assert word in mistake.text


def test_an_empty_line_is_nothing():
    assert parse("   ", VERBS, ALIASES, SYMBOLS) is None


def test_tab_offers_verbs_symbols_and_arguments():
    words = {"symbol": ("NVDA", "NFLX"), "theme": ("paper", "midnight"), "order": ("a320",)}
    assert completions("th", VERBS, words) == ["theme"]
    assert completions("theme p", VERBS, words) == ["paper"]
    assert completions("N", VERBS, words)[:2] == ["NFLX", "NVDA"]
    assert completions("orders c", VERBS, words) == ["cancel"]
    assert completions("orders cancel a", VERBS, words) == ["a320"]
    assert "chain" in completions("nvda c", VERBS, words)


def typed(editor, *keys):
    return [editor.key(key) for key in keys][-1]


def test_a_line_is_edited_like_a_shell():
    editor = LineEditor(":")
    typed(editor, *"pauxe", "left", "left", "delete", "s")
    assert (editor.text, editor.cursor) == ("pause", 4)
    typed(editor, "home", "x", "ctrl+e", "space", "y", "ctrl+w")
    assert editor.text == "xpause "
    typed(editor, "ctrl+u")
    assert editor.text == ""
    assert typed(editor, "backspace") == "cancel"
    assert typed(editor, "enter") == "done"
    assert typed(editor, "escape") == "cancel"


def test_history_goes_back_and_comes_back_to_what_was_typed():
    history = []
    for line in ("pause", "theme paper", "theme paper"):
        editor = LineEditor(":", history=history)
        editor.insert(line)
        editor.remember()
    assert history == ["pause", "theme paper"]
    editor = LineEditor(":", history=history)
    typed(editor, "q", "up")
    assert editor.text == "theme paper"
    typed(editor, "up", "up")
    assert editor.text == "pause"
    typed(editor, "down", "down")
    assert editor.text == "q"


def test_tab_completes_what_candidates_share_and_lists_them():
    editor = LineEditor(":", complete=lambda text: [word for word in ("paper", "pause") if word.startswith(text)])
    typed(editor, "p", "tab")
    assert (editor.text, editor.choices) == ("pa", ("paper", "pause"))
    typed(editor, "u", "tab")
    assert editor.text == "pause "


def test_pasted_control_characters_do_not_reach_the_line():
    editor = LineEditor(":")
    editor.insert("pau\x1bse\n")
    assert "\x1b" not in editor.text
