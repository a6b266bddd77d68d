"""Our figures beside the broker's own: fees and executions by order, profit of the day by position.

The traps: a transaction may be booked a moment before or after we hear of the fill, so only a difference that two looks
in a row show is one; and the broker realises at the **average** price, while lots go first in first out, so what is
compared here is an average of our own, not the lots' profit.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import BrokerError
from qmterm.core.orders import BrokerPosition, Fill
from qmterm.core.protocols import TransactionsSource
from qmterm.core.reasons import Reason
from qmterm.core.transactions import Transaction
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.ledger import Ledger
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import label

CHECK_S = 60.0  # real seconds between two looks
CENT = Decimal("0.01")
ZERO = Decimal(0)


class Booked(NamedTuple):
    """Of one order and symbol on one day."""

    quantity: Decimal
    fees: Decimal


class AverageProfit:
    """What today's closings earned at average prices, by symbol: the broker's way of counting."""

    def __init__(self) -> None:
        self._book = Book(ZERO)
        self._realized: defaultdict[tuple[date, str], Decimal] = defaultdict(lambda: ZERO)
        self._closed: defaultdict[tuple[date, str], int] = defaultdict(int)

    def on_fill(self, fill: Fill) -> None:
        before, key = self._book.realized, (et_date(fill.time_ns), fill.symbol)
        held = self._book.quantity(fill.symbol)
        self._book.apply(fill, "", "")
        self._realized[key] += self._book.realized - before
        self._closed[key] += max(0, abs(held) - abs(self._book.quantity(fill.symbol)))

    def of(self, symbol: str, day: date, quantity: int) -> tuple[Decimal, Decimal] | None:
        """Dollars and how far rounding may take them; None where fills do not explain what is held."""
        if self._book.quantity(symbol) != quantity:
            return None
        return self._realized[day, symbol], CENT * max(1, self._closed[day, symbol])


class BrokerFigures:
    def __init__(
        self,
        source: TransactionsSource | None,
        ledger: Ledger,
        told: Callable[[], Iterable[BrokerPosition]],
        clock: Clock,
        log: RunLog,
    ) -> None:
        """`told` are the broker's positions as last read."""
        self._source = source
        self._ledger = ledger
        self._told = told
        self._clock = clock
        self._log = log
        self._suspected: dict[str, str] = {}
        self._alarmed: dict[str, str] = {}
        self._day: date | None = None
        self.average = AverageProfit()
        self.fees_today: Decimal | None = None
        self.checked_ns: int | None = None
        self.drift: tuple[str, ...] = ()

    async def follow(self) -> None:
        """For ever, beside the turn; at once over when the broker tells nothing."""
        while self._source is not None:
            await asyncio.sleep(CHECK_S)
            await self.check()

    async def check(self) -> None:
        """One look; a broker that cannot be asked now is asked again."""
        if self._source is None:
            return
        today = et_date(self._clock.now())
        if today != self._day:
            self._day, self._alarmed, self._suspected = today, {}, {}
        try:
            rows, complete = await self._source.transactions(today)
        except BrokerError as error:
            self._log.warn("RECO", f"the broker's transactions could not be read: {error}")
            return
        if not complete:
            return
        of_today = [row for row in rows if row.day == today]
        self.fees_today = sum((row.fees for row in of_today if row.fees is not None), ZERO)
        self.checked_ns = self._clock.now()
        self._judge({**self._orders(of_today, today), **self._profits(today)})

    def _orders(self, rows: Iterable[Transaction], today: date) -> dict[str, str]:
        """Differences by name; an order nobody here knows is left to the order poll, which adopts it."""
        theirs: defaultdict[tuple[str, str], list[Transaction]] = defaultdict(list)
        for row in rows:
            if row.kind == "Trade" and row.order_id is not None and row.symbol is not None:
                theirs[row.order_id, row.symbol].append(row)
        found = {}
        for record in self._ledger.records:
            for symbol in {leg.symbol for leg in record.intent.legs}:
                booked = theirs.get((record.broker_id or "", symbol), [])
                if not booked:
                    continue
                fills = [f for f in record.fills.values() if f.symbol == symbol and et_date(f.time_ns) == today]
                ours = Booked(Decimal(sum(fill.quantity for fill in fills)), sum((f.fees for f in fills), ZERO))
                told = Booked(
                    sum((row.quantity or ZERO for row in booked), ZERO),
                    sum((row.fees or ZERO for row in booked), ZERO),
                )
                name = f"order {record.broker_id} {label(symbol)}"
                if ours.quantity != told.quantity:
                    found[f"{name} quantity"] = f"{name}: the broker booked {told.quantity}, we counted {ours.quantity}"
                elif ours.fees != told.fees:
                    word = "estimates" if any(row.estimated for row in booked) else "charged"
                    found[f"{name} fees"] = f"{name}: the broker {word} fees of {told.fees}, our table says {ours.fees}"
        return found

    def _profits(self, today: date) -> dict[str, str]:
        found = {}
        for position in self._told():
            ours = self.average.of(position.symbol, today, position.quantity)
            if position.realized_today is None or ours is None:
                continue
            dollars, rounding = ours
            if abs(dollars - position.realized_today) > rounding:
                name = label(position.symbol)
                found[f"{name} profit"] = (
                    f"{name}: the broker says {position.realized_today:,.2f} was earned today, we count {dollars:,.2f}"
                )
        return found

    def _judge(self, found: dict[str, str]) -> None:
        """What two looks in a row say alike is a difference; the first of its kind on a day is an alarm."""
        lasting = {name: text for name, text in found.items() if self._suspected.get(name) == text}
        self._suspected = found
        self.drift = tuple(lasting.values())
        for name, text in lasting.items():
            if self._alarmed.get(name) == text:
                continue
            kind = name.rsplit(" ", 1)[1]
            again = any(known.rsplit(" ", 1)[1] == kind for known in self._alarmed)
            self._alarmed[name] = text
            write = self._log.warn if again else self._log.alarm
            reason = Reason.FEE_DRIFT if kind == "fees" else Reason.PNL_DRIFT
            write("RECO", text, "drift", reason=reason.value)
