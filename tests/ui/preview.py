"""Look at the screen without an engine: `python tests/ui/preview.py [--live] [--theme paper] [--still]`."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from qmterm.core.settings.screen import ScreenSettings
from qmterm.engine.view import Snapshot
from qmterm.ui.app import run_screen
from tests.ui.fake_engine import FakeDoor, MovingMarket


class BreakingDoor(FakeDoor):
    """A door that raises what no screen expects."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._breaks_at = time.monotonic() + seconds

    @property
    def snapshot(self) -> Snapshot:
        local = "secret-" + "in-a-local"
        if time.monotonic() > self._breaks_at:
            print(1 / 0, local)
        return self.current


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--theme", default="midnight")
    parser.add_argument("--live", action="store_true", help="real money and armed")
    parser.add_argument("--still", action="store_true", help="nothing moves but the clock")
    parser.add_argument("--ladder", default="NORMAL")
    parser.add_argument("--break-after", type=float, default=0.0, help="seconds until the door breaks the screen")
    options = parser.parse_args()
    market, door = MovingMarket(), BreakingDoor(options.break_after) if options.break_after else FakeDoor()

    def run() -> None:
        while True:
            time.sleep(0.2)
            snapshot = market.step()
            if options.still:
                snapshot = replace(
                    door.current, header=replace(door.current.header, market_ns=snapshot.header.market_ns)
                )
            header = replace(
                snapshot.header,
                real_money=options.live,
                armed_s=252.0 if options.live else None,
                ladder=options.ladder,
                ladder_reason="" if options.ladder == "NORMAL" else "daily loss -2.0 %",
            )
            chosen = door.current.chain
            if chosen is not None and snapshot.chain is not None:
                same = (chosen.symbol, chosen.selected) == (snapshot.chain.symbol, snapshot.chain.selected)
                snapshot = snapshot if same else replace(snapshot, chain=chosen)
            market.snapshot = snapshot
            door.current = replace(snapshot, header=header)

    threading.Thread(target=run, daemon=True).start()
    themes = Path(__file__).resolve().parents[2] / "themes"
    print("screen ended:", run_screen(door, ScreenSettings(theme=options.theme), [themes]).value)


if __name__ == "__main__":
    main()
