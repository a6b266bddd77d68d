"""Compiles, or loads from the on-disk cache, all machine code the market needs, before its loop waits for it.

The trap: on a fresh machine this takes half a minute of CPU: call it in a thread. Until it has run, frames,
snapshots and chains are read in plain Python, with the same result.
"""

from __future__ import annotations

from qmterm.market.board import wire
from qmterm.market.chains import pricing
from qmterm.market.rest import option_page, snapshot


def warm_up() -> None:
    wire.warm_up()
    snapshot.warm_up()
    option_page.warm_up()
    pricing.warm_up()


if __name__ == "__main__":
    warm_up()
