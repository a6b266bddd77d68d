"""Taking an account over: the order half of every start (DESIGN.md 5, point 3).

Journal first, broker second, then the comparison; until `recover` has returned nothing new may be sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from qmterm.core.clock import Clock
from qmterm.core.errors import BrokerError
from qmterm.core.orders import AccountState
from qmterm.core.protocols import Broker
from qmterm.core.reasons import Reason
from qmterm.engine.ladder import Level
from qmterm.engine.losses import DOCUMENT as DAY
from qmterm.engine.orders.recovery import (
    BASELINE,
    Rebuilt,
    check_account,
    rebuild,
    restore,
    starting_positions,
    tail,
)
from qmterm.engine.oversight import Oversight
from qmterm.engine.proof import DOCUMENT as STAND_DOWN
from qmterm.engine.trader import Trader
from qmterm.journal.journal import Journal
from qmterm.journal.state import JournalState

READ_PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6)  # between tries: each of them has its own patience already


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What the session's own row says of the run."""

    mode: str
    source: str
    broker: str
    fingerprint: str  # of the settings


@dataclass(frozen=True, slots=True)
class Opened:
    """An account taken over: what the journal kept, what the broker shows, the book made of both."""

    saved: JournalState
    state: AccountState
    rebuilt: Rebuilt
    ladder: Mapping[str, object] | None
    stand_down: Mapping[str, object] | None = None  # what HALT or FLATTEN had to prove
    day: Mapping[str, object] | None = None  # what losses are measured from


async def open_account(broker: Broker, journal: Journal, clock: Clock, terms: SessionTerms) -> Opened:
    """Read the journal and the connected account, rebuild the book, begin the session."""
    saved = await journal.load()
    check_account(saved.session, broker.account, str(journal.path))
    state = await _read_account(broker)
    rebuilt = rebuild(saved, state, await journal.read_document(BASELINE), clock.monotonic())
    if rebuilt.first_session:
        # Before the session's own row: a crash between the two must not count these fills again.
        known = [fill.fill_id for order in state.orders for fill in order.fills]
        await journal.write_document(BASELINE, {"fill_ids": known})
    book = rebuilt.book
    await journal.start_session(
        broker.account, terms.mode, terms.source, terms.broker, book.cash, starting_positions(book), terms.fingerprint
    )
    ladder, stand_down = await journal.read_document("ladder"), await journal.read_document(STAND_DOWN)
    return Opened(saved, state, rebuilt, ladder, stand_down, await journal.read_document(DAY))


async def restore_orders(opened: Opened, trader: Trader) -> None:
    """Orders, stops and marks as the journal left them, and what losses are measured from: money that came or went
    while we were away is found next, and is taken out of it.
    """
    saved = opened.saved
    restore(trader.desk.ledger, opened.rebuilt)
    trader.guards.restore({name: body for name, body in saved.protects.items() if "symbol" in body})
    await trader.guards.catch_up()
    trader.marks.restore({s: (m.mark, m.flag, m.time_ns) for s, m in saved.marks.items()})
    trader.balance = opened.state.balance
    trader.day.restore(opened.day or {})


async def recover(opened: Opened, trader: Trader, oversight: Oversight, account: str) -> bool:
    """Count what happened while we were away, then compare; differences hold trading down until a person looked.

    True when both sides agreed at once: only then an arming from before holds on.
    """
    oversight.proof.restore(opened.stand_down or {})
    if not opened.saved.clean_end:
        trader.log.warn("RECO", "the last session did not end cleanly; rebuilt from the journal")
    filled_before = trader.book.fill_count
    await trader.desk.read_back(opened.state)
    found = trader.book.fill_count - filled_before
    agreed, text = await oversight.settle()
    if not agreed and not oversight.reconciler.clean:
        oversight.lower(Level.REDUCE_ONLY, Reason.RECONCILE_DIFFERENCE, f"not reconciled: {text}")
    if opened.rebuilt.first_session:
        trader.log.info("RECO", f"new journal for account {tail(account)}: broker's positions and cash taken over")
    elif agreed:
        trader.log.info("RECO", f"account {tail(account)}: {text}; {found} fill(s) found that happened meanwhile")
    # Side by side: fifty underlyings one after the other at a slow broker would cost more than all the rest.
    underlyings = dict.fromkeys(position.underlying for position in trader.book.positions)
    await asyncio.gather(*(trader.ticks.learn(underlying) for underlying in underlyings))
    await oversight.protection.tidy()
    await oversight.keep()
    return agreed and oversight.reconciler.clean


async def _read_account(broker: Broker) -> AccountState:
    """A complete look at the account; BrokerError when the broker never gives one."""
    why = "some pages could not be read"
    for pause in (*READ_PAUSES_S, None):
        try:
            state = await broker.account_state()
        except BrokerError as error:
            why = str(error)
        else:
            if state.complete:
                return state
        if pause is not None:
            await asyncio.sleep(pause)
    raise BrokerError(f"the account cannot be read completely ({why}); nothing is traded before it can")
