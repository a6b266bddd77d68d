"""The screen in a real pseudo-terminal: how much it sends, a stalled or vanished reader, how it leaves."""

import os
import re
import signal
import termios
import time
from itertools import pairwise

import pytest

from tests.ui.pty_screen import PtyScreen

# SCREENS.md 3.4; measured here: about 4.5 kB/s moving and 0.5 kB/s still at 80x24, 10 kB/s at 200x50.
BUDGET_SMALL = 15_000
BUDGET_LARGE = 40_000
CURSOR_SHOWN = b"\x1b[?25h"
MAIN_SCREEN = b"\x1b[?1049l"


def rate(screen, seconds):
    return len(screen.read(seconds)) / seconds


def test_a_moving_market_stays_within_the_bandwidth_and_leaving_restores_the_terminal():
    with PtyScreen(80, 24) as screen:
        screen.read(20, until=b"NVDA")
        screen.read(1)
        assert 200 < rate(screen, 2) < BUDGET_SMALL
        screen.type("2")
        screen.read(0.5)
        assert rate(screen, 1.5) < BUDGET_SMALL
        screen.type("q")
        screen.read(1.5, until=b"LEAVE")
        screen.read(0.5)
        screen.type("h")
        assert screen.ended(10) == 0
        assert b"screen ended: detach" in screen.seen
        assert screen.seen.rindex(MAIN_SCREEN) > screen.seen.rindex(b"NVDA")
        assert CURSOR_SHOWN in screen.seen
        assert termios.tcgetattr(screen.follower) == screen.before


def test_a_large_desk_stays_within_the_bandwidth_and_a_stalled_reader_blocks_nothing():
    with PtyScreen(200, 50) as screen:
        screen.read(20, until=b"NVDA")
        screen.read(1)
        assert rate(screen, 2) < BUDGET_LARGE
        for stall_s in (4, 8, 16):  # nobody reads: frames are dropped, not queued, once the pipe is full
            time.sleep(stall_s)
            clocks = [int(second) for second in re.findall(rb"10:42:(\d\d)", screen.read(1.0))]
            if any(after - before >= 2 for before, after in pairwise(clocks)):
                break
        else:
            pytest.fail("every frame of the stall was kept")
        screen.type("q")
        assert b"At stake" in screen.read(3, until=b"At stake")
        screen.read(0.5)
        screen.type("h")
        assert screen.ended(10) == 0


def test_a_screen_at_rest_sends_little_more_than_its_clock():
    with PtyScreen(80, 24, "--still") as screen:
        screen.read(20, until=b"NVDA")
        screen.read(1)
        assert rate(screen, 2) < 1500


def test_no_color_sends_no_colour():
    with PtyScreen(80, 24, environment={"NO_COLOR": "1"}) as screen:
        screen.read(20, until=b"NVDA")
        screen.read(0.5)
        assert not re.search(rb"\x1b\[[0-9;]*(38|48);[25]", screen.seen)
        assert re.search(rb"\x1b\[(?:[0-9;]*;)?7[;m]", screen.seen), "the cursor shows by reverse video"


def test_a_hang_up_ends_the_screen_and_says_lost():
    with PtyScreen(80, 24) as screen:
        screen.read(20, until=b"NVDA")
        os.kill(screen.process.pid, signal.SIGHUP)
        assert screen.ended(10) == 0
        assert b"screen ended: lost" in screen.seen


def test_a_screen_that_breaks_restores_the_terminal_and_shows_no_local_variables():
    with PtyScreen(80, 24, "--break-after", "1.0") as screen:
        assert screen.ended(15) == 0
        assert b"screen ended: lost" in screen.seen
        assert b"ZeroDivisionError" in screen.seen
        assert b"secret-in-a-local" not in screen.seen
        assert termios.tcgetattr(screen.follower) == screen.before


def test_a_request_to_stop_leaves_cleanly_and_asks_nobody():
    with PtyScreen(80, 24) as screen:
        screen.read(20, until=b"NVDA")
        os.kill(screen.process.pid, signal.SIGTERM)
        assert screen.ended(10) == 0
        assert b"screen ended: stop" in screen.seen
        assert termios.tcgetattr(screen.follower) == screen.before


def test_a_vanished_terminal_leaves_no_process_that_spins():
    with PtyScreen(80, 24) as screen:
        screen.read(20, until=b"NVDA")
        signals_before = screen.process.poll()
        os.close(screen.follower)
        os.close(screen.master)
        assert signals_before is None
        screen.process.wait(10)
