"""What the disk does not take is one sentence that names the folder, and leaves what was there."""

import errno
import os

import pytest

from qmterm.core.errors import DataError
from qmterm.tape.grouped import day_path, read_day, write_grouped
from qmterm.tape.storing import NotWritten
from qmterm.tape.symbols import replace_file
from tests.tape.test_grouped import DAYS, columns


def full(*_, **__):
    raise OSError(errno.ENOSPC, "Error writing bytes to file.\nDetail: [errno 28] No space left on device")


@pytest.mark.parametrize("where", ["pyarrow.parquet.write_table", "os.replace"])
def test_a_full_disk_is_a_sentence_and_the_session_that_was_there_stays(tmp_path, monkeypatch, where):
    write_grouped(tmp_path, DAYS[0], columns(["AAPL"], [10.0]))
    before = sorted(os.listdir(tmp_path))
    monkeypatch.setattr(where, full)
    with pytest.raises(NotWritten) as caught:
        write_grouped(tmp_path, DAYS[0], columns(["AAPL"], [11.0]))
    assert isinstance(caught.value, DataError)
    assert str(caught.value) == (
        f"{tmp_path} cannot be written (No space left on device): make room there or see to its permissions"
    )
    assert read_day(tmp_path, DAYS[0]).columns["close"].tolist() == [10.0]
    assert sorted(os.listdir(tmp_path)) == before


def test_a_folder_that_cannot_be_made_is_a_sentence_too(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = tmp_path / "file" / "store"
    with pytest.raises(NotWritten, match="store cannot be written"):
        write_grouped(store, DAYS[0], columns(["AAPL"], [10.0]))
    with pytest.raises(NotWritten, match="Not a directory"):
        replace_file(store / "manifest.json", b"{}")
    assert not day_path(store, DAYS[0]).exists()
