"""A simulator that is up, and the settings pointed at it: apart from the wiring, so that a look at it stays light."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from qmterm.core.errors import ConfigError
from qmterm.core.settings.engine import BrokerName
from qmterm.core.settings.model import Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class SimLink:
    """A simulator that is up: where it is, what opens it, and whether it waits for us after each step."""

    url: str
    ws_url: str
    token: str
    world: str  # names the history cache: two worlds must not share one
    lockstep: bool
    notice: str = ""  # what the person should know of its market before it begins


def with_sim(settings: Settings, link: SimLink) -> Settings:
    """The same settings, pointed at a simulator; ConfigError unless every address is on this machine."""
    for address in (link.url, link.ws_url):
        if urlsplit(address).hostname not in LOOPBACK:
            raise ConfigError(f"the simulator must be on this machine, not at {address}")
    broker = settings.tastytrade
    if settings.engine.broker is BrokerName.SIM:
        broker = broker.model_copy(update={"rest_url": link.url, "streamer_url": f"{link.ws_url}/streamer"})
    return settings.model_copy(
        update={
            "polygon": settings.polygon.model_copy(update={"rest_url": link.url, "ws_url": link.ws_url}),
            "tastytrade": broker,
        }
    )
