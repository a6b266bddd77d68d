"""Sizing equals the golden rows, names the limit that decided, and never breaks one."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.risk.sizing import size
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
