"""`qmterm greeks` on tables with mistakes: each is named by line and column with what to do, the rest is answered."""

import csv
import io
from datetime import date

import pytest

from qmterm.commands.greeks import run
from qmterm.core.clock import from_et
from qmterm.core.errors import BadInput

NOW = from_et(date(2026, 3, 2), 15, 30)
HEADER = "spot,strike,expiry,right,price,vol,rate,style,dividends,dividend_yield,symbol,bid,ask\n"
GOOD = {"spot": "100", "strike": "105", "expiry": "2026-06-19", "right": "C", "price": "4.25", "style": "european"}


def table(*rows):
    names = HEADER.strip().split(",")
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def answered(text):
    out, err = io.StringIO(), io.StringIO()
    code = run(text, "chain.csv", NOW, out=out, err=err)
    return code, list(csv.DictReader(io.StringIO(out.getvalue()))), err.getvalue()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spot": "abc"}, "column spot: 'abc' is not a number; write dollars per share such as 105.50"),
        ({"spot": ""}, "column spot: is empty; write dollars per share such as 105.50"),
        ({"spot": "nan"}, "column spot: is empty"),
        ({"spot": "inf"}, "column spot: 'inf' is not a number"),
        ({"spot": "1_000"}, "column spot: '1_000' is not a number"),
        ({"spot": "0"}, "column spot: 0 must be more than 0"),
        ({"spot": "100%"}, "column spot: '100%' is a percentage"),
        ({"strike": "-5"}, "column strike: -5 must be more than 0"),
        ({"strike": "105,5"}, "column strike: '105,5' is not a number; write dollars per share such as 105.50 (a dec"),
        ({"strike": "0x10"}, "column strike: '0x10' is not a number"),
        ({"price": "-0.5"}, "column price: -0.5 must be at least 0"),
        ({"price": "4.2.5"}, "column price: '4.2.5' is not a number"),
        ({"price": "", "vol": "0"}, "column vol: 0 must be more than 0"),
        ({"price": "", "vol": "25"}, "column vol: 25 is more than 10; 25 % is 0.25 or 25%"),
        ({"rate": "4.5"}, "column rate: 4.5 is more than 1; 4 % is 0.04 or 4%"),
        ({"dividend_yield": "two"}, "column dividend_yield: 'two' is not a number"),
        ({"right": "X"}, "column right: 'X' is neither a call nor a put; write C or P"),
        ({"right": ""}, "column right: is empty; write C or P"),
        ({"expiry": "2026-13-01"}, "column expiry: '2026-13-01' is no date; write it as 2026-04-17"),
        ({"expiry": "soon"}, "column expiry: 'soon' is no date"),
        ({"expiry": "1026-04-17"}, "column expiry: '1026-04-17' is no year of listed options"),
        ({"expiry": "2090-04-17"}, "column expiry: lies more than 30 years ahead"),
        ({"expiry": ""}, "column expiry: is empty; write an expiry such as 2026-04-17"),
        ({"style": "bermudan"}, "column style: 'bermudan' is no exercise style; write american or european"),
        ({"dividends": "0.80"}, "column dividends: '0.80' is no dividend; write 2026-12-15:0.80"),
        ({"dividends": "2026-12-15:-1"}, "column dividends: -1 must be at least 0"),
        ({"dividends": "2026-15-15:1"}, "column dividends: '2026-15-15' is no date"),
        (
            {"dividends": "30d:60;60d:50"},
            "column dividends: pays 110 before expiry, the spot is 100; check the amounts",
        ),
        ({"dividends": "[[20]]"}, "column dividends: '[[20]]' is no list of dividends"),
        ({"dividends": "[[20, -1]]"}, "column dividends: '[[20, -1]]' has a dividend below 0"),
        ({"symbol": "AAPL  261317C00230000"}, "column symbol: 'AAPL  261317C00230000' has no valid expiry date"),
        ({"price": "", "bid": "x", "ask": "3"}, "column bid: 'x' is not a number"),
    ],
)
def test_a_bad_cell_is_named_and_costs_only_its_own_row(change, said):
    code, rows, err = answered(table(GOOD, GOOD | change, GOOD))
    assert code == 1
    assert [row["status"] for row in rows] == ["OK", "BAD_INPUT", "OK"]
    assert rows[1]["reason"].startswith(f"line 3, {said}")
    assert f"chain.csv: line 3, {said}" in err
    assert [rows[1][name] for name in ("iv", "delta", "gamma", "theta", "vega", "rho")] == [""] * 6
    assert rows[0]["iv"] == rows[2]["iv"] != ""
    assert {name: rows[1][name] for name in GOOD} == GOOD | {key: change[key] for key in change if key in GOOD}


def test_every_mistake_of_a_row_is_told_at_once():
    _, rows, err = answered(table(GOOD | {"spot": "a", "strike": "b", "right": "c?"}))
    assert rows[0]["reason"].count("column ") == 3
    assert err.count("chain.csv: line 2, column") == 3


def test_lines_are_counted_as_an_editor_counts_them():
    text = 'note,spot,strike,years,right,vol\n"two\nlines",100,100,1,C,0.2\n\nx,bad,100,1,C,0.2\n'
    _, _, err = answered(text)
    assert "chain.csv: line 5, column spot: 'bad'" in err


def test_the_users_own_heading_is_named():
    _, _, err = answered("Underlying Price,K,T,CP,IV\nabc,100,1,C,0.2\n")
    assert "column Underlying Price: 'abc' is not a number" in err


def test_a_row_with_too_few_or_too_many_cells_says_so():
    code, rows, _ = answered(
        "spot,strike,years,right,vol,note\n100,100,1,C,0.2\n100,100,1,C,0.2,a,b\n100,100,1,C,0.2,a\n"
    )
    assert code == 1
    assert [row["status"] for row in rows] == ["BAD_INPUT", "BAD_INPUT", "OK"]
    assert rows[0]["reason"] == "line 2, has 5 cells, the header has 6; quote cells with commas"


def test_many_bad_rows_do_not_flood_the_terminal():
    _, rows, err = answered(table(*[GOOD | {"spot": "x"}] * 50))
    assert len(rows) == 50
    assert all(row["reason"] for row in rows)
    assert err.count("line ") == 20
    assert "30 more bad rows" in err


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            "spot,strik,expiry,right,price",
            r"no column says the strike: it is called strike or symbol \(is it 'strik'\?\)",
        ),
        ("strike,expiry,right,price", "no column says the spot: it is called spot"),
        ("spot,strike,right,price", "no column says the expiry"),
        ("spot,strike,expiry,right", r"no column says the price or the vol: it is called price or vol or bid\+ask"),
        ("spot,strike,expiry,right,bid", "no column says the price or the vol"),
        (
            "a,b",
            "line 1: is no heading I know: a, b. The first line must name the columns: spot,strike,expiry,right,price",
        ),
        ("spot,strike,expiry,right,price,price", "column 'price' appears twice"),
        ("spot,strike,k,expiry,right,mid,mark", "columns 'mid' and 'mark' both mean price"),
    ],
)
def test_a_heading_that_does_not_do_is_one_sentence(header, said):
    with pytest.raises(BadInput, match=said):
        answered(f"{header}\n1,1,2026-06-19,C,1,1,1\n")


def test_the_exact_name_wins_over_another_name_for_it():
    code, rows, _ = answered("spot,strike,k,years,right,vol\n100,100,999,1,C,0.2\n")
    assert (code, rows[0]["k"], rows[0]["status"]) == (0, "999", "OK")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty"),
        (b"spot,strike\n\xff\xfe1,2\n", "line 2: not UTF-8 text"),
        (b"PAR1\x00\x01", "is a Parquet file; save the table as CSV"),
        (b"PK\x03\x04\x14", "is an Excel workbook or a zip file; save the table as CSV"),
        (bytes(range(256)), "is no text; save the table as CSV"),
        (b"100,105,2026-04-17,C,1.5\n", "is no heading I know: 100, 105, 2026-04-17, C, 1.5. The first line must name"),
        (b"# only a comment\n;;;\n", "is empty; the first line must name columns"),
    ],
)
def test_a_file_that_is_no_table_is_wrong_use(raw, said, tmp_path, qmterm):
    file = tmp_path / "chain.csv"
    file.write_bytes(raw)
    code, out, err = qmterm("greeks", file)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_file_that_is_not_there_is_wrong_use(tmp_path, qmterm):
    code, _, err = qmterm("greeks", tmp_path / "none.csv")
    assert code == 2
    assert "cannot be read: No such file" in err


def test_what_a_spreadsheet_saves_as_unicode_text_is_read(tmp_path, qmterm):
    file = tmp_path / "chain.txt"
    file.write_bytes("spot\tstrike\tyears\tright\tvol\r\n100\t100\t1\tC\t0.2\r\n".encode("utf-16"))
    code, out, _ = qmterm("greeks", file)
    assert code == 0
    assert ",OK," in out
