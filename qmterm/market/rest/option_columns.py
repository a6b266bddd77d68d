"""A chain's pages to one table in one order.

The trap: a contract may be on two pages, and two roots may share a strike; the later page wins, the roots both stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qmterm.market.records import OptionRows
from qmterm.market.rest.columns import check_some_good, finite, whole
from qmterm.market.rest.option_page import FLOATS, TIMES, OptionPart
from qmterm.market.rest.option_symbols import Symbols
from qmterm.market.times import to_ns_array

_EXPIRY_BIT = 28  # above a strike of eight digits and the right


def option_rows(underlying: str, parts: Sequence[OptionPart]) -> OptionRows:
    """All pages of one chain: by expiry, strike, call first; each contract once, as its last page says.

    Contracts whose symbol cannot be read are left out and counted; DataError when no other came.
    """
    symbols = Symbols.together([part.symbols for part in parts])
    numbers, stamps = np.concatenate([part.numbers for part in parts]), np.concatenate([part.times for part in parts])
    occ, rows = symbols.occ, np.flatnonzero(symbols.good)
    key = (symbols.expiry << _EXPIRY_BIT | symbols.strike << 1 | ~symbols.is_call)[rows]
    # The last page that names a contract wins: stable sorts keep the pages' order among equals.
    by_key = np.argsort(key, kind="stable")
    order, key = rows[by_key], key[by_key]
    if (key[1:] == key[:-1]).any():  # two roots, or a contract on two pages
        order = order[np.lexsort((occ[order], key))]
        order = order[np.append(occ[order[1:]] != occ[order[:-1]], True)]
    malformed = int(np.count_nonzero(~symbols.good)) + sum(part.malformed for part in parts)
    check_some_good(len(order), malformed, f"option chain of {underlying}")
    of = {name: numbers[order, column] for column, name in enumerate(FLOATS)}
    at = {name: to_ns_array(stamps[order, column]) for column, name in enumerate(TIMES)}
    multiplier = whole(np.round(of["multiplier"]))
    spot_ns, spot = max(((part.spot_ns, part.spot) for part in parts if part.spot is not None), default=(0, None))
    return OptionRows(
        underlying=underlying,
        occ=symbols.names(order),
        expiry=symbols.expiry[order].astype("datetime64[D]"),
        strike=symbols.strike[order] / 1000.0,
        is_call=symbols.is_call[order],
        multiplier=multiplier,
        adjusted=(multiplier != 100) | symbols.adjusted[order],
        bid=finite(of["bid"]),
        ask=finite(of["ask"]),
        bid_size=whole(of["bid_size"]),
        ask_size=whole(of["ask_size"]),
        quote_ns=at["quote_ns"],
        last=finite(of["last"]),
        trade_ns=at["trade_ns"],
        day_volume=whole(of["day_volume"]),
        day_ns=at["day_ns"],
        open_interest=whole(of["open_interest"], unknown=-1),
        iv=finite(of["iv"]),
        delta=finite(of["delta"]),
        gamma=finite(of["gamma"]),
        theta=finite(of["theta"]),
        vega=finite(of["vega"]),
        spot=spot,
        spot_ns=spot_ns,
        delayed=any(part.delayed for part in parts),
        malformed=malformed,
    )
