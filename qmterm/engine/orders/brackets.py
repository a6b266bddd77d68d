"""Protective exits that rest at the broker: which orders stand behind an entry, or for what is held. Pure.

The stop is the premium stop, at the market once it is reached; the target is what the contract is worth at the first
scale-out level that waits. The trap: both are for the whole position, because of a pair only one may fill.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import Action, BracketRole, Leg, OrderIntent, OrderKind, Purpose, TimeInForce
from qmterm.core.reasons import Reason
from qmterm.core.ticks import TickProgram, TickTable, round_price
from qmterm.quant.options.black_scholes import price
from qmterm.risk.protect import ProtectState
from qmterm.risk.stops import StopRules

Program = TickTable | TickProgram
_ROLES = {BracketRole.TARGET: "t", BracketRole.STOP: "s"}


@dataclass(frozen=True, slots=True)
class ExitTerms:
    """Dollars per share: the trigger of the stop, the limit of the target (None: not known, then there is none)."""

    stop: Decimal
    target: Decimal | None


def one_long_option(legs: tuple[Leg, ...]) -> bool:
    return len(legs) == 1 and is_option(legs[0].symbol) and legs[0].action.buys


def exit_terms(state: ProtectState, symbol: str, rules: StopRules, program: Program, today: date) -> ExitTerms | None:
    """None for what was sold, or so cheap that half of it is less than a tick."""
    level = state.entry_premium * (1 - Decimal(str(rules.premium_stop)))
    if state.sold or level <= 0:
        return None
    stop = round_price(program, level, buys=True)
    if stop >= state.entry_premium:
        return None
    target = _target(state, symbol, rules, today)
    on_grid = None if target is None else round_price(program, target, buys=False)
    return ExitTerms(stop, on_grid if on_grid is not None and on_grid > state.entry_premium else None)


def _target(state: ProtectState, symbol: str, rules: StopRules, today: date) -> Decimal | None:
    """The contract at the next scale-out level, at the volatility of the entry, without rates; None where unknown."""
    waiting = [level for level in rules.scale_out if level not in state.fired]
    if not waiting or not state.atr > 0 or not state.sma50 > 0 or state.entry_iv is None:
        return None
    contract = parse_option(symbol)
    spot, years = state.level_price(waiting[0], rules.distance_mode), max(0, (contract.expiry - today).days) / 365
    if not spot > 0 or not years > 0:
        return None
    value = float(price(spot, float(contract.strike), years, 0.0, 0.0, state.entry_iv, contract.right.sign > 0))
    return Decimal(str(round(value, 4))) if 0 < value < float("inf") else None


def exits_behind(entry: OrderIntent, terms: ExitTerms) -> tuple[OrderIntent, ...]:
    """The entry as the trigger of its bracket, and its exits."""
    trigger = replace(entry, bracket_id=entry.intent_id, role=BracketRole.TRIGGER)
    return (trigger, *_exits(trigger, terms, entry.intent_id))


def exits_for(
    state: ProtectState, symbol: str, contracts: int, terms: ExitTerms, bracket_id: str, now_ns: int
) -> tuple[OrderIntent, ...]:
    """Exits for what is held already: a pair, or the stop alone."""
    like = OrderIntent(
        intent_id=bracket_id,
        created_ns=now_ns,
        strategy=state.strategy,
        underlying=state.underlying,
        purpose=Purpose.EXIT,
        legs=(Leg(symbol, Action.BUY_TO_OPEN, contracts),),
        quantity=contracts,
        net_price=None,
        plan_id=state.position_id,
        bracket_id=bracket_id,
    )
    return _exits(like, terms, bracket_id)


def _exits(like: OrderIntent, terms: ExitTerms, prefix: str) -> tuple[OrderIntent, ...]:
    leg = like.legs[0]
    common = replace(
        like,
        purpose=Purpose.EXIT,
        legs=(Leg(leg.symbol, Action.SELL_TO_CLOSE, leg.quantity),),
        time_in_force=TimeInForce.GTC,
        good_until=None,
        max_loss=None,
        worst_price=None,
    )
    stop = replace(
        common,
        intent_id=f"{prefix}-{_ROLES[BracketRole.STOP]}",
        role=BracketRole.STOP,
        kind=OrderKind.STOP,
        net_price=None,
        stop_trigger=terms.stop,
        reason=Reason.PREMIUM_STOP,
    )
    if terms.target is None:
        return (stop,)
    target = replace(
        common,
        intent_id=f"{prefix}-{_ROLES[BracketRole.TARGET]}",
        role=BracketRole.TARGET,
        net_price=terms.target,
        reason=Reason.SCALE_OUT,
    )
    return (target, stop)
