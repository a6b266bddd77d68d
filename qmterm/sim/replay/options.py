"""Option contracts of a replay: which are listed, and the latest quote of each as the data told it.

The trap: a contract that somebody holds must not vanish because today's file has no row of it. Contracts stay listed
until they expire, with their last quote and its own old time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import OptionContract, parse_option
from qmterm.sim.listing import Contracts, Listing
from qmterm.sim.option_quotes import OptionQuotes
from qmterm.sim.option_tape import Prints

_FLOATS = ("bid", "ask", "bid_size", "ask_size", "last", "interest", "volume", "before")
_TIMES = ("quote_ns", "trade_ns", "trade_size", "exchange", "condition")


class ReplayOptions:
    """Rows are contracts in the order they became known; `Contracts.key` is the row. NaN = not known."""

    bid: FloatArray
    ask: FloatArray
    bid_size: FloatArray
    ask_size: FloatArray
    last: FloatArray  # price of the latest trade
    interest: FloatArray
    volume: FloatArray  # of the running session
    before: FloatArray  # volume of the session before, where the files told it
    quote_ns: IntArray
    trade_ns: IntArray  # of a trade that was seen itself, else 0
    trade_size: IntArray
    exchange: IntArray
    condition: IntArray

    def __init__(self, calendar: SessionCalendar) -> None:
        self._calendar = calendar
        self.contracts: list[OptionContract] = []
        self.row_of: dict[str, int] = {}  # by OCC symbol
        self._rows_by_root: dict[str, list[int]] = {}
        self._listings: dict[str, tuple[int, Listing]] = {}
        for name in _FLOATS:
            setattr(self, name, np.full(0, np.nan))
        for name in _TIMES:
            setattr(self, name, np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.contracts)

    def add(self, symbols: Iterable[str]) -> dict[str, int]:
        """Rows of contracts by the spelling given, new ones added; BadSymbol for what is no option symbol."""
        out: dict[str, int] = {}
        before = len(self.contracts)
        for symbol in symbols:
            contract = parse_option(symbol)
            row = self.row_of.get(contract.occ)
            if row is None:
                row = self.row_of[contract.occ] = len(self.contracts)
                self.contracts.append(contract)
                self._rows_by_root.setdefault(contract.root, []).append(row)
            out[symbol] = row
        more = len(self.contracts) - before
        if more:
            for name in _FLOATS:
                setattr(self, name, np.append(getattr(self, name), np.full(more, np.nan)))
            for name in _TIMES:
                setattr(self, name, np.append(getattr(self, name), np.zeros(more, dtype=np.int64)))
        return out

    def new_session(self) -> None:
        self.before[:] = self.volume
        self.volume[:] = np.nan
        self.trade_ns[:] = 0
        self._listings.clear()

    # --- what is listed ---

    def listing(self, root: str, symbol: int, day: date) -> Listing | None:
        """Contracts of a root that had not expired when the day began, in the order of the service."""
        rows = self._rows_by_root.get(root, [])
        held = self._listings.get(root)
        if held is not None and held[0] == len(rows):
            return held[1]
        alive = [row for row in rows if self.contracts[row].expiry >= day]
        if not alive:
            return None
        alive.sort(key=lambda row: (self.contracts[row].expiry, self.contracts[row].right, self.contracts[row].strike))
        known = [self.contracts[row] for row in alive]
        ends = {expiry: self._calendar.expiry_ns(expiry) for expiry in {contract.expiry for contract in known}}
        columns = Contracts(
            symbol=np.full(len(known), symbol, dtype=np.int64),
            expiry=np.array([contract.expiry for contract in known], dtype="datetime64[D]"),
            expiry_ns=np.array([ends[contract.expiry] for contract in known], dtype=np.int64),
            strike=np.array([float(contract.strike) for contract in known]),
            is_call=np.array([contract.right.sign > 0 for contract in known], dtype=np.bool_),
            key=np.array(alive, dtype=np.uint64),
        )
        listing = Listing(root, columns, tuple(sorted(ends)))
        self._listings[root] = (len(rows), listing)
        return listing

    # --- what they cost ---

    def quotes(self, contracts: Contracts, now_ns: int, spots: FloatArray) -> OptionQuotes:
        rows = contracts.key.astype(np.int64)
        unknown = np.full(len(rows), np.nan)
        return OptionQuotes(
            time_ns=np.where(self.quote_ns[rows] > 0, self.quote_ns[rows], now_ns),
            spot=spots[contracts.symbol],
            value=self.last[rows],
            bid=self.bid[rows],
            ask=self.ask[rows],
            bid_size=np.nan_to_num(self.bid_size[rows]).astype(np.int64),
            ask_size=np.nan_to_num(self.ask_size[rows]).astype(np.int64),
            implied=unknown,
            delta=unknown,
            gamma=unknown,
            theta=unknown,
            vega=unknown,
        )

    def open_interest(self, contracts: Contracts) -> IntArray:
        interest = self.interest[contracts.key.astype(np.int64)]
        return np.where(np.isnan(interest), -1, interest).astype(np.int64)

    def volumes(self, contracts: Contracts) -> tuple[IntArray, IntArray]:
        """(running session, the one before) in contracts, 0 where the files say nothing."""
        rows = contracts.key.astype(np.int64)
        today, before = (np.nan_to_num(column[rows]).astype(np.int64) for column in (self.volume, self.before))
        return today, before

    def last_prints(self, contracts: Contracts) -> Prints:
        """The latest trade of each contract, where trades were seen themselves."""
        rows = contracts.key.astype(np.int64)
        place = np.flatnonzero(self.trade_ns[rows] > 0)
        rows = rows[place]
        zeros = np.zeros(len(place), dtype=np.int64)
        return Prints(
            row=place,
            time_ns=self.trade_ns[rows],
            side=zeros,
            size=self.trade_size[rows],
            exchange=self.exchange[rows],
            condition=self.condition[rows],
            busted=zeros > 0,
            cancelled_ns=zeros,
        )


def no_prints() -> Prints:
    none = np.zeros(0, dtype=np.int64)
    return Prints(none, none, none, none, none, none, none > 0, none)


def root_of(symbol: str) -> str | None:
    """The root of an option symbol in any spelling; None when it is none."""
    try:
        return parse_option(symbol).root
    except BadSymbol:
        return None
