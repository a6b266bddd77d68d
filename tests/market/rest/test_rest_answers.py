"""Answers become our columns: units, absent parts, pages, order."""

import json
import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import DataError
from qmterm.market.rest import option_columns, option_page
from qmterm.market.rest.client import PolygonRest
from qmterm.market.rest.snapshot import snapshot_columns
from qmterm.market.times import rfc3339_ns, to_ns, to_ns_array
from tests.market.fakes import KEY, json_answer, rest_server, settings

DAY = date(2026, 3, 2)
NS = 1_772_463_600_000_000_000


async def ask(body, call, **changes):
    async def handler(request, number):
        return json_answer(body)

    async with rest_server(handler) as (url, seen):
        rest = PolygonRest(settings(url, **changes), KEY)
        try:
            return await call(rest), seen
        finally:
            rest.close()


@given(st.integers(1_000_000_000, 4_000_000_000))
def test_every_unit_of_a_time_means_the_same_instant(second):
    expected = second * 1_000_000_000
    for factor in (1, 1_000, 1_000_000, 1_000_000_000):
        assert to_ns(second * factor) == expected
    column = np.array([second, second * 1_000, second * 1_000_000, expected, 0])
    assert to_ns_array(column).tolist() == [expected] * 4 + [0]


def test_texts_become_instants_whatever_their_offset():
    assert rfc3339_ns("2026-03-02T10:00:00-05:00") == NS == rfc3339_ns("2026-03-02T15:00:00Z")
    assert rfc3339_ns("2026-03-02T15:00:00.250Z") == NS + 250_000_000
    with pytest.raises(DataError):
        rfc3339_ns("yesterday")


FULL = {
    "ticker": "AAPL",
    "day": {"o": 230, "h": 232.5, "l": 229, "c": 231, "v": 1000000, "vw": 230.9},
    "prevDay": {"o": 1, "h": 1, "l": 1, "c": 228.5, "v": 5, "vw": 1},
    "min": {"c": 231.1, "t": NS // 1_000_000, "av": 5, "o": 1, "h": 1, "l": 1, "v": 1, "vw": 1, "n": 1},
    "lastTrade": {"c": None, "i": "1", "p": 231.2, "s": 10, "t": NS, "x": 4},
    "lastQuote": {"P": 231.25, "S": 3, "p": 231.15, "s": 2, "t": NS},
    "updated": NS,
}


async def test_the_snapshot_is_one_call_of_the_plain_path():
    body = {"status": "OK", "tickers": [FULL, {"ticker": "NEW", "updated": 0}]}
    columns, seen = await ask(body, lambda rest: rest.whole_market_snapshot())
    assert [request.path for request in seen] == ["/v2/snapshot/locale/us/markets/stocks/tickers"]
    assert columns.symbols == ("AAPL", "NEW")
    assert (columns.bid[0], columns.ask[0]) == (231.15, 231.25)
    assert (columns.bid_size[0], columns.ask_size[0]) == (200, 300)  # round lots to shares
    assert (columns.quote_ns[0], columns.trade_ns[0], columns.minute_ns[0]) == (NS, NS, NS)
    assert math.isnan(columns.last[1])
    assert math.isnan(columns.prev_close[1])
    assert not columns.delayed


async def test_a_plan_without_quotes_and_trades_gives_unknown_prices_and_says_delayed():
    row = {key: value for key, value in FULL.items() if key not in ("lastTrade", "lastQuote")}
    columns, _ = await ask({"status": "DELAYED", "tickers": [row]}, lambda rest: rest.whole_market_snapshot())
    assert columns.delayed
    assert math.isnan(columns.bid[0])
    assert columns.quote_ns[0] == 0
    assert columns.minute_close[0] == 231.1


async def test_a_day_bar_of_zeros_before_the_first_trade_is_unknown():
    row = {**FULL, "day": {"o": 0, "h": 0, "l": 0, "c": 0, "v": 0, "vw": 0}}
    columns, _ = await ask({"status": "OK", "tickers": [row]}, lambda rest: rest.whole_market_snapshot())
    assert math.isnan(columns.day_open[0])
    assert columns.day_volume[0] == 0


async def test_one_unreadable_ticker_costs_itself_and_many_cost_the_answer():
    rows = [{**FULL, "ticker": f"S{number}"} for number in range(300)]
    rows[7] = {"ticker": 5}
    columns, _ = await ask({"status": "OK", "tickers": rows}, lambda rest: rest.whole_market_snapshot())
    assert len(columns) == 299
    assert columns.malformed == 1
    with pytest.raises(DataError, match="not readable"):
        await ask({"tickers": rows[:10] + [{"x": 1}] * 10}, lambda rest: rest.whole_market_snapshot())


async def test_grouped_bars_are_adjusted_and_a_closed_day_is_empty():
    row = {"T": "AAPL", "o": 1, "h": 2, "l": 0.5, "c": 1.5, "v": 10.5, "vw": 1.2, "t": NS // 1_000_000, "n": 3}
    bars, seen = await ask({"status": "OK", "results": [row], "resultsCount": 1}, lambda rest: rest.grouped_daily(DAY))
    assert seen[0].path == "/v2/aggs/grouped/locale/us/market/stocks/2026-03-02"
    assert seen[0].query["adjusted"] == "true"
    assert (bars.symbols, bars.volume.tolist()) == (("AAPL",), [10.5])
    closed, _ = await ask({"status": "OK", "resultsCount": 0}, lambda rest: rest.grouped_daily(DAY))
    assert len(closed) == 0
    odd = [row] * 200 + [{**row, "c": "x"}]
    bars, _ = await ask({"status": "OK", "results": odd}, lambda rest: rest.grouped_daily(DAY))
    assert (len(bars), bars.malformed) == (200, 1)


def contract(strike, right="call", expiry="2026-04-17", **more):
    letter = "C" if right == "call" else "P"
    ticker = f"O:AAPL{expiry[2:4]}{expiry[5:7]}{expiry[8:]}{letter}{round(strike * 1000):08d}"
    details = {"ticker": ticker, "contract_type": right, "expiration_date": expiry, "strike_price": strike}
    return {"details": {**details, "shares_per_contract": 100}, **more}


async def test_a_chain_is_read_over_all_pages_and_sorted():
    first = [contract(230, "put"), contract(225), contract(230)]
    second = [contract(200, expiry="2026-04-10", open_interest=12, implied_volatility=0.3, greeks={})]
    second[0]["last_quote"] = {"bid": 1.5, "ask": 1.6, "bid_size": 4, "ask_size": 5, "last_updated": NS}

    async def handler(request, number):
        if "cursor" in request.query:
            return json_answer({"status": "OK", "results": second})
        assert request.query["limit"] == "250"
        assert request.query["expiration_date.gte"] == "2026-03-02"
        assert request.query["strike_price.lte"] == "240"
        next_url = f"https://api.massive.com:443{request.path}?cursor=2"
        return json_answer({"status": "OK", "results": first, "next_url": next_url})

    async with rest_server(handler) as (url, _):
        rest = PolygonRest(settings(url), KEY)
        rows = await rest.option_rows("AAPL", DAY, date(2026, 5, 1), strike_to=240)
        rest.close()
    assert rows.occ == (
        "AAPL  260410C00200000",
        "AAPL  260417C00225000",
        "AAPL  260417C00230000",
        "AAPL  260417P00230000",
    )
    assert rows.open_interest.tolist() == [12, -1, -1, -1]
    assert rows.bid[0] == 1.5
    assert math.isnan(rows.bid[1])
    assert rows.spot is None


async def test_an_adjusted_contract_is_marked_and_an_unreadable_symbol_is_counted():
    odd = contract(10)
    odd["details"]["shares_per_contract"] = 150
    strange = contract(10)
    strange["details"]["ticker"] = "O:NOT-AN-OPTION"
    rows, _ = await ask({"results": [odd, strange]}, lambda rest: rest.option_rows("AAPL", DAY, DAY))
    assert rows.adjusted.tolist() == [True]
    assert rows.malformed == 1


async def test_the_newest_yields_are_percent_by_name():
    older, newest = {"date": "2026-02-26", "yield_1_month": 9}, {"date": "2026-02-27", "yield_1_month": 4.31}
    body = {"status": "OK", "results": [older, newest | {"yield_2_year": 3.88}, older]}
    curve, seen = await ask(body, lambda rest: rest.treasury_yields(date(2026, 2, 1)))
    assert seen[0].query["date.gte"] == "2026-02-01"
    assert curve.day == date(2026, 2, 27)
    assert dict(curve.yields) == {"yield_1_month": 4.31, "yield_2_year": 3.88}


async def test_calendar_rows_become_dates():
    dividends, _ = await ask(
        {"results": [{"ticker": "AAPL", "ex_dividend_date": "2026-05-08", "cash_amount": 0.26, "frequency": 4}]},
        lambda rest: rest.dividends("AAPL", DAY),
    )
    assert dividends[0].ex_date == date(2026, 5, 8)
    assert dividends[0].currency == "USD"
    row = {"ticker": "TM", "ex_dividend_date": "2026-03-30", "cash_amount": 100, "currency": "JPY"}
    foreign, _ = await ask({"results": [row]}, lambda rest: rest.dividends("TM", DAY))
    assert foreign[0].currency == "JPY"
    splits, seen = await ask(
        {"results": [{"ticker": "X", "execution_date": "2026-03-03", "split_from": 1, "split_to": 4}]},
        lambda rest: rest.splits(DAY),
    )
    assert splits[0].ratio == 4
    assert seen[0].query["execution_date.gte"] == "2026-03-02"
    earnings, seen = await ask(
        {"results": [{"ticker": "AAPL", "date": "2026-04-30", "date_status": "confirmed", "time": "16:30:00"}]},
        lambda rest: rest.earnings(["MSFT", "AAPL"], DAY, date(2026, 6, 1)),
    )
    assert (earnings[0].symbol, earnings[0].confirmed) == ("AAPL", True)
    assert seen[0].query["ticker.any_of"] == "AAPL,MSFT"


async def test_news_carry_their_insights():
    row = {
        "id": "1",
        "title": "T",
        "published_utc": "2026-03-02T15:00:00Z",
        "tickers": ["AAPL"],
        "publisher": {"name": "P"},
        "insights": [{"ticker": "AAPL", "sentiment": "positive", "sentiment_reasoning": "why"}],
    }
    news, seen = await ask({"results": [row, {**row, "insights": None}]}, lambda rest: rest.news("AAPL", NS))
    assert news[0].published_ns == NS
    assert news[0].insights[0].sentiment == "positive"
    assert news[1].insights == ()
    assert seen[0].query["published_utc.gte"] == "2026-03-02T15:00:00Z"


async def test_news_of_unknown_time_cost_only_themselves():
    row = {"id": "1", "title": "T", "published_utc": "2026-02-30"}
    good = {**row, "id": "2", "published_utc": "2026-03-02T15:00:00Z"}
    news, _ = await ask({"results": [row, good]}, lambda rest: rest.news("AAPL", NS))
    assert [item.news_id for item in news] == ["2"]
    with pytest.raises(DataError, match="none of the answer's rows"):
        await ask({"results": [row]}, lambda rest: rest.news("AAPL", NS))


async def test_yields_of_no_day_cost_only_themselves():
    rows = [{"date": "zzzz", "yield_1_month": 9}, {"date": "2026-02-27", "yield_1_month": 4.31}]
    curve, _ = await ask({"results": rows}, lambda rest: rest.treasury_yields())
    assert curve.day == date(2026, 2, 27)
    with pytest.raises(DataError, match="none of the answer's rows"):
        await ask({"results": rows[:1]}, lambda rest: rest.treasury_yields())


@pytest.mark.parametrize("kind", ["splits", "dividends", "earnings dates"])
async def test_where_none_may_be_lost_a_row_without_a_day_costs_the_answer(kind):
    _, good, call = UNREADABLE[kind]
    field = next(name for name in good if "date" in name)
    with pytest.raises(DataError, match="1 of 2 rows are not readable"):
        await ask({"results": [good, {**good, field: "soon"}]}, call)


async def test_a_split_without_a_ratio_is_none_and_is_counted():
    async def both(rest):
        return await rest.splits(DAY), rest.unreadable

    good = UNREADABLE["splits"][1]
    rows = [{**good, "split_from": 0}, good]
    (splits, left_out), _ = await ask({"results": rows}, both)
    assert ([split.ratio for split in splits], left_out) == ([2.0], 1)


async def test_bars_of_one_symbol_are_in_order_and_without_repeats():
    row = {"o": 1, "h": 2, "l": 0.5, "c": 1.5, "v": 10, "vw": 1.2}
    body = {
        "results": [{**row, "t": 1_772_463_660_000}, {**row, "t": 1_772_463_600_000}, {**row, "t": 1_772_463_660_000}]
    }
    bars, _ = await ask(body, lambda rest: rest.aggs("AAPL", 5, "minute", DAY, DAY))
    assert bars.start_ns.tolist() == [NS, NS + 60_000_000_000]
    assert (await ask({"status": "OK", "resultsCount": 0}, lambda rest: rest.aggs("X", 1, "day", DAY, DAY)))[
        0
    ].close.size == 0


@pytest.mark.parametrize("stamp", [2**63, 10**25, 5 * 10**13, -1])
def test_times_no_clock_shows_are_no_time(stamp):
    body = {"status": "OK", "tickers": [{"ticker": "SPY", "lastQuote": {"p": 1, "P": 2, "s": 1, "S": 1, "t": stamp}}]}
    assert snapshot_columns(json.dumps(body).encode()).quote_ns.tolist() == [0]


def test_one_contract_with_impossible_numbers_does_not_cost_the_chain():
    details = {"contract_type": "call", "expiration_date": "2026-04-17", "strike_price": 230}
    wrong = {
        "details": {**details, "ticker": "O:SPY260417C00230000", "shares_per_contract": 1e30},
        "open_interest": 1e300,
        "day": {"volume": 1e30},
        "last_quote": {"bid": 1, "ask": 2, "bid_size": 1e30, "last_updated": 2**70},
    }
    right = {"details": {**details, "ticker": "O:SPY260417C00240000"}, "open_interest": 7}
    page = option_page.option_part(json.dumps({"status": "OK", "results": [wrong, right]}).encode(), "SPY")
    rows = option_columns.option_rows("SPY", [page])
    assert rows.adjusted.tolist() == [True, False]
    assert rows.open_interest.tolist() == [-1, 7]
    assert rows.quote_ns.tolist() == [0, 0]


UNREADABLE = {
    "splits": (
        {"ticker": "NVDA", "execution_date": "2026-03-02", "split_from": 1, "split_to": "7"},
        {"ticker": "X", "execution_date": "2026-03-02", "split_from": 1, "split_to": 2},
        lambda rest: rest.splits(DAY),
    ),
    "dividends": (
        {"ticker": "X", "ex_dividend_date": "2026-03-09", "cash_amount": None},
        {"ticker": "X", "ex_dividend_date": "2026-06-09", "cash_amount": 0.5},
        lambda rest: rest.dividends("X"),
    ),
    "contracts": (
        {"ticker": "O:X260327C00100000", "shares_per_contract": None},
        {"ticker": "O:X260327P00100000"},
        lambda rest: rest.option_contracts("X"),
    ),
    "whether there are options": (
        {"ticker": "O:X260327C00100000", "shares_per_contract": None},
        {"ticker": "O:X260327P00100000"},
        lambda rest: rest.has_options("X"),
    ),
    "earnings dates": (
        {"ticker": "X", "date": None},
        {"ticker": "X", "date": "2026-04-30"},
        lambda rest: rest.earnings(["X"], DAY, date(2026, 6, 1)),
    ),
}


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_where_a_lost_row_is_a_wrong_answer_none_may_be_unreadable(kind):
    odd, good, call = UNREADABLE[kind]
    assert (await ask({"results": [good]}, call))[0]
    with pytest.raises(DataError, match="1 of 301 rows are not readable"):
        await ask({"results": [odd] + [good] * 300}, call)


TRADE = {"price": 1.5, "size": 100, "sip_timestamp": NS}
LISTS = {
    "news": ({"id": 1}, {"id": "1", "title": "T", "published_utc": "2026-03-02T15:00:00Z"}, lambda r: r.news("X", NS)),
    "tickers": ({"ticker": None}, {"ticker": "X"}, lambda rest: rest.tickers()),
    "bars": ({"o": "x"}, {"o": 1, "h": 2, "l": 1, "c": 1, "v": 1, "t": 1}, lambda r: r.aggs("X", 1, "day", DAY, DAY)),
    "previous close": (
        {"o": "x"},
        {"o": 1, "h": 2, "l": 1, "c": 1, "v": 1, "t": 1},
        lambda rest: rest.previous_close("X"),
    ),
    "daily bars": (
        {"T": 5},
        {"T": "X", "o": 1, "h": 2, "l": 1, "c": 1, "v": 1, "t": 1},
        lambda rest: rest.grouped_daily(DAY),
    ),
    "trades": ({"price": "x"}, TRADE, lambda rest: rest.trade_ticks("X", 0, NS)),
    "quotes": ({"bid_price": "x"}, {"bid_price": 1}, lambda rest: rest.quote_ticks("X", 0, NS)),
    "chain": ({"details": 5}, contract(230), lambda rest: rest.option_rows("AAPL", DAY, DAY)),
    "chain symbols": ({"details": {"ticker": "O:X"}}, contract(230), lambda rest: rest.option_rows("AAPL", DAY, DAY)),
}


@pytest.mark.parametrize("kind", LISTS)
async def test_an_answer_without_a_readable_row_is_no_empty_answer(kind):
    odd, good, call = LISTS[kind]
    await ask({"results": [odd, good]}, call)  # one costs only itself
    with pytest.raises(DataError, match="none of the answer's rows is readable"):
        await ask({"results": [odd]}, call)


@pytest.mark.parametrize("call", [lambda r: r.whole_market_snapshot(), lambda r: r.movers("gainers")])
async def test_a_snapshot_without_a_readable_ticker_is_no_empty_market(call):
    with pytest.raises(DataError, match="none of the answer's rows is readable"):
        await ask({"tickers": [{"ticker": 5}]}, call)


@pytest.mark.parametrize("field", ["sequence_number", "exchange", "correction", "sip_timestamp"])
async def test_a_whole_number_beyond_any_column_costs_only_itself(field):
    body = {"results": [{**TRADE, field: 10**400}, {**TRADE, "sequence_number": 7}]}
    ticks, _ = await ask(body, lambda rest: rest.trade_ticks("X", 0, NS))
    assert ticks.price.tolist() == [1.5, 1.5]
    assert sorted(ticks.sequence.tolist()) == [0, 7]


async def test_rows_that_are_left_out_are_counted():
    async def both(rest):
        await rest.tickers()
        return rest.unreadable

    assert (await ask({"results": [{"ticker": None}, {"ticker": "X"}]}, both))[0] == 1
