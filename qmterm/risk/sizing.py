"""How many units a trade may have under the limits, and which limit decided (QUANT.md 5.1).

Trap: money is Decimal here; 0.02 × 100,000 / 420 in binary floats can land a hair above the next whole contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings

Money = Decimal | float | int


@dataclass(frozen=True, slots=True)
class Caps:
    """Units each limit alone would allow; None = this limit does not bind (nothing is spent)."""

    trade: int
    symbol: int
    strategy: int
    cash: int | None
    buying_power: int | None = None
    contracts: int | None = None
    notional: int | None = None
    settled_cash: int | None = None


@dataclass(frozen=True, slots=True)
class Sizing:
    """`contracts` 0 means refused; `binding` is the limit that set the number either way."""

    contracts: int
    binding: Reason
    caps: Caps


def size(
    nlv: Money,
    cash: Money,
    max_loss: Money,
    bp_effect: Money,
    symbol_risk: Money,
    strategy_risk: Money,
    settings: RiskSettings,
    option_buying_power: Money | None = None,
    *,
    notional: Money | None = None,
    settled_cash: Money | None = None,
) -> Sizing:
    """Units that break no limit; dollars throughout, `max_loss` and `bp_effect` per unit with fees.

    `notional` is the stock one unit stands for, `settled_cash` what a cash account may spend today. Ties go to the
    first of trade, symbol, strategy, cash, buying power, contracts, notional, settled cash. Numbers that are not
    finite, or a loss of zero or less, give 0 with BAD_INPUT: an unknown risk is never sized.
    """
    net, free, loss, effect = _money(nlv), _money(cash), _money(max_loss), _money(bp_effect)
    in_symbol, in_strategy = _money(symbol_risk), _money(strategy_risk)
    bounds = [None if value is None else _money(value) for value in (option_buying_power, notional, settled_cash)]
    amounts = (net, free, loss, effect, in_symbol, in_strategy, *bounds)
    if not all([amount is None or amount.is_finite() for amount in amounts]) or loss <= 0:
        return Sizing(0, Reason.BAD_INPUT, Caps(0, 0, 0, 0))
    buying_power, stock, spendable = bounds
    caps = Caps(
        trade=_units(_share(settings.max_trade_risk) * net, loss),
        symbol=_units(_share(settings.max_symbol_risk) * net - in_symbol, loss),
        strategy=_units(_share(settings.max_strategy_risk) * net - in_strategy, loss),
        cash=_units(free - _share(settings.cash_reserve) * net, effect) if effect > 0 else None,
        buying_power=_units(buying_power, effect) if buying_power is not None and effect > 0 else None,
        contracts=settings.max_contracts,
        notional=_units(_share(settings.max_notional) * net, stock) if stock is not None and stock > 0 else None,
        settled_cash=_units(spendable, effect) if spendable is not None and effect > 0 else None,
    )
    units, binding = caps.trade, Reason.LIMIT_TRADE
    for cap, reason in (
        (caps.symbol, Reason.LIMIT_SYMBOL),
        (caps.strategy, Reason.LIMIT_STRATEGY),
        (caps.cash, Reason.LIMIT_CASH),
        (caps.buying_power, Reason.LIMIT_BUYING_POWER),
        (caps.contracts, Reason.LIMIT_CONTRACTS),
        (caps.notional, Reason.LIMIT_NOTIONAL),
        (caps.settled_cash, Reason.LIMIT_SETTLED_CASH),
    ):
        if cap is not None and cap < units:
            units, binding = cap, reason
    return Sizing(units, binding, caps)


def _money(value: Money) -> Decimal:
    """Dollars as Decimal (floats through their shortest text)."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


@lru_cache(maxsize=64)  # of settings: an order waits for this
def _share(fraction: float) -> Decimal:
    return Decimal(str(fraction))


def _units(room: Decimal, each: Decimal) -> int:
    return max(0, int(room // each))
