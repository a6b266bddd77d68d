"""Libraries we are measured against: there, or the reason why not and the command that brings them.

The trap: py_vollib_vectorized needs old companions that break the new ones, so it lives in an environment of its own
and is spoken to as a process that times itself.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from qmterm.bench.option_data import Options
from qmterm.bench.report import Missing
from qmterm.core.bars import FloatArray

VECTORIZED_INSTALL = (
    "python3 -m venv pvv && pvv/bin/pip install py_vollib==1.0.1 py_lets_be_rational==1.0.1 "
    "py_vollib_vectorized==0.1.1 setuptools, then --peer-python pvv/bin/python"
)
_SCRIPT = Path(__file__).with_name("vectorized_peer.py")
_START_S = 180.0  # numba compiles there on the first start
_TURN_S = 120.0


def load(module: str, package: str) -> Any:
    """The module, or `Missing` when it is not installed or does not load."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == module
        why = f"{package} is not installed" if absent else f"{package} does not load: {error}"
        return Missing(why, f"pip install {package}")


class PeerFailed(Exception):
    """The other environment cannot do it: what it said last."""


class VectorizedPeer:
    """py_vollib_vectorized in its own interpreter: `seconds()` is one timed turn of implied vol and five Greeks."""

    def __init__(self, python: str, options: Options, prices: FloatArray) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="qmterm-bench-")
        folder = Path(self._folder.name)
        self._result = folder / "iv.npy"
        flags = np.where(options.is_call, "c", "p")
        np.save(folder / "flags.npy", flags)
        np.save(folder / "numbers.npy", np.array([prices, options.spot, options.strike, options.years, options.rate]))
        self._errors = (folder / "stderr").open("w+", encoding="utf-8")
        # A path relative to us would be looked for in the folder; links stay, for a virtual environment is one.
        interpreter = os.path.abspath(python) if os.sep in python else python
        try:
            self._process = subprocess.Popen(
                [interpreter, "-I", str(_SCRIPT), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                cwd=folder,
            )
        except OSError as error:
            self._errors.close()
            self._folder.cleanup()
            raise PeerFailed(f"{python} cannot be started: {error.strerror or error}") from error
        try:
            self.versions = self._answer(_START_S).removeprefix("ready ")
        except PeerFailed:
            self.close()
            raise

    def seconds(self) -> float:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except OSError as error:
            raise PeerFailed(self._last_words()) from error
        answer = self._answer(_TURN_S)
        try:
            return float(answer)
        except ValueError as error:
            raise PeerFailed(f"answered {answer!r}") from error

    def implied_vols(self) -> FloatArray:
        """What its last turn found."""
        found: FloatArray = np.load(self._result)
        return found

    def close(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it died with a word unread: the end is all that was wanted
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, timeout: float) -> str:
        assert self._process.stdout is not None
        watch = threading.Timer(timeout, self._process.kill)
        watch.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watch.cancel()
        if not line:
            raise PeerFailed(self._last_words())
        return line.strip()

    def _last_words(self) -> str:
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._errors.seek(0)
        said = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        return said[-1] if said else f"ended with code {self._process.poll()}, without a word (time-out?)"
