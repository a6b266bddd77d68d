"""The engine's own board and chains beside the drill's market: a measured order keeps the evidence a real one does.

The trap: without them it would carry no evidence, and the way that is measured would be shorter than the real one.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

from qmterm.core.clock import Clock, from_et
from qmterm.core.instruments import is_option
from qmterm.core.quotes import Quote
from qmterm.drill.market import DAY, STOCKS, calendar
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.priced import PricedBy
from qmterm.market.board.board import Board
from qmterm.market.chains.chains import Chains
from qmterm.market.quality.watch import QualityWatch
from qmterm.market.rest.client import PolygonRest


class OrderEvidence:
    def __init__(self, clock: Clock) -> None:
        self._board = Board(STOCKS)
        self._board.start_session(from_et(DAY, 9, 30), from_et(DAY, 16))
        quality = QualityWatch(self._board)
        rest = cast(PolygonRest, SimpleNamespace(delayed=False))  # no chain is read here
        chains = Chains(rest, self._board, calendar(), quality)
        self._priced = PricedBy(self._board, quality, chains, clock, "sim")

    def show(self, quotes: Iterable[Quote]) -> None:
        table = self._board.stocks
        for quote in quotes:
            if is_option(quote.symbol):
                self._board.apply_quote(
                    quote.symbol, quote.bid, quote.ask, quote.bid_size, quote.ask_size, quote.time_ns, quote.time_ns,
                    "bench",
                )  # fmt: skip
                continue
            at = table.numbers[quote.symbol]
            table.bid[at], table.ask[at] = quote.bid, quote.ask
            table.bid_size[at], table.ask_size[at] = quote.bid_size, quote.ask_size
            table.quote_ns[at] = table.arrival_ns[at] = table.trade_ns[at] = quote.time_ns
            table.last[at] = (quote.bid + quote.ask) / 2

    def behind(self, desk: OrderDesk) -> None:
        """Have the desk keep it with each order."""
        desk.priced, desk.quoted = self._priced.of, self._priced.quoted
