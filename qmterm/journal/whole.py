"""Is the journal's file all there? Asked before SQLite sees it; a new one appears whole or not at all.

The traps: SQLite takes an empty file for a new one (every stop, latch and order forgotten, and the log beside it
deleted), and reads the missing end of a cut one as zeros, which `quick_check` may accept. And a short file can be
right: after a kill in the middle of a checkpoint the missing pages are in the log.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

from qmterm.core.errors import JournalError

_MAGIC = b"SQLite format 3\0"
_HEADER = 100  # bytes of page 1 that describe the file
_LOG_HEADER, _FRAME_HEADER = 32, 24
_LOG_MAGIC = 0x377F0682  # the last bit tells the checksum's byte order
_LOOKS = 5  # a reader may look while a running engine moves pages from the log into the file


def refuse_cut(path: Path) -> None:
    """JournalError when bytes of an existing file are missing; nothing is opened for writing."""
    try:
        found = _cut(path)
        for _ in range(_LOOKS - 1):
            if found is None:
                return
            before, found = found, _cut(path)
            if found == before:
                break
    except OSError:  # no such file, a folder, no permission: SQLite says it better
        return
    if found is None:
        return
    there, whole = found
    size = f"{there:,} of {whole:,} bytes are there" if there else "it has no bytes"
    raise JournalError(
        f"The journal {path} is cut short ({size}); nothing was changed: restore a copy, or salvage the rest with "
        f"`sqlite3 {path.name} .recover`; to begin without its orders and stops, move it and its -wal file aside"
    )


def absent(path: Path) -> bool:
    """Whether a new journal may be made here; JournalError when a log without its file stands in the way."""
    real = _real(path)
    if os.path.exists(real):  # also when it may not be looked at
        return False
    log = real.with_name(real.name + "-wal")
    if os.path.exists(log) and os.path.getsize(log):
        raise JournalError(
            f"The journal {path} is gone, but its log {log.name} is there and holds rows; nothing was changed: put the "
            "file back beside it, or move the log aside to begin without them"
        )
    return True


def appear(path: Path, content: bytes) -> None:
    """Write a new file and give it its name last, so that a kill on the way leaves none; JournalError."""
    real = _real(path)
    beside = real.with_name(real.name + ".new")  # what a kill left of an earlier one is written over
    try:
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(real)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        _keep_name(real.parent)
    except OSError as error:
        raise JournalError(
            f"The journal {path} cannot be made ({error.strerror}); free space there, give yourself write permission "
            "or choose another file with --journal"
        ) from error


def _real(path: Path) -> Path:
    """The file itself, not a link to it: SQLite keeps the log beside the file."""
    return Path(os.path.realpath(path))


def _keep_name(folder: Path) -> None:
    """A file's name is durable only when its folder is."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cut(path: Path) -> tuple[int, int] | None:
    """Bytes that are there and bytes that should be; None when none is known to be missing."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(_HEADER)
    if not size:
        return 0, 0
    if len(header) < _HEADER:
        # A few bytes that do not begin like a database were never one of ours: SQLite says so.
        return (size, _HEADER) if header[:16] == _MAGIC[: len(header)] else None
    page = struct.unpack_from(">H", header, 16)[0]
    page = 65_536 if page == 1 else page
    changes, pages = struct.unpack_from(">II", header, 24)
    if header[:16] != _MAGIC or page < 512 or page & (page - 1) or changes != struct.unpack_from(">I", header, 92)[0]:
        return None  # the page count counts only when the two change counters agree
    if size >= page * pages:
        return None
    real = _real(path)
    logged, last = _logged(real.with_name(real.name + "-wal"), page)
    pages = last or pages
    if all(number in logged for number in range(size // page + 1, pages + 1)):
        return None
    return size, page * pages


def _logged(log: Path, page: int) -> tuple[set[int], int]:
    """The pages that the log's commits hold, and the file's pages after the last of them (0: no commit)."""
    held: set[int] = set()
    waiting: set[int] = set()
    last = 0
    try:
        file = log.open("rb")
    except FileNotFoundError:
        return held, last
    with file:
        header = file.read(_LOG_HEADER)
        if len(header) < _LOG_HEADER:
            return held, last
        magic, _version, size = struct.unpack_from(">III", header)
        salts = header[16:24]
        if magic & ~1 != _LOG_MAGIC or size != page:
            return held, last
        while len(frame := file.read(_FRAME_HEADER + page)) == _FRAME_HEADER + page and frame[8:16] == salts:
            number, committed = struct.unpack_from(">II", frame)
            waiting.add(number)
            if committed:
                held |= waiting
                waiting.clear()
                last = committed
    return held, last
