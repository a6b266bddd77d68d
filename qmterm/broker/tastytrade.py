"""One tastytrade account behind core's Broker protocol: orders through the SDK, once; answers read by ourselves.

Heavy to import (the SDK brings pandas): import it where a broker is built, not at the top of a command.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import httpx2
from tastytrade import Account

from qmterm.broker import accounts, bodies, brackets, decode, orders
from qmterm.broker.dxlink import BrokerQuote, BrokerQuotes
from qmterm.broker.errors import NO_SUCH_RECORD, UNREADABLE
from qmterm.broker.last_look import Rule, ask_once_more, free
from qmterm.broker.metrics import MarketMetrics, metrics_of
from qmterm.broker.pacing import Urgency
from qmterm.broker.ready import Door, HeldOrders
from qmterm.broker.session import BrokerSession
from qmterm.broker.stream import AccountStream
from qmterm.broker.transactions import transactions
from qmterm.broker.witness import StreamWitness
from qmterm.core.account import AccountFlags
from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import BadInput, BrokerAuthError, BrokerError, OutcomeUnknown
from qmterm.core.orders import AccountState, BrokerEvent, BrokerOrder, DryRun, OrderIntent
from qmterm.core.settings.broker import TastytradeSettings
from qmterm.core.ticks import TickTable
from qmterm.core.transactions import Transaction

# A long weekend and more, yet inside the week that the journal gives back: older orders of ours would look external.
LOOK_BACK_DAYS = 5
PAGE_CAP = 100  # pages of one history; a server that always promises another one must not hold us for ever

# With those closed today: a symbol that is not listed then was never there yet (a ledger that lags), not closed.
_POSITIONS = {"include-marks": "true", "include-closed-positions": "true"}
METRICS_AT_ONCE = 50  # symbols in one question: they go into the address

log = logging.getLogger("qmterm.broker")


class TastytradeBroker:
    """See core.protocols.Broker. Beyond it: `wait_sequence`, `take_events` (lockstep) and `on_fault`."""

    def __init__(
        self,
        settings: TastytradeSettings,
        secret: str,
        refresh_token: str,
        account: str | None = None,
        *,
        clock: Clock,
        is_test: bool = False,
        transport: httpx2.AsyncBaseTransport | None = None,
        permit: Rule = free,
    ) -> None:
        """`permit` is asked last before an order leaves: a reason and it does not. Cancels need no permission."""
        self._permit = permit
        self.last_look: Rule = free  # set by the order desk
        self.account = ""
        self.flags = AccountFlags()
        self.on_fault: Callable[[str], None] | None = None
        self.faults = 0
        self._wanted = account
        self._is_test = is_test
        self._settings = settings
        self._clock = clock
        self._session = BrokerSession(settings, secret, refresh_token, is_test, transport)
        self._witness = StreamWitness()
        self._stream: AccountStream | None = None
        self._sdk_account: Account | None = None
        self._history_of: date | None = None  # New York day of the latest complete history

    # --- connecting ---

    async def connect(self) -> None:
        """Log in, choose the account, open the stream. A stream that does not come up at once keeps trying."""
        await self._session.open()
        body = await self._session.read("listing the accounts", "/customers/me/accounts")
        rows = [row["account"] for row in bodies.items(body, "accounts") if isinstance(row.get("account"), dict)]
        self.account = accounts.choose(rows, self._wanted)
        self._sdk_account = Account.model_construct(account_number=self.account)
        await self._check_trading()
        self._session.keep_warm(self.live_orders)
        self._stream = AccountStream(
            self._session, self._settings, self.account, self._read_all, self._heard, self._fault
        )
        self._stream.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.question_timeout_s):
                await self._stream.tried.wait()
        if not self._stream.up:
            self._fault("the account stream does not come up yet; orders are polled meanwhile")

    async def _check_trading(self) -> None:
        try:
            body = await self._session.read("reading the trading status", self._path("/trading-status"))
        except BrokerAuthError:
            raise
        except BrokerError as error:
            self._fault(f"trading status not checked: {error}")
            return
        accounts.check_trading(self.account, bodies.data(body))
        self.flags = accounts.flags_of(bodies.data(body))

    def option_quotes(self, on_quote: Callable[[BrokerQuote], None]) -> BrokerQuotes | None:
        """The broker's own market data for option contracts; the test environment has none."""
        return None if self._is_test else BrokerQuotes(self._session, self._settings, on_quote, self._fault)

    async def close(self) -> None:
        if self._stream is not None:
            await self._stream.close()
        await self._session.close()

    # --- deeds, each at most once ---

    async def place(self, intent: OrderIntent) -> BrokerOrder:
        """Send once. BrokerError: certainly not there. OutcomeUnknown: perhaps there, look it up by its id."""
        return await self._place(intent, self._last_door(intent))

    def ready(self, intents: tuple[OrderIntent, ...]) -> HeldOrders:
        """`place`, or `place_bracket` of several, in two steps: all but the leaving is begun now.

        Whether real money is armed is asked when it leaves, not now.
        """

        async def place(door: Door) -> tuple[BrokerOrder, ...]:
            if len(intents) > 1:
                return await self._place_bracket(intents, door)
            return (await self._place(intents[0], door),)

        return HeldOrders(place, lambda: self._ask_once_more(*intents), intents[0].intent_id)

    async def _place(self, intent: OrderIntent, door: Door) -> BrokerOrder:
        order, account = orders.to_sdk(intent), self._trading_account()
        doing = f"the order {intent.intent_id}"
        data = await self._session.send(
            doing,
            "POST",
            self._path("/orders"),
            Urgency.ORDER,
            lambda: account.place_order(self._session.sdk, order, dry_run=False),
            door,
        )
        placed = self._placed(data.get("order"), doing)
        if placed.external_id not in (None, intent.intent_id):
            raise OutcomeUnknown(f"{doing}: the answer is about another one, {placed.external_id}")
        return replace(placed, external_id=intent.intent_id)

    async def replace(self, broker_id: str, intent: OrderIntent) -> BrokerOrder:
        """Price, kind and time in force of a working order, changed by putting a new one in its place; sent once."""
        bodies.check_number(broker_id, "replaced")
        order, account = orders.to_sdk(intent), self._trading_account()
        doing = f"the replacement {intent.intent_id} of order {broker_id}"
        data = await self._session.send(
            doing,
            "PUT",
            self._path(f"/orders/{broker_id}"),
            Urgency.ORDER,
            lambda: account.replace_order(self._session.sdk, int(broker_id), order),
            self._last_door(intent),
        )
        placed = self._placed(data, doing)
        if placed.broker_id == broker_id:
            raise OutcomeUnknown(f"{doing}: the answer is about the order that was to be replaced")
        return replace(placed, external_id=intent.intent_id)

    def _last_door(self, *intents: OrderIntent) -> Door:
        """Asked at the wire: its turn, a login and a connection may have taken seconds, and a kill comes in one."""

        async def door() -> None:
            self._ask_once_more(*intents)

        return door

    def _ask_once_more(self, *intents: OrderIntent) -> None:
        ask_once_more(intents, self._permit, self.last_look)

    def _placed(self, answer: object, doing: str) -> BrokerOrder:
        try:
            placed, fault = decode.order(answer if isinstance(answer, dict) else {})
        except decode.Unreadable as error:
            raise OutcomeUnknown(f"{doing}: the answer cannot be read ({error})") from None
        if fault is not None:
            self._fault(fault)
        self._witness.told(placed)
        return placed

    async def place_bracket(self, intents: tuple[OrderIntent, ...]) -> tuple[BrokerOrder, ...]:
        """One call for all of them; the answer's orders in the order of the intents."""
        return await self._place_bracket(intents, self._last_door(*intents))

    async def _place_bracket(self, intents: tuple[OrderIntent, ...], door: Door) -> tuple[BrokerOrder, ...]:
        order, account = brackets.to_sdk(intents), self._trading_account()
        doing = f"the bracket {intents[0].bracket_id}"
        data = await self._session.send(
            doing,
            "POST",
            self._path("/complex-orders"),
            Urgency.ORDER,
            lambda: account.place_complex_order(self._session.sdk, order, dry_run=False),
            door,
        )
        answered = [self._placed(body, doing) for body in brackets.nested(data)]
        by_id = {placed.external_id: placed for placed in answered}
        if len(answered) != len(intents) or any(intent.intent_id not in by_id for intent in intents):
            raise OutcomeUnknown(f"{doing}: the answer does not name all of its orders")
        return tuple(by_id[intent.intent_id] for intent in intents)

    async def cancel_bracket(self, complex_id: str) -> None:
        bodies.check_number(complex_id, "cancelled")
        account = self._trading_account()
        await self._session.send(
            f"the cancel of bracket {complex_id}",
            "DELETE",
            self._path(f"/complex-orders/{complex_id}"),
            Urgency.CANCEL,
            lambda: account.delete_complex_order(self._session.sdk, int(complex_id)),
        )

    async def dry_run(self, intent: OrderIntent) -> DryRun:
        order, account = orders.to_sdk(intent), self._trading_account()
        try:
            data = await self._session.send(
                f"the dry run of {intent.intent_id}",
                "POST",
                self._path("/orders/dry-run"),
                Urgency.QUESTION,
                lambda: account.place_order(self._session.sdk, order, dry_run=True),
            )
            return decode.dry_run(data)
        except (OutcomeUnknown, decode.Unreadable) as error:
            # Nothing is at stake in a dry run: an answer that was lost is simply no answer.
            raise BrokerError(f"no estimate from tastytrade: {error}", UNREADABLE) from None

    async def cancel(self, broker_id: str) -> None:
        bodies.check_number(broker_id, "cancelled")
        account = self._trading_account()
        await self._session.send(
            f"the cancel of order {broker_id}",
            "DELETE",
            self._path(f"/orders/{broker_id}"),
            Urgency.CANCEL,
            lambda: account.delete_order(self._session.sdk, int(broker_id)),
        )

    # --- questions ---

    async def live_orders(self) -> tuple[BrokerOrder, ...]:
        found, _ = await self._live_orders()
        silent = self._witness.polled(found)
        if silent is not None and self._stream is not None and self._stream.up:
            self._stream.suspect(f"it kept silent about order {silent.broker_id} ({silent.state.value})")
        return found

    async def account_state(self) -> AccountState:
        """Balance and positions must be readable, else BrokerError; `complete` is about the pages of orders."""
        balance, positions, live, history, _ = await asyncio.gather(
            self._session.read("reading the balance", self._path("/balances/USD")),
            self._session.read("reading the positions", self._path("/positions"), **_POSITIONS),
            self._tried(self._live_orders()),
            self._tried(self._history()),
            self._read_flags(),
        )
        merged: dict[str, BrokerOrder] = {}
        for order in (*history[0], *live[0]):
            known = merged.get(order.broker_id)
            if known is None or order.updated_ns >= known.updated_ns:
                merged[order.broker_id] = order
        try:
            return AccountState(
                account=self.account,
                balance=decode.balance(bodies.data(balance)),
                positions=tuple(
                    decode.position(row)
                    for row in bodies.items(positions, "positions")
                    if not decode.foreign_position(row)
                ),
                orders=tuple(sorted(merged.values(), key=lambda order: (order.received_ns, order.broker_id))),
                complete=live[1] and history[1],
            )
        except decode.Unreadable as error:
            raise BrokerError(f"the account cannot be read: {error}", UNREADABLE) from None

    async def _read_flags(self) -> None:
        """A margin call comes during the day; flags that cannot be read stay as they were."""
        try:
            body = await self._session.read("reading the trading status", self._path("/trading-status"))
        except BrokerAuthError:
            raise
        except BrokerError as error:
            self._fault(f"trading status not read: {error}")
            return
        self.flags = accounts.flags_of(bodies.data(body))

    async def _tried(self, reading: Any) -> tuple[tuple[BrokerOrder, ...], bool]:
        try:
            found: tuple[tuple[BrokerOrder, ...], bool] = await reading
        except BrokerAuthError:
            raise
        except BrokerError as error:
            self._fault(f"a list of orders is missing: {error}")
            return (), False
        return found

    async def _live_orders(self) -> tuple[tuple[BrokerOrder, ...], bool]:
        body = await self._session.read("polling orders", self._path("/orders/live"))
        return self._decoded(bodies.items(body, "live orders"))

    async def _history(self) -> tuple[tuple[BrokerOrder, ...], bool]:
        """All pages since the day before the last complete reading (or the start's look back).

        "Since yesterday" would lose what was sent on a Friday by a program that is started, or a machine that wakes,
        on Monday: an order that filled would count as never accepted.
        """
        today = et_date(self._clock.now())
        since = min(self._history_of or today - timedelta(days=LOOK_BACK_DAYS), today) - timedelta(days=1)
        found, complete = await self.orders_since(since)
        if complete:
            self._history_of = today
        return found, complete

    async def order(self, broker_id: str) -> BrokerOrder | None:
        """See core.protocols.Broker. BrokerError when the answer is none: then nothing is known of the order."""
        bodies.check_number(broker_id, "looked up")
        doing = f"looking up order {broker_id}"
        try:
            body = await self._session.read(doing, self._path(f"/orders/{broker_id}"))
        except BrokerError as error:
            if error.code == NO_SUCH_RECORD:
                return None
            raise
        try:
            found, fault = decode.order(bodies.data(body))
        except decode.Unreadable as error:
            raise BrokerError(f"unreadable answer from tastytrade while {doing}: {error}", UNREADABLE) from None
        if fault is not None:
            self._fault(fault)
        return found

    async def orders_since(self, day: date) -> tuple[tuple[BrokerOrder, ...], bool]:
        """See core.protocols.Broker: all pages of the history, by the day an order was received."""
        found: list[BrokerOrder] = []
        complete = True
        for page in range(PAGE_CAP):
            body = await self._session.read(
                "reading the order history",
                self._path("/orders"),
                **{"start-date": day.isoformat(), "per-page": self._settings.page_size, "page-offset": page},
            )
            rows = bodies.items(body, "order history")
            good, whole = self._decoded(rows)
            found.extend(good)
            complete = complete and whole
            if bodies.last_page(body, page, len(rows), self._settings.page_size):
                return tuple(found), complete
        self._fault(f"the order history has more than {PAGE_CAP} pages; the rest was not read")
        return tuple(found), False

    async def transactions(self, since: date) -> tuple[tuple[Transaction, ...], bool]:
        """Everything booked since a New York day, newest first, and whether it was all readable."""
        found: list[Transaction] = []
        complete = True
        for page in range(PAGE_CAP):
            body = await self._session.read(
                "reading the transactions",
                self._path("/transactions"),
                **{"start-date": since.isoformat(), "per-page": self._settings.page_size, "page-offset": page},
            )
            rows = bodies.items(body, "transactions")
            read = transactions(rows)
            for fault in read.faults:
                self._fault(fault)
            found.extend(read.good)
            complete = complete and not read.faults
            if bodies.last_page(body, page, len(rows), self._settings.page_size):
                return tuple(found), complete
        self._fault(f"there are more than {PAGE_CAP} pages of transactions; the rest was not read")
        return tuple(found), False

    def _decoded(self, bodies: list[dict[str, Any]]) -> tuple[tuple[BrokerOrder, ...], bool]:
        rows = decode.orders(bodies)
        for fault in rows.faults:
            self._fault(fault)
        return rows.good, not rows.missing

    async def market_metrics(self, symbols: Iterable[str]) -> tuple[MarketMetrics, ...]:
        """IV rank, earnings and the like of some underlyings; those the broker does not know are left out."""
        wanted = list(dict.fromkeys(symbols))
        found: list[MarketMetrics] = []
        for first in range(0, len(wanted), METRICS_AT_ONCE):
            body = await self._session.read(
                "reading market metrics",
                "/market-metrics",
                symbols=",".join(wanted[first : first + METRICS_AT_ONCE]),
            )
            found += [
                metrics for entry in bodies.items(body, "market metrics") if (metrics := metrics_of(entry)) is not None
            ]
        return tuple(found)

    async def tick_table(self, underlying: str) -> TickTable | None:
        """The tick sizes of a stock's options (PROTOCOLS.md 10.2); BrokerError when they cannot be read."""
        body = await self._session.read(
            f"the tick sizes of {underlying}", f"/instruments/equities/{quote(underlying, safe='')}"
        )
        rows = bodies.data(body).get("option-tick-sizes")
        if not isinstance(rows, list) or not rows:
            return None
        try:
            return TickTable.from_broker([row for row in rows if isinstance(row, dict)])
        except BadInput as error:
            self._fault(f"the tick sizes of {underlying} are not usable: {error}")
            return None

    # --- the stream ---

    async def events(self) -> AsyncIterator[BrokerEvent]:
        if self._stream is None:
            raise BrokerError("the broker is not connected; there are no events", orders.BAD_ORDER)
        async for event in self._stream.queue:
            yield event

    def take_events(self) -> list[BrokerEvent]:
        """What has arrived and nobody has taken, without waiting: for a caller that decides when (lockstep)."""
        return [] if self._stream is None else self._stream.queue.take()

    async def wait_sequence(self, sequence: int, timeout: float = 5.0) -> bool:
        """True once every account event up to this server number waits in the queue (or was taken from it)."""
        return self._stream is not None and await self._stream.wait_sequence(sequence, timeout)

    @property
    def last_sequence(self) -> int:
        return 0 if self._stream is None else self._stream.last_sequence

    @property
    def stream_up(self) -> bool:
        return self._stream is not None and self._stream.up

    @property
    def queued(self) -> int:
        """Events that wait to be taken."""
        return 0 if self._stream is None else len(self._stream.queue)

    @property
    def on_call(self) -> Callable[[float, float], None] | None:
        """Hears when each call began and ended (the loop's seconds), answered or not: drills and figures."""
        return self._session.on_call

    @on_call.setter
    def on_call(self, hear: Callable[[float, float], None] | None) -> None:
        self._session.on_call = hear

    @property
    def client_hooks(self) -> dict[str, list[Callable[..., Any]]]:
        """The HTTP client's own hooks ("request", "response"): where drills and figures listen to the wire."""
        return self._session.sdk._client.event_hooks

    @property
    def round_trip_ms(self) -> float | None:
        return self._session.round_trip_ms

    async def _read_all(self) -> list[BrokerEvent]:
        state = await self.account_state()
        return [*state.orders, *state.positions, state.balance]

    def _heard(self, event: BrokerEvent) -> None:
        if isinstance(event, BrokerOrder):
            self._witness.told(event)

    # --- inside ---

    def _path(self, rest: str) -> str:
        return f"/accounts/{self.account}{rest}"

    def _trading_account(self) -> Account:
        if self._sdk_account is None:
            raise BrokerError("the broker is not connected; nothing was sent", orders.BAD_ORDER)
        return self._sdk_account

    def _fault(self, text: str) -> None:
        self.faults += 1
        text = self._session.scrub(text)
        if self.on_fault is not None:
            self.on_fault(text)
        else:
            log.warning("%s", text)
