"""A store's manifest as the market's splits and changes of symbols: what is known, and what is learnt.

The trap: services tell a split again in every answer that reaches back to it; only what was not known is news.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from qmterm.market.bars.corporate import Rename
from qmterm.market.records import Split
from qmterm.tape.manifest import RenameRow, SplitRow, StoredManifest


class Manifest(StoredManifest):
    def known_splits(self) -> list[Split]:
        return [Split(row.symbol, row.day, row.split_from, row.split_to) for row in self.splits]

    def known_renames(self) -> tuple[Rename, ...]:
        return tuple(Rename(row.day, row.old, row.new) for row in self.renames)

    def learn(self, splits: Iterable[Split], today: date) -> tuple[Split, ...]:
        """Take in splits that have happened; the ones not known before come back."""
        known = set(self.splits)
        fresh = []
        for split in splits:
            row = SplitRow(split.symbol, split.day, split.split_from, split.split_to)
            if split.day <= today and row not in known:
                known.add(row)
                self.splits.append(row)
                fresh.append(split)
        return tuple(fresh)

    def learn_renames(self, renames: Iterable[Rename], asked: Iterable[str]) -> tuple[Rename, ...]:
        """Take in changes of symbols and whose were asked for; the changes not known before come back."""
        known = set(self.known_renames())
        fresh = [change for change in dict.fromkeys(renames) if change not in known]
        self.renames += [RenameRow(change.day, change.old, change.new) for change in fresh]
        self.names_asked = sorted({*self.names_asked, *asked})
        return tuple(fresh)
