"""What one stream frame held, counted: the decoder's answer for every frame."""

from __future__ import annotations

import msgspec

from qmterm.market.board.events import Status


class FrameReport(msgspec.Struct, gc=False):
    """`newest_ns` is the newest exchange time among trades and quotes, as it was stamped, 0 without any.

    A msgspec struct because one is made for every frame, and a dataclass takes four times as long. The order of the
    numbers is the machine code's (frame_code.py).
    """

    trades: int = 0
    quotes: int = 0
    seconds: int = 0
    minutes: int = 0
    bands: int = 0
    late: int = 0  # older than what the board already has: not taken
    unknown: int = 0
    malformed: int = 0
    newest_ns: int = 0
    statuses: tuple[Status, ...] = ()

    @property
    def events(self) -> int:
        return self.trades + self.quotes + self.seconds + self.minutes + self.bands
