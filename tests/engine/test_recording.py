"""Frames are recorded when the settings ask for it, beside the history of the same market; an end is logged."""

import asyncio
from pathlib import Path

from qmterm.engine.wiring import RunPlace, _recorder
from qmterm.tape.frames import read_frames
from tests.market.fakes import settings


class Log:
    def __init__(self):
        self.said = []

    def warn(self, area, text):
        self.said.append((area, text))


async def test_recording_is_off_unless_it_is_asked_for(tmp_path):
    assert _recorder(settings(), tmp_path, 0, Log()) is None


async def test_frames_stand_beside_the_history_of_their_market(tmp_path):
    place = RunPlace(tmp_path / "j.db", tmp_path / "cache" / "history" / "polygon", None, tmp_path / "accounts")
    assert place.frames == tmp_path / "cache" / "frames" / "polygon"
    recorder = _recorder(settings(record_frames=True), place.frames, 1_772_463_600_000_000_000, Log())
    recorder.add("stocks", 5, 6, b"[]")
    recorder.close()
    assert [frame.frame for frame in read_frames(place.frames)] == [b"[]"]


async def test_a_recording_that_ends_is_told_in_the_log(tmp_path):
    (tmp_path / "frames").write_text("")
    log = Log()
    recorder = _recorder(settings(record_frames=True), Path(tmp_path / "frames" / "polygon"), 0, log)
    recorder.add("stocks", 5, 6, b"[]")
    await asyncio.to_thread(recorder.close)
    await asyncio.sleep(0)
    assert [area for area, _ in log.said] == ["FEED"]
    assert "cannot be written" in log.said[0][1]
