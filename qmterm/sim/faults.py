"""How the data side can be told to misbehave: one table of faults, switched on by route, count or chance.

The trap: a fault drawn from a shared generator would change with the number of requests; chance is a hash of the
seed and the rule's own counter, so a run with one seed misbehaves alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qmterm.core.errors import BadInput
from qmterm.sim.randomness import chance

REST, STREAM = "rest", "stream"


@dataclass(frozen=True, slots=True)
class FaultKind:
    where: str
    says: str
    parameter: str = ""
    default: float = 0.0


KINDS = {
    "latency": FaultKind(REST, "answers late by `ms`", "ms", 250),
    "stall": FaultKind(REST, "accepts the request and is silent for `seconds`", "seconds", 30),
    "stalled_body": FaultKind(REST, "sends headers and half of the body, then nothing for `seconds`", "seconds", 30),
    "truncated": FaultKind(REST, "half of the JSON body"),
    "html_502": FaultKind(REST, "a gateway's HTML page with status 502"),
    "rate_limit": FaultKind(REST, "429 with Retry-After `seconds` (0: without the header)", "seconds", 0),
    "not_authorized": FaultKind(REST, "403: the plan lacks it"),
    "unknown_key": FaultKind(REST, "401: the key is not known"),
    "not_found": FaultKind(REST, "404: no such ticker"),
    "page_fails": FaultKind(REST, "500 from page number `page` of a paged answer on", "page", 3),
    "no_results": FaultKind(REST, "200 without the results key"),
    "wrong_units": FaultKind(REST, "time stamps with `digits` digits (10 s, 13 ms, 16 µs, 19 ns)", "digits", 16),
    "wrong_prices": FaultKind(REST, "prices `factor` times as high (100: cents for dollars)", "factor", 100),
    "wrong_sizes": FaultKind(REST, "sizes and volumes `factor` times as large (0.01: round lots)", "factor", 100),
    "clock_skew": FaultKind(REST, "the server's clock is off by `ms`", "ms", 2000),
    "close": FaultKind(STREAM, "closes with `code` (1006: drops the connection)", "code", 1006),
    "mute": FaultKind(STREAM, "stays connected and sends no data (`marker` 0: no lockstep marker either)", "marker", 1),
    "drop_during_auth": FaultKind(STREAM, "drops the connection when auth arrives"),
    "duplicate_bar": FaultKind(STREAM, "sends minute bars twice"),
    "late_bar": FaultKind(STREAM, "sends the last minute's bars again, after this minute's"),
    "out_of_order": FaultKind(STREAM, "holds what this step brought back until after the next step's"),
    "duplicate": FaultKind(STREAM, "sends every frame twice"),
    "burst": FaultKind(STREAM, "sends the subscribed quotes over and over, `events` at once", "events", 50_000),
    "stamp_skew": FaultKind(STREAM, "stamps events `ms` ahead of the market's time", "ms", 3000),
    "stamp_units": FaultKind(STREAM, "time stamps with `digits` digits (10 s, 13 ms, 16 µs, 19 ns)", "digits", 16),
    "price_units": FaultKind(STREAM, "prices `factor` times as high (100: cents for dollars)", "factor", 100),
    "size_units": FaultKind(STREAM, "sizes and volumes `factor` times as large (0.01: round lots)", "factor", 100),
    "cut": FaultKind(STREAM, "calls the reader a slow consumer and closes with 1008"),
    "big_frame": FaultKind(STREAM, "sends a minute's bars in one frame, padded past 1 MiB"),
    "not_json": FaultKind(STREAM, "sends a frame that is not JSON"),
    "slow": FaultKind(STREAM, "holds frames back by `ms`", "ms", 1000),
}


@dataclass(slots=True)
class Rule:
    name: str
    kind: FaultKind
    value: float
    path: str = ""  # REST: prefix of the path; stream: cluster
    left: int | None = None  # None = until cleared
    probability: float = 1.0
    seen: int = 0


@dataclass
class Faults:
    seed: int
    rules: list[Rule] = field(default_factory=list)

    def add(self, request: Mapping[str, object]) -> Rule:
        """Switch a fault on: {"fault": name, "path": …, "times": n, "chance": p, <parameter>: value}."""
        name = str(request.get("fault", ""))
        kind = KINDS.get(name)
        if kind is None:
            raise BadInput(f"fault {name!r} is unknown: choose one of {', '.join(KINDS)}")
        known = {"fault", "path", "times", "chance", kind.parameter}
        unknown = sorted(set(request) - known)
        if unknown:
            raise BadInput(f"fault {name}: unknown key {unknown[0]!r}; it takes {', '.join(sorted(known - {''}))}")
        times = request.get("times")
        rule = Rule(
            name,
            kind,
            value=_number(request.get(kind.parameter, kind.default), name),
            path=str(request.get("path", "")),
            left=None if times is None else int(_number(times, name)),
            probability=_number(request.get("chance", 1.0), name),
        )
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        self.rules.clear()

    def take(self, where: str, path: str, *names: str) -> Rule | None:
        """The first rule that strikes here now, used up by one; None when nothing does."""
        for number, rule in enumerate(self.rules):
            if rule.kind.where != where or (names and rule.name not in names) or not path.startswith(rule.path):
                continue
            rule.seen += 1
            if rule.probability < 1.0 and chance(self.seed, number, rule.seen)[0] >= rule.probability:
                continue
            if rule.left is not None:
                rule.left -= 1
                if rule.left <= 0:
                    self.rules.remove(rule)
            return rule
        return None


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f"fault {name}: {value!r} is not a number")
    return float(value)
