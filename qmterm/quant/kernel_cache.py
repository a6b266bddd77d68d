"""Where compiled kernels are kept between runs: in the user's cache, one folder for each state of a module's source.

The trap: numba's own cache compares only the file a kernel is written in, so an edit in a file it calls goes unseen,
and it wants to write beside the source, which an installed program may not.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numba

KEPT_VERSIONS = 3  # of each module

_ROOM = Path(__file__).parent
_IMPORTS = re.compile(r"^\s*(?:from|import)\s+(qmterm\.quant[\w.]*)(?:\s+import\s+\(?([\w\s,]*))?", re.MULTILINE)


def prepare(module: str) -> bool:
    """Point numba at the folder of this module's kernels; False when no place can be written (each run compiles)."""
    folder = _folder(module)
    if folder is None:
        return False
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return True


@cache
def _folder(module: str) -> Path | None:
    version = fingerprint(module)
    for place in _places():
        versions = place / module.removeprefix("qmterm.quant.")
        folder = versions / version
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            os.utime(folder)
        except OSError:
            continue
        _drop_old(versions)
        return folder
    return None


def fingerprint(module: str) -> str:
    """One name for the text of a module and of all modules of this floor it imports, with numba's version."""
    digest = hashlib.sha256(numba.__version__.encode())
    seen: set[Path] = set()
    waiting = [_source(module)]
    while waiting:
        path = waiting.pop()
        if path is None or path in seen:
            continue
        seen.add(path)
        waiting.extend(_source(name) for name in _imported(path))
    for path in sorted(seen):
        digest.update(path.relative_to(_ROOM).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _imported(path: Path) -> list[str]:
    """Modules of this floor a file names, and names it takes from them (which may be modules as well)."""
    found: list[str] = []
    for module, names in _IMPORTS.findall(path.read_text(encoding="utf-8")):
        found.append(module)
        found.extend(f"{module}.{name.split()[0]}" for name in names.split(",") if name.strip())
    return found


def _source(module: str) -> Path | None:
    if not module.startswith("qmterm.quant"):
        return None
    path = _ROOM.joinpath(*module.split(".")[2:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


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


def _drop_old(versions: Path) -> None:
    """Keep the ones used last; a folder that cannot be removed stays."""
    try:
        found = sorted((path for path in versions.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    except OSError:
        return
    for path in found[:-KEPT_VERSIONS]:
        shutil.rmtree(path, ignore_errors=True)
