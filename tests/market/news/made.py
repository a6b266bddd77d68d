"""Articles for tests."""

from qmterm.market.records import Insight, NewsItem

HOUR_NS = 3_600_000_000_000
NOW = 1_772_463_600_000_000_000


def article(name, hours_ago=0.0, tone="negative", symbols=("AAPL",), title=None, about="AAPL", text=""):
    insights = () if tone is None else (Insight(about, tone, ""),)
    published = NOW - int(hours_ago * HOUR_NS)
    return NewsItem(name, published, title or f"Title {name}", "Wire", tuple(symbols), "", text, (), insights)


class Words:
    """A lexicon that knows two words."""

    label = "lex"

    def tone(self, text):
        return 0.5 * (("good" in text) - ("bad" in text))
