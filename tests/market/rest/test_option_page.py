"""A chain's page read by machine code is, number for number, what the full JSON reader makes of it."""

import json
import random
from dataclasses import fields

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.errors import DataError
from qmterm.market.rest import option_page
from qmterm.market.rest.option_columns import option_rows
from qmterm.market.rest.option_page import fast_part, option_part, plain_part, warm_up

warm_up()

NS = 1_772_463_600_000_000_000
WHAT = "option chain of SPY"


def outcome(reading):
    try:
        return option_rows("SPY", [reading()])
    except (DataError, msgspec.DecodeError, UnicodeError) as refusal:
        return type(refusal), str(refusal)


def same(body):
    """Both readings agree, in the columns or in the refusal; what the machine code alone makes of it comes back."""
    found, expected = outcome(lambda: option_part(body, "SPY")), outcome(lambda: plain_part(body, WHAT))
    if isinstance(expected, tuple):
        assert found == expected
        return None
    for field in fields(expected):
        mine, theirs = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(theirs, np.ndarray):
            assert mine.dtype == theirs.dtype
            assert mine.tobytes() == theirs.tobytes(), field.name
        else:
            assert mine == theirs, field.name
    return fast_part(body, WHAT, option_page._machine_code.load())


def contract(chance, number):
    price = round(chance.uniform(0.01, 90), 2)
    root = chance.choice(["SPY", "SPY1", "BRK.B", "X"])
    year, month, day = chance.randint(0, 99), chance.randint(1, 12), chance.randint(1, 28)
    ticker = f"O:{root}{year:02}{month:02}{day:02}{chance.choice('CP')}{number * 500:08}"
    quote = {"ask": price + 0.02, "ask_size": 41, "bid": price, "bid_size": 38.0, "last_updated": NS + number}
    return {
        "break_even_price": 151.2,
        "day": {"change": -4.5, "close": price, "last_updated": NS, "open": price, "volume": 868, "vwap": 29.1},
        "details": {"contract_type": "call", "shares_per_contract": 100, "strike_price": 5.5, "ticker": ticker},
        "greeks": {"delta": 0.55, "gamma": 0.0007, "theta": -0.04, "vega": 0.73} if number % 7 else {},
        "implied_volatility": chance.uniform(0.01, 2),
        "last_quote": {**quote, "midpoint": price + 0.01, "timeframe": "DELAYED" if number == 5 else "REAL-TIME"},
        "last_trade": {"conditions": [209], "exchange": 316, "price": price, "sip_timestamp": NS - 5, "size": 2},
        "open_interest": 1_543,
        "underlying_asset": {"last_updated": NS, "price": 500.25 + number // 100, "ticker": "SPY"},
    }


def page(rows, **more):
    return json.dumps({"status": "OK", "results": rows, **more}, ensure_ascii=False).encode()


def test_the_usual_page_is_read_by_the_machine_code():
    chance = random.Random(1)
    rows = [contract(chance, number) for number in range(250)]
    for separators in ((",", ":"), (", ", ": ")):
        body = {"results": rows, "status": "OK", "request_id": "6a7e", "next_url": "https://x/v3?cursor=YXA9\u0026a=1"}
        found = same(json.dumps(body, separators=separators).encode())
        assert found is not None
        assert found.symbols.good.all()
        assert (found.spot, found.spot_ns, found.delayed) == (502.25, NS, True)
    short = [{"details": {"ticker": f"O:A260417C{number:08}"}} for number in range(900)]  # more than bytes let expect
    assert len(same(json.dumps({"results": short}, separators=(",", ":")).encode()).symbols.good) == 900


def test_every_day_of_the_century_is_read_alike():
    days = [np.datetime64("2000-01-01") + step for step in range(36_525)][::13]
    leaps = [f"{year:02}02{day}" for year in range(100) for day in (28, 29, 30)]
    months = [f"27{month:02}{day:02}" for month in range(14) for day in (0, 1, 30, 31, 32)]
    texts = [str(day)[2:].replace("-", "") for day in days] + leaps + months
    for start in range(0, len(texts), 500):
        rows = [{"details": {"ticker": f"O:SPY{text}P00000001"}} for text in texts[start : start + 500]]
        assert same(page(rows)) is not None


values = st.one_of(
    st.integers(-5, 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1e4).map(lambda value: round(value, 4)),
    st.sampled_from([0, -0.0, 1.0, 2**62, 2**63, 10**19, 10**30, NS, NS // 10**6, NS // 10**9, 9_999_999_999]),
)
odd = st.sampled_from([None, "1", [1], {}, {"a": {"b": 1}}, True, "", [[]]])
some_values = st.one_of(values, values, values, odd)


def part_of(*names):
    usual = st.dictionaries(st.sampled_from(names), values, max_size=len(names))
    strange = st.dictionaries(st.sampled_from([*names, "é", "a_longer_key_than_the_usual_ones"]), some_values)
    return st.one_of(usual, usual, strange, odd)


tickers = st.one_of(
    st.from_regex(r"O:[A-Z][A-Z0-9.]{0,5}[0-9]{2}(0[1-9]|1[0-2])[0-3][0-9][CP][0-9]{8}", fullmatch=True),
    st.sampled_from(["O:SPY260417C00500000", "SPY   260417C00500000", "O:SPY260230C00500000", "O:É", 'O:"', "", 5]),
    st.sampled_from(["O:spy260417C00500000", "O:SPY260417X00500000", "O:ABCDEF7260417C00500000", "O:.260417C00500000"]),
)
details = st.fixed_dictionaries(
    {"ticker": tickers},
    optional={"shares_per_contract": some_values, "strike_price": values, "additional_underlyings": odd},
)
quotes = st.tuples(
    part_of("bid", "ask", "bid_size", "ask_size", "last_updated", "midpoint"),
    st.sampled_from([{}, {"timeframe": "DELAYED"}, {"timeframe": "REAL-TIME"}, {"timeframe": None}]),
).map(lambda both: {**both[0], **both[1]} if isinstance(both[0], dict) else both[0])
assets = st.one_of(
    st.fixed_dictionaries({}, optional={"price": some_values, "value": some_values, "last_updated": some_values}), odd
)
rows = st.fixed_dictionaries(
    {"details": st.one_of(details, details, details, odd)},
    optional={
        "underlying_asset": assets,
        "day": part_of("volume", "last_updated", "close"),
        "greeks": st.one_of(
            part_of("delta", "gamma", "theta", "vega"),
            st.dictionaries(st.sampled_from(["delta", "gamma", "theta", "vega"]), st.one_of(st.none(), values)),
        ),
        "last_quote": quotes,
        "last_trade": part_of("price", "sip_timestamp", "size"),
        "implied_volatility": some_values,
        "open_interest": some_values,
        "fmv": some_values,
        "xmplied_volatility": odd,
    },
)


@settings(max_examples=40)
@given(st.lists(rows, max_size=3), st.sampled_from(["OK", "DELAYED", "ERROR"]), st.booleans(), st.booleans())
def test_any_page_is_read_alike(some, status, spaced, last):
    good = [{"details": {"ticker": f"O:SPY260417C0050{number}000"}} for number in range(3)]
    body = {"status": status, "next_url": "https://x/y", "request_id": "x", "results": some + good}
    if last:
        body = dict(reversed(body.items()))
    same(json.dumps(body, indent=1 if spaced else None, ensure_ascii=spaced).encode())


def test_a_page_broken_at_any_byte_is_read_or_refused_alike():
    chance = random.Random(2)
    whole = page([contract(chance, number) for number in range(3)], count=3)
    letters = b'"\\{}[],:0123456789.eE-+ntfCPO \x00\x80'
    for _ in range(500):
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


ONE = b'{"details":{"ticker":"O:SPY260417C00500000"}'


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b'{"results":[]}',
        b'{"results":null,"count":0}',
        b'{"results":[%b}],"results":[]}' % ONE,
        b'{"results":[%b}],"results":["the rows"]}' % ONE,
        b'{"results":[%b}],"\\u0072esults":[]}' % ONE,
        b'{"results":[%b}],"results":null,"count":0}' % ONE,
        b'{"results":[%b,"details":{"ticker":"O:SPY260417P00500000"}}]}' % ONE,
        b'{"results":[%b,"day":{"volume":1},"day":{"last_updated":2}}]}' % ONE,
        b'{"results":[%b,"last_quote":{"timeframe":"DELAYED","timeframe":"LATE"}}]}' % ONE,
        b'{"results":[%b,"greeks":{"delta":0.5,"delta":null}}]}' % ONE,
        b'{"results":[%b,"last_trade":{"price":1e400}}]}' % ONE,
        b'{"results":[%b,"underlying_asset":{"price":5,}}]}' % ONE,
        b'{"results":[%b,"underlying_asset":{"price":"5"}}]}' % ONE,
        b'{"results":[%b,"underlying_asset":{"price":5},"open_interest":"x"},%b}]}' % (ONE, ONE),
        b'{"results":[%b,"underlying_asset":null},%b,"underlying_asset":{"value":7}}]}' % (ONE, ONE),
        b'{"results":[%b},]}' % ONE,
        b'{"results":[%b} %b}]}' % (ONE, ONE),
        b'{"results":[%b}]} x' % ONE,
        b'{"meta":{"a":1},"results":[%b}]}' % ONE,
        b'{"results":[{"details":null}]}',
        b'{"results":[{"details":{}}]}',
        b'{"results":[{}]}',
    ],
)
def test_odd_answers_are_read_or_refused_alike(text):
    same(text)


def test_rows_that_are_no_contracts_are_counted_and_left_out():
    chance = random.Random(3)
    many = [contract(chance, number) for number in range(300)]
    many[7]["last_quote"]["last_updated"] = "soon"
    many[9]["details"]["additional_underlyings"] = [{"underlying": "X", "amount": 100}]  # odd, not wrong
    found = same(page(many))
    assert (found.malformed, len(found.symbols.good)) == (1, 299)
    assert found.symbols.good.all()
    assert same(page(many[:10] + [{"details": 5}] * 4)) is None


def test_an_underlying_that_is_new_in_every_row_is_read_alike():
    chance = random.Random(4)
    many = [contract(chance, number) for number in range(1_100)]
    for number, row in enumerate(many):
        row["underlying_asset"]["price"] = 400.0 + (number * 37 % 1_100) / 100
    assert same(page(many)).spot == 410.99
