"""What killed programs left in a store: the folder of an import, files that were never given their name.

The trap: another program may be writing at this moment. Its process is in the names, and what belongs to one that is
alive stays; where that cannot be asked, what has been touched within a day stays.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from pathlib import Path

_OLD_S = 86_400.0
_PROCESS = re.compile(r"^\.import-(\d+)-|\.(\d+)\.\d+\.tmp$")


def clear(directory: Path) -> None:
    """Take away what no living program is working on."""
    for path in [*directory.glob(".import-*"), *directory.rglob(".*.tmp")]:
        with contextlib.suppress(FileNotFoundError):  # another import clears as well
            if not _in_use(path):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def _in_use(path: Path) -> bool:
    found = _PROCESS.search(path.name)
    if found is None or sys.platform == "win32":  # asking for a process there would end it
        return time.time() - path.stat().st_mtime < _OLD_S
    try:
        os.kill(int(found[1] or found[2]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
