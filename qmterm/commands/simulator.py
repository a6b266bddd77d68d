"""Getting a simulator for a run: one of our own as a child process, or one that somebody serves already."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qmterm.core.errors import ConfigError, SimError

if TYPE_CHECKING:
    from qmterm.engine.sim_link import SimLink
    from qmterm.sim.spawn import RunningSim


@dataclass(frozen=True, slots=True)
class SimWish:
    """What the run asks of its simulator. `seed` given means lockstep."""

    seed: int | None = None
    world_seed: int = 7
    symbols: int = 500
    start: str | None = None
    speed: float | None = 1.0
    step_s: int = 5
    replay: Path | None = None  # files to play instead of a world made up by seed


async def own_simulator(wish: SimWish) -> tuple[RunningSim, SimLink]:
    """A child process that dies with us."""
    from qmterm.engine.sim_link import SimLink
    from qmterm.sim.options import SimOptions
    from qmterm.sim.spawn import spawn

    seed = wish.seed if wish.seed is not None else wish.world_seed
    lockstep = wish.seed is not None
    options = SimOptions(
        seed=seed,
        symbols=wish.symbols,
        start=wish.start,
        speed=1.0 if lockstep or wish.speed is None else wish.speed,
        lockstep=lockstep,
        step_s=wish.step_s,
        replay=wish.replay,
    )
    running = await spawn(options)
    link = SimLink(running.url, running.ws_url, running.token, options.world_name, lockstep, running.notice)
    return running, link


def joined_simulator(url: str, token_file: Path) -> SimLink:
    """A simulator that runs already (`qmterm sim serve`); SimError when it does not answer."""
    from qmterm.engine.sim_link import LOOPBACK, SimLink

    try:
        token = token_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"--sim-token-file {token_file}: {error.strerror or error}") from error
    base = url.rstrip("/")
    from urllib.parse import urlsplit

    if urlsplit(base).hostname not in LOOPBACK:
        raise ConfigError(f"--sim {url}: the simulator must be on this machine")
    request = urllib.request.Request(f"{base}/sim/state", headers={"Authorization": f"Bearer {token}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            state = json.load(answer)
    except urllib.error.HTTPError as error:
        raise SimError(f"--sim {url} answers {error.code}: is the token file the right one?") from error
    except (OSError, ValueError) as error:
        raise SimError(f"--sim {url}: no simulator answers there ({error})") from error
    world = str(state.get("world") or f"{state.get('seed')}-{state.get('symbols')}")
    streams, notice = base.replace("http", "ws", 1), str(state.get("notice", ""))
    return SimLink(base, streams, token, world, bool(state.get("lockstep")), notice)
