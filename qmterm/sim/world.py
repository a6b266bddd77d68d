"""The pretend market as one object: who is listed, what happened, what anything costs now, and how time moves on.

Two worlds with the same options are alike to the byte: `advance_to` is the only method that changes anything, and
it takes the same steps whatever was asked in between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from datetime import date, timedelta

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.clock import NS, et_date
from qmterm.core.errors import BadInput, BadSymbol
from qmterm.core.instruments import OptionContract, is_option, parse_option, underlying_of
from qmterm.core.quotes import Quote
from qmterm.sim.bar_history import made_up
from qmterm.sim.brokerage.dxlink import OptionSense
from qmterm.sim.corporate import Corporate
from qmterm.sim.happenings import Happenings
from qmterm.sim.listing import Contracts, Listing, make_listing
from qmterm.sim.market import BarRow, Progress
from qmterm.sim.news import Article, day_news
from qmterm.sim.option_quotes import OptionPricer, OptionQuotes
from qmterm.sim.option_tape import Campaigns, Prints, campaign_volume, campaigns, latest, lumps, prints, traded
from qmterm.sim.options import SimOptions, read_event
from qmterm.sim.past import CentsArray, DayBars, make_history
from qmterm.sim.randomness import chance
from qmterm.sim.rates import YIELDS
from qmterm.sim.session import ROLL_NS, MinuteBars, TradingDay
from qmterm.sim.surface import Surface, make_surface
from qmterm.sim.universe import Universe, make_universe

HISTORY_SESSIONS = 300
NEWS_SESSIONS = 6
QUIET_SPREAD = 3.0  # a stock's spread outside the regular session, as a multiple
LISTINGS_KEPT = 64
ALL = slice(None)
MINUTE_DAYS_KEPT = 3


class World:
    """`now_ns` is market time; prices are dollars per share; symbols are tickers or OCC option symbols."""

    unit = 100.0  # price columns are whole cents
    invents = True
    recorded = False
    notice = ""
    ends_ns: int | None = None
    yields = YIELDS

    def __init__(self, options: SimOptions, lag_ns: int = 0) -> None:
        """`lag_ns`: the same world, standing so much earlier on its first day."""
        start_ns, start_day = options.start_ns, options.start_day
        self.seed = options.seed
        self.calendar = SessionCalendar.load(start_day - timedelta(days=500), start_day + timedelta(days=1150))
        day = start_day if self.calendar.is_session(start_day) else self.calendar.next(start_day)
        if start_ns < self.calendar.open_ns(day) - ROLL_NS:
            day = self.calendar.previous(day)
        self.universe = make_universe(self.seed, options.symbols)
        past_days = self.calendar.last_n(self.calendar.previous(day), HISTORY_SESSIONS)
        self.corporate = Corporate(self.universe, self.calendar, self.seed, day, past_days[0])
        self._falls = self.corporate.ex_dividends()
        self.history = make_history(self.universe, past_days, self.seed, self._falls)
        self._first_row = len(self.history.rows) - 1
        self._pricer = OptionPricer(self.universe, self.seed, self.corporate.dividends_of)
        self._listings: OrderedDict[tuple[int, date], Listing] = OrderedDict()
        self._news: list[Article] = []
        for past in past_days[-NEWS_SESSIONS:]:
            self._news += day_news(self.universe, self.calendar, self.seed, past, np.empty(0, dtype=np.int64))
        self.finished_minutes: dict[date, list[MinuteBars]] = {}
        closes = self.history.rows[-1].close
        self.happenings = Happenings(self)
        self.now_ns = self.calendar.open_ns(day) - ROLL_NS
        self._begin(day, closes / 100.0, closes)
        for event in options.events:
            self.happenings.add(read_event(event))
        if start_ns - lag_ns > self.now_ns:
            self.advance_to(start_ns - lag_ns)

    def offers(self, cluster: str) -> frozenset[str] | None:
        return None

    # --- time ---

    @property
    def phase(self) -> Phase:
        return self.calendar.phase(self.now_ns)

    @property
    def wall_date(self) -> date:
        """The New York date of now."""
        return et_date(self.now_ns)

    def advance_to(self, target_ns: int) -> Progress:
        """Take every step due up to an instant and stand there."""
        if target_ns < self.now_ns:
            raise BadInput(f"the simulator's market time cannot go back to {target_ns} from {self.now_ns}")
        progress = Progress()
        while True:
            due = self.today.next_step_ns(self.now_ns)
            if due is None:
                following = self.calendar.next(self.today.day)
                rolls = self.calendar.open_ns(following) - ROLL_NS
                if rolls > target_ns:
                    break
                self.now_ns = rolls
                self._keep_minutes()
                self.happenings.overnight(following)
                self._begin(following, self.today.fair, self.today.last)
                continue
            if due > target_ns:
                break
            minutes = len(self.today.minutes)
            self.happenings.before_step(self.today, due)
            trades = self.today.step(due, self._falls.get(self.today.day))
            self.now_ns = self.step_ns = due
            if trades is not None:
                progress.trades.append(trades)
            progress.minutes += self.today.minutes[minutes:]
            if due == self.today.close_ns:
                self.history.append(self.today.day_bars())
        self.now_ns = target_ns
        return progress

    def _keep_minutes(self) -> None:
        self.finished_minutes[self.today.day] = self.today.minutes
        while len(self.finished_minutes) > MINUTE_DAYS_KEPT:
            self.finished_minutes.pop(next(iter(self.finished_minutes)))

    def _begin(self, day: date, fair: FloatArray, last: CentsArray) -> None:
        """03:30: yesterday's bars are cleared, today's surface and listings hold."""
        self.previous: DayBars = self.history.rows[-1]
        self._completed = len(self.history.rows)
        self.today: TradingDay = TradingDay(self.universe, self.calendar, day, self.seed, fair, last)
        self.step_ns = self.now_ns
        self._previous_close_ns = self.calendar.close_ns(self.previous.day)
        days = self.corporate.next_earnings_days(day)
        self.surface: Surface = make_surface(self.universe, self.history, days, self.seed, self._previous_close_ns)
        self._news += day_news(self.universe, self.calendar, self.seed, day, self.today.in_play)

    # --- stocks ---

    def symbol_exists(self, ticker: str) -> bool:
        return ticker in self.universe.number

    def is_optionable(self, ticker: str) -> bool:
        number = self.universe.number.get(ticker)
        return number is not None and bool(self.universe.optionable[number])

    def stock_sides(self, rows: IntArray | slice = ALL) -> tuple[CentsArray, CentsArray]:
        """Bid and ask of stocks in cents."""
        regular = self.today.open_ns < self.step_ns <= self.today.close_ns
        fair = self.today.quoted[rows] * 100.0
        half = fair * (self.universe.half_spread[rows] * (1.0 if regular else QUIET_SPREAD))
        bid = np.maximum(np.floor(fair - half), 1).astype(np.int32)
        return bid, np.maximum(np.ceil(fair + half).astype(np.int32), bid + 1)

    def stock_lots(self, rows: IntArray | slice = ALL) -> tuple[IntArray, IntArray]:
        """Bid and ask sizes of stocks in round lots."""
        number = np.arange(len(self.universe))[rows]
        lots = 1.0 + 24.0 * self.universe.option_depth[rows]
        second = self.step_ns // NS
        bid, ask = (np.ceil(lots * chance(self.seed, number, second, side)).astype(np.int64) for side in (71, 72))
        return bid, ask

    def stock_quote_ns(self, rows: IntArray | slice = ALL) -> IntArray:
        """Exchange time of each stock's quote: they all move with every step, but those of halted names."""
        return np.asarray(self.today.quote_ns(self.step_ns)[rows], dtype=np.int64)

    def past_minutes(self, day: date, symbol: int) -> list[BarRow]:
        """Minutes of a session before the start: drawn from the day's own bar."""
        bars = self.history.on(day)
        return [] if bars is None else made_up(self, bars, symbol)

    def last(self, symbol: str) -> float | None:
        """Latest trade of a stock; for an option the middle of its quote."""
        if is_option(symbol):
            quote = self.quote(symbol)
            return None if quote is None else quote.mid or quote.ask
        number = self.universe.number.get(symbol)
        return None if number is None else float(self.today.last[number]) / 100.0

    def next_report(self, ticker: str) -> date | None:
        """The day of a company's next earnings report, today included."""
        number = self.universe.number.get(ticker)
        return None if number is None else self.corporate.next_earnings(number, et_date(self.now_ns))

    def previous_close(self, symbol: str) -> float | None:
        """Official close of the session before the running one; for an option its model value then."""
        if is_option(symbol):
            found = self.listed(symbol)
            return None if found is None else round(float(self.closing_values(one(*found))[0]), 2)
        number = self.universe.number.get(symbol)
        return None if number is None else float(self.previous.close[number]) / 100.0

    def quote(self, symbol: str) -> Quote | None:
        """Bid and ask now; None for a symbol that is not listed (any more)."""
        if is_option(symbol):
            return self._option_quote(symbol)
        number = self.universe.number.get(symbol)
        if number is None:
            return None
        row = slice(number, number + 1)
        bid, ask = self.stock_sides(row)
        bid_lots, ask_lots = self.stock_lots(row)
        return Quote(
            symbol=symbol,
            bid=float(bid[0]) / 100.0,
            ask=float(ask[0]) / 100.0,
            bid_size=100 * int(bid_lots[0]),
            ask_size=100 * int(ask_lots[0]),
            time_ns=int(self.today.quote_ns(self.step_ns)[number]),
            arrival_ns=self.now_ns,
        )

    def take_dividends(self) -> None:
        """What falls off on ex-dates changed."""
        self._falls = self.corporate.ex_dividends()

    def take_universe(self, universe: Universe) -> None:
        """Some names are called otherwise from now on."""
        self.universe = universe
        self.corporate.take_universe(universe)
        self._pricer.take_universe(universe)
        self._listings.clear()

    # --- options ---

    @property
    def option_instant(self) -> int:
        """The instant option quotes are of: now in the regular session, else the last close."""
        if self.now_ns <= self.today.open_ns:
            return self._previous_close_ns
        return min(self.step_ns, self.today.close_ns)

    def option_spots(self) -> FloatArray:
        """Dollars by symbol number that option quotes are of."""
        if self.now_ns <= self.today.open_ns:
            return self.previous.close / 100.0
        return self.today.close / 100.0 if self.now_ns >= self.today.close_ns else self.today.quoted

    def listing(self, ticker: str) -> Listing | None:
        """All contracts of an underlying that trade today; None when it has no options."""
        symbol = self.universe.number.get(ticker)
        if symbol is None or not self.universe.optionable[symbol]:
            return None
        key = (symbol, self.today.day)
        if key in self._listings:
            self._listings.move_to_end(key)
            return self._listings[key]
        known = self.history.rows[self._first_row : self._completed]  # not today's close: who asks later gets the same
        closes = [int(bars.close[symbol]) / 100.0 for bars in known]
        listing = make_listing(
            symbol,
            ticker,
            self.calendar,
            self.today.day,
            since=self.history.rows[self._first_row].day,
            anchor=closes[0],
            low=min(closes),
            high=max(closes),
            volatility=float(self.universe.volatility[symbol]),
            weekly=bool(self.universe.weekly_options[symbol]),
            daily=self.universe.is_index_fund(symbol),
            seed=self.seed,
        )
        listing = self.happenings.with_adjusted(symbol, listing, self.today.day)
        self._listings[key] = listing
        if len(self._listings) > LISTINGS_KEPT:
            self._listings.popitem(last=False)
        return listing

    def chain_symbols(self, ticker: str) -> dict[date, tuple[float, ...]]:
        """Strikes by expiry, contracts that have not expired; empty when there are none."""
        listing = self.listing(ticker)
        if listing is None:
            return {}
        columns = listing.contracts
        alive = (columns.expiry_ns > self.now_ns) & columns.is_call
        out: dict[date, list[float]] = {}
        for day, strike in zip(
            columns.expiry[alive].astype(object).tolist(), columns.strike[alive].tolist(), strict=True
        ):
            out.setdefault(day, []).append(strike)
        return {day: tuple(strikes) for day, strikes in out.items()}

    def contracts(self, ticker: str) -> list[OptionContract]:
        """Every listed contract of an underlying that has not expired."""
        listing = self.listing(ticker)
        if listing is None:
            return []
        return [listing.contract(row) for row in np.flatnonzero(listing.contracts.expiry_ns > self.now_ns).tolist()]

    def option_quotes(self, contracts: Contracts) -> OptionQuotes:
        """Quotes of contracts that are alive; those of halted underlyings are the last ones before the halt."""
        today = self.today
        if today.any_halted and len(contracts) and today.halted[contracts.symbol].all():
            instant = max(int(today.halted_ns[contracts.symbol[0]]), self._previous_close_ns)
            return self._pricer.quotes(contracts, self.surface, self.option_spots(), instant)
        return self._pricer.quotes(contracts, self.surface, self.option_spots(), self.option_instant)

    def option_values(self, contracts: Contracts, spots: FloatArray, instant_ns: int) -> FloatArray:
        """Model values at another instant of the running day or the close before it."""
        return self._pricer.quotes(contracts, self.surface, spots, instant_ns).value

    def option_sides_at(
        self, contracts: Contracts, spot: FloatArray, instant_ns: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Bid and ask as they were at moments of the running session, one spot ($) and one instant for each row."""
        quotes = self._pricer.at(contracts, self.surface, spot, instant_ns)
        return quotes.bid, quotes.ask

    def closing_values(self, contracts: Contracts) -> FloatArray:
        """What contracts were worth at the previous session's close."""
        return self.option_values(contracts, self.previous.close / 100.0, self._previous_close_ns)

    def option_ticks(self, contracts: Contracts, price: FloatArray) -> FloatArray:
        """The tick of each contract's grid at a price."""
        return self._pricer.ticks(contracts, price)

    def open_interest(self, contracts: Contracts) -> IntArray:
        return self._pricer.open_interest(contracts, self.surface, self.today.day.toordinal())

    def option_volume(self, contracts: Contracts, interest: IntArray) -> tuple[IntArray, IntArray]:
        """(today so far, the whole previous session) in contracts."""
        before = self._pricer.session_volume(contracts, interest, self.previous.day.toordinal(), 1.0)
        second = self.today.second(self.option_instant)
        whole = self._ordinary_volume(contracts, interest)
        lump = lumps(contracts.key, whole, self.today.day.toordinal())
        ordinary = traded(whole, float(self.today.volume_done[second]), lump)
        hurried = campaign_volume(self.option_campaigns(contracts), len(contracts), second)
        return ordinary + hurried, before

    def _ordinary_volume(self, contracts: Contracts, interest: IntArray) -> IntArray:
        """What trades over the whole running session besides the campaigns."""
        busy = self.today.busy[contracts.symbol]
        return self._pricer.session_volume(contracts, interest, self.today.day.toordinal(), busy)

    def option_campaigns(self, contracts: Contracts) -> Campaigns:
        """Today's sweeps and blocks among some contracts."""
        day, seconds = self.today.day.toordinal(), len(self.today.volume_done) - 1
        depth = self.universe.option_depth
        return campaigns(contracts, self.surface.reference, depth, day, seconds, self._previous_close_ns)

    def option_prints(self, contracts: Contracts, first_ns: int, last_ns: int) -> Prints:
        """Trades of contracts in (first, last] of the running session, as far as it has come."""
        today = self.today
        first, last = today.second(first_ns), today.second(min(last_ns, self.option_instant))
        volume = self._ordinary_volume(contracts, self.open_interest(contracts))
        found, day = self.option_campaigns(contracts), today.day.toordinal()
        return prints(contracts, volume, today.volume_done, found, today.open_ns, day, first, max(first, last))

    def last_option_prints(self, contracts: Contracts, interest: IntArray) -> Prints:
        """The latest trade of each contract that traded in the running session."""
        today = self.today
        volume, found = self._ordinary_volume(contracts, interest), self.option_campaigns(contracts)
        second, day = today.second(self.option_instant), today.day.toordinal()
        return latest(contracts, volume, today.volume_done, found, today.open_ns, day, second)

    def contract(self, occ: str) -> OptionContract | None:
        """The contract behind an option symbol; None unless it is listed and has not expired."""
        row = self.listed(occ)
        return None if row is None else row[0].contract(row[1])

    def settlement(self, occ: str) -> float | None:
        """The underlying's close that an expired contract settles to; None before the expiry's close."""
        try:
            contract = parse_option(occ)
        except BadSymbol:
            return None
        symbol = self.universe.number.get(contract.root)
        if symbol is None or self.now_ns < self.calendar.expiry_ns(contract.expiry):
            return None
        day = contract.expiry if self.calendar.is_session(contract.expiry) else self.calendar.previous(contract.expiry)
        bars = self.history.on(day)
        return None if bars is None else float(bars.close[symbol]) / 100.0

    def listed(self, occ: str) -> tuple[Listing, int] | None:
        """The listing and row of a contract that is alive."""
        listing = self.listing(underlying_of(occ)) if is_option(occ) else None
        if listing is None:
            return None
        row = listing.row_of.get(occ[-15:])
        if row is None or listing.contracts.expiry_ns[row] <= self.now_ns:
            return None
        return listing, row

    def _option_quote(self, occ: str) -> Quote | None:
        found = self.listed(occ)
        if found is None:
            return None
        listing, row = found
        quotes = self.option_quotes(one(listing, row))
        return Quote(
            symbol=listing.contract(row).occ,
            bid=float(quotes.bid[0]),
            ask=float(quotes.ask[0]),
            bid_size=int(quotes.bid_size[0]),
            ask_size=int(quotes.ask_size[0]),
            time_ns=int(np.max(quotes.time_ns)),
            arrival_ns=self.now_ns,
        )

    def option_sense(self, occ: str) -> OptionSense | None:
        """Greeks of a contract that is alive, as the broker's market data tell them."""
        found = self.listed(occ)
        if found is None:
            return None
        now = self.option_quotes(one(*found))
        columns = (now.value, now.implied, now.delta, now.gamma, now.theta, np.full(1, np.nan), now.vega)
        return OptionSense(*(float(column[0]) for column in columns))

    # --- news ---

    def published(self) -> list[Article]:
        """Articles whose time has come, oldest first."""
        return self._news[: bisect_right(self._news, self.now_ns, key=lambda article: article.published_ns)]


def one(listing: Listing, row: int) -> Contracts:
    """A single contract as columns."""
    return listing.contracts.take(np.array([row]))
