import pytest
from pydantic import ValidationError

from qmterm.core.settings.screen import ScreenSettings
from qmterm.ui.actions import ACTIONS, actions_for, footer, verbs
from qmterm.ui.dialogs import help_lines
from qmterm.ui.keymap import build_keymap, key_name
from qmterm.ui.palette import text_of
from qmterm.ui.pane import PANES


def test_the_shipped_table_has_no_clash_and_no_double_id():
    assert build_keymap(ACTIONS, {}).problems == ()
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert len([action for action in ACTIONS if action.verb]) == len(verbs())


def test_a_panes_own_key_goes_before_a_global_one():
    keymap = build_keymap(ACTIONS, {})
    assert keymap.find("orders", "d").id == "orders.cancel"
    assert keymap.find("scan", "d") is None
    assert keymap.find("chain", "h").id == "chain.expiry_before"
    assert keymap.find("scan", "a").id == "approve"


def test_own_keys_replace_the_shipped_ones():
    keymap = build_keymap(ACTIONS, {"approve": ("Y",), "chain.buy": ("b", "ctrl+b")})
    assert keymap.find("scan", "a") is None
    assert keymap.find("scan", "Y").id == "approve"
    assert keymap.find("chain", "ctrl+b").id == "chain.buy"
    assert keymap.problems == ()


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"approve": ("P",)}, ["'P'", "approve", "pause", "keeps it"]),
        ({"aprove": ("A",)}, ["aprove", "'approve'"]),
        ({"approve": ("Hello World",)}, ["approve", "not a key"]),
        ({"approve": ("ctrl+m",)}, ["ctrl+m", "not a key"]),
    ],
)
def test_a_bad_key_is_reported_in_one_sentence(own, words):
    problems = build_keymap(ACTIONS, own).problems
    assert problems
    for word in words:
        assert word in problems[0]


def test_keys_are_named_by_what_they_print():
    assert key_name("question_mark", "?") == "?"
    assert key_name("K", "K") == "K"
    assert key_name("space", " ") == "space"
    assert key_name("ctrl+r", "\x12") == "ctrl+r"
    assert key_name("enter", "\r") == "enter"


def test_settings_take_one_key_or_a_list_and_refuse_ages_that_do_not_rise():
    assert ScreenSettings(keys={"approve": "A"}).keys == {"approve": ("A",)}
    with pytest.raises(ValidationError, match="rising"):
        ScreenSettings(quote_age_s=(5, 2, 15))


def test_footer_and_help_come_from_the_table_in_their_effective_form():
    keymap = build_keymap(ACTIONS, {"approve": ("A",)})
    assert ("A", "approve") in footer(keymap.keys_of, "")
    assert ("KK", "kill") in footer(keymap.keys_of, "")
    assert ("h/l", "expiry") in footer(keymap.keys_of, "chain")
    for pane in PANES:
        text = "\n".join(text_of(line) for line in help_lines(pane, actions_for(pane), keymap.keys_of))
        for action in actions_for(pane):
            assert action.help in text


def test_no_key_is_bound_to_sending():
    """Everything that can send lives behind the dialog: no act sends an approval itself."""
    from pathlib import Path

    import qmterm.ui

    senders = [
        path.name for path in Path(qmterm.ui.__file__).parent.rglob("*.py") if "ApproveProposal(" in path.read_text()
    ]
    assert senders == ["desk.py"]
