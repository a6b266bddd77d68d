"""What is known of the news: one call a minute for the whole market, and one more for a symbol somebody cares about.

The trap: no article and no knowledge are two things. A symbol is known only when its 72 hours are covered; a market
page that came back full has a hole behind it, and what was covered through it no longer is.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.errors import DataError, NotEntitled
from qmterm.market.news.lexicon import Lexicon, Vader
from qmterm.market.news.sentiment import WINDOW_NS, Scored, Sentiment, in_window, of_scored, scored, without_repeats
from qmterm.market.records import NewsItem
from qmterm.market.rest.client import PolygonRest

PAGE = 1_000  # the vendor's most
OVERLAP_NS = 300 * NS  # articles appear a little after the time they carry
SMALL_BUDGET = 60  # calls a minute; below it the market is asked every five minutes
RETRY_NS = 300 * NS


class NewsDesk:
    """Use from one event loop. Reading never waits; `refresh` and `learn` ask the server when it is time."""

    def __init__(self, rest: PolygonRest, clock: Clock, calls_per_minute: int, lexicon: Lexicon | None = None) -> None:
        self._rest = rest
        self._clock = clock
        self._every_ns = (60 if calls_per_minute >= SMALL_BUDGET else 300) * NS
        self.lexicon = lexicon or Vader()
        self._items: dict[str, NewsItem] = {}
        self._by_symbol: dict[str, dict[str, NewsItem]] = defaultdict(dict)
        self._tones: dict[tuple[str, str], Scored] = {}  # made when read: a market page is a thousand headlines
        self._covered_ns: int | None = None  # all articles of the market are known since then
        self._market_ns = 0  # up to here
        self._next_ns = 0
        self._learned: dict[str, int] = {}  # symbol: market time up to which its own 72 hours were read
        self._not_before: dict[str, int] = {}
        self._refused_on: date | None = None
        self._asking: dict[str, asyncio.Task[None]] = {}
        self.calls = 0

    @property
    def not_entitled(self) -> bool:
        """The plan refused news today."""
        return self._refused_on == et_date(self._clock.now())

    # --- asking ---

    async def refresh(self) -> None:
        """The newest articles of the market when a minute is over; a failure is tried again with the next one."""
        now = self._clock.now()
        if now < self._next_ns or self.not_entitled:
            return
        self._next_ns = now + self._every_ns
        since = max(now - WINDOW_NS, self._market_ns - OVERLAP_NS)
        try:
            items = await self._ask(None, since, PAGE)
        except DataError:
            return
        self._take(items, now)
        reached = since if len(items) < PAGE else min(item.published_ns for item in items)
        if self._covered_ns is None or reached > self._market_ns:
            self._covered_ns = reached  # the first page, or a hole between it and what was known
            self._learned = {}
        self._market_ns = now
        self._forget(now)

    async def follow(self, look_every_s: float = 5.0) -> None:
        """`refresh` until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(look_every_s)

    async def learn(self, symbol: str) -> None:
        """A symbol's own 72 hours, once, unless the market's pages cover them; many askers share one call."""
        if self.known(symbol) or self.not_entitled:
            return
        running = self._asking.get(symbol)
        if running is None:
            running = self._asking[symbol] = asyncio.create_task(self._learn(symbol), name=f"news of {symbol}")
            running.add_done_callback(lambda _: self._asking.pop(symbol, None))
        await asyncio.shield(running)

    # --- reading ---

    def known(self, symbol: str) -> bool:
        """Whether the symbol's last 72 hours are covered (articles may still be none)."""
        now = self._clock.now()
        if self._covered_ns is not None and self._covered_ns <= now - WINDOW_NS and self._fresh(self._market_ns, now):
            return True
        learned = self._learned.get(symbol)
        if learned is None:
            return False
        # From the day it was learned on, the market's pages carry it further.
        joined = self._covered_ns is not None and self._covered_ns <= learned and self._fresh(self._market_ns, now)
        return joined or self._fresh(learned, now)

    def sentiment(self, symbol: str) -> Sentiment | None:
        """What the news says of a symbol now; None when that is not known."""
        if not self.known(symbol):
            return None
        now = self._clock.now()
        kept = without_repeats(in_window(self._by_symbol.get(symbol, {}).values(), now))
        return of_scored(symbol, [self._scored(item, symbol) for item in kept], now)

    def articles(self, symbol: str | None = None, limit: int = 200) -> tuple[Scored, ...]:
        """Newest first: of a symbol, or of the whole market (each article once, as it bears on its first symbol)."""
        items = self._items if symbol is None else self._by_symbol.get(symbol, {})
        shown = [item for item in in_window(items.values(), self._clock.now()) if item.symbols]
        shown.sort(key=lambda item: (-item.published_ns, item.news_id))
        return tuple(self._scored(item, symbol or item.symbols[0]) for item in shown[:limit])

    # --- inside ---

    async def _learn(self, symbol: str) -> None:
        now = self._clock.now()
        if now < self._not_before.get(symbol, 0):
            return
        try:
            items = await self._ask(symbol, now - WINDOW_NS, PAGE)
        except DataError:
            self._not_before[symbol] = now + RETRY_NS
            return
        self._take(items, now)
        self._learned[symbol] = now

    async def _ask(self, symbol: str | None, since_ns: int, limit: int) -> tuple[NewsItem, ...]:
        self.calls += 1
        try:
            return await self._rest.news(symbol, since_ns, limit)
        except NotEntitled:
            self._refused_on = et_date(self._clock.now())
            raise

    def _fresh(self, read_ns: int, now_ns: int) -> bool:
        return now_ns - read_ns <= 5 * self._every_ns

    def _take(self, items: Iterable[NewsItem], now_ns: int) -> None:
        for item in in_window(items, now_ns):
            if item.news_id in self._items:
                continue
            self._items[item.news_id] = item
            for symbol in item.symbols:
                self._by_symbol[symbol][item.news_id] = item

    def _scored(self, item: NewsItem, symbol: str) -> Scored:
        key = item.news_id, symbol
        found = self._tones.get(key)
        if found is None:
            found = self._tones[key] = scored(item, symbol, self.lexicon)
        return found

    def _forget(self, now_ns: int) -> None:
        """Articles that are too old to count are let go."""
        old = [item for item in self._items.values() if now_ns - item.published_ns > WINDOW_NS]
        for item in old:
            del self._items[item.news_id]
            for symbol in item.symbols:
                ours = self._by_symbol[symbol]
                ours.pop(item.news_id, None)
                self._tones.pop((item.news_id, symbol), None)
                if not ours:
                    del self._by_symbol[symbol]
