"""The symbol table of a history store: every name once, so that a session's rows carry a number beside the name.

Hashing 32,345 names in each of 300 files costs more than reading their prices. The trap: a number is only as good as
the table it was given by, and a store may be copied, merged or written by two programs at once. So each file keeps a
checksum of its names in row order, and a number counts only where the table spells exactly those names.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qmterm.tape.storing import storing

T = TypeVar("T", bound=np.generic)
Numbers = NDArray[np.int32]
FILE = "symbols.txt"  # one name a line; its number is the line's place, from 0
CHECKSUM = b"qmterm.names"  # key of the checksum in a file's schema metadata


_MIX = np.uint64(0x9E3779B97F4A7C15)
_ODD = np.arange(8_192, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_latest: dict[Path, tuple[tuple[int, int, int], SymbolTable]] = {}  # it is asked for at every session written


@dataclass(frozen=True, slots=True)
class SymbolTable:
    names: Any  # pyarrow StringArray, in order of first appearance
    hashes: NDArray[np.uint64]  # of each name

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, names: Any) -> SymbolTable:
        return cls(names, _hashes(names))

    @classmethod
    def load(cls, directory: Path) -> SymbolTable:
        """The store's table; an absent one is empty (its files are then read by their names)."""
        path = directory / FILE
        try:
            stamp = path.stat()
            key = (stamp.st_mtime_ns, stamp.st_size, stamp.st_ino)
            if path in _latest and _latest[path][0] == key:
                return _latest[path][1]
            table = cls.of(_lines(path.read_bytes()))
        except (FileNotFoundError, UnicodeDecodeError):
            return cls.of(_lines(b""))
        _latest.clear()  # one store at a time is in use
        _latest[path] = (key, table)
        return table

    def save(self, directory: Path) -> None:
        replace_file(directory / FILE, "".join(f"{name}\n" for name in self.names.to_pylist()).encode())

    def with_names(self, wanted: Any) -> SymbolTable:
        """The table with the names it did not have yet at its end; itself when it had them all."""
        import pyarrow as pa
        import pyarrow.compute as pc

        fresh = pc.unique(wanted.filter(pc.is_null(pc.index_in(wanted, value_set=self.names))))
        if not len(fresh):
            return self
        return SymbolTable(pa.concat_arrays([self.names, fresh]), np.concatenate([self.hashes, _hashes(fresh)]))

    def numbers(self, wanted: Any) -> Numbers:
        """The number of each name; −1 for a name that is not in the table."""
        import pyarrow.compute as pc

        return plain(pc.fill_null(pc.index_in(wanted, value_set=self.names), -1), np.int32)

    def checksum(self, numbers: Numbers) -> bytes | None:
        """Of the names these numbers stand for, in order; None when one is not in the table."""
        if not len(numbers):
            return b"0"
        if numbers.min() < 0 or numbers.max() >= len(self):
            return None
        # The sum of hash·(2·place + 1), modulo 2^64; in pieces, because fresh memory costs more than the sum.
        total = 0
        for start in range(0, len(numbers), len(_ODD)):
            piece = self.hashes.take(numbers[start : start + len(_ODD)])
            total += int(np.dot(piece, _ODD[: len(piece)])) + 2 * start * int(piece.sum(dtype=np.uint64))
        return str(total % 2**64).encode()


def _hashes(names: Any) -> NDArray[np.uint64]:
    """64 bits a name, the same in every process (Python's own hash is not); no Python string is made."""
    count = len(names)
    hashes = np.zeros(count, dtype=np.uint64)
    if not count:
        return hashes
    _, offsets, letters = names.buffers()
    ends = np.frombuffer(offsets, np.int32, count + names.offset + 1)[names.offset :]
    starts, lengths = ends[:-1], np.diff(ends)
    text = np.frombuffer(letters, np.uint8) if letters is not None else np.zeros(1, np.uint8)
    for place in range(0, int(lengths.max(initial=0)), 8):
        word = np.zeros((count, 8), dtype=np.uint8)
        for letter in range(8):
            inside = np.flatnonzero(lengths > place + letter)
            word[inside, letter] = text[starts[inside] + place + letter]
        hashes = (hashes ^ word.view(np.uint64)[:, 0]) * _MIX
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _lines(text: bytes) -> Any:
    """Lines as a StringArray, made of its buffers: `pyarrow.array` would import pandas."""
    import pyarrow as pa

    text.decode()  # raises where it is no UTF-8
    if text and not text.endswith(b"\n"):
        text += b"\n"
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
    offsets = np.concatenate([[0], ends - np.arange(len(ends))]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text.replace(b"\n", b""))]
    return pa.Array.from_buffers(pa.string(), len(ends), buffers)


def at(names: Any, places: NDArray[np.int64]) -> Any:
    """Some entries of an Arrow array, by their places."""
    import pyarrow as pa

    wanted = np.ascontiguousarray(places, dtype=np.int64)
    return names.take(pa.Array.from_buffers(pa.int64(), len(wanted), [None, pa.py_buffer(wanted)]))


def plain(column: Any, dtype: type[T]) -> NDArray[T]:
    """A number column without nulls as numpy, uncopied where it is in one piece.

    Arrow's own `to_numpy` would import pandas: 40 MB and a second for nothing.
    """
    parts = []
    for chunk in getattr(column, "chunks", [column]):
        buffer = chunk.buffers()[1]
        if len(chunk) and buffer is not None:
            parts.append(np.frombuffer(buffer, dtype, chunk.offset + len(chunk))[chunk.offset :])
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file so that it appears whole or not at all; NotWritten when it cannot."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    with storing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(content)
            os.replace(unfinished, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                unfinished.unlink()
