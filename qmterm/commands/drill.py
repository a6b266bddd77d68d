"""`qmterm drill [NAME]`: the order desk against a broker that misbehaves by seed, judged by the broker's own ledger.

Each seed is a small day in one process on a virtual clock, or (`--sockets`) an engine under real SIGKILLs. Heavy to
import (the vendor's SDK), so only here.
"""

from __future__ import annotations

import gc
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qmterm.core.errors import BadInput
from qmterm.drill.day import Outcome, run_seed
from qmterm.drill.report import Report, print_json, print_lines
from qmterm.drill.script import script_of

KILLS = 10  # over sockets, where nobody says how many
MEMORY = Path("/dev/shm")  # a seed's journal lives seconds: where there is a memory disk its fsyncs cost nothing


def from_command_line(
    name: str, *, seeds: int, first_seed: int, as_json: bool, sockets: bool = False, kills: int | None = None
) -> int:
    """Run the seeds and print what was found; 1 when anything is not zero, BadInput for wrong use."""
    if kills is not None and not sockets:
        raise BadInput("--kills belongs to --sockets")
    if sockets:
        return _over_sockets(name, KILLS if kills is None else kills, first_seed, as_json)
    if seeds < 1:
        raise BadInput(f"--seeds {seeds}: at least 1")
    if first_seed < 0:
        raise BadInput(f"--first-seed {first_seed}: 0 or more")
    script_of(first_seed, name)  # an unknown name is said before anything runs
    alone = seeds == 1
    report = Report(name)
    gc.freeze()  # the libraries stay: looking through them again and again costs a tenth of a seed
    with _quiet_logs():
        for seed in range(first_seed, first_seed + seeds):
            outcome = one_seed(name, seed, tell=alone)
            report.add(outcome)
            _progress(report, seeds)
    if alone:
        print("\n".join(outcome.story), file=sys.stderr if as_json else sys.stdout)
    return _tell(report, as_json)


def _over_sockets(name: str, kills: int, first_seed: int, as_json: bool) -> int:
    if name != "all":
        raise BadInput(f"--sockets draws from all faults; leave {name!r} out")
    if kills < 1:
        raise BadInput(f"--kills {kills}: at least 1")
    if first_seed < 0:
        raise BadInput(f"--first-seed {first_seed}: 0 or more")
    from qmterm.drill.siege import KILLS_A_SEED, besiege

    report = Report("sockets")
    seeds = -(-kills // KILLS_A_SEED)
    with _quiet_logs():

        def done(outcome: Outcome) -> None:
            report.add(outcome)
            _progress(report, seeds)

        besiege(kills, first_seed, done, tell=kills <= KILLS_A_SEED)
    if seeds == 1 and not as_json:
        print("\n".join(report.story))
    return _tell(report, as_json)


def _tell(report: Report, as_json: bool) -> int:
    if as_json:
        print_json(report, sys.stdout)
    else:
        print_lines(report, sys.stdout)
    return 0 if report.passed else 1


def one_seed(name: str, seed: int, *, tell: bool = False) -> Outcome:
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="qmterm-drill-", dir=place) as folder:
        return run_seed(script_of(seed, name), Path(folder), tell=tell)


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """What the adapter logs is part of the story, and work that a killed engine never began is no fault."""
    logger = logging.getLogger("qmterm")
    nobody = logging.NullHandler()
    logger.addHandler(nobody)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="coroutine .* was never awaited", category=RuntimeWarning)
            yield
    finally:
        logger.removeHandler(nobody)


def _progress(report: Report, seeds: int) -> None:
    if sys.stderr.isatty() and seeds > 1:
        end = "\n" if report.seeds == seeds else ""
        failed = f", {len(report.failed)} failed" if report.failed else ""
        print(f"\r\x1b[2K{report.seeds}/{seeds} seeds, {report.kills} crashes{failed}", end=end, file=sys.stderr)
        sys.stderr.flush()
