"""The gate's word on what is on the board now: for chains, single quotes, single stocks and all of them.

One object, so that what a strategy, a mark, a stop and the screen hear about a number is the same. It changes nothing.
The trap: it never asks a clock; market time comes with each question, or a lockstep run would depend on the machine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qmterm.core.bars import IntArray
from qmterm.core.instruments import is_option, parse_option, underlying_of
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.quality import QualitySettings
from qmterm.market.board.board import Board
from qmterm.market.board.previous_close import far_off
from qmterm.market.quality.codes import CODES, CodeArray
from qmterm.market.quality.gate import FRESH_WITHOUT_FEED_S, Circumstances
from qmterm.market.quality.quotes import doubt, more_than_it_can_pay
from qmterm.market.quality.stocks import StockCircumstances, halted, outside_bands, stock_codes


def _no() -> bool:
    return False


class QualityWatch:
    def __init__(
        self,
        board: Board,
        settings: QualitySettings | None = None,
        *,
        delayed: Callable[[], bool] = _no,
        options_delayed: Callable[[], bool] | None = None,
        stocks_down: Callable[[], bool] = _no,
        options_down: Callable[[], bool] = _no,
        ticker_of: Callable[[str], str] = lambda root: root,
    ) -> None:
        """`delayed`: of stocks, and of options, too, unless `options_delayed` tells them apart.

        `…_down`: a stream that should be there is not, in a session; `ticker_of`: BRKB, as options say, is BRK.B.
        """
        self._board = board
        self._delayed = delayed
        self._options_delayed = options_delayed or delayed
        self._stocks_down = stocks_down
        self._options_down = options_down
        self.ticker_of = ticker_of
        self.settings = settings or QualitySettings()

    # --- options ---

    def around(self, underlying: str) -> Circumstances:
        """What a chain of this stock is judged by."""
        return Circumstances(
            halted=self.halted(underlying),
            feed_down=self._options_down(),
            spot_feed_down=self._stocks_down(),
            delayed=self._options_delayed() or self._delayed(),  # an old spot prices new quotes wrongly
            quote_max_age_s=self.settings.quote_max_age_s,
            spot_max_age_s=self.settings.spot_max_age_s,
            previous_close=self._previous_close(underlying),
        )

    def quote(self, quote: Quote | None, now_ns: int) -> Reason | None:
        """Why this one quote must not be traded on or marked at; what other contracts say of it is for the chain."""
        delayed = self._delayed
        if quote is not None:
            option = is_option(quote.symbol)
            if option:
                delayed = self._options_delayed
            if self.halted(underlying_of(quote.symbol) if option else quote.symbol):
                return Reason.HALTED
            down = self._options_down() if option else self._stocks_down()
            if down and quote.age_s(now_ns) > FRESH_WITHOUT_FEED_S:
                return Reason.FEED_DOWN
        if delayed():
            return Reason.DELAYED
        found = doubt(quote, now_ns, self.settings.quote_max_age_s)
        return Reason.PRICE_INSANE if found is None and quote is not None and self._insane(quote) else found

    # --- stocks ---

    def halted(self, underlying: str) -> bool:
        number = self._number(underlying)
        return number is not None and bool(halted(self._board.stocks)[number])

    def stock(self, symbol: str, now_ns: int) -> Reason | None:
        """Why this stock's last price must not decide anything; NOT_TRADED when there is none today."""
        number = self._number(symbol)
        if number is None:
            return Reason.NOT_TRADED
        return CODES[int(self.stocks(now_ns, np.array([number]))[0])]

    def within_bands(self, symbol: str, price: float, made_ns: int) -> bool:
        """Whether the stock's bands allow a price of that time; unknown ones, and later ones, allow everything."""
        number = self._number(symbol)
        if number is None:
            return True
        found = outside_bands(self._board.stocks, np.array([number]), np.array([price]), np.array([made_ns]))
        return not bool(found[0])

    def stocks(self, now_ns: int, rows: IntArray | None = None) -> CodeArray:
        """The code of every stock's last price, in the board's order or for these rows of it."""
        board = self._board
        around = StockCircumstances(
            open_ns=board.session_open_ns,
            close_ns=board.session_close_ns,
            feed_down=self._stocks_down(),
            delayed=self._delayed(),
            silent_s=self.settings.silent_stock_min * 60.0,
        )
        return stock_codes(board.stocks, now_ns, around, rows)

    def _insane(self, quote: Quote) -> bool:
        """In another unit, as far as one quote shows it; against other strikes only a whole chain is judged."""
        if is_option(quote.symbol):
            contract = parse_option(quote.symbol)
            spot = self._board.last_price(self.ticker_of(contract.root))
            # Both may be in cents: then the stock's price says so, and the option's cannot be judged by it.
            return self._far_off(contract.root, spot) or more_than_it_can_pay(quote, contract, spot)
        return self._far_off(quote.symbol, quote.bid)

    def _far_off(self, symbol: str, price: float | None) -> bool:
        return price is not None and bool(far_off(np.array([price]), np.array([self._previous_close(symbol)]))[0])

    def _previous_close(self, underlying: str) -> float:
        """NaN where it is not known."""
        number = self._number(underlying)
        return float("nan") if number is None else float(self._board.stocks.prev_close[number])

    def _number(self, symbol: str) -> int | None:
        return self._board.stocks.numbers.get(self.ticker_of(symbol))
