"""A table gives every symbol one row, asked for one by one or by the thousand, in either spelling."""

from hypothesis import given
from hypothesis import strategies as st

from qmterm.market.board.board import Board
from qmterm.market.board.table import QuoteTable

names = st.lists(st.sampled_from([f"N{number}" for number in range(12)]), max_size=8)


@given(st.lists(names, max_size=6))
def test_rows_are_those_of_adding_one_by_one(asked):
    many, one = QuoteTable((), wire=str.lower), QuoteTable((), wire=str.lower)
    for symbols in asked:
        for symbol in symbols:
            one.add((symbol,))
        assert many.rows(symbols).tolist() == [one.numbers[symbol] for symbol in symbols]
        assert many.symbols == one.symbols
        assert len(many.bid) == len(many.symbols)
    assert many.wire_numbers == one.wire_numbers == {name.lower(): row for name, row in one.numbers.items()}


def test_the_streams_spelling_knows_every_contract_whenever_it_was_added():
    table = Board().options
    assert table.rows(["SPY   260417C00500000", "SPY   260417P00500000"]).tolist() == [0, 1]
    assert table.wire_numbers == {"O:SPY260417C00500000": 0, "O:SPY260417P00500000": 1}
    assert table.rows(["SPY   260417P00500000", "BRKB  260417C00500000"]).tolist() == [1, 2]
    assert table.wire_numbers["O:BRKB260417C00500000"] == 2
