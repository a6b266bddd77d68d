"""The history benchmark on a small store: both sides see the same bars, memory is counted, limits are the issue's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from qmterm.bench import history
from qmterm.tape.panel import read_grouped


def test_a_rough_run_measures_time_memory_and_the_sum_of_what_was_read() -> None:
    report = history.run(200, quick=True)
    panel, memory = report.rows[:2]
    assert panel.max_error is not None
    assert panel.max_error < 1e-12
    assert panel.ratio is not None
    assert panel.must is not None
    assert panel.must.most == 2.0
    assert memory.must is not None
    assert memory.must.most == 500.0
    assert memory.ours is None or 0 < memory.ours < 200


def test_the_peer_reads_the_same_bars(tmp_path: Path) -> None:
    days, total = history.write_store(tmp_path, 50, 10)
    panel = read_grouped(tmp_path, days)
    assert np.isclose(np.nansum(panel.close), total, rtol=1e-12)
    theirs = history.pivoted(pd, tmp_path, days)["close"]
    assert sorted(theirs[~np.isnan(theirs)].tolist()) == sorted(panel.close[~np.isnan(panel.close)].tolist())


def test_names_are_told_apart() -> None:
    names = {history._name(number) for number in range(history.SYMBOLS)}
    assert len(names) == history.SYMBOLS
