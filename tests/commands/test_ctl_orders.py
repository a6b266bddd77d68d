"""`qmterm ctl order`, `roll` and `edit`: what is asked, and the exit code a script decides by."""

from __future__ import annotations

import json

import pytest

from qmterm.commands import ctl
from qmterm.core.errors import ConfigError
from qmterm.engine.commands import ApproveProposal, EditOrder
from qmterm.engine.control import parse_verb
from qmterm.engine.show.order_list import order_words


@pytest.fixture
def asked(monkeypatch):
    words = []

    def ask(path, sent):
        words.append(sent)
        return answer

    answer = {"ok": True, "text": "proposed", "data": None, "refused": False}
    monkeypatch.setattr(ctl, "ask", ask)
    return words, answer


def test_send_is_a_word_of_the_request(asked, tmp_path):
    words, _ = asked
    assert ctl.run(["order", "buy 1 NVDA 17APR26 175C"], as_json=False, socket=tmp_path / "s", send=True) == 0
    assert words == [["order", "buy 1 NVDA 17APR26 175C", "--send"]]


def test_a_dearer_edit_is_said_with_its_own_word(asked, tmp_path):
    words, _ = asked
    assert ctl.run(["edit", "a320", "4.20"], as_json=False, socket=tmp_path / "s", dearer=True) == 0
    assert words == [["edit", "a320", "4.20", "--dearer"]]
    assert parse_verb(words[0]) == EditOrder("a320", "4.20", dearer=True)
    assert parse_verb(words[0][:3]) == EditOrder("a320", "4.20")
    with pytest.raises(ConfigError, match="belongs to ctl edit"):
        ctl.run(["pause"], as_json=False, socket=tmp_path / "s", dearer=True)


def test_send_belongs_to_orders_alone(asked, tmp_path):
    with pytest.raises(ConfigError, match="belongs to ctl order"):
        ctl.run(["pause"], as_json=False, socket=tmp_path / "s", send=True)


@pytest.mark.parametrize(
    ("data", "refused", "code"),
    [
        ({"code": "LIMIT_TRADE", "column": None}, True, 3),
        ({"code": "BAD_INPUT", "column": 4}, False, 2),
        (None, False, 1),
    ],
)
def test_the_exit_code_tells_risk_from_a_word_nobody_can_read(asked, tmp_path, data, refused, code):
    _, answer = asked
    answer.update(ok=False, data=data, refused=refused)
    assert ctl.run(["edit", "a320", "4.20"], as_json=True, socket=tmp_path / "s") == code


ORDER = {"proposal": None, "order": "em18f3a", "quantity": 1, "limit": "-4.15"}


@pytest.mark.parametrize("verb", ["order", "close", "roll", "approve", "edit"])
def test_what_was_sent_is_named_so_that_why_and_cancel_can_follow(asked, tmp_path, capsys, verb):
    _, answer = asked
    answer.update(text="sending BUY 1 NVDA 17APR26 175C @ 4.15 db", data=ORDER)
    words = [verb, "x", "4.15"] if verb in ("approve", "edit") else [verb, "x"]
    assert ctl.run(words, as_json=False, socket=tmp_path / "s") == 0
    assert capsys.readouterr().out.splitlines() == [
        "sending BUY 1 NVDA 17APR26 175C @ 4.15 db",
        "order em18f3a  (qmterm why ID, qmterm ctl cancel ID)",
    ]


def test_what_was_proposed_is_named_with_the_words_that_approve_it(asked, tmp_path, capsys):
    words, answer = asked
    answer.update(text="proposed BUY 1 NVDA", data=ORDER | {"order": None, "proposal": "pm18f3a"})
    assert ctl.run(["order", "buy 1 NVDA 17APR26 175C @ 4.15"], as_json=False, socket=tmp_path / "s") == 0
    shown = "proposal pm18f3a  (qmterm ctl approve pm18f3a -4.15, qmterm ctl reject pm18f3a)"
    assert capsys.readouterr().out.splitlines()[1] == shown
    assert ctl.run(["approve", "pm18f3a", "-4.15"], as_json=False, socket=tmp_path / "s") == 0
    assert parse_verb(words[-1]) == ApproveProposal("pm18f3a", "-4.15")


def test_the_words_that_approve_can_be_typed_as_they_are_shown(qmterm, home):
    assert "no engine answers" in qmterm("ctl", "approve", "pm18f3a", "-4.15")[2]
    code, _, err = qmterm("ctl", "kill", "--now")
    assert (code, "no option --now" in err) == (2, True)


def order(number, working, **changes):
    base = {
        "order_id": f"em18f{number}", "state": "live" if working else "cancelled", "working": working,
        "text": "BUY 2 NVDA 17APR26 175C @ 4.15 db", "filled": 1, "quantity": 2, "age_s": 37.2, "external": False,
        "strategy": "manual", "reason": "",
    }  # fmt: skip
    return base | changes


ROWS = [
    order(1, True),
    order(2, False, reason="by you"),
    order(33, True, external=True, filled=None, age_s=7_300, text="SELL 1 AMD 17APR26 130C @ 2.00 cr"),
]


def test_orders_are_listed_in_words_the_working_ones_and_what_was_left_out_is_counted(asked, tmp_path, capsys):
    words, answer = asked
    answer.update(text="3 order(s)", data=ROWS)
    assert ctl.run(["orders"], as_json=False, socket=tmp_path / "s") == 0
    assert words == [["orders", "all"]]
    assert capsys.readouterr().out.splitlines() == [
        "em18f1   live  BUY 2 NVDA 17APR26 175C @ 4.15 db  filled 1/2  37 s  manual",
        "em18f33  live  SELL 1 AMD 17APR26 130C @ 2.00 cr  filled –/2  2 h   placed elsewhere",
        "1 ended order(s) left out: qmterm ctl orders all",
    ]


def test_all_orders_are_listed_when_all_are_asked_for(asked, tmp_path, capsys):
    _, answer = asked
    answer.update(data=ROWS)
    assert ctl.run(["orders", "all"], as_json=False, socket=tmp_path / "s") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[1] == "cancelled"
    assert lines[1].endswith("by you")


def test_no_orders_are_said_in_words(asked, tmp_path, capsys):
    _, answer = asked
    for rows, words, said in (
        ([], ["orders"], ["no working orders"]),
        (ROWS[1:2], ["orders"], ["no working orders", "1 ended order(s) left out: qmterm ctl orders all"]),
        ([], ["orders", "all"], ["no orders"]),
    ):
        answer.update(data=rows)
        assert ctl.run(words, as_json=False, socket=tmp_path / "s") == 0
        assert capsys.readouterr().out.splitlines() == said


def test_orders_as_json_are_all_of_them(asked, tmp_path, capsys):
    words, answer = asked
    answer.update(data=ROWS)
    assert ctl.run(["orders"], as_json=True, socket=tmp_path / "s") == 0
    assert words == [["orders", "all"]]
    assert json.loads(capsys.readouterr().out)["data"] == ROWS


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "–"), (0, "0 s"), (99, "99 s"), (100, "1 m"), (6000, "1 h"), (172_800, "2 d")]
)
def test_ages_of_orders_have_units(seconds, said):
    assert said in order_words([order(1, True, age_s=seconds)], everything=False)[0].split("  ")
