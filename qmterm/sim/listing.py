"""Which option contracts exist: expiries by liquidity class, strikes by price, as columns of one underlying.

The trap: a contract somebody holds must not disappear when the price moves. The strike grid hangs on the price at
the start and only ever grows with the range of closes since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS
from qmterm.core.instruments import OptionContract, Right
from qmterm.sim.randomness import mix

SECONDS_PER_YEAR = 31_536_000
WEEKLIES = 8
DAILY_SESSIONS = 8


@dataclass(frozen=True)
class Contracts:
    """Contracts as columns, possibly of many underlyings: what pricing needs to know of each."""

    symbol: IntArray  # number of the underlying
    expiry: NDArray[np.datetime64]  # datetime64[D]
    expiry_ns: IntArray
    strike: FloatArray
    is_call: BoolArray
    key: NDArray[np.uint64]  # hash of the contract: what its sizes, noise and open interest follow from

    def __len__(self) -> int:
        return len(self.strike)

    def take(self, rows: IntArray) -> Contracts:
        return Contracts(
            self.symbol[rows],
            self.expiry[rows],
            self.expiry_ns[rows],
            self.strike[rows],
            self.is_call[rows],
            self.key[rows],
        )


@dataclass(frozen=True)
class Listing:
    """All contracts of one underlying on one day, in ticker order: expiry, call before put, strike."""

    root: str
    contracts: Contracts
    expiries: tuple[date, ...]

    def __len__(self) -> int:
        return len(self.contracts)

    @cached_property
    def tails(self) -> list[str]:
        """The part of the OCC symbol after the root: yymmdd, C or P, strike in thousandths."""
        columns = self.contracts
        days = {day: f"{day:%y%m%d}" for day in self.expiries}
        names = [days[day] for day in columns.expiry.astype(object).tolist()]
        thousandths = np.rint(columns.strike * 1000).astype(int).tolist()
        return [
            f"{name}{'C' if call else 'P'}{strike:08d}"
            for name, call, strike in zip(names, columns.is_call.tolist(), thousandths, strict=True)
        ]

    @cached_property
    def row_of(self) -> dict[str, int]:
        return {tail: row for row, tail in enumerate(self.tails)}

    def contract(self, row: int) -> OptionContract:
        columns = self.contracts
        strike = Decimal(round(float(columns.strike[row]) * 1000)) / 1000
        right = Right.CALL if columns.is_call[row] else Right.PUT
        return OptionContract(self.root, columns.expiry[row].astype(object), right, strike)


def adjusted(contracts: Contracts, ratio: float) -> Contracts:
    """Contracts after an n-for-1 split: strikes divided and rounded to cents, each still of 100 shares."""
    return Contracts(
        contracts.symbol,
        contracts.expiry,
        contracts.expiry_ns,
        np.round(contracts.strike / ratio, 2),
        contracts.is_call,
        contracts.key,
    )


def merged(listing: Listing, more: Contracts, day: date) -> Listing:
    """A listing with further contracts of its underlying that expire on or after a day; theirs win at one strike."""
    both = [more.take(np.flatnonzero(more.expiry >= np.datetime64(day, "D"))), listing.contracts]
    names = ("symbol", "expiry", "expiry_ns", "strike", "is_call", "key")
    joined = Contracts(*(np.concatenate([getattr(part, name) for part in both]) for name in names))
    thousandths = np.rint(joined.strike * 1000).astype(np.int64)
    identity = np.stack([joined.expiry.astype(np.int64), ~joined.is_call, thousandths])
    _, first = np.unique(identity, axis=1, return_index=True)  # sorted by expiry, calls first, strike
    columns = joined.take(first)
    return Listing(listing.root, columns, tuple(sorted(set(columns.expiry.astype(object).tolist()))))


def fridays(calendar: SessionCalendar, start: date, count: int) -> list[date]:
    """The coming weekly expiries: Fridays, or the session before a closed one."""
    friday = start + timedelta(days=(4 - start.weekday()) % 7)
    out: list[date] = []
    while len(out) < count:
        day = friday if calendar.is_session(friday) else calendar.previous(friday)
        if day >= start:
            out.append(day)
        friday += timedelta(days=7)
    return out


def _months_ahead(start: date, months: int) -> tuple[int, int]:
    month = start.month - 1 + months
    return start.year + month // 12, month % 12 + 1


def expiries(calendar: SessionCalendar, start: date, weekly: bool, daily: bool) -> tuple[date, ...]:
    """Listed expiries as of a day: the nearest monthlies, quarterly cycles, two Januaries; weeklies and dailies
    for those that have them."""
    days: set[date] = set()
    for ahead in range(28):
        year, month = _months_ahead(start, ahead)
        near = ahead <= (4 if weekly else 2)
        quarterly = ahead <= 10 and month % 3 == 0
        leaps = month == 1 or (daily and month in (6, 12))
        if near or quarterly or leaps:
            days.add(calendar.monthly_expiry(year, month))
    if weekly:
        days.update(fridays(calendar, start, WEEKLIES))
    if daily:
        session = start if calendar.is_session(start) else calendar.next(start)
        for _ in range(DAILY_SESSIONS):
            days.add(session)
            session = calendar.next(session)
    return tuple(sorted(day for day in days if day >= start))


def strike_step(price: float, daily: bool) -> float:
    if daily:
        return 1.0
    for limit, step in ((12.0, 0.5), (60.0, 1.0), (250.0, 2.5), (600.0, 5.0), (2000.0, 10.0)):
        if price < limit:
            return step
    return 50.0


def strikes(anchor: float, low: float, high: float, volatility: float, years: float, daily: bool) -> FloatArray:
    """Strikes for one expiry: fine around the money, coarse outside, reaching about three deviations."""
    step = strike_step(anchor, daily)
    reach = max(0.18, 3.2 * volatility * max(years, 0.02) ** 0.5)
    near = 0.5 * reach if not daily else max(0.06, 0.4 * reach)
    if years > 0.6:
        step *= 2
    fine = _grid(low * (1 - near), high * (1 + near), step)
    coarse = _grid(low * max(0.25, 1 - reach), high * min(2.5, 1 + reach), step * (5 if daily else 2))
    return np.asarray(np.union1d(fine, coarse), dtype=np.float64)


def _grid(low: float, high: float, step: float) -> FloatArray:
    first = max(1, int(np.ceil(low / step)))
    return np.asarray(np.arange(first, int(np.floor(high / step)) + 1) * step, dtype=np.float64)


def make_listing(
    symbol: int,
    ticker: str,
    calendar: SessionCalendar,
    day: date,
    *,
    since: date,
    anchor: float,
    low: float,
    high: float,
    volatility: float,
    weekly: bool,
    daily: bool,
    seed: int,
) -> Listing:
    """Contracts listed on a day; `anchor` is the price at the world's start day `since`, [low, high] the closes
    from then on."""
    listed = expiries(calendar, day, weekly, daily)
    parts: list[tuple[date, bool, FloatArray]] = []
    for expiry in listed:
        # Measured from the running day the grid would shrink as time passes and drop contracts somebody holds.
        years = max((expiry - since).days / 365, 0.08)
        grid = strikes(anchor, low, high, volatility, years, daily)
        parts += [(expiry, True, grid), (expiry, False, grid)]
    sizes = [len(grid) for _, _, grid in parts]
    days = np.repeat(np.array([part[0] for part in parts], dtype="datetime64[D]"), sizes)
    closes = np.repeat(np.array([calendar.expiry_ns(part[0]) for part in parts], dtype=np.int64), sizes)
    is_call = np.repeat(np.array([part[1] for part in parts]), sizes)
    strike = np.concatenate([part[2] for part in parts])
    thousandths = np.rint(strike * 1000).astype(np.int64)
    key = mix(np.full(len(strike), seed), np.full(len(strike), symbol), days.astype(np.int64), is_call, thousandths)
    columns = Contracts(
        symbol=np.full(len(strike), symbol, dtype=np.int64),
        expiry=days,
        expiry_ns=closes,
        strike=strike,
        is_call=is_call,
        key=key,
    )
    return Listing(ticker, columns, listed)


def years_left(now_ns: int | IntArray, expiry_ns: IntArray) -> FloatArray:
    return np.asarray(np.maximum(expiry_ns - now_ns, 0) / NS / SECONDS_PER_YEAR, dtype=np.float64)
