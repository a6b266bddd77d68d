"""`qmterm bars`: a whole session from its trades is the vendor's session."""

import json

import pytest


@pytest.fixture
def polygon(pointed_at, in_session):
    return pointed_at(in_session, broker="paper")


def test_every_bar_of_a_session_is_the_vendors_own_on_the_same_tape(qmterm, polygon):
    code, out, err = qmterm("bars", "AAPL", "--json")
    assert (code, err) == (0, "")
    body = json.loads(out.splitlines()[-1])
    assert (body["day"], body["same"], body["complete"]) == ("2026-02-27", True, True)
    assert body["trades"] > 1_500
    counts = {span["name"]: (span["ours"], span["theirs"], span["equal"]) for span in body["spans"]}
    assert counts == {"1 minute": (390,) * 3, "5 minutes": (78,) * 3, "60 minutes": (7,) * 3, "day": (1,) * 3}
    assert "390    390    390" in qmterm("bars", "AAPL")[1]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["AAPL", "--day", "2026-02-28"], "give a session that is over"),  # a Saturday
        (["AAPL", "--day", "2026-03-02"], "give a session that is over"),  # it still runs
        (["AAPL", "--day", "1066-10-14"], "give a session that is over"),
        (["AAPL", "--day", "friday"], "give a date such as"),
        (["NOSUCH"], "NOSUCH is not a stock"),
    ],
)
def test_wrong_use_is_a_sentence(qmterm, polygon, words, why):
    code, out, err = qmterm("bars", *words)
    assert (code, out) == (2, "")
    assert why in err
    assert err.count("\n") == 1
