"""Where compiled kernels are kept between runs: in the user's cache, one folder for each state of a module's source.

The trap: numba's own cache compares only the file a kernel is written in, so an edit in a file it calls goes unseen;
it wants to write beside the source, which an installed program may not; and a damaged file in it ends the call.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache

KEPT_VERSIONS = 3  # of each module

_HOUSE = Path(__file__).parent.parent
# The names end with the line or the bracket: taking in the next line would lose the import written there.
_IMPORTS = re.compile(
    r"^[ \t]*(?:from|import)[ \t]+(qmterm\.[\w.]*)(?:[ \t]+import[ \t]+(\([^)]*\)|[^\n]*))?", re.MULTILINE
)
_NAME = re.compile(r"\w+")


# What reading a damaged or foreign file can raise, by the documentation of pickle; RuntimeError comes from LLVM.
_UNREADABLE = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    TypeError,
    ValueError,
    RuntimeError,
    OSError,
)


class KernelCache:
    """Numba's cache of one kernel; what cannot be read is compiled again, what cannot be written is not kept."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def cache_path(self) -> str:
        return str(self._inner.cache_path)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return self._inner.load_overload(signature, target_context)
        except _UNREADABLE:
            self._forget()
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        try:
            self._inner.save_overload(signature, compiled)
        except OSError:  # disk full, folder gone: this run has its kernel all the same
            self._inner.disable()

    def _forget(self) -> None:
        try:
            self._inner.flush()
        except OSError:
            self._inner.disable()


def cache_for(function: Callable[..., Any]) -> KernelCache | None:
    """The place of this function's machine code; None when none can be written (then each run compiles)."""
    folder = _folder(function.__module__)
    if folder is None:
        return None
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    try:
        return KernelCache(FunctionCache(function))  # type: ignore[no-untyped-call]
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


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
    """One name for the text of a module and of all modules of the house it imports, with numba's version."""
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
        digest.update(path.relative_to(_HOUSE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _imported(path: Path) -> list[str]:
    """Modules of the house a file names, and names it takes from them (which may be modules as well)."""
    found: list[str] = []
    for module, names in _IMPORTS.findall(path.read_text(encoding="utf-8")):
        found.append(module)
        found.extend(f"{module}.{name}" for name in _NAME.findall(names))
    return found


def _source(module: str) -> Path | None:
    if not module.startswith("qmterm."):
        return None
    path = _HOUSE.joinpath(*module.split(".")[1:])
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
