"""At 15:45 the symbols in use are read once; what fails is tried again; ranks reach the choice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import ManualClock, from_et
from qmterm.core.errors import DataError
from qmterm.engine.signals.volatility import VolatilityKeeper
from qmterm.market.history.volatility import VolatilityHistory
from qmterm.tape.iv_history import VolatilityRow, read_volatility, write_volatility
from tests.strategy.chains import chain

CALENDAR = SessionCalendar.load(date(2025, 1, 1), date(2026, 12, 31))
TODAY = date(2026, 3, 2)


class Chains:
    def __init__(self, fail=()):
        self.asked = []
        self.fail = set(fail)

    async def read(self, underlying, now_ns, expiry_from, expiry_to):
        self.asked.append(underlying)
        if underlying in self.fail:
            self.fail.remove(underlying)
            raise DataError("too many calls")
        return replace(chain(now_ns=now_ns), underlying=underlying)


class Log:
    def __init__(self):
        self.warned = []

    def warn(self, kind, text, subject=""):
        self.warned.append(subject)

    def info(self, kind, text, subject="", **numbers):
        pass


def keeper(tmp_path, chains, hour, minute):
    clock = ManualClock(from_et(TODAY, hour, minute))
    return VolatilityKeeper(VolatilityHistory(tmp_path, CALENDAR), chains, clock, Log()), clock


async def test_nothing_before_the_time_then_each_symbol_once_the_held_ones_first(tmp_path):
    chains = Chains()
    kept, clock = keeper(tmp_path, chains, 15, 30)
    assert await kept.keep_if_due({"ZZZ"}, {"AAA", "ZZZ"}) == 0
    clock.now_ns = from_et(TODAY, 15, 46)
    assert await kept.keep_if_due({"ZZZ"}, {"AAA", "ZZZ"}) == 2
    assert await kept.keep_if_due({"ZZZ"}, {"AAA", "BBB"}) == 1
    assert chains.asked == ["ZZZ", "AAA", "BBB"]
    assert [row.symbol for row in read_volatility(tmp_path, TODAY)] == ["AAA", "BBB", "ZZZ"]


async def test_a_refused_chain_is_tried_again_at_the_next_scan(tmp_path):
    kept, _ = keeper(tmp_path, Chains(fail=["AAA"]), 15, 50)
    assert await kept.keep_if_due((), {"AAA"}) == 0
    assert await kept.keep_if_due((), {"AAA"}) == 1


async def test_the_rank_is_that_of_the_chains_own_volatility(tmp_path):
    for number, day in enumerate(CALENDAR.last_n(CALENDAR.previous(TODAY), 60)):
        low_high = 0.32 if number == 0 else 0.52
        write_volatility(tmp_path, day, [VolatilityRow("AAPL", low_high, 0.0, (30,), (low_high,), 0)])
    kept, _ = keeper(tmp_path, Chains(), 10, 0)
    assert kept.rank(chain()) is None  # not loaded yet
    await kept.load()
    rank = kept.rank(chain())
    assert rank is not None
    assert 48 < rank < 52
    assert kept.rank(replace(chain(), underlying="NEW")) is None
    assert {symbol: standing.observations for symbol, standing in kept.known.items()} == {"AAPL": 60, "NEW": 0}


async def test_a_full_disk_costs_one_chain_a_scan_and_is_said_once(tmp_path):
    chains = Chains()
    kept, _ = keeper(tmp_path, chains, 15, 46)
    (tmp_path / "chains").write_text("in the way")
    assert await kept.keep_if_due({"ZZZ"}, {"AAA", "BBB"}) == 0
    assert await kept.keep_if_due({"ZZZ"}, {"AAA", "BBB"}) == 0
    assert (chains.asked, kept._log.warned) == (["ZZZ", "ZZZ"], ["ZZZ"])
    (tmp_path / "chains").unlink()
    assert await kept.keep_if_due({"ZZZ"}, {"AAA", "BBB"}) == 3
