"""One home for the module's engines, so that history is pulled once."""

from __future__ import annotations

import pytest

from tests.end_to_end.running import Home


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))
