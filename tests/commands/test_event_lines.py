"""What a headless engine prints may neither hold it up nor bring it down, whatever the terminal does."""

import contextlib
import io
import os
import subprocess
import sys
import time

import pytest

from qmterm.commands import event_lines
from qmterm.commands.event_lines import EventLines
from qmterm.engine.view import LogLine

LINE = LogLine(1, 1_772_461_500_000_000_000, "info", "ORD", "sent BUY 1 NVDA")


def pipe():
    reader, writer = os.pipe()
    return reader, os.fdopen(writer, "w", encoding="utf-8")


def fill(descriptor):
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"." * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b".")
    os.set_blocking(descriptor, True)


def test_a_line_names_new_york_time_kind_and_text():
    shown = io.StringIO()
    lines = EventLines(shown)
    lines(LINE, {})
    lines.close()
    assert shown.getvalue().startswith("09:25:00")
    assert shown.getvalue().endswith("ORD sent BUY 1 NVDA\n")


def test_a_terminal_that_stands_still_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(event_lines, "WAITING_LINES", 200)
    monkeypatch.setattr(event_lines, "CLOSE_WAIT_S", 0.1)
    reader, writer = pipe()
    fill(writer.fileno())  # nobody reads: not one line more fits in
    lines = EventLines(writer)
    began = time.monotonic()
    for _ in range(5_000):
        lines(LINE, {})
    lines.close()
    assert time.monotonic() - began < 5
    assert lines.not_shown > 0
    seen = b""
    while b"were not shown" not in seen:  # it moves again: the hole is told
        part = os.read(reader, 65_536)
        assert part, "the lines ended without a word about the hole"
        seen += part
    os.close(reader)


def test_a_terminal_that_went_away_raises_nothing():
    reader, writer = pipe()
    lines = EventLines(writer)
    os.close(reader)
    for _ in range(10):
        lines(LINE, {})
    lines.close()
    assert not lines._thread.is_alive()
    with pytest.raises(BrokenPipeError):
        writer.close()


def test_a_clean_stop_whose_terminal_went_away_is_no_failure():
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-c", "from qmterm.commands.run import _say; _say('stopped at 11:30'); print('more')"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")
