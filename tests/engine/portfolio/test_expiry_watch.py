"""The expiry desk at work: one alarm a change, closes before the cut-off, nothing of what is held elsewhere."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import et_date, from_et
from qmterm.core.errors import JournalError
from qmterm.core.orders import BrokerPosition
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.portfolio.expiry import DOCUMENT, ExpiryWatch
from qmterm.quant.options.dividend_forecast import ExpectedDividend
from qmterm.risk.expiry_line import Deed, Severity
from tests.engine.fakes import CASH, OCC
from tests.engine.house import confirmed, opened

CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))
FRIDAY = date(2026, 4, 17)  # OCC's last day


class Stocks:
    spot: float | None = 176.0
    why: Reason | None = None

    def last(self, symbol):
        return self.spot

    def doubt(self, symbol):
        return self.why

    def ticker(self, symbol):
        return symbol


class Cash:
    def __init__(self):
        self.ahead = {}

    def known(self, name):
        return name in self.ahead

    def expected(self, name, today, until):
        return [row for row in self.ahead.get(name, []) if today < row.ex_date <= until]


class Watched:
    def __init__(self, house, **stocks):
        self.stocks, self.cash, self.asked = Stocks(), Cash(), []
        self.power = Decimal(50_000)

        async def learn(name):
            self.asked.append(name)

        self.watch = ExpiryWatch(
            book=house.book,
            marks=house.marks,
            guards=house.guards,
            quotes=house.quotes,
            stocks=self.stocks,
            cash=self.cash,
            rates=lambda years, _now: np.full(years.shape, 0.04),
            calendar=CALENDAR,
            clock=house.clock,
            log=house.log,
            journal=house.journal,
            settings=RiskSettings(),
            iv=lambda symbol: 0.30,
            buying_power=lambda: self.power,
            learn=learn,
        )


def at(house, hour, minute=0, day=FRIDAY):
    house.clock.advance((from_et(day, hour, minute) - house.clock.now()) / 1e9)
    house.quote(1.00, 1.10)
    house.marks.update()


def said(house, level=None):
    return [line for line in house.log.lines if line.kind == "EXPIRY" and level in (None, line.level)]


async def test_in_auto_mode_the_planned_close_is_sent_a_quarter_of_an_hour_before_the_cut_off():
    async with opened() as house:
        await house.hold(2)
        watched = Watched(house)
        at(house, 15, 14)
        await watched.watch.look()
        assert watched.watch.lines[0].action.deed is Deed.CLOSE
        assert house.guards.of("P1").goal == 0
        at(house, 15, 15)
        await watched.watch.look()
        assert house.guards.of("P1").goal == 2
        await house.turn()
        (order,) = house.working
        assert order.intent.reason is Reason.EXPIRY_CLOSE
        assert order.intent.legs[0].quantity == 2
        at(house, 15, 16)
        await watched.watch.look()
        await house.turn()
        assert len(house.working) == 1  # once
        assert house.journal.protects["P1"]["latched"] == "EXPIRY_CLOSE"


async def test_a_disk_that_hangs_keeps_neither_the_close_nor_its_alarm_back():
    async with opened() as house:
        await house.hold(2)
        watched = Watched(house)
        at(house, 15, 15)
        house.journal.hang()
        async with asyncio.timeout(10):
            await watched.watch.look()
        assert house.guards.of("P1").goal == 2
        assert len([line for line in house.log.lines if line.kind == "STOP"]) == 1
        house.journal.go_on()
        await asyncio.sleep(0.01)
        assert house.journal.protects["P1"]["latched"] == "EXPIRY_CLOSE"
        assert OCC in house.journal.documents[DOCUMENT]


async def test_a_disk_that_fails_keeps_no_alarm_of_a_close_back():
    async with opened() as house:
        await house.hold(2)
        house.journal.full = True
        with pytest.raises(JournalError):
            await house.guards.want_out(OCC, Reason.PIN_RISK, lambda: house.log.alarm("STOP", "pin", OCC))
        assert [line.text for line in house.log.lines if line.kind == "STOP"] == ["pin"]


async def test_a_row_of_the_desk_that_fails_keeps_no_planned_close_back_and_is_written_later():
    async with opened() as house:
        await house.hold(2)
        at(house, 15, 15)
        write, fails = house.journal.write_document, [True]

        async def failing(name, body):
            if fails and fails.pop():
                raise JournalError("full")
            await write(name, body)

        house.journal.write_document = failing
        watched = Watched(house)
        with pytest.raises(JournalError):
            await watched.watch.look()
        assert house.guards.of("P1").goal == 2
        assert DOCUMENT not in house.journal.documents
        await watched.watch.look()
        assert OCC in house.journal.documents[DOCUMENT]


async def test_in_confirm_mode_it_is_an_alarmed_proposal():
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house, 2)
        watched = Watched(house)
        at(house, 15, 20)
        await watched.watch.look()
        await house.turn()
        assert house.working == ()
        (waiting,) = house.trader.proposals.waiting
        assert (waiting.reason, waiting.alarm) == (Reason.EXPIRY_CLOSE, True)


async def test_a_person_who_refused_is_asked_again_only_after_five_minutes():
    async with opened() as house:
        await house.hold(2)
        watched = Watched(house)
        at(house, 15, 15)
        await watched.watch.look()
        await house.guards.call_off("P1")
        at(house, 15, 17)
        await watched.watch.look()
        assert house.guards.of("P1").goal == 0
        at(house, 15, 21)
        await watched.watch.look()
        assert house.guards.of("P1").goal == 2


@pytest.mark.parametrize(("strategy", "plan_id"), [("external", ""), ("manual", "P9")])
async def test_what_no_guard_closes_is_a_persons_says_so_and_is_an_alarm_at_its_hour(strategy, plan_id):
    async with opened() as house:
        house.book.adopt(BrokerPosition(OCC, 2, Decimal("1.05"), 100), strategy, plan_id, 1)
        watched = Watched(house)
        at(house, 15, 14)
        await watched.watch.look()
        (line,) = watched.watch.lines
        assert (line.action.deed, line.severity) == (Deed.WATCH, Severity.WARN)
        assert line.action.text == "close before 15:30 ET: NVDA 17APR26 175C by you, no stop watches it"
        assert said(house, "alarm") == []
        for minute in (15, 16):
            at(house, 15, minute)
            await watched.watch.look()
        (alarm,) = said(house, "alarm")
        assert "the hour to close NVDA 17APR26 175C has come, and nobody does it for you" in alarm.text
        await house.turn()
        assert house.working == ()


async def test_of_a_close_of_several_the_machine_does_what_it_watches_and_names_the_rest():
    async with opened() as house:
        await house.hold(2)
        other = OCC.replace("175", "180")
        house.book.adopt(BrokerPosition(other, 1, Decimal(1), 100), "manual", "P9", 1)
        watched = Watched(house)
        at(house, 15, 15)
        await watched.watch.look()
        line = watched.watch.lines[0]
        both = replace(line, action=replace(line.action, closes=(OCC, other)))
        split = watched.watch._by_whom(both, house.clock.now())
        assert (split.action.deed, split.action.closes) == (Deed.CLOSE, (OCC,))
        assert split.action.text == "close before 15:30 ET: NVDA 17APR26 180C by you, no stop watches it"
        assert split.severity is Severity.ALARM


async def test_an_alarm_is_said_once_a_change_and_not_again_after_a_restart():
    async with opened() as house:
        house.book.adopt(BrokerPosition(OCC, -1, Decimal("1.05"), 100), "external", "", 1)
        watched = Watched(house)
        watched.stocks.spot = 175.2
        for minute in range(5):
            at(house, 14, 10 + minute)
            await watched.watch.look()
        assert len(said(house, "alarm")) == 1
        assert house.journal.documents[DOCUMENT] == {OCC: int(Severity.ALARM)}
        again = Watched(house)
        again.stocks.spot = 175.2
        again.watch.restore(house.journal.documents[DOCUMENT])
        at(house, 14, 20)
        await again.watch.look()
        assert len(said(house, "alarm")) == 1
        again.stocks.spot = 150.0
        at(house, 14, 21)
        await again.watch.look()
        assert len(said(house, "info")) == 1  # it is over, and that is said calmly


async def test_one_look_a_minute_unless_something_else_is_held():
    async with opened() as house:
        await house.hold(2)
        watched = Watched(house)
        at(house, 11, 0)
        await watched.watch.look()
        first = watched.watch.lines
        await watched.watch.look()
        assert watched.watch.lines is first
        house.book.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "external", "", 1)
        await watched.watch.look()
        assert watched.watch.lines is not first


async def test_a_refused_price_of_the_stock_is_no_price():
    async with opened() as house:
        await house.hold(2)
        watched = Watched(house)
        watched.stocks.why = Reason.HALTED
        at(house, 15, 20)
        await watched.watch.look()
        (line,) = watched.watch.lines
        assert line.spot is None
        assert line.pin.reason is Reason.HALTED
        assert house.guards.of("P1").goal == 0


async def test_a_sold_call_asks_for_dividends_once_a_day_and_wants_its_put_quoted():
    async with opened() as house:
        house.book.adopt(BrokerPosition(OCC, -1, Decimal("10.00"), 100), "covered_call", "", 1)
        watched = Watched(house)
        assert watched.watch.twins == {"NVDA  260417P00175000"}
        await watched.watch.learn()
        await watched.watch.learn()
        assert watched.asked == ["NVDA"]
        at(house, 11, 0, date(2026, 3, 3))
        await watched.watch.learn()
        assert watched.asked == ["NVDA", "NVDA"]


async def test_held_shares_ask_for_their_dividends_too():
    async with opened() as house:
        house.book.adopt(BrokerPosition("AAPL", 100, Decimal("230.00"), 1), "external", "", 1)
        watched = Watched(house)
        await watched.watch.learn()
        assert watched.asked == ["AAPL"]


async def test_the_puts_price_and_the_dividend_reach_the_desk():
    async with opened() as house:
        house.book.adopt(BrokerPosition(OCC, -1, Decimal("10.00"), 100), "x", "", 1)
        watched = Watched(house)
        at(house, 11, 0, date(2026, 3, 4))
        tomorrow = et_date(house.clock.now()) + timedelta(days=1)
        watched.cash.ahead["NVDA"] = [ExpectedDividend(tomorrow, 3.0, False)]
        watched.stocks.spot = 200.0
        house.quotes.set("NVDA  260417P00175000", 0.48, 0.52, house.clock.now())
        await watched.watch.look()
        early = watched.watch.lines[0].assignment
        assert early.numbers["put_mid"] == 0.50
        assert early.chance.name == "HIGH"


async def test_an_empty_book_says_nothing():
    async with opened() as house:
        watched = Watched(house)
        await watched.watch.look()
        assert watched.watch.lines == ()
        assert house.book.cash == CASH
