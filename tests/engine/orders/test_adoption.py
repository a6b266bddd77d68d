"""What somebody trades elsewhere, deposits or withdraws is adopted; no limit on losses takes it for profit or loss."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from qmterm.core.errors import JournalError
from qmterm.core.orders import BrokerPosition
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.arming import DOCUMENT as ARMING
from qmterm.engine.ladder import Level
from qmterm.engine.losses import DOCUMENT, LossBase
from qmterm.engine.patience import DiskPatience
from tests.engine.fakes import CASH, OCC
from tests.engine.house import opened
from tests.engine.orders.test_causes import money
from tests.engine.orders.test_spread_stops import HIGH
from tests.engine.test_arming import armed


async def lasting(house):
    """Compare until a difference has stood for the window."""
    for _ in range(3):
        house.clock.advance(12)
        fresh(house)
        answer = await house.oversight.reconcile()
    house.marks.update()
    return answer


def fresh(house):
    house.quote(4.10, 4.20)
    house.quote(4.10, 4.20, HIGH)


async def begun(house, **held):
    """A day begins with these contracts, both sides agreeing."""
    fresh(house)
    for symbol, quantity in held.items():
        house.broker.held[symbol] = quantity
        house.book.adopt(BrokerPosition(symbol, quantity, Decimal("4.15"), 100), "external", "", house.clock.now())
    house.marks.update()
    await house.oversight.begin_day()


def bases(house):
    return LossBase.to_dict(house.trader.day)


async def test_a_purchase_elsewhere_is_no_deposit():
    async with opened() as house:
        await begun(house)
        house.broker.held[OCC], house.broker.cash = 10, CASH - 4_150
        await lasting(house)
        assert house.book.quantity(OCC) == 10
        assert house.ladder.level is Level.REDUCE_ONLY
        assert house.trader.day_pnl == 0
        assert house.trader.day.nlv == CASH


async def test_a_sale_elsewhere_moves_no_limit_and_flattens_nothing():
    async with opened() as house:
        house.oversight._risk = RiskSettings(auto_flatten=True)
        await begun(house, **{HIGH: 10, OCC: 4})
        before = bases(house)
        house.broker.held[HIGH], house.broker.cash = 0, CASH + 4_150
        await lasting(house)
        await house.turn()
        assert house.trader.day_pnl == 0
        assert bases(house) == before
        assert house.ladder.level is Level.REDUCE_ONLY
        assert house.working == ()


@pytest.mark.parametrize("cash_first", [True, False])
async def test_a_sale_of_which_the_broker_shows_one_half_first_is_neither_loss_nor_gain_at_any_moment(cash_first):
    async with opened() as house:
        house.oversight._risk = RiskSettings(auto_flatten=True)
        await begun(house, **{HIGH: 10, OCC: 4})
        before = bases(house)
        for half in (cash_first, not cash_first):
            if half:
                house.broker.cash = CASH + 4_150
            else:
                house.broker.held[HIGH] = 0
            await lasting(house)
            await house.turn()
            assert house.trader.day_pnl == 0
            assert house.ladder.level is Level.REDUCE_ONLY
        assert bases(house) == before


async def test_a_position_that_nobody_has_quoted_yet_counts_at_what_it_cost():
    async with opened() as house:
        await begun(house)
        house.broker.held["AMD   260417C00200000"], house.broker.cash = 10, CASH - 4_100  # the broker says 4.10
        await lasting(house)
        assert house.trader.day_pnl == 0
        del house.broker.held["AMD   260417C00200000"]
        house.broker.cash = CASH
        await lasting(house)
        assert house.trader.day_pnl == 0


@pytest.mark.parametrize(
    ("change", "rows", "pnl"),
    [
        ("5000", [money(1, "Deposit", "5000")], 0),
        ("-5000", [money(1, "Withdrawal", "-5000")], 0),
        ("-5000", [], 0),  # nobody knows why it went: then the machine must not sell everything over it
        ("26", [money(1, "Dividend", "26")], 26),
        ("-9", [money(1, "Debit Interest", "-9")], -9),
        ("-4.20", [], Decimal("-4.20")),
    ],
)
async def test_money_that_comes_or_goes_is_no_profit_a_dividend_and_a_charge_are(change, rows, pnl):
    async with opened() as house:
        await begun(house)
        house.oversight._explainer._rows = tuple(rows)
        house.broker.cash = CASH + Decimal(change)
        await lasting(house)
        assert house.trader.day_pnl == pnl
        assert house.trader.day.peak == house.trader.day.nlv == house.broker.cash - pnl


async def test_what_losses_are_measured_from_is_on_the_disk_with_the_adjustment():
    async with opened() as house:
        await begun(house)
        house.broker.cash = CASH + 5_000
        await lasting(house)
        assert house.journal.documents[DOCUMENT]["nlv"] == str(CASH + 5_000)
        house.journal.documents.clear()
        house.broker.cash -= Decimal("0.40")
        await lasting(house)
        assert DOCUMENT not in house.journal.documents  # nothing came or went


async def test_nobody_can_measure_a_loss_while_the_disk_keeps_the_adjustments():
    async with opened() as house:
        house.oversight._risk = RiskSettings(auto_flatten=True)
        await begun(house, **{HIGH: 10, OCC: 4})
        seen = []

        async def slow(symbol, amount, reason, time_ns):
            house.marks.update()
            seen.append(house.trader.day_pnl)

        house.journal.write_adjustment = slow
        house.broker.held[HIGH], house.broker.cash = 0, CASH - 5_000
        await lasting(house)
        assert seen == [0, 0]


async def test_who_else_measures_losses_hears_of_it_at_once():
    async with opened() as house:
        heard = []
        house.oversight.adoption.on_flow = heard.append
        await begun(house)
        house.broker.cash = CASH + 5_000
        await lasting(house)
        assert heard == [5_000]


# --- the disk ---


@pytest.mark.parametrize("how", ["full", "hangs"])
async def test_what_was_taken_over_is_said_and_held_though_the_disk_does_not_have_it_and_is_written_later(how):
    async with opened(patience=DiskPatience(0.01)) as house:
        await begun(house)
        house.broker.held[OCC] = 3
        if how == "full":
            house.journal.full = True
            with pytest.raises(JournalError):
                await lasting(house)
        else:
            house.journal.hang()
            await lasting(house)
        assert house.book.quantity(OCC) == 3
        assert house.ladder.level is Level.REDUCE_ONLY
        assert [line.level for line in house.log.lines if "difference adopted" in line.text] == ["alarm"]
        house.journal.full = False
        house.journal.go_on()
        for _ in range(2):
            await house.oversight.look()
            await asyncio.sleep(0.01)
        assert house.journal.adjustments == [(OCC, 3)]


async def test_money_that_was_taken_out_on_a_full_disk_is_taken_out_once_after_a_restart():
    async with opened() as house:
        await begun(house)
        house.oversight.adoption.on_flow = house.arming.moved_by
        await armed(house, until="12:00", max_loss="500", source="ctl")
        house.broker.cash -= 5_000
        house.journal.full = True
        with pytest.raises(JournalError):
            await lasting(house)
        await house.oversight.look()  # still full: told, and stops go on
        assert {cause.level for cause in house.ladder.causes} == {Level.REDUCE_ONLY}
        assert Reason.JOURNAL_TROUBLE in {cause.reason for cause in house.ladder.causes}
        house.journal.full = False
        for _ in range(2):
            await house.oversight.look()
            await house.arming.look(house.marks.nlv, 0)
        kept, adjusted = dict(house.journal.documents), house.journal.adjustments
        assert adjusted == [(None, -5_000)]
    async with opened() as after:
        after.book.adjustments += sum(amount for _, amount in adjusted)
        after.broker.cash = CASH - 5_000
        after.trader.day.restore(kept[DOCUMENT])
        after.oversight.adoption.on_flow = after.arming.moved_by
        await lasting(after)
        await after.arming.restore(kept[ARMING], after.broker.account, after.marks.nlv, clean=True)
        assert (after.trader.day.nlv, after.arming.arms.nlv) == (CASH - 5_000, CASH - 5_000)
        await after.arming.look(CASH - 5_500, 0)
        assert not after.arming.may_open


async def test_adjustments_that_failed_are_written_again_in_their_order_before_newer_ones():
    async with opened() as house:
        await begun(house)
        owed = house.oversight.adoption._owed
        write, fails = house.journal.write_adjustment, [False, True]

        async def failing(*row):
            if fails and fails.pop(0):
                owed.append((None, Decimal(-1), "found meanwhile", 1))
                raise JournalError("full")
            await write(*row)

        house.journal.write_adjustment = failing
        house.broker.held[OCC], house.broker.held[HIGH] = 1, 2
        with pytest.raises(JournalError):
            await lasting(house)
        assert len(house.journal.adjustments) == 1
        await house.oversight.look()
        first, second, third = [symbol for symbol, _ in house.journal.adjustments]
        assert ({first, second}, third) == ({OCC, HIGH}, None)


async def test_the_days_base_is_kept_though_the_guard_of_a_split_could_not_be_written():
    async with opened() as house:
        await house.hold(4)
        house.broker.cash = house.book.cash
        await house.oversight.begin_day()
        await lasting(house)
        house.broker.cash += 500
        house.broker.held = {"NVDA  260417C00017500": 40}
        house.oversight._explainer._split_ratio = lambda *_: 10.0
        house.journal.full = True
        with pytest.raises(JournalError):
            await lasting(house)
        house.journal.full = False
        for _ in range(2):
            await house.oversight.look()
            await house.guards.look(lambda *_: None)
        assert house.journal.documents[DOCUMENT]["nlv"] == str(house.trader.day.nlv)
        assert len(house.journal.adjustments) == 3
        assert house.journal.protects["P1"]["quantity"] == 40
