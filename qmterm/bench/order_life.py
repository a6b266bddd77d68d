"""The engine's order half in a process of its own, made to measure itself: how long from a signal to the wire.

The traps: a time on the wire is when the HTTP client has handed the last byte to the kernel, for both contestants;
and the disk is at work while the order is built. So its share is only what the whole order waited for it at the door
(for its own batch, and for one before it), to the moment when the commit had ended: what lies between two batches and
what comes after (the answer, the loop's turns) is ours.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, cast

import httpx2
from tastytrade import Account, Session
from tastytrade.order import (
    AdvancedInstructions,
    InstrumentType,
    LimitOrder,
    OrderAction,
    OrderTimeInForce,
)
from tastytrade.order import Leg as SdkLeg

from qmterm.bench.order_evidence import OrderEvidence
from qmterm.broker.errors import current_exchange
from qmterm.broker.pacing import Pacer
from qmterm.core.clock import NS
from qmterm.core.orders import Action, Leg, OrderIntent, OrderState, Purpose
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.connections import PolygonSettings
from qmterm.core.signals import Signal, SignalState, TradePlan
from qmterm.drill.fate import SENT
from qmterm.drill.house import RISK, TOKEN
from qmterm.drill.life import Life
from qmterm.drill.market import EXPIRY, DrillClock
from qmterm.engine.commands import Resume
from qmterm.engine.ladder import Level
from qmterm.journal.beside import Beside, open_beside
from qmterm.journal.database import Database
from qmterm.journal.lock import JournalLock
from qmterm.market.board.board import Board
from qmterm.market.board.report import FrameReport
from qmterm.market.board.wire import FrameDecoder
from qmterm.market.stream.socket import MarketStream
from qmterm.sim.brokerage.app import ACCOUNT

CONNECTING = "connection.connect_tcp.started"
PATIENCE_S = 20.0
Door = Callable[[httpx2.Request], Awaitable[None]]


async def _until(condition: Callable[[], bool], pause_s: float = 0.02) -> None:
    """Look again and again; TimeoutError when it does not come true."""
    for _ in range(int(PATIENCE_S / pause_s)):
        if condition():
            return
        await asyncio.sleep(pause_s)
    raise TimeoutError("what the benchmark waits for does not happen")


class Wire:
    """When orders and cancels had left, and what happened on their way that should not."""

    def __init__(self) -> None:
        self.posts: list[float] = []
        self.deletes: list[float] = []
        self.cpu_s = 0.0  # of the process, when the newest had left
        self.connects = 0  # TCP set-ups that an order waited for
        self.renewals = 0  # token requests
        self.left = asyncio.Event()
        self.at_door = 0.0  # when the newest held order was whole
        self.opened = 0.0  # when its door opened

    async def leaving(self, request: httpx2.Request) -> None:
        if request.url.path.endswith("/oauth/token"):
            self.renewals += 1
        if request.method not in ("POST", "DELETE") or "/orders" not in request.url.path:
            return
        times = self.posts if request.method == "POST" else self.deletes
        exchange = current_exchange.get()
        if exchange is not None and exchange.door is not None:
            exchange.door = self._timed(exchange.door)

        async def told(name: str, _info: dict[str, Any]) -> None:
            if name == CONNECTING and request.method == "POST":
                self.connects += 1
            elif name == SENT:
                times.append(perf_counter())
                self.cpu_s = process_time()
                self.left.set()

        request.extensions = {**request.extensions, "trace": told}

    def _timed(self, door: Door) -> Door:
        async def timed(request: httpx2.Request) -> None:
            self.at_door = perf_counter()
            await door(request)
            self.opened = perf_counter()

        return timed


class OrderLife(Life):
    """What it may be told: resting, filled, cancelled orders to have; ours and bare orders to time; kill; a feed."""

    # The limits stay on the path, but do not stop a thousand orders a minute.
    risk = RISK.model_copy(update={"max_orders_per_minute": 1_000_000, "duplicate_s": 0.0})
    _disk: Beside
    _number = 0

    def watch(self) -> None:
        self.wire = Wire()
        self._evidence = OrderEvidence(DrillClock(self._terms.origin))
        self._evidence.show(self._terms.quotes)
        self.broker.client_hooks["request"].append(self.wire.leaving)

    async def connect(self, path: Path, lock: JournalLock) -> Database:
        self._disk = cast(Beside, await open_beside(path, lock))
        return self._disk

    def shown(self, quotes: tuple[Quote, ...]) -> None:
        super().shown(quotes)
        self._evidence.show(quotes)

    async def told(self, what: str, body: Any) -> None:
        self._evidence.behind(self.house.desk)
        match what:
            case "have":
                await self._have(**body)
            case "ours":
                self.say("times", await self._ours(**body))
            case "bare":
                self.say("times", await self._bare(**body))
            case "loop on":  # this thread alone: those that are there already stay where they are
                os.sched_setaffinity(0, body["cpus"])
                self.say("there", None)
            case "feed":
                await self._feed(**body)
                self.say("fed", None)
            case "pace":  # a loopback broker is not paced otherwise
                session = self.broker._session
                session._pacer = Pacer(session._settings.calls_per_second, session._settings.burst)
                self.say("paced", None)
            case "kill":
                self.say("times", await self._kill())

    # --- orders to have ---

    async def _have(self, filled: list[str], resting: list[str], cancelled: list[str]) -> None:
        """Filled entries in these contracts, closes and entries that rest, entries that were cancelled."""
        desk = self.house.desk
        await self._submit(self._intent(symbol, Action.BUY_TO_OPEN, "ask") for symbol in filled)
        await _until(lambda: len(self.house.book.positions) >= len(filled))
        for symbol in resting:
            held = self.house.book.quantity(symbol) > 0
            action, side = (Action.SELL_TO_CLOSE, "above") if held else (Action.BUY_TO_OPEN, "below")
            await self._submit([self._intent(symbol, action, side)])
        gone = [self._intent(symbol, Action.BUY_TO_OPEN, "below") for symbol in cancelled]
        await self._submit(gone)
        records = [desk.ledger.get(intent.intent_id) for intent in gone]
        await asyncio.gather(*(desk.cancel(record, "bench") for record in records if record is not None))
        await _until(lambda: not any(record is not None and record.working for record in records))
        self.say("has", (len(self.house.book.positions), len(desk.ledger.records), len(desk.ledger.working)))

    async def _submit(self, intents: Iterable[OrderIntent]) -> None:
        for intent in intents:
            await self.house.desk.submit(intent)

    def _intent(self, symbol: str, action: Action, side: str) -> OrderIntent:
        price = self._price(symbol, side)
        self._number += 1
        return OrderIntent(
            intent_id=f"b{self.house.clock.now():x}-{self._number}",
            created_ns=self.house.clock.now(),
            strategy="bench",
            underlying=symbol[:6].strip(),
            purpose=Purpose.ENTRY if action.opens else Purpose.EXIT,
            legs=(Leg(symbol, action, 1),),
            quantity=1,
            net_price=-price if action.buys else price,
            max_loss=price * 100 + 2 if action.opens else None,
            plan_id=f"b{self._number}",
            reason=None if action.opens else Reason.USER,
        )

    def _price(self, symbol: str, side: str) -> Decimal:
        quote = self.market.quote(symbol)
        if quote is None:
            raise ValueError(f"{symbol} has no quote")
        match side:
            case "ask":
                price = quote.ask + 0.25  # it moves while the order travels
            case "above":
                price = quote.ask + 2
            case _:
                price = max(0.05, quote.bid - 1)
        return (Decimal(str(price)) / Decimal("0.05")).quantize(Decimal(1)) * Decimal("0.05")

    # --- timing orders ---

    async def _ours(self, count: int, pace_s: float, symbols: list[str]) -> dict[str, Any]:
        """Signal to wire through gate, lane, journal and SDK; each order is cancelled before the next one."""
        wire, connects, renewals = self.wire, self.wire.connects, self.wire.renewals
        total: list[float] = []
        disk: list[float] = []
        waited: list[float] = []
        cpu: list[float] = []
        for number in range(count):
            due = perf_counter() + pace_s
            plan = self._plan(symbols[number % len(symbols)])
            wire.left.clear()
            async with asyncio.timeout(PATIENCE_S):
                began, worked = perf_counter(), process_time()
                verdict = self.house.trader.open(plan, self.house.clock.monotonic(), wanted=1)
                if not verdict.approved:
                    raise ValueError(f"the gate refuses the bench's order: {verdict.reason} {verdict.sentence}")
                await wire.left.wait()
            total.append(wire.posts[-1] - began)
            cpu.append(wire.cpu_s - worked)
            at_work = [(began, ended) for began, ended in self._disk.at_work_s if ended <= wire.opened]
            disk.append(at_work[-1][1] - at_work[-1][0])
            waited.append(sum(max(0.0, ended - max(wire.at_door, began)) for began, ended in at_work))
            await self._settled(f"e{plan.plan_id}")
            await asyncio.sleep(max(0.0, due - perf_counter()))
        return {
            "total": total,
            "disk": disk,
            "waited": waited,
            "cpu": cpu,
            "connects": wire.connects - connects,
            "renewals": wire.renewals - renewals,
        }

    async def _settled(self, intent_id: str) -> None:
        record = self.house.desk.ledger.get(intent_id)
        if record is None:
            return
        await _until(lambda: record.state not in (OrderState.INTENT, OrderState.SENT), 0.001)
        await self.house.desk.cancel(record, "bench")

    def _plan(self, symbol: str) -> TradePlan:
        price, now = self._price(symbol, "below"), self.house.clock.now()
        self._number += 1
        stock = symbol[:6].strip()
        signal = Signal(
            stock, "bench", now, SignalState.ENTRY_LONG, 100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0, 0.0), 0.0, 0,
            None,
        )  # fmt: skip
        return TradePlan(
            plan_id=f"{now:x}-{self._number}",
            time_ns=now,
            expires_ns=now + 600 * NS,
            strategy=f"bench-{self._number}",
            underlying=stock,
            legs=(Leg(symbol, Action.BUY_TO_OPEN, 1),),
            net_price=-price,
            max_loss=price * 100 + 3,
            buying_power=price * 100 + 3,
            stop=0.0,
            targets=(),
            horizon_date=EXPIRY,
            signal=signal,
        )

    async def _bare(self, count: int, pace_s: float, symbols: list[str], url: str) -> dict[str, Any]:
        """The vendor's SDK as its documents show it: build the order, place it."""
        session = Session(TOKEN, TOKEN)
        session._client.base_url = url
        wire = Wire()
        session._client.event_hooks["request"].append(wire.leaving)
        account = Account.model_construct(account_number=ACCOUNT)
        await session.refresh(force=True)
        total: list[float] = []
        cpu: list[float] = []
        for number in range(count):
            due = perf_counter() + pace_s
            symbol = symbols[number % len(symbols)]
            price = self._price(symbol, "below")
            began, worked = perf_counter(), process_time()
            order = LimitOrder(
                time_in_force=OrderTimeInForce.DAY,
                legs=[
                    SdkLeg(
                        instrument_type=InstrumentType.EQUITY_OPTION,
                        symbol=symbol,
                        action=OrderAction.BUY_TO_OPEN,
                        quantity=1,
                    )
                ],
                price=-price,
                external_identifier=f"bare{self._number}-{number}",
                advanced_instructions=AdvancedInstructions(strict_position_effect_validation=True),
            )
            placed = await account.place_order(session, order, dry_run=False)
            total.append(wire.posts[-1] - began)
            cpu.append(wire.cpu_s - worked)
            await account.delete_order(session, placed.order.id)
            await asyncio.sleep(max(0.0, due - perf_counter()))
        await session._client.aclose()
        return {"total": total, "cpu": cpu, "connects": wire.connects, "renewals": wire.renewals}

    # --- the kill ---

    async def _feed(self, port: int, frames: int, per_second: int, symbols: list[str]) -> None:
        """Quotes onto a board of this very loop, as the engine takes them in."""
        self._events = 0
        decoder = FrameDecoder(Board(symbols), "stocks")

        def frame(report: FrameReport) -> None:
            self._events += report.events

        stream = MarketStream(
            f"ws://127.0.0.1:{port}/stocks", "key", PolygonSettings(), decoder, lambda: 0, on_frame=frame
        )
        stream.want(frozenset({f"T.PACED.{frames}.{per_second}"}))
        stream.start()
        self._stream = stream
        await _until(lambda: self._events > 0)
        self._fed_from = perf_counter()
        self._events = 0

    async def _kill(self) -> dict[str, Any]:
        """One kill with what rests now; then the ladder is brought up again."""
        before, working = len(self.wire.deletes), len(self.house.desk.ledger.working)
        rate = self._events / (perf_counter() - self._fed_from)
        began, worked = perf_counter(), process_time()
        await self.kill()
        worked = process_time() - worked
        left = self.wire.deletes[before:]
        while self.house.trader.ladder.level > Level.NORMAL:
            await self.house.person.answer(Resume("bench"))
            await asyncio.sleep(0.05)
        # The sweep of HALT asks again for what was not confirmed: the first cancel of each order counts.
        return {
            "ms": (left[min(working, len(left)) - 1] - began) * 1000,
            "cancels": len(left),
            "working": working,
            "rate": rate,
            "cpu_ms": worked * 1000,
        }
