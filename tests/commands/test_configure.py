"""`qmterm config …`: nothing written by hand is lost, nothing secret is shown."""

import io
import os
import stat

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from qmterm.core.settings.model import Settings, parse_settings, render_config


class PretendKeyring(KeyringBackend):
    """Keeps secrets in a dictionary; `mood` says how it fails."""

    priority = 1

    def __init__(self, mood=""):
        self.kept = {}
        self.mood = mood

    def set_password(self, service, username, password):
        if self.mood == "locked":
            raise KeyringLocked("locked")
        if self.mood != "forgets":
            self.kept[service, username] = password

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def delete_password(self, service, username):
        del self.kept[service, username]


@pytest.fixture
def ring(monkeypatch, home):
    monkeypatch.delenv("QMTERM_NO_KEYRING")
    before = keyring.get_keyring()
    pretend = PretendKeyring()
    keyring.set_keyring(pretend)
    yield pretend
    keyring.set_keyring(before)


def typed(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_init_writes_the_commented_defaults_for_the_owner_only(qmterm, home):
    code, out, _ = qmterm("config", "init")
    file = home / "config" / "config.toml"
    assert code == 0
    assert file.read_text(encoding="utf-8") == render_config()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(file) in out
    assert "qmterm doctor" in out


def test_init_leaves_an_existing_file_alone(qmterm, home):
    file = home / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n")
    code, _, err = qmterm("config", "init")
    assert code == 2
    assert "--force" in err
    assert file.read_text() == "# mine\n"


def test_force_keeps_a_dated_copy_each_time(qmterm, home):
    file = home / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("# first\n")
    assert qmterm("config", "init", "--force")[0] == 0
    file.write_text("# second\n")
    assert qmterm("config", "init", "--force")[0] == 0
    copies = sorted(file.parent.glob("config.toml.*"))
    assert sorted(copy.read_text() for copy in copies) == ["# first\n", "# second\n"]
    assert file.read_text(encoding="utf-8") == render_config()


def test_force_writes_through_a_link(qmterm, home, tmp_path):
    target = tmp_path / "dotfiles.toml"
    target.write_text("# mine\n")
    file = home / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.symlink_to(target)
    assert qmterm("config", "init", "--force")[0] == 0
    assert file.is_symlink()
    assert target.read_text(encoding="utf-8") == render_config()


def test_init_says_when_the_folder_cannot_be_written(qmterm, home):
    home.write_text("a file where the folder should be")
    code, _, err = qmterm("config", "init")
    assert code == 1
    assert "cannot be written" in err
    assert "QMTERM_HOME" in err
    assert err.count("\n") == 1


def test_a_failed_write_leaves_the_old_file(qmterm, home, monkeypatch):
    file = home / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = qmterm("config", "init", "--force")
    assert code == 1
    assert "No space left" in err
    assert file.read_text() == "# mine\n"
    assert [path.name for path in file.parent.iterdir() if "config.toml" not in path.name] == []


def test_check_without_a_file_says_that_defaults_apply(qmterm):
    code, out, _ = qmterm("config", "check")
    assert code == 0
    assert "defaults apply" in out
    assert "orders to paper, mode confirm" in out
    assert "not set yet: QMTERM_POLYGON_KEY" in out


def test_check_names_file_line_and_key(qmterm, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[engine]\nmodee = 1\n")
    code, _, err = qmterm("config", "check", "--config", file)
    assert code == 2
    assert f"{file}:2: engine.modee: unknown key; did you mean 'mode'?" in err


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[engine]\nsource = "sim"\nbroker = "tastytrade"', "simulated prices never trade"),
        ('[engine]\nbroker = "sim"', "needs source"),
        ("[engine]\nlive = true", "real money"),
    ],
)
def test_check_refuses_combinations_that_must_not_run(qmterm, tmp_path, text, what):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    code, _, err = qmterm("config", "check", "--config", file)
    assert code == 2
    assert what in err
    assert str(file) in err


def test_check_reads_what_init_wrote(qmterm):
    qmterm("config", "init")
    code, out, _ = qmterm("config", "check")
    assert code == 0
    assert "valid, 0 value(s) differ" in out


@pytest.mark.parametrize(
    ("content", "what"), [(b"\xff\xfe[\x00", "not UTF-8"), (b"[engine", "not valid TOML"), (None, "cannot be read")]
)
def test_unreadable_files_are_one_sentence(qmterm, tmp_path, content, what):
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_bytes(content)
    code, _, err = qmterm("config", "check", "--config", file)
    assert code == 2
    assert what in err
    assert str(file) in err
    assert err.count("\n") == 1


def test_show_prints_settings_that_read_back_and_no_secret(qmterm, monkeypatch):
    monkeypatch.setenv("QMTERM_POLYGON_KEY", "pk-very-secret")
    code, out, err = qmterm("config", "show")
    assert code == 0
    assert parse_settings(out, "shown") == Settings()
    assert "# QMTERM_POLYGON_KEY: set (environment)" in out
    assert "# QMTERM_TT_SECRET: not set, not needed by these settings" in out
    assert "very-secret" not in out + err


def test_a_secret_goes_into_the_keyring_and_is_found_there(qmterm, ring, monkeypatch):
    typed(monkeypatch, "pk-very-secret\n")
    code, out, err = qmterm("config", "secret", "set", "QMTERM_POLYGON_KEY")
    assert code == 0
    assert ring.kept == {("qmterm", "QMTERM_POLYGON_KEY"): "pk-very-secret"}
    assert "very-secret" not in out + err
    assert "# QMTERM_POLYGON_KEY: set (keyring)" in qmterm("config", "show")[1]


def test_a_secret_is_asked_for_without_echo_at_a_terminal(qmterm, ring, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    asked = []
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "typed-secret")
    assert qmterm("config", "secret", "set", "polygon")[0] == 0
    assert len(asked) == 1
    assert ring.kept["qmterm", "QMTERM_POLYGON_KEY"] == "typed-secret"


def test_the_environment_goes_before_the_keyring_and_that_is_said(qmterm, ring, monkeypatch):
    monkeypatch.setenv("QMTERM_TT_SECRET", "from-environment")
    typed(monkeypatch, "from-keyring\n")
    code, _, err = qmterm("config", "secret", "set", "QMTERM_TT_SECRET")
    assert code == 0
    assert "goes first" in err
    assert "# QMTERM_TT_SECRET: set (environment)" in qmterm("config", "show")[1]


@pytest.mark.parametrize("mood", ["locked", "forgets"])
def test_a_keyring_that_does_not_keep_is_one_sentence(qmterm, ring, monkeypatch, mood):
    ring.mood = mood
    typed(monkeypatch, "pk-very-secret\n")
    code, out, err = qmterm("config", "secret", "set", "QMTERM_POLYGON_KEY")
    assert code == 1
    assert "export QMTERM_POLYGON_KEY=" in err
    assert err.count("\n") == 1
    assert "very-secret" not in out + err


def test_no_keyring_is_one_sentence(qmterm, monkeypatch):
    typed(monkeypatch, "pk-very-secret\n")
    code, _, err = qmterm("config", "secret", "set", "QMTERM_POLYGON_KEY")
    assert code == 1
    assert "export QMTERM_POLYGON_KEY=" in err
    assert "very-secret" not in err


def test_a_misspelt_name_gets_the_nearest_and_a_pasted_secret_is_not_repeated(qmterm, ring):
    code, _, err = qmterm("config", "secret", "set", "QMTERM_POLYGONKEY")
    assert code == 2
    assert "did you mean QMTERM_POLYGON_KEY?" in err
    code, _, err = qmterm("config", "secret", "set", "pk_live_1234567890")
    assert code == 2
    assert "1234567890" not in err


@pytest.mark.parametrize("given", ["", "\n", "two words\n", "bell\x07\n"])
def test_a_value_that_cannot_be_a_secret_changes_nothing(qmterm, ring, monkeypatch, given):
    typed(monkeypatch, given)
    code, _, err = qmterm("config", "secret", "set", "QMTERM_POLYGON_KEY")
    assert code == 2
    assert "nothing was changed" in err
    assert ring.kept == {}
