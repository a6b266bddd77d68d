"""The decision trail: why an order exists, or why there is none, in lines a person can read."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal

from qmterm.core.orders import Leg
from qmterm.core.signals import Signal, SignalState, TradePlan
from qmterm.engine.show.wording import expectation, label, price_text
from qmterm.risk.verdict import Verdict

KEPT = 2000
TOLD_TOGETHER = 64  # decisions that are hashed at a time


class DecisionTrail:
    """The newest plans with their lines; older ones are in the journal."""

    def __init__(self) -> None:
        self._plans: OrderedDict[str, tuple[TradePlan, Verdict]] = OrderedDict()
        self._notes: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def note(self, plan_id: str, line: str) -> None:
        """One more line about a plan or position, kept whatever is decided about it later."""
        self._notes[plan_id] = (*self._notes.get(plan_id, ()), line)
        while len(self._notes) > KEPT:
            self._notes.popitem(last=False)

    def add_plan(self, plan: TradePlan, verdict: Verdict) -> None:
        """The lines are made for whoever asks: an order waits for this."""
        self._plans[plan.plan_id] = plan, verdict
        while len(self._plans) > KEPT:
            self._plans.popitem(last=False)

    def lines(self, plan_id: str) -> tuple[str, ...]:
        notes = self._notes.get(plan_id, ())
        if plan_id not in self._plans:
            return notes
        plan, verdict = self._plans[plan_id]
        lines = (option_line(plan), *expectation(plan.numbers), gate_line(verdict))
        return (*signal_lines(plan.signal), *lines, *notes)


def signal_lines(signal: Signal) -> tuple[str, ...]:
    """None for what a person typed or rolled: no setup is behind it (manual_plan.py), and its numbers mean nothing."""
    if signal.state is SignalState.HOLD:
        return ()
    return (
        f"signal {signal.state.value}: {signal.symbol} {signal.close:.2f}, {signal.atr_distance:.2f} ATR above SMA50, "
        f"strength {signal.strength:.2f}, confidence {signal.confidence:.2f}, R:R {signal.risk_reward:.1f}, "
        f"stop {signal.stop:.2f}, targets {', '.join(f'{t:.2f}' for t in signal.targets)}",
    )


def option_line(plan: TradePlan) -> str:
    shown = {name: plan.numbers.get(name) for name in ("risk_reward", "pop", "expected_pnl", "iv_hv", "delta", "dte")}
    names = " / ".join(label(leg.symbol) for leg in plan.legs)
    return f"option {names} @ {price_text(plan.net_price)}: {numbers_text(shown)}"


def gate_line(verdict: Verdict) -> str:
    reason = verdict.reason.value if verdict.reason else "no limit binds"
    outcome = (
        f"{verdict.contracts} contract(s), set by {reason}"
        if verdict.approved
        else f"refused: {reason}, {verdict.sentence}"
    )
    caps = {name.removeprefix("cap_"): value for name, value in verdict.numbers.items() if name.startswith("cap_")}
    return f"gate {outcome}: {numbers_text(caps)}" if caps else f"gate {outcome}"


def numbers_text(numbers: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {'–' if value is None else format(value, '.4g')}" for name, value in numbers.items())


class DecisionHash:
    """SHA-256 over the ordered plans and orders: two runs of one seed must give the same one (DESIGN.md 10)."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._told: list[tuple[int, str, tuple[Leg, ...], int, Decimal | None]] = []

    def add(self, time_ns: int, symbol: str, legs: tuple[Leg, ...], quantity: int, limit: Decimal | None) -> None:
        """Hashed later: an order waits for this."""
        self._told.append((time_ns, symbol, legs, quantity, limit))
        if len(self._told) >= TOLD_TOGETHER:
            self._take()

    def hexdigest(self) -> str:
        self._take()
        return self._digest.hexdigest()

    def _take(self) -> None:
        for time_ns, symbol, legs, quantity, limit in self._told:
            shape = ";".join(f"{leg.symbol},{leg.action.value},{leg.quantity}" for leg in legs)
            self._digest.update(f"{time_ns}|{symbol}|{shape}|{quantity}|{limit}\n".encode())
        self._told.clear()
