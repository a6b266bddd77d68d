"""`qmterm greeks FILE.csv`: a table of options in, the same rows with volatility, price and Greeks out.

The trap: one bad row must not cost the good ones their answer, and must not go unseen: it is answered with BAD_INPUT,
named on stderr by line and column, and makes the exit code 1.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

from qmterm.commands.greeks_inputs import inputs_of
from qmterm.commands.greeks_print import print_csv, print_json, print_problems
from qmterm.commands.greeks_read import STDIN, Table, parse, read
from qmterm.commands.greeks_solve import answer
from qmterm.commands.greeks_time import as_of_instant
from qmterm.core.errors import BadInput, QmtermError

PROGRESS_FROM = 20_000  # rows: about a second of work


def run(
    text: str,
    source: str,
    as_of_ns: int,
    *,
    as_json: bool = False,
    explain: bool = False,
    out: TextIO,
    err: TextIO,
) -> int:
    """Answers a table given as text; 0, or 1 when some row could not be read. BadInput when the table could not."""
    return _answered(parse(text, source), as_of_ns, as_json, explain, out, err)


def from_command_line(file: str, as_of: str | None, *, as_json: bool, explain: bool) -> int:
    """`qmterm greeks`: a file, or standard input for `-`."""
    as_of_ns = as_of_instant(as_of, time.time_ns())
    if file == STDIN and sys.stdin.isatty():
        raise BadInput("no table on standard input; give a file: qmterm greeks chain.csv")
    try:
        code = _answered(read(file), as_of_ns, as_json, explain, sys.stdout, sys.stderr)
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # `| head` has seen enough: no word about it
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries to write the rest at its end
        raise QmtermError(f"the answer could not be written: {error.strerror or error}") from error
    return code


def _answered(table: Table, as_of_ns: int, as_json: bool, explain: bool, out: TextIO, err: TextIO) -> int:
    if len(table.rows) >= PROGRESS_FROM and err.isatty():
        print(f"{table.source}: {len(table.rows):,} rows …", file=err)
    inputs = inputs_of(table, as_of_ns)
    answers = answer(inputs)
    if as_json:
        print_json(table, inputs, answers, explain, as_of_ns, out)
    else:
        print_csv(table, inputs, answers, explain, out)
    print_problems(table, inputs, err)
    return 1 if inputs.problems else 0
