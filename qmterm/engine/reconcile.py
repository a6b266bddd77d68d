"""Book against broker: every difference named, none patched silently (DESIGN.md 5, points 3 and 4).

A fill may be on its way while we compare, so a difference counts only when two comparisons in a row show the same
one and nothing was filled between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from qmterm.core.orders import AccountState
from qmterm.engine.book import Book
from qmterm.engine.wording import label

CASH_TOLERANCE = Decimal("0.01")


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
        if ours.get(symbol, 0) != theirs.get(symbol, 0)
    ]
    if abs(book.cash - state.balance.cash) > CASH_TOLERANCE:
        found.append(Difference("", book.cash, state.balance.cash))
    return tuple(found)


class Reconciler:
    """Remembers the last comparison, so that only lasting differences count."""

    def __init__(self) -> None:
        self._last: tuple[tuple[Difference, ...], int] | None = None
        self.clean = False
        self.differences: tuple[Difference, ...] = ()

    def look(self, book: Book, state: AccountState) -> tuple[Difference, ...]:
        """Compare; returns the differences that are now confirmed (empty when clean or not yet sure)."""
        found = compare(book, state)
        seen = (found, book.fill_count)
        confirmed = found if found and seen == self._last else ()
        self._last = seen
        if not found:
            self.clean, self.differences = True, ()
        elif confirmed:
            self.clean, self.differences = False, confirmed
        return confirmed

    def accept(self) -> None:
        """The differences were adopted by a rule or a person: from here on both sides agree."""
        self._last, self.clean, self.differences = None, True, ()
