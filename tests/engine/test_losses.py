"""What losses are measured from: the day ends by itself, week and drawdown latch, flows are neither gain nor loss."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.losses import LossBase

MONDAY, FRIDAY, NEXT = date(2026, 3, 2), date(2026, 3, 6), date(2026, 3, 9)
LIMITS = RiskSettings()


def begun(nlv=100_000, day=MONDAY):
    base = LossBase()
    base.begin_day(day, Decimal(nlv))
    return base


def test_a_week_is_measured_from_its_first_day_and_the_peak_from_the_best_start():
    base = begun()
    base.begin_day(FRIDAY, Decimal(97_000))
    assert base.losses(Decimal(96_000)).week_pnl == -4_000
    base.begin_day(NEXT, Decimal(104_000))
    seen = base.losses(Decimal(103_000))
    assert (seen.week_pnl, seen.drawdown, seen.day_pnl) == (-1_000, 1_000, -1_000)
    assert base.losses(Decimal(105_000)).drawdown == 0


def test_each_limit_latches_at_its_share_and_says_so_once():
    base = begun()
    assert not base.look(Decimal("98000.01"), LIMITS)
    assert base.look(Decimal(98_000), LIMITS)
    assert not base.look(Decimal("97000.01"), LIMITS)
    assert not base.flatten_due
    assert base.look(Decimal(97_000), LIMITS)
    assert base.flatten_due
    assert not base.look(Decimal(96_000), LIMITS)
    assert (base.blocked, base.week_blocked, base.drawdown_blocked) == (True, False, False)
    assert base.look(Decimal(95_000), LIMITS)
    assert base.week_blocked
    assert base.look(Decimal(90_000), LIMITS)
    assert base.drawdown_blocked
    base.begin_day(NEXT, Decimal(100_000))
    assert (base.blocked, base.week_blocked, base.drawdown_blocked) == (False, True, True)
    assert not base.flatten_due


def test_a_person_goes_on_from_where_the_account_stands():
    base = begun()
    assert not base.rearm(Decimal(99_000))
    base.look(Decimal(94_000), LIMITS)
    assert base.rearm(Decimal(94_000))
    assert (base.week_nlv, base.peak) == (94_000, 100_000)
    base.look(Decimal(90_000), LIMITS)
    assert base.rearm(Decimal(90_000))
    assert base.peak == 90_000


def test_money_that_came_or_went_moves_every_base():
    base = begun()
    base.flow(Decimal(-20_000))
    assert (base.nlv, base.week_nlv, base.peak) == (80_000, 80_000, 80_000)
    empty = LossBase()
    empty.flow(Decimal(5))
    assert empty.losses(Decimal(5)).day_pnl is None


def test_it_survives_a_restart_and_reads_what_older_versions_kept():
    base = begun()
    base.look(Decimal(90_000), LIMITS)
    again = LossBase()
    again.restore(base.to_dict())
    assert again == base
    old = LossBase()
    old.restore({"date": "2026-03-02", "nlv": "100000", "blocked": True})
    assert (old.date, old.nlv, old.blocked, old.week_nlv) == (MONDAY, Decimal(100_000), True, None)
    assert not old.look(Decimal(100_000), LIMITS)
    old.begin_day(date(2026, 3, 3), Decimal(98_000))
    assert (old.week_nlv, old.peak) == (98_000, 98_000)
