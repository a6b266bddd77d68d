"""The symbol index finds every name it was given and no other, however it grew."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.market.board.symbol_index import SymbolIndex


def find(index, name):
    """As the machine code looks: from the name's own slot on to the first free one."""
    words = [int.from_bytes(name.encode()[begin : begin + 8], "little") for begin in (0, 8, 16)]
    factors = (0x1E3779B97F4A7C15, 0x2545F4914F6CDD1D, 0x27220A95FE0B2B05)
    mixed = sum(word * factor for word, factor in zip(words, factors, strict=True)) % 2**64
    mixed = mixed - 2**64 if mixed >= 2**63 else mixed
    place = ((mixed ^ (mixed >> 29)) >> 20) & index.mask
    slots = index.slots.reshape(-1, 4)
    while slots[place, 3]:
        if slots[place, :3].tolist() == words:
            return int(slots[place, 3]) - 1
        place = (place + 1) & index.mask
    return None


names = st.text("ABCDEFGH:.0123456789", min_size=1, max_size=24)


@settings(max_examples=40)
@given(st.lists(st.lists(names, max_size=30), max_size=3), st.integers(1, 300))
def test_every_name_is_found_and_no_other(batches, more):
    index, rows = SymbolIndex(), {}
    for batch in [*batches, [f"S{number}" for number in range(more)]]:
        new = {name: len(rows) + place for place, name in enumerate(dict.fromkeys(batch)) if name not in rows}
        rows |= new
        index.add(new.items())
    assert all(find(index, name) == row for name, row in rows.items())
    assert find(index, "NEVER-GIVEN") is None
    assert 2 * np.count_nonzero(index.slots.reshape(-1, 4)[:, 3]) <= index.mask + 1


def test_it_grows_past_a_market_of_symbols_and_keeps_no_odd_names():
    index = SymbolIndex()
    index.add((f"O:SPY2612{number:02d}C{number:08d}", number) for number in range(9_000))
    index.add([("É", 1), ("", 2), ("X" * 25, 3)])
    assert find(index, f"O:SPY2612{8_999:02d}C{8_999:08d}") == 8_999
    assert np.count_nonzero(index.slots.reshape(-1, 4)[:, 3]) == 9_000
