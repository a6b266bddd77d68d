"""A command line of its own for every test, away from the user's files."""

import pytest

from qmterm.cli import main


@pytest.fixture
def qmterm(tmp_path, monkeypatch, capsys):
    """Runs a command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("QMTERM_HOME", str(tmp_path / "home"))

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run
