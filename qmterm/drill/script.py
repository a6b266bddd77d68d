"""What one seed does: a plan of work, the broker's faults and the engine's deaths, all drawn before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from qmterm.core.errors import BadInput
from qmterm.drill.process import CrashPoint

ALL = "all"
TIGHT_SHARE = 0.25  # of all days
NEWS_SHARE = 0.5  # of all days: a stock of which something is held falls far
LASTS_S = 45.0  # market seconds of work; then the faults end, and everything must settle

# What a person, a strategy or the market does, with its weight.
ACTS = {
    "entry": 6,  # a single leg through the gate
    "spread": 3,  # a vertical at a net price
    "exit": 4,  # close some of what is held
    "exit-spread": 2,
    "cancel": 3,
    "reprice": 3,  # an order of ours is replaced at another price
    "replace": 1,  # somebody edits our order at the broker
    "manual-open": 1,  # somebody trades elsewhere
    "manual-close": 1,  # somebody closes what we hold
    "jump": 1,
    "kill": 1,
    "flatten": 1,
    "resume": 1,
}

# What a person asks in words, drawn apart so that the other acts of a seed stay what they were.
WORDS = {
    "ticket": 3,  # a typed order: one leg or a spread, at a price, walked, or at the market
    "roll": 2,  # what is held is closed and another strike opened, in one order
    "edit-dearer": 3,  # a working order's price is moved toward the market by hand
}

# Drill names: the faults that it may draw from, as bodies of the simulator's fault switch.
FAULTS: dict[str, tuple[dict[str, object], ...]] = {
    "ack-lost-before": ({"fault": "timeout_before_accept"},),
    "ack-lost-after": ({"fault": "lost_ack", "how": "drop"}, {"fault": "stall", "path": "/orders", "seconds": 14.0}),
    "gateway-after": ({"fault": "lost_ack", "how": "502"},),
    "torn-answer": ({"fault": "lost_ack", "how": "torn"},),
    "late-frame": ({"fault": "late_frame", "type": "Order", "seconds": 6.0},),
    "double-frame": ({"fault": "duplicate_frame", "type": "Order", "times": 4},),
    "swapped-frame": ({"fault": "swapped_frame", "type": "Order", "times": 3},),
    "lost-frame": ({"fault": "dropped_frame", "type": "Order", "times": 3},),
    "mute-stream": ({"fault": "mute_stream", "seconds": 15.0},),
    "poison": ({"fault": "poison_event", "type": "Order"}, {"fault": "poison_event", "type": "CurrentPosition"}),
    "stream-dropped": ({"fault": "stream_close", "code": 1001}, {"fault": "stream_close", "code": 1011}),
    "rate-limit": ({"fault": "429", "times": 3}, {"fault": "429", "path": "/orders", "times": 2}),
    "gateway-before": ({"fault": "502", "times": 2},),
    "token-expiry": ({"fault": "expire_tokens"},),
    "ledger-lag": ({"fault": "ledger_lag", "seconds": 6.0},),
    "leg-only": ({"fault": "leg_only_fill", "leg": 0}, {"fault": "leg_only_fill", "leg": 1}),
    "partial": ({"fault": "partial_fill", "units": 1, "times": 4},),
    "race": ({"fault": "late_fill", "seconds": 8.0}, {"fault": "late_fill", "seconds": 2.0}),
    "refused": ({"fault": "refuse"},),
    "rejected-later": ({"fault": "reject"},),
    "broker-down": ({"fault": "down", "seconds": 60.0}, {"fault": "down", "seconds": 8.0}),
}
CRASH = "crash"  # no fault of the broker's: the engine dies at swept points
NAMES = (ALL, CRASH, *FAULTS)


@dataclass(frozen=True, slots=True)
class Act:
    at: float  # virtual seconds
    kind: str
    draw: int  # what the act chooses with


@dataclass(frozen=True, slots=True)
class Script:
    seed: int
    acts: tuple[Act, ...]
    faults: tuple[tuple[float, Mapping[str, object]], ...]
    crashes: tuple[CrashPoint, ...]
    staggered: bool  # the broker tells a spread's legs one after the other
    participation: float
    resting: bool = False  # entries go out with exits that rest at the broker
    tight: bool = False  # limits so narrow that the strategy's and the cash reserve bind
    lasts_s: float = field(default=LASTS_S)


def script_of(seed: int, name: str = ALL) -> Script:
    """The seed's script; BadInput for a drill that does not exist."""
    if name not in NAMES:
        raise BadInput(f"there is no drill {name!r}; there are {', '.join(NAMES)}")
    random = Random(f"{name}:{seed}")
    acts = [Act(1.0, "entry", random.getrandbits(30))]
    kinds = random.choices(list(ACTS), list(ACTS.values()), k=random.randint(9, 14))
    acts += [Act(random.uniform(1.0, LASTS_S), kind, random.getrandbits(30)) for kind in kinds]
    apart = Random(f"words:{name}:{seed}")
    words = apart.choices(list(WORDS), list(WORDS.values()), k=apart.randint(0, 3))
    acts += [Act(apart.uniform(3.0, LASTS_S), kind, apart.getrandbits(30)) for kind in words]
    news = Random(f"news:{name}:{seed}")
    if news.random() < NEWS_SHARE:
        acts.append(Act(news.uniform(10.0, LASTS_S - 8.0), "fall", news.getrandbits(30)))
    if any(act.kind in ("kill", "flatten") for act in acts) and random.random() < 0.7:  # else it stays down
        acts.append(Act(LASTS_S - 5, "resume", 0))
    pool = tuple(FAULTS) if name == ALL else () if name == CRASH else (name,)
    count = random.randint(2, 5) if name == ALL else 3 if pool else 0
    faults = []
    for _ in range(count):
        body = random.choice(FAULTS[random.choice(pool)])
        at = random.uniform(0.5, LASTS_S * 0.75)
        faults.append((at, body))
    return Script(
        seed=seed,
        acts=tuple(sorted(acts, key=lambda act: act.at)),
        faults=tuple(sorted(faults, key=lambda fault: fault[0])),
        crashes=_crashes(seed, random, name),
        staggered=random.random() < 0.5,
        participation=random.choice((0.3, 0.5, 1.0)),
        resting=random.random() < 0.5,
        tight=Random(f"limits:{name}:{seed}").random() < TIGHT_SHARE,
    )


def _crashes(seed: int, random: Random, name: str) -> tuple[CrashPoint, ...]:
    """Half the seeds of a mixed drill die once or twice; the points are swept by the seed's number, not drawn."""
    if name not in (ALL, CRASH) or (name == ALL and seed % 2):
        return ()
    turn = seed // 2 if name == ALL else seed
    act, after = ("write", "send")[turn % 2], bool(turn // 2 % 2)
    nth = turn // 4 % (40 if act == "write" else 8) + 1
    second = CrashPoint(random.choice(("write", "send")), random.randint(1, 12), random.random() < 0.5)
    return (CrashPoint(act, nth, after), second) if random.random() < 0.4 else (CrashPoint(act, nth, after),)
