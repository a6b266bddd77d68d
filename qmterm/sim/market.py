"""What the simulator's faces (Polygon's wires, the broker) ask of a market: the seam between them and any world.

The synthetic World (world.py) invents everything by seed; a replay (replay/world.py) knows only what its files hold.
The trap: prices are kept in the world's own unit (whole cents, or dollars as the file has them): divide by `unit`.
What a world does not know is NaN, or 0 where no price can be 0, and then it is absent on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.instruments import OptionContract
from qmterm.core.quotes import Quote
from qmterm.sim.companies import Profile
from qmterm.sim.corporate import Dividend, Earnings, Split
from qmterm.sim.happenings import Halt, Rename
from qmterm.sim.listing import Contracts, Listing
from qmterm.sim.news import Article
from qmterm.sim.option_quotes import OptionQuotes
from qmterm.sim.option_tape import Prints
from qmterm.sim.past import DailyHistory, DayBars, PriceArray
from qmterm.sim.session import MinuteBars, Trades

BarRow = tuple[int, float, float, float, float, float, float]  # start in Unix ms, o h l c $, volume, vwap $


@dataclass(slots=True)
class Progress:
    """What one advance brought: finished minutes, who traded in each step, and frames to send as they are."""

    minutes: list[MinuteBars] = field(default_factory=list)
    trades: list[Trades] = field(default_factory=list)
    frames: list[tuple[str, bytes]] = field(default_factory=list)  # (cluster, frame), in order

    def add(self, part: Progress) -> None:
        self.minutes += part.minutes
        self.trades += part.trades
        self.frames += part.frames


class Listed(Protocol):
    """Who is listed, by symbol number."""

    @property
    def tickers(self) -> tuple[str, ...]: ...

    @property
    def number(self) -> dict[str, int]: ...

    @property
    def optionable(self) -> BoolArray: ...

    def __len__(self) -> int: ...

    def name(self, i: int) -> str:
        """The company's name; "" when it is not known."""
        ...

    def is_fund(self, i: int) -> bool: ...

    def relatives(self, i: int, most: int) -> list[int]:
        """Companies like it; none when nothing is known."""
        ...

    def profile(self, i: int) -> Profile | None:
        """What the details of a ticker tell of the company; None when nothing is known."""
        ...


class RunningDay(Protocol):
    """The running session by symbol number, prices in the world's unit; 0 = nothing yet."""

    day: date
    open_ns: int
    close_ns: int
    last: PriceArray
    last_size: NDArray[Any]  # 0 = the last price is a bar's close, not a trade's
    last_ns: IntArray
    open: PriceArray
    high: PriceArray
    low: PriceArray
    close: PriceArray
    volume: NDArray[Any]  # regular session
    turnover: FloatArray  # unit × shares, NaN when not known
    all_volume: NDArray[Any]
    minutes: list[MinuteBars]
    halted: BoolArray
    any_halted: bool

    @property
    def latest_minute(self) -> Iterable[NDArray[Any]]:
        """open, high, low, close, volume, end (ns) of each latest minute bar, and its vwap where a source has it."""
        ...

    def day_bars(self) -> DayBars: ...


class Befell(Protocol):
    """What befell single names besides trading: halts, splits and renames (happenings.py)."""

    halts: list[Halt]
    announced: list[Split]
    executed: list[tuple[str, Split]]
    renames: list[Rename]

    def add(self, request: Mapping[str, object]) -> str:
        """Plan one event; BadInput when it cannot be."""
        ...

    def transitions(self, first_ns: int, last_ns: int) -> list[tuple[int, Halt, bool]]: ...

    def former(self, ticker: str) -> Rename | None: ...

    def ticker_on(self, symbol: int, day: date) -> str: ...

    def first_day(self, symbol: int) -> date | None: ...


class CorporateActions(Protocol):
    dividends: list[Dividend]
    splits: list[Split]

    def split_factor(self, symbol: int, day: date) -> float: ...

    def earnings_of(self, symbol: int, now: date) -> list[Earnings]: ...

    def reporting_between(self, low: str, high: str) -> list[int]: ...


class Market(Protocol):
    """One market at one instant; `advance_to` alone changes it."""

    seed: int
    calendar: SessionCalendar
    now_ns: int
    step_ns: int
    history: DailyHistory
    finished_minutes: dict[date, list[MinuteBars]]

    @property
    def unit(self) -> float:
        """What a dollar is in the price columns."""
        ...

    @property
    def invents(self) -> bool:
        """True: trade counts, identifiers and the like follow from rules. False: what data do not hold is left out."""
        ...

    @property
    def recorded(self) -> bool:
        """True: the streams carry `Progress.frames` as they were received, and nothing else."""
        ...

    def offers(self, cluster: str) -> frozenset[str] | None:
        """Event types that a stream of this market can carry, whatever the plan; None = all."""
        ...

    @property
    def notice(self) -> str:
        """What the person who runs this market should know of it before it begins; "" for nothing."""
        ...

    @property
    def ends_ns(self) -> int | None:
        """When the market has nothing more to tell; None = never."""
        ...

    @property
    def universe(self) -> Listed: ...

    @property
    def today(self) -> RunningDay: ...

    @property
    def previous(self) -> DayBars: ...

    @property
    def corporate(self) -> CorporateActions: ...

    @property
    def happenings(self) -> Befell: ...

    @property
    def yields(self) -> Mapping[str, tuple[float, float]]:
        """Treasury yields by the reply's field: (years, percent); empty when they are not known."""
        ...

    @property
    def phase(self) -> Phase: ...

    @property
    def wall_date(self) -> date: ...

    def advance_to(self, target_ns: int) -> Progress: ...

    # --- stocks ---

    def symbol_exists(self, ticker: str) -> bool: ...

    def is_optionable(self, ticker: str) -> bool: ...

    def stock_sides(self, rows: IntArray | slice = ...) -> tuple[PriceArray, PriceArray]:
        """Bid and ask; 0 = no quote."""
        ...

    def stock_lots(self, rows: IntArray | slice = ...) -> tuple[IntArray, IntArray]: ...

    def stock_quote_ns(self, rows: IntArray | slice = ...) -> IntArray: ...

    def past_minutes(self, day: date, symbol: int) -> list[BarRow]:
        """Minutes of a session that is over and not in `finished_minutes`."""
        ...

    def last(self, symbol: str) -> float | None: ...

    def previous_close(self, symbol: str) -> float | None: ...

    def quote(self, symbol: str) -> Quote | None: ...

    def published(self) -> list[Article]: ...

    # --- options ---

    @property
    def option_instant(self) -> int: ...

    def listing(self, ticker: str) -> Listing | None: ...

    def listed(self, occ: str) -> tuple[Listing, int] | None: ...

    def contract(self, occ: str) -> OptionContract | None: ...

    def chain_symbols(self, ticker: str) -> Mapping[date, tuple[float, ...]]: ...

    def settlement(self, occ: str) -> float | None: ...

    def option_quotes(self, contracts: Contracts) -> OptionQuotes:
        """Quotes of contracts that are alive; an ask that is NaN is no quote."""
        ...

    def option_values(self, contracts: Contracts, spots: FloatArray, instant_ns: int) -> FloatArray:
        """Model values ($) at another instant; NaN in a world without a model."""
        ...

    def option_sides_at(
        self, contracts: Contracts, spot: FloatArray, instant_ns: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Bid and ask at moments of the running session, a spot ($) and an instant a row; NaN without a model."""
        ...

    def open_interest(self, contracts: Contracts) -> NDArray[Any]:
        """Contracts; −1 when not known."""
        ...

    def option_volume(self, contracts: Contracts, interest: NDArray[Any]) -> tuple[IntArray, IntArray]:
        """(today so far, the session before) in contracts."""
        ...

    def option_ticks(self, contracts: Contracts, price: FloatArray) -> FloatArray: ...

    def option_prints(self, contracts: Contracts, first_ns: int, last_ns: int) -> Prints:
        """Trades of contracts in (first, last], as far as the session has come."""
        ...

    def last_option_prints(self, contracts: Contracts, interest: NDArray[Any]) -> Prints:
        """The latest trade of each contract that traded in the running session."""
        ...


def stamps(time_ns: IntArray | int, count: int) -> list[int]:
    """One instant for each of `count` rows, from a column or from one for all."""
    return [int(value) for value in np.broadcast_to(np.asarray(time_ns, dtype=np.int64), count)]
