"""`qmterm ctl order`, `roll` and `edit`: what is asked, and the exit code a script decides by."""

from __future__ import annotations

import pytest

from qmterm.commands import ctl
from qmterm.core.errors import ConfigError


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
