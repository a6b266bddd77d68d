"""docs/numbers.md says what `qmterm greeks` does: its example can be pasted, every column and status is explained."""

import csv
import io
import re
from datetime import date
from pathlib import Path

from qmterm.cli import greeks as command
from qmterm.commands.greeks import run
from qmterm.commands.greeks_columns import Field
from qmterm.core.clock import from_et
from qmterm.quant.options.solved import IvStatus

PAGE = (Path(__file__).parents[2] / "docs" / "numbers.md").read_text(encoding="utf-8")


def rows_of(heading):
    """The first cells of the table in a section."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [row.split("|")[1] for row in section.splitlines() if row.startswith("| ")]


def test_the_example_is_answered():
    (table,) = re.findall(r"```\n(spot,.*?)```", PAGE, re.DOTALL)
    out, err = io.StringIO(), io.StringIO()
    assert run(table, "chain.csv", from_et(date(2026, 3, 2), 15, 30), explain=True, out=out, err=err) == 0
    assert [row["status"] for row in csv.DictReader(io.StringIO(out.getvalue()))] == ["OK", "OK"]


def test_every_column_is_explained():
    described = set(re.findall(r"`(\w+)`", " ".join(rows_of("Your own list: `qmterm greeks`")) + PAGE))
    assert {field.value for field in Field} <= described


def test_every_status_is_explained_with_what_to_do():
    assert {cell.strip() for cell in rows_of("When there is no volatility")[1:]} == {status.name for status in IvStatus}


def test_the_help_names_the_page_and_every_answer():
    text = " ".join(command.__doc__.split())
    assert "docs/numbers.md" in text
    for name in ("iv", "status", "price", "delta", "gamma", "theta", "vega", "rho", "reason"):
        assert re.search(rf"\b{name}\b", text), name
