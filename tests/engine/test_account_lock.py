"""One engine an account, whatever journals they have."""

import subprocess
import sys

import pytest

from qmterm.core.errors import ConfigError
from qmterm.core.settings.broker import TastytradeSettings
from qmterm.core.settings.engine import BrokerName, EngineSettings
from qmterm.core.settings.model import Settings
from qmterm.engine.account_lock import AccountLock
from qmterm.engine.wiring import _host_of_account

HOLD = (
    "import sys\nfrom pathlib import Path\nfrom qmterm.engine.account_lock import AccountLock\n"
    "AccountLock(Path(sys.argv[1]), 'host', '5WT00001').acquire()\n"
    "print('held', flush=True)\nsys.stdin.read()\n"
)


def test_a_second_engine_on_one_account_is_refused_by_name_until_the_first_has_died(tmp_path):
    folder = tmp_path / "not there yet" / "accounts"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=rf"5WT00001 is traded by another engine \(process {first.pid}\)"):
            AccountLock(folder, "host", "5WT00001").acquire()
        for host, account in (("host", "5WT00002"), ("sandbox", "5WT00001")):
            other = AccountLock(folder, host, account)
            other.acquire()
            other.release()
        first.kill()
        first.wait()
    ours = AccountLock(folder, "host", "5WT00001")
    ours.acquire()
    ours.release()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="lock of account 5WT00001 cannot be written"):
        AccountLock(tmp_path / "file" / "accounts", "host", "5WT00001").acquire()


def test_a_disk_without_locks_is_one_sentence(tmp_path, monkeypatch):
    def no_locks(descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("qmterm.journal.lock._try_lock", no_locks)
    with pytest.raises(ConfigError, match=r"5WT00001 cannot be locked .*No locks available"):
        AccountLock(tmp_path, "host", "5WT00001").acquire()


@pytest.mark.parametrize(
    "address", ["", "https://api.tastyworks.com", "https://API.tastyworks.com/", "https://api.tastyworks.com:443"]
)
def test_one_host_is_one_host_however_it_is_written(address):
    engine = EngineSettings(broker=BrokerName.LIVE)
    settings = Settings(engine=engine, tastytrade=TastytradeSettings(rest_url=address))
    assert _host_of_account(settings) == "api.tastyworks.com:443"


def test_a_simulator_is_known_by_its_port():
    hosts = [
        _host_of_account(Settings(tastytrade=TastytradeSettings(rest_url=f"http://127.0.0.1:{port}")))
        for port in (8001, 8002)
    ]
    assert hosts == ["127.0.0.1:8001", "127.0.0.1:8002"]
