"""Sizing equals the golden rows, names the limit that decided, and never breaks one."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.risk.sizing import Caps, Sizing, size
from tests import golden

SETTINGS = RiskSettings()
NAMES = {
    "trade": Reason.LIMIT_TRADE,
    "symbol": Reason.LIMIT_SYMBOL,
    "strategy": Reason.LIMIT_STRATEGY,
    "cash": Reason.LIMIT_CASH,
}


@pytest.mark.parametrize("row", golden.rows("sizing"), ids=range(4))
def test_every_golden_row_is_met(row):
    g = json.loads(row["inputs"])
    ours = size(g["netliq"], g["cash"], g["max_loss"], g["bpe"], g["sym_risk"], g["strat_risk"], SETTINGS)
    assert ours.contracts == int(row["contracts"])
    assert ours.binding is NAMES[row["binding"]]
    caps = (ours.caps.trade, ours.caps.symbol, ours.caps.strategy, ours.caps.cash)
    assert caps == tuple(int(row[f"cap_{name}"]) for name in NAMES)


def test_an_exact_fit_is_not_lost_to_binary_fractions():
    assert size(100_000, 90_000, 0.1 + 0.2, 0.3, 0, 0, SETTINGS).caps.trade == 6666
    assert size(30_000, 30_000, 600.0, 600.0, 0, 0, SETTINGS).contracts == 1
    assert size(Decimal("29999.99"), 30_000, 600.0, 600.0, 0, 0, SETTINGS).contracts == 0


def test_buying_power_and_the_contract_cap_can_bind():
    poor = size(100_000, 90_000, 420, 420, 0, 0, SETTINGS, option_buying_power=Decimal(1000))
    assert (poor.contracts, poor.binding) == (2, Reason.LIMIT_BUYING_POWER)
    none = size(100_000, 90_000, 420, 420, 0, 0, SETTINGS, option_buying_power=Decimal(-50))
    assert (none.contracts, none.binding) == (0, Reason.LIMIT_BUYING_POWER)
    cheap = size(100_000, 90_000, 2, 2, 0, 0, SETTINGS)
    assert (cheap.contracts, cheap.binding) == (500, Reason.LIMIT_CONTRACTS)


def test_a_trade_that_takes_no_cash_is_not_bound_by_cash():
    credit = size(100_000, 0, 400, -100, 0, 0, SETTINGS)
    assert credit.caps.cash is None
    assert credit.contracts == 5


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity")])
@pytest.mark.parametrize("place", range(6))
def test_a_number_that_is_not_finite_is_never_sized(bad, place):
    numbers = [100_000, 90_000, 420, 420, 0, 0]
    numbers[place] = bad
    assert size(*numbers, SETTINGS).contracts == 0
    assert size(*numbers, SETTINGS).binding is Reason.BAD_INPUT


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), Decimal("-Infinity")])
@pytest.mark.parametrize("name", ["option_buying_power", "notional", "settled_cash"])
def test_neither_is_one_that_bounds_it(bad, name):
    refused = Sizing(0, Reason.BAD_INPUT, Caps(0, 0, 0, 0))
    assert size(100_000, 90_000, 420, 420, 0, 0, SETTINGS, **{name: bad}) == refused


def test_each_limit_has_its_own_number_and_the_smallest_decides():
    """Shares of 100,000: 2 % a trade, 5 % a symbol, 20 % a strategy, 20 % of cash kept, ten times in stock."""
    given = {"option_buying_power": 30_000, "notional": 10_500, "settled_cash": 25_000}
    ours = size(100_000, 90_000, 100, 200, 700, 2_500, SETTINGS, **given)
    caps = Caps(20, 43, 175, 350, 150, 500, 95, 125)
    assert ours == Sizing(20, Reason.LIMIT_TRADE, caps)
    alone = size(100_000, 90_000, 100, 200, 700, 2_500, SETTINGS).caps
    assert alone == Caps(20, 43, 175, 350, None, 500, None, None)
    assert size(100_000, 90_000, 100, 200, 700, 2_500, SETTINGS, notional=1).caps.notional == 1_000_000


@pytest.mark.parametrize(
    ("changes", "units", "binding"),
    [
        ({"symbol_risk": 4_800}, 2, Reason.LIMIT_SYMBOL),
        ({"symbol_risk": 5_000}, 0, Reason.LIMIT_SYMBOL),
        ({"symbol_risk": 9_000}, 0, Reason.LIMIT_SYMBOL),
        ({"strategy_risk": 19_800}, 2, Reason.LIMIT_STRATEGY),
        ({"cash": 20_400}, 2, Reason.LIMIT_CASH),
        ({"option_buying_power": 400}, 2, Reason.LIMIT_BUYING_POWER),
        ({"notional": 500_000}, 2, Reason.LIMIT_NOTIONAL),
        ({"notional": 1}, 20, Reason.LIMIT_TRADE),
        ({"notional": 0}, 20, Reason.LIMIT_TRADE),
        ({"settled_cash": 400}, 2, Reason.LIMIT_SETTLED_CASH),
        ({"settled_cash": 0}, 0, Reason.LIMIT_SETTLED_CASH),
        ({"bp_effect": 1, "settled_cash": 3, "option_buying_power": 2}, 2, Reason.LIMIT_BUYING_POWER),
        ({"bp_effect": 1, "settled_cash": 2}, 2, Reason.LIMIT_SETTLED_CASH),
        ({"bp_effect": 0, "settled_cash": 0, "option_buying_power": 0}, 20, Reason.LIMIT_TRADE),
        ({"max_loss": 1, "bp_effect": 0}, 500, Reason.LIMIT_CONTRACTS),
        ({"max_loss": Decimal("0.01"), "bp_effect": 0}, 500, Reason.LIMIT_CONTRACTS),
        # ties go to the first in the order of the limits
        ({"symbol_risk": 3_000, "strategy_risk": 18_000, "cash": 24_000}, 20, Reason.LIMIT_TRADE),
        ({"symbol_risk": 4_000, "strategy_risk": 19_000}, 10, Reason.LIMIT_SYMBOL),
        ({"strategy_risk": 19_000, "cash": 22_000}, 10, Reason.LIMIT_STRATEGY),
        ({"cash": 22_000, "option_buying_power": 2_000}, 10, Reason.LIMIT_CASH),
        ({"option_buying_power": 2_000, "notional": 100_000}, 10, Reason.LIMIT_BUYING_POWER),
        ({"notional": 100_000, "settled_cash": 2_000}, 10, Reason.LIMIT_NOTIONAL),
    ],
)
def test_the_limit_that_decides_is_named(changes, units, binding):
    base = {
        "nlv": 100_000, "cash": 90_000, "max_loss": 100, "bp_effect": 200, "symbol_risk": 0, "strategy_risk": 0,
    }  # fmt: skip
    ours = size(settings=SETTINGS, **(base | changes))
    assert (ours.contracts, ours.binding) == (units, binding)


def test_the_contract_cap_wins_a_tie_against_the_stock_behind_it_and_loses_one_against_buying_power():
    few = RiskSettings(max_contracts=10)
    base = (100_000, 90_000, 100, 200, 0, 0, few)
    assert size(*base, notional=100_000).binding is Reason.LIMIT_CONTRACTS
    assert size(*base, option_buying_power=2_000).binding is Reason.LIMIT_BUYING_POWER


@pytest.mark.parametrize("loss", [0, -5])
def test_a_trade_without_a_loss_is_a_mistake_not_a_free_lunch(loss):
    assert size(100_000, 90_000, loss, 420, 0, 0, SETTINGS).binding is Reason.BAD_INPUT


MONEY = st.decimals(min_value=-20_000, max_value=500_000, places=2)
LOSS = st.decimals(min_value="0.01", max_value=20_000, places=2)


@given(nlv=MONEY, cash=MONEY, loss=LOSS, effect=LOSS, symbol=MONEY, strategy=MONEY, power=st.none() | MONEY)
def test_no_limit_is_ever_exceeded_and_one_more_would_exceed_one(nlv, cash, loss, effect, symbol, strategy, power):
    units = size(nlv, cash, loss, effect, symbol, strategy, SETTINGS, power).contracts
    assert units >= 0

    def breaks(count):
        return (
            count * loss > Decimal("0.02") * nlv
            or symbol + count * loss > Decimal("0.05") * nlv
            or strategy + count * loss > Decimal("0.20") * nlv
            or cash - count * effect < Decimal("0.20") * nlv
            or (power is not None and power - count * effect < 0)
            or count > SETTINGS.max_contracts
        )

    if units:
        assert not breaks(units)
    assert breaks(units + 1)
