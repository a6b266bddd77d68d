"""IV30 kept by the session and ranked once there are enough of them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow.parquet as pq
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import from_et
from qmterm.market.history.volatility import VolatilityHistory, measured
from qmterm.tape.iv_history import (
    VolatilityRow,
    chain_path,
    iv30_series,
    read_volatility,
    volatility_path,
    write_volatility,
)
from tests.strategy.chains import IV, chain

CALENDAR = SessionCalendar.load(date(2025, 1, 1), date(2026, 12, 31))
TODAY = date(2026, 3, 2)
NAN = float("nan")


def row(symbol: str, iv30: float) -> VolatilityRow:
    return VolatilityRow(symbol, iv30, NAN, (25,), (iv30,), 0)


def test_a_flat_chain_has_its_own_volatility_at_thirty_days() -> None:
    found = measured(chain())
    assert found is not None
    assert found.iv30 == pytest.approx(IV, abs=2e-3)
    assert found.dte == (11, 25, 32, 39, 60)
    assert found.expiries == 5
    assert measured(chain(adjusted=np.ones(len(chain()), dtype=np.bool_))) is None


def test_a_day_grows_symbol_by_symbol_and_the_latest_row_counts(tmp_path) -> None:
    write_volatility(tmp_path, TODAY, [row("B", 0.3)])
    write_volatility(tmp_path, TODAY, [row("A", 0.2), row("B", 0.4)])
    assert [(r.symbol, r.iv30) for r in read_volatility(tmp_path, TODAY)] == [("A", 0.2), ("B", 0.4)]
    volatility_path(tmp_path, TODAY).write_bytes(b"PAR1")
    assert read_volatility(tmp_path, TODAY) == ()


def test_no_rank_before_sixty_observations_and_then_one_of_252(tmp_path) -> None:
    days = CALENDAR.last_n(CALENDAR.previous(TODAY), 260)
    for number, day in enumerate(days[-59:]):
        write_volatility(tmp_path, day, [row("A", 0.2 + number / 1000)])
    early = VolatilityHistory(tmp_path, CALENDAR)
    early.load(TODAY)
    assert early.standing("A", 0.3).rank is None
    assert early.standing("A", 0.3).words == "59/252"
    assert early.standing("NEW", 0.3).words == "0/252"
    write_volatility(tmp_path, days[-60], [row("A", 0.1)])
    write_volatility(tmp_path, days[0], [row("A", 9.0)])  # older than 252 sessions
    write_volatility(tmp_path, TODAY, [row("A", 7.0)])  # today's is not its own past
    late = VolatilityHistory(tmp_path, CALENDAR)
    late.load(TODAY)
    standing = late.standing("A", 0.258)
    assert standing.observations == 60
    assert standing.rank == pytest.approx(100.0)
    assert late.standing("A", 0.179).rank == pytest.approx(50.0)
    assert late.standing("A", None).rank is None
    assert len(iv30_series(tmp_path, days[-252:])["A"]) == 252


@pytest.mark.parametrize(
    ("day", "hour", "minute", "due"),
    [
        (date(2026, 3, 2), 15, 44, False),
        (date(2026, 3, 2), 15, 45, True),
        (date(2026, 3, 2), 16, 0, False),
        (date(2026, 11, 27), 12, 45, True),  # half day
        (date(2026, 11, 27), 15, 45, False),
        (date(2026, 11, 26), 15, 45, False),  # Thanksgiving
    ],
)
def test_the_time_of_keeping(tmp_path, day, hour, minute, due) -> None:
    assert VolatilityHistory(tmp_path, CALENDAR).due(from_et(day, hour, minute)) is due


def test_a_kept_chain_is_whole(tmp_path) -> None:
    at = from_et(TODAY, 15, 45)
    read = chain(now_ns=at)
    assert VolatilityHistory(tmp_path, CALENDAR).keep(read) is not None
    kept = pq.read_table(chain_path(tmp_path, TODAY, "AAPL"))
    assert kept["occ"].to_pylist() == list(read.occ)
    assert kept["bid"].to_pylist() == read.bid.tolist()
    assert {"iv", "delta", "open_interest", "quote_ns"} <= set(kept.column_names)
    assert [r.symbol for r in read_volatility(tmp_path, TODAY)] == ["AAPL"]
