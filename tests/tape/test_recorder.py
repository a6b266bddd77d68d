"""The recorder writes beside the stream: by the hour, within its room, and ends quietly when the disk is full."""

import errno
import threading

import pytest

from qmterm.tape import recorder as recording
from qmterm.tape.frames import FrameReader, FrameWriter, read_frames, recordings
from qmterm.tape.recorder import FrameRecorder

START = 1_772_463_600_000_000_000
HOUR = 3_600_000_000_000


def recorder(folder, **changes):
    options = {"limit_bytes": 1 << 30, "keep_days": 7, **changes}
    return FrameRecorder(folder, ("stocks", "options"), START, **options)


def noise(number, size=2_000):
    """Bytes that do not compress."""
    return bytes((number * 7919 + n * n * 31 + (n * number) % 251) % 256 for n in range(size))


def test_frames_come_back_in_order_and_a_new_hour_is_a_new_file(tmp_path):
    rows = [(("stocks", "options")[n % 3 == 0], START + n * HOUR // 10, n, b"frame %d" % n) for n in range(25)]
    tape = recorder(tmp_path / "frames")
    for row in rows:
        tape.add(*row)
    tape.close()
    files = recordings(tmp_path / "frames")
    assert len(files) == 3
    assert files[0].name.startswith("20260302T150000Z")
    assert [FrameReader(path).header.part for path in files] == [0, 1, 2]
    assert [tuple(frame) for frame in read_frames(tmp_path / "frames")] == rows
    assert (tape.frames, tape.left_out, tape.stopped) == (25, 0, "")
    assert tape.written == sum(path.stat().st_size for path in files)


def test_what_was_added_reaches_the_disk_without_a_close(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "FLUSH_S", 0.02)
    written = threading.Event()
    original = FrameWriter.write_block
    monkeypatch.setattr(FrameWriter, "write_block", lambda self, plain: (original(self, plain), written.set())[0])
    tape = recorder(tmp_path)
    tape.add("stocks", START, 1, b"one")
    assert written.wait(5.0)
    assert [frame.frame for frame in read_frames(tmp_path)] == [b"one"]
    tape.close()


def test_the_room_is_kept_by_giving_up_the_oldest_files(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "BLOCK", 4_000)
    limit = 200_000
    for hour in range(4):
        tape = FrameRecorder(tmp_path, ("stocks",), START + hour * HOUR, limit_bytes=limit, keep_days=7)
        for n in range(50):
            tape.add("stocks", START + hour * HOUR + n, n, noise(hour * 50 + n))
            if n % 5 == 4:  # blocks of a few frames, as they come in life
                tape._wake.acquire()
                tape._wake.notify()
                tape._wake.release()
        tape.close()
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert total <= limit + limit // 8 + 110_000  # one block more than its part may stand in the file begun last
    frames = [frame.frame for frame in read_frames(tmp_path)]
    assert frames[-1] == noise(199)
    assert noise(0) not in frames


def test_old_files_go_by_age(tmp_path):
    old = recorder(tmp_path)
    old.add("stocks", START, 1, b"old")
    old.close()
    (path,) = recordings(tmp_path)
    import os

    os.utime(path, ns=(0, path.stat().st_mtime_ns - 8 * 24 * HOUR))
    new = recorder(tmp_path)
    new.add("stocks", START, 1, b"new")
    new.close()
    assert [frame.frame for frame in read_frames(tmp_path)] == [b"new"]


def test_a_full_disk_ends_the_recording_with_one_sentence(tmp_path, monkeypatch):
    said = []
    told = threading.Event()

    def full(self, plain):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FrameWriter, "write_block", full)
    tape = recorder(tmp_path, on_stop=lambda text: (said.append(text), told.set()))
    for n in range(200):
        tape.add("stocks", START + n, n, noise(n))
    assert told.wait(5.0)
    tape.add("stocks", START, 1, b"after")  # goes nowhere, raises nothing
    tape.close()
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert tape.stopped == said[0]


def test_a_folder_that_cannot_be_made_ends_it_too(tmp_path):
    (tmp_path / "file").write_text("")
    tape = recorder(tmp_path / "file" / "frames")
    tape.add("stocks", START, 1, b"x")
    tape.close()
    assert "cannot be written" in tape.stopped


def test_what_the_disk_cannot_keep_up_with_is_left_out_and_the_file_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "_WAITING", 5_000)
    monkeypatch.setattr(recording, "BLOCK", 1_000)
    slow, busy = threading.Event(), threading.Event()
    original = FrameWriter.write_block

    def wait(self, plain):
        busy.set()
        slow.wait(5.0)
        original(self, plain)

    monkeypatch.setattr(FrameWriter, "write_block", wait)
    tape = recorder(tmp_path)
    tape.add("stocks", START, 0, noise(0))
    assert busy.wait(5.0)
    for n in range(1, 20):
        tape.add("stocks", START + n, n, noise(n))
    assert tape.left_out > 10
    slow.set()
    while tape._waiting:
        pass
    tape.add("stocks", START + 20, 20, noise(20))
    tape.close()
    (path,) = recordings(tmp_path)
    reader = FrameReader(path)
    got = [frame.frame for frame in reader]
    assert reader.left_out == tape.left_out == 21 - len(got)
    assert got[-1] == noise(20)


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_a_frame_of_any_size_is_kept_whole(tmp_path, size):
    tape = recorder(tmp_path)
    tape.add("options", 0, 5, b"x" * size)
    tape.close()
    assert [tuple(frame) for frame in read_frames(tmp_path)] == [("options", 0, 5, b"x" * size)]
