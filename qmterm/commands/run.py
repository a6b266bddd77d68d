"""`qmterm`, `qmterm demo` and `qmterm --auto`: one engine on its own thread, with a screen or without.

Textual is imported only when there is a screen.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from qmterm.commands.event_lines import EventLines
from qmterm.commands.places import Places, made, places, real_accounts, require_secret, secret, shipped
from qmterm.commands.simulator import SimWish, joined_simulator, own_simulator
from qmterm.core.errors import ConfigError
from qmterm.core.settings.engine import BrokerName, DisconnectPolicy, Mode, Source
from qmterm.engine.commands import Pause, StopEngine
from qmterm.engine.control import someone_listens
from qmterm.engine.thread import EngineThread, Mailbox, ViewHolder

if TYPE_CHECKING:
    from qmterm.core.settings.model import Settings
    from qmterm.engine.show.summary import RunSummary
    from qmterm.engine.sim_link import SimLink
    from qmterm.engine.wiring import Credentials, PacedClockLike, RunPlace
    from qmterm.sim.spawn import RunningSim

SIM_RUNS_KEPT = 20
STOP_WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line said; None = the configuration decides."""

    screen: bool = True
    as_json: bool = False
    sim: SimWish = field(default_factory=SimWish)
    until: tuple[int, int] | None = None
    for_s: float | None = None
    journal: Path | None = None
    sim_url: str | None = None
    sim_token_file: Path | None = None


def run(settings: Settings, options: RunOptions) -> int:
    """Run until it ends; returns the process's exit code."""
    check(settings, options)
    if options.screen:
        from qmterm.ui.exits import require_terminal

        require_terminal()
    folders = made(places())
    trace = Trace(folders)

    async def main(view: ViewHolder, mailbox: Mailbox) -> object:
        return await _engine_main(settings, options, folders, trace, view, mailbox)

    ended = threading.Event()
    thread = EngineThread(main, on_end=lambda _error: ended.set())
    quiet = _catch_signals(thread)
    thread.start()
    if options.screen:
        _show(thread, settings, folders)
    while not ended.wait(0.2):
        pass
    thread.join(STOP_WAIT_S)
    quiet()
    if thread.error is not None:
        raise thread.error
    _report(thread.result, options)
    return 0


def check(settings: Settings, options: RunOptions) -> None:
    """Wrong use is said before anything starts."""
    from qmterm.engine.wiring import check_sense

    check_sense(settings)
    if options.sim.speed is None and options.sim.seed is None:
        raise ConfigError("--speed max needs --seed: only a lockstep run can go as fast as the machine allows")
    if options.sim.replay is not None and (settings.engine.source is not Source.SIM or options.sim_url is not None):
        raise ConfigError("--replay needs --source sim and a simulator of our own, not --sim URL")
    if options.sim.seed is not None and settings.engine.source is not Source.SIM:
        raise ConfigError("--seed needs --source sim: only the simulator can wait for the engine")
    if (options.sim_url is None) != (options.sim_token_file is None):
        raise ConfigError("--sim URL and --sim-token-file FILE go together")
    if options.sim_url is not None and options.sim.seed is not None:
        raise ConfigError("--seed belongs to a simulator of our own; one that is joined with --sim has its own")


def _show(thread: EngineThread, settings: Settings, folders: Places) -> None:
    """The screen on the main thread; when it goes, the engine goes on or stops, as the person or the policy says."""
    from qmterm.ui.app import run_screen
    from qmterm.ui.exits import ScreenExit

    try:
        answer = run_screen(thread, settings.ui, (shipped("themes"), folders.themes))
    except Exception as error:  # a broken screen must not take the engine with it
        with suppress(OSError):  # the terminal may be what failed, and the engine must not go down with it
            print(f"qmterm: the screen failed ({type(error).__name__}: {error}); the engine goes on", file=sys.stderr)
        answer = ScreenExit.LOST
    if answer is ScreenExit.LOST:
        _screen_lost(thread, settings)
        return
    if answer is ScreenExit.STOP or thread.snapshot.stopped:
        thread.send(StopEngine("screen"))
        return
    snapshot = thread.snapshot
    if not snapshot.positions and not any(order.working for order in snapshot.orders):
        thread.send(StopEngine("screen closed, nothing at stake"))
        return
    _say("the engine goes on without a screen; control it with: qmterm ctl status|pause|kill|stop")


def _screen_lost(thread: EngineThread, settings: Settings) -> None:
    """The terminal went away: `[disconnect] policy` decides; a simulated market in confirm mode just ends."""
    if settings.engine.source is Source.SIM and settings.engine.mode is Mode.CONFIRM:
        thread.send(StopEngine("screen lost"))
        return
    policy = settings.disconnect.policy
    if policy is None:
        policy = DisconnectPolicy.KEEP if settings.engine.mode is Mode.AUTO else DisconnectPolicy.NO_NEW
    if policy is DisconnectPolicy.NO_NEW:
        thread.send(Pause("screen lost"))


def _catch_signals(thread: EngineThread) -> Quiet:
    """Ctrl-C and SIGTERM stop cleanly; SIGHUP (the terminal went) leaves the engine running."""

    def stop(number: int, _frame: FrameType | None) -> None:
        thread.send(StopEngine(signal.Signals(number).name))

    quiet = Quiet()
    quiet.replace(signal.SIGINT, stop)
    quiet.replace(signal.SIGTERM, stop)
    if hasattr(signal, "SIGHUP"):
        quiet.replace(signal.SIGHUP, lambda *_: None)
    return quiet


class Quiet:
    """Signal handlers that are put back at the end."""

    def __init__(self) -> None:
        self._before: dict[int, object] = {}

    def replace(self, number: signal.Signals, handler: object) -> None:
        self._before[number] = signal.signal(number, handler)  # type: ignore[arg-type]

    def __call__(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _say(text: str) -> None:
    """For a person. A terminal that went away makes a clean stop no failure."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer must not fail at exit either


def _report(result: object, options: RunOptions) -> None:
    from qmterm.engine.show.summary import RunSummary

    if not isinstance(result, RunSummary):
        return
    body = result.to_dict()
    if options.as_json:
        print(json.dumps(body))
        return
    _say(
        f"stopped at {body['market_to']}: {body['signals']} signals, {body['orders']} orders, {body['fills']} fills, "
        f"{body['open_positions']} positions, {body['working_orders']} orders working, NLV {body['nlv']:,.2f}, "
        f"realized {body['realized_pnl']:+,.2f}, fees {body['fees']:,.2f}; journal {body['journal']}"
    )


class Trace:
    """Full tracebacks of what should not have happened go to a file, never to the screen, and without secrets."""

    def __init__(self, folders: Places) -> None:
        self._path = folders.data / "errors.log"
        self.scrub: Callable[[str], str] = str

    def __call__(self, error: Exception) -> None:
        import traceback

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"--- {datetime.now(UTC).isoformat()}\n")
                file.write(self.scrub("".join(traceback.format_exception(error))))
        except OSError:
            return


async def _engine_main(
    settings: Settings,
    options: RunOptions,
    folders: Places,
    trace: Trace,
    view: ViewHolder,
    mailbox: Mailbox,
) -> RunSummary | None:
    from qmterm.engine.engine import Engine
    from qmterm.engine.runlog import RunLog, Scrubber
    from qmterm.engine.sim_link import with_sim
    from qmterm.engine.view import HeaderView, Snapshot
    from qmterm.engine.wiring import RunBounds, build

    running: RunningSim | None = None
    link: SimLink | None = None
    lines = None if options.screen else EventLines()
    try:
        if settings.engine.source is Source.SIM:
            view.latest = Snapshot(header=HeaderView(starting="simulator"))
            if options.sim_url is not None and options.sim_token_file is not None:
                link = await asyncio.to_thread(joined_simulator, options.sim_url, options.sim_token_file)
            else:
                running, link = await own_simulator(options.sim)
            settings = with_sim(settings, link)
        credentials = _credentials(settings, link)

        scrub = trace.scrub = Scrubber(credentials.secrets)

        def make_log(clock: PacedClockLike) -> RunLog:
            return RunLog(clock, scrub, lines)

        parts = await build(
            settings,
            credentials,
            _place(settings, options, folders, link),
            RunBounds(options.for_s, options.until, options.sim.speed),
            make_log,
            sim=link,
            has_screen=options.screen,
            on_trace=trace,
        )
        if lines is not None and lines.is_terminal:
            parts.on_progress = lines.progress
        try:
            return await Engine(parts).run(view, mailbox)
        finally:
            await parts.close()
    finally:
        if running is not None:
            await running.close()
        if lines is not None:
            await asyncio.to_thread(lines.close)


def _credentials(settings: Settings, link: SimLink | None) -> Credentials:
    """Every secret the run needs, from environment or keyring; the simulator's token stands for its own."""
    from qmterm.engine.wiring import Credentials

    broker = settings.engine.broker
    polygon = link.token if link else require_secret("polygon", "market data from Polygon")
    if broker is BrokerName.SIM and link is not None:
        return Credentials(polygon, link.token, link.token, None)
    if broker in (BrokerName.LIVE, BrokerName.CERT):
        return Credentials(
            polygon,
            require_secret("tt_secret", "orders through tastytrade"),
            require_secret("tt_refresh", "orders through tastytrade"),
            secret("tt_account"),
        )
    return Credentials(polygon)


def _place(settings: Settings, options: RunOptions, folders: Places, link: SimLink | None) -> RunPlace:
    """Where this run keeps its journal and history. A simulated run of our own gets a journal of its own."""
    from qmterm.engine.wiring import RunPlace

    if options.journal is not None:
        journal = options.journal
    elif settings.engine.journal:
        journal = Path(settings.engine.journal).expanduser()
    elif settings.engine.source is Source.SIM and options.sim_url is None:
        journal = _fresh_sim_journal(folders.sim_runs)
    else:
        journal = folders.journal(settings.engine.broker.value)
    history = folders.history / (f"sim-{link.world}" if link else "polygon")
    socket = folders.socket
    if settings.engine.source is Source.SIM and someone_listens(socket):
        socket = socket.with_name(f"engine-{os.getpid()}.sock")  # another pretend market beside it is fine
    return RunPlace(journal, history, socket, real_accounts(folders) if _real(settings) else folders.accounts)


def _real(settings: Settings) -> bool:
    """The account is one of a broker that is not on this machine."""
    from qmterm.broker.session import is_loopback

    brokers = settings.engine.broker in (BrokerName.LIVE, BrokerName.CERT)
    return brokers and not is_loopback(settings.tastytrade.rest_url)


def _fresh_sim_journal(folder: Path) -> Path:
    """A new file for a market that will never come back; old ones are pruned."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.sqlite"))[: -SIM_RUNS_KEPT + 1]:
        for part in (old, old.with_name(old.name + "-wal"), old.with_name(old.name + "-shm")):
            part.unlink(missing_ok=True)
    return folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.sqlite"
