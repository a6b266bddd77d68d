"""A market that is played from files: recorded frames, or daily bars, minute bars and option quotes by minute.

It answers the same questions as the synthetic World (market.py). The trap: it must never answer what its files do not
say. Unknown is NaN, 0 or None here and absent on the wire, as a lower plan would have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.clock import NS, et_date, from_et
from qmterm.core.errors import BadInput, BadSymbol
from qmterm.core.instruments import OptionContract, is_option, option_root, parse_option
from qmterm.core.quotes import Quote
from qmterm.sim.bar_history import lived
from qmterm.sim.listing import Contracts, Listing
from qmterm.sim.market import BarRow, Progress
from qmterm.sim.news import Article
from qmterm.sim.option_quotes import OptionQuotes, tick_sizes
from qmterm.sim.option_tape import Prints
from qmterm.sim.options import SimOptions
from qmterm.sim.past import DayBars, PriceArray
from qmterm.sim.replay.contents import Contents, ReplayUniverse, read_contents
from qmterm.sim.replay.daily import ReplayCorporate, ReplayPast
from qmterm.sim.replay.day import ReplayDay
from qmterm.sim.replay.options import ReplayOptions, no_prints, root_of
from qmterm.sim.replay.quiet import NothingBesides
from qmterm.sim.replay.recorded import FrameTape
from qmterm.sim.replay.tape import MinuteTape, Tape, read_minutes, read_option_quotes, take_quotes
from qmterm.sim.session import MINUTE_NS, ROLL_NS, MinuteBars

ALL = slice(None)
BEFORE_OPEN_NS = 5 * MINUTE_NS  # a replay of bars begins at 09:25
BEFORE_FRAMES_NS = 5 * NS
CALENDAR_DAYS_AHEAD = 1150


class ReplayWorld:
    unit = 1.0  # prices are dollars, as the files have them
    invents = False
    yields: Mapping[str, tuple[float, float]] = MappingProxyType({})

    def __init__(self, options: SimOptions, lag_ns: int = 0) -> None:
        """`lag_ns`: the same market, standing so much earlier."""
        if options.replay is None:
            raise BadInput("a replay needs the path of a recording or of a folder of files")
        self.seed = options.seed
        self._files = files = read_contents(options.replay)
        start_ns = options.start_ns if options.start is not None else self._natural_start(files)
        start_day = et_date(start_ns)
        last = max(
            start_day + timedelta(days=CALENDAR_DAYS_AHEAD), *files.days[-1:], *files.daily.days[-1:], files.last_expiry
        )
        first = min(start_day, files.first_day) - timedelta(days=500)
        self.calendar = SessionCalendar.load(first, last)
        day = start_day if self.calendar.is_session(start_day) else self.calendar.next(start_day)
        if start_ns < self.calendar.open_ns(day) - ROLL_NS:
            day = self.calendar.previous(day)
        names, roots = files.names, files.roots
        self.universe = ReplayUniverse(names, np.array([option_root(name) in roots for name in names], dtype=np.bool_))
        self.happenings = NothingBesides(names)
        number_of = np.array([self.universe.number[name] for name in files.daily.names], dtype=np.int64)
        self._number_of = number_of
        self._past = ReplayPast(files.daily, number_of, len(names))
        self._options = ReplayOptions(self.calendar)
        if files.frames is not None:
            self._options.add(files.frames.contracts)
        recordings = files.source.recordings
        self._frames = FrameTape(recordings, self.universe.number) if recordings else None
        self.finished_minutes: dict[date, list[MinuteBars]] = {}
        self.now_ns = self.calendar.open_ns(day) - ROLL_NS
        self._first_day = day
        self._own_sessions: list[DayBars] = []  # that only their minutes or frames tell of
        self._remember(day)
        self._begin(day)
        if start_ns - lag_ns > self.now_ns:
            self.advance_to(start_ns - lag_ns)

    @property
    def recorded(self) -> bool:
        return self._frames is not None

    def offers(self, cluster: str) -> frozenset[str] | None:
        """A channel that the files do not have is refused, as a plan without it does: granted and silent it would look
        like a stream that died."""
        files = self._files
        if files.frames is not None:
            return frozenset(files.frames.kinds.get(cluster, ()))
        told = {"stocks": {"AM"} if files.minute_days else set(), "options": {"Q"} if files.option_days else set()}
        return frozenset(told.get(cluster, ()))

    @property
    def notice(self) -> str:
        """What the person who plays the files should know of them, in sentences; "" for nothing."""
        frames = self._files.frames
        if frames is None:
            return ""
        said = []
        if frames.left_out:
            where = ", ".join(str(file) for file in frames.left_out)
            count = sum(frames.left_out.values())
            said.append(
                f"{count:,} frames are not on the tape, because the disk could not keep up when it was recorded "
                f"({where}): prices and bars of those moments are missing"
            )
        if frames.torn:
            last = self._files.source.recordings[-1]
            said.append(f"{last} is torn at its end (its recorder was killed): played up to there")
        return "; ".join(said)

    @staticmethod
    def _natural_start(files: Contents) -> int:
        """Where the data begin: shortly before the first frame, 09:25 of the first session by the minute, or of the
        session after the last daily bar."""
        if files.frames is not None:
            return (files.frames.first_ns - BEFORE_FRAMES_NS) // NS * NS
        if files.days:
            return from_et(files.days[0], 9, 25)
        last = files.daily.days[-1]
        return from_et(SessionCalendar.load(last, last + timedelta(days=30)).next(last), 9, 25)

    # --- time ---

    @property
    def phase(self) -> Phase:
        return self.calendar.phase(self.now_ns)

    @property
    def wall_date(self) -> date:
        return et_date(self.now_ns)

    @property
    def ends_ns(self) -> int | None:
        """When the files are told; None when they hold nothing but sessions before the start."""
        if self._files.frames is not None:
            return -(-self._files.frames.last_ns // NS) * NS
        last = self._files.last_day
        if last < self._first_day:
            return None
        tape = self._tape
        told = tape.ends_ns if isinstance(tape, MinuteTape) and self.today.day == last else None
        return max(self.calendar.close_ns(last), told or 0)

    def advance_to(self, target_ns: int) -> Progress:
        """Let everything happen that is due up to an instant and stand there."""
        if target_ns < self.now_ns:
            raise BadInput(f"the replay's market time cannot go back to {target_ns} from {self.now_ns}")
        progress = Progress()
        while True:
            following = self.calendar.next(self.today.day)
            rolls = self.calendar.open_ns(following) - ROLL_NS
            told = self._tape.next_ns
            if told is not None and told <= min(target_ns, rolls) and (self._closed or told <= self.today.close_ns):
                self.now_ns = self.step_ns = max(self.now_ns, told)
                self._tape.take(self.today, self._options, progress)
            elif not self._closed and self.today.close_ns <= target_ns:
                self.now_ns = self.step_ns = max(self.now_ns, self.today.close_ns)
                self._close()
            elif rolls <= target_ns:
                self.now_ns = self.step_ns = rolls
                self.finished_minutes[self.today.day] = self.today.minutes
                for old in list(self.finished_minutes)[:-3]:
                    del self.finished_minutes[old]
                self._begin(following)
            else:
                break
        self.now_ns = target_ns
        return progress

    def _remember(self, day: date) -> None:
        """What the files by minute tell of the time before the first session: bars that no daily file has, and the
        last quotes and volumes of the contracts."""
        source, files = self._files.source, self._files
        for past in sorted(files.minute_days - set(files.daily.days)):
            if past < day:
                told = self._told(past)
                if told.volume.any():
                    self._own_sessions.append(told.day_bars())
        quoted = [past for past in sorted(files.option_days) if past < day][-1:]
        for past in quoted:
            for minute in read_option_quotes(source.option_quotes, past, self._options):
                take_quotes(self._options, minute)

    def _told(self, past: date) -> ReplayDay:
        """A session before the running one, from its minute bars."""
        none = np.zeros(len(self.universe))
        told = ReplayDay(self.calendar, past, DayBars(past, *([none] * 6)))
        for bars in read_minutes(self._files.source.minutes, past, self.universe.number):
            told.take_minute(bars)
        return told

    def _close(self) -> None:
        """The session is over: its official bars are known, or what its minutes came to."""
        self._closed = True
        official = self._past.on(self.today.day, self.today.day)
        if official is not None:
            self.today.take_official(official)
        elif self.today.volume.any():
            official = self.today.day_bars()
            self._own_sessions.append(official)
        if official is not None:
            self.history.append(official)

    def _begin(self, day: date) -> None:
        """03:30: yesterday's columns are cleared, history stands on the scale of the new day."""
        self.history = self._past.before(day, self._own_sessions)
        before = self.calendar.previous(day)
        last = self.history.rows[-1] if self.history.rows else None
        none = np.zeros(len(self.universe))
        self.previous = last if last is not None and last.day == before else DayBars(before, *([none] * 6))
        self.today = ReplayDay(self.calendar, day, self.previous)
        self.corporate = ReplayCorporate(self._files.daily, self._number_of, day)
        self._options.new_session()
        self._closed = False
        self.step_ns = self.now_ns
        self._tape: Tape = self._frames if self._frames is not None else self._read(day)

    def _read(self, day: date) -> MinuteTape:
        source, files = self._files.source, self._files
        bars = read_minutes(source.minutes, day, self.universe.number) if day in files.minute_days else []
        quoted = day in files.option_days
        quotes = read_option_quotes(source.option_quotes, day, self._options) if quoted else []
        return MinuteTape(bars, quotes)

    # --- stocks ---

    def symbol_exists(self, ticker: str) -> bool:
        return ticker in self.universe.number

    def is_optionable(self, ticker: str) -> bool:
        number = self.universe.number.get(ticker)
        return number is not None and bool(self.universe.optionable[number])

    def stock_sides(self, rows: IntArray | slice = ALL) -> tuple[PriceArray, PriceArray]:
        return self.today.bid[rows], self.today.ask[rows]

    def stock_lots(self, rows: IntArray | slice = ALL) -> tuple[IntArray, IntArray]:
        return self.today.bid_lots[rows].astype(np.int64), self.today.ask_lots[rows].astype(np.int64)

    def stock_quote_ns(self, rows: IntArray | slice = ALL) -> IntArray:
        return self.today.quote_ns[rows]

    def past_minutes(self, day: date, symbol: int) -> list[BarRow]:
        """Minutes of an earlier session, as far as the files have them."""
        if day not in self._files.minute_days or day >= self.today.day:
            return []
        if day not in self.finished_minutes:
            self.finished_minutes[day] = self._told(day).minutes
        return lived(self.finished_minutes[day], symbol, self.unit)

    def last(self, symbol: str) -> float | None:
        """Latest price of a stock; of an option the middle of its quote, else its latest trade."""
        if is_option(symbol):
            quote = self.quote(symbol)
            if quote is not None:
                return quote.mid or quote.ask
            row = self._options.row_of.get(parse_option(symbol).occ)
            return None if row is None else _known(float(self._options.last[row]))
        number = self.universe.number.get(symbol)
        return None if number is None else _known(float(self.today.last[number]))

    def previous_close(self, symbol: str) -> float | None:
        number = self.universe.number.get(symbol)
        return None if number is None else _known(float(self.previous.close[number]))

    def quote(self, symbol: str) -> Quote | None:
        """The latest quote that the files told, with its own time; None without one. Orders then do not fill."""
        if is_option(symbol):
            return self._option_quote(symbol)
        number = self.universe.number.get(symbol)
        today = self.today
        if number is None or not today.ask[number] > 0:
            return None
        bid_lots, ask_lots = int(today.bid_lots[number]), int(today.ask_lots[number])
        return Quote(
            symbol=symbol,
            bid=float(today.bid[number]),
            ask=float(today.ask[number]),
            bid_size=100 * bid_lots,
            ask_size=100 * ask_lots,
            time_ns=int(today.quote_ns[number]),
            arrival_ns=self.now_ns,
        )

    def published(self) -> list[Article]:
        return []

    # --- options ---

    @property
    def option_instant(self) -> int:
        return self.step_ns

    def listing(self, ticker: str) -> Listing | None:
        number = self.universe.number.get(ticker, self.universe.number_of_root.get(option_root(ticker)))
        if number is None:
            return None
        return self._options.listing(option_root(ticker), number, self.today.day)

    def listed(self, occ: str) -> tuple[Listing, int] | None:
        root = root_of(occ)
        number = None if root is None else self.universe.number_of_root.get(root)
        listing = None if number is None or root is None else self._options.listing(root, number, self.today.day)
        if listing is None:
            return None
        row = listing.row_of.get(occ[-15:])
        if row is None or listing.contracts.expiry_ns[row] <= self.now_ns:
            return None
        return listing, row

    def contract(self, occ: str) -> OptionContract | None:
        found = self.listed(occ)
        return None if found is None else found[0].contract(found[1])

    def chain_symbols(self, ticker: str) -> dict[date, tuple[float, ...]]:
        """Strikes by expiry of contracts that have not expired."""
        listing = self.listing(ticker)
        if listing is None:
            return {}
        columns = listing.contracts
        out: dict[date, set[float]] = {}
        for row in np.flatnonzero(columns.expiry_ns > self.now_ns).tolist():
            out.setdefault(columns.expiry[row].astype(object), set()).add(float(columns.strike[row]))
        return {day: tuple(sorted(strikes)) for day, strikes in sorted(out.items())}

    def settlement(self, occ: str) -> float | None:
        """The underlying's close on the expiry's session; None before it, or when the files do not have it."""
        try:
            contract = parse_option(occ)
        except BadSymbol:
            return None
        number = self.universe.number_of_root.get(contract.root)
        if number is None or self.now_ns < self.calendar.expiry_ns(contract.expiry):
            return None
        day = contract.expiry if self.calendar.is_session(contract.expiry) else self.calendar.previous(contract.expiry)
        bars = self.history.on(day)
        return None if bars is None else _known(float(bars.close[number]))

    def option_quotes(self, contracts: Contracts) -> OptionQuotes:
        return self._options.quotes(contracts, self.step_ns, self.today.last)

    def option_values(self, contracts: Contracts, spots: FloatArray, instant_ns: int) -> FloatArray:
        return np.full(len(contracts), np.nan)

    def option_sides_at(
        self, contracts: Contracts, spot: FloatArray, instant_ns: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        return np.full(len(contracts), np.nan), np.full(len(contracts), np.nan)

    def open_interest(self, contracts: Contracts) -> IntArray:
        return self._options.open_interest(contracts)

    def option_volume(self, contracts: Contracts, interest: IntArray) -> tuple[IntArray, IntArray]:
        return self._options.volumes(contracts)

    def option_ticks(self, contracts: Contracts, price: FloatArray) -> FloatArray:
        return tick_sizes(price, np.zeros(len(contracts), dtype=np.bool_))

    def option_prints(self, contracts: Contracts, first_ns: int, last_ns: int) -> Prints:
        return no_prints()

    def last_option_prints(self, contracts: Contracts, interest: IntArray) -> Prints:
        return self._options.last_prints(contracts)

    def _option_quote(self, occ: str) -> Quote | None:
        found = self.listed(occ)
        if found is None:
            return None
        listing, place = found
        row, options = int(listing.contracts.key[place]), self._options
        if not options.ask[row] > 0:
            return None
        return Quote(
            symbol=listing.contract(place).occ,
            bid=float(options.bid[row]),
            ask=float(options.ask[row]),
            bid_size=int(options.bid_size[row]),
            ask_size=int(options.ask_size[row]),
            time_ns=int(options.quote_ns[row]),
            arrival_ns=self.now_ns,
        )


def _known(price: float) -> float | None:
    return price if price > 0 else None
