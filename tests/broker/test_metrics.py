"""Market metrics: fractions and percents as decimals, and one odd entry costs nobody else anything."""

from datetime import date

import pytest

from qmterm.broker.metrics import metrics_of

ENTRY = {
    "symbol": "AAPL",
    "implied-volatility-index": "0.2742",
    "implied-volatility-index-rank": "0.31",
    "implied-volatility-percentile": "0.456",
    "historical-volatility-30-day": "39.84",
    "earnings": {"expected-report-date": "2026-04-30", "estimated": False, "time-of-day": "AMC"},
    "liquidity-rating": 4,
    "market-cap": 3.1e12,
}


def test_fractions_stay_and_percents_become_decimals():
    found = metrics_of(ENTRY)
    assert (found.iv, found.iv_rank, found.iv_percentile) == (0.2742, 0.31, 0.456)
    assert found.hv30 == pytest.approx(0.3984)
    assert (found.earnings, found.earnings_estimated, found.earnings_time) == (date(2026, 4, 30), False, "AMC")
    assert (found.liquidity_rating, found.source) == (4, "tastytrade")


def test_what_is_missing_or_odd_is_unknown_and_a_rank_stays_within_its_year():
    found = metrics_of({"symbol": "X", "implied-volatility-index-rank": "1.07", "earnings": None, "beta": "NaN"})
    assert (found.iv_rank, found.market_cap, found.earnings, found.beta) == (1.0, None, None, None)
    assert metrics_of({"symbol": "X", "earnings": {"expected-report-date": "soon"}}).earnings is None
    assert metrics_of({"implied-volatility-index": "0.2"}) is None


async def test_the_broker_answers_for_those_it_knows(broker):
    found = await broker.market_metrics(["AAPL", "NOPE"])
    assert [metrics.symbol for metrics in found] == ["AAPL"]
    assert found[0].market_cap is None
