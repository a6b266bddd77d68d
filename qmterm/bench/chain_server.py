"""A server process that answers with prepared pages, gzipped as the vendor does: `python -m … PAGES_FILE`.

It does as little as an HTTP server can, so that what a client waits for is the wire and not this. Page n is at
`?cursor=n`, the first one without.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec


def _answers(file: Path) -> list[bytes]:
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n"
    return [
        head.format(len(body)).encode() + body for body in msgspec.msgpack.decode(file.read_bytes(), type=list[bytes])
    ]


async def _serve(file: Path) -> None:
    answers = _answers(file)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                target = request.split(b" ", 2)[1].decode()
                page = int(parse_qs(urlsplit(target).query).get("cursor", ["0"])[0])
                writer.write(answers[page])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until whoever started it goes away
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
