"""From settings and secrets to the parts of an engine.

The same parts serve the simulator and the real hosts: only addresses and credentials differ.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import et_date, from_et
from qmterm.core.compute import ComputeThread
from qmterm.core.errors import ConfigError
from qmterm.core.settings.broker import CERT_REST_URL, CERT_STREAMER_URL, LIVE_REST_URL, TastytradeSettings
from qmterm.core.settings.connections import PolygonSettings
from qmterm.core.settings.engine import BrokerName, MarketClock, Source
from qmterm.core.settings.model import Settings
from qmterm.engine.account_lock import AccountLock
from qmterm.engine.arming import Permit
from qmterm.engine.control import ControlSocket
from qmterm.engine.parts import HeldQuotes, Limits, Lockstep, Parts, SteppedBroker
from qmterm.engine.runlog import RunLog
from qmterm.engine.sim_link import LOOPBACK, SimLink
from qmterm.journal.beside import open_beside
from qmterm.journal.journal import Journal
from qmterm.market.clock import ServerClock, StepClock, SystemClock
from qmterm.market.feed import PolygonFeed
from qmterm.market.flow.volumes import VolumeStore
from qmterm.market.history.history import History
from qmterm.market.news.desk import NewsDesk
from qmterm.market.news.lexicon import word_list
from qmterm.market.rest.client import PolygonRest
from qmterm.market.stream.lockstep import LockstepDriver
from qmterm.tape.recorder import FrameRecorder

if TYPE_CHECKING:
    import aiohttp

    from qmterm.broker.dxlink import BrokerQuote, BrokerQuotes

CALENDAR_YEARS_BACK = 3
CALENDAR_DAYS_AHEAD = 1100  # LEAPS


@dataclass(frozen=True, slots=True)
class Credentials:
    polygon_key: str = ""
    tt_secret: str = ""
    tt_refresh: str = ""
    tt_account: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(s for s in (self.polygon_key, self.tt_secret, self.tt_refresh) if s)


_SANDBOX = frozenset(urlsplit(address).hostname for address in (CERT_REST_URL, CERT_STREAMER_URL))


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Files of one run."""

    journal: Path
    history: Path
    control: Path | None
    accounts: Path  # a folder of locks, one an account, the same for every engine of this user (commands/places.py)

    @property
    def frames(self) -> Path:
        """Recorded stream frames: beside the history of the same market."""
        return self.history.parent.parent / "frames" / self.history.name


@dataclass(frozen=True, slots=True)
class RunBounds:
    """How the run ends and how fast it goes, as the command line says it."""

    for_s: float | None = None
    until: tuple[int, int] | None = None  # hour, minute in New York
    speed: float | None = None


def check_sense(settings: Settings) -> None:
    """Combinations that must never run; ConfigError in one sentence."""
    engine = settings.engine
    real = engine.broker in (BrokerName.LIVE, BrokerName.CERT)
    if engine.source is Source.SIM and real:
        raise ConfigError(f'simulated prices never trade at {engine.broker.value}; use broker = "sim" or "paper"')
    if engine.source is Source.POLYGON and engine.broker is BrokerName.SIM:
        raise ConfigError('broker = "sim" needs source = "sim"; for live prices without orders use broker = "paper"')
    if engine.live and engine.broker is not BrokerName.LIVE:
        raise ConfigError('engine.live = true means real money and needs broker = "tastytrade"')
    if engine.broker is BrokerName.CERT and (host := _foreign_host(settings.tastytrade)):
        raise ConfigError(
            f'broker = "tastytrade-cert" must not reach {host}: that may be real money; leave [tastytrade] rest_url and'
            ' streamer_url empty for the sandbox, or say broker = "tastytrade", which asks to be armed'
        )


def _foreign_host(settings: TastytradeSettings) -> str:
    """The first host given that is neither the sandbox nor this machine; "" when there is none."""
    for address in (settings.rest_url, settings.streamer_url):
        host = urlsplit(address).hostname or ""
        if host and host not in _SANDBOX and host not in LOOPBACK:
            return host
    return ""


async def build(
    settings: Settings,
    credentials: Credentials,
    place: RunPlace,
    bounds: RunBounds,
    make_log: Callable[[PacedClockLike], RunLog],
    *,
    sim: SimLink | None = None,
    has_screen: bool = True,
    on_trace: Callable[[Exception], None] | None = None,
) -> Parts:
    """Open everything that can be opened without the account; what was opened is closed again when one part fails."""
    check_sense(settings)
    async with contextlib.AsyncExitStack() as opened:
        rest = PolygonRest(settings.polygon, credentials.polygon_key)
        opened.callback(rest.close)
        clock, lockstep = await _clock(settings, rest, sim, opened)
        today = et_date(clock.now())
        calendar = await asyncio.to_thread(
            SessionCalendar.load,
            date(today.year - CALENDAR_YEARS_BACK, 1, 1),
            today + timedelta(days=CALENDAR_DAYS_AHEAD),
        )
        # Before the first question that a plan may refuse.
        rest.entitlements.keep_in(place.history / "entitlements.json", lambda: et_date(clock.now()))
        until_ns = _until(bounds.until, today, clock.now())
        log = make_log(clock)
        journal = await Journal.open(place.journal, clock, open_beside)
        opened.push_async_callback(journal.close)
        feed = PolygonFeed(
            settings.polygon,
            credentials.polygon_key,
            clock,
            calendar,
            lockstep=lockstep is not None,
            on_state=lambda cluster, state, why: log.info("FEED", f"{cluster} stream {state}: {why}", cluster),
            rest=rest,
            recorder=_recorder(settings.polygon, place.frames, clock.now(), log),
            analysis=settings.analysis,
            quality=settings.quality,
            tell=lambda symbol, text: log.warn("FEED", text, symbol),
        )
        opened.push_async_callback(feed.close)
        compute = ComputeThread()
        opened.callback(compute.close)
        permit = Permit()
        broker, on_market = await _broker(settings, credentials, clock, feed, journal, log, calendar, permit)
        opened.push_async_callback(broker.close)
        parts = Parts(
            settings=settings,
            clock=clock,
            calendar=calendar,
            feed=feed,
            history=History(rest, place.history, calendar, clock),
            broker=broker,
            journal=journal,
            log=log,
            compute=compute,
            source_word=settings.engine.source.value,
            broker_word=settings.engine.broker.value,
            real_money=settings.engine.broker is BrokerName.LIVE,
            permit=permit,
            hold_account=_holder(settings, place.accounts, opened),
            has_screen=has_screen,
            lockstep=lockstep,
            notice="" if sim is None else sim.notice,
            limits=Limits(bounds.for_s, until_ns, bounds.speed),
            control=None if place.control is None else ControlSocket(place.control),
            broker_on_market=on_market,
            on_trace=on_trace,
            held_quotes=None if lockstep is not None else _held_quotes(broker, feed, clock, opened),
            volumes=VolumeStore(place.history / "contract-volumes"),
            news=NewsDesk(rest, clock, settings.polygon.budget_per_minute, word_list(settings.news.word_list)),
        )
        parts.close = opened.pop_all().aclose
        return parts
    raise AssertionError("unreachable: the stack above never swallows an exception")


PacedClockLike = SystemClock | ServerClock | StepClock


async def _clock(
    settings: Settings, rest: PolygonRest, sim: SimLink | None, opened: contextlib.AsyncExitStack
) -> tuple[PacedClockLike, Lockstep | None]:
    if sim is not None and sim.lockstep:
        status = await rest.market_status()
        clock = StepClock(status.server_ns)
        http = await opened.enter_async_context(_http())
        return clock, Lockstep(LockstepDriver(sim.url, sim.token, http), clock)
    if settings.engine.market_clock is MarketClock.SERVER or settings.engine.source is Source.SIM:
        server = ServerClock()
        await server.start(rest)
        follow = asyncio.create_task(server.follow(rest), name="market-clock")
        opened.callback(follow.cancel)
        return server, None
    return SystemClock(), None


def _recorder(settings: PolygonSettings, folder: Path, start_ns: int, log: RunLog) -> FrameRecorder | None:
    """Records what the streams bring when the settings ask for it; why it ends is told by its thread."""
    if not settings.record_frames:
        return None
    loop = asyncio.get_running_loop()

    def tell(text: str) -> None:
        loop.call_soon_threadsafe(log.warn, "FEED", text)

    return FrameRecorder(
        folder,
        ("stocks", "options"),
        start_ns,
        limit_bytes=settings.record_limit_mb * 1_000_000,
        keep_days=settings.record_keep_days,
        on_stop=tell,
    )


def _holder(settings: Settings, folder: Path, opened: contextlib.AsyncExitStack) -> Callable[[str], None]:
    """For an account that another engine could reach too: a paper one is in its journal."""

    def hold(account: str) -> None:
        if settings.engine.broker is not BrokerName.PAPER:
            lock = AccountLock(folder, _host_of_account(settings), account)
            lock.acquire()
            releasing.append(lock)

    def release() -> None:
        for lock in releasing:
            lock.release()

    releasing: list[AccountLock] = []
    opened.callback(release)
    return hold


def _host_of_account(settings: Settings) -> str:
    """However its address is written."""
    default = CERT_REST_URL if settings.engine.broker is BrokerName.CERT else LIVE_REST_URL
    address = urlsplit(settings.tastytrade.rest_url or default)
    return f"{address.hostname}:{address.port or (443 if address.scheme == 'https' else 80)}"


def _http() -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession()


class JournalLedger:
    """The paper account's home: one document of the journal."""

    NAME = "paper-account"

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def load(self) -> Mapping[str, Any] | None:
        return await self._journal.read_document(self.NAME)

    async def save(self, state: Mapping[str, Any]) -> None:
        await self._journal.write_document(self.NAME, dict(state))


def _held_quotes(
    broker: SteppedBroker, feed: PolygonFeed, clock: PacedClockLike, opened: contextlib.AsyncExitStack
) -> HeldQuotes | None:
    """The broker's own option quotes, onto the board: for plans without. Paper accounts and cert have none."""
    make = getattr(broker, "option_quotes", None)
    if make is None:
        return None

    def take(quote: BrokerQuote) -> None:
        sides = quote.bid, quote.ask, quote.bid_size, quote.ask_size
        feed.board.apply_quote(quote.symbol, *sides, quote.time_ns, clock.now(), "dxlink")

    quotes: BrokerQuotes | None = make(take)
    if quotes is not None:
        opened.push_async_callback(quotes.close)
    return quotes


async def _nothing(_now_ns: int) -> None:
    return None


async def _broker(
    settings: Settings,
    credentials: Credentials,
    clock: PacedClockLike,
    feed: PolygonFeed,
    journal: Journal,
    log: RunLog,
    calendar: SessionCalendar,
    permit: Permit,
) -> tuple[SteppedBroker, Callable[[int], Awaitable[None]]]:
    name = settings.engine.broker
    if name is BrokerName.PAPER:
        from qmterm.broker.paper import PaperBroker

        paper = PaperBroker(feed.board, JournalLedger(journal), clock, settings=settings.paper, calendar=calendar)
        return paper, paper.on_market
    from qmterm.broker.tastytrade import TastytradeBroker

    if name is BrokerName.SIM and urlsplit(settings.tastytrade.rest_url).hostname not in LOOPBACK:
        raise ConfigError(f"the simulated broker must be on this machine, not at {settings.tastytrade.rest_url!r}")
    broker = TastytradeBroker(
        settings.tastytrade,
        credentials.tt_secret,
        credentials.tt_refresh,
        credentials.tt_account,
        clock=clock,
        is_test=name is BrokerName.CERT,
        permit=permit if name is BrokerName.LIVE else lambda _intent: None,
    )
    broker.on_fault = lambda text: log.warn("ORD", text)
    return broker, _nothing


def _until(wanted: tuple[int, int] | None, today: date, now_ns: int) -> int | None:
    if wanted is None:
        return None
    until = from_et(today, *wanted)
    if until <= now_ns:
        raise ConfigError(f"--until {wanted[0]:02d}:{wanted[1]:02d} has already passed on the market's clock")
    return until
