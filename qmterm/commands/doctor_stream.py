"""`qmterm doctor`, one stream: connect, log in, ask for a symbol's quotes and minutes, read what is granted.

The trap: a server that accepts the connection and then says nothing must cost the deadline and not one second more.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from qmterm.commands.doctor_report import Check, fail, ok, warn
from qmterm.market.stream.protocol import AuthRefused, Phase, StreamEvent, StreamProtocol, TooManyConnections

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PLAN = "real-time quotes need the Advanced plan of this cluster; delayed plans use ws_url = wss://delayed.polygon.io"


async def ask_stream(name: str, url: str, key: str, symbol: str, patience_s: float) -> Check:
    """The stream's own answer, as a check."""
    host = urlsplit(url).hostname or ""
    talk = StreamProtocol(key)
    channels = frozenset({f"Q.{symbol}", f"AM.{symbol}"})
    talk.want(channels)
    try:
        async with (
            asyncio.timeout(patience_s),
            connect(url, proxy=None if host in LOOPBACK else True, max_size=None, close_timeout=1.0) as socket,
        ):
            while not channels <= talk.confirmed | talk.refused.keys():
                events = talk.receive(await socket.recv(decode=False))
                problem = _refused(name, events)
                if problem is not None:
                    return problem
                if "" in talk.refused:  # a refusal that names no channel is about all of them
                    break
                for message in talk.outgoing():
                    await socket.send(message.decode())
    except TimeoutError:
        step = "log in" if talk.phase is not Phase.READY else "answer the subscription"
        return fail(name, f"{host} did not {step} within {patience_s:g} s", "check the network and [polygon] ws_url")
    except ConnectionClosed as error:
        why = f"{error.rcvd.code} {error.rcvd.reason}".strip() if error.rcvd else "without a word"
        return fail(name, f"{host} closed the connection ({why})", "try again; another program may use this key")
    except (OSError, WebSocketException) as error:
        return fail(name, f"cannot connect to {host}: {error}", "check the network, a proxy, and [polygon] ws_url")
    if talk.refused:
        refused = ", ".join(sorted(channel or "everything" for channel in talk.refused))
        return warn(name, f"logged in, but {refused} is refused: {next(iter(talk.refused.values()))}", PLAN)
    return ok(name, f"{host}: logged in, {', '.join(sorted(talk.confirmed))} granted")


def _refused(name: str, events: list[StreamEvent]) -> Check | None:
    for event in events:
        if isinstance(event, AuthRefused):
            return fail(name, f"the key is not accepted: {event.message}", "check QMTERM_POLYGON_KEY and your plan")
        if isinstance(event, TooManyConnections):
            return warn(name, event.message, "another program uses this key: a plan allows one connection a cluster")
    return None
