"""One position's protection as a value the journal keeps: the stop's state, and what is still to be closed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from qmterm.core.instruments import is_option
from qmterm.core.orders import Action, Leg
from qmterm.core.reasons import Reason
from qmterm.risk.protect import ProtectState


@dataclass(frozen=True, slots=True)
class Guard:
    """One position's protection: `goal` units are still to be closed, for `reason`."""

    legs: tuple[Leg, ...]  # that opened one unit
    opened_ns: int
    state: ProtectState
    goal: int = 0
    reason: Reason | None = None
    attempts: int = 0
    daily_seen: date | None = None
    levels_day: date | None = None  # stop, SMA50 and ATR are prices of this day; None: of the opening day
    loose: tuple[int, ...] = ()  # contracts of each leg in no whole unit (guard_units.py); () is none of any
    called_off_ns: int = 0  # a person refused the exit then: what was known before does not ask again

    @property
    def symbol(self) -> str:
        """What it is filed under: of several legs the first."""
        return self.legs[0].symbol

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(leg.symbol for leg in self.legs)

    @property
    def bought_option(self) -> bool:
        """One leg that was bought: what can have exits that rest at the broker."""
        return len(self.legs) == 1 and self.legs[0].action.buys and is_option(self.symbol)

    def moved_by(self, symbol: str, action: Action) -> bool:
        """A fill of this kind opens or closes a leg: what is sold to open is no part of a position that was bought."""
        return any(
            leg.symbol == symbol and (action is leg.action or (not action.opens and action.sign != leg.action.sign))
            for leg in self.legs
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.state.to_dict(),
            "symbol": self.symbol,
            "legs": [[leg.symbol, leg.action.value, leg.quantity] for leg in self.legs],
            "opened_ns": self.opened_ns,
            "goal": self.goal,
            "goal_reason": self.reason.value if self.reason else None,
            "loose": list(self.loose),
            "called_off_ns": self.called_off_ns,
            "levels_day": self.levels_day.isoformat() if self.levels_day else None,
            "daily_seen": self.daily_seen.isoformat() if self.daily_seen else None,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Guard:
        seen, levels = plain.get("daily_seen"), plain.get("levels_day")
        return cls(
            legs=legs_of(plain),
            opened_ns=int(plain["opened_ns"]),
            state=ProtectState.from_dict(plain),
            goal=int(plain.get("goal") or 0),
            reason=Reason(plain["goal_reason"]) if plain.get("goal_reason") else None,
            daily_seen=date.fromisoformat(seen) if seen else None,
            levels_day=date.fromisoformat(levels) if levels else None,
            loose=tuple(int(count) for count in plain.get("loose") or ()),
            called_off_ns=int(plain.get("called_off_ns") or 0),
        )


def legs_of(plain: Mapping[str, Any]) -> tuple[Leg, ...]:
    """The legs of a stored guard; a version that guarded bought options only wrote the symbol alone."""
    stored = plain.get("legs")
    if stored is None:
        return (Leg(str(plain["symbol"]), Action.BUY_TO_OPEN, 1),)
    return tuple(Leg(str(symbol), Action(action), int(quantity)) for symbol, action, quantity in stored)
