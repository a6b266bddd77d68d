"""Option symbols as a table of bytes read exactly as the careful reader reads them; pages become one order."""

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import OptionContract, Right, parse_option
from qmterm.market.rest.option_columns import option_rows
from qmterm.market.rest.option_page import option_part
from qmterm.market.rest.option_symbols import read_symbols

contracts = st.builds(
    OptionContract,
    root=st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True),
    expiry=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    right=st.sampled_from(Right),
    strike=st.integers(0, 99_999_999).map(lambda thousandths: Decimal(thousandths) / 1000),
)
mangled = st.one_of(
    contracts.map(lambda c: c.polygon),
    contracts.map(lambda c: c.occ),
    st.tuples(contracts, st.integers(0, 22), st.sampled_from("A9:. Cé")).map(
        lambda t: t[0].polygon[: t[1]] + t[2] + t[0].polygon[t[1] + 1 :]
    ),
    st.text(max_size=24),
    st.sampled_from(["O:AAPL260230C00230000", "O:AAPL281301C00000001", "O:AAPL240229P00000001", "O:", "", "O:A"]),
)


@given(st.lists(mangled, max_size=12))
def test_every_symbol_reads_as_the_careful_reader_reads_it(tickers):
    read = read_symbols(tickers)
    for number, ticker in enumerate(tickers):
        try:
            known = parse_option(ticker)
        except BadSymbol:
            assert not read.good[number]
            continue
        if "\0" in ticker:
            continue
        assert read.good[number]
        assert read.occ[number].decode() == known.occ
        assert read.expiry[number] == (known.expiry - date(1970, 1, 1)).days
        assert read.strike[number] == known.strike * 1000
        assert read.is_call[number] == (known.right is Right.CALL)
        assert read.adjusted[number] == known.root[-1].isdigit()


def page(*rows):
    return json.dumps({"status": "OK", "results": list(rows)}).encode()


def row(ticker, **more):
    return {
        "details": {"ticker": ticker, "contract_type": "call", "expiration_date": "2026-04-17", "strike_price": 1},
        **more,
    }


def test_a_contract_on_two_pages_is_there_once_as_the_later_page_says():
    first = page(row("O:SPY260417C00500000", open_interest=1), row("O:SPY260417P00500000", open_interest=2))
    second = page(row("O:SPY260417C00500000", open_interest=3), row("O:SPY260416P00900000", open_interest=4))
    rows = option_rows("SPY", [option_part(first, "SPY"), option_part(second, "SPY")])
    assert [occ[6:] for occ in rows.occ] == ["260416P00900000", "260417C00500000", "260417P00500000"]
    assert rows.open_interest.tolist() == [4, 3, 2]
    assert rows.is_call.tolist() == [False, True, False]


def test_the_newest_price_of_the_underlying_counts_whatever_page_it_is_on():
    old = {"ticker": "SPY", "price": 500.0, "last_updated": 1_772_463_600_000_000_000}
    new = {**old, "price": 501.0, "last_updated": old["last_updated"] + 1}
    pages = [
        page(row("O:SPY260417C00500000", underlying_asset=new)),
        page(row("O:SPY260417C00510000", underlying_asset=old)),
    ]
    rows = option_rows("SPY", [option_part(body, "SPY") for body in pages])
    assert (rows.spot, rows.spot_ns) == (501.0, new["last_updated"])


def test_a_chain_without_contracts_has_no_rows():
    rows = option_rows("SPY", [option_part(b'{"status":"OK","count":0}', "SPY")])
    assert (len(rows), rows.spot, rows.malformed) == (0, None, 0)


@pytest.mark.parametrize("rows", [1, 250])
def test_one_row_that_cannot_be_read_costs_only_itself(rows):
    bodies = [row(f"O:SPY260417C{number:08d}") for number in range(1, rows + 1)]
    body = json.dumps({"status": "OK", "results": [*bodies, {"details": {"ticker": 5}}]}).encode()
    read = option_rows("SPY", [option_part(body, "SPY")])
    assert (len(read), read.malformed) == (rows, 1)
