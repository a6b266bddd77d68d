"""What options flow shows: one row for a block or a whole sweep, and one for a contract whose day is unusual."""

from __future__ import annotations

from dataclasses import dataclass

from qmterm.market.flow.conditions import Kind
from qmterm.market.flow.prints import Side


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A block, or a sweep with all its prints merged."""

    number: int  # in the order they were seen
    occ: str
    time_ns: int  # of the first print
    end_ns: int
    sweep: bool
    block: bool
    kind: Kind  # ISO when any print of a sweep was one
    side: Side
    direction: int  # +1 bought, −1 sold, 0 not known
    price: float  # average, dollars per share
    size: int  # contracts
    premium: float  # dollars
    prints: int
    exchanges: int
    volume: int  # of the contract's day when the row was made
    open_interest: int | None
    vol_oi: float | None
    opening: str  # certain | likely | ''
    score: float
    missing: tuple[str, ...]  # terms of the score that were not known

    @property
    def what(self) -> str:
        words = [word for word, there in (("SWEEP", self.sweep), ("BLOCK", self.block)) if there]
        return "+".join(words)


@dataclass(frozen=True, slots=True)
class ContractRow:
    """One contract's day so far; money is what was seen since `since_ns`."""

    occ: str
    volume: int
    open_interest: int | None
    vol_oi: float | None
    mean20: float | None
    premium: float
    bought: float
    sold: float
    sweeps: int
    blocks: int
    opening: str
    unusual: bool
    score: float
    missing: tuple[str, ...]
    since_ns: int
    last_ns: int
