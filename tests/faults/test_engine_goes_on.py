"""The whole engine as a person runs it, while its data misbehave by seed: it goes on, and ends as it should."""

from __future__ import annotations

import re

from qmterm.core.clock import NS
from tests.end_to_end.running import Home, engine, market, until
from tests.faults.floor import RECOVERY_S

BAD_HOUR = (
    {"fault": "html_502", "chance": 0.1},
    {"fault": "truncated", "chance": 0.05},
    {"fault": "page_fails", "page": 3, "chance": 0.3, "path": "/v3/snapshot/options"},
    {"fault": "rate_limit", "seconds": 1, "times": 2},
    {"fault": "out_of_order", "chance": 0.05},
    {"fault": "duplicate", "chance": 0.1},
    {"fault": "stamp_units", "digits": 16, "chance": 0.1},
    {"fault": "not_json", "chance": 0.02},
)


def test_an_engine_lives_through_a_bad_hour_and_is_whole_after_it(tmp_path):
    home = Home(tmp_path / "home")
    with market(tmp_path, symbols=60, speed=20) as sim, engine(home, tmp_path / "j.sqlite", *sim.words()) as one:
        one.wait_for(r" SCAN ", 120)
        for fault in BAD_HOUR:
            sim.call("POST", "/sim/faults", fault)
        sim.call("POST", "/sim/events", {"halt": "NVDA", "minutes": 10})
        sim.call("POST", "/sim/faults", {"fault": "close", "code": 1006, "times": 2, "path": "stocks"})

        def market_ns() -> int:
            return one.ctl("status")["data"]["market_ns"]

        def feed_is_live() -> bool:
            return "feed live" in one.ctl("status")["text"]

        began = market_ns()
        until(lambda: market_ns() > began + 120 * NS, 60, lambda: "\n".join(one.lines[-20:]))
        assert one.says(r"stocks stream backoff")
        sim.call("DELETE", "/sim/faults")
        until(feed_is_live, RECOVERY_S, lambda: "\n".join(one.lines[-20:]))
        began = market_ns()
        until(lambda: market_ns() > began + 60 * NS, 60, lambda: "\n".join(one.lines[-20:]))
        assert not [line for line in one.lines if re.search(r"Traceback|internal fault", line)]
        body = one.stop()
        assert body["errors"] == 0
        assert one.audit().sound
