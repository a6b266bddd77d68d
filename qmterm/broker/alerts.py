"""The SDK's alert streamer, made to hand its messages over whole.

The SDK validates each event and dies from the first that does not fit; here numbers stay exact, the server's sequence
is kept, and judging a message is the caller's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from tastytrade import AlertStreamer
from tastytrade.streamer import SubscriptionType
from tastytrade.utils import TastytradeError

from qmterm.broker.session import BrokerSession


class RawAlertStreamer(AlertStreamer):
    """AlertStreamer that hands over whole messages, numbers exact, sequence kept, nothing validated."""

    def __init__(self, session: BrokerSession, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(session.sdk)
        self.base_url = session.streamer_url
        self._on_message = on_message

    async def _reader(self) -> None:
        while True:
            message = json.loads(await self._websocket.receive_text(), parse_float=Decimal)
            if isinstance(message, dict):
                self._arrived(message)

    def _arrived(self, message: dict[str, Any]) -> None:
        if message.get("type") is not None:
            self._on_message(message)
            return
        if message.get("status") == "error":
            # Often without a request id: the SDK would wait ten seconds and say nothing.
            raise TastytradeError(f"account stream error: {message.get('message', 'no reason given')}")
        if message.get("action") == "heartbeat":
            self._on_message(message)
        waiting = self._subscription_state.pop(int(message.get("request-id") or 0), None)
        if waiting is not None:
            waiting.set()

    def next_number(self) -> int:
        self.request_id += 1
        return self.request_id

    async def beat(self, number: int) -> None:
        """The heartbeat the service documents; its answer (where there is one) proves that somebody is there."""
        await self.session.refresh()
        await self._websocket.send_json(
            {
                "auth-token": f"Bearer {self.session.session_token}",
                "action": SubscriptionType.HEARTBEAT.value,
                "request-id": number,
            }
        )
