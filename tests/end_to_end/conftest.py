"""One home for the module's engines, so that history is pulled once; drills run only when they are asked for."""

from __future__ import annotations

import pytest

from tests.end_to_end.running import Home


def pytest_collection_modifyitems(config, items):
    """`pytest -m drill` runs the long forms; without it their short forms are enough."""
    if "drill" in (config.option.markexpr or ""):
        return
    for item in items:
        if "end_to_end" in item.nodeid and item.get_closest_marker("drill"):
            item.add_marker(pytest.mark.skip(reason="a drill: run it with pytest -m drill"))


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))
