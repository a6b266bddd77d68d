"""The words of the expiry desk: what it reads of a position and its stock, and the line it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import IntEnum, StrEnum

from qmterm.core.reasons import Reason
from qmterm.risk.assignment import EarlyAssignment
from qmterm.risk.exercise import MARGIN_SHARE, Consequence
from qmterm.risk.expiry_clock import ContractEnd
from qmterm.risk.orphans import Bare

Numbers = Mapping[str, float | None]


class Severity(IntEnum):
    CALM = 0
    NOTE = 1
    WARN = 2
    ALARM = 3


class Deed(StrEnum):
    HOLD = "hold"
    WATCH = "watch"  # a person decides
    CLOSE = "close"
    DELIVER = "deliver"  # exercise or assignment is what the strategy wants
    SETTLE = "settle"  # in cash, by itself


@dataclass(frozen=True, slots=True)
class Finding:
    code: Reason
    severity: Severity
    text: str
    numbers: Numbers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """`closes` are the symbols to be closed, from `from_ns` on and before `by_ns`; 0 = no hour."""

    deed: Deed = Deed.HOLD
    by_ns: int = 0
    from_ns: int = 0
    reason: Reason | None = None
    closes: tuple[str, ...] = ()
    text: str = ""

    def due(self, now_ns: int) -> bool:
        return self.deed is Deed.CLOSE and self.from_ns <= now_ns


@dataclass(frozen=True, slots=True)
class PinDistance:
    """Dollars between stock and strike, and the band within which nobody knows who will exercise."""

    distance: float | None
    band: float | None
    reason: Reason | None = None

    @property
    def within(self) -> bool:
        return self.distance is not None and self.band is not None and self.distance <= self.band


@dataclass(frozen=True, slots=True)
class HeldOption:
    """A position as the desk reads it (shares too); `mark` dollars per share, `vol` decimal, None where unknown."""

    symbol: str
    quantity: int
    strategy: str = ""
    trade: str = ""
    mark: float | None = None
    vol: float | None = None


@dataclass(frozen=True, slots=True)
class StockFacts:
    """Of one underlying; `reason` says why there is no spot. `dividends` are (ex-date, dollars) after today."""

    spot: float | None = None
    reason: Reason | None = None
    dividends: tuple[tuple[date, float], ...] = ()
    dividends_known: bool = False


@dataclass(frozen=True, slots=True)
class DeskRules:
    cutoff_min: float = 30.0
    lead_min: float = 15.0
    margin_share: float = MARGIN_SHARE  # 1.0 in a cash account


@dataclass(frozen=True, slots=True)
class ExpiryLine:
    symbol: str
    quantity: int
    strategy: str
    trade: str
    end: ContractEnd
    spot: float | None
    in_the_money: bool | None
    extrinsic: float | None  # dollars per share
    pin: PinDistance
    assignment: EarlyAssignment
    exercise: Consequence | None  # of everything in this stock that ends together with it; None: nothing delivered
    settles_for: Decimal | None  # cash-settled contracts: dollars at today's price
    bare: tuple[Bare, ...]
    alone: tuple[str, ...]
    action: PlannedAction
    findings: tuple[Finding, ...] = field(default=())

    @property
    def severity(self) -> Severity:
        return max((finding.severity for finding in self.findings), default=Severity.CALM)
