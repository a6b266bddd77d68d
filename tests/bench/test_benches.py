"""`qmterm bench` on tiny sizes: every row is there with its error, with or without the peers."""

import importlib.util
import json

import numpy as np
import pytest

from qmterm.bench import american, greeks, scan
from qmterm.bench.machine import Machine
from qmterm.bench.option_data import european
from qmterm.bench.quantlib_peer import GREEKS, QuantLibAmerican
from qmterm.bench.report import Missing, Report
from qmterm.commands.bench import LEAST_SIZE, ROUGH
from qmterm.quant.indicators.features import last_features

QUANTLIB = importlib.util.find_spec("QuantLib") is not None
ABSENT = Missing("it is not installed", "pip install it")


def bench_json(qmterm, *words):
    code, out, err = qmterm("bench", *words, "--quick", "--json")
    assert (code, err) == (0, "")
    return json.loads(out.splitlines()[-1])


def test_greeks_names_its_peers_and_its_error(qmterm):
    found = bench_json(qmterm, "greeks", "--size", "500")
    scalar, vectorized, market = found["rows"]
    assert scalar["peer_name"] == "py_vollib scalar loop"
    assert scalar["ratio"] == pytest.approx(scalar["ours"] / scalar["peer"])
    assert scalar["max_error"] <= 1e-10
    assert (vectorized["peer"], vectorized["met"]) == (None, None)
    assert "py_lets_be_rational==1.0.1" in vectorized["install"]
    assert (market["must"], market["unit"]) == (None, "s")
    assert "largest differences from py_vollib's Greeks" in found["notes"][1]


def test_our_greeks_are_py_vollibs(monkeypatch):
    options, prices = european(300)
    said = greeks._greeks_differ(prices, options)
    assert max(float(word) for word in said.replace(",", " ").split() if "e-" in word) < 1e-11


def test_a_peer_environment_that_does_not_work_is_a_reason_not_a_failure(qmterm):
    found = bench_json(qmterm, "greeks", "--size", "300", "--peer-python", "/nowhere/python")
    assert "/nowhere/python cannot be started" in found["rows"][1]["note"]
    assert found["not_measured"] == [f"{found['rows'][1]['work']} against py_vollib_vectorized"]


def test_a_wrong_answer_is_an_infinite_error(monkeypatch):
    assert greeks._worst(np.array([0.2, np.nan]), np.array([0.2, 0.3])) == float("inf")
    assert greeks._worst(np.array([0.2, 0.31]), np.array([0.2, 0.3])) == pytest.approx(0.01)


@pytest.mark.skipif(importlib.util.find_spec("talib") is None, reason="TA-Lib is not installed")
def test_scan_agrees_with_talib_and_with_itself(qmterm):
    found = bench_json(qmterm, "scan", "--size", "40")
    full, live, frames = found["rows"]
    assert 0.0 <= full["max_error"] <= 1e-9
    assert 0.0 <= live["max_error"] <= 1e-9
    assert full["peer"] > 0
    assert frames["peer_name"].startswith("pandas")
    assert (frames["must"], frames["ratio"] > 0) == (None, True)


def test_a_wrong_indicator_would_be_seen():
    panel, _ = scan.random_walks(3)
    features = last_features(panel)
    truth = np.array([getattr(features, name) for name in scan.OUTPUTS])
    assert scan.largest_error(features, truth) == 0.0
    truth[scan.OUTPUTS.index("ema10"), 1] *= 1.0 + 1e-6
    assert scan.largest_error(features, truth) == pytest.approx(1e-6, rel=1e-3)
    truth[0, 0] = np.nan
    assert scan.largest_error(features, truth) == float("inf")


def test_scan_without_its_peers_still_measures_ours(monkeypatch):
    monkeypatch.setattr(scan, "load", lambda module, package: ABSENT)
    full, live, frames = scan.run(20, quick=True).rows
    for row in (full, live, frames):
        assert (row.peer, row.install) == (None, ABSENT.install)
        assert row.ours > 0
    assert live.max_error <= 1e-9
    assert full.met is None


@pytest.mark.skipif(not QUANTLIB, reason="QuantLib is not installed")
def test_american_measures_each_line_of_the_issue(qmterm):
    found = bench_json(qmterm, "american", "--size", "200")
    solve, price, cash, chain, european_book, american_book = found["rows"]
    assert solve["max_error"] <= 6e-4
    assert price["max_error"] <= 0.003
    assert cash["max_error"] <= 0.02  # of three options
    assert chain["max_error"] <= 5e-4
    assert (european_book["unit"], american_book["unit"]) == ("ms", "ms")
    assert all(row["must"] for row in found["rows"])
    assert "0 positions without a value" in american_book["note"]


def test_american_without_quantlib_still_measures_ours(monkeypatch):
    monkeypatch.setattr(american, "load", lambda module, package: ABSENT)
    rows = american.run(100, quick=True).rows
    assert [row.install for row in rows] == [ABSENT.install] * 4 + [""] * 2
    assert all(row.ours > 0 for row in rows)
    assert rows[0].met is None


@pytest.mark.skipif(not QUANTLIB, reason="QuantLib is not installed")
def test_the_quantlib_loop_finds_the_volatility_its_own_prices_were_made_with():
    import QuantLib

    options = american.drawn(60, seed=11)
    peer = QuantLibAmerican(QuantLib, "fast")
    prices = peer.prices(options)
    kept = american.time_value(options, prices) > 0.05
    some = options.take(kept)
    solved = peer.solve(some, prices[kept])
    assert np.abs(solved[0] - some.vol).max() < 1e-4
    central = peer.greeks(some)
    for row, name in enumerate(GREEKS[1:4], start=1):
        assert np.abs(solved[row] - central[row]).max() < 1e-3, name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("vega",), "there is no benchmark 'vega'; there are greeks, american, scan, chain"),
        (("greeks", "--size", "0"), "--size 0: at least 20"),
        (("american", "--size", "1"), "--size 1: at least 20"),
        (("scan", "--peer-python", "python"), "--peer-python belongs to `qmterm bench greeks`"),
    ],
)
def test_wrong_use_is_said(words, said, qmterm):
    code, out, err = qmterm("bench", *words)
    assert (code, out) == (2, "")
    assert said in err


def test_lines_for_people_end_with_the_verdict(qmterm):
    code, out, _ = qmterm("bench", "greeks", "--quick", "--size", "300")
    assert code == 0
    assert out.startswith("bench greeks on ")
    assert ROUGH in out.splitlines()
    assert "not measured: European IV + 5 Greeks, 300 contracts against py_vollib_vectorized" in out.splitlines()[-1]


@pytest.mark.skipif(not QUANTLIB, reason="QuantLib is not installed")
def test_the_least_size_is_enough_for_every_row(monkeypatch):
    found = american.run(LEAST_SIZE, quick=True)
    assert all(row.ours > 0 for row in found.rows)


def test_only_the_full_run_is_not_called_rough(monkeypatch, qmterm):
    """The rows are not measured here: what is asked is which run gets the note."""
    monkeypatch.setattr(scan, "run", lambda size, quick, progress: Report("scan", Machine.here(), ()))
    full, smaller = (json.loads(qmterm("bench", "scan", *words, "--json")[1]) for words in ((), ("--size", "50")))
    assert (full["notes"], smaller["notes"]) == ([], [ROUGH])
