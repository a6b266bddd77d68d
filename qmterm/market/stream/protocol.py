"""Polygon's stream protocol without a socket: statuses in, messages to send out (PROTOCOLS.md 5.1).

The trap: state must not outlive its connection. The wanted channels are kept outside and given again to a fresh
instance for every attempt, so that a drop at any moment loses no subscription.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from qmterm.core.errors import SubscriptionLimit
from qmterm.market.board.events import Status, statuses_of

# Tickers have small letters (BACpL, a preferred share) and dots inside, not a sentence's dot behind them.
_CHANNEL = re.compile(r"\b(?:A|AM|T|Q|LULD|NOI|FMV|LV|V)\.(?:\*|[A-Za-z0-9:/]+(?:\.[A-Za-z0-9:/]+)*)")
_STEP = re.compile(r"^step (\d+)$")
# Statuses after which the server closes, and what they mean for whoever reads the log.
LEAVING = {
    "slow_consumer": "the server cut us off for reading too slowly",
    "force_disconnect": "the server told us to leave",
    "auth_timeout": "the server did not see our login in time",
}


class Phase(Enum):
    AWAIT_CONNECTED = auto()
    AUTHENTICATING = auto()
    READY = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Authenticated:
    pass


@dataclass(frozen=True, slots=True)
class AuthRefused:
    """The key is wrong: trying again cannot help."""

    message: str


@dataclass(frozen=True, slots=True)
class TooManyConnections:
    message: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    channel: str


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    channel: str


@dataclass(frozen=True, slots=True)
class ChannelRefused:
    """The plan does not include a channel; `channel` is '' when the server does not name it."""

    channel: str
    message: str


@dataclass(frozen=True, slots=True)
class StepReached:
    """Lockstep: everything of this step has been sent before this marker."""

    step: int


@dataclass(frozen=True, slots=True)
class Noted:
    """Any other status, worth showing (slow_consumer, force_disconnect, auth_timeout, …)."""

    status: str
    message: str


StreamEvent = (
    Authenticated | AuthRefused | TooManyConnections | Subscribed | Unsubscribed | ChannelRefused | StepReached | Noted
)


def check_wanted(channels: Iterable[str], quote_limit: int = 1_000) -> None:
    """SubscriptionLimit when one connection cannot carry these channels (the server drops the surplus silently)."""
    quotes = sum(1 for channel in channels if channel.startswith("Q.O:"))
    if quotes > quote_limit:
        raise SubscriptionLimit(
            f"{quotes} option contracts want live quotes, one connection carries {quote_limit}: "
            "watch fewer chains or narrower strikes"
        )


class StreamProtocol:
    """One connection attempt."""

    def __init__(self, key: str, chunk: int = 250) -> None:
        self._key = key
        self._chunk = chunk
        self.phase = Phase.AWAIT_CONNECTED
        self._wanted: frozenset[str] = frozenset()
        self._asked: set[str] = set()
        self.confirmed: set[str] = set()
        self.refused: dict[str, str] = {}

    def want(self, channels: frozenset[str]) -> None:
        """The channels there should be; the next `outgoing` asks for the difference."""
        self._wanted = channels

    def forget_refusals(self) -> None:
        """Ask again for what was refused, as far as it is still wanted."""
        self._asked -= self.refused.keys()
        self.refused.clear()

    def receive(self, frame: bytes) -> list[StreamEvent]:
        """Read a frame's control messages (the decoder has read its data)."""
        return self.handle(statuses_of(frame))

    def handle(self, statuses: Sequence[Status]) -> list[StreamEvent]:
        """Move by control messages that were already read."""
        return [event for status in statuses for event in self._one(status)]

    def outgoing(self) -> list[bytes]:
        """What to send now; empty when there is nothing."""
        if self.phase is Phase.AUTHENTICATING and self._key:
            key, self._key = self._key, ""
            return [_message("auth", key)]
        if self.phase is not Phase.READY:
            return []
        fewer = sorted(self._asked - self._wanted - self.refused.keys())
        more = sorted(self._wanted - self._asked)
        self._asked = set(self._wanted)
        self.confirmed -= set(fewer)
        # Room is made before it is taken: the server counts option quotes.
        return [
            _message(action, ",".join(some))
            for action, channels in (("unsubscribe", fewer), ("subscribe", more))
            for some in _chunks(channels, self._chunk)
        ]

    def _one(self, status: Status) -> list[StreamEvent]:
        word, message = status.status, status.message
        if word == "success":
            return self._success(message)
        if word == "connected":
            if self.phase is Phase.AWAIT_CONNECTED:
                self.phase = Phase.AUTHENTICATING
            return []
        if word == "auth_success":
            self.phase = Phase.READY
            return [Authenticated()]
        if word == "auth_failed":
            self.phase = Phase.ENDED
            return [AuthRefused(message)]
        if word == "max_connections":
            self.phase = Phase.ENDED
            return [TooManyConnections(message)]
        lowered = message.lower()
        if word == "error" and ("not authorized" in lowered or "don't have access" in lowered):
            named = _CHANNEL.findall(message) or [""]
            for channel in named:
                self.refused[channel] = message
                self.confirmed.discard(channel)
            return [ChannelRefused(channel, message) for channel in named]
        return [Noted(word, message)]

    def _success(self, message: str) -> list[StreamEvent]:
        step = _STEP.match(message)
        if step:
            return [StepReached(int(step.group(1)))]
        channels = _CHANNEL.findall(message)
        if message.startswith("unsubscribed"):
            self.confirmed.difference_update(channels)
            return [Unsubscribed(channel) for channel in channels]
        if message.startswith("subscribed"):
            self.confirmed.update(channels)
            return [Subscribed(channel) for channel in channels]
        return [Noted("success", message)]


def _message(action: str, params: str) -> bytes:
    return msgspec.json.encode({"action": action, "params": params})


def _chunks(channels: list[str], size: int) -> list[list[str]]:
    return [channels[first : first + size] for first in range(0, len(channels), size)]
