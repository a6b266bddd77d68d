"""The coverage ledger: for every symbol that the vendor lists, when it was last evaluated, or why it was skipped.

Evaluated = a scan looked at its bars and at a price that the gate believes (its last close where it has not traded
today); that it has too few of them for an indicator is a result, not a gap. Skipped = there was nothing to look at, or
nothing to believe. Its chain is a question of its own, asked of the few that stand in an entry.

The trap: what counts is the vendor's list, not ours; a new listing that we have no history of would otherwise be
missing from the count of what is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.clock import NS
from qmterm.core.reasons import Reason
from qmterm.market.board.table import QuoteTable
from qmterm.market.quality.codes import CodeArray, QuoteCode

_EVALUATED, _NOT_YET = 0, 1
SKIPS: tuple[Reason | None, ...] = (
    None,
    Reason.NOT_CHECKED,  # listed since the last scan
    Reason.NO_HISTORY,  # no bars and no price
    Reason.TOO_FEW_BARS,  # it trades, but there is no history of it: a new listing
    Reason.NOT_TRADED,  # bars that ended long ago and no price
    Reason.NOT_ENTITLED,
    Reason.WAITING_BUDGET,
    Reason.HALTED,
    Reason.FEED_DOWN,
    Reason.STALE_QUOTE,
    Reason.PRICE_INSANE,
)
_NUMBER = {reason: number for number, reason in enumerate(SKIPS)}
# From the gate's word on a stock's price to what the ledger says of the stock.
_OF_PRICE = np.zeros(len(QuoteCode), dtype=np.int8)
for _code in (QuoteCode.HALTED, QuoteCode.FEED_DOWN, QuoteCode.STALE_QUOTE, QuoteCode.PRICE_INSANE):
    _OF_PRICE[_code] = _NUMBER[_code.reason]


@dataclass(frozen=True, slots=True)
class Listed:
    """What the vendor lists as active. `types` (CS, ETF, …) may be empty when the source does not tell."""

    symbols: tuple[str, ...]
    types: tuple[str, ...] = ()
    source: str = "reference"  # reference | snapshot


@dataclass(frozen=True, slots=True)
class CoverageView:
    """The ledger in a few numbers. Ages in seconds of market time; None before there is one."""

    listed: int = 0
    evaluated: int = 0
    pct: float | None = None
    oldest_age_s: float | None = None  # since the scan that last looked at the symbol looked at longest ago, if ever
    skipped: dict[str, int] = field(default_factory=dict)
    chains_skipped: dict[str, int] = field(default_factory=dict)  # of today's entries whose chain could not be read
    price_age_s: dict[str, float] = field(default_factory=dict)  # p50, p90, p99 of what traded today
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class Coverage:
    """Arrays over the listed symbols; a scan of the whole market is noted in about a millisecond."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._evaluated_ns: IntArray = np.zeros(0, dtype=np.int64)
        self._skip: NDArray[np.int8] = np.zeros(0, dtype=np.int8)
        self._price_ns: IntArray = np.zeros(0, dtype=np.int64)
        self._seen_from: tuple[tuple[str, ...], int] = ((), -1)  # panel and size of the board mapped below
        self._panel_at: IntArray = np.zeros(0, dtype=np.int64)
        self._board_at: IntArray = np.zeros(0, dtype=np.int64)
        self._chains_skipped: dict[str, Reason] = {}
        self._price_marks: dict[str, int] | None = {}  # percentile: when that price was made; None: not sorted yet
        self.listed = Listed((), source="")
        self.came: tuple[str, ...] = ()  # with the latest list
        self.gone: tuple[str, ...] = ()  # delisted or renamed since the list before
        self.renamed: dict[str, str] = {}  # old symbol: the one it trades under now

    def list(self, listed: Listed) -> None:
        """A new list: known symbols keep their history, those that left are no longer counted."""
        names = tuple(dict.fromkeys(listed.symbols))
        before = self._numbers
        self.came = tuple(name for name in names if name not in before) if before else ()
        self._numbers = {name: number for number, name in enumerate(names)}
        self.gone = tuple(name for name in before if name not in self._numbers)
        evaluated = np.zeros(len(names), dtype=np.int64)
        skip = np.full(len(names), _NOT_YET, dtype=np.int8)
        old = np.fromiter((before.get(name, -1) for name in names), dtype=np.int64, count=len(names))
        known = old >= 0
        evaluated[known], skip[known] = self._evaluated_ns[old[known]], self._skip[old[known]]
        self._evaluated_ns, self._skip = evaluated, skip
        self._price_ns = np.zeros(len(names), dtype=np.int64)
        self._seen_from = ((), -1)
        self._chains_skipped.clear()
        self.listed = listed

    def note(
        self,
        now_ns: int,
        panel: tuple[str, ...],
        close: FloatArray,
        codes: CodeArray,
        table: QuoteTable,
        absent: Reason = Reason.NO_HISTORY,
    ) -> None:
        """A scan has looked at `panel`: its last closes, the gate's codes of its prices, and the board of stocks.

        `absent` is why listed symbols may be missing from the panel: NO_HISTORY, WAITING_BUDGET or NOT_ENTITLED.
        """
        if not self._numbers:
            return
        self._map(panel, table)
        present = self._panel_at >= 0
        rows = self._panel_at[present]
        skip = np.full(present.size, _NUMBER[absent], dtype=np.int8)
        skip[~present & self._trades(table)] = _NUMBER[Reason.TOO_FEW_BARS]
        of_price = _OF_PRICE[codes[rows]]
        nothing = (codes[rows] == QuoteCode.NOT_TRADED) & ~np.isfinite(close[rows])
        of_price[nothing] = _NUMBER[Reason.NOT_TRADED]
        skip[present] = of_price
        self._skip = skip
        self._evaluated_ns[skip == _EVALUATED] = now_ns
        self._price_marks = None
        on_board = self._board_at >= 0
        self._price_ns[:] = 0
        self._price_ns[on_board] = table.trade_ns[self._board_at[on_board]]

    def note_none(self, absent: Reason) -> None:
        """No scan can run, and why not."""
        self._skip[:] = _NUMBER[absent]

    def note_chain(self, symbol: str, skipped: Reason | None) -> None:
        """The chain of an entry was read, or why not."""
        if skipped is None:
            self._chains_skipped.pop(symbol, None)
        else:
            self._chains_skipped[symbol] = skipped

    def chain_of(self, symbol: str) -> Reason | None:
        """Why the symbol's chain was not read when it was last wanted today."""
        return self._chains_skipped.get(symbol)

    def of(self, symbol: str) -> tuple[int | None, Reason | None]:
        """(market time it was last evaluated, why it was skipped in the latest scan)."""
        number = self._numbers.get(symbol)
        if number is None:
            if symbol in self.renamed:
                return None, Reason.RENAMED
            return None, Reason.DELISTED if symbol in self.gone else Reason.NO_DATA
        return int(self._evaluated_ns[number]) or None, SKIPS[int(self._skip[number])]

    def view(self, now_ns: int, today_from_ns: int = 0) -> CoverageView:
        """The figures now; prices made before `today_from_ns` have no part in the price ages."""
        listed = len(self._numbers)
        if not listed:
            return CoverageView()
        evaluated = int(np.count_nonzero(self._skip == _EVALUATED))
        counts = np.bincount(self._skip, minlength=len(SKIPS)).tolist()
        ever = self._evaluated_ns[self._evaluated_ns > 0]  # also of those that are skipped now: their age grows
        oldest = max(0, now_ns - int(ever.min())) / NS if ever.size else None
        return CoverageView(
            listed=listed,
            evaluated=evaluated,
            pct=round(100.0 * evaluated / listed, 3),
            oldest_age_s=oldest,
            skipped={reason.value: n for reason, n in zip(SKIPS, counts, strict=True) if reason is not None and n},
            chains_skipped=dict(sorted(Counter(reason.value for reason in self._chains_skipped.values()).items())),
            price_age_s=self._price_ages(now_ns, today_from_ns),
            source=self.listed.source,
        )

    # --- inside ---

    def _price_ages(self, now_ns: int, today_from_ns: int) -> dict[str, float]:
        """Of the prices that the latest scan saw; sorted once a scan, for this is asked at every frame."""
        if self._price_marks is None:
            made = np.sort(self._price_ns[(self._price_ns > 0) & (self._price_ns >= today_from_ns)])[::-1]
            marks = {"p50": 0.50, "p90": 0.90, "p99": 0.99}
            at = {name: min(int(share * made.size), made.size - 1) for name, share in marks.items()}
            self._price_marks = {name: int(made[place]) for name, place in at.items()} if made.size else {}
        return {name: round(max(0, now_ns - made_ns) / NS, 3) for name, made_ns in self._price_marks.items()}

    def _map(self, panel: tuple[str, ...], table: QuoteTable) -> None:
        """Where each listed symbol stands in the panel and on the board; made anew only when one of them changed."""
        if self._seen_from[0] is panel and self._seen_from[1] == len(table):
            return
        self._panel_at = self._places({name: row for row, name in enumerate(panel)})
        self._board_at = self._places(table.numbers)
        self._seen_from = (panel, len(table))

    def _places(self, rows: dict[str, int]) -> IntArray:
        names: Iterable[str] = self._numbers
        return np.fromiter((rows.get(name, -1) for name in names), dtype=np.int64, count=len(self._numbers))

    def _trades(self, table: QuoteTable) -> BoolArray:
        """Which listed symbols have a price of the board's."""
        out = np.zeros(self._board_at.size, dtype=np.bool_)
        on_board = self._board_at >= 0
        out[on_board] = table.last[self._board_at[on_board]] > 0
        return out
