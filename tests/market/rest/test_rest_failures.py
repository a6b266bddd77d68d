"""Every way the data server fails is one error of ours, soon, that says where; never an empty market."""

import asyncio
import json
import time
from datetime import date

import pytest
from aiohttp import web

from qmterm.core.errors import DataAuthError, DataError, DataSilent, NotEntitled, RateLimited
from qmterm.market.rest.client import PolygonRest
from tests.market.fakes import KEY, json_answer, rest_server, settings

DAY = date(2026, 3, 2)
STATUS = {"market": "open", "serverTime": "2026-03-02T10:00:00-05:00"}
CONTRACT = {
    "details": {
        "ticker": "O:AAPL260417C00230000",
        "contract_type": "call",
        "expiration_date": "2026-04-17",
        "strike_price": 230,
        "shares_per_contract": 100,
    }
}


async def ask(handler, call, **changes):
    async with rest_server(handler) as (url, seen):
        rest = PolygonRest(settings(url, **changes), KEY)
        try:
            return await call(rest), seen
        finally:
            rest.close()


async def fails(error, handler, call=lambda rest: rest.market_status(), **changes):
    async with rest_server(handler) as (url, seen):
        rest = PolygonRest(settings(url, **changes), KEY)
        try:
            with pytest.raises(error) as caught:
                await call(rest)
        finally:
            rest.close()
    assert type(caught.value) is error
    return str(caught.value), len(seen)


async def test_a_server_that_stalls_is_silent_after_the_read_timeout():
    async def handler(request, number):
        await asyncio.sleep(3)
        return json_answer(STATUS)

    began = time.monotonic()
    text, calls = await fails(DataSilent, handler)
    assert time.monotonic() - began < 1.5
    assert "market status" in text
    assert calls == 1


async def test_a_body_that_drips_ends_at_the_deadline():
    async def handler(request, number):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(40):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    began = time.monotonic()
    await fails(DataSilent, handler)
    assert time.monotonic() - began < 3.0


async def test_429_is_tried_again_after_retry_after():
    async def handler(request, number):
        if number == 1:
            return json_answer({"status": "ERROR", "error": "exceeded"}, 429, {"Retry-After": "0.3"})
        return json_answer(STATUS)

    began = time.monotonic()
    answer, seen = await ask(handler, lambda rest: rest.market_status())
    assert answer.market == "open"
    assert len(seen) == 2
    assert time.monotonic() - began >= 0.3


async def test_429_with_a_long_retry_after_is_reported_instead_of_waited_for():
    async def handler(request, number):
        return json_answer({"status": "ERROR", "error": "exceeded"}, 429, {"Retry-After": "60"})

    began = time.monotonic()
    text, calls = await fails(RateLimited, handler)
    assert time.monotonic() - began < 1.0
    assert calls == 1
    assert "calls_per_minute" in text
    assert "60 s" in text


async def test_while_the_server_wants_silence_every_caller_is_told_how_long_and_nobody_hangs():
    async def handler(request, number):
        return json_answer({"status": "ERROR", "error": "exceeded"}, 429, {"Retry-After": "120"})

    async with rest_server(handler) as (url, seen):
        rest = PolygonRest(settings(url), KEY)
        began = time.monotonic()
        with pytest.raises(RateLimited):
            await rest.market_status()
        with pytest.raises(RateLimited, match=r"another 1[12]\d s"):
            await rest.news("AAPL", 0)
        assert time.monotonic() - began < 1.0
        assert len(seen) == 1
        rest.close()


@pytest.mark.parametrize(
    ("over", "least_s", "most_s"),
    [
        ("Mon, 02 Mar 2026 15:01:00 GMT", 58, 60),
        ("Mon, 02 Mar 2026 15:01:00 -0000", 58, 60),
        ("Mon, 02 Mar 2026 14:00:00 GMT", 0, 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3_590, 3_600),
        ("Mon, 99 Foo 2026", 0, 1),
    ],
)
async def test_retry_after_may_be_a_moment_by_the_servers_own_clock(over, least_s, most_s):
    async def handler(request, number):
        headers = {"Retry-After": over, "Date": "Mon, 02 Mar 2026 15:00:00 GMT"}
        return json_answer({"status": "ERROR", "error": "exceeded"}, 429, headers)

    async with rest_server(handler) as (url, _):
        rest = PolygonRest(settings(url, attempts=1), KEY)
        with pytest.raises(RateLimited):
            await rest.market_status()
        assert least_s <= rest.budget.held_s <= most_s
        rest.close()


async def test_429_without_retry_after_is_left_the_plans_even_pace():
    async def handler(request, number):
        return json_answer({"status": "ERROR", "error": "exceeded"}, 429)

    async with rest_server(handler) as (url, seen):
        rest = PolygonRest(settings(url, calls_per_minute=3), KEY)
        with pytest.raises(RateLimited):
            await rest.market_status()
        assert 19 < rest.budget.held_s <= rest.budget.spacing_s  # a third of a minute, and nobody waits for it
        assert len(seen) == 1
        rest.close()


@pytest.mark.parametrize(("header", "most_s"), [("86400", 3600), ("1e400", 1), ("nan", 1), ("-5", 1)])
async def test_no_retry_after_closes_the_door_for_longer_than_an_hour(header, most_s):
    async def handler(request, number):
        return json_answer({"status": "ERROR", "error": "exceeded"}, 429, {"Retry-After": header})

    async with rest_server(handler) as (url, _):
        rest = PolygonRest(settings(url), KEY)
        with pytest.raises(RateLimited):
            await rest.market_status()
        assert rest.caller.budget.wait_s <= most_s
        rest.close()


async def test_truncated_json_is_an_error_after_three_tries():
    async def handler(request, number):
        return web.Response(body=b'{"market":"open","serverTi', content_type="application/json")

    text, calls = await fails(DataError, handler)
    assert calls == 3
    assert "not readable" in text


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\xed\xa0\x80"])
async def test_text_that_is_no_utf8_is_unreadable_and_not_a_traceback(name):
    async def handler(request, number):
        body = b'{"market":"open","serverTime":"%s"}' % name
        return web.Response(body=body, content_type="application/json")

    text, _ = await fails(DataError, handler)
    assert "not readable" in text


@pytest.mark.parametrize("status", [200, 403, 500])
async def test_brackets_without_end_are_unreadable_and_not_a_traceback(status):
    async def handler(request, number):
        return web.Response(body=b'{"status":"OK","a":' + b"[" * 200_000, status=status)

    for call in (
        lambda rest: rest.market_status(),
        lambda rest: rest.whole_market_snapshot(),
        lambda rest: rest.option_rows("AAPL", DAY, DAY),
        lambda rest: rest.news("X", 0),
    ):
        await fails(DataError, handler, call, attempts=1)


async def test_a_connection_cut_inside_the_body_is_an_error():
    async def handler(request, number):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"market":')
        request.transport.close()
        return response

    text, calls = await fails(DataError, handler)
    assert calls == 3
    assert "broke off" in text


async def test_an_html_502_is_tried_again_and_then_named():
    async def handler(request, number):
        return web.Response(text="<html><h1>502 Bad Gateway</h1></html>", status=502, content_type="text/html")

    text, calls = await fails(DataError, handler)
    assert calls == 3
    assert "502" in text


async def test_an_html_502_that_passes_costs_nothing():
    async def handler(request, number):
        return json_answer(STATUS) if number == 2 else web.Response(text="<html>", status=502)

    answer, seen = await ask(handler, lambda rest: rest.market_status())
    assert answer.server_ns == 1_772_463_600_000_000_000
    assert len(seen) == 2


async def test_an_unknown_key_is_said_without_showing_the_key():
    async def handler(request, number):
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        return json_answer({"status": "ERROR", "error": f"Unknown API Key {KEY}"}, 401)

    text, calls = await fails(DataAuthError, handler)
    assert calls == 1
    assert KEY not in text
    assert "QMTERM_POLYGON_KEY" in text


SLASHED = "secret/key+123"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, json.dumps({"market": "open", "serverTime": f"{SLASHED} \x1b[2J"})),
        (500, json.dumps({"error": f"{SLASHED} \x1b[2J"})),
        (500, "no JSON: " + SLASHED.replace("/", "\\/") + " \x1b[2J"),
        (500, "x" * 70 + SLASHED + " \x1b[2J"),
        (403, json.dumps({"status": "NOT_AUTHORIZED", "message": f"{SLASHED} \x1b[2J"})),
    ],
    ids=["while reading", "JSON", "escaped", "cut short", "plan"],
)
async def test_no_error_holds_the_key_or_steers_a_terminal(status, body):
    async def handler(request, number):
        return web.Response(body=body.encode(), status=status)

    async with rest_server(handler) as (url, _):
        rest = PolygonRest(settings(url, attempts=1), SLASHED)
        with pytest.raises(DataError) as caught:
            await rest.market_status()
        rest.close()
    text = str(caught.value)
    assert "secret" not in text
    assert "key+123" not in text
    assert text.isprintable()
    assert all("secret" not in words for words in rest.entitlements.refused.values())


async def test_a_page_that_cannot_be_read_is_said_without_the_key():
    async def handler(request, number):
        return json_answer({"status": "OK", "symbol": f"{KEY}\x1b[2J"})

    text, _ = await fails(DataError, handler, lambda rest: rest.open_close("AAPL", DAY))
    assert KEY not in text
    assert text.isprintable()

    async def strange(request, number):
        return json_answer({"results": {"ticker": f"O:{KEY}"}})

    text, _ = await fails(DataError, strange, lambda rest: rest.option_contract("AAPL  260417C00230000"))
    assert KEY not in text


async def test_a_plan_that_lacks_the_endpoint_is_not_entitled():
    async def handler(request, number):
        return json_answer({"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}, 403)

    text, calls = await fails(NotEntitled, handler, lambda rest: rest.earnings(["AAPL"], DAY, DAY))
    assert calls == 1
    assert "not entitled" in text


async def test_an_unreachable_server_is_one_sentence():
    rest = PolygonRest(settings("http://127.0.0.1:9"), KEY)
    with pytest.raises(DataError, match=r"cannot reach 127\.0\.0\.1:9 .*rest_url"):
        await rest.market_status()
    rest.close()


def chain_pages(broken):
    """Five pages; the third is what `broken` makes of it."""

    async def handler(request, number):
        page = int(request.query.get("cursor", "1"))
        if page == 3:
            return broken()
        body = {
            "status": "OK",
            "results": [CONTRACT],
            "next_url": f"https://api.polygon.io{request.path}?cursor={page + 1}",
        }
        return json_answer(body)

    return handler


@pytest.mark.parametrize(
    "broken",
    [
        lambda: web.Response(status=500),
        lambda: json_answer({"status": "OK", "request_id": "x"}),
        lambda: web.Response(body=b'{"results":[{"det', content_type="application/json"),
        lambda: json_answer({"status": "ERROR", "results": []}),
        lambda: web.Response(body=b'{"results":[{"details":{"ticker":"\x80"}}]}', content_type="application/json"),
    ],
    ids=["500", "no results", "cut", "error inside 200", "not UTF-8"],
)
async def test_a_chain_that_breaks_on_page_three_is_an_error_not_a_short_chain(broken):
    call = lambda rest: rest.option_rows("AAPL", DAY, date(2026, 5, 1))  # noqa: E731
    _, calls = await fails(DataError, chain_pages(broken), call, attempts=1)
    assert calls == 3


async def test_pages_that_never_end_hit_the_cap():
    handler = chain_pages(lambda: json_answer({"results": [CONTRACT], "next_url": "https://x/v3?cursor=1"}))
    call = lambda rest: rest.option_rows("AAPL", DAY, date(2026, 5, 1))  # noqa: E731
    text, calls = await fails(DataError, handler, call, page_cap=7)
    assert calls == 7
    assert "page_cap" in text


async def test_missing_results_without_a_count_is_an_error_and_with_count_zero_is_empty():
    async def silent(request, number):
        return json_answer({"status": "OK", "request_id": "x"})

    async def empty(request, number):
        return json_answer({"status": "OK", "count": 0})

    call = lambda rest: rest.option_rows("AAPL", DAY, date(2026, 5, 1))  # noqa: E731
    await fails(DataError, silent, call)
    rows, _ = await ask(empty, call)
    assert len(rows) == 0


async def test_a_snapshot_without_tickers_is_an_error():
    async def handler(request, number):
        return json_answer({"status": "OK", "tickers": [], "count": 0})

    text, _ = await fails(DataError, handler, lambda rest: rest.whole_market_snapshot())
    assert "never empty" in text


async def test_nothing_is_printed_whatever_fails(capfd):
    async def handler(request, number):
        return web.Response(body=b"<html>", content_type="application/json")

    await fails(DataError, handler, attempts=1)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


async def test_a_proxy_variable_does_not_touch_a_loopback_server(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async def handler(request, number):
        return json_answer(STATUS)

    answer, _ = await ask(handler, lambda rest: rest.market_status())
    assert answer.market == "open"


async def test_a_small_plan_waits_for_its_budget():
    async def handler(request, number):
        return json_answer(STATUS)

    async with rest_server(handler) as (url, _):
        rest = PolygonRest(settings(url, calls_per_minute=3), KEY)
        for _ in range(3):
            await rest.market_status()
        assert 59 < rest.budget.wait_s <= 61  # the service counts a sliding minute
        rest.close()
