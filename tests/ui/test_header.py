"""The header and the line of tabs: the request budget and what the plan lacks, as far as there is room."""

from dataclasses import replace

import pytest

from qmterm.engine.view import LADDER, HeaderView, LogLine
from qmterm.ui.header import header_line, header_parts, status_line, tabs_line
from qmterm.ui.palette import text_of, width_of
from tests.ui.fake_engine import rich_snapshot

SNAPSHOT = rich_snapshot()
WIDTHS = (80, 120, 160)


def header_of(width, **changes):
    line = header_line(replace(SNAPSHOT.header, **changes), width, 0.0)
    assert width_of(line) == width
    return text_of(line)


def tabs_of(width, **changes):
    snapshot = replace(SNAPSHOT, header=replace(SNAPSHOT.header, **changes))
    line = tabs_line(snapshot, "scan", False, width, 0.0)
    assert width_of(line) == width
    return text_of(line)


@pytest.mark.parametrize("width", WIDTHS[1:])
def test_a_small_plan_shows_its_calls(width):
    assert "calls 3/5 " in header_of(width, calls_made=3, calls_per_minute=5)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_wait_is_shown_at_every_width_and_in_tens_of_seconds(width):
    for seconds in (21.0, 29.9):
        text = header_of(width, calls_made=5, calls_per_minute=5, calls_wait_s=seconds)
        assert "calls 5/5 wait 30s" in text
        assert "NLV 100,842" in text
        assert "feed" in text


def test_a_large_plan_shows_its_calls_only_when_they_run_out():
    assert "calls" not in header_of(160, calls_made=900, calls_per_minute=4_800)
    assert "calls 4.0k/4.8k" in header_of(160, calls_made=4_000, calls_per_minute=4_800)
    assert "calls 900/4.8k wait 40s" in header_of(160, calls_made=900, calls_per_minute=4_800, calls_wait_s=40.0)


def test_what_is_not_in_the_plan_is_named_as_far_as_there_is_room():
    lacks = ("live quotes of options", "option trades", "snapshots")
    assert (
        tabs_of(160, not_in_plan=lacks)
        .rstrip()
        .endswith("not in plan: live quotes of options, option trades, snapshots")
    )
    assert "not in plan: live" in tabs_of(80, not_in_plan=lacks)
    assert "plan" not in tabs_of(160)


def test_what_is_more_urgent_stands_in_its_place():
    lacks = ("option trades",)
    assert "plan" not in tabs_of(160, not_in_plan=lacks, ladder="HALT", ladder_reason="by you")
    assert "history 42/300" in tabs_of(160, not_in_plan=lacks, starting="history 42/300, 52 min left")


def test_a_count_of_proposals_stands_clear_of_the_focused_tab():
    waiting = len(SNAPSHOT.proposals)
    for focused, text in (("orders", f"5 orders] {waiting} to approve"), ("scan", f"5 orders {waiting} to approve")):
        assert text in text_of(tabs_line(SNAPSHOT, focused, False, 120, 0.0))


def test_a_first_start_that_compiles_is_no_silent_engine():
    starting = replace(SNAPSHOT, header=replace(SNAPSHOT.header, starting="machine code (compiling, once)"))
    for snapshot, silent_s, end in (
        (starting, 45.0, "starting: machine code (compiling, once) 45s"),
        (starting, 400.0, "ENGINE SILENT 6m"),
        (SNAPSHOT, 45.0, "ENGINE SILENT 45s"),
    ):
        assert text_of(tabs_line(snapshot, "scan", False, 160, silent_s)).rstrip().endswith(end)


def words(**changes):
    return [text_of(part.line) for part in header_parts(HeaderView(feed_state="live", **changes), 0.0, wide=False)]


def test_minutes_that_are_lost_stand_beside_the_feed_and_repaired_ones_do_not():
    assert not any("lost" in word for word in words(repaired_minutes=4, repaired_by_snapshot=120_000))
    shown = words(lost_minutes=3, lost_bars=32_345)
    at = shown.index("lost 3min 32.3k bars")
    assert shown[at - 1].startswith("feed")


def test_a_minute_of_which_no_symbol_is_known_is_lost_without_a_number():
    assert "lost 1min" in words(lost_minutes=1)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("rate", "words"),
    [(1.0, "  ET 10:42:07"), (8.02, " 8x ET "), (0.5, " 0.5x ET "), (60.3, " 60x ET "), (None, " max ET ")],
)
def test_a_clock_that_is_no_real_time_says_how_fast_it_runs_at_every_width(width, rate, words):
    text = header_of(width, market_rate=rate)
    assert words in text
    assert "NLV 100,842" in text


HALTED = (
    LogLine(8, 1, "warn", "RISK", "ladder HALT: kill by a person (screen)", LADDER),
    LogLine(9, 2, "alarm", "RISK", "HALT: 3 order(s) asked to cancel in 9 ms; nothing new leaves", LADDER),
)


def status_of(ladder, *lines):
    snapshot = replace(SNAPSHOT, log=lines, header=replace(SNAPSHOT.header, ladder=ladder))
    return text_of(status_line(snapshot, None, 80)).strip()


def test_the_line_of_a_halt_stands_while_it_holds_and_goes_with_the_resume():
    assert "HALT: 3 order(s)" in status_of("HALT", *HALTED)
    assert status_of("NORMAL", *HALTED) == ""
    assert status_of("NO-NEW", *HALTED) == ""


def test_what_is_no_word_about_the_ladder_stays_after_a_resume():
    stop = LogLine(7, 1, "alarm", "RISK", "AMD under its stop 130.10", "AMD")
    assert status_of("NORMAL", stop, *HALTED).endswith("! AMD under its stop 130.10")
    assert "2 more" in status_of("HALT", stop, *HALTED)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_clock_never_leaves_the_header_whatever_else_fits(width):
    for milliseconds in (2, 52, 352, 1_352, 11_352):
        for rate in (1.0, 7.3, 60.0, None):
            assert "ET 10:42:07" in header_of(width, broker_ms=milliseconds, market_rate=rate)
