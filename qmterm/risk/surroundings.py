"""What the gate is told about the moment beside the book: prices and their quality, dates, the account's standing.

What nobody knows is None or missing, and its check is left out; quotes are the exception: without them nothing opens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from qmterm.core.account import AccountFlags
from qmterm.core.reasons import Reason


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Prices in dollars per share; maps are by the leg's symbol."""

    doubts: Mapping[str, Reason] = field(default_factory=dict)  # the quality gate's word on quotes it refuses
    spot: float | None = None
    theory: Mapping[str, float] = field(default_factory=dict)  # model value at the spot of now
    last_trade_ns: Mapping[str, int] = field(default_factory=dict)  # when the contract stops trading
    earnings: date | None = None  # the next known date
    ex_date: date | None = None  # the next known ex-dividend date …
    dividend: float | None = None  # … and its dollars per share
    flags: AccountFlags = field(default_factory=AccountFlags)
