"""The one gate every order passes: strategies, the screen and the command line alike (DESIGN.md 5).

Trap: an order that makes no worst case worse is never refused by a limit, a filter, the rate or the age of a quote; for
an exit that is looked at last, for an entry first. Only the ladder, the guards on legs and the price bind those.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from qmterm.core.instruments import is_option, parse_option
from qmterm.core.order_rules import rules_fault
from qmterm.core.orders import Leg, OrderIntent, OrderKind
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.signals import MANUAL, TradePlan
from qmterm.core.ticks import TickProgram, TickTable
from qmterm.risk.account_rules import account_refusal
from qmterm.risk.book import ZERO, Effect, RiskBook, order_key, part_of, root_of
from qmterm.risk.buying_power import buying_power_effect
from qmterm.risk.open_close import close_verdict
from qmterm.risk.order_checks import legs_fault, moment_fault, notional, quotes_fault, theory_fault
from qmterm.risk.price_sanity import natural_price, order_fault, price_fault
from qmterm.risk.sizing import Sizing, size
from qmterm.risk.surroundings import Surroundings
from qmterm.risk.verdict import Refusal, Verdict
from qmterm.risk.worst_case import Part, worst_loss

Program = TickProgram | TickTable | None
WAITS = "a proposal of this strategy in the stock waits for an answer"
CENT = Decimal("0.01")  # the worst case is rounded up to it


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
        program: Program = None,
        wanted: int | None = None,
        around: Surroundings | None = None,
        order: OrderIntent | None = None,
        fleeting: bool = False,
    ) -> Verdict:
        """May this plan be opened, and with how many units.

        `ladder` is the refusal of the ladder's level (None at NORMAL), `quotes` the latest quote of each leg,
        `program` the broker's tick table, `wanted` a smaller number somebody asked for, `order` one unit as it is to
        be sent, where that is more than a limit at the plan's price. What is `fleeting` has exits behind it that may
        sell it again at any time: it hedges nothing.
        """
        quotes, around = quotes or {}, around or Surroundings()
        numbers = _plan_numbers(plan, book) | self._bounds()
        refusal = _state_refusal(plan, book, now_ns, ladder, market_open) or legs_fault(plan, now_ns)
        if wanted is not None and wanted < 1:
            refusal = refusal or Refusal(Reason.BAD_INPUT, note=f"{wanted} units were asked for")
        if refusal is not None:
            return _refused(refusal, numbers)
        if order is not None:
            priced = self.order_refusal(order, quotes, program)
        else:
            priced = self._price_refusal(plan.legs, 1, plan.net_price, quotes, program)
        if not plan.net_price.is_finite():
            return _refused(priced or Refusal(Reason.PRICE_INSANE), numbers)
        part = part_of(plan.legs, 1, plan.net_price)
        part = replace(part, fleeting=True) if fleeting else part
        effect = book.effect(plan.strategy, (part,))
        asked = self.settings.max_contracts if wanted is None else min(wanted, self.settings.max_contracts)
        free = 0 if priced is not None else _harmless(plan.strategy, part, book, effect, asked)
        if free and free == wanted:
            return Verdict(free, None, numbers)
        effective = buying_power_effect(plan, quotes, around.spot)
        numbers["buying_power"] = float(effective)
        refusal = self._entry_refusal(plan, part, book, effect, now_ns, quotes, around, priced)
        refusal = refusal or self._day_refusal(plan, book)
        if refusal is not None:
            return Verdict(free, None, numbers) if free else _refused(refusal, numbers)
        sizing, more = self._size(plan, book, effective, around)
        units = sizing.contracts if wanted is None else min(sizing.contracts, wanted)
        binding = sizing.binding
        covered = _covered(plan, part, book, units)
        if covered < units:
            units, binding = covered, Reason.UNDEFINED_RISK
        return Verdict(max(free, units), binding, numbers | more | _sizing_numbers(sizing))

    def check_exit(
        self,
        intent: OrderIntent,
        closable: Mapping[str, int],
        *,
        ladder: Reason | None = None,
        by_person: bool = False,
        quotes: Mapping[str, Quote] | None = None,
        program: Program = None,
        book: RiskBook | None = None,
    ) -> Verdict:
        """May this closing order go, and with how many units (never more than is really closable).

        `closable` is the signed quantity of each leg's symbol that is settled and no other working order closes. Only
        HALT holds a machine's exit back; a person may always close. With the `book`, a close that would leave what it
        covered without a bound, or beyond a limit, is refused: it is no exit.
        """
        if ladder is Reason.LADDER_HALT and not by_person:
            return Verdict(0, Reason.LADDER_HALT)
        verdict = close_verdict(intent, closable)
        if not verdict.approved:
            return verdict
        refusal = self.order_refusal(intent, quotes or {}, program)
        if refusal is None and book is not None:
            refusal = self._exposed(intent, verdict.contracts, book, quotes or {})
        return verdict if refusal is None else _refused(refusal, dict(verdict.numbers))

    def _exposed(self, intent: OrderIntent, units: int, book: RiskBook, quotes: Mapping[str, Quote]) -> Refusal | None:
        """A close that takes the cover away from something else. What it costs itself makes nothing worse."""
        limit = intent.counted_price
        if limit is None:  # at the market: what it costs is its own, not somebody's cover
            limit = -self._market_cost(intent, quotes)
        part = replace(part_of(intent.legs, intent.quantity, limit), units=units)
        effect = book.effect(intent.strategy, (part,))
        own_cost = max(ZERO, part.paid * units) + CENT
        if not effect.after.worse_than(effect.before, by=own_cost):
            return None
        more = effect.after.dollars - effect.before.dollars
        numbers: dict[str, float | None] = {"worst_before": float(effect.before.dollars), "max_loss": float(more)}
        if effect.after.slope > effect.before.slope:
            return Refusal(Reason.UNDEFINED_RISK, numbers, "it leaves what was sold without cover")
        in_symbol = book.symbol_risk(root_of(intent.legs[0].symbol))
        in_strategy = book.strategy_risk(intent.strategy)
        numbers |= {"symbol_risk": float(in_symbol), "strategy_risk": float(in_strategy)}
        for reason, share, risk in (
            (Reason.LIMIT_SYMBOL, self.settings.max_symbol_risk, in_symbol),
            (Reason.LIMIT_STRATEGY, self.settings.max_strategy_risk, in_strategy),
        ):
            if book.nlv is None or risk + more > Decimal(str(share)) * book.nlv:
                return Refusal(reason, numbers, "it leaves what was sold without cover")
        return None

    @staticmethod
    def _market_cost(intent: OrderIntent, quotes: Mapping[str, Quote]) -> Decimal:
        """Dollars per share of one unit that an order without a limit pays now; a sale is taken to bring nothing."""
        natural = natural_price(intent.legs, intent.quantity, quotes) or ZERO
        return max(-natural, (intent.stop_trigger or ZERO) if intent.legs[0].action.buys else ZERO)

    def order_refusal(self, intent: OrderIntent, quotes: Mapping[str, Quote], program: Program) -> Refusal | None:
        """What is wrong with an order's kind, price, trigger or time, whatever it does to the book."""
        broken = rules_fault(intent)
        if broken is not None and intent.kind is not OrderKind.LIMIT:  # a limit's price has codes of its own
            return Refusal(Reason.ORDER_RULES, note=broken)
        fault = order_fault(intent, quotes, self.settings.price_band, program)
        if fault is None:
            return None if broken is None else Refusal(Reason.ORDER_RULES, note=broken)
        natural = natural_price(intent.legs, intent.quantity, quotes, unbid=True)
        return Refusal(
            fault,
            {
                "limit": None if intent.net_price is None else float(intent.net_price),
                "trigger": None if intent.stop_trigger is None else float(intent.stop_trigger),
                "natural": None if natural is None else float(natural),
            },
        )

    def _price_refusal(
        self, legs: tuple[Leg, ...], units: int, price: Decimal, quotes: Mapping[str, Quote], program: Program
    ) -> Refusal | None:
        fault = price_fault(legs, units, price, quotes, self.settings.price_band, program)
        if fault is None:
            return None
        natural = natural_price(legs, units, quotes)
        return Refusal(fault, {"limit": float(price), "natural": None if natural is None else float(natural)})

    def _entry_refusal(
        self,
        plan: TradePlan,
        part: Part,
        book: RiskBook,
        effect: Effect,
        now_ns: int,
        quotes: Mapping[str, Quote],
        around: Surroundings,
        priced: Refusal | None,
    ) -> Refusal | None:
        """What only binds an order that makes something worse."""
        # A strategy is in a stock once; a person may add to what he holds.
        if plan.strategy != MANUAL:
            if book.holds(plan.strategy, plan.underlying):
                return Refusal(Reason.ALREADY_HELD)
            if book.works(plan.strategy, plan.underlying):
                asked = book.only_asked(plan.strategy, plan.underlying)
                return Refusal(Reason.ALREADY_WORKING, note=WAITS if asked else "")
        return (
            _risk_fault(plan, part, book, effect)
            or account_refusal(plan, book, around.flags, self.settings)
            or quotes_fault(plan, now_ns, quotes, around, self.settings)
            or priced  # after the quotes it was held against: a limit is not insane because they are old
            or moment_fault(plan, now_ns, quotes, around, self.settings)
            or theory_fault(plan, around, self.settings)
        )

    def _day_refusal(self, plan: TradePlan, book: RiskBook) -> Refusal | None:
        if book.nlv is None or not book.nlv.is_finite() or book.nlv <= 0:
            return Refusal(Reason.NO_NLV)
        if book.day_pnl is not None and book.previous_nlv is not None and book.previous_nlv > 0:
            limit = Decimal(str(self.settings.daily_loss_block)) * book.previous_nlv
            if book.day_pnl <= -limit:
                return Refusal(Reason.DAILY_LOSS)
        if book.week_blocked:
            return Refusal(Reason.WEEKLY_LOSS)
        if book.drawdown_blocked:
            return Refusal(Reason.DRAWDOWN)
        if self.settings.duplicate_s and order_key(plan.legs) in book.recent:
            return Refusal(Reason.DUPLICATE_INTENT)
        if book.orders_last_minute >= self.settings.max_orders_per_minute:
            return Refusal(Reason.ORDER_RATE)
        return None

    def _size(
        self, plan: TradePlan, book: RiskBook, effective: Decimal, around: Surroundings
    ) -> tuple[Sizing, dict[str, float | None]]:
        nlv = book.nlv or ZERO
        behind = notional(plan, around.spot)
        settled = max(ZERO, book.cash - book.unsettled) if self.settings.day_trade_mode == "cash" else None
        sizing = size(
            nlv,
            book.cash,
            plan.max_loss,
            effective,
            book.symbol_risk(root_of(plan.legs[0].symbol)),
            book.strategy_risk(plan.strategy),
            self.settings,
            book.option_buying_power,
            notional=behind,
            settled_cash=settled,
        )
        return sizing, {"notional": float(behind), "settled_cash": None if settled is None else float(settled)}

    def _bounds(self) -> dict[str, float | None]:
        """The settings that refusals are told with."""
        return {
            "most_orders": float(self.settings.max_orders_per_minute),
            "duplicate_s": self.settings.duplicate_s,
        }


def _refused(refusal: Refusal, numbers: dict[str, float | None]) -> Verdict:
    return Verdict(0, refusal.reason, numbers | dict(refusal.numbers), refusal.note)


def _state_refusal(
    plan: TradePlan, book: RiskBook, now_ns: int, ladder: Reason | None, market_open: bool
) -> Refusal | None:
    if ladder is not None:
        return Refusal(ladder)
    if now_ns >= plan.expires_ns:
        return Refusal(Reason.PROPOSAL_EXPIRED)
    if not market_open:
        return Refusal(Reason.MARKET_CLOSED)
    if book.freezes(plan.underlying):
        return Refusal(Reason.SYMBOL_FROZEN)
    for leg in plan.legs:
        crossed = book.crossed(plan.strategy, leg.symbol, leg.action.sign)
        if crossed:
            name = str(parse_option(leg.symbol)) if is_option(leg.symbol) else leg.symbol
            return Refusal(Reason.ALREADY_HELD, note=f"{name} {crossed}")
    return None


def _harmless(strategy: str, part: Part, book: RiskBook, effect: Effect, most: int) -> int:
    """Units that make no worst case worse: a call sold against free shares, a hedge that pays for itself."""
    if effect.worsens:
        return 0
    return _most(most, lambda units: not book.effect(strategy, (replace(part, units=units),)).worsens)


def _covered(plan: TradePlan, part: Part, book: RiskBook, units: int) -> int:
    """Of `units`, those whose loss what is held keeps within the plan's claim: only so many calls have a cover.

    A plan with a bound of its own needs none: the worst case of two things is at most the sum of their worst cases.
    """
    if not worst_loss((), (part,)).unbounded:
        return units

    def holds(count: int) -> bool:
        some = replace(part, units=count)
        effect = book.effect(plan.strategy, (some,))
        lost = book.filled(plan.strategy, some).dollars - effect.before.dollars
        return not effect.after.unbounded and lost <= plan.max_loss * count

    return _most(units, holds)


def _most(most: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to `most` for which `holds`, which no larger number does once one does not."""
    return bisect_left(range(1, most + 1), True, key=lambda count: not holds(count))


def _risk_fault(plan: TradePlan, part: Part, book: RiskBook, effect: Effect) -> Refusal | None:
    """A loss without a bound, alone or in the book, or a claim below what one unit can lose."""
    if not plan.max_loss.is_finite() or plan.max_loss <= 0 or effect.after.unbounded:
        return Refusal(Reason.UNDEFINED_RISK)
    alone = worst_loss((), (part,))
    most = alone.dollars
    if alone.unbounded:
        most = book.filled(plan.strategy, part).dollars - effect.before.dollars
    if plan.max_loss < most:
        # A claim smaller than what can be lost would be sized too large.
        return Refusal(Reason.BAD_INPUT, {"worst": float(most)}, f"it claims to lose less than {most}")
    return None


def _plan_numbers(plan: TradePlan, book: RiskBook) -> dict[str, float | None]:
    return {
        "nlv": None if book.nlv is None else float(book.nlv),
        "cash": float(book.cash),
        "max_loss": float(plan.max_loss),
        "buying_power": float(plan.buying_power),
        "symbol_risk": float(book.symbol_risk(plan.underlying)),
        "strategy_risk": float(book.strategy_risk(plan.strategy)),
        "day_pnl": None if book.day_pnl is None else float(book.day_pnl),
        "week_pnl": None if book.week_pnl is None else float(book.week_pnl),
        "drawdown": None if book.drawdown is None else float(book.drawdown),
        "option_buying_power": None if book.option_buying_power is None else float(book.option_buying_power),
        "orders_last_minute": float(book.orders_last_minute),
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
