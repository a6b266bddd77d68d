"""The paper broker is told of companies only what is known, and what the expiry desk says of early exercise."""

from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import numpy as np

from qmterm.core.clock import ManualClock, from_et
from qmterm.core.corporate import DayActions
from qmterm.engine.portfolio.paper_facts import PaperFacts
from qmterm.engine.signals.scanning import Scanning
from qmterm.market.chains.cash import CashDividends
from qmterm.market.records import Dividend, Split
from qmterm.risk.assignment import Chance, EarlyAssignment
from tests.engine.fakes import OCC

DAY = date(2026, 3, 3)


class Stocks:
    def __init__(self):
        self.ratio = 1.0
        self.closes = {}

    def ticker(self, symbol):
        return {"BRKB": "BRK.B"}.get(symbol, symbol)

    def split_ratio(self, symbol, after, until):
        return self.ratio if after < DAY <= until else 1.0

    def close_on(self, symbol, day):
        return self.closes.get((symbol, day))


def facts(hour=9, minute=30, lines=()):
    stocks, cash = Stocks(), CashDividends()
    return PaperFacts(stocks, cash, ManualClock(from_et(DAY, hour, minute)), lambda: lines), stocks, cash


def paid(amount, currency="USD", day=DAY):
    return Dividend("NVDA", day, amount, None, 4, "CD", currency)


def test_a_dividend_is_told_of_its_day_once_it_is_known_and_in_dollars():
    told, _, cash = facts()
    assert told.actions("NVDA", DAY, shares=True) is None
    cash.set("NVDA", [paid(0.26), paid(0.26), paid(0.30, day=date(2026, 6, 3))])  # services tell one twice at times
    assert told.actions("NVDA", DAY, shares=True) == DayActions(Decimal("0.26"))
    assert told.actions("NVDA", date(2026, 3, 2), shares=True) == DayActions()
    cash.set("NVDA", [paid(0.26, "EUR")])
    assert told.actions("NVDA", DAY, shares=True) is None


def test_a_dividend_is_of_the_shares_of_its_morning_whatever_split_came_later():
    told, _, cash = facts()
    cash.set("NVDA", [paid(0.26)])
    cash.set_splits([Split("NVDA", DAY, 1, 4)])
    assert told.actions("NVDA", DAY, shares=True).dividend == Decimal("0.26")


def test_a_split_is_told_in_whole_numbers_and_not_before_the_morning_knows_it():
    early, stocks, _ = facts(9, 24)
    stocks.ratio = 1.5
    assert early.actions("NVDA", DAY, shares=False) is None
    told, stocks, _ = facts()
    for ratio, split in ((4.0, (4, 1)), (1.5, (3, 2)), (1 / 30, (1, 30)), (1.0, None)):
        stocks.ratio = ratio
        assert told.actions("NVDA", DAY, shares=False) == DayActions(split=split)


def test_closes_and_names_are_the_stocks_own():
    told, stocks, _ = facts()
    stocks.closes["BRK.B", DAY] = 480.12345
    assert told.close(told.ticker("BRKB"), DAY) == Decimal("480.1234")
    assert told.close("NVDA", DAY) is None


def test_only_a_high_chance_makes_a_holder_exercise():
    def line(chance):
        return SimpleNamespace(symbol=OCC, assignment=EarlyAssignment(chance, "dividend"))

    assert facts(lines=[line(Chance.HIGH)])[0].early_exercise(OCC) == "dividend"
    assert facts(lines=[line(Chance.MEDIUM)])[0].early_exercise(OCC) == ""
    assert facts()[0].early_exercise(OCC) == ""


def test_a_past_close_is_of_the_share_of_that_day():
    days = np.array([["NaT", "2026-03-02", "2026-03-03"]], dtype="datetime64[D]")
    panel = SimpleNamespace(days=days, close=np.array([[np.nan, 50.0, 51.0]]))
    scanning = SimpleNamespace(
        _panel=panel,
        _row_of={"NVDA": 0},
        _clock=ManualClock(from_et(date(2026, 3, 4), 10)),
        ticker=lambda symbol: symbol,
        split_ratio=lambda symbol, after, until: 4.0 if after < DAY <= until else 1.0,
    )
    assert Scanning.close_on(scanning, "NVDA", date(2026, 3, 2)) == 200.0
    assert Scanning.close_on(scanning, "NVDA", DAY) == 51.0
    assert Scanning.close_on(scanning, "NVDA", date(2026, 2, 27)) is None
    assert Scanning.close_on(scanning, "MSFT", DAY) is None
