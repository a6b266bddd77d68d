"""The layout of market data in files, in one place: column names, units, and the reading that holds a file to them.

Trap: an instant may come as Unix s, ms, µs or ns or as a timestamp, and a price column as text or integers; what leaves
`normalised` is always UTC nanoseconds (int64), float64 dollars and plain strings, so that nothing later has to guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from qmterm.core.errors import BadInput
from qmterm.tape.instants import all_midnights, instants, session_days

SUFFIX = ".parquet"
BATCH_ROWS = 65_536  # rows of a file held at once: 15 years of a market never fit


class Kind(StrEnum):
    TEXT = "text"
    DAY = "day"  # YYYY-MM-DD, the New York session
    INSTANT = "instant"  # UTC nanoseconds since 1970
    NUMBER = "number"  # float64, NaN where unknown


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind
    doc: str
    required: bool = True
    also: tuple[str, ...] = ()  # other names that importable files may use


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of file: its folder in a store, its columns, and the columns that name a row (no two rows alike)."""

    name: str
    folder: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)


def _number(name: str, doc: str, required: bool = True, also: tuple[str, ...] = ()) -> Column:
    return Column(name, Kind.NUMBER, doc, required, also)


_SYMBOL = Column("symbol", Kind.TEXT, "ticker as the exchange spells it (BRK.B)", also=("ticker",))
_INSTANTS = ("timestamp", "time", "window_start")
_START = Column("start_ns", Kind.INSTANT, "start of the minute", also=_INSTANTS)
_PRICES = (
    _number("open", "first price, $ per share", also=("o",)),
    _number("high", "highest price", also=("h",)),
    _number("low", "lowest price", also=("l",)),
    _number("close", "last price", also=("c",)),
    _number("volume", "shares", also=("v",)),
)

DAILY = Layout(
    "daily bars",
    "",
    (
        _SYMBOL,
        Column(
            "date", Kind.DAY, "the session", also=("start_ns", *_INSTANTS)
        ),  # of day bars with an instant: midnights
        *_PRICES,
        _number("split_ratio", "new shares for one old share from this day on, 1 or empty without a split", False),
        _number("ex_dividend", "cash per share going ex on this day, 0 or empty without one", False),
    ),
    ("symbol", "date"),
)
MINUTES = Layout(
    "minute bars",
    "minutes",
    (_SYMBOL, _START, *_PRICES, _number("vwap", "volume-weighted average price", False, ("vw",))),
    ("symbol", "start_ns"),
)
OPTION_QUOTES = Layout(
    "option quotes by minute",
    "option_quotes",
    (
        Column("occ", Kind.TEXT, "OCC symbol, padded or Polygon's O: form", also=("symbol", "ticker")),
        _START,
        _number("bid", "best bid at the minute's end, $ per share; 0 = no bid"),
        _number("ask", "best ask at the minute's end"),
        _number("bid_size", "contracts"),
        _number("ask_size", "contracts"),
        _number("open_interest", "contracts at the end of the session before"),
        _number("volume", "contracts traded in the minute", False),
        _number("last", "last price traded so far, $ per share", False),
    ),
    ("occ", "start_ns"),
)
LAYOUTS = (DAILY, MINUTES, OPTION_QUOTES)


def session_path(root: Path, layout: Layout, day: date) -> Path:
    """Where a store keeps one session of a layout."""
    return root / layout.folder / f"{day.isoformat()}{SUFFIX}"


def stored_sessions(root: Path, layout: Layout) -> tuple[date, ...]:
    """Sessions a store holds of a layout, oldest first; other files in the folder are not looked at."""
    found = []
    folder = root / layout.folder
    if folder.is_dir():
        for path in folder.glob(f"????-??-??{SUFFIX}"):
            try:
                found.append(date.fromisoformat(path.stem))
            except ValueError:
                continue
    return tuple(sorted(found))


def layout_of(path: Path) -> Layout:
    """Which layout a file has, by its columns; BadInput names what each layout would need.

    Bars with an instant are minutes, unless all of the first of them start at midnight: the vendor's files of day bars
    have the columns of minutes.
    """
    have = set(_column_names(path))
    for layout in (OPTION_QUOTES, MINUTES, DAILY):
        if not _absent(layout, have):
            return DAILY if layout is MINUTES and _starts_at_midnight(path) else layout
    lacking = "; ".join(f"{layout.name} would need {', '.join(_absent(layout, have))}" for layout in LAYOUTS)
    raise BadInput(f"{path} has no layout qmterm knows: {lacking} as well (docs/data.md)")


def read(path: Path, layout: Layout) -> Any:
    """A whole file as one pyarrow table of the layout; for a file of one session."""
    import pyarrow as pa

    schema = arrow_schema(layout)
    return pa.concat_tables(list(batches(path, layout)) or [schema.empty_table()])


def batches(path: Path, layout: Layout, rows: int | None = None) -> Iterator[Any]:
    """The file in normalised pieces of at most about `rows` (BATCH_ROWS): memory does not grow with the file."""
    import pyarrow as pa

    absent = _absent(layout, set(_column_names(path)))
    if absent:
        raise BadInput(f"{path} lacks {', '.join(absent)}: {layout.name} need {', '.join(layout.required)}")
    try:
        for batch in _record_batches(path, layout, rows or BATCH_ROWS):
            yield normalised(pa.Table.from_batches([batch]), layout, path)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def normalised(table: Any, layout: Layout, where: Path | str) -> Any:
    """The layout's columns under their own names and types; optional ones that are absent become NaN."""
    import pyarrow as pa

    have = set(table.column_names)
    out = {}
    for column in layout.columns:
        name = _found(column, have)
        if name is None:
            if column.required:
                raise BadInput(f"{where} lacks {column.name}: {layout.name} need {', '.join(layout.required)}")
            out[column.name] = pa.nulls(table.num_rows, pa.float64()).fill_null(float("nan"))
            continue
        try:
            out[column.name] = _typed(table[name], column.kind)
        except (pa.ArrowException, ValueError) as error:
            raise BadInput(
                f"{where}: column {name} is no {column.kind.value} ({str(error).splitlines()[0]})"
            ) from error
    return pa.table(out)


def arrow_schema(layout: Layout) -> Any:
    import pyarrow as pa

    types = {Kind.TEXT: pa.string(), Kind.DAY: pa.date32(), Kind.INSTANT: pa.int64(), Kind.NUMBER: pa.float64()}
    return pa.schema([(column.name, types[column.kind]) for column in layout.columns])


# --- inside ---


def _found(column: Column, have: set[str]) -> str | None:
    return next((name for name in (column.name, *column.also) if name in have), None)


def _absent(layout: Layout, have: set[str]) -> tuple[str, ...]:
    return tuple(column.name for column in layout.columns if column.required and _found(column, have) is None)


def is_csv(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(".csv")


def _starts_at_midnight(path: Path) -> bool:
    import pyarrow as pa

    starts = Layout("starts", "", (_START,), ())
    try:
        first = next(_record_batches(path, starts, BATCH_ROWS), None)
        return first is not None and all_midnights(first[0])
    except (pa.ArrowException, OSError, ValueError):
        return False  # whoever reads it as minutes says what is wrong


def _column_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    try:
        if is_csv(path):
            with pc.open_csv(path) as reader:
                return list(reader.schema.names)
        with pq.ParquetFile(path) as file:
            return list(file.schema_arrow.names)
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: give a Parquet or CSV file (docs/data.md has the layout)") from None
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path} is no Parquet or CSV file: {str(error).splitlines()[0]}") from error


def _record_batches(path: Path, layout: Layout, rows: int) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    have = set(_column_names(path))
    named = {found: column for column in layout.columns if (found := _found(column, have)) is not None}
    if is_csv(path):
        # A ticker NA or TRUE must stay a word, and what the first rows look like must not decide for the rest.
        types = {name: pa.string() for name, column in named.items() if column.kind is not Kind.NUMBER}
        types |= {name: pa.float64() for name, column in named.items() if column.kind is Kind.NUMBER}
        convert = pc.ConvertOptions(
            column_types=types, include_columns=list(named), strings_can_be_null=False, quoted_strings_can_be_null=True
        )
        with pc.open_csv(path, read_options=pc.ReadOptions(block_size=8 << 20), convert_options=convert) as reader:
            yield from reader
        return
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        yield from file.iter_batches(batch_size=rows, columns=list(named))


def _typed(column: Any, kind: Kind) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind is Kind.TEXT:
        return pc.cast(column, pa.string())
    if kind is Kind.NUMBER:
        return pc.fill_null(pc.cast(column, pa.float64(), safe=False), float("nan"))
    return session_days(column) if kind is Kind.DAY else instants(column)
