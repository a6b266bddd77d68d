"""The unmodified polygon RESTClient against the simulator: every endpoint qmterm needs, as the vendor shapes it."""

from __future__ import annotations

import json

import pytest
from polygon import RESTClient
from polygon.exceptions import BadResponse

OCC = "O:AAPL260417C00260000"


@pytest.fixture(scope="module")
def client(simulator) -> RESTClient:
    simulator.advance(120 + 60)  # 09:40
    return RESTClient(simulator.token, base=simulator.url)


def raw(client: RESTClient, path: str) -> dict:
    return json.loads(client._get(path, params={}, raw=True).data)


def test_whole_market_snapshot_is_one_call(client):
    rows = client.get_snapshot_all("stocks")
    assert len(rows) == 60
    spy = next(row for row in rows if row.ticker == "SPY")
    assert spy.day.low <= spy.day.close <= spy.day.high
    assert spy.last_quote.bid_price < spy.last_quote.ask_price
    assert spy.last_trade.price == pytest.approx(spy.day.close)
    assert spy.todays_change == pytest.approx(spy.last_trade.price - spy.prev_day.close, abs=0.011)
    assert len(str(spy.updated)) == 19
    assert len(str(spy.min.timestamp)) == 13
    assert [row.ticker for row in client.get_snapshot_all("stocks", ["QQQ", "NOPE"])] == ["QQQ"]
    assert client.get_snapshot_ticker("stocks", "SPY").ticker == "SPY"
    changes = [row.todays_change_percent for row in client.get_snapshot_direction("stocks", "gainers")]
    assert changes == sorted(changes, reverse=True)
    assert len(changes) == 20


def test_option_chain_over_pages_is_complete_and_each_contract_once(client):
    rows = list(client.list_snapshot_options_chain("AAPL", params={"limit": 250}))
    names = [row.details.ticker for row in rows]
    assert len(rows) > 500
    assert len(set(names)) == len(names)
    assert names == sorted(names)
    assert all(row.last_quote.bid < row.last_quote.ask for row in rows)
    near = next(row for row in rows if row.greeks and row.greeks.delta and 0.45 < row.greeks.delta < 0.55)
    assert near.greeks.theta < 0 < near.greeks.vega
    assert near.underlying_asset.price == client.get_last_trade("AAPL").price
    assert near.last_quote.midpoint == pytest.approx((near.last_quote.bid + near.last_quote.ask) / 2)


def test_chain_filters_narrow_it(client):
    bounds = {
        "expiration_date.gte": "2026-03-20",
        "expiration_date.lte": "2026-04-17",
        "strike_price.gte": 250,
        "strike_price.lte": 270,
        "contract_type": "call",
        "limit": 250,
    }
    rows = list(client.list_snapshot_options_chain("AAPL", params=bounds))
    assert rows
    assert all("2026-03-20" <= row.details.expiration_date <= "2026-04-17" for row in rows)
    assert all(250 <= row.details.strike_price <= 270 for row in rows)
    assert {row.details.contract_type for row in rows} == {"call"}


def test_deep_contracts_have_no_greeks_and_untraded_ones_no_day(client):
    body = raw(client, "/v3/snapshot/options/AAPL?limit=250&contract_type=call&expiration_date=2026-03-06")
    rows = {row["details"]["strike_price"]: row for row in body["results"]}
    assert "greeks" not in rows[min(rows)]
    assert any(row["day"] == {} for row in body["results"])


def test_single_contract_and_reference(client):
    snapshot = client.get_snapshot_option("AAPL", OCC)
    assert snapshot.details.ticker == OCC
    assert client.get_options_contract(OCC).strike_price == 260
    listed = list(client.list_options_contracts("AAPL", expiration_date="2026-04-17", limit=20))
    chain = client.list_snapshot_options_chain("AAPL", params={"expiration_date": "2026-04-17", "limit": 250})
    assert {row.ticker for row in listed} == {row.details.ticker for row in chain}


def test_contracts_of_the_whole_market_are_paged_in_order(client):
    first = raw(client, "/v3/reference/options/contracts?limit=1000")
    assert first["next_url"].startswith("https://api.polygon.io/")
    seen = [row["ticker"] for row in first["results"]]
    path = first["next_url"].removeprefix("https://api.polygon.io")
    seen += [row["ticker"] for row in raw(client, path)["results"]]
    assert len(seen) == 2000
    assert len(set(seen)) == 2000


def test_grouped_daily_is_the_market_of_one_day(client):
    rows = client.get_grouped_daily_aggs("2026-02-27")
    assert len(rows) == 60
    bar = next(row for row in rows if row.ticker == "SPY")
    single = client.get_previous_close_agg("SPY")[0]
    assert (bar.open, bar.high, bar.low, bar.close) == (single.open, single.high, single.low, single.close)
    body = raw(client, "/v2/aggs/grouped/locale/us/market/stocks/2026-02-28")  # a Saturday
    assert "results" not in body
    assert body["resultsCount"] == 0


def test_ranges_of_all_spans_agree(client):
    days = list(client.list_aggs("NVDA", 1, "day", "2026-02-02", "2026-02-27"))
    weeks = list(client.list_aggs("NVDA", 1, "week", "2026-02-02", "2026-02-27"))
    assert len(days) == 19
    assert sum(week.volume for week in weeks) == sum(day.volume for day in days)
    assert max(week.high for week in weeks) == max(day.high for day in days)
    five = list(client.list_aggs("NVDA", 5, "minute", "2026-02-27", "2026-02-27"))
    hours = list(client.list_aggs("NVDA", 1, "hour", "2026-02-27", "2026-02-27"))
    assert len(five) == 78
    assert max(bar.high for bar in five) == max(bar.high for bar in hours) == days[-1].high
    assert five[0].open == days[-1].open
    assert five[-1].close == days[-1].close


def test_limit_counts_base_bars_and_pages_join(client):
    body = raw(client, "/v2/aggs/ticker/NVDA/range/5/minute/2026-02-26/2026-02-27?limit=100")
    assert len(body["results"]) == 20
    every = list(client.list_aggs("NVDA", 5, "minute", "2026-02-26", "2026-02-27", limit=100))
    assert len(every) == 156
    stamps = [bar.timestamp for bar in every]
    assert stamps == sorted(set(stamps))


def test_the_running_day_is_in_minutes_and_days(client):
    minutes = list(client.list_aggs("SPY", 1, "minute", "2026-03-02", "2026-03-02"))
    day = next(client.list_aggs("SPY", 1, "day", "2026-03-02", "2026-03-02"))
    regular = [bar for bar in minutes if bar.timestamp >= 1772461800000]
    assert 9 <= len(regular) <= 10
    assert day.open == regular[0].open
    assert day.high == max(bar.high for bar in regular)


def test_splits_are_adjusted_unless_asked_for_raw(client):
    split = next(iter(client.list_splits(limit=1000)), None)
    if split is None:
        pytest.skip("this seed has no split among its first names")
    adjusted = next(client.list_aggs(split.ticker, 1, "day", "2025-01-02", "2026-02-27"))
    traded = next(client.list_aggs(split.ticker, 1, "day", "2025-01-02", "2026-02-27", adjusted=False))
    assert traded.close == pytest.approx(adjusted.close * split.split_to / split.split_from, rel=1e-3)


def test_the_trades_of_a_contract_come_to_its_volume_and_each_has_its_quote(client):
    rows = client.list_snapshot_options_chain("AAPL", params={"limit": 250})
    today = client.get_previous_close_agg("AAPL")[0].timestamp * 1_000_000 + 86_400_000_000_000
    traded = [row for row in rows if row.day.volume and row.day.last_updated > today]
    busiest = sorted(traded, key=lambda row: -row.day.volume)[:12]
    assert len(busiest) == 12
    prints, at_a_side = 0, 0
    for row in busiest:
        trades = list(client.list_trades(row.details.ticker, timestamp_gte=today, order="asc", limit=50_000))
        size = sum(-trade.size if trade.conditions == [201] else trade.size for trade in trades)
        assert size == row.day.volume, row.details.ticker
        quotes = list(client.list_quotes(row.details.ticker, timestamp_gte=today, order="asc", limit=50_000))
        for trade in trades:
            force = [quote for quote in quotes if quote.sip_timestamp <= trade.sip_timestamp][-1]
            assert 0 < force.bid_price < force.ask_price
            at_a_side += trade.price in (force.bid_price, force.ask_price)
        prints += len(trades)
    assert at_a_side > 0.4 * prints > 20


def test_option_bars(client):
    previous = client.get_previous_close_agg(OCC)[0]
    assert previous.low <= previous.close <= previous.high
    assert client.get_last_trade(OCC).price > 0


def test_last_quote_trade_and_open_close(client):
    quote = client.get_last_quote("MSFT")
    assert quote.bid_price < quote.ask_price
    assert len(str(quote.sip_timestamp)) == 19
    assert quote.bid_price - 1 < client.get_last_trade("MSFT").price < quote.ask_price + 1
    assert client.get_daily_open_close_agg("MSFT", "2026-02-27").symbol == "MSFT"


def test_reference_tickers_are_paged(client):
    rows = list(client.list_tickers(market="stocks", limit=7))
    assert len(rows) == 60
    assert [row.ticker for row in rows] == sorted(row.ticker for row in rows)
    assert [row.ticker for row in client.list_tickers(search="nvidia")] == ["NVDA"]
    assert client.get_ticker_details("NVDA").market_cap > 0
    assert [row.code for row in client.get_ticker_types()] == ["CS", "ETF"]
    assert client.get_exchanges()
    assert any(row.id == 219 for row in client.list_conditions(asset_class="options", limit=1000))


def test_news_has_insights_and_nothing_of_the_future(client):
    rows = list(client.list_ticker_news(limit=1000))
    now = client.get_market_status().server_time
    assert rows
    assert all(row.insights for row in rows)
    assert [row.published_utc for row in rows] == sorted((row.published_utc for row in rows), reverse=True)
    assert rows[0].published_utc <= "2026-03-02T14:40:00Z"
    assert now.startswith("2026-03-02T09:40")
    subject = rows[0].tickers[0]
    assert all(subject in row.tickers for row in client.list_ticker_news(subject, limit=50))


def test_calendar_and_rates(client):
    status = client.get_market_status()
    assert (status.market, status.early_hours, status.after_hours) == ("open", False, False)
    holidays = client.get_market_holidays()
    assert {(row.date, row.status) for row in holidays} >= {("2026-04-03", "closed"), ("2026-11-27", "early-close")}
    latest = next(client.list_treasury_yields())
    assert latest.date == "2026-02-27"
    assert latest.yield_1_month > 0


def test_a_dividend_from_before_a_split_is_told_as_it_was_paid(client):
    split = {row.ticker: row for row in client.list_splits(limit=1000) if row.execution_date < "2026-03-02"}
    told = 0
    for symbol, row in split.items():
        rows = list(client.list_dividends(ticker=symbol, limit=1000))
        before = {r.cash_amount for r in rows if r.ex_dividend_date < row.execution_date}
        since = {r.cash_amount for r in rows if r.ex_dividend_date >= row.execution_date}
        if before and since:
            told += 1
            assert max(before) == pytest.approx(max(since) * row.split_to / row.split_from, rel=1e-4)
    assert told


def test_corporate_events(client):
    dividends = list(client.list_dividends(limit=1000))
    assert dividends
    assert all(row.cash_amount > 0 for row in dividends)
    assert all(row.declaration_date <= "2026-03-02" for row in dividends)
    reports = list(client.list_benzinga_earnings(ticker="AAPL", limit=100))
    assert len(reports) == 7
    between = list(client.list_benzinga_earnings(date_gte="2026-03-02", date_lte="2026-04-17", limit=1000))
    assert between
    assert all("2026-03-02" <= row.date <= "2026-04-17" for row in between)


def test_indicators_agree_with_the_bars(client):
    closes = [bar.close for bar in client.list_aggs("SPY", 1, "day", "2025-11-01", "2026-03-02")]
    value = client.get_sma("SPY", timespan="day", window=50, limit=1).values[0].value
    assert value == pytest.approx(sum(closes[-50:]) / 50)
    assert 0 < client.get_rsi("SPY", limit=1).values[0].value < 100
    assert client.get_ema("SPY", window=10, limit=3, expand_underlying=True).underlying.aggregates
    assert client.get_macd("SPY", limit=1).values[0].histogram is not None


def test_universal_snapshot_marks_unknown_tickers(client):
    rows = {row.ticker: row for row in client.list_universal_snapshots(ticker_any_of=["SPY", OCC, "NOPE"])}
    assert rows["SPY"].type == "stocks"
    assert rows[OCC].type == "options"
    assert rows["NOPE"].error == "NOT_FOUND"


def test_a_wrong_key_and_unknown_tickers_are_the_vendors_errors(client, simulator):
    with pytest.raises(BadResponse, match="Unknown API Key"):
        RESTClient("wrong", base=simulator.url).get_market_status()
    with pytest.raises(BadResponse, match="Ticker not found"):
        client.get_snapshot_ticker("stocks", "NOPE")
    with pytest.raises(BadResponse, match="Could not parse"):
        client.get_grouped_daily_aggs("someday")
    assert simulator.call("GET", f"/v1/marketstatus/now?apiKey={simulator.token}")[0] == 200
