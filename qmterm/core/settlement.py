"""How an option root settles: in the morning or at the close, exercised at any time or at the end, in cash or not.

The trap: one index has two roots. SPX settles on the opening prices of its expiry date and stops trading the session
before; SPXW of the same date settles at the close. They are never netted, so the root decides, not the
underlying; only what may be lost in both counts together (`risk_root`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Settlement(StrEnum):
    AM = "AM"  # on the opening prices of the expiry date
    PM = "PM"  # on the closing prices


class OptionTerms(NamedTuple):
    settlement: Settlement
    european: bool
    cash_settled: bool

    @property
    def am_settled(self) -> bool:
        return self.settlement is Settlement.AM


# Stocks and ETFs: exercise at any time, shares change hands.
AMERICAN_SHARES = OptionTerms(Settlement.PM, european=False, cash_settled=False)
_MORNING = OptionTerms(Settlement.AM, european=True, cash_settled=True)
_CLOSE = OptionTerms(Settlement.PM, european=True, cash_settled=True)

# Source: the exchanges' contract specifications. OEX is the one cash-settled index that may be exercised early.
_INDEX_TERMS: Mapping[str, OptionTerms] = {
    **dict.fromkeys(("SPX", "NDX", "RUT", "DJX", "VIX", "VIXW"), _MORNING),
    **dict.fromkeys(("SPXW", "XSP", "NDXP", "XND", "NQX", "RUTW", "MRUT", "XEO"), _CLOSE),
    "OEX": OptionTerms(Settlement.PM, european=False, cash_settled=True),
}

CASH_SETTLED_ROOTS = frozenset(_INDEX_TERMS)


def terms_of(root: str) -> OptionTerms:
    """The terms of an option root; one that is not a known index is taken for a stock's or an ETF's."""
    return _INDEX_TERMS.get(root, AMERICAN_SHARES)
