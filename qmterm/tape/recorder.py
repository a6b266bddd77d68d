"""Records frames while they come: a thread compresses and writes, files change by the hour, old ones make room.

The trap: recording must never slow, stop or end the stream. `add` only copies into memory that is bounded (beyond it
frames are left out, counted, and the file says so); a full disk ends the recording with one sentence and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from qmterm.tape.frames import GAP, SUFFIX, FrameWriter, record_bytes, recordings

BLOCK = 1 << 18  # bytes gathered before the thread is woken
FLUSH_S = 1.0  # what a crash may cost at most
_WAITING = 1 << 26  # bytes in memory before frames are left out
_HOUR_NS = 3_600_000_000_000
_DAY_NS = 24 * _HOUR_NS
_PARTS = 8  # a single file takes at most this part of the room, so that making room costs no more


class FrameRecorder:
    """`add` from one thread (the engine's); `close` writes the rest. `on_stop` hears once why a recording ended."""

    def __init__(
        self,
        folder: Path,
        clusters: Sequence[str],
        start_ns: int,
        *,
        limit_bytes: int,
        keep_days: int,
        on_stop: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._folder = folder
        self._clusters = tuple(clusters)
        self._numbers = {cluster: number for number, cluster in enumerate(clusters)}
        self._limit, self._keep_ns = limit_bytes, keep_days * _DAY_NS
        self._on_stop = on_stop
        self._newest_ns = start_ns
        self._hour = start_ns // _HOUR_NS
        self._wake = threading.Condition()
        self._gathered = bytearray()
        self._full: list[tuple[int, bytes]] = []  # of an hour that is over, and the market time of its start
        self._began_ns = start_ns
        self._waiting = 0
        self._missed = 0
        self._closing = False
        self.stopped = ""  # why nothing is recorded any more
        self.frames = 0
        self.left_out = 0
        self.written = 0  # bytes on disk, compressed
        self._thread = threading.Thread(target=self._run, name="frame recorder", daemon=True)
        self._thread.start()

    def add(self, cluster: str, arrival_ns: int, monotonic_ns: int, frame: bytes) -> None:
        """Never waits for the disk, never raises."""
        if self.stopped or self._closing:
            return
        with self._wake:
            if self._waiting + len(self._gathered) > _WAITING:
                self._missed += 1
                self.left_out += 1
                return
            if arrival_ns > self._newest_ns:
                self._newest_ns = arrival_ns
                if arrival_ns // _HOUR_NS > self._hour:
                    self._turn(arrival_ns)
            if self._missed:
                self._gathered += record_bytes(GAP, arrival_ns, monotonic_ns, b"%d" % self._missed)
                self._missed = 0
            self._gathered += record_bytes(self._numbers[cluster], arrival_ns, monotonic_ns, frame)
            self.frames += 1
            if len(self._gathered) >= BLOCK:
                self._wake.notify()

    def close(self) -> None:
        """Write what is left and end the file."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    # --- the thread's side ---

    def _turn(self, arrival_ns: int) -> None:
        self._full.append((self._began_ns, bytes(self._gathered)))
        self._waiting += len(self._gathered)
        self._gathered = bytearray()
        self._hour, self._began_ns = arrival_ns // _HOUR_NS, arrival_ns

    def _run(self) -> None:
        file = _Files(self._folder, self._clusters, self._limit, self._keep_ns)
        try:
            while True:
                with self._wake:
                    if len(self._gathered) < BLOCK and not self._full and not self._closing:
                        self._wake.wait(FLUSH_S)
                    blocks, self._full = self._full, []
                    if self._gathered:
                        blocks.append((self._began_ns, bytes(self._gathered)))
                        self._gathered = bytearray()
                    self._waiting = sum(len(plain) for _, plain in blocks)
                    closing = self._closing
                for began_ns, plain in blocks:
                    file.write(began_ns, plain)
                    self.written = file.written
                with self._wake:
                    self._waiting = sum(len(plain) for _, plain in self._full)
                if closing:
                    file.close()
                    return
        except OSError as failure:
            with suppress(OSError):
                file.close()
            with self._wake:
                self._gathered = bytearray()
                self._full = []
                self.stopped = f"recording of frames stopped: {self._folder} cannot be written ({failure.strerror})"
            self._on_stop(self.stopped)


class _Files:
    """The files of one recording: begun by the hour or when large; the oldest of the folder make room."""

    def __init__(self, folder: Path, clusters: tuple[str, ...], limit: int, keep_ns: int) -> None:
        self._folder, self._clusters, self._limit, self._keep_ns = folder, clusters, limit, keep_ns
        self._writer: FrameWriter | None = None
        self._began_ns = -1
        self._parts = 0
        self._finished = 0

    @property
    def written(self) -> int:
        return self._finished + (self._writer.size if self._writer else 0)

    def write(self, began_ns: int, plain: bytes) -> None:
        if not plain:
            return
        if self._writer is None or began_ns != self._began_ns or self._writer.size > self._limit // _PARTS:
            self.close()
            self._begin(began_ns)
        assert self._writer is not None
        self._writer.write_block(plain)

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            self._finished += writer.size
            writer.close()

    def _begin(self, began_ns: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.fromtimestamp(began_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
        number = self._parts
        while True:
            path = self._folder / f"{stamp}-{number:03d}{SUFFIX}"
            try:
                self._writer = FrameWriter(path, self._clusters, began_ns, self._parts)
                break
            except FileExistsError:
                number += 1
        self._began_ns = began_ns
        self._parts += 1
        self._make_room(path)

    def _make_room(self, current: Path) -> None:
        """Room for one more whole file; the file just begun tells the time that ages are counted from."""
        now_ns = current.stat().st_mtime_ns
        room = self._limit - self._limit // _PARTS
        for path in reversed(recordings(self._folder)):
            if path == current:
                continue
            with suppress(FileNotFoundError):
                about = path.stat()
                room -= about.st_size
                if room < 0 or now_ns - about.st_mtime_ns > self._keep_ns:
                    path.unlink()
