"""Confirm mode: a plan waits for a person, for a while, and can be approved exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from qmterm.core.clock import Clock
from qmterm.core.errors import InvariantBroken
from qmterm.core.orders import Leg, OrderIntent, OrderKind, Purpose, TimeInForce
from qmterm.core.reasons import Reason
from qmterm.core.signals import TradePlan
from qmterm.core.ticks import NICKEL
from qmterm.engine.show.wording import terms_text


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
    def key(self) -> tuple[object, ...]:
        """Two proposals of one key are the same question asked twice.

        A close is asked about by all its legs and the plan they belong to, a stop's apart from a person's: that one
        waits at its own price and without an alarm, so it must not stand for the stop's. An entry that a person typed
        is asked about by its legs too, a strategy's by the underlying.
        """
        legs = _sides(self.legs)
        if self.purpose is Purpose.ENTRY:
            return (self.purpose, self.strategy, self.underlying if self.order is None else legs)
        return (self.purpose, self.strategy, legs, self.plan_id, self.alarm)


SPREAD_ROOM = NICKEL  # the least for several legs: one of them alone moves by that without the market going anywhere
EDGE = 1e-9
SHOWN_END = 4  # characters of an id that the screen shows


def drifted(proposal: Proposal, mid: float, band: float) -> bool:
    """The market left what the person saw of an entry by more than `band`, a share of its price."""
    if proposal.mid_seen is None:
        return False
    least = float(SPREAD_ROOM) if len(proposal.legs) > 1 else 0.0
    return abs(mid - proposal.mid_seen) > max(band * proposal.mid_seen, least) + EDGE


def entry_proposal(
    plan: TradePlan,
    intent: OrderIntent,
    binding: Reason | None,
    why: tuple[str, ...],
    mid: float | None,
    shelf_life: tuple[int, float],
    warnings: tuple[str, ...],
    staged: OrderIntent | None,
) -> Proposal:
    """A plan that the gate passed; what the approval binds to is the worst price of the order."""
    return Proposal(
        proposal_id=f"p{plan.plan_id}",
        created_ns=shelf_life[0],
        expires_at=shelf_life[1],
        purpose=Purpose.ENTRY,
        strategy=plan.strategy,
        underlying=plan.underlying,
        legs=intent.legs,
        quantity=intent.quantity,
        net_price=intent.counted_price,
        mid_seen=mid,
        max_loss=intent.max_loss,
        buying_power=plan.buying_power * intent.quantity,
        binding=binding.value if binding else "",
        why=why,
        plan=plan,
        plan_id=plan.plan_id,
        warnings=warnings,
        order=staged,
    )


def exit_proposal(
    intent: OrderIntent, why: tuple[str, ...], mid: float | None, shelf_life: tuple[int, float], *, alarm: bool
) -> Proposal:
    """A close that a person is asked about; `alarm` when a stop wants it."""
    return Proposal(
        proposal_id=f"p{intent.intent_id}",
        created_ns=shelf_life[0],
        expires_at=shelf_life[1],
        purpose=intent.purpose,
        strategy=intent.strategy,
        underlying=intent.underlying,
        legs=intent.legs,
        quantity=intent.quantity,
        net_price=intent.counted_price,
        mid_seen=mid,
        max_loss=None,
        buying_power=None,
        binding="",
        why=why,
        plan_id=intent.plan_id,
        reason=intent.reason or Reason.USER,
        alarm=alarm,
        order=None if _plain(intent) else intent,
    )


def how(intent: OrderIntent) -> tuple[str, ...]:
    """How it is sent, where that is more than a limit for the day."""
    limit_for_day = intent.kind is OrderKind.LIMIT and intent.time_in_force is TimeInForce.DAY
    return () if limit_for_day else (f"sent as: {terms_text(intent)}",)


def short_id(proposal_id: str) -> str:
    """`p9f31`, as the screen shows it: the end of the id tells it from the others, as an order's does."""
    return f"p{proposal_id[-SHOWN_END:]}"


def _ends_in(proposal_id: str, name: str) -> bool:
    """`name` is the end of the id that is shown, or more of it: never less."""
    end = name.removeprefix("p")
    return len(end) >= SHOWN_END and proposal_id.endswith(end)


def _sides(legs: tuple[Leg, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((leg.symbol, leg.action.value) for leg in legs))


def _plain(intent: OrderIntent) -> bool:
    """A limit order for the day: what every proposal is that says nothing else."""
    return intent.kind is OrderKind.LIMIT and intent.time_in_force is TimeInForce.DAY and not _walked(intent)


def _walked(intent: OrderIntent) -> bool:
    return intent.worst_price is not None and intent.reason is Reason.USER


class Proposals:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Proposal] = {}
        self._used: set[str] = set()
        self._gone: set[str] = set()  # nobody answered them: expired, or taken back

    def add(self, proposal: Proposal) -> bool:
        """Show it; False when the same question already waits."""
        if any(waiting.key == proposal.key for waiting in self._open.values()):
            return False
        if proposal.proposal_id in self._open:
            raise InvariantBroken(f"proposal {proposal.proposal_id} waits already as another one; nothing was asked")
        self._open[proposal.proposal_id] = proposal
        return True

    def get(self, proposal_id: str) -> Proposal | None:
        return self._open.get(proposal_id)

    def find(self, name: str) -> Proposal | None:
        """By its id, or by the unique end of it that the screen shows."""
        exact = self._open.get(name)
        found = [proposal for proposal in self._open.values() if _ends_in(proposal.proposal_id, name)]
        return exact or (found[0] if len(found) == 1 else None)

    def missing(self, name: str) -> str:
        """Why `find` has none of this name."""
        if any(_ends_in(waiting, name) for waiting in self._open):
            return f"several proposals end in {name!r}: name one in full: {', '.join(sorted(self._open))}"
        for ids, text in ((self._used, "already answered"), (self._gone, "this proposal is gone")):
            if name in ids or any(_ends_in(each, name) for each in ids):
                return text
        waiting = ", ".join(short_id(proposal.proposal_id) for proposal in self.waiting)
        return f"no such proposal: {name!r}; {f'waiting: {waiting}' if waiting else 'none waits'}"

    def asked_already(self, intent: OrderIntent) -> str:
        """The answer to a question that waits: it names the one that is meant."""
        same = (intent.purpose, intent.strategy, _sides(intent.legs))
        found = [p for p in self.waiting if not p.alarm and (p.purpose, p.strategy, _sides(p.legs)) == same]
        name = f" as {short_id(found[0].proposal_id)}" if found else ""
        return f"the same question waits in pane 5 already{name}: answer it first"

    def take(self, proposal_id: str) -> Proposal | None:
        """Consume it: the second taker gets None, so a double approval sends once."""
        proposal = self._open.pop(proposal_id, None)
        if proposal is not None:
            self._used.add(proposal_id)
        return proposal

    def was_used(self, proposal_id: str) -> bool:
        return proposal_id in self._used

    def was_seen(self, proposal_id: str) -> bool:
        """True for an id that waits or was answered."""
        return proposal_id in self._open or proposal_id in self._used

    def expire(self, on_expired: Callable[[Proposal], None]) -> None:
        """Drop what nobody answered in time."""
        now = self._clock.monotonic()
        for proposal_id, proposal in list(self._open.items()):
            if now >= proposal.expires_at:
                del self._open[proposal_id]
                self._gone.add(proposal_id)
                on_expired(proposal)

    def withdraw(self, wanted: Callable[[Proposal], bool]) -> tuple[Proposal, ...]:
        """Take back every proposal that `wanted` names (the signal is gone, the position is closed)."""
        gone = tuple(p for p in self._open.values() if wanted(p))
        for proposal in gone:
            del self._open[proposal.proposal_id]
            self._gone.add(proposal.proposal_id)
        return gone

    @property
    def waiting(self) -> tuple[Proposal, ...]:
        return tuple(sorted(self._open.values(), key=lambda p: (not p.alarm, p.created_ns, p.proposal_id)))
