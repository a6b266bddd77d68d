"""Book against broker: every difference named, none patched silently (DESIGN.md 5, points 3 and 4).

A fill may be on its way while we compare, and a broker's ledger may show the past for seconds after one; so a
difference counts only when comparisons some time apart show the same one and nothing was filled between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from qmterm.core.clock import NS
from qmterm.core.orders import AccountState
from qmterm.engine.orders.book import Book
from qmterm.engine.show.wording import label

CASH_TOLERANCE = Decimal("0.01")
WINDOW_S = 10.0  # a ledger that lags has caught up by then


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing we and the broker disagree on; `symbol` is "" for cash (dollars), else contracts or shares."""

    symbol: str
    ours: Decimal
    theirs: Decimal

    def __str__(self) -> str:
        what = label(self.symbol) if self.symbol else "cash"
        return f"{what}: ours {self.ours}, broker {self.theirs}"


def compare(book: Book, state: AccountState) -> tuple[Difference, ...]:
    """The union of both sides."""
    theirs = {position.symbol: position.quantity for position in state.positions if position.quantity}
    ours = {position.symbol: position.quantity for position in book.positions}
    found = [
        Difference(symbol, Decimal(ours.get(symbol, 0)), Decimal(theirs.get(symbol, 0)))
        for symbol in sorted(ours.keys() | theirs.keys())
        if ours.get(symbol) != theirs.get(symbol)
    ]
    if abs(book.cash - state.balance.cash) > CASH_TOLERANCE:
        found.append(Difference("", book.cash, state.balance.cash))
    return tuple(found)


class Reconciler:
    """Remembers since when a difference stands, so that only lasting ones count."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._last: tuple[tuple[Difference, ...], int] | None = None
        self._since = (0, 0.0)  # market ns and real seconds of the first look that showed it
        self.clean = False
        self.differences: tuple[Difference, ...] = ()

    def look(
        self,
        book: Book,
        state: AccountState,
        now_ns: int,
        monotonic: float,
        began: tuple[int, float] | None = None,
    ) -> tuple[Difference, ...]:
        """Compare; returns the differences that are now confirmed (empty when clean or not yet sure).

        `began` is when the reading of `state` began, by both clocks; None: now.
        """
        found = compare(book, state)
        seen = (found, book.fill_count)
        if seen != self._last:
            self._last, self._since = seen, (now_ns, monotonic)
        # From the end of one reading to the beginning of another: two that overlap, or one that was slow, are one look.
        # By both clocks: a market that runs faster does not make the news travel faster.
        began_ns, began_at = began or (now_ns, monotonic)
        stood = min((began_ns - self._since[0]) / NS, began_at - self._since[1])
        confirmed = found if found and stood >= self._window_s else ()
        self.clean, self.differences = not found, confirmed
        return confirmed

    def accept(self) -> None:
        """The differences were adopted by a rule or a person: from here on both sides agree."""
        self._last, self.clean, self.differences = None, True, ()
