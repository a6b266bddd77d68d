"""Earnings dates: the vendor's when the plan has them, the broker's with its label otherwise, once a day each."""

from datetime import date, timedelta
from types import SimpleNamespace

from qmterm.core.clock import ManualClock, from_et
from qmterm.core.errors import BrokerError, NotEntitled
from qmterm.core.settings.analysis import AnalysisSettings
from qmterm.engine.runlog import RunLog
from qmterm.engine.signals.reference import CompanyFacts, Reference
from qmterm.market.analysis.cache import AnalysisCache

DAY = date(2026, 3, 2)
SOON = DAY + timedelta(days=20)


class Vendor:
    budget = SimpleNamespace(eta_s=lambda calls, priority: 0.0)

    def __init__(self, entitled=True):
        self.entitled = entitled
        self.asked = 0
        self.until = None

    async def earnings(self, symbols, since, until):
        self.asked += 1
        self.until = until
        if not self.entitled:
            raise NotEntitled("no add-on")
        return tuple(SimpleNamespace(symbol=symbol, day=SOON) for symbol in symbols)


class Broker:
    def __init__(self, earnings=SOON, broken=False):
        self.earnings = earnings
        self.broken = broken
        self.asked = 0

    async def market_metrics(self, symbols):
        self.asked += 1
        if self.broken:
            raise BrokerError("away")
        return tuple(
            SimpleNamespace(symbol=symbol, earnings=self.earnings, iv_rank=0.4, iv_percentile=0.6) for symbol in symbols
        )


def reference(vendor, broker=None):
    clock = ManualClock(from_et(DAY, 10, 0))
    log = RunLog(clock)
    return Reference(AnalysisCache(vendor, clock, AnalysisSettings()), clock, log, broker), clock, log


async def test_the_vendors_date_is_asked_once_a_day_and_labelled():
    vendor, broker = Vendor(), Broker()
    made, clock, _ = reference(vendor, broker)
    for _ in range(3):
        assert await made.facts("AAPL") == CompanyFacts(SOON, "polygon")
    clock.advance(86_400)
    assert await made.earnings_date("AAPL", SOON) == SOON
    assert (vendor.asked, broker.asked) == (2, 0)


async def test_what_somebody_else_asked_is_not_asked_again():
    vendor = Vendor()
    clock = ManualClock(from_et(DAY, 10, 0))
    cache = AnalysisCache(vendor, clock, AnalysisSettings())
    await cache.earnings("AAPL")
    assert await Reference(cache, clock, RunLog(clock)).facts("AAPL") == CompanyFacts(SOON, "polygon")
    assert vendor.asked == 1


async def test_an_expiry_far_away_is_asked_for_as_far():
    vendor = Vendor()
    made, _, _ = reference(vendor)
    await made.earnings_date("AAPL", SOON)
    far = DAY + timedelta(days=400)
    for _ in range(2):
        await made.earnings_date("AAPL", far)
    assert (vendor.asked, vendor.until) == (2, far)


async def test_without_the_add_on_the_broker_stands_in_and_is_named():
    vendor, broker = Vendor(entitled=False), Broker()
    made, _, log = reference(vendor, broker)
    assert await made.facts("AAPL") == CompanyFacts(SOON, "tastytrade", 0.4, 0.6)
    assert await made.earnings_date("AAPL", SOON) == SOON
    await made.facts("MSFT")
    assert broker.asked == 2
    assert sum("tastytrade's metrics" in line.text for line in log.lines) == 1


async def test_a_report_of_the_past_is_no_date():
    made, _, _ = reference(Vendor(entitled=False), Broker(earnings=DAY - timedelta(days=1)))
    assert await made.facts("AAPL") == CompanyFacts(None, "tastytrade", 0.4, 0.6)


async def test_when_nobody_knows_it_is_not_known_and_asked_again():
    broker = Broker(broken=True)
    made, _, _ = reference(Vendor(entitled=False), broker)
    assert await made.facts("AAPL") == CompanyFacts(None, "")
    broker.broken = False
    assert (await made.facts("AAPL")).source == "tastytrade"
    alone, _, log = reference(Vendor(entitled=False))
    assert await alone.earnings_date("AAPL", SOON) is None
    assert any("not checked" in line.text for line in log.lines)
