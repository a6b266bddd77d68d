"""One number for a symbol's news (QUANT.md 7): each article's tone, halved every twelve hours, repeats counted once.

The trap: it is a filter and a flag, never a reason to buy. The weights depend on when somebody looks, so nothing is
kept but the articles; S of no article is 0 with n = 0, which is not the same as neutral news.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from qmterm.core.clock import NS
from qmterm.market.news.lexicon import Lexicon
from qmterm.market.records import NewsItem

WINDOW_NS = 72 * 3_600 * NS
HALF_LIFE_NS = 12 * 3_600 * NS
REPEAT_NS = 24 * 3_600 * NS
BLOCK_AT, BLOCK_ARTICLES = -0.5, 3
TONES = {"positive": 1.0, "neutral": 0.0, "negative": -1.0}

_NOT_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Scored:
    """One article as it bears on one symbol."""

    item: NewsItem
    tone: float  # −1 to 1
    label: str  # insights | lex | user


@dataclass(frozen=True, slots=True)
class Sentiment:
    """`value` in (−1, 1); `blocks` when it speaks against new longs."""

    symbol: str
    value: float
    articles: int  # after repeats were taken out
    label: str  # insights, lex, user, mixed, or '' without articles

    @property
    def blocks(self) -> bool:
        return self.value <= BLOCK_AT and self.articles >= BLOCK_ARTICLES


def scored(item: NewsItem, symbol: str, lexicon: Lexicon) -> Scored:
    """The vendor's insight about the symbol, else the word list's tone of title and description."""
    for insight in item.insights:
        if insight.symbol == symbol and insight.sentiment in TONES:
            return Scored(item, TONES[insight.sentiment], "insights")
    return Scored(item, lexicon.tone(f"{item.title}. {item.description}"), lexicon.label)


def normalised(title: str) -> str:
    """A title without case, punctuation and spacing: what a reprint keeps."""
    return _NOT_WORDS.sub(" ", title.casefold()).strip()


def without_repeats(items: Iterable[NewsItem]) -> list[NewsItem]:
    """Oldest first; of equal titles within 24 hours only the first, which is when the news was new."""
    last: dict[str, int] = {}
    seen: set[str] = set()
    kept = []
    for item in sorted(items, key=lambda item: (item.published_ns, item.news_id)):
        if item.news_id in seen:
            continue
        seen.add(item.news_id)
        title = normalised(item.title)
        before = last.get(title)
        if before is not None and item.published_ns - before <= REPEAT_NS:
            continue
        last[title] = item.published_ns
        kept.append(item)
    return kept


def in_window(items: Iterable[NewsItem], now_ns: int) -> list[NewsItem]:
    """Articles of the last 72 hours; one that is dated after now is not known yet."""
    return [item for item in items if 0 <= now_ns - item.published_ns <= WINDOW_NS]


def weight(age_ns: int) -> float:
    return float(2.0 ** (-age_ns / HALF_LIFE_NS))


def sentiment(symbol: str, items: Iterable[NewsItem], now_ns: int, lexicon: Lexicon) -> Sentiment:
    """What the articles that name a symbol say at a market time."""
    ours = (item for item in in_window(items, now_ns) if symbol in item.symbols)
    return of_scored(symbol, [scored(item, symbol, lexicon) for item in without_repeats(ours)], now_ns)


def of_scored(symbol: str, found: Iterable[Scored], now_ns: int) -> Sentiment:
    """The same from articles whose tone is known."""
    total = below = 0.0
    labels: set[str] = set()
    count = 0
    for one in found:
        w = weight(now_ns - one.item.published_ns)
        total += w * one.tone
        below += w
        count += 1
        labels.add(one.label)
    label = labels.pop() if len(labels) == 1 else "mixed" if labels else ""
    return Sentiment(symbol, total / (below + 1.0), count, label)
