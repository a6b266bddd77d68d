"""What befalls single names when it is asked for: halts, splits and renames, by command, by option or by seed.

The trap: a world in which nothing was asked for must stay the same to the byte. Nothing here draws from the world's
generators; a halt hides what the latent price does, a split rescales what is there, a rename changes a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from qmterm.core.clock import NS
from qmterm.core.errors import BadInput
from qmterm.sim.corporate import Split
from qmterm.sim.listing import Contracts, Listing, adjusted, merged
from qmterm.sim.options import wall_time
from qmterm.sim.randomness import chance

if TYPE_CHECKING:
    from qmterm.sim.session import MinuteBars, TradingDay
    from qmterm.sim.world import World

MINUTE_NS = 60 * NS
MOST_MINUTES = 24 * 60
_KEYS = {
    "halt": {"halt", "at", "minutes"},
    "halts": {"halts"},
    "split": {"split", "from", "to", "day"},
    "rename": {"rename", "to", "day"},
}


@dataclass(frozen=True, slots=True)
class Halt:
    symbol: int
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Rename:
    symbol: int
    day: date  # first session under the new ticker
    old: str
    new: str


class Happenings:
    def __init__(self, world: World) -> None:
        self._world = world
        self.halts: list[Halt] = []
        self.announced: list[Split] = []
        self.executed: list[tuple[str, Split]] = []  # ticker then, split
        self.coming_renames: list[Rename] = []
        self.renames: list[Rename] = []
        self._adjusted: dict[int, list[Contracts]] = {}  # contracts listed before a split, at their new strikes

    # --- asking ---

    def add(self, request: Mapping[str, object]) -> str:
        """Plan one event; a sentence that says what will happen. BadInput when it cannot."""
        kind = next((name for name in _KEYS if name in request), None)
        if kind is None:
            raise BadInput(f"an event is one of {', '.join(_KEYS)}, for example {{'halt': 'AAPL', 'minutes': 5}}")
        unknown = sorted(set(request) - _KEYS[kind])
        if unknown:
            raise BadInput(f"event {kind}: unknown key {unknown[0]!r}; it takes {', '.join(sorted(_KEYS[kind]))}")
        match kind:
            case "halt":
                return self._add_halt(request)
            case "halts":
                return self._add_halts(_whole(request, "halts", 1, 1000))
            case "split":
                return self._add_split(request)
            case _:
                return self._add_rename(request)

    def _add_halt(self, request: Mapping[str, object]) -> str:
        world, symbol = self._world, self._symbol(request, "halt")
        at = request.get("at")
        begins = world.now_ns if at is None else wall_time(str(at), world.wall_date, "at")
        minutes = _whole(request, "minutes", 1, MOST_MINUTES, 5)
        self.halts.append(Halt(symbol, begins, begins + minutes * MINUTE_NS))
        return f"{request['halt']} is halted for {minutes} minutes"

    def _add_halts(self, count: int) -> str:
        """Some optionable names, some time in the running session, for five to fifteen minutes: by seed."""
        world = self._world
        names = np.flatnonzero(world.universe.optionable)
        seed, today = world.seed, world.today
        number = np.arange(count)
        who = names[(chance(seed, 501, number, today.day.toordinal()) * len(names)).astype(int)]
        span = (today.close_ns - today.open_ns) // MINUTE_NS - 20
        start = (5 + chance(seed, 502, number, today.day.toordinal()) * (span - 5)).astype(int)
        long = (5 + 10 * chance(seed, 503, number, today.day.toordinal())).astype(int)
        for symbol, minute, minutes in zip(who.tolist(), start.tolist(), long.tolist(), strict=True):
            begins = today.open_ns + minute * MINUTE_NS
            self.halts.append(Halt(symbol, begins, begins + minutes * MINUTE_NS))
        return f"{count} halts over the session of {today.day}"

    def _add_split(self, request: Mapping[str, object]) -> str:
        symbol = self._symbol(request, "split")
        old, new = _whole(request, "from", 1, 100, 1), _whole(request, "to", 1, 100)
        if (old != 1 or new == 1) and bool(self._world.universe.optionable[symbol]):
            raise BadInput(
                f"event split: {new} for {old} needs non-standard contracts; names with options take n for 1"
            )
        day = self._day(request)
        self.announced.append(Split(symbol, day, old, new))
        return f"{request['split']} splits {new} for {old} on {day}"

    def _add_rename(self, request: Mapping[str, object]) -> str:
        symbol, new = self._symbol(request, "rename"), str(request.get("to", "")).strip().upper()
        if not new.isalpha() or len(new) > 5 or new in self._world.universe.number:
            raise BadInput(f"event rename: {new!r} is not a free ticker of one to five letters")
        day = self._day(request)
        self.coming_renames.append(Rename(symbol, day, str(request["rename"]), new))
        return f"{request['rename']} becomes {new} on {day}"

    def _symbol(self, request: Mapping[str, object], key: str) -> int:
        number = self._world.universe.number.get(str(request[key]))
        if number is None:
            raise BadInput(f"event {key}: {request[key]!r} is not listed here")
        return number

    def _day(self, request: Mapping[str, object]) -> date:
        """The session something takes effect: the next one unless told."""
        calendar, running = self._world.calendar, self._world.today.day
        text = request.get("day")
        if text is None:
            return calendar.next(running)
        try:
            day = date.fromisoformat(str(text))
        except ValueError as error:
            raise BadInput(f"event: day {text!r} is not a date such as 2026-03-03") from error
        if day <= running or not calendar.is_session(day):
            raise BadInput(f"event: {day} is not a session after {running}")
        return day

    # --- halts ---

    def before_step(self, today: TradingDay, time_ns: int) -> None:
        """Who is halted in the step that ends at an instant; a name that is just halted keeps its quote."""
        if not self.halts:
            return
        was = today.halted
        now = np.zeros(len(today.fair), dtype=np.bool_)
        for halt in self.halts:
            if halt.from_ns < time_ns <= halt.to_ns:
                now[halt.symbol] = True
        fresh = now & ~was
        today.frozen[fresh] = today.fair[fresh]
        today.halted_ns[fresh] = self._world.step_ns
        today.halted = now
        today.any_halted = bool(now.any())

    def transitions(self, first_ns: int, last_ns: int) -> list[tuple[int, Halt, bool]]:
        """(instant, halt, whether it begins) of halts that begin in [first, last) or end in (first, last], in order.

        A halt that was asked for between two steps begins at the instant told last, and holds from the next step on.
        """
        begin = [(halt.from_ns, halt, True) for halt in self.halts if first_ns <= halt.from_ns < last_ns]
        end = [(halt.to_ns, halt, False) for halt in self.halts if first_ns < halt.to_ns <= last_ns]
        return sorted(begin + end, key=lambda one: (one[0], one[1].symbol))

    # --- overnight ---

    def overnight(self, following: date) -> None:
        """Before a session begins: splits are executed and names changed that take effect in it."""
        for split in [split for split in self.announced if split.day == following]:
            self.announced.remove(split)
            self._execute(split)
        due = [rename for rename in self.coming_renames if rename.day == following]
        for rename in due:
            self.coming_renames.remove(rename)
            self.renames.append(rename)
        if due:
            tickers = list(self._world.universe.tickers)
            for rename in due:
                tickers[rename.symbol] = rename.new
            self._world.take_universe(replace(self._world.universe, tickers=tuple(tickers)))

    def _execute(self, split: Split) -> None:
        world, n = self._world, split.symbol
        ratio = split.new / split.old
        ticker = world.universe.tickers[n]
        listing = world.listing(ticker)
        if listing is not None:
            self._adjusted[n] = [adjusted(listing.contracts, ratio)]
        for bars in world.history.rows:
            for name in ("open", "high", "low", "close", "vwap"):
                column = getattr(bars, name)
                column[n] = max(1, round(int(column[n]) / ratio))
            bars.volume[n] = round(int(bars.volume[n]) * ratio)
        for minutes in world.finished_minutes.values():
            for minute in minutes:
                _rescale(minute, n, ratio)
        today = world.today
        today.fair[n] /= ratio
        today.last[n] = max(1, round(int(today.last[n]) / ratio))
        world.universe.price[n] /= ratio
        world.universe.volume[n] *= ratio
        world.corporate.execute(split)
        world.take_dividends()
        self.executed.append((ticker, split))

    def with_adjusted(self, symbol: int, listing: Listing, day: date) -> Listing:
        """A listing with the contracts that a split left behind, as long as they live."""
        for contracts in self._adjusted.get(symbol, ()):
            listing = merged(listing, contracts, day)
        return listing

    # --- names ---

    def former(self, ticker: str) -> Rename | None:
        """The rename that ended a ticker."""
        return next((rename for rename in reversed(self.renames) if rename.old == ticker), None)

    def ticker_on(self, symbol: int, day: date) -> str:
        """What a symbol was called in a session."""
        for rename in self.renames:
            if rename.symbol == symbol and day < rename.day:
                return rename.old
        return self._world.universe.tickers[symbol]

    def first_day(self, symbol: int) -> date | None:
        """The first session under the present ticker, None when it always had it."""
        days = [rename.day for rename in self.renames if rename.symbol == symbol]
        return max(days, default=None)


def _rescale(minute: MinuteBars, symbol: int, ratio: float) -> None:
    place = int(np.searchsorted(minute.symbol, symbol))
    if place == len(minute.symbol) or minute.symbol[place] != symbol:
        return
    for prices in (minute.open, minute.high, minute.low, minute.close):
        prices[place] = max(1, round(int(prices[place]) / ratio))
    minute.vwap[place] = round(float(minute.vwap[place]) / ratio, 4)
    minute.volume[place] = round(int(minute.volume[place]) * ratio)
    minute.day_volume[place] = round(int(minute.day_volume[place]) * ratio)


def _whole(request: Mapping[str, object], key: str, low: int, high: int, default: int | None = None) -> int:
    value = request.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadInput(f"event: {key} must be a whole number from {low} to {high}, not {value!r}")
    return value
