"""`qmterm news` and `qmterm flow`: what they say, what they cover, one sentence where there is nothing to ask."""

import asyncio
import json
import threading
from datetime import date

import pytest

from qmterm.commands.places import places
from qmterm.core.clock import from_et
from qmterm.engine.commands import CommandResult, ReadFlow
from qmterm.engine.control import ControlSocket


@pytest.fixture
def polygon(pointed_at, in_session):
    return pointed_at(in_session, broker="paper")


def last_json(out):
    return json.loads(out.splitlines()[-1])


def test_the_news_of_a_stock_make_one_number(qmterm, polygon):
    code, out, err = qmterm("news", "AAPL", "--json")
    assert code == 0, err
    body = last_json(out)
    assert {"symbol", "sentiment", "n", "label", "rows", "market_time"} <= body.keys()
    assert body["n"] >= len(body["rows"])
    assert -1 < body["sentiment"] < 1
    for row in body["rows"]:
        assert "AAPL" in row["symbols"]
        assert row["age_s"] <= 72 * 3_600


def test_news_of_an_unknown_stock_is_wrong_use(qmterm, polygon):
    code, out, err = qmterm("news", "NOSUCH")
    assert (code, out) == (2, "")
    assert "NOSUCH is not a stock" in err


def test_flow_over_rest_says_what_it_covers(qmterm, polygon):
    code, out, err = qmterm("flow", "AAPL", "--contracts", "3", "--json")
    assert code == 0, err
    body = last_json(out)
    assert body["from"] == "rest"
    (covered,) = body["covered"]
    assert covered["underlying"] == "AAPL"
    assert covered["contracts"] == 3
    assert 0 < covered["volume_share"] <= 1
    assert covered["complete"], "the simulator tells every trade of its snapshot's volume"
    assert covered["trades"] > 20
    assert body["seen"] >= covered["trades"] > 0
    times = [row["time_ns"] for row in body["prints"]]
    assert times == sorted(times, reverse=True)
    for row in body["prints"]:
        assert row["what"] in ("SWEEP", "BLOCK", "SWEEP+BLOCK")
        assert 0 <= row["score"] <= 100
        assert "20-day volume" in row["missing"]
    _, table, _ = qmterm("flow", "AAPL", "--contracts", "3")
    assert "AAPL: 3 of" in table.splitlines()[-1]


def test_flow_without_an_engine_or_a_name_says_what_to_do(qmterm, home):
    code, out, err = qmterm("flow")
    assert (code, out) == (1, "")
    assert "name symbols" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [("AAPL", "--contracts", "0"), tuple(f"A{i}" for i in range(11))])
def test_too_much_or_too_little_is_wrong_use(qmterm, home, words):
    assert qmterm("flow", *words)[0] == 2


PRINT = {
    "time_ns": from_et(date(2026, 3, 2), 9, 48, 12), "label": "AAPL 02APR26 275C", "what": "SWEEP", "kind": "ISO",
    "side": "BID", "size": 11, "price": 2.76, "premium": 3036.0, "vol_oi": 0.21, "opening": "", "score": 37.0,
}  # fmt: skip


@pytest.fixture
def engine(home):
    """A running engine that watches one stock."""

    async def answer(command):
        assert isinstance(command, ReadFlow)
        data = {"prints": [PRINT], "contracts": [], "underlyings": ["AAPL"], "seen": 7, "cancelled": 0, "dropped": 2}
        return CommandResult(True, "", data)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    socket = ControlSocket(places().socket, answer)
    asyncio.run_coroutine_threadsafe(socket.open(), loop).result(5)
    yield socket
    asyncio.run_coroutine_threadsafe(socket.close(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_a_running_engine_is_asked_first(qmterm, engine):
    code, out, _ = qmterm("flow", "AAPL", "--json")
    assert code == 0
    assert (last_json(out)["from"], last_json(out)["seen"]) == ("engine", 7)
    assert "2 prints came too fast" in qmterm("flow")[1]


def test_ctl_flow_lists_what_flow_lists(qmterm, engine):
    code, out, err = qmterm("ctl", "flow", "AAPL")
    assert (code, err) == (0, "")
    assert out == qmterm("flow", "AAPL")[1]
    assert "09:48:12" in out.splitlines()[1]
