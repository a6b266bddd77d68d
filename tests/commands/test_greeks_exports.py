"""`qmterm greeks` on what spreadsheets and brokers' programs export: other names, dates, separators, decimal commas."""

import csv
import io
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from qmterm.commands.greeks import run
from qmterm.commands.greeks_cells import Unreadable, decimal_comma, with_point
from qmterm.commands.greeks_columns import says_percent
from qmterm.commands.greeks_dates import day_or_instant
from qmterm.core.clock import from_et

NOW = from_et(date(2026, 3, 2), 15, 30)
PLAIN = "spot,strike,expiry,right,price\n100.5,105,2026-04-17,C,1.50\n"


def answered(text, **more):
    """(exit code, rows as dictionaries, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    code = run(text, "chain.csv", NOW, out=out, err=err, **more)
    return code, list(csv.DictReader(io.StringIO(out.getvalue()))), err.getvalue()


def as_json(text):
    out = io.StringIO()
    run(text, "chain.csv", NOW, out=out, err=io.StringIO(), as_json=True)
    return json.loads(out.getvalue())


EXPECTED = answered(PLAIN)[1][0]


@pytest.mark.parametrize(
    "text",
    [
        "Underlying Price,Strike Price,Expiration Date,Call/Put,Mark\n$100.50,$105.00,04/17/2026,CALL,$ 1.50\n",
        "UnderlyingPrice,StrikePrice,ExpirationDate,OptionType,MidPrice\n100.5,105,20260417,call,1.5\n",
        "Symbol,Type,Exp Date,DTE,Strike Price,Call/Put,Underlying Last Price,Bid,Ask,IV\n"
        "NVDA  260417C00105000,OPTION,4/17/26,46,105,CALL,100.5,1.45,1.55,30.1%\n",
        "Exp,Strike,Bid,Ask,Last,Impl Vol,Vol,spot,right\n"
        "17 APR 26 (46) 100 (Weeklys),105,1.45,1.55,1.5,N/A,1200,100.5,C\n",
        "Symbol,Bid,Ask,Underlying Price,Strike,Right,Expiry,Implied Vol. %\nNVDA,1.45,1.55,100.5,105,C,17APR26,30.1\n",
        "Spot;Strike;Expiry;Type;Price\n100,50;105;17.04.2026;Call;1,50\n",
        "sep=;\nSpot;Strike;Expiry;Type;Price\n100,50;105,0;17.04.2026;Call;1,50\n",
        "spot|strike|expiry|right|price\n100.5|105|17-Apr-2026|C|1.50\n",
        "# exported, at noon\n" + PLAIN.replace("\n100", "\n# the only one\n100"),
        PLAIN.replace("price\n", "price,,\n"),
        PLAIN.replace("1.50\n", "1.50,,\n"),
        PLAIN.replace("price\n", "price,\n").replace("1.50\n", "1.50,\n"),
    ],
    ids=[
        "dollars",
        "camel case",
        "tastytrade",
        "thinkorswim",
        "IBKR",
        "German",
        "sep=",
        "bars",
        "comments",
        "empty headings",
        "commas at the end",
        "both",
    ],
)
def test_an_export_is_read_as_it_is(text):
    code, rows, said = answered(text)
    assert (code, len(rows)) == (0, 1), said
    assert None not in rows[0]  # as many cells as headings
    assert [rows[0][name] for name in ("status", "iv", "delta", "theta")] == [
        EXPECTED[name] for name in ("status", "iv", "delta", "theta")
    ]


@pytest.mark.parametrize(
    "cell",
    [
        "2026-04-17",
        "20260417",
        "4/17/26",
        "04/17/2026",
        "17.04.2026",
        "17.4.26",
        "2026/04/17",
        "17-Apr-2026",
        "17 April 2026",
        "17APR26",
        "APR 17 '26",
        "Apr 17, 2026",
        "Fri, Apr 17 2026",
        "17 APR 26 (46) 100 (Weeklys)",
        "2026-04-17 00:00:00",
        "4/17/2026 12:00:00 AM",
        "4/17/2026 0:00",
    ],
)
def test_a_date_may_be_written_in_any_way_that_means_one_day(cell):
    assert day_or_instant(cell) == date(2026, 4, 17)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("17/04/2026", "slashes mean month/day/year"),
        ("04-17-2026", "write it as 2026-04-17"),
        ("30 Feb 26", "write it as 2026-04-17"),
        ("17 Foo 26", "write it as 2026-04-17"),
        ("46129", "a spreadsheet's day number"),
        ("17APR1926", "no year of listed options"),
    ],
)
def test_a_date_that_may_mean_two_days_or_none_is_refused(cell, said):
    with pytest.raises(Unreadable, match=said):
        day_or_instant(cell)


def test_a_decimal_comma_is_believed_only_when_no_number_speaks_against_it():
    assert decimal_comma(["1,50", "1.234,50", "105"])
    assert not decimal_comma(["1,50", "100.5"])
    assert not decimal_comma(["1,500", "2,000"])  # thousands as well
    assert [with_point(cell) for cell in ("1.234,50", "1 234,5", "-0,5 %", "$1,5", "105", "a,b")] == [
        "1234.50",
        "1234.5",
        "-0.5%",
        "$1.5",
        "105.0",
        "a,b",
    ]


def test_a_table_with_both_kinds_of_numbers_has_its_commas_refused():
    code, rows, _ = answered("spot;strike;years;right;price\n100,50;105;0.5;C;1,50\n100.50;105;0.5;C;2.50\n")
    assert (code, [row["status"] for row in rows]) == (1, ["BAD_INPUT", "OK"])
    assert "'100,50' is not a number" in rows[0]["reason"]


def test_a_comma_after_a_zero_separates_no_thousands():
    code, rows, _ = answered('spot,strike,years,right,price\n100,105,"0,126",C,2\n')
    assert code == 1
    assert "'0,126' is not a number" in rows[0]["reason"]


def test_a_percent_heading_makes_plain_numbers_percent():
    assert all(says_percent(name) for name in ("IV %", "iv_pct", "Rate (percent)"))
    assert not any(says_percent(name) for name in ("iv", "ipct0", "price"))
    head = "spot,strike,years,right,{},{},style\n100,105,0.5,C,{},{},european\n"
    plain, percent = (
        answered(head.format(*cells))
        for cells in (("vol", "rate", "0.255", "0.045"), ("IV %", "Rate (%)", "25.5", "4.5%"))
    )
    assert percent[1][0]["price"] == plain[1][0]["price"]
    assert "column 'IV %' is read as percent" in percent[2]
    code, rows, _ = answered(head.format("IV %", "rate", "0.0025", "0.045"))
    assert (code, rows[0]["status"]) == (1, "BAD_INPUT")


def test_a_volatility_that_is_not_needed_costs_no_row():
    code, rows, said = answered(PLAIN.replace("price", "price,vol").replace("1.50", "1.50,1200"))
    assert (code, rows[0]["iv"]) == (0, EXPECTED["iv"])
    assert "1 row(s) with a vol that cannot be read: the price decides" in said


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("106,2026-04-17,C", "column strike: 106, but the symbol says 105"),
        ("105,2026-04-24,C", "column expiry: 2026-04-24, but the symbol says 2026-04-17"),
        ("105,2026-04-17,P", "column right: is a put, but the symbol says CALL"),
    ],
)
def test_a_symbol_and_a_column_that_differ_are_never_averaged(cells, said):
    code, rows, _ = answered(f"symbol,spot,price,strike,expiry,right\nNVDA  260417C00105000,100.5,1.5,{cells}\n")
    assert (code, rows[0]["status"]) == (1, "BAD_INPUT")
    assert said in rows[0]["reason"]


@pytest.mark.parametrize(
    ("symbol", "style"),
    [
        ("$SPX", "european"),
        ("^SPX", "european"),
        ("I:SPX", "european"),
        ("SPX 17APR26 6000 C", "european"),
        (".SPXW260417C6000", "european"),
        ("O:SPXW260417C06000000", "european"),
        ("BRK/B", "american"),
        ("nvda", "american"),
    ],
)
def test_an_index_is_known_however_it_is_written(symbol, style):
    text = f"symbol,spot,strike,expiry,right,vol\n{symbol},6000,6000,2026-04-17,C,0.15\n"
    assert answered(text, explain=True)[1][0]["used_style"] == style


@pytest.mark.parametrize(
    "cell",
    [
        "2026-03-20:0.8;2026-04-01:0.2",
        "2026-03-20: $0.80 | 2026-04-01: $0.20",
        '"2026-03-20=0.8, 2026-04-01=0.2"',
        "0.8@2026-03-20 0.2@2026-04-01",
        "20.03.2026:0.8;4/1/26:0.2",
        '"[[""2026-03-20"", 0.8], [""2026-04-01"", 0.2]]"',
        '"{""2026-03-20"": 0.8, ""2026-04-01"": 0.2}"',
    ],
)
def test_dividends_are_read_in_the_notations_people_use(cell):
    _, rows, said = answered(PLAIN.replace("price", "price,dividends").replace("1.50", f"1.50,{cell}"), explain=True)
    assert rows[0]["used_dividends"] == "0.048516:0.8;0.081393:0.2", said  # 29 days and 17 hours


@pytest.mark.parametrize("cell", ["", "0", "$0.00", "none"])
def test_no_dividend_is_no_dividend(cell):
    code, rows, _ = answered(PLAIN.replace("price", "price,dividends").replace("1.50", f"1.50,{cell}"))
    assert (code, rows[0]["iv"]) == (0, EXPECTED["iv"])


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("20:0.8", "days or years? write 20d:0.80 for days, 20.0:0.80 for years"),
        ("2026-03-20T09:30:0.8", "has a time of day; write the ex-date alone"),
        ("{1}", "is no list of dividends"),
    ],
)
def test_a_dividend_that_may_mean_two_things_is_refused(cell, said):
    code, rows, _ = answered(PLAIN.replace("price", "price,dividends").replace("1.50", f"1.50,{cell}"))
    assert code == 1
    assert said in rows[0]["reason"]


def test_the_answer_can_be_asked_again_and_keeps_every_column():
    """Names are compared without case, as spreadsheets and databases do."""
    text = PLAIN.replace("price", "Price,Delta,IV").replace("1.50", "1.50,0.3,25%")
    for _ in range(3):
        out = io.StringIO()
        run(text, "chain.csv", NOW, explain=True, out=out, err=io.StringIO())
        text = out.getvalue()
        names = text.splitlines()[0].split(",")
        assert len({name.lower() for name in names}) == len(names)
        (row,) = csv.DictReader(io.StringIO(text))
        assert (row["Price"], row["iv"]) == ("1.50", EXPECTED["iv"])
    assert row["given_IV"] == "25%"


def test_json_has_the_numbers_that_were_read():
    text = "spot,strike,years,right,price,vol,rate\n" + '"$1,234.50",1200,0.5,C,,25%,4%\n$x,1200,0.5,C,5,,\n'
    good, bad = as_json(text)["rows"]
    assert (good["spot"], good["vol"], good["rate"]) == (1234.5, 0.25, 0.04)
    assert isinstance(good["price"], float)
    assert (bad["spot"], bad["price"], bad["vol"]) == ("$x", 5.0, None)


def test_a_quotation_mark_that_is_never_closed_is_named_where_it_opens():
    line = "100.5,105,2026-04-17,C,1.50\n"
    code, rows, said = answered(PLAIN + '"' + line + line)
    assert (code, [row["status"] for row in rows]) == (1, ["OK", "BAD_INPUT"])
    assert said.splitlines()[0] == ("chain.csv: line 3, has 1 cells, the header has 5; is a quotation mark not closed?")
    assert said.count("line 3") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_sentence(home, tmp_path):
    file = tmp_path / "chain.csv"
    file.write_text(PLAIN)
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "qmterm.cli", "greeks", str(file)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "qmterm: the answer could not be written: No space left on device"
    assert "Traceback" not in ended.stderr
