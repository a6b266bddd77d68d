"""The degradation ladder: NORMAL > NO-NEW > REDUCE-ONLY > FLATTEN > HALT (DESIGN.md 5).

Several causes can hold it down at once; the deepest one rules. A NO-NEW that the machine set goes away with its
cause; everything a person set, and everything from REDUCE-ONLY down, waits for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from qmterm.core.reasons import Reason


class Level(IntEnum):
    NORMAL = 0
    NO_NEW = 1
    REDUCE_ONLY = 2
    FLATTEN = 3
    HALT = 4

    @property
    def label(self) -> str:
        return self.name.replace("_", "-")


REFUSAL = {
    Level.NO_NEW: Reason.LADDER_NO_NEW,
    Level.REDUCE_ONLY: Reason.LADDER_REDUCE_ONLY,
    Level.FLATTEN: Reason.LADDER_FLATTEN,
    Level.HALT: Reason.LADDER_HALT,
}


@dataclass(frozen=True, slots=True)
class Cause:
    level: Level
    reason: Reason
    text: str
    by_person: bool
    since_ns: int


@dataclass(frozen=True, slots=True)
class Move:
    """One step of the ladder as the journal keeps it: also a cause that came or went and left the level alone."""

    before: Level
    after: Level
    reason: Reason | None  # None: a person let everything go
    text: str
    by_person: bool


class Ladder:
    """Who holds trading down, and how far. Pure state: the engine journals `moves` and empties it."""

    def __init__(self) -> None:
        self._causes: dict[Reason, Cause] = {}
        self.moves: list[Move] = []

    @property
    def level(self) -> Level:
        return max((cause.level for cause in self._causes.values()), default=Level.NORMAL)

    @property
    def causes(self) -> tuple[Cause, ...]:
        return tuple(sorted(self._causes.values(), key=lambda cause: (-cause.level, cause.since_ns)))

    @property
    def text(self) -> str:
        return "; ".join(cause.text for cause in self.causes if cause.level is self.level)

    def cause_of(self, level: Level) -> Cause | None:
        """The first cause that asked for exactly this level, None when nobody did."""
        return next((cause for cause in self.causes if cause.level is level), None)

    def lower(self, level: Level, reason: Reason, text: str, now_ns: int, *, by_person: bool = False) -> bool:
        """Hold trading down to at least `level` for `reason`; True when that is news."""
        old = self._causes.get(reason)
        if old is not None and old.level >= level and (old.by_person or not by_person):
            return False
        before = self.level
        self._causes[reason] = Cause(level, reason, text, by_person, now_ns)
        self.moves.append(Move(before, self.level, reason, text, by_person))
        return True

    def cause_gone(self, reason: Reason) -> bool:
        """The machine's own NO-NEW cause went away; deeper or personal ones stay. True when something changed."""
        cause = self._causes.get(reason)
        if cause is None or cause.by_person or cause.level > Level.NO_NEW:
            return False
        before = self.level
        del self._causes[reason]
        self.moves.append(Move(before, self.level, reason, f"over: {cause.text}", by_person=False))
        return True

    def resume(self, *, reconciled_clean: bool, left: str = "") -> tuple[bool, str]:
        """A person asks for NORMAL. Refused while the broker and we disagree; a machine NO-NEW that holds stays.

        `left` is what a flatten has not closed yet: until it is "", HALT may go, FLATTEN may not.
        """
        held = self.level
        if held is Level.NORMAL:
            return True, "already NORMAL"
        if held >= Level.REDUCE_ONLY and not reconciled_clean:
            return False, f"{held.label} stays: the last reconciliation was not clean (ctrl+r compares again)"
        if held is Level.FLATTEN and left:
            return False, f"FLATTEN stays until the broker shows a flat account: {left}"
        self._causes = {reason: cause for reason, cause in self._causes.items() if _stays(cause, left)}
        self.moves.append(Move(held, self.level, None, "resumed by a person", by_person=True))
        if not self._causes:
            return True, "NORMAL: new entries are allowed"
        if self.level is Level.FLATTEN:
            return True, f"FLATTEN goes on, because it was asked for before: {left}"
        return True, f"{self.level.label} stays by itself while: {self.text}"

    def to_dict(self) -> dict[str, object]:
        return {
            reason.value: {
                "level": int(cause.level),
                "text": cause.text,
                "by_person": cause.by_person,
                "since_ns": cause.since_ns,
            }
            for reason, cause in self._causes.items()
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, object]) -> Ladder:
        """What survived a restart: personal and deep causes; machine NO-NEW causes are measured afresh."""
        ladder = cls()
        for name, body in saved.items():
            if not isinstance(body, Mapping):
                continue
            level = Level(int(body["level"]))
            by_person = bool(body["by_person"])
            if by_person or level > Level.NO_NEW:
                reason = Reason(name)
                ladder._causes[reason] = Cause(level, reason, str(body["text"]), by_person, int(body["since_ns"]))
        return ladder


def _stays(cause: Cause, left: str) -> bool:
    """What a person's resume does not lift: a machine's NO-NEW, and a flatten that is not through."""
    if cause.level is Level.FLATTEN:
        return bool(left)
    return not cause.by_person and cause.level is Level.NO_NEW
