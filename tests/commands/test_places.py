"""Where files live on a machine that lacks something."""

import pwd
import warnings
from types import SimpleNamespace

import pytest

from qmterm.commands.places import places, real_accounts
from qmterm.commands.run import _real
from qmterm.core.settings.broker import TastytradeSettings
from qmterm.core.settings.engine import BrokerName, EngineSettings
from qmterm.core.settings.model import Settings


def test_a_session_without_a_runtime_folder_is_no_reason_to_warn(monkeypatch):
    monkeypatch.delenv("QMTERM_HOME", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert places().socket.name == "engine.sock"


def locks_below(monkeypatch, home, **variables):
    """Where the lock of a real account is for a user whose own home is that, with these variables."""
    for name in ("QMTERM_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_dir=str(home)))
    return real_accounts(places())


def test_no_variable_moves_the_lock_of_a_real_account(monkeypatch, tmp_path):
    found = {
        locks_below(monkeypatch, tmp_path, HOME=tmp_path),
        locks_below(monkeypatch, tmp_path, HOME="/nowhere", QMTERM_HOME=tmp_path / "a"),
        locks_below(monkeypatch, tmp_path, QMTERM_HOME=tmp_path / "b", XDG_DATA_HOME=tmp_path / "c"),
    }
    assert found == {tmp_path / ".local" / "share" / "qmterm" / "accounts"}


@pytest.mark.parametrize("home", ["/nonexistent", None])
def test_a_user_without_a_home_has_them_with_the_data(monkeypatch, tmp_path, home):
    def nobody(_uid):
        raise KeyError("uid not found")

    beside = locks_below(monkeypatch, home, QMTERM_HOME=tmp_path)
    if home is None:
        monkeypatch.setattr(pwd, "getpwuid", nobody)
        beside = real_accounts(places())
    assert beside == tmp_path / "data" / "accounts"


@pytest.mark.parametrize(
    ("broker", "address", "real"),
    [
        ("tastytrade", "", True),
        ("tastytrade-cert", "https://api.cert.tastyworks.com", True),
        ("tastytrade", "http://127.0.0.1:8001", False),
        ("paper", "", False),
        ("sim", "", False),
    ],
)
def test_a_simulators_account_and_a_paper_one_are_not_real(broker, address, real):
    engine = EngineSettings(broker=BrokerName(broker))
    assert _real(Settings(engine=engine, tastytrade=TastytradeSettings(rest_url=address))) is real
