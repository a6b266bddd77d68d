"""The first minutes: what bare `qmterm` says, what wrong use gets, and that nothing headless loads the screen."""

import os
import socket
import subprocess
import sys

import pytest

AUTO = ("--auto", "--source", "sim", "--broker", "sim")


def test_bare_qmterm_explains_itself_and_offers_the_demo(process, home):
    ended = process()
    assert ended.returncode == 0
    assert ended.stderr == ""
    for words in ("qmterm demo", "qmterm config init", "qmterm doctor", "paper trading", str(home)):
        assert words in ended.stdout
    assert not home.exists(), "explaining must not make folders"


def test_version_is_printed_alone(qmterm):
    from qmterm import __version__

    assert qmterm("--version")[:2] == (0, f"{__version__}\n")


LOADED = """
import sys
from qmterm.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code or 0
bad = sorted(name for name in sys.modules if name.split(".")[0] == "textual" or name.startswith("qmterm.ui"))
print("LOADED", code, bad, sep="|", file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("doctor", "--json"),
        ("config", "check"),
        ("ctl", "status"),
    ],
    ids=lambda words: words[0],
)
def test_without_a_screen_textual_is_never_imported(home, words):
    ended = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, timeout=90, env=os.environ, check=False
    )
    last = ended.stderr.strip().splitlines()[-1].split("|")
    assert last[0] == "LOADED", ended.stderr
    assert last[2] == "[]"


def test_help_loads_no_world(home):
    heavy = ("numpy", "pandas", "tastytrade", "polygon", "aiohttp", "pydantic", "textual", "numba")
    code = f"import sys, qmterm.cli; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        ((*AUTO, "--speed", "max"), 2, "--speed max needs --seed"),
        ((*AUTO, "--speed", "0"), 2, "--speed '0'"),
        ((*AUTO, "--speed", "fast"), 2, "or max"),
        ((*AUTO, "--until", "25:00"), 2, "--until '25:00'"),
        ((*AUTO, "--for", "soon"), 2, "--for 'soon'"),
        ((*AUTO, "--seed", "7", "--symbols", "20"), 2, "symbols must be 50 to 32345, not 20"),
        ((*AUTO, "--seed", "7", "--start", "nonsense"), 2, "'nonsense'"),
        ((*AUTO, "--sim", "http://127.0.0.1:1"), 2, "go together"),
        ((*AUTO, "--sim", "http://127.0.0.1:1", "--sim-token-file", "/nonexistent"), 2, "/nonexistent"),
        (("--auto",), 2, "QMTERM_POLYGON_KEY is not set"),
        (("--auto", "--seed", "7"), 2, "--seed needs --source sim"),
        (("--auto", "--source", "moon"), 2, "--source 'moon'"),
        (("--auto", "--source", "sim", "--broker", "tastytrade"), 2, "simulated prices never trade"),
        (("--auto", "--source", "polygon", "--broker", "sim"), 2, 'needs source = "sim"'),
        (("--auto", "--config", "/nonexistent.toml"), 2, "/nonexistent.toml: cannot be read"),
        (("ctl", "foo"), 2, "ctl knows status"),
        (("ctl", "cancel"), 2, "takes 1 argument"),
        (("scan", "--history", "/nonexistent.parquet"), 2, "does not exist"),
        (("sim", "serve", "--symbols", "3"), 2, "50 to 32345"),
        (("sim", "serve", "--plan", "gold"), 2, "invalid choice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_use_is_one_sentence_and_exit_code_2(qmterm, words, code, what):
    ended, out, err = qmterm(*words)
    assert (ended, out) == (code, "")
    assert what in err
    assert "Traceback" not in err


def test_an_unknown_command_is_wrong_use(qmterm):
    code, _, err = qmterm("nonsense")
    assert code == 2
    assert "nonsense" in err


def test_a_broker_that_needs_secrets_names_the_missing_one(qmterm, monkeypatch):
    monkeypatch.setenv("QMTERM_POLYGON_KEY", "k")
    code, _, err = qmterm("--auto", "--broker", "tastytrade-cert")
    assert code == 2
    assert "QMTERM_TT_SECRET is not set" in err


def test_until_in_the_past_is_refused_on_the_markets_clock(qmterm):
    code, _, err = qmterm(*AUTO, "--seed", "7", "--symbols", "50", "--speed", "max", "--until", "08:00")
    assert code == 2
    assert "--until 08:00 has already passed" in err


def test_a_port_in_use_is_one_sentence(qmterm):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = qmterm("sim", "serve", "--port", port, "--symbols", "50")
    assert code == 1
    assert f"port {port} on 127.0.0.1 is in use" in err
    assert err.count("\n") == 1


def test_nobody_at_the_simulators_address_is_a_failure(qmterm, tmp_path):
    token = tmp_path / "token"
    token.write_text("x")
    code, _, err = qmterm(*AUTO, "--sim", "http://127.0.0.1:1", "--sim-token-file", token)
    assert code == 1
    assert "no simulator answers there" in err


def test_a_simulator_elsewhere_is_refused(qmterm, tmp_path):
    token = tmp_path / "token"
    token.write_text("x")
    code, _, err = qmterm(*AUTO, "--sim", "http://example.com", "--sim-token-file", token)
    assert code == 2
    assert "must be on this machine" in err


RUN = (*AUTO, "--seed", "7", "--symbols", "50", "--speed", "max", "--until", "09:26")


@pytest.mark.parametrize("blocked", ["data", "cache", "run"])
def test_a_folder_that_cannot_be_written_is_said_before_anything_starts(qmterm, home, blocked):
    home.mkdir()
    (home / blocked).write_text("a file where the folder should be")
    code, _, err = qmterm(*RUN)
    assert code == 1
    assert f"{home / blocked} cannot be written" in err
    assert err.count("\n") == 1


def test_a_journal_folder_that_cannot_be_made_is_one_sentence(qmterm, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("x")
    code, _, err = qmterm(*RUN, "--journal", blocked / "journal.sqlite")
    assert code == 1
    assert f"The journal's folder {blocked} cannot be made" in err
    assert err.count("\n") == 1


def test_a_damaged_journal_is_one_sentence_and_stays_as_it_was(qmterm, tmp_path):
    journal = tmp_path / "journal.sqlite"
    journal.write_bytes(b"no database at all" * 300)
    code, _, err = qmterm(*RUN, "--journal", journal)
    assert code == 1
    assert "is damaged" in err
    assert "nothing was changed" in err
    assert journal.read_bytes() == b"no database at all" * 300


def test_a_secret_is_nowhere_in_what_a_failing_run_prints_or_keeps(process, home):
    secret = "pk-very-secret-1234567890"
    file = home / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[polygon]\nrest_url = "http://127.0.0.1:1"\nws_url = "ws://127.0.0.1:1"\nattempts = 1\n')
    ended = process("--auto", "--for", "2s", QMTERM_POLYGON_KEY=secret)
    assert ended.returncode == 1
    assert secret not in ended.stdout + ended.stderr
    for kept in home.rglob("*"):
        assert kept.is_dir() or secret.encode() not in kept.read_bytes(), kept


def test_a_screen_without_a_terminal_is_refused_before_anything_starts(process, home):
    ended = process("demo")
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "qmterm: the screen needs a terminal: run it in one, or use --auto, which needs none"
    ]
    assert not home.exists()
