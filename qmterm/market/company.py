"""What reference answers become: companies, tickers, contracts, holidays, exchanges, sale conditions.

The trap: almost nothing is stated for every company (a fund has no industry, a new listing no shares), so what may be
absent is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class TickerRows:
    """Every ticker that the vendor lists, one entry each; the universe of the coverage ledger."""

    ticker: tuple[str, ...]
    type: tuple[str, ...]  # CS, ETF, ADRC, …
    exchange: tuple[str, ...]  # MIC of the primary listing
    active: tuple[bool, ...]
    delisted: tuple[date | None, ...]  # None while active, or not stated

    def __len__(self) -> int:
        return len(self.ticker)

    def take(self, rows: Sequence[int]) -> TickerRows:
        return TickerRows(
            tuple(self.ticker[row] for row in rows),
            tuple(self.type[row] for row in rows),
            tuple(self.exchange[row] for row in rows),
            tuple(self.active[row] for row in rows),
            tuple(self.delisted[row] for row in rows),
        )


@dataclass(frozen=True, slots=True)
class CompanyProfile:
    symbol: str
    name: str
    type: str
    exchange: str  # MIC
    sector: str  # the SIC description, '' unknown
    sic_code: str
    market_cap: float | None  # dollars
    shares: float | None  # outstanding of this share class
    weighted_shares: float | None
    employees: int | None
    list_date: date | None
    homepage: str
    description: str
    cik: str
    active: bool


@dataclass(frozen=True, slots=True)
class TickerChange:
    """From a day on the company trades under a symbol."""

    day: date
    symbol: str


@dataclass(frozen=True, slots=True)
class FinancialReport:
    """One filing; amounts by statement and line in the filing's unit (USD, USD / shares, shares)."""

    symbol: str
    period: str  # Q1 … Q4, FY, TTM
    fiscal_year: str
    end: date | None
    filed: date | None  # nobody knew the numbers before this day
    statements: Mapping[str, Mapping[str, float]]

    def value(self, statement: str, line: str) -> float | None:
        return self.statements.get(statement, {}).get(line)


@dataclass(frozen=True, slots=True)
class ListedContract:
    occ: str
    underlying: str
    style: str  # american | european | bermudan
    multiplier: float
    extra: bool  # something besides the multiplier's shares is delivered: an adjusted contract


@dataclass(frozen=True, slots=True)
class Holiday:
    exchange: str
    name: str
    day: date
    status: str  # closed | early-close
    close_ns: int | None  # of an early close


@dataclass(frozen=True, slots=True)
class Exchange:
    number: int  # as trades and quotes name it; shared by all facilities of one operator
    kind: str  # exchange | TRF | SIP
    mic: str
    name: str


@dataclass(frozen=True, slots=True)
class SaleCondition:
    """One condition code; None where the vendor states no rule."""

    number: int
    asset_class: str  # stocks | options
    name: str
    kind: str
    updates_high_low: bool | None
    updates_open_close: bool | None
    updates_volume: bool | None

    @property
    def rule(self) -> Mapping[str, object] | None:
        """As ConditionBook reads it: what the vendor leaves out lets the trade count; None where it says nothing."""
        told = {
            "updates_high_low": self.updates_high_low,
            "updates_open_close": self.updates_open_close,
            "updates_volume": self.updates_volume,
        }
        if all(value is None for value in told.values()):
            return None
        return {"id": self.number, "asset_class": self.asset_class, "update_rules": {"consolidated": told}}


@dataclass(frozen=True, slots=True)
class ShortInterest:
    settled: date
    shares: float
    days_to_cover: float | None
