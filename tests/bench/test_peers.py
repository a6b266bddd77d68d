"""A peer in another environment is spoken to as a process: it answers, or its last words are the reason."""

import importlib
import sys
import textwrap

import numpy as np
import pytest

from qmterm.bench.option_data import european
from qmterm.bench.peers import PeerFailed, VectorizedPeer, load
from qmterm.bench.report import Missing

FAKE = """
    import sys
    sys.path.insert(0, {top!r})
    from qmterm.quant.options import european
    print("a library that talks")
    def vectorized_implied_volatility(price, S, K, t, r, flag, return_as):
        {turn}
        return european.solve(price, S, K, t, r, 0.0, flag == "c").iv
    def get_all_greeks(flag, S, K, t, r, sigma, return_as):
        return {{}}
"""


@pytest.fixture
def interpreter(tmp_path):
    """Makes an executable that runs a script with a py_vollib_vectorized of its own, as another environment would."""

    def make(module):
        (tmp_path / "py_vollib_vectorized.py").write_text(textwrap.dedent(module))
        python = tmp_path / "python"
        python.write_text(
            f"#!{sys.executable}\nimport runpy, sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
            "sys.argv = sys.argv[2:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
        )
        python.chmod(0o755)
        return str(python)

    return make


def fake(turn="pass"):
    top = importlib.import_module("qmterm").__path__[0].removesuffix("qmterm")
    return FAKE.format(top=top, turn=turn)


def test_a_peer_elsewhere_times_itself_and_hands_over_what_it_found(interpreter):
    options, prices = european(300)
    with VectorizedPeer(interpreter(fake()), options, prices) as peer:
        assert peer.versions.startswith("numpy ")
        assert 0.0 < peer.seconds() < 60.0
        assert np.abs(peer.implied_vols() - options.vol).max() < 1e-10


def test_an_interpreter_may_be_named_from_where_the_user_stands(interpreter, tmp_path, monkeypatch):
    interpreter(fake())
    monkeypatch.chdir(tmp_path.parent)
    options, prices = european(100)
    with VectorizedPeer(f"{tmp_path.name}/python", options, prices) as peer:
        assert peer.seconds() > 0.0


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise ImportError('numba is too new')", "ImportError: numba is too new"),
        ("import os; os._exit(3)", "ended with code 3, without a word"),
        (fake("raise TypeError('no such signature')"), "TypeError: no such signature"),
    ],
)
def test_an_environment_that_does_not_work_is_told_by_its_last_words(interpreter, module, said):
    options, prices = european(10)
    with pytest.raises(PeerFailed, match=said):
        VectorizedPeer(interpreter(module), options, prices)


def test_a_peer_that_dies_later_is_told_then(interpreter):
    options, prices = european(300)  # its first turn takes 100 of them
    with (
        VectorizedPeer(interpreter(fake("assert len(price) <= 100, 'too many'")), options, prices) as peer,
        pytest.raises(PeerFailed, match="AssertionError: too many"),
    ):
        peer.seconds()


def test_an_interpreter_that_is_not_there_is_told():
    options, prices = european(10)
    with pytest.raises(PeerFailed, match="/nowhere/python cannot be started: No such file"):
        VectorizedPeer("/nowhere/python", options, prices)


def test_a_library_that_is_absent_or_broken_is_a_reason_and_a_command(tmp_path, monkeypatch):
    (tmp_path / "broken_peer.py").write_text("import not_there_either")
    monkeypatch.syspath_prepend(str(tmp_path))
    absent, broken = load("no_such_peer", "NoSuch"), load("broken_peer", "Broken")
    assert absent == Missing("NoSuch is not installed", "pip install NoSuch")
    assert isinstance(broken, Missing)
    assert "does not load: No module named 'not_there_either'" in broken.why
    assert load("math", "math") is importlib.import_module("math")
