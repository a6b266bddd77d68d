"""Options flow in the engine: which contracts' trades are streamed, what they add up to, what a screen may see of it.

The trap: it costs no call and decides nothing. Volume and open interest come from the chains that entries and the
screen read anyway; the streamed contracts are the lowest wish of all, behind everything that money depends on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from qmterm.core.bars import IntArray
from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.chain import Chain
from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.errors import DataError
from qmterm.core.instruments import underlying_of
from qmterm.core.settings.signals import FlowSettings
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import label
from qmterm.engine.view import FlowContract, FlowPrint, FlowView
from qmterm.market.board.board import Board
from qmterm.market.board.trades import TradeTape
from qmterm.market.company import SaleCondition
from qmterm.market.flow.conditions import Conditions
from qmterm.market.flow.flow import Flow
from qmterm.market.flow.prints import Prints
from qmterm.market.flow.rows import ContractRow, FlowRow
from qmterm.market.flow.volumes import VolumeStore

SHOWN = 200
SHOWN_EVERY_S = 2.0
CHOOSE_NS = 300 * NS
_WORDS = {1: "bought", -1: "sold", 0: ""}


class FlowWatch:
    """Chains in through `note_chain`, prints in through the tape, once a turn."""

    def __init__(
        self,
        board: Board,
        tape: TradeTape,
        calendar: SessionCalendar,
        clock: Clock,
        log: RunLog,
        settings: FlowSettings,
        store: VolumeStore,
    ) -> None:
        self._board = board
        self._tape = tape
        self._calendar = calendar
        self._clock = clock
        self._log = log
        self._settings = settings
        self._store = store
        self._means: Mapping[str, float] = {}
        self._active: dict[str, list[tuple[int, str]]] = {}  # underlying: (activity, contract), most active first
        self.flow = Flow(board.options.symbols, block_size=settings.block_size)
        self._chosen: list[str] = []
        self._chosen_ns = 0
        self.dropped = 0
        self._told_unknown: set[int] = set()
        self._shown: tuple[float, FlowView] = (float("-inf"), FlowView())

    # --- in ---

    def note_chain(self, chain: Chain) -> None:
        """A chain that somebody read: the day's volumes so far, open interest, and which contracts are busy."""
        if not self._settings.watch_contracts or not len(chain):
            return
        self.turn()  # prints that are in this volume already must not be added to it
        table = self._board.options
        rows = [table.numbers[name] for name in chain.occ]
        means = [self._means.get(name) for name in chain.occ]
        self.flow.seed(rows, chain.volume, chain.open_interest, means, chain.time_ns)
        activity: IntArray = np.where(chain.adjusted, -1, np.maximum(chain.volume, 0) * 10 + chain.open_interest)
        order = np.argsort(-activity, kind="stable")[: self._settings.watch_contracts]
        self._active[chain.underlying] = [(int(activity[i]), chain.occ[i]) for i in order.tolist() if activity[i] > 0]
        today = et_date(chain.time_ns)
        self._store.note(self._calendar.previous(today), chain.occ, chain.previous_volume)
        if self._calendar.phase(chain.time_ns) is Phase.POST:
            self._store.note(today, chain.occ, chain.volume)

    def turn(self) -> None:
        """Take what was streamed since the last turn; finished sweeps and blocks of a high score are log lines."""
        taken = self._tape.take()
        self.dropped += taken.dropped
        rows: list[FlowRow] = []
        if len(taken):
            rows += self.flow.take(
                Prints(
                    row=taken.row,
                    price=taken.price,
                    size=taken.size.astype(np.int64),
                    exchange=taken.exchange,
                    conditions=taken.conditions,
                    time_ns=taken.time_ns,
                    bid=taken.bid,
                    ask=taken.ask,
                    quote_ns=taken.quote_ns,
                )
            )
            for number in sorted(self.flow.conditions.unknown.keys() - self._told_unknown):
                self._told_unknown.add(number)
                self._log.warn("FLOW", f"option trade condition {number} is in no table: such prints are regular ones")
        rows += self.flow.settle(self._clock.now())
        for row in rows:
            if row.score >= self._settings.log_score:
                self._log.info("FLOW", describe(row), underlying_of(row.occ), score=row.score, premium=row.premium)

    async def start_day(self) -> None:
        """A new session: the day begins again, and the finished one's volumes are kept."""
        self.turn()
        self.flow.start_day()
        self._active.clear()
        self._chosen = []  # contracts of yesterday may have expired
        await self.keep()
        await self.load_means()

    def learn_conditions(self, rows: Iterable[SaleCondition]) -> None:
        """What the service says its condition numbers mean."""
        learned = Conditions({row.number: row.name for row in rows})
        if learned.differs != self.flow.conditions.differs:
            numbers = ", ".join(str(number) for number in learned.differs)
            self._log.warn("FLOW", f"the service gives option conditions {numbers} another meaning than our list")
        self.flow.conditions = learned

    async def load_means(self) -> None:
        try:
            self._means = await asyncio.to_thread(self._store.means, et_date(self._clock.now()))
        except DataError as error:
            self._log.warn("FLOW", str(error))

    async def keep(self) -> None:
        """Write the finished sessions' volumes; a failure costs a comparison, never a trade."""
        try:
            await asyncio.to_thread(self._store.save)
        except DataError as error:
            self._log.warn("FLOW", str(error))

    # --- out ---

    def wanted(self, underlyings: Collection[str]) -> list[str]:
        """Contracts whose trades and quotes should be streamed if there is room, the busiest first.

        Chosen anew every five minutes only: each change is a message a channel, and candidates come and go.
        """
        now = self._clock.now()
        if self._chosen and now - self._chosen_ns < CHOOSE_NS:
            return self._chosen
        self._chosen_ns = now
        found = [pair for name in underlyings for pair in self._active.get(name, ())]
        found.sort(key=lambda pair: (-pair[0], pair[1]))
        self._chosen = [occ for _, occ in found[: self._settings.watch_contracts]]
        return self._chosen

    def latest(self) -> FlowView:
        """The whole view for a screen, made again every two seconds: scoring every contract is no work for a frame."""
        now = self._clock.monotonic()
        if now - self._shown[0] >= SHOWN_EVERY_S:
            self._shown = (now, self.view())
        return self._shown[1]

    def view(self, symbols: Sequence[str] = (), shown: int = SHOWN) -> FlowView:
        """Of some underlyings, or of all that are watched; newest prints first, contracts by score."""
        wanted = frozenset(symbols)
        rows = [row for row in self.flow.rows if not wanted or underlying_of(row.occ) in wanted]
        rows.sort(key=lambda row: row.time_ns, reverse=True)  # a sweep's row is finished after later blocks' rows
        contracts = [row for row in self.flow.contracts() if not wanted or underlying_of(row.occ) in wanted]
        return FlowView(
            prints=tuple(shown_print(row) for row in rows[:shown]),
            contracts=tuple(shown_contract(row) for row in contracts[:shown]),
            underlyings=tuple(sorted(self._active)),
            seen=self.flow.prints,
            cancelled=self.flow.cancelled,
            dropped=self.dropped,
        )


def shown_print(row: FlowRow) -> FlowPrint:
    return FlowPrint(
        number=row.number,
        time_ns=row.time_ns,
        occ=row.occ,
        label=label(row.occ),
        what=row.what,
        kind=row.kind.name,
        side=row.side.name,
        direction=_WORDS[row.direction],
        price=row.price,
        size=row.size,
        premium=row.premium,
        prints=row.prints,
        exchanges=row.exchanges,
        volume=row.volume,
        open_interest=row.open_interest,
        vol_oi=row.vol_oi,
        opening=row.opening,
        score=row.score,
        missing=row.missing,
    )


def shown_contract(row: ContractRow) -> FlowContract:
    return FlowContract(
        occ=row.occ,
        label=label(row.occ),
        volume=row.volume,
        open_interest=row.open_interest,
        vol_oi=row.vol_oi,
        mean20=row.mean20,
        premium=row.premium,
        bought=row.bought,
        sold=row.sold,
        sweeps=row.sweeps,
        blocks=row.blocks,
        opening=row.opening,
        score=row.score,
        missing=row.missing,
        since_ns=row.since_ns,
    )


def describe(row: FlowRow) -> str:
    """One line for the log."""
    words = [
        f"{label(row.occ)} {row.what.lower()} {row.size:,} at {row.price:.2f}",
        _WORDS[row.direction],
        f"${row.premium / 1000:,.0f}k",
        f"{row.opening} opening" if row.opening else "",
        f"score {row.score:.0f}",
    ]
    return " ".join(word for word in words if word)
