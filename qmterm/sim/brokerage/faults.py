"""Misbehaviour on request: a table of faults that the next matching moments use up.

The trap: a fault must be drawn at the moment it acts, not when it is set, so that `times` counts what really happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from qmterm.sim.brokerage.refusals import MalformedRequest


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What a fault does, where it acts, and the parameters it takes with their defaults."""

    name: str
    acts: str
    help: str
    defaults: dict[str, Any] = field(default_factory=dict)


FAULTS: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        FaultKind(
            "lost_ack", "place", "the order is taken, its answer is lost: drop, 502 or torn (mid-body)", {"how": "drop"}
        ),
        FaultKind("refuse", "place", "the order is refused at submit", {"code": "order_refused"}),
        FaultKind("timeout_before_accept", "place", "the connection drops and nothing was taken"),
        FaultKind("late_fill", "order", "the order fills late, and wins against a cancel", {"seconds": 5.0}),
        FaultKind(
            "reject", "order", "the exchange rejects the order after routing", {"reason": "Rejected by exchange"}
        ),
        FaultKind("leg_only_fill", "order", "one leg of a spread fills, the others never do", {"leg": 0}),
        FaultKind("partial_fill", "order", "one execution takes so many units only", {"units": 1}),
        FaultKind("duplicate_frame", "stream", "an event is sent twice", {"type": ""}),
        FaultKind("dropped_frame", "stream", "an event is never sent", {"type": ""}),
        FaultKind("late_frame", "stream", "an event comes late, behind newer ones", {"type": "", "seconds": 3.0}),
        FaultKind("swapped_frame", "stream", "an event changes places with the next one", {"type": ""}),
        FaultKind("mute_stream", "stream", "connected, answers pings, sends no events", {"seconds": 5.0}),
        FaultKind("poison_event", "stream", "an event that no client can read", {"type": "Order"}),
        FaultKind("stream_close", "stream", "the server closes the account stream", {"code": 1001}),
        FaultKind("dxlink_close", "stream", "the server closes the market data socket", {"code": 1001}),
        FaultKind("429", "rest", "too many requests", {"path": ""}),
        FaultKind("502", "rest", "a gateway page instead of an answer, nothing was done", {"path": ""}),
        FaultKind("stall", "rest", "the answer comes late, after the work was done", {"path": "", "seconds": 6.0}),
        FaultKind("down", "rest", "the broker is gone: every connection is cut, in real seconds", {"seconds": 60.0}),
        FaultKind("ledger_lag", "ledger", "positions and balance show the past after a fill", {"seconds": 5.0}),
        FaultKind("short_token", "oauth", "access tokens live this long, in real seconds", {"seconds": 1.0}),
        FaultKind("expire_tokens", "oauth", "every access token is invalid at once"),
    )
}


@dataclass(slots=True)
class ActiveFault:
    kind: FaultKind
    times: int
    options: dict[str, Any]
    used: int = 0


class Faults:
    """The faults that are set and not yet used up, in the order they were set."""

    def __init__(self) -> None:
        self.active: list[ActiveFault] = []

    def arm(self, body: object) -> ActiveFault:
        """Set one fault: {"fault": name, "times": n, …options}; MalformedRequest names what is wrong."""
        if not isinstance(body, dict):
            raise MalformedRequest("fault", "the body is not a JSON object")
        name = str(body.get("fault"))
        kind = FAULTS.get(name)
        if kind is None:
            raise MalformedRequest("fault", f"{name!r} is unknown; there are {', '.join(FAULTS)}")
        options = {key: value for key, value in body.items() if key not in ("fault", "times")}
        unknown = sorted(set(options) - set(kind.defaults))
        if unknown:
            raise MalformedRequest(unknown[0], f"fault {name} has no such option; it takes {sorted(kind.defaults)}")
        times = body.get("times", 1)
        if not isinstance(times, int) or isinstance(times, bool) or times < 1:
            raise MalformedRequest("times", f"{times!r} must be a whole number above zero")
        for key, value in options.items():
            wanted = kind.defaults[key]
            numeric = isinstance(wanted, int | float)
            fits = isinstance(value, int | float) and not isinstance(value, bool) if numeric else isinstance(value, str)
            if not fits or (numeric and value < 0):
                raise MalformedRequest(key, f"{value!r} does not fit; the default is {wanted!r}")
        fault = ActiveFault(kind, times, {**kind.defaults, **options})
        self.active.append(fault)
        return fault

    def draw(self, name: str, **where: str) -> dict[str, Any] | None:
        """Use one fault of this name up, if one is set whose filters fit; its options, else None.

        A filter is an option of the same name; the empty text fits everything, else it must occur in the value.
        """
        for fault in self.active:
            if fault.kind.name != name:
                continue
            if any(fault.options.get(key) and str(fault.options[key]) not in value for key, value in where.items()):
                continue
            fault.used += 1
            if fault.used >= fault.times:
                self.active.remove(fault)
            return fault.options
        return None

    def clear(self) -> None:
        self.active.clear()

    def as_json(self) -> list[dict[str, Any]]:
        return [{"fault": fault.kind.name, "left": fault.times - fault.used, **fault.options} for fault in self.active]
