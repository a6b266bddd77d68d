"""Rows for the journal's benchmark, as a trading day writes them; run as a script it is the child that gets killed.

`python -m qmterm.bench.journal_rows FILE` writes durable rows from many producers for ever and tells each one on
stdout after it was acknowledged: whoever kills it can look whether they are all there.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path

from qmterm.core.clock import NS
from qmterm.core.orders import Action, Fill, Leg, OrderIntent, OrderState, Purpose
from qmterm.journal.beside import open_beside
from qmterm.journal.journal import Journal
from qmterm.journal.writer import BATCH_ROWS

PRODUCERS = 200
CONTRACT = "NVDA  260417C00175000"
START_NS = 1_772_463_600 * NS  # 10:00 New York, 2026-03-02
_QUOTE = {"bid": 4.1, "ask": 4.2, "bid_size": 31, "ask_size": 28, "age_s": 0.412, "source": "polygon"}
QUOTES = {"decided": {CONTRACT: _QUOTE, "NVDA": _QUOTE}, "sent": {CONTRACT: _QUOTE, "NVDA": _QUOTE}}


class RealClock:
    def now(self) -> int:
        return START_NS + int(time.monotonic() * 1e3) * 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


def intent(name: str) -> OrderIntent:
    return OrderIntent(
        intent_id=f"e{name}",
        created_ns=START_NS,
        strategy="atr_matrix",
        underlying="NVDA",
        purpose=Purpose.ENTRY,
        legs=(Leg(CONTRACT, Action.BUY_TO_OPEN, 2),),
        quantity=2,
        net_price=Decimal("-4.15"),
        max_loss=Decimal("832.26"),
        plan_id=name,
    )


def fill(name: str) -> Fill:
    return Fill(f"f{name}", name, CONTRACT, Action.BUY_TO_OPEN, 2, Decimal("4.15"), START_NS, Decimal("2.26"))


def orders() -> Iterator[tuple[OrderIntent, Fill]]:
    """Orders and their fills for ever; names grow with time, as plans' do. All producers draw from one."""
    for number in count():
        name = f"{START_NS + 1_000_003 * number:x}-nvda"
        yield intent(name), fill(name)


async def opened(path: Path, batch_rows: int = BATCH_ROWS) -> Journal:
    journal = await Journal.open(path, RealClock(), open_beside, batch_rows)
    await journal.start_session("5WT00001", "auto", "sim", "sim", Decimal(100_000), (), "bench")
    return journal


async def produce(journal: Journal, orders: Iterator[tuple[OrderIntent, Fill]], told: bool = False) -> None:
    """Durable rows one after the other, each order and then its fill, until there are no more orders."""
    for order, its_fill in orders:
        await journal.write_intent(order)
        if told:
            os.write(1, f"{order.intent_id}\n".encode())
        await journal.write_fill(its_fill, order.intent_id)
        if told:
            os.write(1, f"{its_fill.fill_id}\n".encode())


async def one_order(journal: Journal, number: int) -> None:
    """All that one order of a day leaves: decision, intent with its quotes, stop, its states, fill, mark, equity."""
    name, now = f"{number:06x}", START_NS + number * 20 * NS
    journal.decision("NVDA", "sent", now, numbers={"limit_symbol": 5000.0, "wanted": 2, "quotes": QUOTES["decided"]})
    order = intent(name)
    await asyncio.gather(
        journal.write_intent(order, QUOTES), journal.write_protect(name, {"symbol": CONTRACT, "stop": 171.2, "goal": 0})
    )
    for state in (OrderState.RECEIVED, OrderState.ROUTED, OrderState.LIVE):
        await journal.write_order(order.intent_id, state, str(number), now, None)
    for part in (1, 2):
        await journal.write_fill(fill(f"{name}-{part}"), order.intent_id)
        await journal.write_protect(name, {"symbol": CONTRACT, "stop": 171.2, "goal": 0, "quantity": part})
    await journal.write_order(order.intent_id, OrderState.FILLED, str(number), now, None)
    journal.mark(CONTRACT, Decimal("4.15"), "", now)
    journal.equity(now, Decimal(100_000), Decimal(90_000), Decimal(0), Decimal(0))
    journal.note("log", order.intent_id, {"text": f"BOT 2 NVDA 17APR26 175C @ 4.15 fees 2.26 {number}"}, now)


async def for_ever(path: Path) -> None:
    journal = await opened(path)
    fresh = orders()
    await asyncio.gather(*(produce(journal, fresh, told=True) for _ in range(PRODUCERS)))


if __name__ == "__main__":
    asyncio.run(for_ever(Path(sys.argv[1])))
