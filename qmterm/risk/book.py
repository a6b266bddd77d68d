"""The book as the gate sees it: working and UNKNOWN orders already counted as filled at their worst case.

Trap: one underlying has several names. A plan for BRK.B becomes a position in the root BRKB, and SPX is traded as SPXW
too; look up through the methods. Only what covers what is by the root: SPX and SPXW do not settle together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache

from qmterm.core.instruments import option_root, risk_root, underlying_of
from qmterm.core.orders import Leg, OrderIntent, Purpose
from qmterm.risk.cover import Group, has_shares, lent_to, overdrawn
from qmterm.risk.worst_case import SHARES, Holding, Part, Worst, one_expiry, with_filled, worst_loss

ZERO = Decimal(0)
OrderKey = tuple[tuple[str, str], ...]  # what makes two orders the same: symbols and actions


@lru_cache(maxsize=8192)
def root_of(symbol: str) -> str:
    """The option root an instrument belongs to, however its underlying is spelled."""
    return option_root(underlying_of(symbol))


@lru_cache(maxsize=1024)
def order_key(legs: tuple[Leg, ...]) -> OrderKey:
    return tuple(sorted((leg.symbol, leg.action.value) for leg in legs))


@dataclass(frozen=True, slots=True)
class Effect:
    """The worst case of an order's own group without and with it, and whether its stock then has a bound at all."""

    before: Worst
    after: Worst
    exact: bool = True  # both are; a bound that is not would hide what an order adds below it

    @property
    def worsens(self) -> bool:
        return not self.exact or self.after.worse_than(self.before)


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
    holdings: Mapping[Group, tuple[Holding, ...]] = field(default_factory=dict)
    parts: Mapping[Group, tuple[Part, ...]] = field(default_factory=dict)  # what working and unknown orders may fill
    day_pnl: Decimal | None = None  # NLV change since the previous close, flows removed
    previous_nlv: Decimal | None = None  # NLV at the previous close
    week_blocked: bool = False  # the week's loss reached its limit and nobody resumed since
    week_pnl: Decimal | None = None  # NLV change since the week's first open, flows removed
    drawdown_blocked: bool = False
    drawdown: Decimal | None = None  # dollars below the highest NLV, flows removed
    orders_last_minute: int = 0  # opening orders sent in the last minute of market time
    recent: frozenset[OrderKey] = frozenset()  # opening orders made within the time of duplicates
    day_trades: int = 0  # positions opened and closed today
    unsettled: Decimal = ZERO  # dollars of today's sales, not settled before tomorrow

    def symbol_risk(self, underlying: str) -> Decimal:
        """What all trades in one underlying may still lose, dollars."""
        root = risk_root(underlying)
        return sum((risk for name, risk in self.risk_by_symbol.items() if risk_root(name) == root), ZERO)

    def strategy_risk(self, strategy: str) -> Decimal:
        """What all trades of one strategy may still lose, dollars."""
        return self.risk_by_strategy.get(strategy, ZERO)

    def holds(self, strategy: str, underlying: str) -> bool:
        """True with a position of the strategy in the underlying."""
        return _names(self.held, strategy, underlying)

    def works(self, strategy: str, underlying: str) -> bool:
        """True with an entry of the strategy in the underlying working or unknown."""
        return _names(self.working, strategy, underlying)

    def freezes(self, underlying: str) -> bool:
        """True while an order or a difference in the underlying is not settled."""
        root = risk_root(underlying)
        return any(risk_root(name) == root for name in self.frozen)

    def without_held(self, strategy: str, underlying: str) -> RiskBook:
        """As if the strategy held nothing there: what is rolled or replaced is no second position."""
        return replace(self, held=frozenset(pair for pair in self.held if not _names((pair,), strategy, underlying)))

    def effect(self, strategy: str, parts: tuple[Part, ...]) -> Effect:
        """What one more order (of one underlying) does to the worst case of its strategy there.

        It also has no bound any more when some call of the stock, whose ever, is left without the shares it leans on.
        """
        root = root_of(parts[0].legs[0][0])
        own = (strategy, root)
        held, working = self.holdings.get(own, ()), self.parts.get(own, ())
        lent = lent_to(own, self.holdings, self.parts)
        before, after = worst_loss(held, working, lent), worst_loss(held, (*working, *parts), lent)
        if has_shares(root, self.holdings):
            more = overdrawn(root, self.holdings, {**self.parts, own: (*working, *parts)})
            more -= overdrawn(root, self.holdings, self.parts)
            if more > 0:
                after = Worst(after.dollars, max(after.slope, before.slope + SHARES * more))
        leans = bool(lent) and worst_loss(held, (*working, *parts)).slope > after.slope
        return Effect(before, after, exact=not leans and one_expiry(held, (*working, *parts)))

    def filled(self, strategy: str, part: Part) -> Worst:
        """The worst case of the strategy in the part's underlying once all of the part filled."""
        own = (strategy, root_of(part.legs[0][0]))
        lent = lent_to(own, self.holdings, self.parts)
        return worst_loss(with_filled(self.holdings.get(own, ()), part), self.parts.get(own, ()), lent)

    def crossed(self, strategy: str, symbol: str, sign: int) -> str:
        """Why a contract cannot be opened on this side: its fills would disappear in another position. "" when it can.

        One contract is one position: an opening order on the other side would close it behind the guard's back, one of
        another strategy would be counted as that strategy's.
        """
        for (owner, _), held in self.holdings.items():
            for holding in held:
                if holding.symbol == symbol:
                    if holding.quantity * sign < 0:
                        return "is held the other way: close it instead"
                    return "" if owner == strategy else f"is held by {owner}"
        for (owner, _), parts in self.parts.items():
            found = [(part, count) for part in parts for name, count in part.legs if name == symbol]
            for part, count in found:
                if count * sign < 0:
                    return f"{_opens(part)} the other way{_first(part)}"
                if owner != strategy:
                    return f"{_opens(part)} by {owner}{_first(part)}"
        return ""

    def only_asked(self, strategy: str, underlying: str) -> bool:
        """True when what `works` there are proposals, no order."""
        root = risk_root(underlying)
        asked = [
            part.asked
            for (owner, name), parts in self.parts.items()
            if owner == strategy and risk_root(name) == root
            for part in parts
        ]
        return bool(asked) and all(asked)

    def counting(self, intent: OrderIntent) -> RiskBook:
        """The book with one more proposal counted as filled at its worst limit; one that closes changes nothing."""
        if intent.purpose is not Purpose.ENTRY:
            return self
        loss = intent.max_loss if intent.max_loss is not None else ZERO
        spent = max(loss, -_assumed_price(intent) * _multiplier(intent) * intent.quantity, ZERO)
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
            parts=self._with_parts(intent),
            orders_last_minute=self.orders_last_minute + 1,
        )

    def _with_parts(self, intent: OrderIntent) -> dict[Group, tuple[Part, ...]]:
        parts = dict(self.parts)
        group = (intent.strategy, root_of(intent.legs[0].symbol))
        asked = replace(part_of(intent.legs, intent.quantity, _assumed_price(intent)), asked=True)
        parts[group] = (*parts.get(group, ()), asked)
        return parts


def _opens(part: Part) -> str:
    return "would be opened" if part.asked else "is being opened"


def _first(part: Part) -> str:
    return ", as a proposal that waits: answer that one first" if part.asked else ""


def _assumed_price(intent: OrderIntent) -> Decimal:
    """The worst limit; of an order without one the price at which it loses all that its plan allowed for."""
    if intent.counted_price is not None:
        return intent.counted_price
    return -(intent.max_loss or ZERO) / (_multiplier(intent) * intent.quantity)


def _multiplier(intent: OrderIntent) -> int:
    return part_of(intent.legs, intent.quantity, ZERO).multiplier


def part_of(legs: tuple[Leg, ...], units: int, price: Decimal, fees: Decimal = ZERO, left: int | None = None) -> Part:
    """An order of `units` whose legs fill in ratio, `left` of them to come; `legs` with whole quantities."""
    each = tuple((leg.symbol, leg.action.sign * (leg.quantity // units)) for leg in legs)
    return Part(each, units if left is None else left, price, fees)


def _names(pairs: Iterable[tuple[str, str]], strategy: str, underlying: str) -> bool:
    root = risk_root(underlying)
    return any(owner == strategy and risk_root(name) == root for owner, name in pairs)
