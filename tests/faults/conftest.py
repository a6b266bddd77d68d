"""One simulator and one history for all, in the middle of a morning; every test takes a feed of its own to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.conftest import Simulator, start, stop


@pytest.fixture(scope="package")
def simulator() -> Iterator[Simulator]:
    """60 names, a second a step, 2026-03-02 10:00 New York."""
    words = ("--symbols", "60", "--lockstep", "--seed", "11", "--step-s", "1", "--start", "2026-03-02T10:00")
    started = start(*words)
    yield started
    stop(started)


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the history of that simulator's past is kept: pulled once, by the first test that deals."""
    return tmp_path_factory.mktemp("history")
