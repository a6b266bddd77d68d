"""Real money needs broker = tastytrade, live = true and arming; until then nothing is sent, not even a close."""

from __future__ import annotations

import pytest

from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import BrokerName
from qmterm.core.settings.model import Settings
from qmterm.engine.start import real_money_refusal


class Given:
    """The two facts that the rule reads."""

    def __init__(self, broker: BrokerName, *, live: bool, real_money: bool) -> None:
        settings = Settings()
        engine = settings.engine.model_copy(update={"broker": broker, "live": live})
        self.settings = settings.model_copy(update={"engine": engine})
        self.real_money = real_money


@pytest.mark.parametrize("broker", [BrokerName.SIM, BrokerName.PAPER, BrokerName.CERT])
def test_pretend_money_needs_no_permission(broker):
    assert real_money_refusal(Given(broker, live=False, real_money=False)) is None


def test_the_live_broker_without_live_true_is_refused():
    assert real_money_refusal(Given(BrokerName.LIVE, live=False, real_money=True)) is Reason.NOT_LIVE


def test_live_true_without_arming_is_refused():
    assert real_money_refusal(Given(BrokerName.LIVE, live=True, real_money=True)) is Reason.NOT_ARMED


def test_the_default_is_paper_and_confirm():
    engine = Settings().engine
    assert (engine.broker, engine.mode.value, engine.live) == (BrokerName.PAPER, "confirm", False)


def test_armed_lets_real_money_move_and_nothing_else_does():
    given = Given(BrokerName.LIVE, live=True, real_money=True)
    assert real_money_refusal(given, armed=True) is None
    assert real_money_refusal(Given(BrokerName.LIVE, live=False, real_money=True), armed=True) is Reason.NOT_LIVE
