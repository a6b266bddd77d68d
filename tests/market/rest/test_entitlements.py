"""What the plan lacks is asked once a market day, also over a restart; a stray 403 is not the plan."""

from datetime import date

import pytest
from aiohttp import web

from qmterm.core.errors import DataError, NotEntitled
from qmterm.market.rest.client import PolygonRest
from qmterm.market.rest.entitlements import Family
from tests.market.fakes import KEY, json_answer, rest_server, settings

DAY = date(2026, 3, 2)
LACKS = {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}
OLD = {"status": "NOT_AUTHORIZED", "message": "Your plan doesn't include this data timeframe."}


async def refused(request, number):
    return json_answer(LACKS, 403)


async def test_a_refused_family_is_asked_once_and_says_so_afterwards():
    async with rest_server(refused) as (url, seen):
        rest = PolygonRest(settings(url), KEY)
        for _ in range(3):
            with pytest.raises(NotEntitled):
                await rest.whole_market_snapshot()
        with pytest.raises(NotEntitled, match="not asked again"):
            await rest.snapshot("AAPL")  # another endpoint that the plan has or lacks together with it
        assert len(seen) == 1
        assert rest.entitlements.refused == {Family.SNAPSHOTS: LACKS["message"]}
        with pytest.raises(NotEntitled):
            await rest.last_quote("AAPL")  # another family is asked
        assert len(seen) == 2
        rest.close()


async def test_it_is_remembered_over_a_restart_until_the_next_market_day(tmp_path):
    file = tmp_path / "deep" / "entitlements.json"
    today = [DAY]
    async with rest_server(refused) as (url, seen):
        for _ in range(2):
            rest = PolygonRest(settings(url), KEY)
            rest.entitlements.keep_in(file, lambda: today[0])
            with pytest.raises(NotEntitled):
                await rest.whole_market_snapshot()
            rest.close()
        assert len(seen) == 1
        assert KEY not in file.read_text()
        today[0] = date(2026, 3, 3)
        with pytest.raises(NotEntitled):
            await rest_of(url, file, today).whole_market_snapshot()
        assert len(seen) == 2
        with pytest.raises(NotEntitled):
            await rest_of(url, file, today, plan="starter").whole_market_snapshot()
        assert len(seen) == 3  # another plan asks again


def rest_of(url, file, today, **changes):
    rest = PolygonRest(settings(url, **changes), KEY)
    rest.entitlements.keep_in(file, lambda: today[0])
    return rest


async def test_what_was_refused_before_the_clock_was_known_is_kept_with_the_first_day(tmp_path):
    async with rest_server(refused) as (url, seen):
        rest = PolygonRest(settings(url), KEY)
        with pytest.raises(NotEntitled):
            await rest.whole_market_snapshot()
        rest.entitlements.keep_in(tmp_path / "e.json", lambda: DAY)
        with pytest.raises(NotEntitled):
            await rest_of(url, tmp_path / "e.json", [DAY]).whole_market_snapshot()
        assert len(seen) == 1
        rest.close()


async def test_a_day_too_old_for_the_plan_does_not_cost_the_other_days():
    async def handler(request, number):
        return json_answer(OLD, 403) if number == 1 else json_answer({"status": "OK", "resultsCount": 0})

    async with rest_server(handler) as (url, _):
        rest = PolygonRest(settings(url), KEY)
        with pytest.raises(NotEntitled):
            await rest.grouped_daily(date(2010, 1, 4))
        assert len(await rest.grouped_daily(DAY)) == 0
        rest.close()


async def test_a_403_of_what_has_answered_before_passes_and_only_repeated_ones_are_the_plan():
    broken = [False]

    async def handler(request, number):
        return json_answer(LACKS, 403) if broken[0] else json_answer({"status": "OK", "resultsCount": 0})

    async with rest_server(handler) as (url, seen):
        rest = PolygonRest(settings(url), KEY)
        await rest.grouped_daily(DAY)
        broken[0] = True
        with pytest.raises(NotEntitled):
            await rest.grouped_daily(DAY)
        broken[0] = False
        await rest.grouped_daily(DAY)
        broken[0] = True
        for _ in range(5):
            with pytest.raises(NotEntitled):
                await rest.grouped_daily(DAY)
        assert len(seen) == 3 + 3
        rest.close()


@pytest.mark.parametrize(
    "stray",
    [
        lambda: web.Response(status=403, text="<html><h1>403 Forbidden</h1></html>", content_type="text/html"),
        lambda: json_answer({"status": "ERROR", "error": "blocked"}, 403),
        lambda: json_answer({"message": "You are not entitled to this data."}, 403),
        lambda: web.Response(status=403),
    ],
    ids=["a proxy's page", "another status", "no status", "empty"],
)
async def test_a_403_that_does_not_speak_of_the_plan_passes_and_is_not_remembered(tmp_path, stray):
    file = tmp_path / "e.json"
    broken = [True]

    async def handler(request, number):
        return stray() if broken[0] else json_answer({"status": "OK", "resultsCount": 0})

    async with rest_server(handler) as (url, seen):
        rest = rest_of(url, file, [DAY])
        with pytest.raises(DataError, match="403") as caught:
            await rest.grouped_daily(DAY)
        assert type(caught.value) is DataError
        assert len(seen) == 3  # tried again, as any failure that may pass
        assert rest.entitlements.refused == {}
        broken[0] = False
        assert len(await rest.grouped_daily(DAY)) == 0
        assert len(await rest_of(url, file, [DAY]).grouped_daily(DAY)) == 0
        rest.close()


async def test_a_file_that_cannot_be_read_is_no_file(tmp_path):
    (tmp_path / "e.json").write_bytes(b"{broken")
    async with rest_server(refused) as (url, seen):
        with pytest.raises(NotEntitled):
            await rest_of(url, tmp_path / "e.json", [DAY]).whole_market_snapshot()
        assert len(seen) == 1
