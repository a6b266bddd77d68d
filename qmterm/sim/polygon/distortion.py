"""Stream frames gone wrong on their way out: twice, too late, or in other units. One per connection.

The trap: frames held back out of order must come after what the next step brought, however little that was.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmterm.sim.faults import STREAM, Faults, Rule
from qmterm.sim.polygon.units import in_digits, repriced, resized, shifted

KINDS = ("out_of_order", "duplicate", "stamp_skew", "stamp_units", "price_units", "size_units")


class Distortion:
    def __init__(self) -> None:
        self._rule: Rule | None = None
        self._held: list[bytes] = []
        self._overtaken: list[bytes] = []

    def begin(self, faults: Faults, cluster: str) -> None:
        """A step's frames follow; at most one rule strikes them."""
        self._rule = faults.take(STREAM, cluster, *KINDS)
        self._overtaken, self._held = self._held, []

    def bent(self, frame: bytes) -> Sequence[bytes]:
        """What is sent instead of a frame."""
        rule = self._rule
        if rule is None or b'"ev":"status"' in frame[:64]:
            return (frame,)
        match rule.name:
            case "out_of_order":
                self._held.append(frame)
                return ()
            case "duplicate":
                return (frame, frame)
            case "stamp_skew":
                return (shifted(frame, int(rule.value)),)
            case "price_units":
                return (repriced(frame, rule.value),)
            case "size_units":
                return (resized(frame, rule.value),)
            case _:
                return (in_digits(frame, int(rule.value)),)

    def end(self) -> Sequence[bytes]:
        """The step's frames are out: those that it overtook follow."""
        self._rule = None
        late, self._overtaken = self._overtaken, []
        return late
