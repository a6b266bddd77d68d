"""The one gate every order passes: strategies, the screen and the command line alike (DESIGN.md 5).

Trap: an order that only reduces risk must never be refused by a limit, a filter, the rate or the age of a quote;
so entries and exits have two methods, and the second one looks at nothing but open/close and the price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import Action, Leg, OrderIntent
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.signals import TradePlan
from qmterm.core.ticks import TickProgram, TickTable
from qmterm.risk.book import ZERO, RiskBook
from qmterm.risk.price_sanity import price_fault
from qmterm.risk.sizing import Sizing, size


@dataclass(frozen=True, slots=True)
class Verdict:
    """`contracts` 0 = refused for `reason`; otherwise approved, and `reason` is the limit that set the size.

    An approved exit has no binding limit: its reason is None.
    """

    contracts: int
    reason: Reason | None
    numbers: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def approved(self) -> bool:
        return self.contracts > 0


class Gate:
    """Pure rules over a plan or an intent, the book and the quotes of the moment."""

    def __init__(self, settings: RiskSettings) -> None:
        self.settings = settings

    def check(
        self,
        plan: TradePlan,
        book: RiskBook,
        now_ns: int,
        *,
        ladder: Reason | None = None,
        quotes: Mapping[str, Quote] | None = None,
        market_open: bool = True,
        program: TickProgram | TickTable | None = None,
        wanted: int | None = None,
    ) -> Verdict:
        """May this plan be opened, and with how many units.

        `ladder` is the refusal of the ladder's level (None at NORMAL), `quotes` the latest quote of each leg,
        `program` the broker's tick table, `wanted` a smaller number somebody asked for.
        """
        refusal = self._state_refusal(plan, book, now_ns, ladder, market_open)
        if refusal is None:
            refusal = self._order_refusal(plan, now_ns, quotes or {}, program)
        if refusal is None:
            refusal = self._day_refusal(book)
        if refusal is not None or book.nlv is None:
            return Verdict(0, refusal or Reason.NO_NLV, _plan_numbers(plan, book))
        sizing = size(
            book.nlv,
            book.cash,
            plan.max_loss,
            plan.buying_power,
            book.symbol_risk(plan.underlying),
            book.strategy_risk(plan.strategy),
            self.settings,
            book.option_buying_power,
        )
        units = sizing.contracts if wanted is None else min(sizing.contracts, max(0, wanted))
        return Verdict(units, sizing.binding, _plan_numbers(plan, book) | _sizing_numbers(sizing))

    def check_exit(
        self,
        intent: OrderIntent,
        closable: Mapping[str, int],
        *,
        ladder: Reason | None = None,
        by_person: bool = False,
        quotes: Mapping[str, Quote] | None = None,
        program: TickProgram | TickTable | None = None,
    ) -> Verdict:
        """May this closing order go, and with how many units (never more than is really closable).

        `closable` is the signed quantity of each leg's symbol that no other working order closes already. Only HALT
        holds a machine's exit back; a person may always close.
        """
        if ladder is Reason.LADDER_HALT and not by_person:
            return Verdict(0, Reason.LADDER_HALT)
        units = intent.quantity
        if units <= 0 or not intent.legs:
            return Verdict(0, Reason.NOTHING_TO_CLOSE)
        if len({leg.symbol for leg in intent.legs}) < len(intent.legs):
            return Verdict(0, Reason.WOULD_OPEN)  # one symbol in two legs would count its closable quantity twice
        for leg in intent.legs:
            if leg.action.opens or leg.quantity <= 0 or leg.quantity % intent.quantity:
                return Verdict(0, Reason.WOULD_OPEN)
            held = closable.get(leg.symbol, 0)
            if held == 0:
                return Verdict(0, Reason.NOTHING_TO_CLOSE, {"closable": 0.0})
            if (held > 0) == leg.action.buys:
                return Verdict(0, Reason.WOULD_OPEN, {"closable": float(held)})
            units = min(units, abs(held) // (leg.quantity // intent.quantity))
        numbers: dict[str, float | None] = {"wanted": float(intent.quantity), "closable": float(units)}
        if units == 0:
            return Verdict(0, Reason.NOTHING_TO_CLOSE, numbers)
        fault = price_fault(
            intent.legs, intent.quantity, intent.net_price, quotes or {}, self.settings.price_band, program
        )
        return Verdict(0, fault, numbers) if fault is not None else Verdict(units, None, numbers)

    def _state_refusal(
        self, plan: TradePlan, book: RiskBook, now_ns: int, ladder: Reason | None, market_open: bool
    ) -> Reason | None:
        if ladder is not None:
            return ladder
        if now_ns >= plan.expires_ns:
            return Reason.PROPOSAL_EXPIRED
        if not market_open:
            return Reason.MARKET_CLOSED
        if book.freezes(plan.underlying):
            return Reason.SYMBOL_FROZEN
        if book.holds(plan.strategy, plan.underlying):
            return Reason.ALREADY_HELD
        if book.works(plan.strategy, plan.underlying):
            return Reason.ALREADY_WORKING
        if any(book.opposes(leg) for leg in plan.legs):
            return Reason.ALREADY_HELD
        return None

    def _order_refusal(
        self, plan: TradePlan, now_ns: int, quotes: Mapping[str, Quote], program: TickProgram | TickTable | None
    ) -> Reason | None:
        structure = _structure_fault(plan)
        if structure is not None:
            return structure
        for leg in plan.legs:
            quote = quotes.get(leg.symbol)
            if quote is None or not quote.two_sided:
                return Reason.NO_QUOTE
            if quote.age_s(now_ns) > self.settings.quote_max_age_s:
                return Reason.STALE_QUOTE
        return price_fault(plan.legs, 1, plan.net_price, quotes, self.settings.price_band, program)

    def _day_refusal(self, book: RiskBook) -> Reason | None:
        if book.nlv is None or not book.nlv.is_finite() or book.nlv <= 0:
            return Reason.NO_NLV
        if book.day_pnl is not None and book.previous_nlv is not None and book.previous_nlv > 0:
            limit = Decimal(str(self.settings.daily_loss_block)) * book.previous_nlv
            if book.day_pnl <= -limit:
                return Reason.DAILY_LOSS
        if book.orders_last_minute >= self.settings.max_orders_per_minute:
            return Reason.ORDER_RATE
        return None


def _structure_fault(plan: TradePlan) -> Reason | None:
    """Legs that must not be opened: closing ones, adjusted contracts, a loss without a bound or below the debit."""
    if not plan.legs or any(not leg.action.opens or leg.quantity <= 0 for leg in plan.legs):
        return Reason.BAD_INPUT
    if any(is_option(leg.symbol) and parse_option(leg.symbol).adjusted for leg in plan.legs):
        return Reason.ADJUSTED
    if not plan.max_loss.is_finite() or plan.max_loss <= 0 or _short_calls(plan.legs) > 0:
        return Reason.UNDEFINED_RISK
    worst = _worst_loss(plan)
    if worst is not None and plan.max_loss < worst:
        return Reason.BAD_INPUT  # a claim smaller than what can be lost would be sized too large
    return None


def _worst_loss(plan: TradePlan) -> Decimal | None:
    """Dollars one unit can lose by its expiry, fees left out; None when shares or two expiries are in it.

    The payoff is straight between strikes and, without calls sold in excess, never falls beyond the last one.
    """
    if not all(is_option(leg.symbol) for leg in plan.legs):
        return None
    contracts = [(parse_option(leg.symbol), leg) for leg in plan.legs]
    if len({contract.expiry for contract, _ in contracts}) > 1:
        return None
    payoffs = [
        sum(
            leg.action.sign * leg.quantity * leg.multiplier * max(ZERO, contract.right.sign * (spot - contract.strike))
            for contract, leg in contracts
        )
        for spot in (ZERO, *(contract.strike for contract, _ in contracts))
    ]
    return -min(payoffs) - plan.net_price * plan.legs[0].multiplier


def _short_calls(legs: tuple[Leg, ...]) -> int:
    """Calls sold beyond calls (or round lots of shares) bought: their loss has no bound."""
    total = 0
    for leg in legs:
        if is_option(leg.symbol):
            if parse_option(leg.symbol).right == "C":
                total += leg.quantity if leg.action is Action.SELL_TO_OPEN else -leg.quantity
        else:
            total += leg.quantity if leg.action is Action.SELL_TO_OPEN else -(leg.quantity // 100)
    return total


def _plan_numbers(plan: TradePlan, book: RiskBook) -> dict[str, float | None]:
    return {
        "nlv": None if book.nlv is None else float(book.nlv),
        "cash": float(book.cash),
        "max_loss": float(plan.max_loss),
        "buying_power": float(plan.buying_power),
        "symbol_risk": float(book.symbol_risk(plan.underlying)),
        "strategy_risk": float(book.strategy_risk(plan.strategy)),
        "day_pnl": None if book.day_pnl is None else float(book.day_pnl),
        "limit": float(plan.net_price),
    }


def _sizing_numbers(sizing: Sizing) -> dict[str, float | None]:
    caps = sizing.caps
    return {
        "cap_trade": float(caps.trade),
        "cap_symbol": float(caps.symbol),
        "cap_strategy": float(caps.strategy),
        "cap_cash": None if caps.cash is None else float(caps.cash),
        "cap_buying_power": None if caps.buying_power is None else float(caps.buying_power),
    }
