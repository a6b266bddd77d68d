"""Headlines with insights per ticker: a quiet stream for everybody, several for names in play.

Articles of a session are drawn at its start from the seed and the day; they are served once their time has come.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from qmterm.core.bars import IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS
from qmterm.sim.randomness import generator
from qmterm.sim.universe import Universe

SENTIMENTS = ("negative", "neutral", "positive")
PUBLISHERS = (
    ("Simulated Wire", "https://wire.example.com"),
    ("The Pretend Ledger", "https://ledger.example.com"),
    ("Street Fiction", "https://street.example.com"),
)
_TEMPLATES = {
    "positive": (
        (
            "{name} raises its outlook after a strong quarter",
            "Management of {name} ({ticker}) lifted full-year guidance.",
        ),
        ("Analysts turn more bullish on {name}", "Two brokers upgraded {ticker}, pointing to improving margins."),
        ("{name} wins a large contract", "{name} announced an order that adds to its backlog."),
    ),
    "neutral": (
        ("{name} to present at an industry conference", "{name} ({ticker}) will speak to investors next week."),
        ("What to watch in {name}", "A look at the valuation and positioning of {ticker} in its sector."),
        ("{name} names a new board member", "The company said the appointment takes effect this month."),
    ),
    "negative": (
        ("{name} cuts its forecast on weak demand", "{name} ({ticker}) lowered guidance, citing slower orders."),
        ("Regulators look into {name}", "Shares of {ticker} are in focus after reports of an inquiry."),
        ("{name} faces rising costs", "Input prices weigh on the margins of {name}, analysts said."),
    ),
}
FIRST_HOUR, LAST_HOUR = 3.5, -9.5  # hours before the open that publishing begins and ends


@dataclass(frozen=True, slots=True)
class Article:
    published_ns: int
    symbol: int
    other: int | None  # a second ticker mentioned
    sentiment: str
    title: str
    description: str
    number: int

    @property
    def tickers(self) -> tuple[int, ...]:
        return (self.symbol,) if self.other is None else (self.symbol, self.other)


def day_news(universe: Universe, calendar: SessionCalendar, seed: int, day: date, in_play: IntArray) -> list[Article]:
    """All articles of one session, oldest first, also those whose time has not come."""
    rng = generator(seed, "news", day)
    count = len(universe)
    quiet = rng.integers(0, count, max(3, int(count * 0.03)))
    subjects = np.concatenate([quiet, np.repeat(in_play, 2)])
    opening = calendar.open_ns(day)
    hours = rng.uniform(-FIRST_HOUR, -LAST_HOUR, len(subjects))
    tones = rng.choice(3, len(subjects), p=(0.25, 0.35, 0.4))
    which = rng.integers(0, 3, len(subjects))
    others = rng.integers(0, count, len(subjects))
    mentions = rng.random(len(subjects)) < 0.2
    out = []
    for i, subject in enumerate(subjects.tolist()):
        tone = SENTIMENTS[int(tones[i])]
        title, text = _TEMPLATES[tone][int(which[i])]
        words = {"name": universe.name(subject), "ticker": universe.tickers[subject]}
        other = int(others[i]) if mentions[i] and others[i] != subject else None
        published = opening + int(hours[i] * 3600) * NS
        number = day.toordinal() * 100_000 + i
        out.append(Article(published, subject, other, tone, title.format(**words), text.format(**words), number))
    return sorted(out, key=lambda article: (article.published_ns, article.number))
