"""Recorded frames come back byte for byte, whatever the end of the file looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.tape.frames import FrameReader, FrameWriter, read_frames, recordings

CLUSTERS = ("stocks", "options")
START = 1_772_463_600_000_000_000

frames = st.lists(
    st.tuples(st.sampled_from(CLUSTERS), st.integers(0, 2**62), st.integers(0, 2**62), st.binary(max_size=300)),
    max_size=60,
)


def write(path, rows, block=1 << 18):
    writer = FrameWriter(path, CLUSTERS, START, block=block)
    for row in rows:
        writer.add(*row)
    writer.close()
    return path


@given(rows=frames, block=st.sampled_from([1, 400, 1 << 18]))
def test_what_was_written_is_read_in_order(tmp_path_factory, rows, block):
    path = write(tmp_path_factory.mktemp("tape") / "a.frames", rows, block)
    reader = FrameReader(path)
    assert [tuple(frame) for frame in reader] == rows
    assert [tuple(frame) for frame in reader] == rows  # and again
    assert (reader.torn, reader.damaged, reader.left_out) == (False, 0, 0)
    assert reader.header.start_ns == START
    assert reader.header.clusters == CLUSTERS


ROWS = [("stocks", START + n, n, b'[{"ev":"T","sym":"S%d"}]' % n) for n in range(40)]


def test_a_file_cut_at_any_byte_gives_the_whole_blocks_before_the_cut(tmp_path):
    path = write(tmp_path / "a.frames", ROWS, block=400)
    whole = path.read_bytes()
    began = FrameWriter(tmp_path / "empty.frames", CLUSTERS, START)
    began.close()
    header = began.size
    seen = set()
    for length in range(header, len(whole), 7):
        path.write_bytes(whole[:length])
        reader = FrameReader(path)
        got = [tuple(frame) for frame in reader]
        assert got == ROWS[: len(got)]
        seen.add((len(got), reader.torn))
    assert {torn for count, torn in seen if 0 < count < len(ROWS)} >= {True}
    assert (len(ROWS), False) not in seen


def test_a_damaged_block_is_left_out_and_counted(tmp_path):
    path = write(tmp_path / "a.frames", ROWS, block=400)
    body = bytearray(path.read_bytes())
    second = body.index(b"QBLK", body.index(b"QBLK") + 4)
    body[second + 20] ^= 0xFF
    path.write_bytes(body)
    reader = FrameReader(path)
    got = [tuple(frame) for frame in reader]
    assert reader.damaged == 1
    assert not reader.torn
    assert 0 < len(got) < len(ROWS)
    assert set(got) < set(ROWS)


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"QMFRAMES", b"QMFRAMES\xff\xff\xff\xff{}", b"QMFRAMES\x02\0\0\0{}abcd"]
)
def test_a_file_that_is_no_recording_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "a.frames"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.frames"):
        FrameReader(path)


def test_a_folder_is_read_file_after_file(tmp_path):
    write(tmp_path / "20260302T150000Z.frames", ROWS[20:])
    write(tmp_path / "20260302T140000Z.frames", ROWS[:20])
    assert [path.name[9:11] for path in recordings(tmp_path)] == ["14", "15"]
    assert [tuple(frame) for frame in read_frames(tmp_path)] == ROWS
    with pytest.raises(BadInput, match="no recording"):
        list(read_frames(tmp_path.parent))


def test_a_recording_is_never_written_over(tmp_path):
    write(tmp_path / "a.frames", ROWS)
    with pytest.raises(FileExistsError):
        FrameWriter(tmp_path / "a.frames", CLUSTERS, START)
