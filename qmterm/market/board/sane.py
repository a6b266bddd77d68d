"""Numbers that no market makes: what is beyond them must not come onto the board, from whichever source.

The trap: the frame's machine code compiles this, too. It must stay plain arithmetic.
"""

from __future__ import annotations

from typing import Any

MOST = 1e15  # dollars, shares: more is not a price or a size, and infinity would stay on the board


def sane_bar(open_: Any, high: Any, low: Any, close: Any, volume: Any) -> Any:
    """Whether prices and volume of a bar, or of many in arrays, can be true; a volume of NaN is one not told.

    A stop fires on a close and a level on a high or low: one impossible number costs the whole bar.
    """
    opened, closed = (low <= open_) & (open_ <= high), (low <= close) & (close <= high)
    traded = ((volume >= 0.0) & (volume < MOST)) | (volume != volume)
    return (low > 0.0) & (high < MOST) & opened & closed & traded
