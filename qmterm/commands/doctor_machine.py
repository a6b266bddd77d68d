"""`qmterm doctor`, this machine: Python, packages, terminal, folders, disk, journal, kernels, another engine.

The trap: looking must not change anything. No folder is made and no lock stays; only compiled kernels are kept.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from importlib import metadata
from pathlib import Path

from qmterm.commands.doctor_report import Check, fail, ok, warn
from qmterm.commands.places import Places
from qmterm.core.errors import ConfigError, JournalError
from qmterm.core.settings.engine import Source
from qmterm.core.settings.model import Settings

OLDEST, NEWEST_BELOW = (3, 11), (3, 14)
LITTLE_MB, TOO_LITTLE_MB = 2_000, 200
COMPILED_S = 6.0  # loading all kernels from the cache takes one or two seconds, compiling them much longer
LEAST_COLUMNS, LEAST_LINES = 80, 24


def python_check() -> Check:
    version = sys.version_info[:2]
    saw = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if OLDEST <= version < NEWEST_BELOW:
        return ok("Python", saw)
    return fail("Python", saw, "install Python 3.11, 3.12 or 3.13 and qmterm into it")


def packages_check() -> Check:
    """Every required package is there, in a version that this qmterm knows."""
    wrong: list[str] = []
    required = [text for text in metadata.requires("qmterm") or () if "extra ==" not in text]
    for text in required:
        name, bounds, marker = _requirement(text)
        if "win32" in marker and sys.platform == "win32":
            continue
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if not within(installed, bounds):
            wrong.append(f"{name} {installed} is not {bounds}")
    if wrong:
        return fail("packages", "; ".join(wrong), "install qmterm again, in an environment of its own")
    shown = ", ".join(f"{name} {metadata.version(name)}" for name in ("textual", "polygon-api-client", "tastytrade"))
    return ok("packages", f"qmterm {metadata.version('qmterm')}, {len(required)} required packages fit; {shown}")


def _requirement(text: str) -> tuple[str, str, str]:
    body, _, marker = text.partition(";")
    found = re.match(r"^([\w.-]+)\s*(?:\[[^\]]*\])?\s*\(?([^)]*)\)?$", body.strip())
    return (found.group(1), found.group(2).strip(), marker) if found else (body.strip(), "", marker)


def within(version: str, bounds: str) -> bool:
    """Whether a version lies inside `>=a,<b` bounds; only the numbers count."""
    mine = _numbers(version)
    for bound in filter(None, (part.strip() for part in bounds.split(","))):
        operator = "".join(sign for sign in bound[:2] if sign in "<>=!~")
        other = _numbers(bound[len(operator) :])
        size = max(len(mine), len(other))
        left, right = mine + (0,) * (size - len(mine)), other + (0,) * (size - len(other))
        fits = {">=": left >= right, "<": left < right, "<=": left <= right, ">": left > right, "==": left == right}
        if not fits.get(operator, True):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def terminal_check() -> Check:
    """What the screen needs; without a terminal only the headless commands make sense, and they need nothing."""
    if not sys.stdout.isatty():
        return ok("terminal", "none here (output goes to a file or pipe); qmterm --auto needs none")
    size = shutil.get_terminal_size()
    term, colours = os.environ.get("TERM", ""), os.environ.get("COLORTERM", "").lower()
    inside = "tmux" if os.environ.get("TMUX") else "screen" if os.environ.get("STY") else ""
    true_colour = colours in ("truecolor", "24bit")
    depth = "24-bit colour" if true_colour else "256 colours" if "256" in term else "16 colours"
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    saw = f"{size.columns}x{size.lines}, {depth}, {sys.stdout.encoding}, TERM={term or 'not set'}"
    saw += f", inside {inside}" if inside else ""
    advice: list[str] = []
    if encoding != "utf8":
        advice.append("set a UTF-8 locale (export LANG=C.UTF-8): lines and marks are drawn with it")
    if term in ("", "dumb"):
        advice.append("this terminal cannot draw a screen: use another, or qmterm --auto")
    if size.columns < LEAST_COLUMNS or size.lines < LEAST_LINES:
        advice.append(f"make the window at least {LEAST_COLUMNS}x{LEAST_LINES}")
    if not true_colour and inside == "tmux":
        advice.append("for exact colours in tmux: set -as terminal-features ',*:RGB' and export COLORTERM=truecolor")
    elif not true_colour and "256" not in term:
        advice.append("for exact colours: export COLORTERM=truecolor, if the terminal can show them")
    return warn("terminal", saw, "; ".join(advice)) if advice else ok("terminal", saw)


def folder_checks(places: Places) -> list[Check]:
    wanted = {"config": places.config, "data": places.data, "cache": places.cache, "runtime": places.runtime}
    checks = [_folder(name, path) for name, path in wanted.items()]
    return [*checks, disk_check(places.data)]


def _folder(name: str, path: Path) -> Check:
    label = f"{name} folder"
    there = _existing(path)
    todo = f"give yourself write permission on {there}, or set QMTERM_HOME to a folder of your own"
    if not there.is_dir():
        return fail(label, f"{path}: {there} is a file, not a folder", f"move {there} aside, or set QMTERM_HOME")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return fail(label, f"{path}: {there} cannot be written ({error.strerror or error})", todo)
    return ok(label, f"{path}" if there == path else f"{path} (made when it is first needed)")


def _existing(path: Path) -> Path:
    """The path itself, or the nearest part of it that exists."""
    return next((part for part in (path, *path.parents) if part.exists()), Path("/"))


def disk_check(path: Path) -> Check:
    free_mb = shutil.disk_usage(_existing(path)).free // 1_000_000
    saw = f"{free_mb:,} MB free where the journal is kept"
    todo = "free space there: without it no order can be written down, and none is sent"
    if free_mb < TOO_LITTLE_MB:
        return fail("disk", saw, todo)
    return warn("disk", saw, todo) if free_mb < LITTLE_MB else ok("disk", saw)


def journal_path(settings: Settings, places: Places) -> Path | None:
    """The file the next run would use; None when each simulated run makes its own."""
    if settings.engine.journal:
        return Path(settings.engine.journal).expanduser()
    if settings.engine.source is Source.SIM:
        return None
    return places.journal(settings.engine.broker.value)


def journal_check(path: Path | None) -> Check:
    """Readable, whole, ours, of a version we know, and not in use."""
    from qmterm.journal.lock import JournalLock
    from qmterm.journal.schema import APPLICATION_ID, MIGRATIONS, connector, explain

    if path is None:
        return ok("journal", "each simulated run keeps a journal of its own")
    if not path.exists():
        return ok("journal", f"{path} (made by the first run)")
    move = "move it and its -wal file aside, or choose another with [engine] journal"
    try:
        with closing(connector(path, read_only=True)()) as connection:
            whole = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    except JournalError as error:
        return fail("journal", str(error), move)
    except sqlite3.Error as error:
        return fail("journal", str(explain(error, path)), move)
    if whole != "ok":
        return fail("journal", f"{path} is damaged ({whole.splitlines()[-1]})", move)
    if owner != APPLICATION_ID and version:
        return fail("journal", f"{path} belongs to another program", move)
    if version > len(MIGRATIONS):
        return fail("journal", f"{path} was written by a newer qmterm (schema {version})", "update qmterm")
    lock = JournalLock(path)
    if lock.path.exists():
        try:
            lock.acquire()
        except JournalError as error:
            return warn("journal", str(error), "nothing, if that engine is the one you started")
        lock.release()
    return ok("journal", f"{path}, whole, schema {version}, {path.stat().st_size / 1e6:,.1f} MB, not in use")


def kernels_check() -> Check:
    """Loads every compiled kernel, and compiles and keeps those that are missing."""
    from qmterm.quant.warm_up import warm_up

    began = time.perf_counter()
    warm_up()
    took = time.perf_counter() - began
    if took < COMPILED_S:
        return ok("kernels", f"compiled maths loads in {took:.1f} s")
    return ok("kernels", f"compiled maths was built in {took:.0f} s and is kept; the next start is quick")


def engine_check(places: Places) -> tuple[Check, bool]:
    """Whether an engine of this user runs: it holds the data connection and the journal."""
    from qmterm.engine.control import ask

    if not places.socket.exists():
        return ok("running engine", "none"), False
    try:
        reply = ask(places.socket, ["status"], timeout_s=3.0)
    except ConfigError as error:
        if "did not answer" in str(error):
            return warn("running engine", str(error), "look at it in its own terminal; qmterm ctl stop ends it"), True
        return ok("running engine", f"none ({places.socket} is left over and is replaced)"), False
    return ok("running engine", str(reply.get("text", ""))), True
