"""Where compiled kernels are kept between runs: in the user's cache folder, one folder for each state of the source.

The trap: numba's own cache compares only the file a kernel is written in, so an edit in a file it calls goes unseen,
and it wants to write beside the source, which an installed program may not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import numba

KEPT_VERSIONS = 4


def prepare() -> bool:
    """Point numba at this version's folder; False when no place can be written (then every run compiles anew)."""
    version = fingerprint()
    for base in _places():
        folder = base / version
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            os.utime(folder)
        except OSError:
            continue
        _drop_old(base)
        numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
        return True
    return False


def fingerprint() -> str:
    """One name for the text of all kernels together with numba's version."""
    digest = hashlib.sha256(numba.__version__.encode())
    room = Path(__file__).parent
    for path in sorted(room.rglob("*.py")):
        digest.update(path.relative_to(room).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _places() -> list[Path]:
    """The folders to try: what numba was told, the user's cache, the program's own home."""
    from platformdirs import user_cache_path

    places: list[Path] = []
    told = os.environ.get("NUMBA_CACHE_DIR")
    if told:
        places.append(Path(told))
    places.append(user_cache_path("qmterm", appauthor=False) / "kernels")
    home = os.environ.get("QMTERM_HOME")
    if home:
        places.append(Path(home) / "cache" / "kernels")
    return places


def _drop_old(base: Path) -> None:
    """Keep the versions used last; a folder that cannot be removed stays."""
    try:
        versions = sorted((path for path in base.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    except OSError:
        return
    for path in versions[:-KEPT_VERSIONS]:
        shutil.rmtree(path, ignore_errors=True)
