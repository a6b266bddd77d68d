"""`qmterm chain` and `qmterm quote` against a simulator as a real host: ages, codes, one sentence for wrong use."""

import json
from datetime import date, timedelta

import pytest

from qmterm.commands.chain import parse_expiry
from qmterm.commands.market_session import age_words
from qmterm.core.errors import BadInput
from tests.commands.conftest import Simulator

ROW = {
    "occ", "expiry", "strike", "right", "bid", "ask", "iv", "iv_status", "delta", "gamma", "theta", "vega", "rho",
    "vendor_iv", "vendor_delta", "vendor_gamma", "vendor_theta", "vendor_vega",
    "volume", "open_interest", "liquidity_score", "age_s", "code",
}  # fmt: skip


@pytest.fixture
def polygon(pointed_at, in_session):
    """The simulator as if it were the real host: no --source sim."""
    return pointed_at(in_session, broker="paper")


def last_json(out):
    return json.loads(out.splitlines()[-1])


@pytest.fixture
def chain(qmterm, polygon):
    def ask(*words):
        code, out, err = qmterm("chain", *words, "--json")
        assert code == 0, err
        return last_json(out)

    return ask


def test_a_chain_is_rows_of_known_numbers_or_codes(chain):
    body = chain("AAPL", "--expiry", "30")
    rows = body["rows"]
    assert rows
    assert rows[0].keys() >= ROW
    assert body["symbol"] == "AAPL"
    assert body["spot"] > 0
    assert len({row["expiry"] for row in rows}) == 1
    keys = [(row["expiry"], row["strike"], row["right"]) for row in rows]
    assert keys == sorted(keys)
    near = min(rows, key=lambda row: abs(row["strike"] - body["spot"]))
    assert near["iv_status"] == "OK"
    assert near["iv"] == pytest.approx(near["vendor_iv"], rel=0.05)
    assert near["age_s"] < 60
    assert near["code"] is None
    for row in rows:
        assert (row["iv"] is not None) == (row["iv_status"] in ("OK", "LOW_VEGA"))


def test_days_to_expiry_find_the_nearest_listed_date(chain):
    every = sorted({date.fromisoformat(row["expiry"]) for row in chain("AAPL")["rows"]})
    assert len(every) > 3
    today = every[0] - timedelta(days=chain("AAPL", "--expiry", every[0].isoformat())["rows"][0]["dte"])
    found = chain("AAPL", "--expiry", "33")["rows"][0]["expiry"]
    nearest = min(every, key=lambda day: abs((day - today).days - 33))
    assert found == nearest.isoformat()


def test_strikes_are_those_around_the_price(chain):
    body = chain("AAPL", "--expiry", "30", "--strikes", "3")
    strikes = sorted({row["strike"] for row in body["rows"]})
    assert len(strikes) == 6
    assert strikes[2] <= body["spot"] <= strikes[3]


def test_the_table_ends_with_what_it_is(qmterm, polygon):
    code, out, err = qmterm("chain", "AAPL", "--expiry", "30", "--strikes", "2")
    assert (code, err) == (0, "")
    *table, last = out.splitlines()
    assert len(table) == 1 + 8
    assert last.startswith("8 contracts of AAPL at ")
    assert "market" in last


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("NOSUCH",), "NOSUCH is not a stock that the data server knows"),
        (("AAPL", "--expiry", "2026-03-14"), "has no options that expire then; near it: 2026-03-"),
        (("AAPL", "--expiry", "2020-01-17"), "has passed"),
        (("AAPL", "--expiry", "soon"), "give a date such as"),
        (("AAPL", "--expiry", "²"), "give a date such as"),  # a digit, and no number
        (("AAPL", "--expiry", "99999999999999"), "no option is listed so many days ahead"),
        (("AAPL", "--expiry", "9999-12-31"), "no option is listed so many days ahead"),
        (("AAPL  260417C00230000",), "is one contract"),
        (("AAPL", "--strikes", "0"), "1 or more"),
        (("AAPL", "--sim", "http://127.0.0.1:1"), "--sim belongs to --source sim"),
    ],
)
def test_wrong_use_is_one_sentence_and_code_2(qmterm, polygon, words, sentence):
    code, out, err = qmterm("chain", *words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_without_a_key_it_says_how_to_give_one(qmterm, home):
    code, out, err = qmterm("chain", "AAPL")
    assert (code, out) == (2, "")
    assert "QMTERM_POLYGON_KEY is not set" in err
    assert "without a key: --source sim" in err
    assert "--source sim" not in qmterm("quote", "AAPL", "--source", "polygon")[2]


def test_a_refused_key_is_not_in_the_sentence(qmterm, polygon, monkeypatch):
    monkeypatch.setenv("QMTERM_POLYGON_KEY", "wrong-key-abcdef")
    code, _, err = qmterm("quote", "AAPL")
    assert code == 1
    assert "key is not accepted" in err
    assert "wrong-key-abcdef" not in err


def test_quotes_of_stocks_and_contracts_in_one_question(qmterm, polygon, chain):
    occ = chain("AAPL", "--expiry", "30", "--strikes", "1")["rows"][0]["occ"]
    code, out, _ = qmterm("quote", "aapl", "SPY", occ, "--json")
    assert code == 0
    body = last_json(out)
    stock, _, option = body["rows"]
    assert (stock["symbol"], stock["kind"], stock["source"]) == ("AAPL", "stock", "snapshot")
    assert 0 < stock["bid"] < stock["ask"]
    assert stock["age_s"] < 60
    assert stock["code"] is None
    assert (option["symbol"], option["kind"], option["source"]) == (occ, "option", "chain snapshot")
    assert 0 <= option["bid"] < option["ask"]


def test_an_unknown_name_is_a_row_and_code_1(qmterm, polygon):
    code, out, err = qmterm("quote", "AAPL", "NOSUCH", "--json")
    assert code == 1
    assert [row["code"] for row in last_json(out)["rows"]] == [None, "NO_DATA"]
    assert err == "qmterm: not known to the data server: NOSUCH\n"


def test_only_unknown_names_are_wrong_use(qmterm, polygon):
    code, out, err = qmterm("quote", "NOSUCH")
    assert (code, out) == (2, "")
    assert "NOSUCH: not known" in err


def test_a_contract_that_expired_says_so(qmterm, polygon):
    code, out, _ = qmterm("quote", "AAPL250117C00200000", "--json")
    assert code == 0
    assert last_json(out)["rows"][0]["code"] == "EXPIRED"


def test_a_plan_without_quotes_shows_the_last_price_and_why(qmterm, pointed_at, starter):
    pointed_at(starter, broker="paper")
    code, out, _ = qmterm("quote", "AAPL", "--json")
    assert code == 0
    body = last_json(out)
    (row,) = body["rows"]
    assert body["delayed"]
    assert (row["bid"], row["ask"], row["code"]) == (None, None, "NOT_ENTITLED")


@pytest.fixture(scope="module")
def saturday():
    simulator = Simulator("advanced", "--start", "2026-03-07T12:00")
    yield simulator
    simulator.close()


def test_quotes_of_a_closed_market_keep_their_age_and_code(qmterm, pointed_at, saturday):
    pointed_at(saturday, broker="paper")
    code, out, _ = qmterm("chain", "AAPL", "--expiry", "30", "--strikes", "1", "--json")
    body = last_json(out)
    assert (code, body["market"]) == (0, "closed")
    for row in body["rows"]:
        assert row["age_s"] > 3_600
        assert row["code"] == "STALE_QUOTE"
        assert row["bid"] is not None


def test_a_simulated_market_of_its_own_is_looked_at_in_the_session(qmterm, home):
    code, out, _ = qmterm(
        "chain", "AAPL", "--expiry", "30", "--strikes", "3", "--source", "sim", "--symbols", "50", "--json"
    )
    body = last_json(out)
    assert (code, body["market"], body["market_time"][:16]) == (0, "regular", "2026-03-02T10:00")
    assert {row["code"] for row in body["rows"]} == {None}
    assert max(row["age_s"] for row in body["rows"]) < 60


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, None), (0.0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3_569.0, "59 min"), (3_571.0, "1.0 h"),
        (86_219.0, "23.9 h"), (86_221.0, "1.0 d"), (235_507.0, "2.7 d"), (99.96 * 86_400, "100 d"),
    ],
)  # fmt: skip
def test_an_age_in_a_table_has_the_unit_that_suits_it(seconds, words):
    assert age_words(seconds) == words


def test_expiry_words():
    assert parse_expiry(None) is None
    assert parse_expiry("30") == 30
    assert parse_expiry("2026-04-17") == date(2026, 4, 17)
    with pytest.raises(BadInput):
        parse_expiry("4/17")
