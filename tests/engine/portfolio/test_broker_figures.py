"""Ours beside the broker's: a difference must last two looks, the first of a day is an alarm."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.errors import BrokerError
from qmterm.core.orders import Action, BrokerPosition, Fill
from qmterm.core.transactions import Transaction
from qmterm.engine.portfolio.broker_figures import AverageProfit, BrokerFigures
from tests.engine.fakes import OCC
from tests.engine.house import opened

DAY = date(2026, 3, 2)


class Source:
    def __init__(self):
        self.rows, self.complete, self.error = [], True, None

    async def transactions(self, since):
        if self.error is not None:
            raise self.error
        return tuple(self.rows), self.complete


def booked(order_id, quantity="2", fees="2.30", **changes):
    row = Transaction(
        "1", "Trade", "Buy to Open", OCC, order_id, Decimal(quantity), Decimal("4.10"), Decimal(-820), Decimal(-822),
        Decimal(fees), False, DAY, 1,
    )  # fmt: skip
    return replace(row, **changes)


def figures(house, source=None, told=()):
    return BrokerFigures(source or Source(), house.desk.ledger, lambda: told, house.clock, house.log)


async def held(house):
    await house.hold(2)
    (record,) = [r for r in house.desk.ledger.records if r.broker_id]
    fees = sum(fill.fees for fill in record.fills.values())
    return record.broker_id, fees


def drifts(house):
    return [line for line in house.log.lines if line.kind == "RECO" and "the broker" in line.text]


async def test_equal_figures_say_nothing_and_the_brokers_fees_are_known():
    async with opened() as house:
        order, fees = await held(house)
        source = Source()
        source.rows = [booked(order, fees=str(fees))]
        ours = figures(house, source)
        await ours.check()
        await ours.check()
        assert (ours.drift, drifts(house)) == ((), [])
        assert ours.fees_today == fees
        assert ours.checked_ns == house.clock.now()


async def test_fees_that_drift_by_a_cent_are_an_alarm_on_the_second_look_and_only_once():
    async with opened() as house:
        order, fees = await held(house)
        source = Source()
        source.rows = [booked(order, fees=str(fees + Decimal("0.01")))]
        ours = figures(house, source)
        await ours.check()
        assert drifts(house) == []
        for _ in range(3):
            await ours.check()
        (line,) = drifts(house)
        assert line.level == "alarm"
        assert f"charged fees of {fees + Decimal('0.01')}, our table says {fees}" in line.text
        assert len(ours.drift) == 1


async def test_a_fill_that_we_have_not_heard_of_yet_is_no_difference_until_it_lasts():
    async with opened() as house:
        order, fees = await held(house)
        source = Source()
        source.rows = [booked(order, quantity="3", fees=str(fees))]
        ours = figures(house, source)
        await ours.check()
        source.rows = [booked(order, fees=str(fees))]
        await ours.check()
        await ours.check()
        assert drifts(house) == []
        source.rows = [booked(order, quantity="3", fees=str(fees))]
        await ours.check()
        await ours.check()
        assert "booked 3, we counted 2" in drifts(house)[0].text


async def test_a_second_order_with_the_same_drift_is_a_warning():
    async with opened() as house:
        order, fees = await held(house)
        source, told = Source(), [BrokerPosition(OCC, 2, Decimal("4.10"), 100, realized_today=Decimal("12.00"))]
        source.rows = [booked(order, fees=str(fees + 1))]
        ours = figures(house, source, told)
        for fill in house.desk.ledger.records[0].fills.values():
            ours.average.on_fill(fill)
        await ours.check()
        await ours.check()
        assert {line.level for line in drifts(house)} == {"alarm"}  # one of fees, one of profit
        assert "12.00 was earned today, we count 0.00" in " ".join(ours.drift)


@pytest.mark.parametrize("trouble", ["error", "incomplete"])
async def test_an_answer_that_is_not_whole_judges_nothing(trouble):
    async with opened() as house:
        order, fees = await held(house)
        source = Source()
        source.rows = [booked(order, fees=str(fees + 1))]
        if trouble == "error":
            source.error = BrokerError("away")
        else:
            source.complete = False
        ours = figures(house, source)
        await ours.check()
        await ours.check()
        assert ours.fees_today is None
        assert ours.drift == ()


async def test_orders_of_nobody_here_and_other_days_are_left_alone():
    async with opened() as house:
        order, fees = await held(house)
        source = Source()
        source.rows = [
            booked("999", fees="50.00"),
            booked(order, fees=str(fees)),
            booked(order, fees="9.99", day=date(2026, 2, 27)),
        ]
        ours = figures(house, source)
        await ours.check()
        await ours.check()
        assert ours.drift == ()
        assert ours.fees_today == fees + 50


def test_the_brokers_average_is_not_first_in_first_out():
    average = AverageProfit()
    at = 1772463600 * 10**9
    for number, (action, price) in enumerate(
        [(Action.BUY_TO_OPEN, "4.00"), (Action.BUY_TO_OPEN, "6.00"), (Action.SELL_TO_CLOSE, "7.00")]
    ):
        average.on_fill(Fill(f"f{number}", "1", OCC, action, 1, Decimal(price), at + number))
    assert average.of(OCC, DAY, 1) == (Decimal(200), Decimal("0.01"))
    assert average.of(OCC, DAY, 2) is None  # fills do not explain what is held
