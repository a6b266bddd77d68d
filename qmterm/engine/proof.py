"""What HALT and FLATTEN have reached, by the broker's own word: our own opinion that all is cancelled proves nothing.

A complete account read decides. While something is left it is named, and said again as an alarm; a proof that later
looks break (somebody trades elsewhere) is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qmterm.core.clock import to_et
from qmterm.core.orders import AccountState
from qmterm.engine.ladder import Ladder, Level
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.show.wording import label

DOCUMENT = "stand-down"  # of the journal: how many orders worked when trading was stopped
SAY_AGAIN_S = 30.0  # real seconds between two alarms about what is left
NAMED = 3  # things that are named in a line; the rest is counted


@dataclass(frozen=True, slots=True)
class Left:
    """What the latest look still found."""

    orders: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.orders or self.positions)

    def __str__(self) -> str:
        parts = [_some(self.orders, "order"), _some(self.positions, "position")]
        return ", ".join(part for part in parts if part)


class Proof:
    """Watches the ladder: from HALT or FLATTEN on it collects the broker's confirmation."""

    def __init__(self, ladder: Ladder, ledger: Ledger, book: Book, alarm: Callable[[str], None]) -> None:
        self._ladder = ladder
        self._ledger = ledger
        self._book = book
        self._alarm = alarm
        self._level = Level.NORMAL
        self._said_at = float("-inf")
        self._seen: Left | None = None  # at the broker; None: not looked yet
        self.orders = 0  # that worked when trading was stopped
        self.confirmed_ns: int | None = None

    # --- what it is about ---

    @property
    def wanted(self) -> bool:
        return self._ladder.level >= Level.FLATTEN

    @property
    def confirmed(self) -> bool:
        """The broker's word, for as long as our own books agree: what came later is not proven gone."""
        return self.wanted and self._level is self._ladder.level and self.confirmed_ns is not None and not self._ours()

    @property
    def pending(self) -> bool:
        """Something to prove, and on our side nothing more that is known to stand in its way: ask the broker."""
        return self.wanted and not self.confirmed and not self._ours()

    def begin(self, orders: int) -> None:
        """Trading was stopped just now, with so many orders at work."""
        self._level, self.orders = self._ladder.level, orders
        self.confirmed_ns, self._seen = None, None
        self._said_at = float("-inf")

    def to_dict(self) -> dict[str, object]:
        return {"level": int(self._level), "orders": self.orders}

    def restore(self, saved: Mapping[str, object]) -> None:
        """After a restart the number is known; the broker is asked anew."""
        if saved and saved.get("level") == int(self._ladder.level):
            self.begin(int(str(saved.get("orders", 0))))

    @property
    def flatten_left(self) -> str:
        """What a flatten that was asked for, perhaps below a HALT, has not closed by the broker's word."""
        if self._ladder.cause_of(Level.FLATTEN) is None:
            return ""
        if self._ladder.level is Level.FLATTEN:
            return self.left
        held = tuple(f"{position.quantity:+d} {label(position.symbol)}" for position in self._book.positions)
        return str(Left(positions=held)) or "the broker has not confirmed it yet"

    # --- what the broker says ---

    def witness(self, state: AccountState, now_ns: int) -> bool:
        """A whole account was read; True when it proves, just now, that nothing is left."""
        if not self.wanted or not state.complete:
            return False
        if self._level is not self._ladder.level:
            self.begin(len(self._working()))
        spared = {record.broker_id for record in self._ledger.working if record.spared}
        flatten = self._ladder.level is Level.FLATTEN
        self._seen = Left(
            tuple(
                f"{order.underlying} ({order.broker_id})"
                for order in state.orders
                if order.state.working and (flatten or order.broker_id not in spared)
            ),
            tuple(f"{p.quantity:+d} {label(p.symbol)}" for p in state.positions if p.quantity) if flatten else (),
        )
        if self._seen or self._ours():
            self.confirmed_ns = None
            return False
        fresh = self.confirmed_ns is None
        if fresh:
            self.confirmed_ns = now_ns
        return fresh

    def _working(self) -> tuple[OrderRecord, ...]:
        flatten = self._ladder.level is Level.FLATTEN
        return tuple(record for record in self._ledger.working if flatten or not record.spared)

    def _ours(self) -> Left:
        """What our own books still hold: the broker's flat account does not prove what we do not believe yet."""
        held = self._book.positions if self._ladder.level is Level.FLATTEN else ()
        return Left(
            tuple(record.describe() for record in self._working()),
            tuple(f"{position.quantity:+d} {label(position.symbol)}" for position in held),
        )

    # --- what it says ---

    @property
    def left(self) -> str:
        """What is left, in words; "" only once the broker has confirmed that nothing is."""
        if not self.wanted or self.confirmed:
            return ""
        return str(self._ours() or self._seen or "") or "the broker has not confirmed it yet"

    @property
    def text(self) -> str:
        """For the header and `ctl status`; "" while the ladder stands above FLATTEN."""
        if not self.wanted:
            return ""
        if not self.confirmed or self.confirmed_ns is None:
            return f"still there: {self.left}"
        at = f"{to_et(self.confirmed_ns):%H:%M:%S}"
        if self._ladder.level is Level.FLATTEN:
            return f"flat: no positions and no orders, confirmed by the broker at {at}"
        what = "no order worked" if not self.orders else f"all {self.orders} working orders cancelled"
        return f"{what}, confirmed by the broker at {at}"

    def remind(self, monotonic: float) -> None:
        """An alarm now and then for as long as something is left; a proof that no longer holds must be brought anew."""
        if self._ours():
            self.confirmed_ns = None
        if not self.wanted or self.confirmed or monotonic - self._said_at < SAY_AGAIN_S:
            return
        first = self._said_at == float("-inf")
        self._said_at = monotonic
        if not first:  # the act itself said the first word
            self._alarm(f"{self._ladder.level.label} is not through: {self.left}")


def _some(things: tuple[str, ...], word: str) -> str:
    if not things:
        return ""
    more = f" and {len(things) - NAMED} more" if len(things) > NAMED else ""
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'} ({'; '.join(things[:NAMED])}{more})"
