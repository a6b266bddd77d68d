"""A home of its own for every test, and simulators that the commands talk to as if they were the real hosts."""

import json
import os
import subprocess
import sys

import pytest

from qmterm.cli import main
from qmterm.commands.places import SECRET_NAMES


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty QMTERM_HOME, no secrets, no keyring."""
    for variable in SECRET_NAMES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("QMTERM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("QMTERM_NO_KEYRING", "1")
    return tmp_path / "home"


@pytest.fixture
def qmterm(home, capsys):
    """Runs a command line in this process: (exit code, stdout, stderr)."""

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def process(home):
    """Runs a command line in a process of its own."""

    def run(*words, stdin="", **environment):
        return subprocess.run(
            [sys.executable, "-m", "qmterm.cli", *(str(word) for word in words)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **environment},
            check=False,
        )

    return run


class Simulator:
    """`python -m qmterm.sim` as a child that ends with us."""

    def __init__(self, plan, *more):
        self.token = f"token-of-{plan}-1234567890"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "qmterm.sim", "--symbols", "50", "--plan", plan, "--token-env", "--owned", *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "QMTERM_SIM_TOKEN": self.token},
        )
        about = json.loads(self.process.stdout.readline())
        self.url, self.ws_url = about["url"], about["ws_url"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def advanced():
    simulator = Simulator("advanced")
    yield simulator
    simulator.close()


@pytest.fixture(scope="session")
def starter():
    simulator = Simulator("starter")
    yield simulator
    simulator.close()


@pytest.fixture(scope="session")
def in_session():
    """The advanced plan ten minutes after the open: contracts have traded and are quoted."""
    simulator = Simulator("advanced", "--start", "2026-03-02T09:40")
    yield simulator
    simulator.close()


@pytest.fixture
def pointed_at(home, monkeypatch):
    """A configuration whose addresses are a simulator's, and its token as every secret."""

    def point(simulator, broker="tastytrade-cert", more=""):
        for variable in ("QMTERM_POLYGON_KEY", "QMTERM_TT_SECRET", "QMTERM_TT_REFRESH"):
            monkeypatch.setenv(variable, simulator.token)
        return write_config(home, simulator.url, simulator.ws_url, broker, more)

    return point


def write_config(home, rest, ws, broker="tastytrade-cert", more=""):
    file = home / "config" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        f'[engine]\nbroker = "{broker}"\nmarket_clock = "server"\n[polygon]\nrest_url = "{rest}"\nws_url = "{ws}"\n'
        f'{more}[tastytrade]\nrest_url = "{rest}"\nstreamer_url = "{ws}/streamer"\n'
        "read_timeout_s = 1\nconnect_timeout_s = 1\n"
    )
    return file
