"""Confirm mode: a plan waits for a person, for a while, and can be approved exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from qmterm.core.clock import Clock
from qmterm.core.orders import Leg, OrderIntent, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.signals import TradePlan


@dataclass(frozen=True, slots=True)
class Proposal:
    """`quantity` units at `net_price` or better (negative = debit, None: an order without a limit).

    `plan` is None for exits; `order` is what a person staged, where that is more than a limit for the day.
    """

    proposal_id: str
    created_ns: int
    expires_at: float  # monotonic seconds
    purpose: Purpose
    strategy: str
    underlying: str
    legs: tuple[Leg, ...]
    quantity: int
    net_price: Decimal | None
    mid_seen: float | None
    max_loss: Decimal | None
    buying_power: Decimal | None
    binding: str
    why: tuple[str, ...]
    plan: TradePlan | None = None
    plan_id: str = ""
    reason: Reason | None = None
    alarm: bool = False
    warnings: tuple[str, ...] = ()
    order: OrderIntent | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Two proposals of one key are the same question asked twice."""
        return (
            self.purpose.value,
            self.strategy,
            self.legs[0].symbol if self.purpose is not Purpose.ENTRY else self.underlying,
        )


class Proposals:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Proposal] = {}
        self._used: set[str] = set()

    def add(self, proposal: Proposal) -> bool:
        """Show it; False when the same question already waits."""
        if any(waiting.key == proposal.key for waiting in self._open.values()):
            return False
        self._open[proposal.proposal_id] = proposal
        return True

    def get(self, proposal_id: str) -> Proposal | None:
        return self._open.get(proposal_id)

    def take(self, proposal_id: str) -> Proposal | None:
        """Consume it: the second taker gets None, so a double approval sends once."""
        proposal = self._open.pop(proposal_id, None)
        if proposal is not None:
            self._used.add(proposal_id)
        return proposal

    def was_used(self, proposal_id: str) -> bool:
        return proposal_id in self._used

    def expire(self, on_expired: Callable[[Proposal], None]) -> None:
        """Drop what nobody answered in time."""
        now = self._clock.monotonic()
        for proposal_id, proposal in list(self._open.items()):
            if now >= proposal.expires_at:
                del self._open[proposal_id]
                on_expired(proposal)

    def withdraw(self, wanted: Callable[[Proposal], bool]) -> tuple[Proposal, ...]:
        """Take back every proposal that `wanted` names (the signal is gone, the position is closed)."""
        gone = tuple(p for p in self._open.values() if wanted(p))
        for proposal in gone:
            del self._open[proposal.proposal_id]
        return gone

    @property
    def waiting(self) -> tuple[Proposal, ...]:
        return tuple(sorted(self._open.values(), key=lambda p: (not p.alarm, p.created_ns, p.proposal_id)))
