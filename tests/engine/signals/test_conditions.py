"""The vendor's condition tables: read behind the engine, over our own lists, and their lack costs nothing."""

import asyncio

from qmterm.core.conditions import ConditionBook, Counts
from qmterm.core.errors import DataError, NotEntitled
from qmterm.engine.runlog import RunLog
from qmterm.engine.signals.conditions import ConditionTables
from qmterm.market.company import SaleCondition
from qmterm.market.rest.budget import Priority, asking
from tests.engine.fakes import clock_at

STOCKS = (
    SaleCondition(37, "stocks", "Odd Lot Trade", "sale_condition", True, True, True),
    SaleCondition(2, "stocks", "Average Price Trade", "sale_condition", None, None, None),
    SaleCondition(14, "stocks", "Intermarket Sweep", "sale_condition", True, True, True),
)
OPTIONS = (SaleCondition(219, "options", "Intermarket Sweep Order", "sale_condition", None, None, None),)


class Vendor:
    def __init__(self, failure=None):
        self.failure = failure
        self.asked = []

    async def conditions(self, asset_class="stocks"):
        self.asked.append((asset_class, asking.get()))
        if self.failure is not None:
            raise self.failure
        return STOCKS if asset_class == "stocks" else OPTIONS


class Rows:
    """What options flow was given."""

    def __init__(self):
        self.rows = ()
        self.came = asyncio.Event()

    def take(self, rows):
        self.rows = tuple(rows)
        self.came.set()


def tables(vendor):
    book, flow, log = ConditionBook(), Rows(), RunLog(clock_at())
    return ConditionTables(vendor, book, flow.take, log), book, flow, log


async def test_the_vendors_word_goes_over_our_list_at_the_lowest_priority_and_a_row_without_rules_changes_nothing():
    vendor = Vendor()
    made, book, flow, log = tables(vendor)
    task = asyncio.create_task(made.follow())
    made.new_day()
    await asyncio.wait_for(flow.came.wait(), 5)
    task.cancel()
    assert vendor.asked == [("stocks", Priority.HISTORY), ("options", Priority.HISTORY)]
    assert book.counts([37]) == Counts()
    assert book.counts([2]) == Counts(last=False, high_low=False)
    assert flow.rows == OPTIONS
    assert [line.text for line in log.lines] == ["the vendor treats 1 trade conditions unlike our list; its word holds"]


async def test_a_list_that_cannot_be_read_leaves_ours_and_is_asked_again_unless_the_plan_has_none():
    made, book, flow, log = tables(Vendor(DataError("conditions: 502")))
    assert not await made.read()
    assert not await made.read()
    assert len(log.lines) == 1
    assert (book.counts([37]), flow.rows) == (Counts(last=False, high_low=False), ())
    assert await tables(Vendor(NotEntitled("plan")))[0].read()
