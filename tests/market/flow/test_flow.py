"""Blocks, merged sweeps, cancels and the day's contracts; how the prints are cut into batches changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.market.flow.conditions import Kind
from qmterm.market.flow.flow import Flow
from qmterm.market.flow.prints import Prints, Side
from tests.market.flow.made import START, at, prints

NAMES = ["AAPL  260417C00260000", "AAPL  260417P00250000"]


def flow(volume=(0, 0), interest=(400, 400), mean=(None, None)):
    made = Flow(NAMES)
    made.seed([0, 1], np.array(volume), np.array(interest), mean, START)
    return made


def rows_of(found, *rows, until=10_000):
    done = found.take(prints(*rows))
    return done + found.settle(at(until))


def test_an_everyday_print_makes_no_row_but_counts():
    found = flow()
    assert rows_of(found, (0, 2.5, 10, 1, 209, 0, 2.4, 2.5)) == []
    (contract,) = found.contracts(unusual_only=False)
    assert (contract.volume, contract.premium, contract.bought, contract.sold) == (10, 2_500.0, 2_500.0, 0.0)


def test_a_block_by_size_or_by_money():
    found = flow()
    by_size, by_money = rows_of(
        found,
        (0, 0.5, 500, 1, 232, 0, 0.4, 0.6),
        (0, 25.0, 100, 1, 209, 2_000, 24.0, 25.0),
        (0, 24.9, 100, 1, 209, 4_000, 24.0, 25.0),
    )
    assert (by_size.what, by_size.kind, by_size.direction) == ("BLOCK", Kind.MULTILEG, 0)
    assert (by_money.what, by_money.premium, by_money.direction) == ("BLOCK", 250_000.0, 1)


def test_two_exchanges_on_one_side_within_half_a_second_are_one_sweep():
    found = flow()
    (row,) = rows_of(
        found,
        (0, 2.5, 120, 300, 209, 0, 2.4, 2.5),
        (1, 2.5, 120, 300, 209, 10, 2.4, 2.5),  # another contract
        (0, 2.4, 120, 302, 209, 20, 2.4, 2.5),  # another side
        (0, 2.5, 100, 302, 209, 500, 2.4, 2.5),
        (0, 2.5, 900, 302, 232, 90, 2.4, 2.5),  # multi-leg: no part of it, and a block of its own
    )[1:]
    assert (row.what, row.side, row.kind) == ("SWEEP", Side.ASK, Kind.REGULAR)
    assert (row.size, row.premium, row.prints, row.exchanges) == (220, 55_000.0, 2, 2)
    assert (row.time_ns, row.end_ns) == (at(0), at(500))


@pytest.mark.parametrize(
    "second",
    [
        (0, 2.5, 100, 300, 209, 100, 2.4, 2.5),  # the same exchange
        (0, 2.5, 100, 302, 209, 501, 2.4, 2.5),  # too late
        (0, 2.5, 60, 302, 209, 100, 2.4, 2.5),  # too little money
        (0, 2.5, 100, 302, 209, 100, 2.4, 2.5, 2_000),  # side unknown
    ],
)
def test_what_is_no_sweep(second):
    assert rows_of(flow(), (0, 2.5, 120, 300, 209, 0, 2.4, 2.5), second) == []


def test_one_intermarket_sweep_order_is_a_sweep_by_its_own_word():
    (row,) = rows_of(flow(), (0, 2.5, 3, 300, 219, 0, 2.4, 2.5))
    assert (row.what, row.kind, row.direction) == ("SWEEP", Kind.ISO, 1)


def test_iso_prints_of_one_order_are_one_row_also_when_their_side_is_not_known():
    (row,) = rows_of(flow(), *((0, 2.5, 10, 300 + i, 219, 10 * i, 0.0, 0.0) for i in range(5)))
    assert (row.size, row.prints, row.exchanges, row.side, row.direction) == (50, 5, 5, Side.NA, 0)
    assert "side" in row.missing


def test_a_sweep_with_a_block_in_it_is_both():
    (row,) = rows_of(flow(), (0, 2.5, 600, 300, 219, 0, 2.4, 2.5), (0, 2.5, 100, 301, 219, 50, 2.4, 2.5))
    assert row.what == "SWEEP+BLOCK"
    assert row.opening == "certain", "700 against an open interest of 400"


def test_a_group_is_shown_when_its_half_second_is_over_not_before():
    found = flow()
    assert found.take(prints((0, 2.5, 3, 300, 219, 0, 2.4, 2.5))) == []
    assert found.settle(at(500)) == []
    assert len(found.settle(at(501))) == 1
    assert found.settle(at(900)) == []


def test_a_cancel_takes_its_original_out_of_everything():
    found = flow()
    before = found.contracts(unusual_only=False)
    rows_of(found, (0, 2.5, 600, 300, 209, 0, 2.4, 2.5))
    assert len(found.rows) == 1
    rows_of(found, (0, 2.5, 600, 300, 201, 5_000, 2.4, 2.5))
    assert found.rows == ()
    assert found.contracts(unusual_only=False) == before
    assert (found.cancelled, found.cancels_unmatched) == (1, 0)


def test_a_cancel_inside_a_sweep_leaves_the_rest():
    found = flow()
    rows_of(found, (0, 2.5, 60, 300, 219, 0, 2.4, 2.5), (0, 2.5, 40, 301, 219, 50, 2.4, 2.5))
    rows_of(found, (0, 2.5, 60, 300, 203, 5_000, 2.4, 2.5))
    (row,) = found.rows
    assert (row.size, row.prints, row.premium) == (40, 1, 10_000.0)


def test_a_cancel_of_what_was_never_seen_changes_nothing_and_is_counted():
    found = flow()
    rows_of(found, (0, 2.5, 60, 300, 209, 0, 2.4, 2.5), (0, 2.5, 60, 301, 201, 100, 2.4, 2.5))
    assert found.cancels_unmatched == 1
    assert found.contracts(unusual_only=False)[0].volume == 60


def test_volume_starts_from_the_snapshot_and_money_from_what_was_seen():
    found = flow(volume=(700, 0))
    rows_of(found, (0, 25.0, 50, 300, 209, 0, 24.0, 25.0))
    (contract,) = found.contracts()
    assert (contract.volume, contract.premium, contract.vol_oi) == (750, 125_000.0, 750 / 400)
    assert contract.opening == "likely"
    assert contract.missing == ("20-day volume",)


def test_an_unusual_contract_is_listed_by_its_score():
    found = flow(volume=(1_000, 1_000), mean=(100.0, None))
    rows_of(found, (0, 25.0, 60, 300, 209, 0, 24.0, 25.0), (1, 25.0, 60, 300, 209, 0, 24.0, 26.0))
    first, second = found.contracts()
    assert (first.occ, second.occ) == (NAMES[0], NAMES[1])
    assert first.score > second.score


def test_a_new_day_begins_empty():
    found = flow()
    rows_of(found, (0, 2.5, 600, 300, 209, 0, 2.4, 2.5))
    found.start_day()
    assert found.rows == ()
    assert found.contracts(unusual_only=False) == ()


PRINT = st.tuples(
    st.integers(0, 1),
    st.sampled_from([2.4, 2.45, 2.5, 250.0]),
    st.integers(1, 600),
    st.integers(300, 302),
    st.sampled_from([209, 219, 232, 201, 204, 777]),
    st.integers(0, 1_500),
    st.just(2.4),
    st.just(2.5),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PRINT, min_size=1, max_size=40), st.integers(1, 7))
def test_batches_change_nothing_and_contracts_add_up(rows, batch):
    rows = sorted(rows, key=lambda row: row[5])
    whole, parts = flow(), flow()
    rows_of(whole, *rows)
    for first in range(0, len(rows), batch):
        parts.take(prints(*rows[first : first + batch]))
    parts.settle(at(10_000))
    assert parts.rows == whole.rows
    assert parts.contracts(unusual_only=False) == whole.contracts(unusual_only=False)
    traded = sum(row[2] for row in rows if row[4] != 201)
    kept = sum(one.volume for one in whole.contracts(unusual_only=False))
    matched = whole.cancelled
    assert kept <= traded
    assert (kept == traded) == (matched == 0)
    for contract in whole.contracts(unusual_only=False):
        assert contract.bought + contract.sold <= contract.premium + 1e-6
        assert min(contract.bought, contract.sold, contract.premium) >= -1e-6
        assert contract.sweeps == sum(row.sweep for row in whole.rows if row.occ == contract.occ)
        assert contract.blocks == sum(row.block for row in whole.rows if row.occ == contract.occ)


def test_nothing_is_nothing():
    none = np.empty(0, dtype=np.int64)
    assert (
        flow().take(Prints(none, none * 1.0, none, none, none.reshape(0, 4), none, none * 1.0, none * 1.0, none)) == []
    )
