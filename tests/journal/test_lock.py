"""Who holds a journal: an engine that lives, or one that was killed and is about to let go."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from qmterm.journal import lock

DYING = "import sys; kept = bytearray(50_000_000); print(flush=True); sys.stdin.read()"


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_an_engine_that_was_killed_this_moment_does_not_count_as_running():
    """It is there for milliseconds, until its memory is given back: the next engine may be started before that."""
    with subprocess.Popen(
        [sys.executable, "-c", DYING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as engine:
        engine.stdout.readline()
        assert lock._alive(str(engine.pid))
        engine.kill()
        assert not lock._alive(str(engine.pid))
        engine.wait()
        assert not lock._alive(str(engine.pid))


def test_an_owner_that_may_be_running_counts_as_running():
    assert all(lock._alive(owner) for owner in ("", "unknown", str(os.getpid())))
