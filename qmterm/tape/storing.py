"""A folder that cannot be written (full, no permission, too many open files) is one sentence, not a traceback."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from qmterm.core.errors import DataError


class NotWritten(DataError):
    """What was to be kept could not be; what was there before is whole."""

    def __init__(self, folder: Path, failure: OSError) -> None:
        # pyarrow puts its own words around the system's, over several lines
        why = str(failure).splitlines()[0] if failure.errno is None else os.strerror(failure.errno)
        super().__init__(f"{folder} cannot be written ({why}): make room there or see to its permissions")
        self.folder = folder


@contextlib.contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Around anything that writes below a folder."""
    try:
        yield
    except OSError as failure:
        raise NotWritten(folder, failure) from failure
