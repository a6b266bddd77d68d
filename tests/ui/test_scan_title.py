"""The scan pane's title: what matters most stays when there is little room, and nothing is cut in the middle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qmterm.ui.pane import fitting
from tests.ui.fake_engine import FakeDoor, rich_snapshot
from tests.ui.running import running

WHOLE_MARKET = replace(
    rich_snapshot().scan,
    symbols=32_345,
    live=31_497,
    entries=12,
    coverage_pct=100.0,
    oldest_age_s=58.0,
    skipped={"NO_HISTORY": 3, "HALTED": 1},
)


async def title(width: int, *keys: str) -> str:
    """The title line of the scan pane as far as it is the scan's, on a terminal of some width."""
    door = FakeDoor(replace(rich_snapshot(), scan=WHOLE_MARKET))
    async with running((width, 40), door) as screen:
        await screen.press("1", *keys)
        line = next(line for line in screen.text.split("\n") if "1 SCAN" in line)
        return line.split("2 CHAIN")[0].strip("━─ ")


@pytest.mark.parametrize("width", [80, 120, 160])
async def test_entries_coverage_and_the_oldest_age_stay_at_every_width(width):
    said = await title(width)
    assert "12 entries · cov 100.0% · oldest 60s" in said
    assert "…" not in said


async def test_live_symbols_reasons_and_refusals_follow_as_far_as_there_is_room():
    assert "live" not in await title(120)  # beside the chain it is half as wide
    assert "31,497/32,345 live" in await title(160)
    alone = await title(160, "z")
    assert "skipped: NO_HISTORY 3" in alone
    assert "out: LOW_RISK_REWARD 12 IV_RICH 4" in alone


async def test_a_filter_is_said_before_everything_else():
    door = FakeDoor(replace(rich_snapshot(), scan=WHOLE_MARKET))
    async with running((120, 40), door) as screen:
        await screen.press("1", "solidus", "n", "v", "d")
        assert "1 of 20 /nvd · 12 entries" in screen.text


def test_the_least_important_parts_leave_first_and_one_always_stays():
    parts = [(5, "aaa"), (1, "bb"), (8, "cccc")]
    assert fitting(parts, 80) == "aaa · bb · cccc"
    assert fitting(parts, 14) == "aaa · cccc"
    assert fitting(parts, 9) == "cccc"
    assert fitting(parts, 2) == "cccc"
    assert fitting([], 9) == ""
