"""A symbol that changed is found by who left the list and who came to it, once, and its history goes on."""

from datetime import date

import pytest

from qmterm.core.errors import DataError, NotEntitled
from qmterm.core.reasons import Reason
from qmterm.engine.runlog import RunLog
from qmterm.engine.signals.listing import Listing
from qmterm.engine.signals.renames import MOST_ASKED, Renames
from qmterm.market.bars.corporate import Rename
from qmterm.market.company import TickerChange
from qmterm.market.quality.coverage import Coverage, Listed
from qmterm.market.rest.caller import NotFound
from tests.engine.fakes import clock_at

DAY = date(2026, 2, 27)
FOUND = Rename(DAY, "FB", "META")


class World:
    """Vendor and book in one."""

    def __init__(self):
        self.changes = {"META": (TickerChange(date(2012, 5, 18), "FB"), TickerChange(DAY, "META"))}
        self.failing = set()
        self.failure = DataError("events: 502")
        self.asked = []
        self.renames = ()
        self.names_asked = frozenset()
        self.reloads = 0
        self.known = frozenset({"AAPL", "FB"})
        self.log = RunLog(clock_at())
        self.finder = Renames(self, self, lambda: self.known, clock_at(), self.log, self.reload)

    def reload(self):
        self.reloads += 1

    async def ticker_changes(self, symbol):
        self.asked.append(symbol)
        if symbol in self.failing:
            raise self.failure
        return self.changes.get(symbol, ())

    async def learn_renames(self, renames, asked):
        fresh = tuple(change for change in renames if change not in self.renames)
        self.renames += fresh
        self.names_asked |= frozenset(asked)
        return fresh


async def test_the_new_symbols_are_asked_and_the_old_one_is_told_once():
    world = World()
    listed = ("AAPL", "META", "NEWCO")
    assert await world.finder.find(listed, ("META",)) == {"FB": "META"}
    assert (world.asked, world.renames, world.reloads) == (["META", "NEWCO"], (FOUND,), 1)
    assert await world.finder.find(listed, ()) == {"FB": "META"}
    assert (len(world.asked), world.reloads) == (2, 1)
    assert [line.text for line in world.log.lines] == ["FB trades as META since 2026-02-27"]


async def test_nobody_is_asked_while_nothing_is_gone_and_a_market_of_new_names_is_not_asked_at_once():
    world = World()
    assert await world.finder.find(("AAPL", "FB", "NEWCO"), ("NEWCO",)) == {}
    assert world.asked == []
    many = tuple(f"N{number}" for number in range(100))
    await world.finder.find(("AAPL", *many), ())
    await world.finder.find(("AAPL", *many), ())
    assert len(world.asked) == MOST_ASKED


async def test_changes_of_others_and_of_long_ago_are_not_taken():
    world = World()
    world.changes = {
        "META": (TickerChange(date(2012, 5, 18), "FB"), TickerChange(date(2022, 6, 9), "META")),
        "NEWCO": (TickerChange(date(2020, 1, 2), "OLDCO"), TickerChange(DAY, "NEWCO")),
    }
    assert await world.finder.find(("AAPL", "META", "NEWCO"), ()) == {}
    assert (world.renames, world.reloads) == ((), 0)


async def test_a_question_that_failed_is_asked_again():
    world = World()
    world.failing = {"META"}
    assert await world.finder.find(("AAPL", "META"), ()) == {}
    world.failing = set()
    assert await world.finder.find(("AAPL", "META"), ()) == {"FB": "META"}


async def test_a_symbol_without_events_is_not_asked_again_and_a_plan_without_them_is_asked_once():
    world = World()
    world.failing, world.failure = {"NEWCO", "ZZ"}, NotFound("events: not found")
    assert await world.finder.find(("AAPL", "NEWCO", "ZZ"), ()) == {}
    await world.finder.find(("AAPL", "NEWCO", "ZZ"), ())
    assert world.asked == ["NEWCO", "ZZ"]
    world = World()
    world.failing, world.failure = {"NEWCO", "ZZ"}, NotEntitled("plan")
    assert await world.finder.find(("AAPL", "NEWCO", "ZZ"), ()) == {}
    assert world.asked == ["NEWCO"]
    assert len(world.log.lines) == 1


@pytest.mark.parametrize("held", [frozenset(), frozenset({"FB"})])
async def test_the_ledger_marks_the_old_symbol_and_whoever_holds_it_hears_the_new_one(held):
    world, coverage = World(), Coverage()

    class Vendor:
        snapshot_symbols = ("AAPL", "FB")
        reference = Listed(("AAPL", "FB"))

        async def active_symbols(self):
            return self.reference

    vendor = Vendor()
    listing = Listing(vendor, coverage, world.log, lambda: held, world.finder.find)
    listing.new_day()
    await listing.read()
    vendor.reference = Listed(("AAPL", "META"))
    await listing.read()
    await listing.read()
    assert coverage.of("FB") == (None, Reason.RENAMED)
    alarms = [line.text for line in world.log.lines if "which you hold" in line.text]
    assert alarms == (["FB, which you hold, trades as META now"] if held else [])
