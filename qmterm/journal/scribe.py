"""The process that writes the journal for an engine: it takes batches from a socket and answers when they are durable.

A process, because one interpreter runs one thread at a time: the engine builds an order while this commits its intent.
It ends when the engine closes the socket or dies, and only then: signals meant for the engine do not reach it. Until
then it holds the journal's lock as well, so that nobody reads the file while an engine's last batch is being written.
The log beside the file is moved into it in pauses: SQLite does that within some order's commit, every 1,000 pages. Left
to grow it would cost more: a commit that makes a file longer takes a third longer than one that writes it over.
"""

from __future__ import annotations

import gc
import signal
import socket
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from qmterm.core.errors import JournalError
from qmterm.journal import schema
from qmterm.journal.commits import JournalFile, Outcome, commit, whole
from qmterm.journal.frames import AT_ONCE, Answer, Frames, Ready, batch_of, framed, readable_of

PAUSE_S = 0.2  # of silence, then the log may be moved
COMMITS = 100  # so many make it worth while, and are short of 1,000 pages


def main(arguments: list[str]) -> None:
    """`python -m qmterm.journal.scribe FILE DEVICE INODE SOCKET LOCK`: which file it is, and two descriptors."""
    for meant_for_the_engine in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(meant_for_the_engine, signal.SIG_IGN)
    path, engine = Path(arguments[0]), socket.socket(fileno=int(arguments[3]))
    file = JournalFile(path, (int(arguments[1]), int(arguments[2])))  # the engine's: another in its place is not ours
    with engine, suppress(BrokenPipeError, ConnectionResetError):  # it is gone: nobody waits for an answer
        try:
            file.check()
            connection = schema.connector(path)()
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("SELECT 1 FROM events").fetchone()
        except (JournalError, sqlite3.Error) as error:
            known = error if isinstance(error, JournalError) else schema.explain(error, path)
            engine.sendall(framed(Ready(str(known))))
            return
        serve(engine, connection, file)
        connection.close()


def serve(engine: socket.socket, connection: sqlite3.Connection, file: JournalFile) -> None:
    """Until the socket ends."""
    gc.freeze()
    gc.disable()  # rows come and go by the thousand and hold no cycles to look for
    engine.sendall(framed(Ready()))
    frames, commits = Frames(), 0
    while True:
        engine.settimeout(PAUSE_S if commits >= COMMITS else None)
        try:
            data = engine.recv(AT_ONCE)
        except TimeoutError:
            commits = 0
            _move_log(connection)
            continue
        if not data:
            return
        engine.settimeout(None)
        for body in frames.take(data):
            began = time.perf_counter()
            outcomes = _written(connection, body, file)
            engine.sendall(framed(Answer(outcomes, began, time.perf_counter())))
            commits += 1


def _move_log(connection: sqlite3.Connection) -> None:
    """As much of it as nobody reads; a disk that is full says so at the next commit."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _written(connection: sqlite3.Connection, body: bytes, file: JournalFile) -> list[Outcome]:
    """A row of other types than a record's is told so alone: the next scribe would end of it like this one."""
    try:
        return commit(connection, batch_of(body), file)
    except msgspec.DecodeError:
        batch, wrong = readable_of(body)
        refused = {place: str(schema.explain(sqlite3.DataError(why), file.path)) for place, why in wrong.items()}
        return whole(commit(connection, batch, file), refused)


if __name__ == "__main__":
    main(sys.argv[1:])
