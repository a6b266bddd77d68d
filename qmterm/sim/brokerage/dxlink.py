"""The broker's market data socket, /dxlink: set-up, login, channels, subscriptions, compact events (PROTOCOLS 12).

The trap: the SDK decodes by its own order of fields, not by our answer. Events are laid out exactly in the order that
the client asked for, and no frame is larger than the 64 KiB its reader takes.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from aiohttp import WSMsgType, web

from qmterm.core.instruments import OptionContract, Right
from qmterm.core.quotes import Quote
from qmterm.sim.brokerage.world import BrokerageWorld

KEEPALIVE_S = 60.0
FRAME_BYTES = 64 * 1024
_EVENTS_A_FRAME = 100
_MS, _NS = 1_000_000, 1_000_000_000
NAN = "NaN"
_OPTION = re.compile(r"\.([A-Z][A-Z0-9]{0,5}?)(\d{6})([CP])(\d+(?:\.\d+)?)")

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OptionSense:
    """What Greeks events say: dollars per share, volatility as a fraction, theta a day, vega a point."""

    price: float
    volatility: float
    delta: float
    gamma: float
    theta: float
    rho: float
    vega: float


@runtime_checkable
class SensingWorld(Protocol):
    """A world that also knows the Greeks of its contracts."""

    def option_sense(self, occ: str) -> OptionSense | None: ...


@dataclass
class _Channel:
    number: int
    fields: dict[str, list[str]] = field(default_factory=dict)  # event type: the order asked for
    wanted: dict[tuple[str, str], Event | None] = field(default_factory=dict)  # (type, symbol): last sent


class _Client:
    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.authorized = False
        self.channels: dict[int, _Channel] = {}
        self.lock = asyncio.Lock()

    async def send(self, **message: Any) -> None:
        async with self.lock:
            if not self.socket.closed:
                await self.socket.send_str(json.dumps(message))


class DxLink:
    """`issue_token` for REST's answer; `serve` is the socket; `publish` after each step sends what changed."""

    def __init__(self, world: BrokerageWorld) -> None:
        self._world = world
        self._tokens: set[str] = set()
        self._clients: set[_Client] = set()
        self._publishing: asyncio.Task[None] | None = None
        self.logins = 0

    def issue_token(self) -> str:
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        return token

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=FRAME_BYTES)
        await socket.prepare(request)
        client = _Client(socket)
        self._clients.add(client)
        try:
            while True:
                try:
                    message = await socket.receive(timeout=KEEPALIVE_S)
                except TimeoutError:
                    await client.send(type="ERROR", channel=0, error="TIMEOUT", message="no message in 60 s")
                    await socket.close()
                    break
                if message.type is not WSMsgType.TEXT:
                    break
                await self._take(client, message.data)
        finally:
            self._clients.discard(client)
        return socket

    def publish(self) -> None:
        """Send what changed to everybody; a step that comes while the last is still being sent is passed over."""
        if any(client.channels for client in self._clients) and (self._publishing is None or self._publishing.done()):
            self._publishing = asyncio.get_running_loop().create_task(self._publish(), name="dxlink")

    async def close_all(self, code: int) -> None:
        for client in list(self._clients):
            await client.socket.close(code=code)

    # --- inside ---

    async def _publish(self) -> None:
        for client in list(self._clients):
            for channel in list(client.channels.values()):
                await self._send_news(client, channel, list(channel.wanted))

    async def _take(self, client: _Client, text: str) -> None:
        try:
            body: Any = json.loads(text)
            kind, number = str(body["type"]), int(body["channel"])
        except (ValueError, KeyError, TypeError):
            await client.send(type="ERROR", channel=0, error="INVALID_MESSAGE", message="not a message of DXLink")
            return
        if kind == "SETUP":
            await client.send(
                type="SETUP", channel=0, keepaliveTimeout=60, acceptKeepaliveTimeout=60, version="1.0-simulator"
            )
            await client.send(type="AUTH_STATE", channel=0, state="UNAUTHORIZED")
        elif kind == "KEEPALIVE":
            await client.send(type="KEEPALIVE", channel=0)
        elif kind == "AUTH":
            if body.get("token") not in self._tokens:
                await client.send(type="ERROR", channel=0, error="UNAUTHORIZED", message="the token is not valid")
                await client.socket.close()
                return
            client.authorized = True
            self.logins += 1
            await client.send(type="AUTH_STATE", channel=0, state="AUTHORIZED", userId="simulator")
        elif not client.authorized:
            await client.send(type="ERROR", channel=0, error="UNAUTHORIZED", message="authorize first")
        else:
            await self._channel(client, kind, number, body)

    async def _channel(self, client: _Client, kind: str, number: int, body: Mapping[str, Any]) -> None:
        if kind == "CHANNEL_REQUEST":
            client.channels[number] = _Channel(number)
            await client.send(
                type="CHANNEL_OPENED",
                channel=number,
                service="FEED",
                parameters={"contract": "AUTO", "subFormat": "LIST"},
            )
            return
        channel = client.channels.get(number)
        if channel is None:
            await client.send(type="ERROR", channel=number, error="BAD_ACTION", message=f"channel {number} is not open")
        elif kind == "FEED_SETUP":
            channel.fields.update(body.get("acceptEventFields") or {})
            period = body.get("acceptAggregationPeriod", 0.1)
            await client.send(
                type="FEED_CONFIG",
                channel=number,
                dataFormat="COMPACT",
                eventFields=channel.fields,
                aggregationPeriod=period,
            )
        elif kind == "FEED_SUBSCRIPTION":
            if body.get("reset"):
                channel.wanted.clear()
            for row in body.get("remove") or ():
                channel.wanted.pop((row["type"], row["symbol"]), None)
            added = [(row["type"], row["symbol"]) for row in body.get("add") or ()]
            channel.wanted.update(dict.fromkeys(added))
            await self._send_news(client, channel, added)
        elif kind == "CHANNEL_CANCEL":
            del client.channels[number]
            await client.send(type="CHANNEL_CLOSED", channel=number)

    async def _send_news(self, client: _Client, channel: _Channel, keys: list[tuple[str, str]]) -> None:
        news: dict[str, list[Event]] = {}
        for key in keys:
            kind, symbol = key
            maker = _MAKERS.get(kind)
            event = maker(self._world, symbol) if maker is not None and kind in channel.fields else None
            before = channel.wanted.get(key)
            if event is None or (before is not None and _same(event, before)):
                continue
            channel.wanted[key] = event
            news.setdefault(kind, []).append(event)
        for kind, events in news.items():
            order = channel.fields[kind]
            for first in range(0, len(events), _EVENTS_A_FRAME):
                flat = [event.get(name, NAN) for event in events[first : first + _EVENTS_A_FRAME] for name in order]
                await client.send(type="FEED_DATA", channel=channel.number, data=[kind, flat])


def _same(event: Event, before: Event) -> bool:
    """Nothing but the clock moved."""
    times = ("time", "bidTime", "askTime", "timeNanoPart")
    return all(value == before.get(name) for name, value in event.items() if name not in times)


def occ_of(symbol: str) -> str:
    """`.SPY261218C500` as an OCC symbol, '' when it is none. (The SDK's own reverse helper is wrong for many.)"""
    match = _OPTION.fullmatch(symbol)
    if match is None:
        return ""
    root, day, right, strike = match.groups()
    try:
        expiry = datetime.strptime(day, "%y%m%d").date()  # noqa: DTZ007 - a date, not an instant
    except ValueError:
        return ""
    return OptionContract(root, expiry, Right(right), Decimal(strike)).occ


def _quote_of(world: BrokerageWorld, symbol: str) -> Quote | None:
    name = occ_of(symbol) if symbol.startswith(".") else symbol
    return world.quote(name) if name else None


def _quote(world: BrokerageWorld, symbol: str) -> Event | None:
    quote = _quote_of(world, symbol)
    if quote is None:
        return None
    at, part = quote.time_ns // _MS, quote.time_ns % _MS
    sides = {"bidTime": at, "askTime": at, "bidExchangeCode": "Q", "askExchangeCode": "Q", "timeNanoPart": part}
    prices = {"bidPrice": quote.bid, "askPrice": quote.ask, "bidSize": quote.bid_size, "askSize": quote.ask_size}
    return {"eventSymbol": symbol, "eventTime": 0, "sequence": 0, **sides, **prices}


def _greeks(world: BrokerageWorld, symbol: str) -> Event | None:
    quote = _quote_of(world, symbol)
    if quote is None or not symbol.startswith(".") or not isinstance(world, SensingWorld):
        return None
    sense = world.option_sense(quote.symbol)
    if sense is None:
        return None
    at = quote.time_ns // _MS
    numbers = {name: getattr(sense, name) for name in OptionSense.__slots__}
    return {"eventSymbol": symbol, "eventTime": 0, "eventFlags": 0, "index": at, "time": at, "sequence": 0, **numbers}


def _trade(world: BrokerageWorld, symbol: str) -> Event | None:
    quote = _quote_of(world, symbol)
    last = None if quote is None else world.last(quote.symbol)
    if quote is None or last is None:
        return None
    where = {"exchangeCode": "Q", "tickDirection": "ZERO", "extendedTradingHours": False}
    day = quote.time_ns // (86_400 * _NS)
    stamp = {"time": quote.time_ns // _MS, "timeNanoPart": quote.time_ns % _MS, "sequence": 0, "dayId": day}
    return {"eventSymbol": symbol, "eventTime": 0, **stamp, **where, "price": last}


def _summary(world: BrokerageWorld, symbol: str) -> Event | None:
    quote = _quote_of(world, symbol)
    if quote is None:
        return None
    close = world.previous_close(quote.symbol)
    day = quote.time_ns // (86_400 * _NS)
    days = {"dayId": day, "prevDayId": day - 1, "dayClosePriceType": "REGULAR", "prevDayClosePriceType": "REGULAR"}
    event: Event = {"eventSymbol": symbol, "eventTime": 0, **days, "openInterest": 0}
    return event if close is None else {**event, "prevDayClosePrice": close}


_MAKERS: Mapping[str, Callable[[BrokerageWorld, str], Event | None]] = {
    "Quote": _quote,
    "Greeks": _greeks,
    "Trade": _trade,
    "Summary": _summary,
}
