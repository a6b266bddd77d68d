"""An engine on its thread, in this process, put together as the command does it: for a test that sits at the screen."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from qmterm.commands.simulator import SimWish, own_simulator
from qmterm.core.settings.engine import BrokerName, Mode, Source
from qmterm.core.settings.model import Settings, parse_settings
from qmterm.engine.commands import StopEngine
from qmterm.engine.engine import Engine
from qmterm.engine.runlog import RunLog, Scrubber
from qmterm.engine.sim_link import with_sim
from qmterm.engine.thread import EngineThread
from qmterm.engine.wiring import Credentials, RunBounds, RunPlace, build
from tests.end_to_end.running import CONFIG, Home


def settings_of(mode: Mode, broker: BrokerName) -> Settings:
    quick = parse_settings(CONFIG, "config.toml")
    engine = quick.engine.model_copy(
        update={"mode": mode, "source": Source.SIM, "broker": broker, "view_every_s": 0.05}
    )
    return quick.model_copy(update={"engine": engine})


@contextmanager
def seated(
    home: Home,
    journal: Path,
    wish: SimWish,
    *,
    mode: Mode = Mode.CONFIRM,
    broker: BrokerName = BrokerName.SIM,
    until: tuple[int, int] | None = None,
):
    """The thread while it runs; it is stopped like a person stops it."""

    async def main(view, mailbox):
        running, link = await own_simulator(wish)
        try:
            parts = await build(
                with_sim(settings_of(mode, broker), link),
                Credentials(link.token, link.token, link.token),
                RunPlace(journal, home.path / "cache" / "history" / f"sim-{link.world}", None, home.path / "accounts"),
                RunBounds(None, until, wish.speed),
                lambda clock: RunLog(clock, Scrubber([link.token])),
                sim=link,
                has_screen=True,
            )
            try:
                return await Engine(parts).run(view, mailbox)
            finally:
                await parts.close()
        finally:
            await running.close()

    thread = EngineThread(main)
    thread.start()
    try:
        yield thread
    finally:
        thread.send(StopEngine("test"))
        assert thread.join(30)
        if thread.error is not None:
            raise thread.error
