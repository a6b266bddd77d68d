"""Whatever is wanted, and however the wish changes: never too many, pinned ones always, everybody has a turn."""

from hypothesis import given
from hypothesis import strategies as st

from qmterm.market.stream.rotation import DWELL_S, Rotation

S = 1_000_000_000
names = st.integers(0, 60).map("C{:02d}".format)
wishes = st.lists(st.tuples(st.frozensets(names, max_size=12), st.lists(names, max_size=60)), min_size=1, max_size=8)


@given(limit=st.integers(12, 30), wishes=wishes, steps=st.lists(st.integers(0, 25), min_size=8, max_size=8))
def test_never_too_many_and_never_without_a_pinned_one(limit, wishes, steps):
    rotation, now = Rotation(limit), 0
    for (pinned, later), step in zip(wishes, steps, strict=False):
        now += step * S
        rotation.wish(pinned, later)
        for look in range(4):
            held = rotation.at(now + look * S)
            wanted = pinned | set(later)
            assert len(held) <= limit
            assert pinned <= held <= wanted
            assert len(held) == min(limit, len(wanted))  # no seat stays empty while somebody waits


@given(limit=st.integers(4, 20), pinned=st.frozensets(names, max_size=3), later=st.lists(names, unique=True))
def test_everybody_has_a_turn_in_a_bounded_time(limit, pinned, later):
    rotation = Rotation(limit)
    rotation.wish(pinned, later)
    seen = set()
    seats = max(1, (limit - len(pinned)) // 4)
    for turn in range(-(-len(later) // seats) + 1):
        seen |= rotation.at(int(turn * DWELL_S * S))
    assert seen == pinned | set(later)


def test_a_turn_lasts_though_the_wish_changes():
    rotation = Rotation(4)
    rotation.wish({"P"}, ["A", "B", "C", "D", "E"])
    first = rotation.at(0)
    assert first == {"P", "A", "B", "C"}
    rotation.wish({"P"}, ["A", "B", "D", "C", "E", "F"])
    assert rotation.at(int(5 * S)) == first
    assert rotation.at(int(10 * S)) == {"P", "A", "B", "D"}
    assert rotation.at(int(20 * S)) == {"P", "A", "B", "E"}


def test_order_of_the_wish_decides_who_keeps_a_seat():
    rotation = Rotation(8)
    rotation.wish((), [f"C{n}" for n in range(20)])
    kept = set.intersection(*(set(rotation.at(turn * 10 * S)) for turn in range(12)))
    assert kept == {f"C{n}" for n in range(6)}


def test_more_positions_than_seats_take_turns_instead_of_failing():
    rotation = Rotation(3)
    pinned = {f"P{n}" for n in range(5)}
    rotation.wish(pinned, ["A"])
    turns = [rotation.at(turn * 10 * S) for turn in range(2)]
    assert all(len(held) == 3 for held in turns)
    assert set.union(*map(set, turns)) == pinned


def test_what_fits_is_held_whole_and_at_once():
    rotation = Rotation(1_000)
    rotation.wish({"P"}, [f"C{n}" for n in range(999)])
    assert len(rotation.at(0)) == 1_000
    assert not rotation.turning
