"""Arming: bound to account, configuration, time and loss; closes go on after its loss, nothing after its time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from qmterm.core.clock import NS, from_et, to_et
from qmterm.core.settings.engine import BrokerName
from qmterm.engine.arming import DOCUMENT, Arming, parse_loss, parse_until
from qmterm.engine.commands import Arm, Disarm, Kill
from qmterm.engine.patience import DiskPatience
from tests.engine.fakes import CASH, clock_at
from tests.engine.house import opened

TEN = clock_at().now()
NOON = from_et(to_et(TEN).date(), 12)


def real(house):
    """The house trades real money from now on."""
    engine = house.parts.settings.engine.model_copy(update={"broker": BrokerName.LIVE, "live": True})
    house.parts.settings = house.parts.settings.model_copy(update={"engine": engine})
    house.parts.real_money = True
    house.oversight.reconciler.clean = True
    return house


async def armed(house, **more):
    answer = await real(house).answering.answer(Arm(**({"tail": "0001"} | more)))
    assert answer.ok, answer.text
    return answer


async def test_the_screen_arms_for_a_quarter_of_an_hour_with_the_end_of_the_account():
    async with opened() as house:
        real(house)
        assert not (await house.answering.answer(Arm(tail="0002"))).ok
        assert house.arming.arms is None
        answer = await house.answering.answer(Arm(tail=" 0001 "))
        assert answer.text.startswith("armed until 10:15:00")
        assert house.arming.left_s == 900
        house.clock.advance(899)
        assert house.arming.may_open
        house.clock.advance(1)
        assert not house.arming.may_open
        assert not house.arming.may_close


async def test_a_clock_that_is_set_back_lengthens_nothing():
    async with opened() as house:
        await armed(house)
        house.clock.monotonic_s += 901
        assert house.arming.arms is None


async def test_a_shell_arms_until_a_time_and_up_to_a_loss():
    async with opened() as house:
        answer = await armed(house, tail="", until="12:00", max_loss="500", source="ctl")
        assert answer.text.startswith("armed until 12:00:00, up to a loss of 500.00 since 100,000.00")
        kept = house.journal.documents[DOCUMENT]
        assert (kept["account"], kept["fingerprint"], kept["max_loss"]) == (house.broker.account, "config-1", "500")


@pytest.mark.parametrize(
    ("until", "most"), [("09:59", "500"), ("25:00", "500"), ("noon", "500"), ("12:00", "-1"), ("12:00", "NaN")]
)
async def test_an_arming_that_makes_no_sense_is_refused(until, most):
    async with opened() as house:
        answer = await real(house).answering.answer(Arm(until=until, max_loss=most, source="ctl"))
        assert not answer.ok
        assert house.arming.arms is None
        assert DOCUMENT not in house.journal.documents


async def test_there_is_nothing_to_arm_on_paper_or_without_live_or_before_both_sides_agree():
    async with opened() as house:
        assert "no real money" in (await house.answering.answer(Arm(tail="0001"))).text
        real(house)
        house.oversight.reconciler.clean = False
        assert "do not agree" in (await house.answering.answer(Arm(tail="0001"))).text
        engine = house.parts.settings.engine.model_copy(update={"live": False})
        house.parts.settings = house.parts.settings.model_copy(update={"engine": engine})
        assert "live = true" in (await house.answering.answer(Arm(tail="0001"))).text
        assert house.arming.arms is None


async def test_at_its_loss_nothing_is_opened_any_more_and_closes_go_on_until_its_time():
    async with opened() as house:
        await armed(house, until="12:00", max_loss="500", source="ctl")
        await house.arming.look(CASH - Decimal("499.99"), 1)
        assert house.arming.may_open
        await house.arming.look(CASH - 500, 1)
        assert (house.arming.may_open, house.arming.may_close, house.arming.left_s) == (False, True, None)
        await house.arming.look(CASH + 500, 1)  # a loss that came back does not arm again
        assert not house.arming.may_open
        assert house.journal.documents[DOCUMENT]["spent"] is True
        house.clock.now_ns = NOON
        await house.arming.look(CASH, 1)
        assert not house.arming.may_close
        assert "stops of 1 position(s) cannot be sent" in house.log.lines[-1].text
        assert house.journal.documents[DOCUMENT] == {}


async def test_a_person_disarms_at_once():
    async with opened() as house:
        await armed(house)
        assert (await house.answering.answer(Disarm())).ok
        assert house.arming.arms is None
        assert house.journal.documents[DOCUMENT] == {}
        assert (await house.answering.answer(Disarm())).text == "not armed: real money does not move"


async def again(house, *, account=None, fingerprint="config-1", clean=True, spend=0):
    """The arming as the next start finds it."""
    arming = Arming(house.clock, house.log, house.journal, fingerprint)
    saved = house.journal.documents[DOCUMENT]
    await arming.restore(saved, account or house.broker.account, CASH - spend, clean=clean)
    return arming


async def test_after_a_restart_it_holds_for_the_same_account_and_configuration_after_a_clean_comparison():
    async with opened() as house:
        await armed(house, until="12:00", max_loss="500", source="ctl")
        house.clock.advance(60)
        assert (await again(house)).may_open
        assert (await again(house, spend=500)).may_open is False
    for other in ({"account": "5WT00002"}, {"fingerprint": "config-2"}, {"clean": False}):
        async with opened() as house:
            await armed(house, until="12:00", max_loss="500", source="ctl")
            assert (await again(house, **other)).arms is None
            assert house.journal.documents[DOCUMENT] == {}


async def test_after_a_restart_past_its_time_it_is_over():
    async with opened() as house:
        await armed(house)
        house.clock.advance(3600)
        assert (await again(house)).arms is None


async def test_it_does_not_hold_before_it_is_on_the_disk():
    async with opened() as house:
        seen = []
        write = house.journal.write_document

        async def slow(name, body):
            seen.append(house.arming.arms)
            await write(name, body)

        house.journal.write_document = slow
        await armed(house)
        assert seen == [None]


@asynccontextmanager
async def asked_while_the_disk_hangs(**more):
    """An arming that waits for the disk; its answer comes after `go_on`."""
    async with opened(patience=DiskPatience(0.01)) as house:
        real(house)
        house.journal.hang()
        asked = asyncio.create_task(house.answering.answer(Arm(**({"tail": "0001"} | more))))
        await asyncio.sleep(0.01)
        try:
            yield house, asked
        finally:
            house.journal.go_on()
            await asyncio.wait({asked})


CALLED_OFF = "not armed: disarmed or killed before it was on the disk; arm again"


@pytest.mark.parametrize("command", [Disarm("ctl"), Kill("ctl")])
async def test_an_arming_that_waits_for_the_disk_does_not_begin_after_a_disarm_or_a_kill(command):
    async with asked_while_the_disk_hangs() as (house, asked):
        assert (await house.answering.answer(command)).ok
        house.journal.go_on()
        answer = await asked
        assert (answer.ok, answer.refused, answer.text) == (False, True, CALLED_OFF)
        assert house.arming.arms is None
        await asyncio.sleep(0.01)
        assert house.journal.documents[DOCUMENT] == {}
        assert [line.text for line in house.log.lines if "REAL MONEY" in line.text] == []


async def test_a_disarm_ends_what_holds_and_what_waits_for_the_disk():
    async with opened(patience=DiskPatience(0.01)) as house:
        await armed(house)
        house.journal.hang()
        longer = asyncio.create_task(house.answering.answer(Arm(until="12:00", source="ctl")))
        await asyncio.sleep(0.01)
        assert (await house.answering.answer(Disarm())).ok
        assert house.arming.arms is None
        house.journal.go_on()
        assert not (await longer).ok
        await asyncio.sleep(0.01)
        assert (house.arming.arms, house.journal.documents[DOCUMENT]) == (None, {})


async def test_a_kill_leaves_what_holds_so_that_a_person_can_close():
    async with opened(patience=DiskPatience(0.01)) as house:
        await armed(house)
        house.journal.hang()
        longer = asyncio.create_task(house.answering.answer(Arm(until="12:00", source="ctl")))
        await asyncio.sleep(0.01)
        assert (await house.answering.answer(Kill())).ok
        house.journal.go_on()
        assert not (await longer).ok
        await asyncio.sleep(0.01)
        assert house.arming.left_s == 900
        assert house.journal.documents[DOCUMENT] == house.arming.arms.to_dict()


async def test_after_a_disarm_a_new_arming_holds_though_both_waited_for_the_disk():
    async with asked_while_the_disk_hangs() as (house, first):
        await house.answering.answer(Disarm())
        second = asyncio.create_task(house.answering.answer(Arm(until="12:00", source="ctl")))
        await asyncio.sleep(0.01)
        house.journal.go_on()
        assert [(await each).ok for each in (first, second)] == [False, True]
        assert house.journal.documents[DOCUMENT] == house.arming.arms.to_dict()


async def test_what_ends_by_its_loss_while_the_next_one_waits_for_the_disk_does_not_overwrite_it():
    async with opened(patience=DiskPatience(0.01)) as house:
        await armed(house, until="11:00", max_loss="500", source="ctl")
        house.journal.hang()
        again = asyncio.create_task(house.answering.answer(Arm(until="12:00", max_loss="500", source="ctl")))
        await asyncio.sleep(0.01)
        await house.arming.look(CASH - 500, 1)
        assert house.arming.arms.spent
        house.journal.go_on()
        assert (await again).ok
        await asyncio.sleep(0.01)
        assert house.arming.may_open
        assert house.journal.documents[DOCUMENT] == house.arming.arms.to_dict()


async def test_a_turn_that_waits_for_its_row_drops_no_arming_that_was_asked_for_meanwhile():
    async with opened(patience=DiskPatience(0.05)) as house:
        await armed(house)
        house.arming.moved_by(Decimal(5_000))
        house.journal.hang()
        turn = asyncio.create_task(house.arming.look(CASH, 0))
        await asyncio.sleep(0)
        await house.answering.answer(Disarm())
        asked = asyncio.create_task(house.answering.answer(Arm(until="12:00", source="ctl")))
        await turn
        house.journal.go_on()
        assert (await asked).ok
        assert house.arming.may_open
        assert [line.text for line in house.log.lines if "its time is over" in line.text] == []


async def test_an_arming_that_could_not_be_kept_is_taken_from_the_disk_again():
    async with asked_while_the_disk_hangs() as (house, asked):
        asked.cancel()  # nobody waits for it any more: its row may be written all the same
        await asyncio.wait({asked})
        house.journal.go_on()
        house.journal.documents[DOCUMENT] = {"until": "later"}
        await house.arming.look(CASH, 0)
        assert house.journal.documents[DOCUMENT] == {}


async def test_a_deposit_while_it_waits_for_the_disk_does_not_enlarge_what_it_may_lose():
    async with asked_while_the_disk_hangs(until="12:00", max_loss="500", source="ctl") as (house, asked):
        house.arming.moved_by(Decimal(5_000))
        house.journal.go_on()
        assert (await asked).ok
        assert house.arming.arms.nlv == CASH + 5_000
        await house.arming.look(CASH + 4_500, 0)
        assert not house.arming.may_open
        assert house.journal.documents[DOCUMENT]["nlv"] == str(CASH + 5_000)


def test_times_and_amounts_are_read_strictly():
    assert parse_until("12:00", TEN) == NOON
    assert parse_until("10:00", TEN) is None
    assert [parse_until(text, TEN) for text in ("", "12", "12:0", "1200", "-1:00", "12:60")] == [None] * 6
    assert parse_loss("500.50") == Decimal("500.50")
    assert [parse_loss(text) for text in ("", "0", "-5", "inf", "nan", "5 dollars")] == [None] * 6
    assert parse_until("9:59", TEN - 2 * NS * 3600) == TEN - 60 * NS
    assert [parse_until(text, TEN) for text in ("23:59", "24:00")] == [TEN + 839 * 60 * NS, None]
    assert parse_loss("0.5") == Decimal("0.5")


async def test_money_that_comes_or_goes_leaves_the_loss_that_was_allowed_as_large_as_it_was():
    async with opened() as house:
        await armed(house, tail="", until="12:00", max_loss="500", source="ctl")
        house.arming.moved_by(Decimal(5_000))
        await house.arming.look(CASH + 5_000 - 499, 0)
        assert house.arming.may_open
        assert house.journal.documents[DOCUMENT]["nlv"] == str(CASH + 5_000)
        house.arming.moved_by(Decimal(-5_000))
        await house.arming.look(CASH - 500, 0)
        assert not house.arming.may_open


@pytest.mark.parametrize(("nlv", "holds"), [(CASH + 5_000 - 499, True), (CASH + 5_000 - 500, False)])
async def test_a_deposit_made_while_away_does_not_enlarge_what_an_arming_may_lose(nlv, holds):
    async with opened() as house:
        await armed(house, tail="", until="12:00", max_loss="500", source="ctl")
        again = Arming(house.clock, house.log, house.journal, "config-1")
        for found in (6_000, -1_000):  # by the recovery, before the arming is asked for
            again.moved_by(Decimal(found))
        await again.restore(house.journal.documents[DOCUMENT], "5WT00001", nlv, clean=True)
        assert again.may_open is holds
        assert house.journal.documents[DOCUMENT]["nlv"] == str(CASH + 5_000)


async def test_what_came_before_an_arming_is_none_of_its_business():
    async with opened() as house:
        house.arming.moved_by(Decimal(5_000))
        await armed(house, tail="", until="12:00", max_loss="500", source="ctl")
        assert house.arming.arms.nlv == CASH
        del house.journal.documents[DOCUMENT]
        await house.arming.look(CASH, 0)
        assert DOCUMENT not in house.journal.documents


async def test_what_came_or_went_is_written_once():
    async with opened() as house:
        await armed(house, tail="", until="12:00", max_loss="500", source="ctl")
        house.arming.moved_by(Decimal(5_000))
        await house.arming.look(CASH + 5_000, 0)
        del house.journal.documents[DOCUMENT]
        await house.arming.look(CASH + 5_000, 0)
        assert DOCUMENT not in house.journal.documents
