"""Arming: the permission of a person that real money may move, for a while and up to a loss (DESIGN.md 5).

It is bound to one account and one configuration, ends by itself, and is never wider than it was given. The trap is its
end by loss: stops must go on closing what is held, so only new risk ends there; everything ends with its time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Protocol

from qmterm.core.clock import NS, Clock, et_date, from_et, to_et
from qmterm.core.orders import OrderIntent
from qmterm.core.reasons import Reason
from qmterm.engine.kept_rows import KeptRows
from qmterm.engine.patience import DiskPatience
from qmterm.engine.runlog import RunLog

DOCUMENT = "arming"
SCREEN_S = 15 * 60
TAIL = 4  # characters of the account number that a person types


@dataclass(frozen=True, slots=True)
class Arms:
    """One arming as the journal keeps it."""

    account: str
    fingerprint: str  # of the configuration
    source: str  # screen | ctl
    since_ns: int
    until_ns: int  # market time
    nlv: Decimal  # dollars at the time of arming
    max_loss: Decimal | None = None  # dollars of NLV since then; None: no bound of its own
    spent: bool = False  # the loss was reached: closes only, until its time

    def to_dict(self) -> dict[str, object]:
        return {
            "account": self.account,
            "fingerprint": self.fingerprint,
            "source": self.source,
            "since_ns": self.since_ns,
            "until_ns": self.until_ns,
            "nlv": str(self.nlv),
            "max_loss": None if self.max_loss is None else str(self.max_loss),
            "spent": self.spent,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, object]) -> Arms:
        most = saved.get("max_loss")
        return cls(
            account=str(saved["account"]),
            fingerprint=str(saved["fingerprint"]),
            source=str(saved["source"]),
            since_ns=int(str(saved["since_ns"])),
            until_ns=int(str(saved["until_ns"])),
            nlv=Decimal(str(saved["nlv"])),
            max_loss=None if most is None else Decimal(str(most)),
            spent=bool(saved.get("spent")),
        )


def _never(_intent: OrderIntent) -> Reason | None:
    return Reason.NOT_ARMED


@dataclass(slots=True)
class Permit:
    """The live adapter's own last look at each order; nothing passes before the engine has set its rule."""

    rule: Callable[[OrderIntent], Reason | None] = field(default=_never)

    def __call__(self, intent: OrderIntent) -> Reason | None:
        return self.rule(intent)


class ArmingJournal(Protocol):
    async def write_document(self, name: str, body: Mapping[str, object]) -> None: ...


class Arming:
    def __init__(
        self,
        clock: Clock,
        log: RunLog,
        journal: ArmingJournal,
        fingerprint: str,
        patience: DiskPatience | None = None,
    ) -> None:
        self._clock = clock
        self._log = log
        self._journal = journal
        self._fingerprint = fingerprint
        self._rows = KeptRows(patience or DiskPatience(), self._queue)
        self._waiting = 0  # armings that the disk does not have yet
        self._calls_off = 0  # each ends what holds, and those that wait
        self._arms: Arms | None = None
        self._moved = Decimal(0)  # dollars that came or went and that the disk does not know of yet
        self._behind = False  # what holds has changed while another waited
        self._came = Decimal(0)  # the same, all of it since the start
        self.on_end: Callable[[], None] = lambda: None  # set by the engine: what has not left yet does not
        self._ends_at = 0.0  # the same end in real seconds: a clock that is set back lengthens nothing

    @property
    def arms(self) -> Arms | None:
        """What holds now; None when nothing does."""
        arms = self._arms
        if arms is None or self._clock.now() >= arms.until_ns or self._clock.monotonic() >= self._ends_at:
            return None
        return arms

    @property
    def may_open(self) -> bool:
        return self.arms is not None and not self.arms.spent

    @property
    def may_close(self) -> bool:
        return self.arms is not None

    @property
    def left_s(self) -> float | None:
        """Seconds until it ends, None when nothing may be opened."""
        arms = self.arms
        return None if arms is None or arms.spent else (arms.until_ns - self._clock.now()) / NS

    @property
    def text(self) -> str:
        arms = self.arms
        if arms is None:
            return "not armed: real money does not move"
        most = "" if arms.max_loss is None else f", up to a loss of {arms.max_loss:,.2f} since {arms.nlv:,.2f}"
        until = f"until {to_et(arms.until_ns):%H:%M:%S}"
        if arms.spent:
            return f"its loss is reached: closes only, {until}"
        return f"armed {until}{most}"

    # --- arming and its end ---

    async def arm(self, account: str, nlv: Decimal, until_ns: int, max_loss: Decimal | None, source: str) -> str | None:
        """It is on the disk before it holds; JournalError when it cannot be. None: it was called off meanwhile."""
        now, came, calls_off = self._clock.now(), self._came, self._calls_off
        arms = Arms(account, self._fingerprint, source, now, until_ns, nlv, max_loss)
        self._waiting += 1
        try:
            await self._rows.follow(DOCUMENT, self._journal.write_document(DOCUMENT, arms.to_dict()))
        finally:
            self._waiting -= 1
        if self._calls_off != calls_off:  # behind its row the disk has that of its end
            return None
        self._moved = self._came - came  # without what came before it
        self._hold(replace(arms, nlv=nlv + self._moved))
        self._log.alarm("RISK", f"REAL MONEY {self.text} ({source})", "arming", nlv=str(nlv))
        return self.text

    def _hold(self, arms: Arms) -> None:
        self._arms = arms
        self._ends_at = self._clock.monotonic() + (arms.until_ns - self._clock.now()) / NS

    async def disarm(self, why: str, *, held: int = 0) -> None:
        """End it now. `held` positions are named, because their stops cannot be sent any more."""
        self._calls_off += 1
        if self._arms is None and not self._waiting:
            return
        self._arms = None  # before the disk is asked: an end must not wait
        self.on_end()
        stops = f"; the stops of {held} position(s) cannot be sent any more: arm again, or close them" if held else ""
        self._log.write("alarm" if held else "warn", "RISK", f"disarmed: {why}{stops}", "arming")
        await self._rows.keep(DOCUMENT)

    def drop_waiting(self, why: str) -> None:
        """What waits for the disk does not begin; what holds goes on. Nobody waits for the row of it."""
        if self._waiting:
            self._calls_off += 1
            self._log.warn("RISK", f"not armed: {why}", "arming")
            self._rows.write(DOCUMENT)

    def _queue(self, _name: str) -> Awaitable[object]:
        return self._journal.write_document(DOCUMENT, {} if self._arms is None else self._arms.to_dict())

    async def _keep(self) -> None:
        self._behind = bool(self._waiting)
        if not self._behind:  # else that row decides what the disk has: an older arming must not come behind it
            self._moved = Decimal(0)
            await self._rows.keep(DOCUMENT)

    def moved_by(self, change: Decimal) -> None:
        """Money that came or went, dollars: a deposit must not make the loss larger that was allowed."""
        self._moved += change
        self._came += change
        if self._arms is not None:
            self._arms = replace(self._arms, nlv=self._arms.nlv + change)

    async def look(self, nlv: Decimal, held: int) -> None:
        """Every turn: has its time or its loss come."""
        await self._rows.again()
        if self._arms is not None and (self._moved or self._behind):
            await self._keep()
        if self._arms is None:  # looked at behind both: a person may have ended it, and asked for another, meanwhile
            return
        arms = self.arms
        if arms is None:
            await self.disarm("its time is over", held=held)
        elif not arms.spent and arms.max_loss is not None and arms.nlv - nlv >= arms.max_loss:
            self._hold(replace(arms, spent=True))
            lost = arms.nlv - nlv
            text = f"arming ended: {lost:,.2f} lost since, {arms.max_loss:,.2f} was allowed; nothing is opened"
            self._log.alarm("RISK", f"{text}, closes go on until {to_et(arms.until_ns):%H:%M}", "arming")
            await self._keep()

    async def restore(self, saved: Mapping[str, object], account: str, nlv: Decimal, *, clean: bool) -> None:
        """After a restart: it holds on for the same account and configuration, if the reconciliation was clean."""
        if not saved:
            return
        arms = Arms.from_dict(saved)
        arms = replace(arms, nlv=arms.nlv + self._moved)  # while we were away: found before this is asked
        self._hold(arms)
        if arms.account != account:
            await self.disarm("it was given for another account")
        elif arms.fingerprint != self._fingerprint:
            await self.disarm("the configuration has changed since")
        elif not clean:
            await self.disarm("book and broker did not agree at this start")
        else:
            await self.look(nlv, 0)
            if self.arms is not None:
                self._log.alarm("RISK", f"REAL MONEY {self.text} (armed before this start, {arms.source})", "arming")


def parse_until(text: str, now_ns: int) -> int | None:
    """`16:00` as an instant of today in New York that is still to come; None for anything else."""
    hour, colon, minute = text.partition(":")
    if not colon or not (hour.isdecimal() and minute.isdecimal() and len(minute) == 2):
        return None
    if int(hour) > 23 or int(minute) > 59:
        return None
    until = from_et(et_date(now_ns), int(hour), int(minute))
    return until if until > now_ns else None


def parse_loss(text: str) -> Decimal | None:
    """Dollars above zero; None for anything else."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount > 0 else None
