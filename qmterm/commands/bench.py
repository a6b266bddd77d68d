"""`qmterm bench NAME`: our own work beside its peers, in one run.

The trap: a missed figure is a result, not a failure of the command: the exit code stays 0 and `met` says it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from qmterm.core.errors import BadInput

if TYPE_CHECKING:
    from qmterm.bench.report import Report

NAMES = ("greeks", "american", "scan", "stream", "history", "chain", "orders", "kill", "restart", "journal")
LEAST_SIZE = 20  # below it nothing is left to divide by
ROUGH = "a rough look: the limits are meant for a run without --quick and --size on a machine that does nothing else"


def from_command_line(name: str, *, size: int | None, quick: bool, peer_python: str | None, as_json: bool) -> int:
    """Run one benchmark and print it; BadInput for a name or a size that makes no sense."""
    if name not in NAMES:
        raise BadInput(f"there is no benchmark {name!r}; there are {', '.join(NAMES)}")
    if size is not None and size < LEAST_SIZE:
        raise BadInput(f"--size {size}: at least {LEAST_SIZE}")
    if peer_python is not None and name != "greeks":
        raise BadInput("--peer-python belongs to `qmterm bench greeks`; leave it out here")
    report = measured(name, size, quick, peer_python)
    if quick or size is not None:
        report = replace(report, notes=(*report.notes, ROUGH))
    from qmterm.bench.report import print_json, print_lines

    if as_json:
        print_json(report, sys.stdout)
    else:
        print_lines(report, sys.stdout)
    return 0


def measured(name: str, size: int | None, quick: bool, peer_python: str | None) -> Report:
    """The report of one benchmark; `size` None is its own."""
    if name == "greeks":
        from qmterm.bench import greeks

        own = 20_000 if quick else greeks.WHOLE_MARKET
        return greeks.run(size or own, quick=quick, peer_python=peer_python, progress=_progress)
    if name == "american":
        from qmterm.bench import american

        return american.run(size or (2_000 if quick else american.SIZE), quick=quick, progress=_progress)
    if name == "chain":
        from qmterm.bench import chain

        return chain.run(size or chain.CONTRACTS, quick=quick, progress=_progress)
    if name == "history":
        from qmterm.bench import history

        return history.run(size or (500 if quick else history.SYMBOLS), quick=quick, progress=_progress)
    if name == "orders":
        from qmterm.bench import orders

        return orders.run(size or (40 if quick else orders.ORDERS), quick=quick, progress=_progress)
    if name == "kill":
        from qmterm.bench import kill

        return kill.run(size or (3 if quick else kill.KILLS), quick=quick, progress=_progress)
    if name == "restart":
        from qmterm.bench import restart

        return restart.run(size or (1 if quick else restart.STARTS), quick=quick, progress=_progress)
    if name == "journal":
        from qmterm.bench import journal

        return journal.run(size or (8_000 if quick else journal.ROWS), quick=quick, progress=_progress)
    if name == "stream":
        from qmterm.bench import stream

        return stream.run(size or (500 if quick else stream.SYMBOLS), quick=quick, progress=_progress)
    from qmterm.bench import scan

    return scan.run(size or (500 if quick else scan.SYMBOLS), quick=quick, progress=_progress)


def _progress(text: str) -> None:
    """A line on stderr, only when a person is watching it."""
    if sys.stderr.isatty():
        print(f"{text} …", file=sys.stderr)
