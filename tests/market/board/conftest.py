"""Every test of the room runs on the machine code, as a trading day does."""

import pytest

from qmterm.market.board.wire import warm_up


@pytest.fixture(scope="session", autouse=True)
def machine_code():
    warm_up()
