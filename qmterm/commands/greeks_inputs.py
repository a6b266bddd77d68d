"""The rows of a table as arrays the pricers take, with where each assumed value came from.

The trap: a default is an assumption about somebody's money; each one is counted and said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmterm.commands import greeks_cells as cells_of
from qmterm.commands.greeks_columns import Field, recognise
from qmterm.commands.greeks_dates import instant
from qmterm.commands.greeks_dividends import Dividend, dividends
from qmterm.commands.greeks_read import Table
from qmterm.commands.greeks_reader import ColumnReader
from qmterm.commands.greeks_time import years_left
from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import OptionContract, Right, is_option, parse_option
from qmterm.core.settlement import terms_of
from qmterm.quant.options.implied_vol import IvStatus
from qmterm.quant.options.rates import FALLBACK_RATE


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
    given: dict[Field, FloatArray]  # the numbers of those columns as the table gives them

    def __len__(self) -> int:
        return len(self.spot)


def inputs_of(table: Table, as_of_ns: int) -> Inputs:
    """Every row's inputs; BadInput only when the table as a whole cannot be used."""
    reader = ColumnReader(table, recognise(table.header, table.source, table.header_line))
    symbols = reader.each(Field.SYMBOL, _symbol)
    contracts = [symbol if isinstance(symbol, OptionContract) else None for symbol in symbols]
    roots = [symbol.root if isinstance(symbol, OptionContract) else symbol for symbol in symbols]

    spot = reader.numbers(Field.SPOT)
    reader.need(Field.SPOT, ~np.isnan(spot), "is empty; write dollars per share such as 105.50")
    strike = reader.numbers(Field.STRIKE)
    for at, contract in enumerate(contracts):
        if contract is None:
            continue
        if np.isnan(strike[at]):
            strike[at] = float(contract.strike)
        elif abs(strike[at] - float(contract.strike)) > 1e-6:
            reader.wrong(at, Field.STRIKE, f"{strike[at]:g}, but the symbol says {contract.strike:f}")
    reader.need(Field.STRIKE, ~np.isnan(strike), "is empty; write dollars per share such as 105")

    rights = reader.each(Field.RIGHT, cells_of.is_call)
    for at, (right, contract) in enumerate(zip(rights, contracts, strict=True)):
        if contract is not None and right is not None and right is not (contract.right is Right.CALL):
            reader.wrong(
                at, Field.RIGHT, f"is a {'call' if right else 'put'}, but the symbol says {contract.right.name}"
            )
    rights = [
        contract.right is Right.CALL if right is None and contract is not None else right
        for right, contract in zip(rights, contracts, strict=True)
    ]
    reader.need(Field.RIGHT, [right is not None for right in rights], "is empty; write C or P")

    moments = reader.each(Field.AS_OF, instant)
    now = [as_of_ns if moment is None else moment for moment in moments]
    years, time_source = years_left(reader, contracts, roots, now)
    american, style_source = _styles(reader, roots)
    price, price_status, price_source = _prices(reader)
    vol = reader.numbers(Field.VOL)
    reader.forgive(Field.VOL, ~np.isnan(price), "with a vol that cannot be read: the price decides")
    rate, rate_source = _with_default(reader, Field.RATE, FALLBACK_RATE, "fallback")
    dividend_yield, yield_source = _with_default(reader, Field.DIVIDEND_YIELD, 0.0, "assumed")
    paid = _dividends(reader, now, years)
    _check_paid(reader, paid, spot)

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
        notes=reader.notes + _notes(rate_source, style_source, has_price, vol),
        fields=reader.fields,
        given=reader.given,
    )


def _symbol(cell: str) -> OptionContract | str:
    """An OCC or Polygon symbol; else the letters it begins with: SPX of $SPX, ^SPX, I:SPX, `SPX 17APR26 6000 C`."""
    text = cell.upper().lstrip("$^.").removeprefix("I:")
    if not is_option(text):
        letters = re.match(r"[A-Z]+", text)
        return letters.group() if letters else text
    try:
        return parse_option(text)
    except BadSymbol as error:
        raise cells_of.Unreadable(str(error)) from error


def _styles(reader: ColumnReader, roots: list[str | None]) -> tuple[BoolArray, list[str]]:
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


def _prices(reader: ColumnReader) -> tuple[FloatArray, NDArray[np.int8], list[str]]:
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


def _with_default(reader: ColumnReader, field: Field, default: float, word: str) -> tuple[FloatArray, list[str]]:
    values = reader.numbers(field)
    absent = np.isnan(values)
    values[absent] = default
    return values, np.where(absent, word, "given").tolist()


def _dividends(reader: ColumnReader, now: list[int], years: FloatArray) -> list[tuple[tuple[float, float], ...]]:
    """Dividends between each row's instant and its expiry, in the order of their dates."""
    if Field.DIVIDENDS not in reader.fields:
        return [()] * reader.size
    listed = reader.each(Field.DIVIDENDS, dividends)
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


def _check_paid(reader: ColumnReader, paid: list[tuple[tuple[float, float], ...]], spot: FloatArray) -> None:
    """No model prices a share that pays out all it is worth."""
    for at, pairs in enumerate(paid):
        total = sum(amount for _, amount in pairs)
        if pairs and total >= spot[at]:
            reader.wrong(
                at, Field.DIVIDENDS, f"pays {total:g} before expiry, the spot is {spot[at]:g}; check the amounts"
            )


def _notes(rates: list[str], styles: list[str], has_price: BoolArray, vol: FloatArray) -> list[str]:
    notes: list[str] = []
    if assumed := rates.count("fallback"):
        notes.append(f"{assumed} row(s) without a rate: the fallback {FALLBACK_RATE:.2%} is used")
    if assumed := styles.count("assumed"):
        notes.append(f"{assumed} row(s) without a style: priced as American (write style=european for index options)")
    if both := int(np.count_nonzero(has_price & ~np.isnan(vol))):
        notes.append(f"{both} row(s) with a price and a vol: the price decides")
    return notes
