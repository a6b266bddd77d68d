"""The rows of a table as arrays the pricers take, with where each assumed value came from.

The trap: a default is an assumption about somebody's money; each one is counted and said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from qmterm.commands import greeks_cells as cells_of
from qmterm.commands.greeks_cells import Dividend, NumberRule
from qmterm.commands.greeks_columns import Field, recognise
from qmterm.commands.greeks_read import Table
from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.calendar import SessionCalendar, years_to
from qmterm.core.clock import et_date
from qmterm.core.errors import BadInput, BadSymbol
from qmterm.core.instruments import OptionContract, Right, is_option, parse_option
from qmterm.core.settlement import terms_of
from qmterm.quant.options.implied_vol import IvStatus
from qmterm.quant.options.rates import FALLBACK_RATE

LONGEST_YEARS = 30.0

DOLLARS = NumberRule("dollars per share such as 105.50", least=0.0, most=1e7, above=True)
QUOTE = NumberRule("dollars per share such as 2.35", least=0.0, most=1e7)
RULES: dict[Field, NumberRule] = {
    Field.SPOT: DOLLARS,
    Field.STRIKE: DOLLARS,
    Field.YEARS: NumberRule(
        "years such as 0.25", least=-LONGEST_YEARS, most=LONGEST_YEARS, hint="days belong in a column called days"
    ),
    Field.DAYS: NumberRule("calendar days such as 45", least=-LONGEST_YEARS * 365, most=LONGEST_YEARS * 365),
    Field.PRICE: QUOTE,
    Field.BID: QUOTE,
    Field.ASK: QUOTE,
    Field.VOL: NumberRule(
        "a decimal such as 0.25", least=0.0, most=10.0, above=True, percent=True, hint="25 % is 0.25 or 25%"
    ),
    Field.RATE: NumberRule("a decimal such as 0.04", least=-0.5, most=1.0, percent=True, hint="4 % is 0.04 or 4%"),
    Field.DIVIDEND_YIELD: NumberRule(
        "a decimal such as 0.013", least=-0.5, most=1.0, percent=True, hint="1.3 % is 0.013 or 1.3%"
    ),
}


@dataclass(slots=True)
class Inputs:
    """One entry a row. NaN is "not given"; `status` is OK while the row can be handed to a pricer."""

    spot: FloatArray
    strike: FloatArray
    years: FloatArray
    rate: FloatArray
    dividend_yield: FloatArray
    is_call: BoolArray
    american: BoolArray
    price: FloatArray
    vol: FloatArray
    dividends: list[tuple[tuple[float, float], ...]]  # (years from the row's instant, $ per share), those before expiry
    status: NDArray[np.int8]
    problems: dict[int, list[str]]  # what is wrong with a row, each with its column
    sources: dict[str, list[str]]  # where rate, style, time, price and yield of each row came from
    notes: list[str]  # assumptions that concern many rows
    fields: dict[Field, int]  # the position of each recognised column

    def __len__(self) -> int:
        return len(self.spot)


class _Reader:
    """Reads the columns of one table and collects what is wrong with each row."""

    def __init__(self, table: Table, fields: dict[Field, int]) -> None:
        self.table = table
        self.fields = fields
        self.size = len(table.rows)
        self.problems: dict[int, list[str]] = {}
        for at, width in enumerate(table.widths):
            if width != len(table.header):
                self.wrong(at, None, f"has {width} cells, the header has {len(table.header)}; quote cells with commas")

    def wrong(self, at: int, field: Field | None, what: str) -> None:
        where = "" if field is None else f"column {self.name(field)}: "
        self.problems.setdefault(at, []).append(f"{where}{what}")

    def name(self, field: Field) -> str:
        position = self.fields.get(field)
        return field.value if position is None else self.table.header[position]

    def numbers(self, field: Field) -> FloatArray:
        if field not in self.fields:
            return np.full(self.size, np.nan)
        values, wrong = cells_of.numbers(self.table.column(self.fields[field]), RULES[field])
        self._note(field, wrong)
        return values

    def each(self, field: Field, reader: Callable[[str], cells_of.T]) -> list[cells_of.T | None]:
        if field not in self.fields:
            return [None] * self.size
        found, wrong = cells_of.each(self.table.column(self.fields[field]), reader)
        self._note(field, wrong)
        return found

    def need(self, field: Field, given: Sequence[bool] | BoolArray, what: str) -> None:
        """Every row without it is a bad row, unless its cell was said to be wrong already."""
        for at in np.flatnonzero(~np.asarray(given)).tolist():
            if not any(f"column {self.name(field)}:" in problem for problem in self.problems.get(at, ())):
                self.wrong(at, field, what)

    def _note(self, field: Field, wrong: dict[int, str]) -> None:
        for at, what in wrong.items():
            self.wrong(at, field, what)


def inputs_of(table: Table, as_of_ns: int) -> Inputs:
    """Every row's inputs; BadInput only when the table as a whole cannot be used."""
    reader = _Reader(table, recognise(table.header, table.source))
    symbols = reader.each(Field.SYMBOL, _symbol)
    contracts = [symbol if isinstance(symbol, OptionContract) else None for symbol in symbols]
    roots = [symbol.root if isinstance(symbol, OptionContract) else symbol for symbol in symbols]

    spot = reader.numbers(Field.SPOT)
    reader.need(Field.SPOT, ~np.isnan(spot), "is empty; write dollars per share such as 105.50")
    strike = reader.numbers(Field.STRIKE)
    for at, contract in enumerate(contracts):
        if contract is not None and np.isnan(strike[at]):
            strike[at] = float(contract.strike)
    reader.need(Field.STRIKE, ~np.isnan(strike), "is empty; write dollars per share such as 105")

    rights = reader.each(Field.RIGHT, cells_of.is_call)
    rights = [
        contract.right is Right.CALL if right is None and contract is not None else right
        for right, contract in zip(rights, contracts, strict=True)
    ]
    reader.need(Field.RIGHT, [right is not None for right in rights], "is empty; write C or P")

    moments = reader.each(Field.AS_OF, cells_of.instant)
    now = [as_of_ns if moment is None else moment for moment in moments]
    years, time_source = _years(reader, contracts, roots, now)
    american, style_source = _styles(reader, roots)
    price, price_status, price_source = _prices(reader)
    vol = reader.numbers(Field.VOL)
    rate, rate_source = _with_default(reader, Field.RATE, FALLBACK_RATE, "fallback")
    dividend_yield, yield_source = _with_default(reader, Field.DIVIDEND_YIELD, 0.0, "assumed")
    paid = _dividends(reader, now, years)

    has_price = ~np.isnan(price)
    status = np.where(has_price | np.isnan(vol), price_status, np.int8(IvStatus.OK)).astype(np.int8)
    value_source = [
        source if priced else "vol given" if has_vol else source
        for source, priced, has_vol in zip(price_source, has_price.tolist(), (~np.isnan(vol)).tolist(), strict=True)
    ]
    for at in reader.problems:
        status[at] = IvStatus.BAD_INPUT
    return Inputs(
        spot=spot,
        strike=strike,
        years=years,
        rate=rate,
        dividend_yield=dividend_yield,
        is_call=np.array([bool(right) for right in rights], dtype=np.bool_),
        american=american,
        price=price,
        vol=vol,
        dividends=paid,
        status=status,
        problems=dict(sorted(reader.problems.items())),
        sources={
            "value": value_source,
            "years": time_source,
            "rate": rate_source,
            "dividend_yield": yield_source,
            "style": style_source,
        },
        notes=_notes(rate_source, style_source, has_price, vol),
        fields=reader.fields,
    )


def _symbol(cell: str) -> OptionContract | str:
    if not is_option(cell):
        return cell.upper()
    try:
        return parse_option(cell)
    except BadSymbol as error:
        raise cells_of.Unreadable(str(error)) from error


def _years(
    reader: _Reader, contracts: list[OptionContract | None], roots: list[str | None], now: list[int]
) -> tuple[FloatArray, list[str]]:
    """Years to expiry: as given, else to the expiry's instant, else from days, else from the OCC symbol's date."""
    years = reader.numbers(Field.YEARS)
    days = reader.numbers(Field.DAYS)
    expiries = reader.each(Field.EXPIRY, cells_of.day_or_instant)
    source = ["years given"] * reader.size
    wanted: dict[tuple[date | int, bool, int], list[int]] = {}
    for at in np.flatnonzero(np.isnan(years)).tolist():
        contract = contracts[at]
        expiry: date | int | None = expiries[at]
        if expiry is None and not np.isnan(days[at]):
            years[at] = days[at] / 365.0
            source[at] = "days / 365"
            continue
        if expiry is None and contract is not None:
            expiry = contract.expiry
        if expiry is not None:
            wanted.setdefault((expiry, _morning(roots[at], contract, expiry), now[at]), []).append(at)
    calendar = _calendar([(expiry, instant) for expiry, _, instant in wanted])
    for (expiry, morning, instant), rows in wanted.items():
        value, said = _years_until(calendar, expiry, morning, instant)
        for at in rows:
            years[at] = value
            source[at] = said
            if value > LONGEST_YEARS:
                reader.wrong(at, Field.EXPIRY, f"lies more than {LONGEST_YEARS:.0f} years ahead; write a listed expiry")
    missing = Field.EXPIRY if Field.YEARS not in reader.fields else Field.YEARS
    given = ~np.isnan(years)
    for field in (Field.EXPIRY, Field.YEARS, Field.DAYS):  # a cell that was unreadable is the reason, not an empty one
        for at in np.flatnonzero(~given).tolist():
            given[at] = any(f"column {reader.name(field)}:" in problem for problem in reader.problems.get(at, ()))
    reader.need(missing, given, "is empty; write an expiry such as 2026-04-17, or years such as 0.25")
    return years, source


def _morning(root: str | None, contract: OptionContract | None, expiry: date | int) -> bool:
    """Settled at the open. A bare SPX that is no OCC root may mean SPXW as well: the morning on third Fridays only."""
    if root is None or isinstance(expiry, int) or not terms_of(root).am_settled:
        return False
    return contract is not None or root == "VIX" or (expiry.weekday() == 4 and 15 <= expiry.day <= 21)


def _calendar(wanted: Sequence[tuple[date | int, int]]) -> SessionCalendar | None:
    """Sessions over the expiries that lie ahead; None when there is no date among them."""
    ahead = [expiry for expiry, now in wanted if isinstance(expiry, date) and _ahead(expiry, now)]
    if not ahead:
        return None
    return SessionCalendar.load(min(ahead) - timedelta(days=10), max(ahead))


def _ahead(expiry: date, now: int) -> bool:
    return 0 <= (expiry - et_date(now)).days + 5 <= (LONGEST_YEARS + 1) * 366


def _years_until(calendar: SessionCalendar | None, expiry: date | int, morning: bool, now: int) -> tuple[float, str]:
    if isinstance(expiry, int):
        return years_to(now, expiry), "to the instant given"
    if calendar is None or not _ahead(expiry, now):
        left = (expiry - et_date(now)).days
        return max(0.0, left / 365.0), "expired" if left < 0 else "days / 365"
    instant = calendar.expiry_ns(expiry, morning)
    return years_to(now, instant), "to 09:30 New York" if morning else "to the session's close"


def _styles(reader: _Reader, roots: list[str | None]) -> tuple[BoolArray, list[str]]:
    given = reader.each(Field.STYLE, cells_of.is_american)
    american = np.ones(reader.size, dtype=np.bool_)
    source = ["assumed"] * reader.size
    for at, (style, root) in enumerate(zip(given, roots, strict=True)):
        if style is not None:
            american[at] = style
            source[at] = "given"
        elif root is not None and terms_of(root).european:
            american[at] = False
            source[at] = "index option"
    return american, source


def _prices(reader: _Reader) -> tuple[FloatArray, NDArray[np.int8], list[str]]:
    """The price, else the mid of a usable quote (QUANT.md 3.5), with why there is none."""
    price = reader.numbers(Field.PRICE)
    bid = reader.numbers(Field.BID)
    ask = reader.numbers(Field.ASK)
    mid = 0.5 * (bid + ask)
    spread = ask - bid
    quoted = np.isnan(price)
    status = np.full(reader.size, IvStatus.OK, dtype=np.int8)
    with np.errstate(invalid="ignore"):
        status[quoted & (spread > np.maximum(0.10, 0.5 * mid) + 1e-12)] = IvStatus.WIDE_SPREAD
        status[quoted & ~((bid > 0.0) & (ask > 0.0))] = IvStatus.NO_QUOTE
        status[quoted & (ask < bid)] = IvStatus.CROSSED
    usable = quoted & (status == IvStatus.OK)
    price[usable] = mid[usable]
    source = np.where(quoted, np.where(usable, "mid of bid and ask", "no usable quote"), "price given").tolist()
    return price, status, source


def _with_default(reader: _Reader, field: Field, default: float, word: str) -> tuple[FloatArray, list[str]]:
    values = reader.numbers(field)
    absent = np.isnan(values)
    values[absent] = default
    return values, np.where(absent, word, "given").tolist()


def _dividends(reader: _Reader, now: list[int], years: FloatArray) -> list[tuple[tuple[float, float], ...]]:
    """Dividends between each row's instant and its expiry, in the order of their dates."""
    if Field.DIVIDENDS not in reader.fields:
        return [()] * reader.size
    listed = reader.each(Field.DIVIDENDS, cells_of.dividends)
    left = years.tolist()
    known: dict[tuple[tuple[Dividend, ...], int], list[tuple[float, float]]] = {}
    found: list[tuple[tuple[float, float], ...]] = []
    for at, paid in enumerate(listed):
        if not paid:
            found.append(())
            continue
        key = (paid, now[at])
        if key not in known:
            known[key] = sorted((dividend.years_from(now[at]), dividend.amount) for dividend in paid)
        found.append(tuple(pair for pair in known[key] if 0.0 < pair[0] <= left[at] and pair[1] > 0.0))
    return found


def _notes(rates: list[str], styles: list[str], has_price: BoolArray, vol: FloatArray) -> list[str]:
    notes: list[str] = []
    if assumed := rates.count("fallback"):
        notes.append(f"{assumed} row(s) without a rate: the fallback {FALLBACK_RATE:.2%} is used")
    if assumed := styles.count("assumed"):
        notes.append(f"{assumed} row(s) without a style: priced as American (write style=european for index options)")
    if both := int(np.count_nonzero(has_price & ~np.isnan(vol))):
        notes.append(f"{both} row(s) with a price and a vol: the price decides")
    return notes


def as_of_instant(text: str | None, now_ns: int) -> int:
    """The instant of `--as-of`, now without it."""
    if text is None:
        return now_ns
    try:
        return cells_of.instant(text.strip())
    except cells_of.Unreadable as error:
        raise BadInput(f"--as-of: {error}; or an instant, 2026-03-02T15:30 (New York time)") from error
