"""Asks the broker what it booked when book and broker differ, and counts what it delivered as fills of our book.

The trap: a difference is looked at many times within seconds; the bookings are read when it is new and once more when
it has stood long enough to count, not at every look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

from qmterm.core.clock import et_date
from qmterm.core.errors import BrokerError, OutcomeUnknown
from qmterm.core.orders import AccountState
from qmterm.core.protocols import Broker, TransactionsSource
from qmterm.core.transactions import Transaction
from qmterm.engine.orders.causes import NO_CAUSE, Cause, cause_of_money, causes_of_positions, deliveries, lately
from qmterm.engine.orders.reconcile import Difference, compare
from qmterm.engine.orders.splits import Successor, successors
from qmterm.engine.trader import Trader


class Explainer:
    def __init__(self, trader: Trader, broker: Broker, split_ratio: Callable[[str, date, date], float] | None) -> None:
        self._trader = trader
        self._source = broker if isinstance(broker, TransactionsSource) else None
        self._split_ratio = split_ratio
        self._asked: tuple[tuple[Difference, ...], int] | None = None
        self._rows: tuple[Transaction, ...] = ()

    async def count_deliveries(self, state: AccountState, *, again: bool = False) -> None:
        """Book what the broker delivered. `again` asks though the same difference was asked for."""
        trader = self._trader
        found = compare(trader.book, state)
        asked = (found, trader.book.fill_count)
        if self._source is None or not found or (asked == self._asked and not again):
            return
        self._asked = asked
        await self._read(self._source)
        for delivery in deliveries(state.account, found, self._rows, trader.book.seen):
            record = await trader.desk.on_order(delivery.order)
            trader.log.warn("RECO", f"the broker booked {delivery.cause.text}", record.intent.intent_id)

    async def _read(self, source: TransactionsSource) -> None:
        try:
            rows, complete = await source.transactions(lately(et_date(self._trader.clock.now())))
        except (BrokerError, OutcomeUnknown) as error:
            self._trader.log.warn("RECO", f"the broker's bookings could not be read, causes stay unknown: {error}")
            return
        if complete:  # a gap could make other rows add up by chance
            self._rows = rows

    def name(self, differences: Sequence[Difference], small: Decimal) -> tuple[Cause, ...]:
        """The cause of each, in their order."""
        known = {record.broker_id for record in self._trader.desk.ledger.records}
        causes = causes_of_positions(differences, self._rows, known.__contains__, self._split_of)
        return tuple(
            causes.get(d.symbol, NO_CAUSE) if d.symbol else cause_of_money(d.theirs - d.ours, self._rows, small)
            for d in differences
        )

    def heirs(self, differences: Sequence[Difference]) -> dict[str, Successor]:
        """What contracts became by a split, by their old symbols."""
        return successors(differences, self._split_of)

    def _split_of(self, underlying: str) -> float:
        today = et_date(self._trader.clock.now())
        return 1.0 if self._split_ratio is None else self._split_ratio(underlying, lately(today), today)
