"""What an execution costs at tastytrade: an effective-dated table with a source per row, exact to the cent.

The trap: rates change yearly and commissions are capped per leg of an **order**, so a fill is priced as the difference
of two running totals. Partial fills at one price then add up to exactly the fee of the whole order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import lru_cache

from qmterm.core.errors import BadInput
from qmterm.core.instruments import is_option, underlying_of
from qmterm.core.orders import Action, Leg

CENT = Decimal("0.01")
FLAT_FEE_PER_CONTRACT = Decimal("1.15")  # a rough all-in figure for plans before the legs are known
_ZERO = Decimal(0)


class Component(StrEnum):
    COMMISSION = "commission"
    CLEARING = "clearing"
    ORF = "orf"  # options regulatory fee, both sides
    TAF = "taf"  # FINRA trading activity fee, sells only
    SEC = "sec"  # section 31 fee on the proceeds of sells
    PROPRIETARY = "proprietary"  # single-listed index options


class FeeClass(StrEnum):
    STOCK = "stock"
    EQUITY_OPTION = "equity option"
    INDEX_OPTION = "index option"


@dataclass(frozen=True, slots=True)
class FeeRow:
    """One published rate: dollars per share or contract, or (SEC only) per dollar of proceeds."""

    component: Component
    classes: frozenset[FeeClass]
    since: date
    rate: Decimal
    source: str
    cap: Decimal | None = None  # dollars per leg of an order
    roots: frozenset[str] = frozenset()  # empty = every root
    from_quantity: int = 1  # applies to legs of at least this many contracts


@dataclass(frozen=True, slots=True)
class FeeBreakdown:
    """Dollars paid, positive, each component rounded to the cent."""

    commission: Decimal = _ZERO
    clearing: Decimal = _ZERO
    orf: Decimal = _ZERO
    taf: Decimal = _ZERO
    sec: Decimal = _ZERO
    proprietary: Decimal = _ZERO

    @property
    def regulatory(self) -> Decimal:
        return self.orf + self.taf + self.sec

    @property
    def total(self) -> Decimal:
        return self.commission + self.clearing + self.regulatory + self.proprietary

    def __add__(self, other: FeeBreakdown) -> FeeBreakdown:
        return FeeBreakdown(
            self.commission + other.commission,
            self.clearing + other.clearing,
            self.orf + other.orf,
            self.taf + other.taf,
            self.sec + other.sec,
            self.proprietary + other.proprietary,
        )

    def __sub__(self, other: FeeBreakdown) -> FeeBreakdown:
        return self + FeeBreakdown(
            -other.commission, -other.clearing, -other.orf, -other.taf, -other.sec, -other.proprietary
        )


_STOCK = frozenset({FeeClass.STOCK})
_OPTIONS = frozenset({FeeClass.EQUITY_OPTION, FeeClass.INDEX_OPTION})
_EQUITY = frozenset({FeeClass.EQUITY_OPTION})
_INDEX = frozenset({FeeClass.INDEX_OPTION})
_ALL = _STOCK | _OPTIONS
_FIRST = date(2018, 5, 22)

_PAGE = "tastytrade.com/commissions-and-fees"
_ARTICLE = "tastytrade support article 43000435233 (copy of 2018)"
_INDEX_ARTICLE = "tastytrade support article 43000521134"
_FINRA = "FINRA By-Laws Schedule A section 1 (trading activity fee)"
_FINRA_2025 = "FINRA SR-FINRA-2024-019 fee schedule"
_SEC = "SEC fee rate advisory"


def _sec(since: date, per_million: str) -> FeeRow:
    return FeeRow(Component.SEC, _ALL, since, Decimal(per_million) / 1_000_000, _SEC)


def _taf(since: date, share: str, cap: str, contract: str, source: str) -> tuple[FeeRow, FeeRow]:
    return (
        FeeRow(Component.TAF, _STOCK, since, Decimal(share), source, cap=Decimal(cap)),
        FeeRow(Component.TAF, _OPTIONS, since, Decimal(contract), source),
    )


def _index_fee(roots: str, rate: str, from_quantity: int = 1) -> FeeRow:
    named = frozenset(roots.split())
    return FeeRow(Component.PROPRIETARY, _INDEX, _FIRST, Decimal(rate), _INDEX_ARTICLE, None, named, from_quantity)


FEE_TABLE: tuple[FeeRow, ...] = (
    FeeRow(Component.COMMISSION, _EQUITY, _FIRST, Decimal(1), _PAGE, cap=Decimal(10)),
    FeeRow(Component.COMMISSION, _INDEX, _FIRST, Decimal(1), _PAGE),
    FeeRow(Component.CLEARING, _OPTIONS, _FIRST, Decimal("0.10"), _PAGE),
    FeeRow(Component.CLEARING, _STOCK, _FIRST, Decimal("0.0008"), _PAGE),
    FeeRow(Component.ORF, _OPTIONS, _FIRST, Decimal("0.0388"), _ARTICLE),
    # tastytrade passes the exchanges' sum on without a page that dates it: another broker's published 2026 figure.
    FeeRow(Component.ORF, _OPTIONS, date(2026, 1, 1), Decimal("0.02375"), "Firstrade price list 2026 (pass-through)"),
    *_taf(_FIRST, "0.000119", "5.95", "0.002", _ARTICLE),
    *_taf(date(2022, 1, 1), "0.000130", "6.49", "0.00218", _FINRA),
    *_taf(date(2023, 1, 1), "0.000145", "7.27", "0.00244", _FINRA),
    *_taf(date(2024, 1, 1), "0.000166", "8.30", "0.00279", _FINRA),
    *_taf(date(2026, 1, 1), "0.000195", "9.79", "0.00329", _FINRA_2025),
    _sec(_FIRST, "13.00"),
    _sec(date(2019, 4, 16), "20.70"),
    _sec(date(2020, 2, 18), "22.10"),
    _sec(date(2021, 2, 25), "5.10"),
    _sec(date(2022, 5, 14), "22.90"),
    _sec(date(2023, 2, 27), "8.00"),
    _sec(date(2024, 5, 22), "27.80"),
    _sec(date(2025, 5, 14), "0"),
    _sec(date(2026, 4, 4), "20.60"),
    _index_fee("SPX SPXW VIX VIXW", "0.65"),
    _index_fee("OEX XEO", "0.40"),
    _index_fee("MXEA MXEF SIXB SIXC SIXE SIXI SIXM SIXR SIXRE SIXT SIXU SIXV SIXY", "0.25"),
    _index_fee("DJX RUT RUTW", "0.18"),
    _index_fee("XSP", "0.07", from_quantity=10),
)

# Broad-based indices: no commission cap. The ones with a proprietary fee above, and those without.
INDEX_ROOTS = frozenset({"NDX", "NDXP", "XND", "MRUT"}).union(*(row.roots for row in FEE_TABLE))


def fee_class(symbol: str) -> FeeClass:
    """Which column of the price list an instrument belongs to."""
    if not is_option(symbol):
        return FeeClass.STOCK
    return FeeClass.INDEX_OPTION if underlying_of(symbol) in INDEX_ROOTS else FeeClass.EQUITY_OPTION


@lru_cache(maxsize=8192)
def rate_row(component: Component, symbol: str, day: date) -> FeeRow | None:
    """The row in force on a day (the earliest one before the table starts), None where nothing is charged."""
    kind, root = fee_class(symbol), underlying_of(symbol)
    rows = [
        row
        for row in FEE_TABLE
        if row.component is component and kind in row.classes and (not row.roots or root in row.roots)
    ]
    if not rows:
        return None
    in_force = [row for row in rows if row.since <= day]
    return max(in_force, key=lambda row: row.since) if in_force else min(rows, key=lambda row: row.since)


def leg_fees(
    symbol: str, action: Action, quantity: int, price: Decimal, day: date, multiplier: int = 0
) -> FeeBreakdown:
    """Fees of one whole leg: `quantity` contracts or shares at `price` dollars per share."""
    if quantity < 0 or price < 0:
        raise BadInput(f"fees of {quantity} {symbol} at {price}: quantity and price must not be negative")
    per_unit = multiplier or (100 if is_option(symbol) else 1)

    def charge(component: Component, basis: Decimal) -> Decimal:
        row = rate_row(component, symbol, day)
        if row is None or quantity < row.from_quantity:
            return _ZERO
        amount = row.rate * basis
        if row.cap is not None:
            amount = min(amount, row.cap)
        return amount.quantize(CENT, ROUND_HALF_UP)

    count = Decimal(quantity)
    sells = not action.buys
    return FeeBreakdown(
        commission=charge(Component.COMMISSION, count) if action.opens else _ZERO,
        clearing=charge(Component.CLEARING, count),
        orf=charge(Component.ORF, count),
        taf=charge(Component.TAF, count) if sells else _ZERO,
        sec=charge(Component.SEC, count * per_unit * price) if sells else _ZERO,
        proprietary=charge(Component.PROPRIETARY, count),
    )


def delivery_fees(underlying: str, buys: bool, shares: int, strike: Decimal, day: date) -> FeeBreakdown:
    """Fees of shares that exercise or assignment delivers: those of a stock trade at the strike (the article above).

    No source we have states a charge for the exercise itself; what the broker books is compared with this.
    """
    return leg_fees(underlying, Action.BUY_TO_OPEN if buys else Action.SELL_TO_CLOSE, shares, strike, day)


def order_fees(legs: Iterable[tuple[Leg, Decimal]], when: date) -> FeeBreakdown:
    """Fees of a whole order: each leg with its price per share."""
    total = FeeBreakdown()
    for leg, price in legs:
        total = total + leg_fees(leg.symbol, leg.action, leg.quantity, price, when, leg.multiplier)
    return total


def fill_breakdown(
    symbol: str, action: Action, quantity: int, price: Decimal, day: date, already_opened_in_order: int = 0
) -> FeeBreakdown:
    """Fees of one execution, by component; the last argument counts what this leg of this order filled before."""
    before = leg_fees(symbol, action, already_opened_in_order, price, day)
    return leg_fees(symbol, action, already_opened_in_order + quantity, price, day) - before


def fill_fees(
    symbol: str, action: Action, quantity: int, price: Decimal, day: date, already_opened_in_order: int = 0
) -> Decimal:
    """Dollars one execution costs.

    `already_opened_in_order` is what the same leg of the same order filled before (opening or closing): it carries
    the commission cap and the rounding, so that partial fills at one price add up to the fee of the whole.
    """
    return fill_breakdown(symbol, action, quantity, price, day, already_opened_in_order).total


def flat_fees(contracts: int, per_contract: Decimal = FLAT_FEE_PER_CONTRACT) -> Decimal:
    """The rough figure for planning: `contracts` counts each leg and each side."""
    return per_contract * contracts
