"""Combinations of settings that must never run: what they say decides about money, not what they are called."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from qmterm.core.errors import ConfigError
from qmterm.core.settings.broker import CERT_REST_URL, CERT_STREAMER_URL, LIVE_REST_URL, LIVE_STREAMER_URL
from qmterm.core.settings.engine import BrokerName
from qmterm.core.settings.model import Settings
from qmterm.engine import wiring
from qmterm.engine.arming import Permit


def settings(broker, rest_url="", streamer_url=""):
    base = Settings()
    return base.model_copy(
        update={
            "engine": base.engine.model_copy(update={"broker": broker}),
            "tastytrade": base.tastytrade.model_copy(update={"rest_url": rest_url, "streamer_url": streamer_url}),
        }
    )


@pytest.mark.parametrize(
    ("rest_url", "streamer_url"),
    [(LIVE_REST_URL, ""), ("", LIVE_STREAMER_URL), ("https://api.tastyworks.com.", ""), ("https://proxy.example", "")],
)
def test_the_sandbox_by_name_never_reaches_a_host_that_may_hold_real_money(rest_url, streamer_url):
    with pytest.raises(ConfigError, match="must not reach"):
        wiring.check_sense(settings(BrokerName.CERT, rest_url, streamer_url))


@pytest.mark.parametrize(
    ("rest_url", "streamer_url"),
    [("", ""), (CERT_REST_URL, CERT_STREAMER_URL), ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/streamer")],
)
def test_the_sandbox_and_this_machine_are_fine(rest_url, streamer_url):
    wiring.check_sense(settings(BrokerName.CERT, rest_url, streamer_url))


@pytest.mark.parametrize("rest_url", ["", LIVE_REST_URL, CERT_REST_URL])
async def test_the_simulated_broker_is_on_this_machine_or_nowhere(rest_url):
    keys = SimpleNamespace(tt_secret="s", tt_refresh="r", tt_account=None)
    with pytest.raises(ConfigError, match="must be on this machine"):
        await wiring._broker(settings(BrokerName.SIM, rest_url), keys, None, None, None, None, None, Permit())
