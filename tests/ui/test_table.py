import random
from typing import NamedTuple

import pytest

from qmterm.ui.table import Cell, Column, Filter, Table, visible_columns


class Row(NamedTuple):
    name: str
    price: float | None


COLUMNS = (
    Column("name", "name", 6, lambda row: Cell(row.name), lambda row: row.name, right=False, keep=9),
    Column("price", "price", 8, lambda row: Cell(str(row.price)), lambda row: row.price, keep=5),
    Column("note", "note", 10, lambda row: Cell(""), None, keep=1),
)


def table_of(*rows):
    table = Table(lambda row: row.name, lambda row: row.name, COLUMNS)
    table.load(rows, 0.0)
    return table


def names(table):
    return [row.name for row in table.rows]


A, B, C = Row("A", 3.0), Row("B", 1.0), Row("C", None)


def test_the_cursor_stays_on_its_row_when_rows_come_before_it():
    table = table_of(A, B)
    table.go_to_key("B")
    table.load((Row("X", 1.0), A, B), 5.0)
    assert table.current_key == "B"
    assert table.cursor == 2


def test_in_a_ranking_an_untouched_cursor_stays_on_top_and_says_that_the_row_changed():
    table = Table(lambda row: row.name, lambda row: row.name, COLUMNS, sticks_to_top=True)
    table.load((A, B), 0.0)
    table.load((B, A), 5.0)
    assert table.current_key == "B"
    assert table.moved_at == 5.0
    table.go_to_key("A")
    table.load((C, B, A), 9.0)
    assert table.current_key == "A"


def test_a_vanished_row_is_noticed_and_naming_another_ends_the_guard():
    table = table_of(A, B, C)
    table.go_to_key("B")
    table.load((A, C), 7.0)
    assert table.current_key == "C"
    assert table.moved_at == 7.0
    table.go_to_key("A")
    assert table.moved_at < 0


def test_a_step_or_a_jump_right_after_the_rows_moved_is_guarded_too():
    table = table_of(A, B)
    table.load((C, A, B), 7.0)
    assert table.current_key == "A"
    assert table.moved_at < 0
    for aim in (lambda: table.go(0), lambda: table.move(-1), lambda: table.move(1)):
        aim()
        assert table.moved_at == 7.0


def test_rows_that_come_at_the_end_or_by_the_persons_own_sort_guard_nothing():
    table = table_of(A, B)
    table.load((A, B, C), 7.0)
    table.set_sort("price", False, 8.0)
    assert names(table) == ["B", "A", "C"]
    table.go(0)
    assert table.moved_at < 0


def test_rows_change_places_at_most_once_a_second():
    table = table_of(A, B)
    table.set_sort("price", True, 0.0)
    assert names(table) == ["A", "B"]
    flipped = (Row("A", 1.0), Row("B", 9.0))
    table.load(flipped, 0.4)
    assert names(table) == ["A", "B"]
    assert table.rows[1].price == 9.0
    table.load(flipped, 0.9)
    assert names(table) == ["A", "B"]
    table.load(flipped, 1.1)
    assert names(table) == ["B", "A"]


def test_unknown_sorts_last_in_both_directions():
    table = table_of(A, B, C)
    table.set_sort("price", True, 0.0)
    assert names(table) == ["A", "B", "C"]
    table.set_sort("price", False, 0.0)
    assert names(table) == ["B", "A", "C"]


def test_filters_keep_reverse_and_survive_a_broken_pattern():
    table = table_of(A, B, C)
    table.set_filter("a|c", 0.0)
    assert names(table) == ["A", "C"]
    table.set_filter("!a", 0.0)
    assert names(table) == ["B", "C"]
    table.set_filter("(", 0.0)
    assert names(table) == []
    table.set_filter("", 0.0)
    assert names(table) == ["A", "B", "C"]
    assert Filter.parse("!  ") is None


def test_find_goes_around_and_uses_the_last_filter():
    table = table_of(A, B, Row("A2", 1.0))
    assert not table.find(1)
    table.set_filter("a", 0.0)
    table.set_filter("", 0.0)
    assert table.find(1)
    assert table.current_key == "A2"
    table.find(1)
    assert table.current_key == "A"
    table.find(-1)
    assert table.current_key == "A2"


def test_the_least_kept_columns_leave_first():
    assert [column.id for column in visible_columns(COLUMNS, 40)] == ["name", "price", "note"]
    assert [column.id for column in visible_columns(COLUMNS, 20)] == ["name", "price"]
    assert [column.id for column in visible_columns(COLUMNS, 8)] == ["name"]


def test_sides_of_a_chain_leave_in_pairs():
    pair = tuple(
        Column(f"{side}.iv", "IV", 5, lambda row: Cell(""), None, keep=1, group=side) for side in ("call", "put")
    )
    assert [column.id for column in visible_columns((pair[0], *COLUMNS[:2], pair[1]), 23)] == ["name", "price"]


@pytest.mark.parametrize("seed", range(5))
def test_a_random_day_never_moves_the_cursor_to_another_row_silently(seed):
    rng = random.Random(seed)
    table = table_of(*(Row(f"S{number}", rng.random()) for number in range(20)))
    now = 0.0
    for _ in range(300):
        now += 0.2
        before = table.current_key
        rows = tuple(Row(f"S{number}", rng.random()) for number in rng.sample(range(24), rng.randint(1, 24)))
        table.load(rows, now)
        assert 0 <= table.cursor < len(table.rows)
        assert table.current_key == before or table.moved_at == now
        if rng.random() < 0.3:
            table.set_sort(rng.choice(["name", "price", ""]), rng.random() < 0.5, now)
        if rng.random() < 0.3:
            table.move(rng.randint(-5, 5))
