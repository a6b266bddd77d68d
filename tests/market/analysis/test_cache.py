"""The cache: one call while fresh, one call for many askers, older answers only when the budget makes them wait."""

import asyncio
from types import SimpleNamespace

import pytest

from qmterm.core.clock import NS
from qmterm.core.errors import DataError
from qmterm.core.settings.analysis import AnalysisSettings
from qmterm.market.analysis import cache as room
from qmterm.market.analysis.cache import AnalysisCache, Kind

START = 1_772_463_600 * NS


class Budget:
    wait_s = 0.0

    def eta_s(self, calls, priority):
        return self.wait_s


class Rest:
    """Answers with the number of the call."""

    def __init__(self):
        self.budget = Budget()
        self.asked = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure = None

    async def company(self, symbol):
        self.asked.append(symbol)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return len(self.asked)


def make(**options):
    rest, clock = Rest(), SimpleNamespace(at=START)
    clock.now = lambda: clock.at
    return rest, clock, AnalysisCache(rest, clock, AnalysisSettings(facts_fresh_h=1.0), **options)


async def test_nothing_is_fetched_twice_while_it_is_fresh():
    _rest, clock, cache = make()
    first = await cache.company("AAPL")
    clock.at += 3_000 * NS
    second = await cache.company("AAPL")
    assert (first.value, second.value, second.age_s, second.fresh) == (1, 1, 3_000.0, True)
    clock.at += 601 * NS
    assert (await cache.company("AAPL")).value == 2
    assert (await cache.company("MSFT")).value == 3
    assert (cache.counts[Kind.COMPANY].asked, cache.counts[Kind.COMPANY].hits) == (3, 1)


async def test_facts_turn_with_the_markets_day():
    _rest, clock, cache = make()
    clock.at = START + (14 * 3600 - 600) * NS  # 23:50 in New York
    await cache.company("AAPL")
    clock.at += 1_200 * NS
    assert (await cache.company("AAPL")).value == 2


async def test_many_askers_are_one_call_and_one_who_gives_up_costs_the_others_nothing():
    rest, _, cache = make()
    rest.gate.clear()
    askers = [asyncio.create_task(cache.company("AAPL")) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    askers[0].cancel()
    rest.gate.set()
    done = await asyncio.gather(*askers, return_exceptions=True)
    assert [one.value for one in done[1:]] == [1, 1, 1, 1]
    assert rest.asked == ["AAPL"]
    assert cache.counts[Kind.COMPANY].shared == 4


async def test_when_the_budget_makes_it_wait_an_older_answer_comes_with_its_age_and_the_new_one_by_itself():
    rest, clock, cache = make()
    await cache.company("AAPL")
    clock.at += 7_200 * NS
    rest.budget.wait_s = 60.0
    rest.gate.clear()
    older = await cache.company("AAPL")
    assert (older.value, older.age_s, older.fresh) == (1, 7_200.0, False)
    again = await cache.company("AAPL")  # still one call under way
    assert (again.fresh, rest.asked, cache.counts[Kind.COMPANY].older) == (False, ["AAPL"], 2)
    await asyncio.sleep(0)
    rest.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert (await cache.company("AAPL")).value == 2
    assert rest.asked == ["AAPL", "AAPL"]


async def test_lockstep_always_waits_for_the_fresh_answer():
    rest, clock, cache = make(patient=True)
    await cache.company("AAPL")
    clock.at += 7_200 * NS
    rest.budget.wait_s = 60.0
    assert (await cache.company("AAPL")).value == 2


async def test_what_is_far_too_old_is_waited_for():
    rest, clock, cache = make()
    await cache.company("AAPL")
    clock.at += int(3_600 * (room.OLDEST + 1)) * NS
    rest.budget.wait_s = 60.0
    assert (await cache.company("AAPL")).value == 2


async def test_a_failure_is_told_to_all_who_asked_and_is_not_kept():
    rest, _, cache = make()
    rest.failure = DataError("no")
    found = await asyncio.gather(*(cache.company("AAPL") for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [DataError] * 3
    assert (cache.last_failure, cache.counts[Kind.COMPANY].failed) == ("no", 1)
    rest.failure = None
    assert (await cache.company("AAPL")).value == 2


async def test_it_holds_the_latest_used_and_no_more_than_its_size(monkeypatch):
    monkeypatch.setattr(room, "_MOST", {Kind.COMPANY: 3})
    _rest, _, cache = make()
    for symbol in ("A", "B", "C", "A", "D"):
        await cache.company(symbol)
    assert cache.peek(Kind.COMPANY, "A").value == 1
    assert cache.peek(Kind.COMPANY, "B") is None
    await cache.close()


async def test_closing_ends_what_is_under_way():
    rest, _, cache = make()
    rest.gate.clear()
    asking = asyncio.create_task(cache.company("AAPL"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
