"""The seams: who may stand in for the broker and for the source of quotes. (Clock is in core/clock.py.)"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Protocol, runtime_checkable

from qmterm.core.account import AccountFlags
from qmterm.core.orders import AccountState, BrokerEvent, BrokerOrder, DryRun, OrderIntent
from qmterm.core.quotes import Quote
from qmterm.core.transactions import Transaction


class QuoteSource(Protocol):
    """Who knows the latest quote: the market board in the program, a table in tests."""

    def quote(self, symbol: str) -> Quote | None:
        """Latest quote of a ticker or OCC option symbol; None when there never was one."""
        ...


class Broker(Protocol):
    """One account at one broker. Every method may raise BrokerError (certain refusal, nothing was done)."""

    account: str
    flags: AccountFlags  # what the broker lets the account do, as last read

    async def connect(self) -> None:
        """Log in, choose the account, open the account stream. BrokerAuthError when refused."""
        ...

    async def close(self) -> None: ...

    async def place(self, intent: OrderIntent) -> BrokerOrder:
        """Send the order once, never retry.

        Raises BrokerError for a refusal that is certain, OutcomeUnknown for everything else (time-out, reset,
        5xx, unreadable answer): then the order may or may not exist.
        """
        ...

    async def replace(self, broker_id: str, intent: OrderIntent) -> BrokerOrder:
        """Put `intent` in the place of a working order, for what is still open of that one; once, never retried.

        The answer is a new order with a number of its own; it waits until the old one is cancelled. A fill of the old
        one meanwhile calls the new one off. Raises as `place` does: after BrokerError the old order works on.
        """
        ...

    async def place_bracket(self, intents: tuple[OrderIntent, ...]) -> tuple[BrokerOrder, ...]:
        """Send a trigger with its exits, or a target and a stop for what is held, as one: all of them or none.

        The exits wait until the trigger has filled; a fill of one exit cancels the other. Raises as `place` does.
        """
        ...

    async def cancel_bracket(self, complex_id: str) -> None:
        """Ask for a cancel of all that still works of a bracket, by the bracket's own number."""
        ...

    async def dry_run(self, intent: OrderIntent) -> DryRun: ...

    async def cancel(self, broker_id: str) -> None:
        """Ask for a cancel. The end arrives later as an event; a fill may win the race."""
        ...

    async def account_state(self) -> AccountState:
        """Orders of today (all pages, live and history), positions and balance, read back over REST."""
        ...

    async def live_orders(self) -> tuple[BrokerOrder, ...]:
        """The cheap order poll: everything created or updated today."""
        ...

    async def order(self, broker_id: str) -> BrokerOrder | None:
        """One order by the broker's number, however old; None when the broker says that it knows no such order."""
        ...

    async def orders_since(self, day: date) -> tuple[tuple[BrokerOrder, ...], bool]:
        """Everything received since a New York day, in any state, and whether all of it could be read."""
        ...

    def events(self) -> AsyncIterator[BrokerEvent]:
        """The account stream; survives reconnects (after each one it reads REST back and yields everything)."""
        ...

    @property
    def stream_up(self) -> bool: ...

    @property
    def round_trip_ms(self) -> float | None:
        """Real milliseconds of the latest REST call; None before the first."""
        ...


@runtime_checkable
class TransactionsSource(Protocol):
    """A broker that tells what it booked."""

    async def transactions(self, since: date) -> tuple[tuple[Transaction, ...], bool]:
        """Everything booked since a New York day, newest first, and whether all of it could be read."""
        ...
