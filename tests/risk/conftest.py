"""Long forms run only when they are asked for: `pytest -n 0 -m drill tests/risk`."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config, items):
    if "drill" in (config.option.markexpr or ""):
        return
    for item in items:
        if "tests/risk" in item.nodeid and item.get_closest_marker("drill"):
            item.add_marker(pytest.mark.skip(reason="a drill: run it with pytest -m drill"))
