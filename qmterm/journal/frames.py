"""What the engine and its scribe say to each other over a socket: frames of MessagePack, each after its length.

Batches go one way, an answer to each the other way, in the same order. The scribe's first word is a `Ready`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from qmterm.journal.commits import Batch, Outcome
from qmterm.journal.records import Record

AT_ONCE = 1 << 18  # bytes that are read at once
_LENGTH = struct.Struct("<I")


class _Unread(msgspec.Struct):
    number: int
    records: list[msgspec.Raw]


class Ready(msgspec.Struct):
    """The scribe has opened the file; `trouble`: it has not, and why."""

    trouble: str | None = None


class Answer(msgspec.Struct, gc=False):
    """What became of a batch's rows, and when SQLite and the disk were at work on it (time.perf_counter())."""

    outcomes: list[Outcome]
    began_s: float
    ended_s: float


_encode = msgspec.msgpack.Encoder().encode
batch_of = msgspec.msgpack.Decoder(Batch).decode
_record_of = msgspec.msgpack.Decoder(Record).decode
_unread_of = msgspec.msgpack.Decoder(_Unread).decode
answer_of = msgspec.msgpack.Decoder(Answer).decode
ready_of = msgspec.msgpack.Decoder(Ready).decode


def framed(message: Batch | Answer | Ready) -> bytes:
    """TypeError, ValueError or OverflowError for a batch with a value that has no MessagePack."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


def readable_of(body: bytes) -> tuple[Batch, dict[int, str]]:
    """Of a batch that `batch_of` refuses: the records that can be read, and by place what is wrong with the others."""
    unread = _unread_of(body)
    batch = Batch(unread.number, [])
    wrong: dict[int, str] = {}
    for place, record in enumerate(unread.records):
        try:
            batch.records.append(_record_of(record))
        except msgspec.DecodeError as error:
            wrong[place] = str(error)
    return batch, wrong


class Frames:
    """Cuts what a socket gives into messages."""

    def __init__(self) -> None:
        self._held = bytearray()

    def take(self, data: bytes) -> Iterator[bytes]:
        """Those that are whole now."""
        self._held += data
        at = 0
        try:
            while len(self._held) - at >= _LENGTH.size:
                ends = at + _LENGTH.size + _LENGTH.unpack_from(self._held, at)[0]
                if len(self._held) < ends:
                    break
                body = bytes(self._held[at + _LENGTH.size : ends])
                at = ends
                yield body
        finally:
            del self._held[:at]
