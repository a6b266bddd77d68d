"""Splits and renames applied as of a date: what was known then, nothing later.

The traps: stored sessions are adjusted as of the day they were pulled, so each has a basis of its own, and a date
before a basis means taking splits back out. Prices are adjusted for splits only, never for dividends (QUANT.md 1.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from qmterm.core.bars import DailyPanel
from qmterm.core.errors import BadInput
from qmterm.market.records import Split

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Rename:
    """From this day on `old` trades as `new`."""

    day: date
    old: str
    new: str


def adjust(
    panel: DailyPanel, splits: Iterable[Split], as_of: date, basis: Mapping[date, date] | date | None = None
) -> None:
    """Put every bar on the share count of `as_of`, in place.

    `basis` says up to which day a session's bars are adjusted already: one day for all, or one for each session; None
    means as traded. Reverse splits (1 new for 10 old) work alike. BadInput for a ratio that is none.
    """
    rows = {symbol: row for row, symbol in enumerate(panel.symbols)}
    for split in _each_once(splits):
        ratio = split.split_to / split.split_from if split.split_from > 0 else 0.0
        if not 0 < ratio < np.inf:
            raise BadInput(
                f"split of {split.symbol} on {split.day}: {split.split_to} for {split.split_from} is no ratio"
            )
        row = rows.get(split.symbol)
        if row is None or ratio == 1.0:
            continue
        days = panel.days[row]
        before = np.flatnonzero(days < np.datetime64(split.day, "D"))
        if not len(before):
            continue
        known = np.array([_basis(basis, day) >= split.day for day in days[before].tolist()], dtype=np.bool_)
        due = split.day <= as_of
        _scale(panel, row, before[~known] if due else before[known], ratio if due else 1.0 / ratio)


def _basis(basis: Mapping[date, date] | date | None, day: date) -> date:
    if basis is None:
        return day
    return basis if isinstance(basis, date) else basis.get(day, day)


def _each_once(splits: Iterable[Split]) -> list[Split]:
    """Services tell a split twice at times: one symbol and day is one split, the last told."""
    return list({(split.symbol, split.day): split for split in splits}.values())


def _scale(panel: DailyPanel, row: int, bars: np.ndarray, ratio: float) -> None:
    for name in PRICES:
        getattr(panel, name)[row, bars] /= ratio
    panel.volume[row, bars] *= ratio


def renamed(panel: DailyPanel, renames: Iterable[Rename], as_of: date) -> DailyPanel:
    """Histories of old symbols go on under the new ones; who takes an old symbol over later keeps its bars from then.

    Where the new name has traded before the change already (another company's), only its bars from the change count.
    The given panel's arrays are used up: a whole market is not held twice.
    """
    due = sorted((change for change in renames if change.day <= as_of), key=lambda change: change.day)
    place = {symbol: row for row, symbol in enumerate(panel.symbols)}
    due = [change for change in due if change.old in place]
    if not due:
        return panel
    width = panel.close.shape[1]
    block = {name: getattr(panel, name) for name in (*PRICES, "volume", "days")}
    stale = panel.stale
    for change in due:
        old, new = place.get(change.old), place.get(change.new)
        if old is None:  # told twice
            continue
        if new is None:  # nothing traded under the new name yet
            place[change.new] = place.pop(change.old)
            continue
        day = np.datetime64(change.day, "D")
        head, rest = block["days"][old] < day, block["days"][old] >= day
        tail = block["days"][new] >= day
        for column in block.values():
            column[new], column[old] = (
                _right(np.concatenate([column[old][head], column[new][tail]]), width),
                _right(column[old][rest], width),
            )
        if not tail.any():
            stale[new] = stale[old]
        if not rest.any():
            del place[change.old]
    names = sorted(place)
    rows = [place[name] for name in names]
    for column in block.values():
        column[: len(rows)] = column[rows]
    kept = {name: column[: len(rows)] for name, column in block.items()}
    bars = np.count_nonzero(~np.isnat(kept["days"]), axis=1).astype(np.int64)
    return replace(panel, symbols=tuple(names), **kept, bars=bars, stale=stale[rows])


def under_new_names(splits: Iterable[Split], renames: Iterable[Rename], as_of: date) -> list[Split]:
    """Splits of the time before a change, told under the old symbol, for a panel that was `renamed` as of a day."""
    due = sorted((change for change in renames if change.day <= as_of), key=lambda change: change.day)
    out = []
    for split in splits:
        symbol = split.symbol
        for change in due:
            if change.old == symbol and split.day < change.day:
                symbol = change.new
        out.append(split if symbol == split.symbol else replace(split, symbol=symbol))
    return out


def _right(values: np.ndarray, width: int) -> np.ndarray:
    """The latest values at the right end of a row."""
    kept = values[len(values) - width :] if len(values) > width else values
    empty = np.datetime64("NaT", "D") if values.dtype.kind == "M" else np.nan
    return np.concatenate([np.full(width - len(kept), empty, dtype=values.dtype), kept])
