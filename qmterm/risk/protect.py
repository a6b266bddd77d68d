"""What guards one position: its stop, levels fired and exit latched, as a value the journal can keep.

Trap: `opened` is the whole quantity ever opened (scale-outs are shares of it); `quantity` is what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from math import sqrt
from typing import Any, Protocol

from qmterm.core.calendar import days_to_expiry
from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import Leg
from qmterm.core.reasons import Reason
from qmterm.core.signals import TradePlan


class Decided(Protocol):
    """The part of an exit decision that changes the state."""

    @property
    def reason(self) -> Reason: ...

    @property
    def levels(self) -> tuple[float, ...]: ...


@dataclass(frozen=True, slots=True)
class StopInputs:
    """What is known now; dollars per share, None where it is not.

    `five_minute_close` is the underlying's latest *completed* 5-minute close, `daily_close` and `daily_sma50` those
    of the last completed session, given once it is over and after the position was opened. `mark` is the position's
    mid per unit (positive), `closable` the units no working order closes already.
    """

    today: date  # New York
    closable: int
    five_minute_close: float | None = None
    last_trade: float | None = None
    daily_close: float | None = None
    daily_sma50: float | None = None
    mark: Decimal | None = None
    iv: float | None = None  # the position's implied volatility now, decimal
    rested: bool = True  # False: a person refused its exit a moment ago, and what was known then does not ask again


@dataclass(frozen=True, slots=True)
class ProtectState:
    """One position's guard. `side` is +1 when it gains with the underlying, −1 when it loses.

    `sold` says that premium was received: the position is short volatility, and gains while its price falls.
    """

    position_id: str
    strategy: str
    underlying: str
    opened: int
    quantity: int
    side: int
    stop: float  # underlying price
    sma50: float  # of the previous session, for the scale-out levels
    atr: float
    horizon_date: date
    expiry: date | None
    entry_premium: Decimal  # dollars per share paid (sold: received) for one unit, fees not included
    fired: tuple[float, ...] = ()  # scale-out levels already used
    latched: Reason | None = None  # a whole exit that was hit and is not done yet
    sold: bool = False
    entry_iv: float | None = None  # decimal; None: not known, and then no rule of it can hit
    iv_alerted: bool = False  # the fall of a bought option's volatility was said already
    entry_dte: int | None = None  # days to expiry when it was planned

    def filled_entry(self, contracts: int, entry_premium: Decimal) -> ProtectState:
        """After more of the entry filled: quantities up, the average premium of the whole entry."""
        return replace(
            self,
            opened=self.opened + contracts,
            quantity=self.quantity + contracts,
            entry_premium=entry_premium,
        )

    def filled_exit(self, contracts: int) -> ProtectState:
        """After a close filled, whoever sent it."""
        return replace(self, quantity=max(0, self.quantity - contracts))

    def new_session(self, sma50: float, atr: float) -> ProtectState:
        """Levels of the new session use the previous session's SMA50 and ATR; the stop price stays."""
        return replace(self, sma50=sma50, atr=atr)

    def after(self, decisions: Iterable[Decided]) -> ProtectState:
        """The state once decisions were journalled: levels used up, whole exits latched."""
        state = self
        for decision in decisions:
            if decision.reason is Reason.SCALE_OUT:
                state = replace(state, fired=tuple(sorted({*state.fired, *decision.levels})))
            elif decision.reason is Reason.IV_FALLEN:
                state = replace(state, iv_alerted=True)
            else:
                state = replace(state, latched=decision.reason)
        return state

    def rearmed(self) -> ProtectState:
        """A person calls a latched exit off; the rules watch again from now."""
        return replace(self, latched=None)

    def wanted_out(self, reason: Reason) -> ProtectState:
        """A whole exit that was decided elsewhere (the expiry desk) latches as one of our own rules does."""
        return self if self.latched is not None else replace(self, latched=reason)

    def level_price(self, level: float, distance_mode: str = "abs") -> float:
        """Underlying price of a scale-out level."""
        signed = self.side * level
        if distance_mode == "abs":
            return self.sma50 + signed * self.atr
        return (self.sma50 + sqrt(max(0.0, self.sma50**2 + 4 * signed * self.sma50 * self.atr))) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` gives the same state back."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        plain["horizon_date"] = self.horizon_date.isoformat()
        plain["expiry"] = None if self.expiry is None else self.expiry.isoformat()
        plain["entry_premium"] = str(self.entry_premium)
        plain["fired"] = list(self.fired)
        plain["latched"] = None if self.latched is None else self.latched.value
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ProtectState:
        return cls(
            position_id=str(plain["position_id"]),
            strategy=str(plain["strategy"]),
            underlying=str(plain["underlying"]),
            opened=int(plain["opened"]),
            quantity=int(plain["quantity"]),
            side=int(plain["side"]),
            stop=float(plain["stop"]),
            sma50=float(plain["sma50"]),
            atr=float(plain["atr"]),
            horizon_date=date.fromisoformat(plain["horizon_date"]),
            expiry=None if plain["expiry"] is None else date.fromisoformat(plain["expiry"]),
            entry_premium=Decimal(plain["entry_premium"]),
            fired=tuple(float(level) for level in plain["fired"]),
            latched=None if plain["latched"] is None else Reason(plain["latched"]),
            # Written by a version that knew no sold premium: then it was bought, and its volatility is not known.
            sold=bool(plain.get("sold", False)),
            entry_iv=None if plain.get("entry_iv") is None else float(plain["entry_iv"]),
            iv_alerted=bool(plain.get("iv_alerted", False)),
            entry_dte=None if plain.get("entry_dte") is None else int(plain["entry_dte"]),
        )


def guarded_legs(legs: tuple[Leg, ...]) -> tuple[Leg, ...]:
    """The legs of one unit that the stops can watch: options, one or several, that open. () for anything with shares,
    whose premium says nothing of what it can lose.
    """
    opening = []
    for leg in legs:
        if leg.action.opens:
            if not is_option(leg.symbol):
                return ()
            opening.append(leg)
    return tuple(opening)


def rolled(state: ProtectState, old: ProtectState, today: date) -> ProtectState:
    """The guard of what a position was rolled into: the stock's levels stay, the premium and the expiry are new.

    A horizon that is over would close the new contract at once; it then gets its own.
    """
    return replace(
        state,
        side=old.side,
        stop=old.stop,
        sma50=old.sma50,
        atr=old.atr,
        fired=old.fired,
        horizon_date=old.horizon_date if old.horizon_date > today else state.horizon_date,
    )


def premium_sold(legs: tuple[Leg, ...], net: Decimal) -> bool:
    """Do these opening legs sell premium: one by its side, several by `net`, what the market pays for a unit.

    Never by an order's worst price: a sale without a limit counts as bringing nothing.
    """
    return not legs[0].action.buys if len(legs) == 1 else net > 0


def protect(
    plan: TradePlan, position_id: str, contracts: int, entry_premium: Decimal, market: Decimal | None = None
) -> ProtectState:
    """The guard of a position that a plan opened; `entry_premium` is the price really paid per share and unit.

    For sold premium it is what was received, positive too. `market` is the signed mid of one unit, where it is known.
    """
    opening = tuple(leg for leg in plan.legs if leg.action.opens)
    expiries = [parse_option(leg.symbol).expiry for leg in plan.legs if is_option(leg.symbol)]
    expiry, iv = min(expiries, default=None), plan.numbers.get("iv")
    return ProtectState(
        position_id=position_id,
        strategy=plan.strategy,
        underlying=plan.underlying,
        opened=contracts,
        quantity=contracts,
        side=1 if plan.stop < plan.signal.close else -1,
        stop=plan.stop,
        sma50=plan.signal.sma50,
        atr=plan.signal.atr,
        horizon_date=plan.horizon_date,
        expiry=expiry,
        entry_premium=abs(entry_premium),
        sold=premium_sold(opening, plan.net_price if market is None else market),
        entry_iv=iv if iv is not None and iv > 0 else None,
        entry_dte=None if expiry is None else days_to_expiry(plan.time_ns, expiry),
    )
