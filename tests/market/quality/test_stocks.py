"""Stock prices: what is refused, what is only old, and that one stock hears what the column says."""

from datetime import date

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.clock import NS, from_et
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.market.board.board import Board
from qmterm.market.quality.codes import CODES, QuoteCode
from qmterm.market.quality.stocks import BUSY_SHARES, StockCircumstances, price_ages_s, stock_codes
from qmterm.market.quality.watch import QualityWatch

OPEN, CLOSE = from_et(date(2026, 3, 2), 9, 30), from_et(date(2026, 3, 2), 16, 0)
NOW = from_et(date(2026, 3, 2), 11, 0)
BUSY, QUIET = "AAPL", "ZZZ"


class Halts:
    """The board's table with the columns of halts and bands that LULD events fill."""

    def __init__(self, table):
        self._table = table
        self.halted_ns = np.zeros(len(table), dtype=np.int64)
        self.band_ns = np.zeros(len(table), dtype=np.int64)

    def __getattr__(self, name):
        return getattr(self._table, name)

    def __len__(self):
        return len(self._table)


def board(age_s=1.0):
    made = Board([BUSY, QUIET])
    made.start_session(OPEN, CLOSE)
    table = made.stocks
    table.last[:], table.trade_ns[:] = [100.0, 5.0], NOW - int(age_s * NS)
    table.prev_volume[:] = [BUSY_SHARES, 900.0]
    made.stocks = Halts(table)
    return made


def codes(made, now=NOW, **around):
    return stock_codes(made.stocks, now, StockCircumstances(OPEN, CLOSE, **around)).tolist()


def test_prices_of_the_last_minutes_are_fine():
    assert codes(board()) == [QuoteCode.OK, QuoteCode.OK]


def test_only_a_stock_that_should_trade_every_minute_is_stale_when_it_does_not():
    made = board(age_s=601)
    assert codes(made) == [QuoteCode.STALE_QUOTE, QuoteCode.OK]
    assert price_ages_s(made.stocks, NOW).tolist() == [601.0, 601.0]


def test_silence_counts_from_the_open():
    made = board()
    made.stocks.trade_ns[:] = OPEN - 3600 * NS
    assert codes(made, OPEN + 599 * NS) == [QuoteCode.OK, QuoteCode.OK]
    assert codes(made, OPEN + 601 * NS)[0] == QuoteCode.STALE_QUOTE
    assert codes(made, CLOSE + 3600 * NS) == [QuoteCode.OK, QuoteCode.OK]  # nothing trades then


def test_a_price_of_yesterday_is_not_one_of_today():
    made = board()
    made.stocks.trade_ns[:] = OPEN - 17 * 3600 * NS
    assert codes(made, OPEN - 60 * NS) == [QuoteCode.NOT_TRADED, QuoteCode.NOT_TRADED]


def test_a_halted_stock_is_refused_until_it_trades_again():
    made = board()
    made.stocks.halted_ns[0] = NOW - 30 * NS
    assert codes(made, feed_down=True, delayed=True)[0] == QuoteCode.HALTED
    watch = QualityWatch(made)
    assert watch.stock(BUSY, NOW) is Reason.HALTED
    option = Quote("AAPL  260417C00100000", 1.0, 1.1, 1, 1, NOW, NOW)
    assert watch.quote(option, NOW) is Reason.HALTED
    assert watch.around(BUSY).halted
    made.stocks.halted_ns[0] = 0
    assert watch.stock(BUSY, NOW) is None
    assert watch.quote(option, NOW) is None


def test_a_price_outside_its_bands_is_refused_unless_the_bands_are_newer():
    made = board()
    table = made.stocks
    table.band_low[:], table.band_high[:], table.band_ns[:] = 90.0, 95.0, NOW - 20 * NS
    assert codes(made) == [QuoteCode.PRICE_INSANE, QuoteCode.PRICE_INSANE]
    table.band_ns[:] = NOW
    assert codes(made) == [QuoteCode.OK, QuoteCode.OK]
    table.band_low[:], table.band_high[:], table.band_ns[:] = np.nan, np.nan, NOW - 20 * NS
    assert codes(made) == [QuoteCode.OK, QuoteCode.OK]


def test_a_feed_that_is_down_leaves_only_what_was_just_read():
    assert codes(board(age_s=4), feed_down=True) == [QuoteCode.OK, QuoteCode.OK]
    assert codes(board(age_s=6), feed_down=True) == [QuoteCode.FEED_DOWN, QuoteCode.FEED_DOWN]


def test_delayed_data_say_so():
    made = board()
    assert codes(made, delayed=True) == [QuoteCode.DELAYED, QuoteCode.DELAYED]
    watch = QualityWatch(made, delayed=lambda: True)
    assert watch.quote(Quote(BUSY, 1.0, 1.1, 1, 1, NOW, NOW), NOW) is Reason.DELAYED


@given(st.lists(st.tuples(st.integers(-9, 90_000), st.floats(0, 1e7), st.booleans()), min_size=1, max_size=8))
def test_one_stock_hears_what_the_column_says(stocks):
    symbols = [f"S{number}" for number in range(len(stocks))]
    made = Board(symbols)
    made.start_session(OPEN, CLOSE)
    made.stocks = Halts(made.stocks)
    for row, (age_s, volume, stopped) in enumerate(stocks):
        made.stocks.last[row], made.stocks.trade_ns[row] = 10.0, NOW - age_s * NS
        made.stocks.prev_volume[row], made.stocks.halted_ns[row] = volume, NOW if stopped else 0
    watch = QualityWatch(made, stocks_down=lambda: True)
    column = watch.stocks(NOW)
    assert [CODES[code] for code in column] == [watch.stock(symbol, NOW) for symbol in symbols]
    halted = [stopped for _, _, stopped in stocks]
    assert [code == QuoteCode.HALTED for code in column] == halted


def test_an_unknown_stock_has_no_price():
    assert QualityWatch(board()).stock("NOPE", NOW) is Reason.NOT_TRADED


def test_a_price_in_another_unit_is_insane_even_inside_its_bands():
    made = board()
    made.stocks.prev_close[:] = [98.0, 5.0]
    for factor, word in ((100.0, QuoteCode.PRICE_INSANE), (0.01, QuoteCode.PRICE_INSANE), (20.0, QuoteCode.OK)):
        made.stocks.last[:] = [100.0 * factor, 5.0]
        made.stocks.band_low[0], made.stocks.band_high[0] = 95.0 * factor, 105.0 * factor  # in the same unit
        made.stocks.band_ns[0] = NOW - 10 * NS
        assert codes(made) == [word, QuoteCode.OK]
    made.stocks.last[0], made.stocks.band_low[0], made.stocks.band_high[0] = 100.0, 9_500.0, 10_500.0
    assert codes(made)[0] == QuoteCode.OK  # the service is well again, its last bands were in cents
    made.stocks.prev_close[0] = np.nan  # a new listing: only its bands can be held against it
    assert codes(made)[0] == QuoteCode.PRICE_INSANE


def option(symbol, bid):
    return Quote(symbol, bid, bid * 1.01, 5, 5, NOW - NS, NOW)


def test_one_quote_of_an_option_is_held_against_what_it_can_pay():
    made = board()
    made.stocks.prev_close[:] = [98.0, 5.0]
    watch = QualityWatch(made)
    call, put = "AAPL  260320C00100000", "AAPL  260320P00110000"
    assert [watch.quote(option(call, bid), NOW) for bid in (4.0, 99.0, 400.0)] == [None, None, Reason.PRICE_INSANE]
    assert [watch.quote(option(put, bid), NOW) for bid in (11.0, 109.0, 111.0)] == [None, None, Reason.PRICE_INSANE]
    assert watch.quote(option("AAPL1 260320C00100000", 400.0), NOW) is None  # delivers something else
    assert watch.quote(option("XYZ   260320C00100000", 400.0), NOW) is None  # its stock is not known
    assert watch.quote(Quote(BUSY, 10_000.0, 10_001.0, 5, 5, NOW - NS, NOW), NOW) is Reason.PRICE_INSANE
    made.stocks.last[0] = 10_000.0  # the stock in cents, too: nothing can be held against it
    assert watch.quote(option(call, 400.0), NOW) is Reason.PRICE_INSANE
    assert watch.around(BUSY).previous_close == 98.0
