"""The answered table as CSV or JSON, and what is said about it on stderr.

The trap: an input column may bear the name of an answer (a vendor's delta): it is kept as `given_delta`. A `price`
column stays where it is, for its answer is the same number, and is filled in where it was empty.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from qmterm.commands.greeks_cells import blank
from qmterm.commands.greeks_inputs import Inputs
from qmterm.commands.greeks_read import Table
from qmterm.commands.greeks_reader import RULES
from qmterm.commands.greeks_solve import Answers
from qmterm.core.bars import FloatArray
from qmterm.core.clock import to_et
from qmterm.quant.options.implied_vol import IvStatus

PRICE = "price"
ANSWERS = ("iv", "status", PRICE, "delta", "gamma", "theta", "vega", "rho", "reason")
EXPLAINED = (
    "used_value",
    "used_years",
    "years_from",
    "used_rate",
    "rate_from",
    "used_dividend_yield",
    "dividend_yield_from",
    "used_style",
    "style_from",
    "used_dividends",
    "model",
)
SHOWN_PROBLEMS = 20

REASONS: dict[IvStatus, str] = {
    IvStatus.NO_QUOTE: "no price, and no quote with a bid above 0",
    IvStatus.CROSSED: "the bid is above the ask",
    IvStatus.WIDE_SPREAD: "the quote is wider than 0.10 and than half its mid",
    IvStatus.EXPIRED: "the option has expired",
    IvStatus.EXPIRING: "less than a minute left: worth its intrinsic value, Greeks do not exist",
    IvStatus.ABOVE_MAX: "the price is above the most this option can be worth",
    IvStatus.BELOW_INTRINSIC: "the price is below the least this option can be worth",
    IvStatus.NO_TIME_VALUE: "the price is the option's lower bound, which every low volatility explains",
    IvStatus.BAD_INPUT: "these inputs together are outside what the model can price",
    IvStatus.NO_CONVERGENCE: "no volatility up to 500 % was found that explains the price",
}


def heading(table: Table, explain: bool) -> list[str]:
    """Input columns under their own names (an answer's name is taken by the answer), then the answers."""
    mine = [*ANSWERS, *(EXPLAINED if explain else ())]
    given = [f"given_{name}" if name in mine and name != PRICE else name for name in table.header]
    return [*given, *(name for name in mine if name != PRICE or PRICE not in table.header)]


def columns(table: Table, inputs: Inputs, answers: Answers, explain: bool) -> list[Sequence[Any]]:
    """The answers that follow the input cells in `heading`; None where there is no number."""
    names = [status.name for status in IvStatus]
    codes = answers.status.tolist()
    numbers = {name: known(values) for name, values in answers.numbers.items()}
    reasons = [REASONS.get(IvStatus(code), "") for code in codes]
    for row, problems in inputs.problems.items():
        reasons[row] = f"line {table.lines[row]}, " + "; ".join(problems)
    for row, theta in enumerate(numbers["theta"]):
        if theta is None and not codes[row]:
            reasons[row] = "theta: less than a day left"
    texts: dict[str, Sequence[Any]] = {"status": [names[code] for code in codes], "reason": reasons}
    found = [
        texts[name] if name in texts else numbers[name]
        for name in ANSWERS
        if name != PRICE or PRICE not in table.header
    ]
    return [*found, *_explained(inputs, answers)] if explain else found


def known(values: FloatArray) -> list[float | None]:
    """Numbers for people and JSON: None for NaN."""
    return [None if math.isnan(value) else value for value in values.tolist()]


def filled(table: Table, answers: Answers) -> list[list[str]]:
    """The input cells, with an empty price filled in."""
    if PRICE not in table.header:
        return table.rows
    at = table.header.index(PRICE)
    rows: list[list[str]] = []
    for cells, price in zip(table.rows, known(answers.numbers[PRICE]), strict=True):
        fill = price is not None and blank(cells[at])
        rows.append([*cells[:at], repr(price), *cells[at + 1 :]] if fill else cells)
    return rows


def _explained(inputs: Inputs, answers: Answers) -> Iterator[Sequence[Any]]:
    yield inputs.sources["value"]
    yield known(inputs.years)
    yield inputs.sources["years"]
    yield known(inputs.rate)
    yield inputs.sources["rate"]
    yield known(inputs.dividend_yield)
    yield inputs.sources["dividend_yield"]
    yield ["american" if american else "european" for american in inputs.american.tolist()]
    yield inputs.sources["style"]
    yield [";".join(f"{years:.6f}:{amount:g}" for years, amount in paid) for paid in inputs.dividends]
    yield answers.models


def print_csv(table: Table, inputs: Inputs, answers: Answers, explain: bool, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heading(table, explain))
    answered = zip(*columns(table, inputs, answers, explain), strict=True)
    writer.writerows([*cells, *more] for cells, more in zip(filled(table, answers), answered, strict=True))


def print_json(table: Table, inputs: Inputs, answers: Answers, explain: bool, as_of_ns: int, out: TextIO) -> None:
    """One object on one line: `as_of`, `rows` (plain numbers of input columns as numbers), `bad_rows` and `notes`."""
    names = heading(table, explain)
    answered = zip(*columns(table, inputs, answers, explain), strict=True)
    numeric = [position for field, position in inputs.fields.items() if field in RULES]
    rows: list[dict[str, Any]] = []
    for cells, more in zip(filled(table, answers), answered, strict=True):
        given: list[Any] = list(cells)
        for position in numeric:
            given[position] = _plain(cells[position])
        row = dict(zip(names, (*given, *more), strict=True))
        if isinstance(row[PRICE], str):
            row[PRICE] = None
        rows.append(row)
    bad = [
        {"row": row + 1, "line": table.lines[row], "problems": problems} for row, problems in inputs.problems.items()
    ]
    document = {"as_of": to_et(as_of_ns).isoformat(), "rows": rows, "bad_rows": bad, "notes": inputs.notes}
    print(json.dumps(document, allow_nan=False), file=out)


def _plain(cell: str) -> float | str:
    """The number a cell holds; the text itself where it holds none."""
    try:
        value = float(cell)
    except ValueError:
        return cell
    return value if math.isfinite(value) else cell


def print_problems(table: Table, inputs: Inputs, out: TextIO) -> None:
    """Every bad row by line and column, the first ones in full; then the assumptions."""
    listed = list(inputs.problems.items())
    for row, problems in listed[:SHOWN_PROBLEMS]:
        for problem in problems:
            print(f"{table.source}: line {table.lines[row]}, {problem}", file=out)
    if len(listed) > SHOWN_PROBLEMS:
        print(f"{table.source}: {len(listed) - SHOWN_PROBLEMS} more bad rows; the reason column names each", file=out)
    for note in inputs.notes:
        print(f"{table.source}: {note}", file=out)
