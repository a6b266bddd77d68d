"""A read-only look at the market for one command: REST, board, chains, calendar and clock, and never a broker.

The trap: the same code must serve the real hosts and a simulator, so only addresses and the key differ; a simulator
of our own must end with the command, also when it fails.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from qmterm.commands.engine import with_engine
from qmterm.commands.places import load_settings, require_secret
from qmterm.commands.simulator import SimWish, joined_simulator, own_simulator
from qmterm.core.clock import NS, et_date, to_et
from qmterm.core.errors import ConfigError, DataError
from qmterm.core.settings.engine import MarketClock, Source

if TYPE_CHECKING:
    from qmterm.core.calendar import Phase, SessionCalendar
    from qmterm.core.settings.model import Settings
    from qmterm.engine.sim_link import SimLink
    from qmterm.market.board.board import Board
    from qmterm.market.chains.chains import Chains
    from qmterm.market.feed import PacedClock
    from qmterm.market.rest.client import PolygonRest

# A simulated market of its own begins in a session: before the open every option quote is of the session before.
LOOK_START = "2026-03-02T10:00"
DAYS_BACK, DAYS_AHEAD = 1100, 1100  # 300 sessions and the weeks before them; LEAPS


@dataclass(frozen=True, slots=True)
class MarketWish:
    """Which market a command looks at; None = the configuration decides."""

    config: Path | None = None
    source: str | None = None
    sim_url: str | None = None
    sim_token_file: Path | None = None
    own: SimWish = field(default_factory=lambda: SimWish(start=LOOK_START))


@dataclass(frozen=True)
class MarketSession:
    """Open for the length of one command. The board holds only what was loaded; nothing streams."""

    settings: Settings
    clock: PacedClock
    calendar: SessionCalendar
    rest: PolygonRest
    board: Board
    source: str  # polygon | sim
    sim: SimLink | None  # names the history cache of a simulated world, None for the real hosts

    @cached_property
    def chains(self) -> Chains:
        """Made when first used: the option kernels behind it cost a third of a second to load."""
        from qmterm.market.chains.chains import Chains

        return Chains(self.rest, self.board, self.calendar)

    def now(self) -> int:
        """Market time, UTC ns."""
        return self.clock.now()

    @property
    def today(self) -> date:
        return et_date(self.clock.now())

    @property
    def phase(self) -> Phase:
        return self.calendar.phase(self.clock.now())

    @property
    def delayed(self) -> bool:
        """The plan's data are 15 minutes old."""
        return self.rest.delayed

    async def load_stocks(self, symbols: Iterable[str]) -> frozenset[str]:
        """The named stocks' snapshots onto the board, in as few calls as possible; the names the vendor knows."""
        from qmterm.market.rest.few import few_stocks

        known: set[str] = set()
        for snapshot in await few_stocks(self.rest, list(dict.fromkeys(symbols))):
            self.board.load_snapshot(snapshot, self.now())
            known.update(snapshot.symbols)
        return frozenset(known)

    async def load_yields(self) -> None:
        """The Treasury curve; without it chains use the fallback rate, and `chains.rate_mark` says so."""
        try:
            self.chains.set_yields(await self.rest.treasury_yields(self.today - timedelta(days=30)))
        except DataError:
            self.chains.set_yields(None)

    def about(self) -> dict[str, object]:
        """What every JSON document of such a command begins with."""
        now = self.now()
        return {
            "source": self.source,
            "market_time": to_et(now).isoformat(timespec="seconds"),
            "market": self.phase.value,
            "delayed": self.delayed,
        }


@contextlib.asynccontextmanager
async def open_market(wish: MarketWish) -> AsyncIterator[MarketSession]:
    """Settings and secrets to an open session; ConfigError for wrong use, DataError when the server cannot be asked."""
    settings, _ = load_settings(wish.config)
    if wish.source is not None:
        settings = with_engine(settings, {"source": wish.source})
    simulated = settings.engine.source is Source.SIM
    if not simulated and wish.sim_url is not None:
        raise ConfigError("--sim belongs to --source sim")
    if (wish.sim_url is None) != (wish.sim_token_file is None):
        raise ConfigError("--sim URL and --sim-token-file FILE go together")
    async with contextlib.AsyncExitStack() as opened:
        link = None
        if wish.sim_url is not None and wish.sim_token_file is not None:
            link = await asyncio.to_thread(joined_simulator, wish.sim_url, wish.sim_token_file)
        elif simulated:
            running, link = await own_simulator(wish.own)
            opened.push_async_callback(running.close)
        if link is not None:
            from qmterm.engine.sim_link import with_sim

            settings = with_sim(settings, link)
        otherwise = "; or look at a simulated market without a key: --source sim" if wish.source is None else ""
        key = link.token if link is not None else require_secret("polygon", "market data from Polygon", otherwise)
        from qmterm.market.rest.budget import Priority, asking_for

        with asking_for(Priority.WATCH):  # somebody waits for the answer
            yield await _session(settings, key, link, opened)


async def _session(
    settings: Settings, key: str, link: SimLink | None, opened: contextlib.AsyncExitStack
) -> MarketSession:
    from qmterm.core.calendar import SessionCalendar
    from qmterm.market.board.board import Board
    from qmterm.market.rest.client import PolygonRest

    rest = PolygonRest(settings.polygon, key)
    opened.callback(rest.close)
    clock = await _clock(settings, rest, link)
    today = et_date(clock.now())
    calendar = await asyncio.to_thread(
        SessionCalendar.load, today - timedelta(days=DAYS_BACK), today + timedelta(days=DAYS_AHEAD)
    )
    board = Board(bar_grace_s=settings.polygon.bar_grace_s)
    if calendar.is_session(today):
        board.start_session(calendar.open_ns(today), calendar.close_ns(today))
    return MarketSession(
        settings=settings,
        clock=clock,
        calendar=calendar,
        rest=rest,
        board=board,
        source=settings.engine.source.value,
        sim=link,
    )


async def _clock(settings: Settings, rest: PolygonRest, link: SimLink | None) -> PacedClock:
    """Market time: one look at the server's clock is enough for a command that lasts seconds."""
    from qmterm.market.clock import ServerClock, StepClock, SystemClock

    if link is not None and link.lockstep:
        return StepClock((await rest.market_status()).server_ns)
    if link is not None or settings.engine.market_clock is MarketClock.SERVER:
        server = ServerClock()
        await server.start(rest, samples=1)
        return server
    return SystemClock()


def age_s(now_ns: int, time_ns: int) -> float | None:
    """Seconds of market time since an instant; None when there never was one."""
    return round(max(0, now_ns - time_ns) / NS, 3) if time_ns > 0 else None


def age_words(seconds: float | None) -> str | None:
    """An age for a table, in at most six characters: 12 s, 45 min, 5.0 h, 2.7 d."""
    if seconds is None:
        return None
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 59.5 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 23.95 * 3600:
        return f"{seconds / 3600:.1f} h"
    days = seconds / 86_400
    return f"{days:.1f} d" if days < 99.95 else f"{days:.0f} d"
