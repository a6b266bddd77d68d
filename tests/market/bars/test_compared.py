"""Our bars beside the vendor's: what differs is named. The whole way is in tests/commands/test_bars.py."""

import numpy as np

from qmterm.market.bars import compared
from qmterm.market.bars.trades import BarColumns


def bars(*rows):
    minute, close, volume = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    none = np.zeros(len(rows), dtype=np.int64)
    stamps = 1_772_461_800_000_000_000 + minute.astype(np.int64) * 60_000_000_000  # 09:30
    return BarColumns(none, stamps, close, close, close, close, volume, close, none)


def test_what_differs_is_named_and_a_bar_that_one_side_lacks_too():
    ours = bars((0, 10.0, 100), (1, 10.1, 100), (2, 10.2, 100), (3, 10.3, 100))
    theirs = bars((0, 10.0, 100.3), (1, 10.2, 100), (2, 10.2, 101), (4, 10.4, 100))
    found = compared._span("1 minute", ours, theirs, volume=True)
    assert (found.ours, found.theirs, found.equal, found.same) == (4, 4, 1, False)
    assert found.differ == (
        "09:31 open 10.1, theirs 10.2",
        "09:32 volume 100, theirs 101",
        "09:33 theirs is missing",
        "09:34 ours is missing",
    )
    assert compared._span("day", ours, bars((0, 10.0, 7), (1, 10.1, 7), (2, 10.2, 7), (3, 10.3, 7)), volume=False).same
