"""The codes of the quality gate: small numbers beside arrays, each with its reason.

The trap: the order is the order of the checks. A number carries the first code that applies, so adding one in the
middle changes what is counted, not only what it is called.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from qmterm.core.reasons import Reason

CodeArray = NDArray[np.int8]


class QuoteCode(IntEnum):
    """Why a number is refused; OK = it may be traded on. Names are those of `Reason`."""

    OK = 0
    # what is going on around it
    HALTED = 1  # trading of the stock is halted (LULD pause)
    FEED_DOWN = 2  # the stream that would correct it is down, and it was not read within the last seconds
    DELAYED = 3  # 15 minutes old by contract
    # what the quote itself says
    NO_QUOTE = 4  # nobody offers
    ZERO_BID = 5  # nobody bids
    CROSSED = 6  # bid above ask
    LOCKED = 7  # bid equal to ask
    STALE_QUOTE = 8
    STALE_UNDERLYING = 9  # the stock's price is too old (or of unknown age) to judge an option by
    WIDE_SPREAD = 10  # the mid means nothing
    PRICE_INSANE = 11  # a stock's price outside its limit up, limit down bands, and options judged by it
    # what the others say
    OFF_NEIGHBOURS = 12  # money for nothing against other strikes of its expiry
    OFF_PARITY = 13  # money for nothing against the put, or call, of its strike
    NOT_TRADED = 14  # a stock without a price today: its last close stands in

    @property
    def reason(self) -> Reason | None:
        """The program's reason code; None for OK."""
        return CODES[self]


CODES: tuple[Reason | None, ...] = tuple(None if code is QuoteCode.OK else Reason[code.name] for code in QuoteCode)

# Wrong prices, as against right ones that are old or cannot be dealt on: nothing may be computed from these.
WRONG_PRICES = (QuoteCode.PRICE_INSANE, QuoteCode.OFF_NEIGHBOURS, QuoteCode.OFF_PARITY)


def code_name(code: int) -> str:
    """What the edge shows: "" for OK."""
    reason = CODES[code]
    return "" if reason is None else reason.value


def code_of(reason: Reason | None) -> QuoteCode:
    """The number of a reason of this room."""
    return QuoteCode.OK if reason is None else QuoteCode[reason.name]
