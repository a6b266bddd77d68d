"""What can be wrong with a store: a code, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Code(StrEnum):
    GAP = "GAP"
    TORN = "TORN"
    NOT_A_SESSION = "NOT_A_SESSION"
    NO_PULL_DATE = "NO_PULL_DATE"
    IMPORTS_ONLY = "IMPORTS_ONLY"
    SHRUNK = "SHRUNK"
    DUPLICATE = "DUPLICATE"
    BAD_BAR = "BAD_BAR"
    VANISHED = "VANISHED"
    SPLIT_LIKE = "SPLIT_LIKE"
    JUMP = "JUMP"
    REFUSED = "REFUSED"


TO_DO = {
    Code.GAP: "run `qmterm history pull`",
    Code.TORN: "delete the file and run `qmterm history pull`",
    Code.NOT_A_SESSION: "delete the file",
    Code.NO_PULL_DATE: "pull it again: which splits its prices have is unknown",
    Code.IMPORTS_ONLY: "run `qmterm history pull`: the rest of the market is missing",
    Code.SHRUNK: "delete the file and pull it again: part of the market is missing",
    Code.DUPLICATE: "the first row counts; pull the session again",
    Code.BAD_BAR: "the bar is left out; pull the session again",
    Code.VANISHED: "a halt, or rows lost: compare with the exchange",
    Code.SPLIT_LIKE: "looks like a split that is not known: check it before trading the symbol",
    Code.REFUSED: "a replay refuses the file: delete it and import its data again",
    Code.JUMP: "news, or bad data: check it before trading the symbol",
}


@dataclass(frozen=True, slots=True)
class Finding:
    code: Code
    day: date
    symbol: str  # "" when it is about a whole session
    detail: str

    @property
    def to_do(self) -> str:
        return TO_DO[self.code]
