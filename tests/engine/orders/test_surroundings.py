"""What the gate is told of a plan's moment, and that a fact nobody knows only leaves its check out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from qmterm.core.account import AccountFlags
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import from_et
from qmterm.core.errors import DataError
from qmterm.core.orders import Action, Leg
from qmterm.core.reasons import Reason
from qmterm.engine.orders.surroundings import Lookout
from tests.engine.fakes import OCC, TableQuotes, clock_at
from tests.engine.house import plan

CALENDAR = SessionCalendar.load(date(2026, 1, 2), date(2026, 12, 31))


class Judge:
    def __init__(self, word=None):
        self.word = word

    def quote(self, quote, now_ns):
        return self.word

    def stock(self, symbol, now_ns):
        return None


class Pricer:
    def __init__(self, **numbers):
        self.numbers = numbers

    def leg_numbers(self, symbol, now_ns):
        if not self.numbers:
            raise DataError("nothing is known")
        return self.numbers


KNOWN = {"spot": 178.0, "strike": 175.0, "years": 0.126, "rate": 0.04, "dividend_yield": 0.0, "dividends": []}


def look(the_plan=None, *, judge=None, pricer=None, clock=None, earnings=None):
    flags = AccountFlags(margin_call=True)
    lookout = Lookout(
        TableQuotes(), judge or Judge(), pricer or Pricer(**KNOWN), CALENDAR, clock or clock_at(), lambda: flags,
        earnings or {},
    )  # fmt: skip
    return lookout.of(the_plan or replace(plan(), numbers={"iv": 0.4}))


def test_spot_theory_and_flags_are_those_of_now():
    seen = look()
    assert seen.spot == 178.0
    assert seen.theory[OCC] == pytest.approx(12.1, abs=0.3)
    assert seen.flags.margin_call
    assert seen.doubts == {}
    assert (seen.ex_date, seen.dividend, seen.earnings) == (None, None, None)
    assert seen.last_trade_ns == {}  # it expires in weeks


def test_the_quality_gates_word_and_the_known_earnings_are_passed_on():
    seen = look(judge=Judge(Reason.CROSSED), earnings={"NVDA": date(2026, 3, 4)})
    assert seen.doubts == {OCC: Reason.CROSSED}
    assert seen.earnings == date(2026, 3, 4)


def test_the_next_dividend_is_the_first_of_any_leg():
    numbers = KNOWN | {"dividends": [[0.1, 0.5], [3 / 365, 0.25]]}
    seen = look(pricer=Pricer(**numbers))
    assert (seen.ex_date, seen.dividend) == (date(2026, 3, 5), 0.25)


@pytest.mark.parametrize("lacks", ["spot", "years"])
def test_without_a_number_there_is_no_theory(lacks):
    assert look(pricer=Pricer(**(KNOWN | {lacks: None}))).theory == {}


def test_without_any_number_without_a_volatility_and_for_spreads_there_is_no_theory():
    assert look(pricer=Pricer()).theory == {}
    assert look(plan()).theory == {}
    legs = (Leg(OCC, Action.BUY_TO_OPEN, 1), Leg("NVDA  260417C00180000", Action.SELL_TO_OPEN, 1))
    assert look(replace(plan(), numbers={"iv": 0.4}, legs=legs)).theory == {}
    shares = replace(plan(), numbers={"iv": 0.4}, legs=(Leg("NVDA", Action.BUY_TO_OPEN, 1),))
    assert look(shares).theory == {}


def test_a_contract_near_its_end_says_when_it_stops_trading():
    friday, clock = "NVDA  260306C00175000", clock_at()
    near = replace(plan(), legs=(Leg(friday, Action.BUY_TO_OPEN, 1),))
    assert look(near, clock=clock).last_trade_ns == {friday: from_et(date(2026, 3, 6), 16)}
    morning = replace(plan(), legs=(Leg("SPX   260306C00175000", Action.BUY_TO_OPEN, 1),))
    assert list(look(morning).last_trade_ns.values()) == [from_et(date(2026, 3, 5), 16)]
    nonsense = replace(plan(), legs=(Leg("NVDA  260231C00175000", Action.BUY_TO_OPEN, 1),))
    assert look(nonsense).last_trade_ns == {}
    gone = date(2026, 3, 2) - timedelta(days=3)
    old = replace(plan(), legs=(Leg(f"NVDA  {gone:%y%m%d}C00175000", Action.BUY_TO_OPEN, 1),))
    assert look(old).last_trade_ns == {}
