"""What the files of a replay hold, from one look at all of them: who is in them, which sessions, which contracts.

The trap: symbol numbers must stand before the first moment is played, so every file is looked at when it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from qmterm.core.bars import BoolArray
from qmterm.core.clock import et_date
from qmterm.core.errors import BadInput
from qmterm.core.instruments import option_root, parse_option
from qmterm.sim.companies import Profile
from qmterm.sim.replay.daily import DailyBars, read_daily_bars
from qmterm.sim.replay.options import root_of
from qmterm.sim.replay.recorded import Survey, survey
from qmterm.sim.replay.source import Source, coverage, find
from qmterm.tape.layout import MINUTES, OPTION_QUOTES


@dataclass(frozen=True)
class ReplayUniverse:
    """Every name of the files, in the order of the symbol numbers."""

    tickers: tuple[str, ...]
    optionable: BoolArray  # the files hold contracts of it

    def __len__(self) -> int:
        return len(self.tickers)

    @cached_property
    def number(self) -> dict[str, int]:
        return {ticker: i for i, ticker in enumerate(self.tickers)}

    @cached_property
    def number_of_root(self) -> dict[str, int]:
        return {option_root(ticker): i for i, ticker in enumerate(self.tickers)}

    def name(self, i: int) -> str:
        return ""

    def is_fund(self, i: int) -> bool:
        return False

    def profile(self, i: int) -> Profile | None:
        return None


@dataclass(frozen=True)
class Contents:
    """All that is known of the files before the first moment is played."""

    source: Source
    daily: DailyBars
    minute_days: frozenset[date]
    option_days: frozenset[date]
    frames: Survey | None
    names: tuple[str, ...]
    roots: frozenset[str]
    last_expiry: date

    @property
    def days(self) -> list[date]:
        """Sessions that are told by the minute."""
        return sorted(self.minute_days | self.option_days)

    @property
    def first_day(self) -> date:
        return min((*self.days[:1], *self.daily.days[:1], *self._recorded_days))

    @property
    def last_day(self) -> date:
        return max((*self.days[-1:], *self.daily.days[-1:], *self._recorded_days))

    @property
    def _recorded_days(self) -> tuple[date, ...]:
        return () if self.frames is None else (et_date(self.frames.first_ns), et_date(self.frames.last_ns))


def read_contents(path: Path) -> Contents:
    """One look at all files: who is in them and when."""
    source = find(path)
    daily = read_daily_bars(source.daily)
    minute_days, stocks = coverage(source.minutes, MINUTES)
    option_days, contracts = coverage(source.option_quotes, OPTION_QUOTES)
    frames = survey(source.recordings) if source.recordings else None
    names = dict.fromkeys(frames.stocks if frames is not None else ())
    names |= dict.fromkeys(sorted({*daily.names, *stocks}))
    options = [
        parse_option(name) for name in (*contracts, *(frames.contracts if frames is not None else ())) if root_of(name)
    ]
    roots = frozenset(option.root for option in options)
    last_expiry = max((option.expiry for option in options), default=date.min)
    known = {option_root(name) for name in names}
    names |= dict.fromkeys(sorted(root for root in roots if root not in known and not root[-1].isdigit()))
    if not names:
        raise BadInput(f"{path} holds no row: nothing can be replayed")
    return Contents(
        source, daily, frozenset(minute_days), frozenset(option_days), frames, tuple(names), roots, last_expiry
    )
