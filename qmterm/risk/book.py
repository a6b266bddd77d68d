"""The book as the gate sees it: working and UNKNOWN orders already counted as filled at their worst case.

Trap: one underlying has two names. A plan for BRK.B becomes a position in the root BRKB; look up through the methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from qmterm.core.instruments import option_root
from qmterm.core.orders import Leg, OrderIntent, Purpose

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class RiskBook:
    """Dollars. Risk = the most that can still be lost, fees included: positions plus working and unknown entries.

    `cash` and `option_buying_power` are what is left after those orders. A working exit frees nothing before it
    fills. `nlv` None means it is not known: nothing new is opened then.
    """

    nlv: Decimal | None
    cash: Decimal
    option_buying_power: Decimal | None = None
    risk_by_symbol: Mapping[str, Decimal] = field(default_factory=dict)  # underlying -> dollars
    risk_by_strategy: Mapping[str, Decimal] = field(default_factory=dict)
    held: frozenset[tuple[str, str]] = frozenset()  # (strategy, underlying) with a position
    working: frozenset[tuple[str, str]] = frozenset()  # (strategy, underlying) with an entry working or unknown
    frozen: frozenset[str] = frozenset()  # underlyings with an UNKNOWN order or a reconcile difference
    sides: frozenset[tuple[str, bool]] = frozenset()  # (contract, long?) held, or to be opened by a working order
    day_pnl: Decimal | None = None  # NLV change since the previous close, flows removed
    previous_nlv: Decimal | None = None  # NLV at the previous close
    orders_last_minute: int = 0  # opening orders sent in the last minute of market time

    def symbol_risk(self, underlying: str) -> Decimal:
        """What all trades in one underlying may still lose, dollars."""
        root = option_root(underlying)
        return sum((risk for name, risk in self.risk_by_symbol.items() if option_root(name) == root), ZERO)

    def strategy_risk(self, strategy: str) -> Decimal:
        """What all trades of one strategy may still lose, dollars."""
        return self.risk_by_strategy.get(strategy, ZERO)

    def holds(self, strategy: str, underlying: str) -> bool:
        """True with a position of the strategy in the underlying."""
        return _names(self.held, strategy, underlying)

    def works(self, strategy: str, underlying: str) -> bool:
        """True with an entry of the strategy in the underlying working or unknown."""
        return _names(self.working, strategy, underlying)

    def opposes(self, leg: Leg) -> bool:
        """True when the other side of this very contract is held or being opened.

        The broker nets the two: an open would close, and a close that works beside it would then open.
        """
        return (leg.symbol, not leg.action.buys) in self.sides

    def freezes(self, underlying: str) -> bool:
        """True while an order or a difference in the underlying is not settled."""
        root = option_root(underlying)
        return any(option_root(name) == root for name in self.frozen)

    def counting(self, intent: OrderIntent) -> RiskBook:
        """The book with one more entry counted as filled at its limit; other orders change nothing."""
        if intent.purpose is not Purpose.ENTRY:
            return self
        loss = intent.max_loss if intent.max_loss is not None else ZERO
        spent = max(loss, -intent.net_price * 100 * intent.quantity, ZERO)
        by_symbol, by_strategy = dict(self.risk_by_symbol), dict(self.risk_by_strategy)
        by_symbol[intent.underlying] = by_symbol.get(intent.underlying, ZERO) + loss
        by_strategy[intent.strategy] = by_strategy.get(intent.strategy, ZERO) + loss
        power = self.option_buying_power
        return replace(
            self,
            cash=self.cash - spent,
            option_buying_power=None if power is None else power - spent,
            risk_by_symbol=by_symbol,
            risk_by_strategy=by_strategy,
            working=self.working | {(intent.strategy, intent.underlying)},
            sides=self.sides | opening_sides(intent),
            orders_last_minute=self.orders_last_minute + 1,
        )


def opening_sides(intent: OrderIntent) -> frozenset[tuple[str, bool]]:
    """(contract, long?) of every leg that opens."""
    return frozenset((leg.symbol, leg.action.buys) for leg in intent.legs if leg.action.opens)


def _names(pairs: frozenset[tuple[str, str]], strategy: str, underlying: str) -> bool:
    root = option_root(underlying)
    return any(owner == strategy and option_root(name) == root for owner, name in pairs)
