"""The market snapshot read by machine code is, number for number, what the full JSON reader makes of it."""

import json
import random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import DataError
from qmterm.market.rest.snapshot import _machine_code, fast_columns, plain_columns, snapshot_columns, warm_up

warm_up()

NS = 1_772_463_600_000_000_000
ARRAYS = (
    *("bid", "ask", "bid_size", "ask_size", "quote_ns", "last", "trade_ns", "day_open", "day_high", "day_low"),
    *("day_close", "day_volume", "day_vwap", "minute_open", "minute_high", "minute_low", "minute_close"),
    *("minute_volume", "minute_ns", "prev_close", "prev_volume", "updated_ns"),
)


def outcome(reading, body):
    try:
        return reading(body)
    except (DataError, msgspec.DecodeError) as refusal:
        return type(refusal), str(refusal)


def same(body):
    """Both readings agree, in the columns or in the refusal; what the machine code alone makes of it comes back."""
    found, expected = outcome(snapshot_columns, body), outcome(plain_columns, body)
    if isinstance(expected, tuple):
        assert found == expected
        return None
    assert (found.symbols, found.delayed, found.malformed) == (expected.symbols, expected.delayed, expected.malformed)
    for name in ARRAYS:
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert mine.dtype == theirs.dtype
        assert mine.tobytes() == theirs.tobytes(), name
    return fast_columns(body, _machine_code.load())


def row(chance, number):
    price = round(chance.uniform(1, 500), 4)
    bar = {"o": price, "h": price + 1, "l": price - 0.5, "c": price, "v": chance.randint(0, 10**7), "vw": price}
    quote = {"P": price + 0.01, "S": 22, "p": price, "s": 13, "t": NS + number}
    trade = {"c": [14, 41], "i": "71675577320245", "p": price, "s": 2416, "t": NS - number, "x": 4}
    minute = {"av": 37_216, "t": NS // 10**6, "n": 5, **bar}
    return {
        "ticker": f"S{number}",
        "todaysChangePerc": chance.uniform(-5, 5),
        "todaysChange": -0.124,
        "updated": NS + 7,
        **{"day": bar, "lastQuote": quote, "lastTrade": trade, "min": minute, "prevDay": bar, "fmv": 20.5},
    }


def test_the_usual_snapshot_is_read_by_the_machine_code():
    chance = random.Random(1)
    rows = [row(chance, number) for number in range(500)]
    for separators in ((",", ":"), (", ", ": ")):
        found = same(json.dumps({"count": 500, "status": "DELAYED", "tickers": rows}, separators=separators).encode())
        assert found is not None
        assert found.delayed
        assert found.symbols[499] == "S499"
    short = [{"ticker": f"S{number}"} for number in range(2_000)]  # more rows than bytes let expect
    assert len(same(json.dumps({"tickers": short, "status": "OK"}).encode())) == 2_000


values = st.one_of(
    st.integers(-5, 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1e4).map(lambda value: round(value, 4)),
    st.sampled_from([0, 0.0, 2**62, 2**63, 10**19, 10**30, NS, NS // 10**6, NS // 10**9, 9_999_999_999]),
)
odd = st.sampled_from([None, "1", [1], {}, {"a": {"b": 1}}, True, ""])
fields = st.one_of(values, values, values, values, odd)
parts = st.dictionaries(
    st.sampled_from(["o", "h", "l", "c", "v", "vw", "p", "P", "s", "S", "t", "n", "i"]), values, max_size=6
)
odd_parts = st.dictionaries(st.sampled_from(["o", "c", "v", "p", "P", "t", "é", "longer_key"]), fields, max_size=4)
rows = st.fixed_dictionaries(
    {
        "ticker": st.one_of(
            st.from_regex(r"[A-Z.]{1,6}", fullmatch=True), st.sampled_from(["", "É", "X" * 25, 'A"B', 5])
        )
    },
    optional={
        **{
            name: st.one_of(parts, parts, odd_parts, odd)
            for name in ("day", "prevDay", "min", "lastTrade", "lastQuote")
        },
        **{name: fields for name in ("updated", "todaysChange", "xastTrade", "lastTrad3", "fmv")},
    },
)


@given(st.lists(rows, max_size=4), st.sampled_from(["OK", "DELAYED", "ERROR"]), st.booleans(), st.booleans())
def test_any_snapshot_is_read_alike(some, status, spaced, last):
    body = {"status": status, "count": 3, "request_id": "x", "tickers": some + [{"ticker": "OK"}] * 3}
    if last:
        body = dict(reversed(body.items()))
    same(json.dumps(body, indent=1 if spaced else None, ensure_ascii=spaced).encode())


def test_a_snapshot_broken_at_any_byte_is_read_or_refused_alike():
    chance = random.Random(2)
    whole = json.dumps({"status": "OK", "tickers": [row(chance, number) for number in range(3)], "count": 3}).encode()
    letters = b'"\\{}[],:0123456789.eE-+ntf \x00\x80'
    for _ in range(600):
        body = bytearray(whole)
        at = chance.randrange(len(body))
        match chance.randrange(4):
            case 0:
                body[at] = chance.choice(letters)
            case 1:
                body.insert(at, chance.choice(letters))
            case 2:
                del body[at]
            case 3:
                del body[at:]
        same(bytes(body))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b'{"tickers":[]}',
        b'{"tickers":null}',
        b'{"tickers":[{"ticker":"A"}],"tickers":[{"ticker":"B"}]}',
        b'{"tickers":[{"ticker":"A"}],"tickers":null}',
        b'{"tickers":[{"ticker":"A","day":{"o":1},"day":{"c":2}}],"status":"OK"}',
        b'{"tickers":[{"ticker":"A","lastTrade":{"p":1e400,"t":5}}]}',
        b'{"tickers":[{"ticker":"A"},]}',
        b'{"tickers":[{"ticker":"A"} {"ticker":"B"}]}',
        b'{"tickers":[{"ticker":"A"}]} x',
        b'{"results":{"a":1},"tickers":[{"ticker":"A"}]}',
    ],
)
def test_odd_answers_are_read_or_refused_alike(text):
    same(text)


def test_rows_that_cannot_be_read_are_counted_and_left_out():
    chance = random.Random(3)
    many = [row(chance, number) for number in range(300)]
    many[7]["lastQuote"]["t"] = "soon"
    many[9]["ticker"] = "Ä"  # odd, not wrong
    found = same(json.dumps({"status": "OK", "tickers": many}).encode())
    assert (found.malformed, len(found)) == (1, 299)
    assert found.symbols[8] == "Ä"
    assert np.isfinite(found.bid).all()
    assert same(json.dumps({"status": "OK", "tickers": many[:10] + [{"day": 5}] * 4}).encode()) is None
