"""What losses are measured from: NLV at the day's and the week's start and the highest at any day's start.

The block of a day ends with the day (QUANT.md 5.4); those of the week and of the drawdown latch until a person resumes,
who then starts from where the account stands. All of it survives a restart.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.orders.exposure import Losses

DOCUMENT = "day"  # what the journal keeps of it


@dataclass(slots=True)
class LossBase:
    """Dollars; money that came or went is taken out of all three."""

    nlv: Decimal | None = None
    date: datetime.date | None = None
    blocked: bool = False
    week_nlv: Decimal | None = None
    week_blocked: bool = False
    peak: Decimal | None = None
    drawdown_blocked: bool = False
    flatten_due: bool = False  # the day's loss reached the share at which a flatten is due
    flatten_told: bool = False  # and that was done, or a person was told: once a day

    def begin_day(self, today: datetime.date, nlv: Decimal) -> None:
        """Measure the day from here; the week too when it is another one."""
        if self.date is None or self.week_nlv is None or self.date.isocalendar()[:2] != today.isocalendar()[:2]:
            self.week_nlv = nlv
        self.peak = nlv if self.peak is None else max(self.peak, nlv)
        self.date, self.nlv, self.blocked = today, nlv, False
        self.flatten_due = self.flatten_told = False

    def look(self, nlv: Decimal, limits: RiskSettings) -> bool:
        """Latch every block whose limit is reached; True when one is new."""
        before = (self.blocked, self.week_blocked, self.drawdown_blocked, self.flatten_due)
        self.flatten_due = self.flatten_due or _lost(self.nlv, nlv, limits.daily_loss_flatten)
        self.blocked = self.blocked or _lost(self.nlv, nlv, limits.daily_loss_block)
        self.week_blocked = self.week_blocked or _lost(self.week_nlv, nlv, limits.weekly_loss_block)
        self.drawdown_blocked = self.drawdown_blocked or _lost(self.peak, nlv, limits.drawdown_block)
        return before != (self.blocked, self.week_blocked, self.drawdown_blocked, self.flatten_due)

    def flow(self, change: Decimal) -> None:
        """Money that came or went is neither gain nor loss."""
        self.nlv, self.week_nlv, self.peak = (
            None if base is None else base + change for base in (self.nlv, self.week_nlv, self.peak)
        )

    def rearm(self, nlv: Decimal) -> bool:
        """A person goes on after a week's loss or a drawdown, measured from now; True when something was latched."""
        latched = self.week_blocked or self.drawdown_blocked
        if self.week_blocked:
            self.week_nlv, self.week_blocked = nlv, False
        if self.drawdown_blocked:
            self.peak, self.drawdown_blocked = nlv, False
        return latched

    def losses(self, nlv: Decimal) -> Losses:
        return Losses(
            day_pnl=None if self.nlv is None else nlv - self.nlv,
            previous_nlv=self.nlv,
            week_pnl=None if self.week_nlv is None else nlv - self.week_nlv,
            week_blocked=self.week_blocked,
            drawdown=None if self.peak is None else max(Decimal(0), self.peak - nlv),
            drawdown_blocked=self.drawdown_blocked,
        )

    def to_dict(self) -> dict[str, object]:
        return {
            "date": self.date.isoformat() if self.date else None,
            "nlv": _text(self.nlv),
            "blocked": self.blocked,
            "week_nlv": _text(self.week_nlv),
            "week_blocked": self.week_blocked,
            "peak": _text(self.peak),
            "drawdown_blocked": self.drawdown_blocked,
            "flatten_due": self.flatten_due,
            "flatten_told": self.flatten_told,
        }

    def restore(self, saved: Mapping[str, object]) -> None:
        """What an earlier session kept; a document from before weeks were measured has no week and no peak."""
        day = saved.get("date")
        self.date = None if day is None else datetime.date.fromisoformat(str(day))
        self.nlv, self.week_nlv, self.peak = (_money(saved.get(name)) for name in ("nlv", "week_nlv", "peak"))
        self.blocked = bool(saved.get("blocked"))
        self.week_blocked = bool(saved.get("week_blocked"))
        self.drawdown_blocked = bool(saved.get("drawdown_blocked"))
        self.flatten_due, self.flatten_told = bool(saved.get("flatten_due")), bool(saved.get("flatten_told"))


def _lost(base: Decimal | None, nlv: Decimal, share: float) -> bool:
    return base is not None and base > 0 and nlv - base <= -Decimal(str(share)) * base


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _money(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))
