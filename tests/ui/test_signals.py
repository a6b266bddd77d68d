"""A screen that has gone leaves no signal handler of its own behind: a hang-up sends SIGCONT to the engine as well."""

from __future__ import annotations

import signal

import pytest

from qmterm.ui.signals import screen_signals


@pytest.mark.parametrize("number", [signal.SIGCONT, signal.SIGTSTP, signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_every_handler_is_what_it_was_before_the_screen(number):
    before = signal.getsignal(number)
    with screen_signals(lambda: None, lambda: None):
        signal.signal(number, lambda *_: None)  # as textual does for SIGTSTP and SIGCONT
    assert signal.getsignal(number) == before
