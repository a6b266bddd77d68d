"""The ledger: nobody who is listed is forgotten, nobody is counted twice, and every gap has its reason."""

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.clock import NS
from qmterm.core.reasons import Reason
from qmterm.market.board.table import QuoteTable
from qmterm.market.quality.codes import QuoteCode
from qmterm.market.quality.coverage import Coverage, Listed

NOW = 1_772_460_000 * NS
PANEL = ("AAPL", "BRK.B", "MSFT", "OLDX")


def table(**last):
    made = QuoteTable(last)
    made.last[:] = [np.nan if price is None else price for price in last.values()]
    made.trade_ns[:] = [0 if price is None else NOW - 7 * NS for price in last.values()]
    return made


def ledger(*symbols):
    made = Coverage()
    made.list(Listed(symbols))
    return made


def noted(made, codes=(0, 0, 0, 0), close=(1.0, 2.0, 3.0, 4.0), now=NOW, board=None, **more):
    board = table(AAPL=1.0, MSFT=3.0, NEWX=9.0) if board is None else board
    made.note(now, PANEL, np.array(close), np.array(codes, dtype=np.int8), board, **more)
    return made.view(now)


def test_what_was_looked_at_is_evaluated_and_what_the_vendor_does_not_list_is_not_counted():
    view = noted(ledger("AAPL", "MSFT"))
    assert (view.listed, view.evaluated, view.pct, view.oldest_age_s, view.skipped) == (2, 2, 100.0, 0.0, {})
    assert view.price_age_s == {"p50": 7.0, "p90": 7.0, "p99": 7.0}


def test_a_listed_symbol_without_history_is_skipped_with_a_reason():
    made = ledger("AAPL", "NEWX", "GHOST", "MSFT")
    view = noted(made)
    assert view.skipped == {"TOO_FEW_BARS": 1, "NO_HISTORY": 1}
    assert view.pct == 50.0
    assert made.of("NEWX") == (None, Reason.TOO_FEW_BARS)
    assert made.of("GHOST") == (None, Reason.NO_HISTORY)
    assert made.of("AAPL") == (NOW, None)
    assert noted(made, absent=Reason.NOT_ENTITLED).skipped == {"TOO_FEW_BARS": 1, "NOT_ENTITLED": 1}


def test_while_no_scan_can_run_the_ledger_says_what_it_waits_for():
    made = ledger("AAPL", "MSFT")
    made.note_none(Reason.WAITING_BUDGET)
    assert made.view(NOW).skipped == {"WAITING_BUDGET": 2}
    assert made.of("AAPL") == (None, Reason.WAITING_BUDGET)
    assert noted(made).skipped == {}


def test_a_chain_that_was_not_read_is_a_gap_of_its_own_until_it_is_read_or_a_new_day_lists_anew():
    made = ledger("AAPL", "MSFT", "NVDA")
    for symbol, reason in (("AAPL", Reason.WAITING_BUDGET), ("MSFT", Reason.NOT_ENTITLED), ("NVDA", Reason.NO_DATA)):
        made.note_chain(symbol, reason)
    made.note_chain("NVDA", None)
    assert made.view(NOW).chains_skipped == {"NOT_ENTITLED": 1, "WAITING_BUDGET": 1}
    assert (made.chain_of("AAPL"), made.chain_of("NVDA")) == (Reason.WAITING_BUDGET, None)
    assert made.view(NOW).skipped == {"NOT_CHECKED": 3}  # another question than the scan's
    made.list(Listed(("AAPL", "MSFT", "NVDA")))
    assert made.view(NOW).chains_skipped == {}


def test_a_refused_price_is_a_gap_with_the_gates_own_reason_and_keeps_when_it_was_last_looked_at():
    made = ledger(*PANEL)
    noted(made)
    later = NOW + 60 * NS
    view = noted(made, codes=(QuoteCode.HALTED, QuoteCode.STALE_QUOTE, QuoteCode.DELAYED, 0), now=later)
    assert view.skipped == {"HALTED": 1, "STALE_QUOTE": 1}
    assert made.of("AAPL") == (NOW, Reason.HALTED)
    assert made.of("MSFT") == (later, None)  # delayed is late, not unknown
    assert view.oldest_age_s == 60.0  # of those that are skipped now
    again = noted(made, now=later + 60 * NS)
    assert (again.skipped, again.oldest_age_s) == ({}, 0.0)


def test_the_oldest_age_is_of_whatever_was_ever_evaluated_and_is_listed():
    made = ledger("AAPL", "MSFT", "GHOST")
    assert made.view(NOW).oldest_age_s is None
    noted(made)  # GHOST never is
    later = NOW + 600 * NS
    assert noted(made, codes=(QuoteCode.HALTED, 0, 0, 0), now=later).oldest_age_s == 600.0
    made.list(Listed(("MSFT", "GHOST")))
    assert made.view(later).oldest_age_s == 0.0


def test_not_traded_today_is_evaluated_on_its_last_close_and_skipped_only_without_one():
    codes = (QuoteCode.NOT_TRADED,) * 4
    made = ledger(*PANEL)
    assert noted(made, codes=codes, close=(1.0, 2.0, 3.0, float("nan"))).skipped == {"NOT_TRADED": 1}


def test_the_oldest_age_grows_until_the_next_scan():
    made = ledger("AAPL", "MSFT")
    noted(made)
    assert made.view(NOW + 58 * NS).oldest_age_s == 58.0


def test_new_listings_renames_and_delistings_follow_the_vendors_list():
    made = ledger("AAPL", "MSFT", "FB")
    noted(made)
    made.list(Listed(("AAPL", "MSFT", "META")))
    assert (made.came, made.gone) == (("META",), ("FB",))
    assert made.of("FB") == (None, Reason.DELISTED)
    assert made.of("META") == (None, Reason.NOT_CHECKED)
    assert made.view(NOW).skipped == {"NOT_CHECKED": 1}
    assert made.of("AAPL") == (NOW, None)  # what was known stays known
    assert noted(made).skipped == {"NO_HISTORY": 1}


def test_without_a_list_there_are_no_figures():
    view = Coverage().view(NOW)
    assert (view.listed, view.pct, view.oldest_age_s) == (0, None, None)


SYMBOLS = st.lists(st.sampled_from([*PANEL, "NEWX", "GHOST", "A", "B"]), max_size=12)


@given(SYMBOLS, SYMBOLS, st.lists(st.sampled_from(list(QuoteCode)), min_size=4, max_size=4))
def test_evaluated_and_skipped_always_add_up_to_the_listed(first, second, codes):
    made = ledger(*first)
    for listing in (first, second):
        made.list(Listed(tuple(listing)))
        view = noted(made, codes=codes)
        assert view.listed == len(set(listing)) == view.evaluated + sum(view.skipped.values())


def test_a_scan_of_the_whole_market_is_noted_in_milliseconds():
    symbols = tuple(f"S{number}" for number in range(32_345))
    made, board = ledger(*symbols), QuoteTable(symbols)
    board.last[:], board.trade_ns[:] = 1.0, NOW
    close, codes = np.ones(len(symbols)), np.zeros(len(symbols), dtype=np.int8)
    made.note(NOW, symbols, close, codes, board)
    best = 1.0
    for _ in range(7):
        began = time.perf_counter()
        made.note(NOW, symbols, close, codes, board)
        best = min(best, time.perf_counter() - began)
    assert best < 0.01  # half a millisecond on an idle core
