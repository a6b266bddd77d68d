"""`qmterm sim serve`: the simulator's process. One JSON line on stdout says where it is; stderr says what went wrong.

The trap: with `owned` the process must end with its owner even when that was killed, so it reads its stdin and leaves
when the pipe closes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import socket
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from qmterm.core.errors import QmtermError, SimError
from qmterm.core.interpreter import loop_factory
from qmterm.sim.listener import listen
from qmterm.sim.options import DEFAULT_START, PLANS, SimOptions

if TYPE_CHECKING:
    from qmterm.sim.market import Market

SHUTDOWN_S = 2.0


def run(options: SimOptions) -> int:
    """Serve until asked to stop; the exit code of the process."""
    try:
        listener = listen(options.port)
        token = options.token or secrets.token_urlsafe(24)
        if options.token_file is not None:
            _write_token(options.token_file, token)
        return _loop_run(options, listener, token)
    except QmtermError as error:
        print(f"qmterm sim: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 0


def _write_token(path: Path, token: str) -> None:
    """The token, readable by its owner only."""
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token)
    except OSError as error:
        raise SimError(f"cannot write the token file {path}: {error.strerror or error}") from error


def _loop_run(options: SimOptions, listener: socket.socket, token: str) -> int:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_serve(options, listener, token))


async def _serve(options: SimOptions, listener: socket.socket, token: str) -> int:
    from aiohttp import web

    from qmterm.sim.door import Door
    from qmterm.sim.server import SimServer

    world, shown = await asyncio.to_thread(_worlds, options)
    server = SimServer(world, options, token, shown)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, server.stopped.set)
    if options.owned:
        _leave_with_owner(loop, server.stopped)
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    door = Door(runner, listener)
    await door.open()
    port = door.port
    about: dict[str, object] = {"url": f"http://127.0.0.1:{port}", "ws_url": f"ws://127.0.0.1:{port}"}
    if options.token_file is not None:
        about["token_file"] = str(options.token_file)
    else:
        about["token"] = token
    about |= {"pid": os.getpid(), "now": server.world.now_ns, "notice": world.notice}
    print(json.dumps(about), flush=True)
    _warm_kernels()
    leaving = loop.create_task(door.close_when_told(server.away))
    await server.stopped.wait()
    leaving.cancel()
    await runner.cleanup()
    if server.failure is not None:
        raise SimError(f"the market stopped by an error: {server.failure!r}") from server.failure
    return 0


def _worlds(options: SimOptions) -> tuple[Market, Market | None]:
    """The market that was asked for, played from files or made up by seed, and the older one a delayed plan shows."""
    from qmterm.sim.polygon.plan import DELAY_NS, PLANS

    delayed = PLANS[options.plan].delayed
    if options.replay is None:
        from qmterm.sim.world import World

        return World(options), World(options, DELAY_NS) if delayed else None
    from qmterm.sim.replay.world import ReplayWorld

    world = ReplayWorld(options)
    if world.notice:
        print(f"qmterm sim: {world.notice}", file=sys.stderr)
    return world, ReplayWorld(options, DELAY_NS) if delayed else None


def _leave_with_owner(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    """Stop when stdin ends."""
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stopped.set()

    loop.add_reader(descriptor, readable)


def main(arguments: list[str] | None = None) -> int:
    """The command line of `python -m qmterm.sim`."""
    parser = argparse.ArgumentParser(prog="qmterm sim serve", description="A pretend exchange and broker on loopback.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--symbols", type=int, default=500, help="50 to 32345")
    parser.add_argument("--start", help=f"New York time the market starts at ({DEFAULT_START}; a replay: its data's)")
    parser.add_argument("--replay", type=Path, help="play a recording, or a folder of Parquet files (docs/replay.md)")
    parser.add_argument("--speed", type=float, default=1.0, help="market seconds per real second")
    parser.add_argument("--lockstep", action="store_true", help="move only on POST /sim/advance")
    parser.add_argument("--step-s", type=int, default=5, help="market seconds per lockstep step")
    parser.add_argument("--until", help="New York time the market stops at (HH:MM)")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--plan", default="advanced", choices=PLANS)
    parser.add_argument("--token-file", type=Path, help="write the token there instead of printing it")
    parser.add_argument("--token-env", action="store_true", help="take the token from QMTERM_SIM_TOKEN")
    parser.add_argument("--starting-cash", type=Decimal, default=Decimal(100_000))
    parser.add_argument("--event", action="append", default=[], help="a market event as JSON, may be repeated")
    parser.add_argument("--owned", action="store_true", help="exit when stdin closes")
    given = parser.parse_args(arguments)
    try:
        options = SimOptions(
            seed=given.seed,
            symbols=given.symbols,
            start=given.start,
            speed=given.speed,
            lockstep=given.lockstep,
            step_s=given.step_s,
            until=given.until,
            port=given.port,
            plan=given.plan,
            token=os.environ.get("QMTERM_SIM_TOKEN") if given.token_env else None,
            token_file=given.token_file,
            owned=given.owned,
            starting_cash=given.starting_cash,
            replay=given.replay,
            events=tuple(given.event),
        )
    except QmtermError as error:
        print(f"qmterm sim: {error}", file=sys.stderr)
        return error.exit_code
    return run(options)


def _warm_kernels() -> None:
    """Load (or compile, the first time on a machine) the pricing kernels off the event loop's way."""
    import threading

    def load() -> None:
        import numpy as np

        from qmterm.quant.kernel import SMALL
        from qmterm.quant.options import american, black_scholes

        many = np.full(SMALL + 1, 100.0)
        for call in (True, False):
            for pricer in (black_scholes.greeks, american.greeks):
                pricer(many, 100.0, 0.1, 0.04, 0.0, 0.3, call)

    threading.Thread(target=load, name="kernels", daemon=True).start()
