"""What the files of a store do not say by their names: when each session was pulled, splits and renames known since.

The trap: it is written less often than the files, so a killed pull leaves files that it does not know, or knows by an
older pull. Each file carries the day of its own pull, and what the file says counts: by an older day the splits since
would be applied twice.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Self

import msgspec

from qmterm.core.errors import BadInput
from qmterm.tape.grouped import origin_of
from qmterm.tape.layout import DAILY, stored_sessions
from qmterm.tape.symbols import replace_file

NAME = "manifest.json"


class SplitRow(msgspec.Struct, frozen=True):
    symbol: str
    day: date
    split_from: float
    split_to: float


class RenameRow(msgspec.Struct, frozen=True):
    """From this day on `old` trades as `new`."""

    day: date
    old: str
    new: str


class StoredManifest(msgspec.Struct):
    """Fields may be added, each with a default: a manifest of an older version is read as it is."""

    pulled: dict[date, date] = {}  # session: the day up to which its bars are adjusted for splits
    imported: set[date] = set()  # sessions that hold rows of imported files only: the market is still to be pulled
    splits: list[SplitRow] = []
    splits_until: date | None = None
    splits_since: date | None = None  # all splits from this day on are in `splits`; None: not known from when

    renames: list[RenameRow] = []
    names_asked: list[str] = []  # new symbols whose former names are known, so that nobody asks again

    @classmethod
    def read(cls, directory: Path, whole: bool = False) -> Self:
        """The manifest with what the files say of themselves; an unreadable one is made again from the files.

        `whole`: BadInput for an unreadable one, because splits are in it alone.
        """
        try:
            found = msgspec.json.decode((directory / NAME).read_bytes(), type=cls)
        except FileNotFoundError:
            found = cls()
        except msgspec.DecodeError as error:
            if whole:
                raise BadInput(
                    f"{directory / NAME} cannot be read ({error}), so the splits of the sessions beside it are "
                    "not known: run `qmterm history pull`, which asks for them again"
                ) from error
            found = cls()
        for day in stored_sessions(directory, DAILY):
            origin = origin_of(directory, day)
            if origin is None:
                continue
            if origin.adjusted is not None:  # files of old versions do not say it
                found.pulled[day] = origin.adjusted
            (found.imported.discard if origin.whole else found.imported.add)(day)
        return found

    def write(self, directory: Path) -> None:
        replace_file(directory / NAME, msgspec.json.encode(self))
