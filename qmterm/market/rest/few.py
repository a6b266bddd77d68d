"""The snapshot of a few named stocks: what somebody looks at, never the market.

The trap: the vendor leaves unknown tickers out without a word, and an empty list is a good answer here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from qmterm.market.records import SnapshotColumns
from qmterm.market.rest.client import PolygonRest
from qmterm.market.rest.entitlements import Family
from qmterm.market.rest.snapshot import some_snapshots

_AT_ONCE = 250


async def few_stocks(rest: PolygonRest, symbols: Sequence[str]) -> tuple[SnapshotColumns, ...]:
    """Snapshots of the stocks that the vendor knows among these; one call for every 250 names."""
    found: list[SnapshotColumns] = []
    for first in range(0, len(symbols), _AT_ONCE):
        part = list(symbols[first : first + _AT_ONCE])
        what = f"snapshot of {', '.join(part[:3])}{' …' if len(part) > 3 else ''}"
        ask, decode = partial(_ask, part), partial(some_snapshots, what=what)
        snapshot = await rest.caller.one(what, ask, decode, Family.SNAPSHOTS)
        rest.stocks_delayed |= snapshot.delayed
        found.append(snapshot)
    return tuple(found)


def _ask(symbols: list[str], client: Any) -> Any:
    return client.get_snapshot_all("stocks", tickers=symbols, raw=True)
