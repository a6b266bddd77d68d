"""When a position is closed, in part or whole: ATR stop, SMA50, time, volatility, premium, days to expiry, scale-outs.

Trap: everything that must survive a restart lives in ProtectState, levels fired and a latched exit included. A stop
that was hit stays hit when the price comes back, until the position is flat or a person re-arms it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Literal

from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.settings.strategy import AtrMatrixSettings
from qmterm.risk.protect import ProtectState, StopInputs

EDGE = 1e-9
HALF = Decimal("0.5")
# A covered call is rolled near its expiry, not closed (QUANT.md 4): the rule of sold premium is not for it.
ROLLED = frozenset({"covered_call"})


@dataclass(frozen=True, slots=True)
class StopRules:
    """The thresholds of `decide`, gathered from their two sections."""

    scale_out: tuple[float, ...] = (7.0, 8.0, 9.0, 10.0)
    fractions: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
    distance_mode: Literal["abs", "pct"] = "abs"
    stop_mode: Literal["close", "touch"] = "close"
    premium_stop: float = 0.50
    dte_stop: int = 7
    short_dte_stop: int = 21
    iv_stop_ratio: float = 1.5
    iv_stop_points: float = 0.10
    iv_alert_ratio: float = 0.7

    @classmethod
    def of(cls, matrix: AtrMatrixSettings, risk: RiskSettings) -> StopRules:
        return cls(
            scale_out=matrix.scale_out,
            fractions=matrix.scale_out_fractions,
            distance_mode=matrix.distance_mode,
            stop_mode=matrix.stop_mode,
            premium_stop=risk.premium_stop,
            dte_stop=risk.dte_stop,
            short_dte_stop=risk.short_dte_stop,
            iv_stop_ratio=risk.iv_stop_ratio,
            iv_stop_points=risk.iv_stop_points,
            iv_alert_ratio=risk.iv_alert_ratio,
        )


@dataclass(frozen=True, slots=True)
class ExitDecision:
    """Close `contracts` units because of `reason`. `levels` are the scale-out levels this decision uses up."""

    reason: Reason
    contracts: int
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    levels: tuple[float, ...] = ()


def scale_out_contracts(quantity: int, fractions: Sequence[float]) -> tuple[int, ...]:
    """Contracts to close at each level of a position of `quantity`: cumulative floor(share × quantity + 0.5)."""
    closed, share, steps = 0, Decimal(0), []
    for fraction in fractions:
        share += Decimal(str(fraction))
        reached = min(quantity, int((share * quantity + HALF).to_integral_value(ROUND_FLOOR)))
        steps.append(reached - closed)
        closed = reached
    return tuple(steps)


def distance(price: float, sma50: float, atr: float, mode: str) -> float:
    """ATRs above the SMA50, or the ATR % multiple in pct mode."""
    ratio = (price - sma50) / atr
    return ratio * price / sma50 if mode == "pct" else ratio


def decide(state: ProtectState, inputs: StopInputs, rules: StopRules) -> list[ExitDecision]:
    """What to close now: one whole exit, or one decision for all scale-out levels reached, or nothing.

    The first rule that hits wins, in the order of QUANT.md 1.4. Numbers that are not known decide nothing.
    """
    if state.quantity <= 0:
        return []
    if state.latched is not None:
        reason, numbers = state.latched, _numbers(state, inputs)
        contracts = min(state.quantity, inputs.closable)
        return [ExitDecision(reason, contracts, numbers)] if contracts > 0 else []
    for reason, hit in (
        (Reason.ATR_STOP, _stop_hit(state, inputs, rules)),
        (Reason.SMA50_EXIT, _below_mean(state, inputs)),
        (Reason.TIME_STOP, _horizon_over(state, inputs)),
        (Reason.SHORT_DTE_STOP, _short_expiry_near(state, inputs, rules)),
        (Reason.DTE_STOP, _expiry_near(state, inputs, rules)),
        (Reason.IV_STOP, _volatility_rose(state, inputs, rules)),
        (Reason.PREMIUM_STOP, _premium_lost(state, inputs, rules)),
    ):
        if hit:
            contracts = min(state.quantity, inputs.closable)
            return [ExitDecision(reason, contracts, _numbers(state, inputs))]
    return _scale_outs(state, inputs, rules)


def _stop_hit(state: ProtectState, inputs: StopInputs, rules: StopRules) -> bool:
    prices = [inputs.five_minute_close]
    if rules.stop_mode == "touch":
        prices.append(inputs.last_trade)
    # A price of zero is a gap in the data, not a market.
    return any(
        price is not None and price > 0 and price * state.side <= state.stop * state.side + EDGE for price in prices
    )


def _below_mean(state: ProtectState, inputs: StopInputs) -> bool:
    if inputs.daily_close is None or inputs.daily_sma50 is None or not inputs.daily_close > 0:
        return False
    return inputs.daily_close * state.side < inputs.daily_sma50 * state.side - EDGE


def _horizon_over(state: ProtectState, inputs: StopInputs) -> bool:
    gain = _gain(state, inputs)
    return inputs.today > state.horizon_date and gain is not None and gain <= 0


def iv_alert(state: ProtectState, inputs: StopInputs, rules: StopRules) -> ExitDecision | None:
    """Said once: a bought position's volatility fell so far that only the stock can still pay (QUANT.md 5.4)."""
    if state.sold or state.iv_alerted or state.quantity <= 0 or state.entry_iv is None or inputs.iv is None:
        return None
    if inputs.iv > state.entry_iv * rules.iv_alert_ratio + EDGE:
        return None
    return ExitDecision(Reason.IV_FALLEN, 0, _numbers(state, inputs))


def _volatility_rose(state: ProtectState, inputs: StopInputs, rules: StopRules) -> bool:
    if not state.sold or state.entry_iv is None or inputs.iv is None:
        return False
    limit = min(state.entry_iv * rules.iv_stop_ratio, state.entry_iv + rules.iv_stop_points)
    return inputs.iv >= limit - EDGE


def _short_expiry_near(state: ProtectState, inputs: StopInputs, rules: StopRules) -> bool:
    """Sold premium is closed three weeks before its end, won or lost: from there gamma costs more than theta pays.

    What was sold nearer to its end than that was meant to be held there: the rule is not for it.
    """
    if not state.sold or state.expiry is None or state.strategy in ROLLED or not inputs.rested:
        return False
    if state.entry_dte is not None and state.entry_dte <= rules.short_dte_stop:
        return False
    return (state.expiry - inputs.today).days <= rules.short_dte_stop


def _expiry_near(state: ProtectState, inputs: StopInputs, rules: StopRules) -> bool:
    if state.sold or state.expiry is None or (state.expiry - inputs.today).days > rules.dte_stop:
        return False
    gain = _gain(state, inputs)
    return gain is not None and gain < 0


def _premium_lost(state: ProtectState, inputs: StopInputs, rules: StopRules) -> bool:
    if state.sold or inputs.mark is None or state.entry_premium <= 0:
        return False
    if inputs.mark < 0:  # owed, not owned: nothing that was paid for looks like that
        return False
    return inputs.mark <= state.entry_premium * (1 - Decimal(str(rules.premium_stop)))


def _gain(state: ProtectState, inputs: StopInputs) -> Decimal | None:
    """Dollars per share since entry, before fees; None without a mark."""
    if inputs.mark is None:
        return None
    paid = inputs.mark - state.entry_premium
    return -paid if state.sold else paid


def _scale_outs(state: ProtectState, inputs: StopInputs, rules: StopRules) -> list[ExitDecision]:
    """All levels the completed 5-minute close reached and that have not fired: one decision, even across a gap."""
    price = inputs.five_minute_close
    if price is None or not price > 0 or not state.atr > 0:
        return []
    reached = distance(price, state.sma50, state.atr, rules.distance_mode) * state.side
    levels = [level for level in rules.scale_out if level not in state.fired and reached >= level - EDGE]
    if not levels:
        return []
    steps = dict(zip(rules.scale_out, scale_out_contracts(state.opened, rules.fractions), strict=True))
    wanted = sum(steps[level] for level in levels)
    if wanted and inputs.closable <= 0:
        return []  # a level is used up by what it closes, not by the moment in which nothing was free
    contracts = min(wanted, state.quantity, inputs.closable)
    numbers = _numbers(state, inputs) | {"atr_distance": reached, "level": levels[-1]}
    return [ExitDecision(Reason.SCALE_OUT, contracts, numbers, tuple(levels))]


def _numbers(state: ProtectState, inputs: StopInputs) -> dict[str, float | None]:
    gain = _gain(state, inputs)
    return {
        "stop": state.stop,
        "five_minute_close": inputs.five_minute_close,
        "last_trade": inputs.last_trade,
        "daily_close": inputs.daily_close,
        "daily_sma50": inputs.daily_sma50,
        "mark": None if inputs.mark is None else float(inputs.mark),
        "entry_premium": float(state.entry_premium),
        "gain_per_share": None if gain is None else float(gain),
        "entry_iv": state.entry_iv,
        "iv": inputs.iv,
        "days_to_expiry": None if state.expiry is None else float((state.expiry - inputs.today).days),
    }


def rules_text(state: ProtectState, rules: StopRules, today: date) -> str:
    """The position's rules on one line: stop, next scale-out, days left."""
    parts = [f"stop {state.stop:.2f}" if state.stop > 0 else "no stop price"]
    # A trade picked by hand has no ATR and so no levels.
    waiting = [level for level in rules.scale_out if level not in state.fired] if state.atr > 0 else []
    if state.latched is not None:
        parts.insert(0, state.latched.value)
    elif waiting:
        parts.append(f"{waiting[0]:g}x @ {state.level_price(waiting[0], rules.distance_mode):.2f}")
    parts.append(f"{max(0, (state.horizon_date - today).days)} d")
    return " · ".join(parts)


def as_plain(decision: ExitDecision) -> dict[str, Any]:
    """A decision as plain JSON types, for the journal."""
    return {
        "reason": decision.reason.value,
        "contracts": decision.contracts,
        "levels": list(decision.levels),
        "numbers": dict(decision.numbers),
    }
