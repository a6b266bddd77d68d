"""Contract volumes by session: unknown until enough sessions are kept, joined, whole or not at all."""

from datetime import date, timedelta

import numpy as np

from qmterm.market.flow.volumes import FEWEST, SESSIONS, VolumeStore

A, B = "AAPL  260417C00260000", "AAPL  260417P00250000"
FIRST = date(2026, 1, 1)


def kept(folder, days, volume=lambda number: (100 + number, 10)):
    store = VolumeStore(folder)
    for number in range(days):
        store.note(FIRST + timedelta(days=number), [A, B], np.array(volume(number)))
    store.save()
    return store


def test_a_mean_is_unknown_until_enough_sessions_are_there(tmp_path):
    assert kept(tmp_path, FEWEST - 1).means(date(2026, 12, 1)) == {}
    assert kept(tmp_path, FEWEST).means(date(2026, 12, 1)) == {A: 102.0, B: 10.0}


def test_only_the_last_twenty_before_the_day(tmp_path):
    store = kept(tmp_path, 30)
    day = FIRST + timedelta(days=29)  # its own file must not count
    assert store.means(day)[A] == np.mean([100 + number for number in range(29 - SESSIONS, 29)])


def test_unknown_volumes_are_left_out_and_later_notes_join(tmp_path):
    store = VolumeStore(tmp_path)
    store.note(FIRST, [A, B], np.array([-1, 7]))
    assert store.save() == 1
    store.note(FIRST, [A], np.array([5]))
    assert store.save() == 1
    kept(tmp_path, FEWEST, lambda number: (5, 7))
    assert store.means(date(2026, 12, 1)) == {A: 5.0, B: 7.0}
    assert not list(tmp_path.glob("*.part"))


def test_without_a_folder_nothing_is_kept_and_nothing_known():
    store = kept(None, 9)
    assert store.means(date(2026, 12, 1)) == {}
