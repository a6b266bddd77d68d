"""Where files live on a machine that lacks something."""

import warnings

from qmterm.commands.places import places


def test_a_session_without_a_runtime_folder_is_no_reason_to_warn(monkeypatch):
    monkeypatch.delenv("QMTERM_HOME", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert places().socket.name == "engine.sock"
