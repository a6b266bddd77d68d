"""The root of an option tells how it settles."""

import pytest

from qmterm.core.settlement import AMERICAN_SHARES, CASH_SETTLED_ROOTS, Settlement, terms_of


@pytest.mark.parametrize("root", ["SPX", "NDX", "RUT", "DJX", "VIX"])
def test_monthly_index_roots_settle_in_the_morning(root):
    assert terms_of(root).settlement is Settlement.AM
    assert terms_of(root).am_settled


@pytest.mark.parametrize("root", ["SPXW", "NDXP", "RUTW", "XSP", "MRUT", "XND"])
def test_weekly_and_mini_index_roots_settle_at_the_close(root):
    assert terms_of(root).settlement is Settlement.PM
    assert not terms_of(root).am_settled


@pytest.mark.parametrize("root", ["SPX", "SPXW", "XSP", "NDX", "NDXP", "RUT", "RUTW", "VIX"])
def test_index_options_are_european_and_pay_cash(root):
    assert terms_of(root).european
    assert terms_of(root).cash_settled
    assert root in CASH_SETTLED_ROOTS


def test_the_one_american_index_pays_cash():
    assert terms_of("OEX") == (Settlement.PM, False, True)


@pytest.mark.parametrize("root", ["AAPL", "SPY", "QQQ", "IWM", "BRKB", "AAPL1"])
def test_stocks_and_funds_deliver_shares_at_any_time(root):
    assert terms_of(root) is AMERICAN_SHARES
    assert not terms_of(root).european
    assert not terms_of(root).cash_settled
