"""A plan's limit lies on the grid inside the quote, its loss is what it can really lose, its id never varies."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.calendar import SessionCalendar
from qmterm.core.errors import BadInput
from qmterm.core.orders import Action
from qmterm.core.settings.strategy import OptionChoiceSettings
from qmterm.core.ticks import TickProgram, table_of
from qmterm.strategy.option_choice import choose
from qmterm.strategy.plans import limit_price, make_plan
from tests.strategy.chains import NOW, chain, signal

CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))
SETTINGS = OptionChoiceSettings()


def plan(now_ns=NOW):
    best = choose(signal(), chain(), SETTINGS, NOW).best
    return make_plan(signal(), best, now_ns, CALENDAR, SETTINGS), best


def test_a_plan_buys_one_contract_to_open_at_a_debit():
    made, best = plan()
    (leg,) = made.legs
    assert (leg.symbol, leg.action, leg.quantity) == (best.occ, Action.BUY_TO_OPEN, 1)
    assert made.net_price < 0
    limit = -made.net_price
    assert Decimal(str(best.bid)) <= limit <= Decimal(str(best.ask))
    assert table_of(TickProgram.PENNY).on_tick(limit)


def test_the_worst_loss_is_the_limit_and_its_fee():
    made, _ = plan()
    fee = made.max_loss + 100 * made.net_price
    assert Decimal("1.10") <= fee <= Decimal("1.20")
    assert made.buying_power == made.max_loss


def test_a_plan_lives_until_the_end_of_the_next_session_and_its_horizon_is_in_calendar_days():
    made, _ = plan()
    assert made.expires_ns == CALENDAR.close_ns(date(2026, 3, 3))
    assert made.horizon_date == date(2026, 3, 20)
    assert made.targets == signal().targets
    assert made.stop == signal().stop


def test_the_numbers_behind_a_plan_are_there():
    made, best = plan()
    wanted = "risk_reward p_target p_stop expected_pnl pop iv hv20 delta theta spread_pct liquidity bid ask breakeven"
    assert all(made.numbers[name] is not None for name in wanted.split())
    assert made.numbers["quote_age_s"] == 2.0
    assert made.numbers["delta"] == best.delta


def test_the_same_trade_at_the_same_time_has_the_same_id_and_any_other_has_not():
    assert plan()[0].plan_id == plan()[0].plan_id
    assert plan()[0].plan_id != plan(NOW + 1)[0].plan_id


@pytest.mark.parametrize(
    ("bid", "ask", "program", "limit"),
    [
        (4.10, 4.30, TickProgram.PENNY, "4.25"),
        (2.90, 2.98, TickProgram.PENNY, "2.96"),
        (2.90, 2.98, TickProgram.NICKEL, "2.95"),
        (3.00, 3.05, TickProgram.PENNY, "3.00"),  # one tick wide: rounding down ends at the bid
        (0.03, 0.04, TickProgram.PENNY, "0.03"),
        (2.99, 3.05, TickProgram.PENNY, "3.00"),
        (3.02, 3.14, TickProgram.PENNY, "3.10"),  # quotes off our grid: never above the ask, never below the bid
        (3.03, 3.06, TickProgram.PENNY, "3.05"),
    ],
)
def test_limits_are_mid_plus_half_the_half_spread_on_the_grid(bid, ask, program, limit):
    assert limit_price(bid, ask, 0.5, program) == Decimal(limit)


@pytest.mark.parametrize(("bid", "ask"), [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0)])
def test_no_two_sided_quote_no_limit(bid, ask):
    with pytest.raises(BadInput, match="two-sided quote"):
        limit_price(bid, ask, 0.5, TickProgram.PENNY)


@given(
    bid=st.integers(1, 20_000), width=st.integers(1, 400), slip=st.floats(0, 1), program=st.sampled_from(TickProgram)
)
def test_a_limit_is_on_the_grid_and_never_above_the_ask(bid, width, slip, program):
    low, high = bid / 100, (bid + width) / 100
    limit = limit_price(low, high, slip, program)
    table = table_of(program)
    assert table.on_tick(limit)
    assert limit <= Decimal(str(high)) or limit == table.tick(limit)
    if table.on_tick(Decimal(str(low))):
        assert limit >= Decimal(str(low))
