"""From setups to plans: chains of the best candidates are read together, then each is judged in a fixed order.

Two latencies are kept: signal to acknowledgement counts from the start of the evaluation that made the plan, scan to
acknowledgement from the start of the pass, chains read over REST and earlier orders included.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Protocol

from qmterm.core.calendar import SessionCalendar
from qmterm.core.chain import Chain
from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.errors import DataError, NotEntitled, RateLimited
from qmterm.core.instruments import option_root, risk_root
from qmterm.core.orders import Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import OptionChoiceSettings
from qmterm.core.signals import Signal, SignalState
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import label
from qmterm.engine.signals.scanning import Scanning
from qmterm.engine.trader import Trader
from qmterm.market.news.sentiment import Sentiment
from qmterm.risk.verdict import Verdict
from qmterm.strategy.option_choice import choose
from qmterm.strategy.plans import make_plan

TOGETHER = 4  # chains in flight
LOOK_FOR = 6  # setups looked at for each one wanted: many have no options, which costs one call to learn
RETRY_CHOICE_S = 300.0  # a symbol without a fitting contract is looked at again after this
RETRY_GATE_S = 600.0
WAITS_FROM_S = 1.0  # a wait for the request budget from which a chain counts as not looked at
RETRY_DATA_S = 5.0  # when it was the data that could not be believed
NO_EXPIRY_REST_S = 6 * 3600.0
# Refusals that may be over with the next quote: the stock must not wait for minutes once its data are well again.
ABOUT_THE_DATA = frozenset(
    {
        Reason.HALTED,
        Reason.FEED_DOWN,
        Reason.STALE_QUOTE,
        Reason.STALE_UNDERLYING,
        Reason.PRICE_INSANE,
        Reason.CROSSED,
        Reason.LOCKED,
        Reason.OFF_NEIGHBOURS,
        Reason.OFF_PARITY,
        Reason.OFF_THEORY,
    }
)
# Refusals that say nothing about the symbol: it is tried again on the next pass.
NOT_ABOUT_THE_SYMBOL = frozenset(
    {
        Reason.LADDER_NO_NEW,
        Reason.LADDER_REDUCE_ONLY,
        Reason.LADDER_FLATTEN,
        Reason.LADDER_HALT,
        Reason.MARKET_CLOSED,
        Reason.ORDER_RATE,
        Reason.WEEKLY_LOSS,
        Reason.DRAWDOWN,
        Reason.ACCOUNT_RESTRICTED,
        Reason.DAY_TRADES,
        Reason.DUPLICATE_INTENT,
        Reason.STALE_QUOTE,
        Reason.NO_QUOTE,
    }
)


class ChainReader(Protocol):
    async def read(self, underlying: str, now_ns: int, expiry_from: date, expiry_to: date) -> Chain: ...

    def requote(self, chain: Chain, now_ns: int) -> Chain: ...


class ListedReader(Protocol):
    async def check(self, symbols: Iterable[str], day: date) -> dict[str, bool | None]: ...


class EarningsReader(Protocol):
    async def earnings_date(self, symbol: str, until: date) -> date | None: ...


class NewsReader(Protocol):
    async def learn(self, symbol: str) -> None: ...

    def sentiment(self, symbol: str) -> Sentiment | None: ...


class Entries:
    def __init__(
        self,
        trader: Trader,
        scanning: Scanning,
        chains: ChainReader,
        earnings: EarningsReader,
        listed: ListedReader,
        calendar: SessionCalendar,
        clock: Clock,
        log: RunLog,
        settings: OptionChoiceSettings,
        limit: int,
        news: NewsReader | None = None,
        news_block: bool = True,
        wait_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`wait_s`: how long the request budget makes the next chain wait."""
        self._trader = trader
        self._scanning = scanning
        self._chains = chains
        self._earnings = earnings
        self._listed = listed
        self._calendar = calendar
        self._clock = clock
        self._log = log
        self._settings = settings
        self._limit = limit
        self._news = news
        self._news_block = news_block
        self._wait_s = wait_s
        self._not_before: dict[str, int] = {}
        self._warmed: set[str] = set()
        self.iv_rank: Callable[[Chain], float | None] = lambda _: None  # 0 to 100, None below 60 observations
        self.notes: dict[str, str] = {}
        self.rejected: Counter[str] = Counter()  # of the latest pass, by reason
        self.candidates: tuple[str, ...] = ()
        self.known_earnings: dict[str, date | None] = {}  # next date by option root, for the gate

    def rest(self, symbol: str, seconds: float) -> None:
        """Leave a symbol alone for a while of market time."""
        self._not_before[symbol] = self._clock.now() + int(seconds * NS)

    async def consider(self) -> None:
        """Read the chains of the entries that are free to trade and judge them in the scanner's order."""
        signals = [s for s in self._scanning.entries(LOOK_FOR * self._limit) if self._free(s.symbol)]
        self.candidates = tuple(signal.symbol for signal in signals[: self._limit])
        self.rejected = Counter()
        if not signals or not self._trader.market_open() or self._trader.entry_refusal() is not None:
            return
        scanned_at = self._clock.monotonic()
        judged: list[str] = []
        async for signal, chain, earnings in self._chains_of(signals):
            if self._free(signal.symbol):
                judged.append(signal.symbol)
                self._judge(signal, chain, earnings, scanned_at)
                # One decision at a time: the next one sees what became of this one, and its quotes do not age in a
                # queue behind it.
                await self._trader.lanes.idle()
        self.candidates = tuple(judged)

    async def warm(self) -> None:
        """Before the open: read the chains once, so that yesterday's volumes are known and nothing is cold at 9:30."""
        fresh = [s for s in self._scanning.entries(LOOK_FOR * self._limit) if s.symbol not in self._warmed]
        async for signal, _chain, _earnings in self._chains_of([s for s in fresh if self._free(s.symbol)]):
            self._warmed.add(signal.symbol)

    async def _chains_of(self, signals: list[Signal]) -> AsyncIterator[tuple[Signal, Chain, date | None]]:
        """Chains in the order of the signals, a few calls ahead, until `limit` stocks with options were found."""
        waiting = deque(signals)
        reading: deque[asyncio.Task[tuple[Signal, Chain, date | None] | None]] = deque()
        found = 0
        try:
            while (waiting or reading) and found < self._limit:
                while waiting and len(reading) < TOGETHER:
                    reading.append(asyncio.create_task(self._read(waiting.popleft())))
                arrived = await reading.popleft()
                if arrived is not None:
                    found += 1
                    yield arrived
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    def _free(self, symbol: str) -> bool:
        """Not held, not working, not proposed, not resting."""
        if self._clock.now() < self._not_before.get(symbol, 0):
            return False
        trader, root = self._trader, risk_root(symbol)
        busy = (
            any(risk_root(position.underlying) == root for position in trader.book.positions)
            or any(risk_root(r.intent.underlying) == root for r in trader.desk.ledger.working)
            or any(risk_root(p.underlying) == root and p.purpose is Purpose.ENTRY for p in trader.proposals.waiting)
        )
        return not busy

    async def _read(self, signal: Signal) -> tuple[Signal, Chain, date | None] | None:
        today = et_date(self._clock.now())
        first = today + timedelta(days=self._settings.dte_min)
        last = today + timedelta(days=self._settings.dte_max)
        ledger = self._scanning.coverage
        if self._wait_s() > WAITS_FROM_S:
            ledger.note_chain(signal.symbol, Reason.WAITING_BUDGET)
        try:
            chain = await self._chains.read(signal.symbol, self._clock.now(), first, last)
            earnings = await self._earnings.earnings_date(signal.symbol, last) if len(chain) else None
            if len(chain) and self._news is not None and self._news_block:
                await self._news.learn(signal.symbol)
        except NotEntitled as error:
            ledger.note_chain(signal.symbol, Reason.NOT_ENTITLED)
            self._refuse(signal.symbol, Reason.NOT_ENTITLED, RETRY_CHOICE_S, str(error))
            return None
        except DataError as error:
            reason = Reason.WAITING_BUDGET if isinstance(error, RateLimited) else Reason.NO_DATA
            ledger.note_chain(signal.symbol, reason)
            self._refuse(signal.symbol, reason, 0.0, str(error))
            return None
        ledger.note_chain(signal.symbol, None)
        if len(chain) == 0:
            await self._no_chain(signal.symbol, today)
            return None
        self._scanning.learn_options(signal.symbol, listed=True)
        self.known_earnings[option_root(signal.symbol)] = earnings
        await self._trader.ticks.learn(signal.symbol)
        return signal, chain, earnings

    async def _no_chain(self, symbol: str, today: date) -> None:
        """No contract between the expiries we trade: either there are no options at all, or none that expire then."""
        listed = (await self._listed.check([symbol], today)).get(symbol)
        if listed is False:
            self._scanning.learn_options(symbol, listed=False)
            self._refuse(symbol, Reason.NO_OPTIONS, 86_400.0)
        else:
            self._refuse(symbol, Reason.NO_EXPIRY, NO_EXPIRY_REST_S)

    def _judge(self, signal: Signal, chain: Chain, earnings: date | None, scanned_at: float) -> None:
        decided_at = self._clock.monotonic()
        now = self._clock.now()
        chain = self._chains.requote(chain, now)
        mood = self._mood(signal)
        if mood is not None and mood.blocks:
            self.rejected[Reason.NEWS_BLOCK.value] += 1
            numbers = {"sentiment": mood.value, "articles": float(mood.articles)}
            self._refuse(signal.symbol, Reason.NEWS_BLOCK, RETRY_CHOICE_S, counts=numbers)
            return
        choice = choose(signal, chain, self._settings, now, earnings, self.iv_rank(chain))
        for reason, count in choice.rejected.items():
            self.rejected[reason.value] += count
        if choice.best is None:
            most = max(choice.rejected.items(), key=lambda item: (item[1], item[0].value), default=(Reason.NO_DATA, 0))
            rest_s = RETRY_DATA_S if _for_want_of_data(choice.rejected) else RETRY_CHOICE_S
            counts = {reason.value: float(count) for reason, count in choice.rejected.items()}
            self._refuse(signal.symbol, most[0], rest_s, counts=counts)
            return
        program = self._trader.ticks.of(choice.best.occ)
        plan = make_plan(signal, choice.best, now, self._calendar, self._settings, program)
        unchecked = list(choice.not_checked)
        if self._news_block and mood is None and signal.state is SignalState.ENTRY_LONG:
            unchecked.append(Reason.NEWS_BLOCK)
        warnings = tuple(f"{reason.value} was not checked" for reason in unchecked)
        verdict = self._trader.open(plan, decided_at, scanned_at=scanned_at, warnings=warnings)
        self._after(signal, plan.legs[0].symbol, verdict)

    def _mood(self, signal: Signal) -> Sentiment | None:
        """What the news says of a long's stock; None when it is not asked or not known."""
        if self._news is None or not self._news_block or signal.state is not SignalState.ENTRY_LONG:
            return None
        return self._news.sentiment(signal.symbol)

    def _after(self, signal: Signal, symbol: str, verdict: Verdict) -> None:
        if verdict.approved:
            self.notes[signal.symbol] = f"planned {verdict.contracts} {label(symbol)}"
            return
        reason = verdict.reason or Reason.NO_DATA
        self.rejected[reason.value] += 1
        self.notes[signal.symbol] = reason.value
        if reason not in NOT_ABOUT_THE_SYMBOL:
            self.rest(signal.symbol, RETRY_DATA_S if reason in ABOUT_THE_DATA else RETRY_GATE_S)

    def _refuse(
        self,
        symbol: str,
        reason: Reason,
        rest_s: float,
        text: str = "",
        counts: Mapping[str, float | None] | None = None,
    ) -> None:
        """No plan came of this candidate: counted, journalled, left alone for a while."""
        self.notes[symbol] = reason.value
        self.rejected[reason.value] += 0 if counts else 1
        self._trader.reject(symbol, reason, dict(counts or {}))
        if text:
            self._log.warn("SCAN", f"{symbol}: {text}", symbol)
        if rest_s > 0:
            self.rest(symbol, rest_s)


def _for_want_of_data(rejected: Counter[Reason]) -> bool:
    """A quarter of the contracts looked at in earnest could not be believed; those out of range say nothing."""
    doubted = sum(count for reason, count in rejected.items() if reason in ABOUT_THE_DATA)
    looked_at = rejected.total() - rejected[Reason.DTE_RANGE] - rejected[Reason.DELTA_RANGE]
    return doubted > 0 and 4 * doubted >= looked_at
