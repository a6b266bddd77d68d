"""One seed of a drill, on the memory disk where there is one."""

import pytest

from qmterm.commands.drill import one_seed


@pytest.fixture
def drill():
    """Run some seeds of one drill; the outcomes."""

    def run(name, seeds, *, tell=False):
        return [one_seed(name, seed, tell=tell) for seed in seeds]

    return run
