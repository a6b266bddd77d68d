"""The file of unexpected faults: whole tracebacks, no secrets, and a full disk is no second fault."""

from types import SimpleNamespace

from qmterm.commands.run import Trace
from qmterm.engine.runlog import Scrubber


def broken(text):
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_a_traceback_is_kept_without_the_secrets_in_it(tmp_path):
    trace = Trace(SimpleNamespace(data=tmp_path / "data"))
    trace.scrub = Scrubber(["key-of-polygon-123"])
    trace(broken("GET https://host/?apiKey=key-of-polygon-123"))
    kept = (tmp_path / "data" / "errors.log").read_text()
    assert "test_trace.py" in kept
    assert "ValueError: GET https://host/?apiKey=•••" in kept
    assert "key-of-polygon" not in kept


def test_a_folder_that_cannot_be_written_is_no_second_fault(tmp_path):
    (tmp_path / "data").write_text("a file where the folder should be")
    Trace(SimpleNamespace(data=tmp_path / "data"))(broken("lost"))
    assert (tmp_path / "data").read_text() == "a file where the folder should be"
