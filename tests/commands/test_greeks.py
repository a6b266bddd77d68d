"""`qmterm greeks`: the same rows come back with volatility, price and Greeks, whatever wrote the table."""

import csv
import io
import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.commands.greeks import run
from qmterm.core.clock import from_et
from qmterm.core.errors import BadInput
from qmterm.quant.options import american, black_scholes, european
from qmterm.quant.options.dividends import DividendTable

NOW = from_et(date(2026, 3, 2), 15, 30)
HEADER = "spot,strike,years,right,price,style\n"
ROW = "100,105,0.5,C,4.25,european\n"
PLAIN = ["spot", "strike", "years", "right", "price", "style"]
ANSWERS = ["iv", "status", "delta", "gamma", "theta", "vega", "rho", "reason"]


def answered(text, **more):
    """(exit code, rows as dictionaries, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    code = run(text, "chain.csv", NOW, out=out, err=err, **more)
    return code, list(csv.DictReader(io.StringIO(out.getvalue()))), err.getvalue()


def as_json(text, **more):
    out, err = io.StringIO(), io.StringIO()
    run(text, "chain.csv", NOW, out=out, err=err, as_json=True, **more)
    return json.loads(out.getvalue().splitlines()[-1])


def one(text, **more):
    code, rows, said = answered(text, **more)
    assert (code, len(rows)) == (0, 1), (rows, said)
    return rows[0]


def numbers(row, *names):
    return [float(row[name]) for name in names]


GREEKS = ("delta", "gamma", "theta", "vega", "rho")


def test_a_price_is_answered_with_its_volatility_and_greeks():
    row = one(HEADER + ROW)
    solved = european.solve(4.25, 100, 105, 0.5, 0.04, 0.0, True)
    assert list(row) == [*PLAIN, *ANSWERS]
    assert row["status"] == "OK"
    assert row["price"] == "4.25"
    assert numbers(row, "iv", *GREEKS) == pytest.approx([float(getattr(solved, name)) for name in ("iv", *GREEKS)])


def test_a_volatility_is_answered_with_its_price_and_the_round_trip_gives_it_back():
    row = one("spot,strike,years,right,vol,style\n100,105,0.5,put,0.31,european\n")
    assert float(row["price"]) == pytest.approx(float(black_scholes.price(100, 105, 0.5, 0.04, 0, 0.31, False)))
    back = one(HEADER + f"100,105,0.5,P,{row['price']},european\n")
    assert float(back["iv"]) == pytest.approx(0.31, abs=1e-10)
    assert numbers(back, *GREEKS) == pytest.approx(numbers(row, *GREEKS), abs=1e-9)


def test_american_is_what_a_row_without_a_style_gets_and_that_is_said():
    code, rows, said = answered("spot,strike,years,right,vol,rate\n100,110,0.5,P,0.25,0.05\n")
    assert code == 0
    assert "1 row(s) without a style: priced as American" in said
    found = american.greeks(100, 110, 0.5, 0.05, 0.0, 0.25, False)
    assert numbers(rows[0], "price", *GREEKS) == pytest.approx(
        [float(getattr(found, name)) for name in ("price", *GREEKS)], abs=1e-9
    )
    assert float(rows[0]["price"]) > float(black_scholes.price(100, 110, 0.5, 0.05, 0.0, 0.25, False)) + 0.05


def test_an_american_price_gives_its_volatility_back():
    row = one("spot,strike,years,right,vol,style\n100,110,0.5,P,0.25,american\n")
    back = one(HEADER + f"100,110,0.5,P,{row['price']},american\n")
    assert float(back["iv"]) == pytest.approx(0.25, abs=1e-6)


def test_dividends_are_escrowed_whichever_way_they_are_written():
    head = "spot,strike,days,right,vol,style,rate,dividends\n"
    texts = ("20d:0.8;111d:0.8", '"[[20, 0.8], [111, 0.8]]"', f"{20 / 365!r}:0.8|{111 / 365!r}:0.8")
    found = [one(f"{head}100,95,120,C,0.25,american,0.04,{text}\n") for text in texts]
    assert len({row["price"] for row in found}) <= 2  # the last digit of days/365 may differ
    table = DividendTable.shared([(20 / 365, 0.8), (111 / 365, 0.8)])
    assert float(found[0]["price"]) == pytest.approx(
        float(american.price(100, 95, 120 / 365, 0.04, 0.0, 0.25, True, table)), abs=1e-9
    )
    assert float(found[0]["price"]) == pytest.approx(8.469615986, abs=5e-3)  # golden american_dividends.csv


def test_a_european_row_with_dividends_has_the_greeks_of_the_price_it_is_given():
    """Theta and rho count the moving value of the dividends: checked by moving time and rate."""
    head = "spot,strike,years,right,vol,style,rate,dividends\n"

    def at(years=0.5, rate=0.04, paid=0.25):
        return one(f"{head}100,100,{years!r},C,0.3,european,{rate!r},{paid!r}:2.0\n")

    base, day = at(), 1 / 365
    half = [float(at(years=0.5 + side * day / 2, paid=0.25 + side * day / 2)["price"]) for side in (-1, 1)]
    assert float(base["theta"]) == pytest.approx(half[0] - half[1], rel=1e-4)
    bumped = [float(at(rate=0.04 + side * 1e-4)["price"]) for side in (-1, 1)]
    assert float(base["rho"]) == pytest.approx((bumped[1] - bumped[0]) / 0.02, rel=1e-5)


def test_past_and_late_dividends_change_nothing():
    head = "spot,strike,years,right,vol,style,dividends\n100,95,0.3,C,0.25,american,"
    without = one(head + "\n")
    assert one(head + "2026-03-01:5;2026-12-15:5\n")["price"] == without["price"]
    assert float(one(head + "2026-05-15:5\n")["price"]) < float(without["price"]) - 1


def test_an_expiry_date_ends_at_the_close_also_on_a_half_day():
    head = "spot,strike,expiry,right,vol,style\n"
    used = [
        one(f"{head}100,100,{day},C,0.2,european\n", explain=True) for day in ("2026-04-17", "2026-11-27", "11/27/2026")
    ]
    ends = [from_et(date(2026, 4, 17), 16), *[from_et(date(2026, 11, 27), 13)] * 2]
    assert numbers_of(used, "used_years") == pytest.approx([(end - NOW) / 1e9 / 31_536_000 for end in ends], rel=1e-12)


def numbers_of(rows, name):
    return [float(row[name]) for row in rows]


def test_an_index_symbol_is_european_and_its_monthly_root_ends_in_the_morning():
    head = "symbol,spot,strike,expiry,right,vol\n"
    monthly, weekly, stock = (
        one(f"{head}{symbol},6000,6000,2026-04-17,C,0.15\n", explain=True) for symbol in ("SPX", "SPXW", "AAPL")
    )
    assert [row["used_style"] for row in (monthly, weekly, stock)] == ["european", "european", "american"]
    assert float(weekly["used_years"]) - float(monthly["used_years"]) == pytest.approx(6.5 / 24 / 365, rel=1e-9)
    assert monthly["years_from"] == "to 09:30 New York"


def test_an_occ_symbol_says_strike_right_and_expiry():
    said = one("contract,spot,price\nAAPL  260417C00230000,235,12.5\n", explain=True)
    told = one("spot,strike,expiry,right,price\n235,230,2026-04-17,C,12.5\n", explain=True)
    assert [said[name] for name in ("iv", *GREEKS, "used_years")] == [
        told[name] for name in ("iv", *GREEKS, "used_years")
    ]


def test_a_quote_stands_for_a_price_when_it_can():
    head = "spot,strike,years,right,bid,ask,style\n100,105,0.5,C,"
    good = one(head + "4.20,4.30,european\n")
    assert (good["price"], good["iv"]) == ("4.25", one(HEADER + ROW)["iv"])
    statuses = {"4.30,4.20": "CROSSED", "0,0.05": "NO_QUOTE", ",": "NO_QUOTE", "1,2.5": "WIDE_SPREAD"}
    for quote, status in statuses.items():
        row = one(f"{head}{quote},european\n")
        assert (row["status"], row["iv"], row["price"]) == (status, "", "")
        assert row["reason"]


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ("100,105,0.5,C,,european", "NO_QUOTE"),
        ("100,105,0,C,4,european", "EXPIRED"),
        ("100,105,0.000001,C,4,european", "EXPIRING"),
        ("100,105,0.5,C,101,european", "ABOVE_MAX"),
        ("100,60,0.5,C,30,european", "BELOW_INTRINSIC"),
        ("100,150,0.5,C,0,european", "NO_TIME_VALUE"),
        ("100,120,0.5,P,20,american", "NO_TIME_VALUE"),
        ("100,105,0.5,C,101,american", "ABOVE_MAX"),
    ],
)
def test_a_price_without_a_volatility_is_answered_with_the_reason(row, status):
    found = one(HEADER + row + "\n")
    assert (found["status"], found["iv"], found["delta"]) == (status, "", "")
    assert found["reason"]


def test_a_vol_row_in_its_last_minute_is_worth_its_intrinsic_value():
    found = one("spot,strike,years,right,vol,style\n100,95,0.000001,C,0.3,american\n")
    assert (found["status"], found["price"], found["delta"]) == ("EXPIRING", "5.0", "")
    assert one("spot,strike,years,right,vol\n100,95,0,C,0.3\n")["status"] == "EXPIRED"


def test_columns_nobody_knows_come_back_as_they_were():
    text = 'Note,spot,strike,years,right,price,style,delta,iv\n"a, ""b""\nc",100,105,0.5,C,4.25,european,0.9,0.5\n'
    row = one(text)
    assert row["Note"] == 'a, "b"\nc'
    assert (row["given_delta"], row["given_iv"]) == ("0.9", "0.5")
    assert row["iv"] == one(HEADER + ROW)["iv"]  # the price decides, not the iv that came with it


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + ROW,
        (HEADER + ROW).replace("\n", "\r\n"),
        (HEADER + ROW).replace(",", ";"),
        (HEADER + ROW).replace(",", "\t"),
        (HEADER + ROW).replace(",", " , "),
        "\n" + HEADER + "\n\n" + ROW + "\n  \n",
        " Spot,STRIKE,Years,Right,Price,Exercise Style\n100,105,0.5,call,4.25,European\n",
        'spot,strike,years,right,price,style\n"100","$105.00","0.5","C","4.25","e"\n',
        "underlying_price,k,t,type,mid,exercise,r\n100,105,0.5,CALL,4.25,E,4%\n",
    ],
    ids=["BOM", "CRLF", "semicolons", "tabs", "spaces", "blank lines", "case", "quotes", "other names"],
)
def test_the_same_table_written_otherwise_has_the_same_answer(text, tmp_path, qmterm):
    file = tmp_path / "chain.csv"
    file.write_bytes(text.encode())
    code, out, _ = qmterm("greeks", file, "--as-of", "2026-03-02T15:30")
    (row,) = csv.DictReader(io.StringIO(out))
    assert code == 0
    assert row["iv"] == one(HEADER + ROW)["iv"]


def test_percent_signs_and_thousands_are_read():
    head = "spot,strike,years,right,vol,rate,dividend_yield,style\n"
    assert (
        one(head + '"6,000","$6,100",0.5,C,25%,4%,1.3 %,european\n')["price"]
        == one(head + "6000,6100,0.5,C,0.25,0.04,0.013,european\n")["price"]
    )


def test_explain_says_what_was_used_and_where_it_came_from():
    row = one("spot,strike,years,right,price,dividends\n100,105,0.5,C,4.25,0.25:0.8\n", explain=True)
    assert row["used_value"] == "price given"
    assert (row["used_years"], row["years_from"]) == ("0.5", "years given")
    assert (row["used_rate"], row["rate_from"]) == ("0.04", "fallback")
    assert (row["used_dividend_yield"], row["dividend_yield_from"]) == ("0.0", "assumed")
    assert (row["used_style"], row["style_from"]) == ("american", "assumed")
    assert row["used_dividends"] == "0.250000:0.8"
    assert row["model"] == "American, escrowed dividends"


def test_the_fallback_rate_is_said_once_for_all_rows():
    _, _, said = answered(HEADER + ROW * 3)
    assert said == "chain.csv: 3 row(s) without a rate: the fallback 4.00% is used\n"


def test_json_is_one_object_with_numbers_and_null_where_there_is_none():
    document = as_json(HEADER + ROW + "100,105,0.5,C,101,european\nx,105,0.5,C,4,european\n")
    good, bound, bad = document["rows"]
    assert document["as_of"] == "2026-03-02T15:30:00-05:00"
    assert (good["spot"], good["price"], good["status"], good["reason"]) == (100.0, 4.25, "OK", "")
    assert isinstance(good["iv"], float)
    assert (bound["status"], bound["iv"], bound["delta"]) == ("ABOVE_MAX", None, None)
    assert (bad["status"], bad["spot"]) == ("BAD_INPUT", "x")
    assert [(row["row"], row["line"]) for row in document["bad_rows"]] == [(3, 4)]
    assert "'x' is not a number" in document["bad_rows"][0]["problems"][0]
    assert document["notes"]


def test_json_and_csv_tell_the_same(qmterm, tmp_path):
    file = tmp_path / "chain.csv"
    file.write_text(HEADER + ROW)
    _, out, _ = qmterm("greeks", file, "--json", "--explain")
    (row,) = json.loads(out.splitlines()[-1])["rows"]
    told = one(HEADER + ROW, explain=True)
    assert list(row) == list(told)
    assert {name: float(told[name]) for name in GREEKS} == {name: row[name] for name in GREEKS}


def test_standard_input_is_read_by_default(process):
    ended = process("greeks", "--as-of", "2026-03-02T15:30", stdin=HEADER + ROW)
    assert ended.returncode == 0
    (row,) = csv.DictReader(io.StringIO(ended.stdout))
    assert row["iv"] == one(HEADER + ROW)["iv"]
    assert "Warning" not in ended.stderr


def test_a_date_as_the_instant_means_its_close(process):
    text = "spot,strike,expiry,right,vol\n100,100,2026-03-02,C,0.2\n"
    said = [process("greeks", "-", "--as-of", at, stdin=text).stdout for at in ("2026-03-02", "2026-03-02T15:00")]
    assert "EXPIRED" in said[0]
    assert "OK" in said[1]


def test_an_instant_that_is_none_is_wrong_use(qmterm, tmp_path):
    file = tmp_path / "chain.csv"
    file.write_text(HEADER + ROW)
    code, out, err = qmterm("greeks", file, "--as-of", "noon")
    assert (code, out) == (2, "")
    assert "--as-of: 'noon' is no date" in err


def test_each_row_can_have_its_own_instant():
    head = "spot,strike,expiry,right,vol,style,as_of\n"
    early, late = (
        one(f"{head}100,100,2026-04-17,C,0.2,european,{at}\n", explain=True)
        for at in ("2026-04-10T16:00", "2026-04-16T20:00Z")
    )
    assert numbers_of([early, late], "used_years") == pytest.approx([7 / 365, 1 / 365])


def test_thirty_thousand_rows_come_back_in_their_order():
    strikes = np.linspace(60, 160, 30_000)
    lines = [f"100,{strike!r},0.5,C,0.3,european\n" for strike in strikes.tolist()]
    _, rows, _ = answered("spot,strike,years,right,vol,style\n" + "".join(lines))
    assert [float(row["strike"]) for row in rows] == strikes.tolist()
    prices = np.array(numbers_of(rows, "price"))
    assert np.all(np.diff(prices) < 0)


CELL = st.sampled_from(
    ["100", "105.5", "0.5", "C", "P", "4.25", "", "-1", "nan", "abc", "1e400", "25%", "american", "é"]
)


@given(st.lists(st.lists(CELL, min_size=1, max_size=8), max_size=12))
@settings(max_examples=60)
def test_as_many_rows_come_out_as_went_in_whatever_they_hold(rows):
    """Blank lines are no rows; everything else is, and bad rows have no numbers."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    expected = sum(any(cell for cell in row) for row in rows)
    code, found, _ = answered(HEADER + out.getvalue())
    assert len(found) == expected
    assert code == int(any(row["status"] == "BAD_INPUT" for row in found))
    for row in found:
        assert (row["status"] == "OK") == bool(row["iv"])
        assert bool(row["reason"]) or row["status"] == "OK"


def test_a_table_without_rows_is_answered_with_its_heading():
    assert answered(HEADER) == (0, [], "")
    with pytest.raises(BadInput, match="empty"):
        answered("\n \n")
