"""An option has one name in every spelling, and nonsense has none."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import (
    OptionContract,
    Right,
    is_option,
    option_root,
    parse_option,
    risk_root,
    underlying_of,
)
from tests import golden


@pytest.mark.parametrize("row", golden.rows("occ"), ids=lambda row: row["occ21"])
def test_golden_spellings(row):
    contract = OptionContract(row["root"], date.fromisoformat(row["expiry"]), Right(row["cp"]), Decimal(row["strike"]))
    assert contract.occ == row["occ21"]
    assert contract.polygon == row["polygon"]
    assert contract.dxfeed == row["dxfeed"]
    assert contract.adjusted == (row["adjusted"] == "1")
    for spelling in (row["occ21"], row["polygon"]):
        read = parse_option(spelling)
        assert read == contract
        assert is_option(spelling)
        assert underlying_of(spelling) == row["root"]


@given(
    root=st.from_regex(r"\A[A-Z]{1,5}[1-9]?\Z"),
    expiry=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    right=st.sampled_from(Right),
    strike=st.integers(1, 99_999_999).map(lambda thousandths: Decimal(thousandths) / 1000),
)
def test_every_contract_reads_back_from_its_own_spelling(root, expiry, right, strike):
    contract = OptionContract(root, expiry, right, strike)
    assert len(contract.occ) == 21
    assert parse_option(contract.occ) == contract == parse_option(contract.polygon)


NOT_OPTIONS = (
    "",
    "AAPL",
    "O:",
    "AAPL  260417X00230000",
    "AAPL  260432C00230000",
    "AAPL  261317C00230000",
    "aapl  260417C00230000",
    "AAPL  260417C0023000",
    "TOOLONGROOT260417C00230000",
    "AAPL  260417C00230000\n",
    "AAPL  26041\u0667C00230000",
)


@pytest.mark.parametrize("symbol", NOT_OPTIONS)
def test_what_is_not_an_option_symbol_is_refused(symbol):
    with pytest.raises(BadSymbol):
        parse_option(symbol)


def test_a_stock_is_its_own_underlying():
    assert not is_option("BRK.B")
    assert underlying_of("BRK.B") == "BRK.B"


def test_a_deliverable_other_than_100_shares_is_adjusted():
    plain = parse_option("AAPL  260417C00230000")
    assert not plain.adjusted
    assert OptionContract("AAPL", plain.expiry, plain.right, plain.strike, multiplier=150).adjusted


def test_a_call_and_a_put_differ_in_sign():
    assert (Right.CALL.sign, Right.PUT.sign) == (1, -1)


@pytest.mark.parametrize(("ticker", "root"), [("BRK.B", "BRKB"), ("BRK/B", "BRKB"), ("BRKB", "BRKB"), ("AAPL", "AAPL")])
def test_options_are_listed_under_letters_only(ticker, root):
    assert option_root(ticker) == root


@pytest.mark.parametrize(
    ("ticker", "whole"),
    [
        ("SPX", "SPX"), ("SPXW", "SPX"), ("NDX", "NDX"), ("NDXP", "NDX"), ("RUT", "RUT"), ("RUTW", "RUT"),
        ("VIX", "VIX"), ("VIXW", "VIX"), ("OEX", "OEX"), ("XEO", "OEX"), ("XSP", "XSP"), ("MRUT", "MRUT"),
        ("SPY", "SPY"), ("BRK/B", "BRKB"), ("BRK.B", "BRKB"),
    ],
)  # fmt: skip
def test_the_roots_of_an_index_stand_for_one_underlying_and_its_minis_for_their_own(ticker, whole):
    assert risk_root(ticker) == whole
