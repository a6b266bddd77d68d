"""The answered table as CSV or JSON, and what is said about it on stderr.

The trap: an input column may bear the name of an answer (a vendor's Delta, in any case): it is kept as `given_Delta`.
A `price` column stays where it is, for its answer is the same number, and is filled in where it was empty.
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
    IvStatus.ABOVE_MAX: "the price is above the most this option can be worth; check price, strike and spot",
    IvStatus.BELOW_INTRINSIC: "the price is below the least this option can be worth; an old price, another moment's "
    "spot, or a wrong rate, dividend or style",
    IvStatus.NO_TIME_VALUE: "the price is the option's lower bound, which every low volatility explains",
    IvStatus.BAD_INPUT: "these inputs together are outside what the model can price",
    IvStatus.NO_CONVERGENCE: "no volatility was found that explains the price; check price, spot and strike",
}


def heading(table: Table, explain: bool) -> list[str]:
    """Input columns under their own names (an answer's name is taken by the answer), then the answers."""
    mine = [*ANSWERS, *(EXPLAINED if explain else ())]
    at = price_column(table)
    taken = {name for name in mine if name != PRICE or at is None}
    given: list[str] = []
    for position, name in enumerate(table.header):
        while position != at and name.lower() in taken:
            name = f"given_{name}"
        taken.add(name.lower())
        given.append(name)
    return [*given, *(name for name in mine if name != PRICE or at is None)]


def price_column(table: Table) -> int | None:
    """The position of the column that is called price in any case."""
    return next((at for at, name in enumerate(table.header) if name.lower() == PRICE), None)


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
            reasons[row] = "theta: a day or less left"
    texts: dict[str, Sequence[Any]] = {"status": [names[code] for code in codes], "reason": reasons}
    found = [
        texts[name] if name in texts else numbers[name]
        for name in ANSWERS
        if name != PRICE or price_column(table) is None
    ]
    return [*found, *_explained(inputs, answers)] if explain else found


def known(values: FloatArray) -> list[float | None]:
    """Numbers for people and JSON: None for NaN."""
    return [None if math.isnan(value) else value for value in values.tolist()]


def filled(table: Table, answers: Answers) -> list[list[str]]:
    """The input cells, with an empty price filled in."""
    at = price_column(table)
    if at is None:
        return table.rows
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
    """One object on one line: `as_of`, `rows`, `bad_rows` and `notes`.

    Cells of number columns are the numbers that were read ($1,200 is 1200.0, 25% is 0.25), null where they are empty,
    and the text itself where it could not be read.
    """
    names = heading(table, explain)
    answered = zip(*columns(table, inputs, answers, explain), strict=True)
    price = price_column(table)
    numeric = [(inputs.fields[field], known(values)) for field, values in inputs.given.items()]
    filling = known(answers.numbers[PRICE])
    rows: list[dict[str, Any]] = []
    for at, (cells, more) in enumerate(zip(table.rows, answered, strict=True)):
        given: list[Any] = list(cells)
        for position, values in numeric:
            empty = values[at] is None and blank(cells[position])
            given[position] = cells[position] if values[at] is None and not empty else values[at]
            if empty and position == price:
                given[position] = filling[at]
        rows.append(dict(zip(names, (*given, *more), strict=True)))
    bad = [
        {"row": row + 1, "line": table.lines[row], "problems": problems} for row, problems in inputs.problems.items()
    ]
    document = {"as_of": to_et(as_of_ns).isoformat(), "rows": rows, "bad_rows": bad, "notes": inputs.notes}
    print(json.dumps(document, allow_nan=False), file=out)


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
