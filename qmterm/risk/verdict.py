"""What the gate answers: how many units may go, or why none may, in a code, a sentence and the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from qmterm.core.reasons import Reason
from qmterm.risk.sentences import sentence


class Refusal(NamedTuple):
    """One check's no; `note` is what its code alone does not say."""

    reason: Reason
    numbers: Mapping[str, float | None] = {}
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`contracts` 0 = refused for `reason`; otherwise approved, and `reason` is the limit that set the size.

    An order that no limit bound has no reason: an approved exit, an entry that makes no worst case worse.
    """

    contracts: int
    reason: Reason | None
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    note: str = ""

    @property
    def approved(self) -> bool:
        return self.contracts > 0

    @property
    def sentence(self) -> str:
        """The reason in words with its numbers; "" without one."""
        return "" if self.reason is None else sentence(self.reason, self.numbers, self.note)
