"""Positions and working orders first, then tickets, then the scan's candidates, then the market by money traded."""

import numpy as np

from qmterm.market.board.table import QuoteTable
from qmterm.market.rest.budget import Priority
from qmterm.market.stream.order import Standing, repair_order

NAMES = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")


def table():
    made = QuoteTable(NAMES)
    made.day_volume[:6] = [10, 0, 500, 10, 20, 7]
    made.last[:6] = [1.0, np.nan, 2.0, 300.0, 1.0, 1.0]
    return made


def ordered(standing, names=NAMES):
    board = table()
    rows = np.array([board.numbers[name] for name in names], dtype=np.int64)
    return [(board.symbols[row], priority.name) for row, priority in repair_order(standing, rows, board)]


def test_what_is_held_comes_first_then_tickets_then_candidates_then_the_rest_by_money_traded():
    standing = Standing(held=("FFF",), watched=("EEE",), candidates=("BBB", "AAA"))
    assert ordered(standing) == [
        *(("FFF", "POSITIONS"), ("EEE", "WATCH"), ("BBB", "SCAN"), ("AAA", "SCAN")),
        *(("DDD", "HISTORY"), ("CCC", "HISTORY")),
    ]


def test_a_stock_in_several_classes_counts_in_the_first_and_once():
    standing = Standing(held=("CCC",), watched=("CCC", "AAA"), candidates=("AAA", "CCC"))
    assert ordered(standing)[:2] == [("CCC", "POSITIONS"), ("AAA", "WATCH")]
    assert len(ordered(standing)) == len(NAMES)


def test_only_those_that_lack_a_minute_are_in_it_and_names_nobody_knows_are_left_out():
    standing = Standing(held=("ZZZ", "AAA"), watched=("BBB",))
    assert ordered(standing, ("CCC", "BBB")) == [("BBB", "WATCH"), ("CCC", "HISTORY")]


def test_priorities_follow_the_order():
    classes = [Priority[name] for _, name in ordered(Standing(held=("AAA",), watched=("BBB",), candidates=("CCC",)))]
    assert classes == sorted(classes)
