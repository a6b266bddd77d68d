"""The universe: the snapshot's symbols first, the vendor's reference once it is read, changes told."""

import asyncio
from contextlib import asynccontextmanager

from qmterm.core.errors import DataError
from qmterm.engine.runlog import RunLog
from qmterm.engine.signals.listing import Listing
from qmterm.market.quality.coverage import Coverage, Listed
from tests.engine.fakes import clock_at


class Vendor:
    def __init__(self):
        self.snapshot_symbols = ("AAPL", "FB")
        self.reference = None
        self.fails = False
        self.asked = asyncio.Event()

    async def active_symbols(self):
        self.asked.set()
        if self.fails:
            raise DataError("tickers: 502")
        return self.reference


@asynccontextmanager
async def following(vendor, held=frozenset()):
    coverage, log = Coverage(), RunLog(clock_at())
    listing = Listing(vendor, coverage, log, lambda: held)
    task = asyncio.create_task(listing.follow())

    async def new_day():
        vendor.asked.clear()
        listing.new_day()
        await asyncio.wait_for(vendor.asked.wait(), 5)
        await asyncio.sleep(0)

    try:
        yield coverage, log, new_day
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_without_a_reference_the_snapshot_is_the_universe():
    async with following(Vendor()) as (coverage, _, new_day):
        await new_day()
        assert coverage.listed == Listed(("AAPL", "FB"), source="snapshot")


async def test_the_reference_takes_its_place_and_stays_when_it_cannot_be_read_again():
    vendor = Vendor()
    vendor.reference = Listed(("AAPL", "FB", "ZZZ"))
    async with following(vendor) as (coverage, log, new_day):
        await new_day()
        assert coverage.listed.symbols == ("AAPL", "FB", "ZZZ")
        vendor.fails = True
        await new_day()
        assert coverage.listed.symbols == ("AAPL", "FB", "ZZZ")
        assert log.levels["warn"] == 1


async def test_a_rename_overnight_is_told_and_alarms_whoever_holds_the_old_name():
    vendor = Vendor()
    vendor.reference = Listed(("AAPL", "FB"))
    async with following(vendor, frozenset({"FB"})) as (coverage, log, new_day):
        await new_day()
        vendor.reference = Listed(("AAPL", "META"))
        await new_day()
        assert (coverage.came, coverage.gone) == (("META",), ("FB",))
        texts = [line.text for line in log.lines]
        assert any("new META; delisted or renamed FB" in text for text in texts)
        assert log.levels["alarm"] == 1
