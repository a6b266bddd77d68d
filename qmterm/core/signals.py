"""What a strategy says: signals, trade plans, and the counted reasons of what was not taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from qmterm.core.orders import Leg

MANUAL = "manual"  # the strategy of trades that a person picked: no signal, no levels, the person's own price


class SignalState(StrEnum):
    ENTRY_LONG = "ENTRY_LONG"
    ENTRY_SHORT = "ENTRY_SHORT"
    EXIT = "EXIT"
    OVEREXTENDED = "OVEREXTENDED"
    SCALE_OUT = "SCALE_OUT"
    HOLD = "HOLD"
    NO_DATA = "NO_DATA"


@dataclass(frozen=True, slots=True)
class Signal:
    """One symbol at one moment, as the ATR Matrix sees it (QUANT.md 1.3). Prices in dollars per share."""

    symbol: str
    strategy: str
    time_ns: int
    state: SignalState
    close: float
    atr: float
    sma50: float
    atr_distance: float
    strength: float
    confidence: float
    stop: float
    targets: tuple[float, float, float]
    risk_reward: float
    horizon_days: int
    hv20: float | None  # annual, decimal
    failed: tuple[str, ...] = ()  # names of failed gates
    not_checked: tuple[str, ...] = ()  # gates without data


@dataclass(frozen=True, slots=True)
class TradePlan:
    """A trade with everything that decided it; one unit = one contract (or one spread).

    `net_price` follows core/orders.py (negative = debit). `max_loss` and `buying_power` are dollars per unit,
    fees included. `numbers` holds what the "why" shows: risk_reward, pop, expected_pnl, iv, hv, delta, …
    """

    plan_id: str
    time_ns: int
    expires_ns: int
    strategy: str
    underlying: str
    legs: tuple[Leg, ...]  # quantities per unit
    net_price: Decimal
    max_loss: Decimal
    buying_power: Decimal
    stop: float  # underlying price
    targets: tuple[float, ...]  # underlying prices of the scale-outs
    horizon_date: date
    signal: Signal
    numbers: Mapping[str, float | None] = field(default_factory=dict)
