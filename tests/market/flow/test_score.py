"""The filter and the score: each term by hand, unknown terms named instead of counted as zero evidence."""

import pytest

from qmterm.market.flow.score import is_unusual, opening, score, vol_oi


def test_every_term_at_its_most_is_a_hundred():
    full = score(1_500, 500, 2_500_000.0, 2_500_000.0, 0.0, 300.0, sweep=True)
    assert full.value == pytest.approx(100.0)
    assert full.missing == ()


def test_terms_by_hand():
    found = score(600, 400, 250_000.0, 150_000.0, 50_000.0, 200.0, sweep=False)
    assert found.value == pytest.approx(25 * 0.5 + 25 * 0.5 + 0 + 15 * 0.5 + 15 * 0.5)


def test_what_is_not_known_is_absent_and_named():
    found = score(600, None, 250_000.0, 0.0, 0.0, None, sweep=True)
    assert found.value == pytest.approx(12.5 + 20)
    assert found.missing == ("open interest", "side", "20-day volume")
    assert vol_oi(600, 0) is None
    assert "open interest" in score(600, 0, 250_000.0, 1.0, 0.0, 1.0, sweep=True).missing


@pytest.mark.parametrize(
    ("volume", "premium", "interest", "mean", "listed"),
    [
        (150, 100_000.0, 100, None, True),
        (149, 100_000.0, 100, None, False),  # ratio
        (150, 99_999.0, 100, None, False),  # money
        (148, 100_000.0, 98, None, False),  # open interest too small to compare with
        (99, 500_000.0, 10, 1.0, False),  # volume
        (500, 100_000.0, 5_000, 100.0, True),  # five times its mean
        (500, 100_000.0, 5_000, 101.0, False),
        (500, 100_000.0, None, None, False),
    ],
)
def test_a_contract_is_unusual_by_volume_money_and_a_comparison(volume, premium, interest, mean, listed):
    assert is_unusual(volume, premium, interest, mean) is listed


def test_opening_is_certain_only_when_the_trade_itself_is_larger_than_what_was_open():
    assert opening(101, 101, 100) == "certain"
    assert opening(100, 150, 100) == "likely"
    assert opening(100, 100, 100) == ""
    assert opening(1, 1, 0) == "certain"
    assert opening(1_000, 1_000, None) == ""
