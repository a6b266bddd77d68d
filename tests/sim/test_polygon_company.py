"""The unmodified polygon RESTClient against the simulator: ticks, filings, symbols, relatives, conditions."""

from __future__ import annotations

import pytest
from polygon import RESTClient
from polygon.exceptions import BadResponse

from qmterm.core.conditions import counts
from tests.sim.conftest import start, stop

MINUTE_NS = 60_000_000_000


@pytest.fixture(scope="module")
def client(simulator) -> RESTClient:
    simulator.advance(120 + 60)  # 09:40
    return RESTClient(simulator.token, base=simulator.url)


def test_ticks_make_the_minutes_they_came_from_by_the_sale_conditions(client):
    bars = client.get_aggs("AAPL", 1, "minute", "2026-03-02", "2026-03-02")[-5:]
    first = bars[0].timestamp * 1_000_000
    ticks = list(client.list_trades("AAPL", timestamp_gte=first, order="asc", limit=3))  # several pages
    assert [tick.sip_timestamp for tick in ticks] == sorted(tick.sip_timestamp for tick in ticks)
    for bar in bars:
        start_ns = bar.timestamp * 1_000_000
        inside = [tick for tick in ticks if start_ns <= tick.sip_timestamp < start_ns + MINUTE_NS]
        last = [tick.price for tick in inside if counts(set(tick.conditions or ()) - {12}).last]
        ranged = [tick.price for tick in inside if counts(set(tick.conditions or ()) - {12}).high_low]
        assert (last[0], last[-1]) == (bar.open, bar.close)
        assert (min(ranged), max(ranged)) == (bar.low, bar.high)
        assert sum(tick.size for tick in inside) == bar.volume
    assert any(37 in (tick.conditions or ()) for tick in ticks)


def test_quotes_surround_the_trades_and_end_with_the_present_one(client):
    since = client.get_last_quote("AAPL").sip_timestamp - 300_000_000_000
    quotes = list(client.list_quotes("AAPL", timestamp_gte=since, order="desc", limit=10))
    now = client.get_last_quote("AAPL")
    assert (quotes[0].bid_price, quotes[0].ask_price) == (now.bid_price, now.ask_price)
    assert all(quote.bid_price < quote.ask_price for quote in quotes)
    assert len(str(quotes[0].sip_timestamp)) == 19


def test_an_option_has_its_latest_trade_and_quote(client):
    name = "O:AAPL260417C00260000"
    contract = client.get_snapshot_option("AAPL", name)
    quote = next(iter(client.list_quotes(name)))
    assert (quote.bid_price, quote.ask_price) == (contract.last_quote.bid, contract.last_quote.ask)
    newest = next(iter(client.list_trades(name, order="desc", limit=10)))
    last = client.get_last_trade(name)
    assert (newest.sip_timestamp, newest.size) == (last.sip_timestamp, last.size)


def test_filings_are_quarters_that_were_filed_newest_first(client):
    filings = list(client.vx.list_stock_financials(ticker="AAPL", timeframe="quarterly", limit=2))
    assert len(filings) >= 4
    assert [f.filing_date for f in filings] == sorted((f.filing_date for f in filings), reverse=True)
    assert filings[0].filing_date <= "2026-03-02"
    income = filings[0].financials.income_statement
    assert income.revenues.value > abs(income.net_income_loss.value) > 0
    assert income.basic_earnings_per_share.unit == "USD / shares"
    assert list(client.vx.list_stock_financials(ticker="SPY")) == []


def test_a_company_has_its_symbols_and_its_relatives(client):
    events = client.get_ticker_events("META")
    assert events.events[0]["ticker_change"]["ticker"] == "META"
    relatives = [row.ticker for row in client.get_related_companies("AAPL")]
    assert "NVDA" in relatives
    assert "AAPL" not in relatives
    with pytest.raises(BadResponse, match="NOT_FOUND"):
        client.get_ticker_events("NOPE")


def test_conditions_carry_the_rules_of_the_tape(client):
    stocks = {row.id: row for row in client.list_conditions(asset_class="stocks", limit=10)}
    assert len(stocks) > 30
    for number, row in stocks.items():
        rules = row.update_rules.consolidated
        expected = counts([number])
        assert (rules.updates_open_close, rules.updates_high_low, rules.updates_volume) == (
            expected.last,
            expected.high_low,
            expected.volume,
        )
    options = {row.id: row.name for row in client.list_conditions(asset_class="options", limit=1000)}
    assert options[219] == "Intermarket Sweep Order"


def test_short_interest_is_settled_in_the_past(client):
    rows = client.list_short_interest(ticker="AAPL", limit=5)
    first = next(iter(rows))
    assert first.settlement_date < "2026-03-02"
    assert first.short_interest > 0


def test_a_plan_without_trades_has_no_ticks():
    simulator = start("--symbols", "50", "--lockstep", "--plan", "starter")
    try:
        starter = RESTClient(simulator.token, base=simulator.url)
        with pytest.raises(BadResponse, match="not entitled"):
            list(starter.list_trades("AAPL"))
        with pytest.raises(BadResponse, match="not entitled"):
            list(starter.list_quotes("AAPL"))
    finally:
        stop(simulator)
