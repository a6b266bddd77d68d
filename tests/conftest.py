"""What every test shares: the same drawn examples on every machine; drills run only when they are asked for."""

import pytest
from hypothesis import settings

settings.register_profile("qmterm", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("qmterm")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`pytest -m drill` runs the long forms; without it their short forms are enough."""
    if "drill" in (config.option.markexpr or ""):
        return
    for item in items:
        if item.get_closest_marker("drill"):
            item.add_marker(pytest.mark.skip(reason="a drill: run it with pytest -m drill"))
