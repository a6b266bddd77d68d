"""A headline's tone by word list, for articles that come without insights: VADER's words with finance's own on top.

The trap: everyday words mean other things here (gross margin, crude, share, cancer drug), so the override list takes
their tone away. A word list is a guess: what it made is marked "lex" (or "user" for a list of the user's own).
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any, Protocol

from qmterm.core.errors import BadInput

# VADER's scale, −4 to 4; 0 = the word says nothing about a company.
FINANCE: dict[str, float] = {
    **dict.fromkeys(
        (
            "crude", "gross", "cancer", "tumor", "disease", "share", "shares", "sharing", "interest", "interests",
            "security", "securities", "trust", "profit", "profits", "tank", "tanker", "vice", "chemical", "play",
            "yield", "yields", "kill", "killer", "matter", "matters", "united", "energy", "growth", "value",
        ),
        0.0,
    ),
    **dict.fromkeys(("beat", "beats", "topped", "tops", "raises", "raised", "hikes", "hiked", "lifts", "lifted"), 1.9),
    **dict.fromkeys(("upgrade", "upgrades", "upgraded", "outperform", "bullish", "rally", "rallies"), 2.2),
    **dict.fromkeys(("surge", "surges", "surged", "soars", "soared", "jumps", "jumped", "record"), 2.0),
    **dict.fromkeys(("buyback", "buybacks", "approval", "approves", "rebound", "rebounds"), 1.5),
    **dict.fromkeys(("misses", "missed", "cuts", "cut", "lowers", "lowered", "slashes", "slashed", "warns"), -1.9),
    **dict.fromkeys(("downgrade", "downgrades", "downgraded", "underperform", "underperforms", "bearish"), -2.2),
    **dict.fromkeys(("plunge", "plunges", "plunged", "slumps", "slumped", "tumbles", "tumbled", "sinks", "sank"), -2.4),
    **dict.fromkeys(("recall", "recalls", "probe", "probes", "inquiry", "investigation", "subpoena", "lawsuit"), -1.8),
    **dict.fromkeys(("bankruptcy", "insolvency", "delisting", "delisted", "restatement", "default", "defaults"), -3.0),
    **dict.fromkeys(("dilutive", "dilution", "layoffs", "writedown", "shortfall", "halts", "halted"), -1.7),
}  # fmt: skip

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


class Lexicon(Protocol):
    @property
    def label(self) -> str: ...

    def tone(self, text: str) -> float:
        """−1 to 1, 0 when no word says anything."""
        ...


class Vader:
    """The package reads its word list when it is made (a tenth of a second), so it is made at the first headline."""

    label = "lex"

    def __init__(self) -> None:
        self._analyzer: Any = None

    def tone(self, text: str) -> float:
        if self._analyzer is None:
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

            self._analyzer = SentimentIntensityAnalyzer()
            self._analyzer.lexicon.update(FINANCE)
        return float(self._analyzer.polarity_scores(text)["compound"])


class UserWords:
    """Positive and negative words from the user's own file, such as the Loughran-McDonald master dictionary.

    Columns Word, Positive, Negative; a number above 0 puts the word on that list (the dictionary writes the year).
    """

    label = "user"

    def __init__(self, positive: frozenset[str], negative: frozenset[str]) -> None:
        self._positive = positive
        self._negative = negative

    @classmethod
    def read(cls, file: Path) -> UserWords:
        """BadInput when the file is not such a list."""
        lists: dict[str, set[str]] = {"positive": set(), "negative": set()}
        try:
            with file.open(encoding="utf-8-sig", newline="") as lines:
                rows = csv.DictReader(lines)
                names = {(name or "").strip().casefold(): name for name in rows.fieldnames or ()}
                if not {"word", *lists} <= names.keys():
                    raise BadInput(f"{file}: a word list needs the columns Word, Positive and Negative")
                for row in rows:
                    for kind, words in lists.items():
                        if _listed(row[names[kind]]):
                            words.add(row[names["word"]].strip().casefold())
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise BadInput(f"{file}: the word list cannot be read ({error})") from error
        if not any(lists.values()):
            raise BadInput(f"{file}: no word of the list is marked positive or negative")
        return cls(frozenset(lists["positive"]), frozenset(lists["negative"]))

    def tone(self, text: str) -> float:
        words = _WORD.findall(text.casefold())
        good = sum(word in self._positive for word in words)
        bad = sum(word in self._negative for word in words)
        return (good - bad) / (good + bad + 1e-9)


def word_list(file: str) -> Lexicon:
    """The user's own words where a file is named, else the built-in ones."""
    return UserWords.read(Path(file).expanduser()) if file else Vader()


def _listed(cell: str | None) -> bool:
    try:
        return float(cell or 0) > 0
    except ValueError:
        return False
