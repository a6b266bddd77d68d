"""Raw stream frames in a file, as they came: the format, its writer, its reader.

    QMFRAMES, header length u32, header JSON {version, clusters, codec, start_ns, part}, its crc u32
    then blocks: QBLK, stored length u32, plain length u32, crc u32 of the stored bytes, stored bytes (zstd)
    a block holds records: arrival_ns i64, monotonic_ns i64, cluster number u8, length u32, frame bytes

All little-endian; a record never spans two blocks. The trap: a crash tears the last block. The reader stops before
it and says so (`torn`); everything in front of it is whole, by checksum. A file is never appended to afterwards.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from qmterm.core.errors import BadInput

SUFFIX = ".frames"
VERSION = 1
GAP = 255  # cluster number of a record whose frame is the count of frames that were left out here, in ASCII

_MAGIC = b"QMFRAMES"
_BLOCK_MAGIC = b"QBLK"
_LENGTH = struct.Struct("<I")
_BLOCK = struct.Struct("<4sIII")
_RECORD = struct.Struct("<qqBI")
_MOST_PLAIN = 1 << 30  # a block says it is larger than this: not a block
_CODEC = "zstd"


class RecordedFrame(NamedTuple):
    """`arrival_ns` is market time when it was read (0 in lockstep: the data's own times), `monotonic_ns` real time."""

    cluster: str
    arrival_ns: int
    monotonic_ns: int
    frame: bytes


class RecordingHeader(msgspec.Struct, frozen=True):
    version: int
    clusters: tuple[str, ...]
    start_ns: int  # market time when the file was begun
    codec: str
    part: int = 0  # how many files this recorder had begun before


def record_bytes(cluster: int, arrival_ns: int, monotonic_ns: int, frame: bytes) -> bytes:
    """One record as it stands in a block."""
    return _RECORD.pack(arrival_ns, monotonic_ns, cluster, len(frame)) + frame


class FrameWriter:
    """One file. Blocks are made by the caller (`write_block`) or gathered here (`add`, `close`); OSError when full."""

    def __init__(self, path: Path, clusters: Sequence[str], start_ns: int, part: int = 0, block: int = 1 << 18) -> None:
        import pyarrow as pa

        if not 0 < len(clusters) < GAP:
            raise BadInput(f"{path}: a recording is of 1 to {GAP - 1} streams, not {len(clusters)}")
        self.path = path
        self.clusters = tuple(clusters)
        self._numbers = {cluster: number for number, cluster in enumerate(clusters)}
        self._codec: Any = pa.Codec(_CODEC, compression_level=1)
        self._block = block
        self._gathered = bytearray()
        header = msgspec.json.encode(RecordingHeader(VERSION, self.clusters, start_ns, _CODEC, part))
        self._file: BinaryIO = path.open("xb", buffering=0)
        self.size = 0
        self._put(_MAGIC + _LENGTH.pack(len(header)) + header + _LENGTH.pack(zlib.crc32(header)))

    def add(self, cluster: str, arrival_ns: int, monotonic_ns: int, frame: bytes) -> None:
        self._gathered += record_bytes(self._numbers[cluster], arrival_ns, monotonic_ns, frame)
        if len(self._gathered) >= self._block:
            self.flush()

    def flush(self) -> None:
        """Everything added so far is handed to the operating system."""
        if self._gathered:
            plain, self._gathered = bytes(self._gathered), bytearray()
            self.write_block(plain)

    def write_block(self, plain: bytes) -> None:
        """Store whole records (`record_bytes`, one after the other)."""
        stored: bytes = self._codec.compress(plain, asbytes=True)
        self._put(_BLOCK.pack(_BLOCK_MAGIC, len(stored), len(plain), zlib.crc32(stored)) + stored)

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._file.close()

    def _put(self, piece: bytes) -> None:
        left = memoryview(piece)
        while left:  # an unbuffered write may take less than it was given
            written = self._file.write(left) or 0
            self.size += written
            left = left[written:]


class FrameReader:
    """Iterates a file's frames in the order they came; BadInput when it is no recording.

    After an iteration `torn` says that the file ends inside a block, `damaged` counts blocks whose checksum is wrong
    (left out), `left_out` the frames that the recorder could not keep up with.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = False
        self.damaged = 0
        self.left_out = 0
        with _opened(path) as file:
            self.header = _read_header(path, file)
            self._start = file.tell()

    def __iter__(self) -> Iterator[RecordedFrame]:
        import pyarrow as pa

        codec: Any = pa.Codec(self.header.codec)
        clusters = self.header.clusters
        self.torn, self.damaged, self.left_out = False, 0, 0
        with _opened(self.path) as file:
            file.seek(self._start)
            while head := file.read(_BLOCK.size):
                if len(head) < _BLOCK.size:
                    self.torn = True
                    return
                magic, length, plain_length, crc = _BLOCK.unpack(head)
                stored = file.read(length) if magic == _BLOCK_MAGIC and plain_length <= _MOST_PLAIN else b""
                if len(stored) != length or magic != _BLOCK_MAGIC:
                    self.torn = True
                    return
                if zlib.crc32(stored) != crc:
                    self.damaged += 1
                    continue
                plain: bytes = codec.decompress(stored, decompressed_size=plain_length, asbytes=True)
                at = 0
                while at < plain_length:
                    arrival_ns, monotonic_ns, cluster, size = _RECORD.unpack_from(plain, at)
                    at += _RECORD.size
                    frame = plain[at : at + size]
                    at += size
                    if cluster == GAP:
                        self.left_out += int(frame)
                    else:
                        yield RecordedFrame(clusters[cluster], arrival_ns, monotonic_ns, frame)


def recordings(folder: Path) -> tuple[Path, ...]:
    """The recordings of a folder, oldest first (their names begin with the market time of their start)."""
    return tuple(sorted(folder.glob(f"*{SUFFIX}")))


def read_frames(path: Path) -> Iterator[RecordedFrame]:
    """Every frame of a file, or of all recordings of a folder in their order; torn ends are passed over."""
    if not path.is_dir():
        yield from FrameReader(path)
        return
    files = recordings(path)
    if not files:
        raise BadInput(f"{path} holds no recording (*{SUFFIX})")
    for file in files:
        yield from FrameReader(file)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as failure:
        raise BadInput(f"recording {path} cannot be opened ({failure.strerror})") from None


def _read_header(path: Path, file: BinaryIO) -> RecordingHeader:
    start = file.read(len(_MAGIC) + _LENGTH.size)
    if len(start) < len(_MAGIC) + _LENGTH.size or not start.startswith(_MAGIC):
        raise BadInput(f"{path} is not a recording of stream frames")
    (length,) = _LENGTH.unpack(start[len(_MAGIC) :])
    body = file.read(min(length, 1 << 20))
    crc = file.read(_LENGTH.size)
    if len(crc) < _LENGTH.size or _LENGTH.unpack(crc)[0] != zlib.crc32(body):
        raise BadInput(f"recording {path} has a damaged header")
    try:
        header = msgspec.json.decode(body, type=RecordingHeader)
    except msgspec.DecodeError as failure:
        raise BadInput(f"recording {path} has an unreadable header ({failure})") from None
    if header.version != VERSION or header.codec != _CODEC:
        raise BadInput(f"recording {path} is of version {header.version}, {header.codec}: this program reads {VERSION}")
    return header
