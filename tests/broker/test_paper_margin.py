"""What paper positions hold back is Reg-T's estimate of the whole account, the rule of widths where that is less."""

from datetime import date
from decimal import Decimal

import pytest

from qmterm.broker.paper import PaperBroker
from qmterm.broker.paper_margin import held_back
from qmterm.core.clock import ManualClock, from_et
from qmterm.core.instruments import is_option
from qmterm.core.orders import BrokerPosition
from qmterm.core.settings.broker import PaperSettings
from tests.broker.conftest import MONDAY
from tests.broker.test_paper_delivery import CLOSE, Kept
from tests.sim.brokerage.fake_world import CALENDAR, CALL_230, CALL_240, PUT_210, PUT_220, FakeWorld, option

JUNE_220 = "AAPL  260619P00220000"


def held(positions, **prices):
    rows = [BrokerPosition(s, q, Decimal(3), 100 if is_option(s) else 1) for s, q in positions.items()]
    table = {symbol: Decimal(str(price)) for symbol, price in prices.items()}
    return held_back(rows, table.get)


@pytest.mark.parametrize(
    ("positions", "requirement", "shares"),
    [
        ({CALL_230: 5}, 0, 0),
        ({PUT_220: -2, PUT_210: 2}, 2_000, 0),  # the width
        ({CALL_240: -1, CALL_230: 1}, 0, 0),  # a debit spread risks no more than it cost
        ({PUT_220: -1, JUNE_220: 1}, 0, 0),  # the later put covers the nearer one
        ({PUT_220: -1}, 3_900, 0),  # 3 + 20 % of 230 less 10 out of the money
        ({"AAPL": 100}, 11_500, 23_000),
        ({"AAPL": -100}, 34_500, 0),
        ({"AAPL": 100, CALL_240: -1}, 11_500, 23_000),  # U − half of the lesser of U and K
        ({"AAPL": 150, CALL_240: -1}, 17_250, 34_500),
    ],
)
def test_reg_t_of_the_usual_positions(positions, requirement, shares):
    found = held(positions, AAPL=230)
    assert (found.requirement, found.shares) == (requirement, shares)


def test_without_a_price_of_the_stock_the_widths_are_held_and_shares_lend_nothing():
    found = held({"AAPL": 100, PUT_220: -1})
    assert (found.requirement, found.shares) == (22_000, 0)
    assert held({"AAPL": -100}).requirement == 450  # half as much again as they brought


def test_shares_cover_once_and_the_nearest_first():
    later = option(240, expiry=date(2026, 6, 19))
    both = held({"AAPL": 100, CALL_240: -1, later: -1}, AAPL=230)
    one = held({"AAPL": 100, CALL_240: -1}, AAPL=230)
    assert both.requirement > one.requirement


async def test_an_assignment_that_the_account_cannot_carry_is_a_deficit_and_no_money_is_made_up():
    world = FakeWorld(now_ns=CLOSE)
    world.set("AAPL", 199.99, 200.01)
    clock = ManualClock(from_et(MONDAY, 10))
    paper = PaperBroker(world, Kept(), clock, PaperSettings(starting_cash=Decimal(5_000)), calendar=CALENDAR)
    await paper.connect()
    paper._book.positions[PUT_220] = BrokerPosition(PUT_220, -1, Decimal(3), 100)
    clock.now_ns = CLOSE
    await paper.on_market(CLOSE)
    balance = (await paper.account_state()).balance
    assert balance.cash < -17_000 + 1
    assert balance.net_liquidating_value == balance.cash + 20_000
    assert balance.option_buying_power == balance.cash + 20_000 - 10_000 < 0
