"""Silence is judged by the hour, the canaries and the stream's own past: dead streams quickly, quiet ones never."""

import random
from datetime import date

import pytest

from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.clock import NS, from_et
from qmterm.market.stream.vigil import Patience, Tide, Vigil

CALENDAR = SessionCalendar.load(date(2025, 1, 1), date(2026, 12, 31))
TIDES = {Phase.PRE: Tide.THIN, Phase.REGULAR: Tide.BUSY, Phase.POST: Tide.THIN, Phase.CLOSED: Tide.STILL}
SPY, OTHER = b'[{"ev":"Q","sym":"SPY"}]', b'[{"ev":"Q","sym":"F"}]'
LOOK = 0.25


def vigil(*channels, canaries=("SPY", "QQQ"), patience=None):
    watch = Vigil(patience or Patience(), frozenset(canaries))
    watch.begin(0.0)
    watch.confirmed(set(channels))
    return watch


def silence(watch, since, until, tide=Tide.BUSY, rate=1.0):
    """Look on while nothing comes; the moment it is found mute, or None."""
    now = since
    while now < until:
        now += LOOK
        if watch.look(now, tide, rate):
            return now
    return None


def speak(watch, since, until, every, frame=SPY, tide=Tide.BUSY, rate=1.0):
    now, said = since, []
    next_frame = since
    while now < until:
        if now >= next_frame:
            watch.heard(frame, now)
            next_frame += every
        said.append(watch.look(now, tide, rate))
        now += min(LOOK, every)
    assert not any(said), [text for text in said if text]
    return now


def test_silent_canaries_are_noticed_within_five_seconds():
    watch = vigil("AM.*", "T.SPY", "Q.SPY")
    now = speak(watch, 0.0, 60.0, 0.2)
    assert silence(watch, now, now + 60) - now <= 5.0
    assert watch.in_row == 1


def test_the_reason_names_the_canaries():
    watch = vigil("Q.SPY", "Q.QQQ")
    speak(watch, 0.0, 10.0, 0.5)
    why = ""
    for step in range(60):
        why = why or watch.look(10.0 + step * LOOK, Tide.BUSY, 1.0)
    assert why.startswith("nothing of QQQ, SPY for ")


def test_each_mute_in_a_row_is_given_twice_the_time_and_data_start_afresh():
    watch, waits, now = vigil("Q.SPY"), [], 0.0
    for _ in range(6):
        watch.begin(now)
        watch.confirmed({"Q.SPY"})
        found = silence(watch, now, now + 200)
        waits.append(found - now)
        now = found
    assert waits == sorted(waits)
    assert waits[-1] < 16 * 5
    watch.heard(SPY, now)
    assert watch.in_row == 0


def test_canaries_that_are_halted_while_others_speak_get_more_time():
    watch = vigil("Q.SPY")
    now = speak(watch, 0.0, 20.0, 0.2)
    found = None
    for step in range(400):
        at = now + step * LOOK
        watch.heard(OTHER, at)
        if watch.look(at, Tide.BUSY, 1.0):
            found = at
            break
    assert found is not None
    assert found - now > 20


def test_a_plan_with_minute_bars_only_is_given_75_seconds():
    watch = vigil("AM.*")
    now = speak(watch, 0.0, 600.0, 60.0, OTHER)
    found = silence(watch, now, now + 200)
    assert 10 < found - now <= 76


def test_patience_is_in_market_seconds():
    watch = vigil("AM.*")
    now = speak(watch, 0.0, 20.0, 1.0, OTHER, rate=60.0)
    assert silence(watch, now, now + 60, rate=60.0) - now <= 2.0


def test_a_market_that_speaks_every_five_seconds_is_not_mute():
    watch = vigil("Q.SPY")
    speak(watch, 4.0, 300.0, 5.0)


def test_option_quotes_without_canaries_follow_their_own_rate():
    watch = vigil("Q.O:SPY261218C00500000", canaries=())
    now = speak(watch, 0.0, 60.0, 0.3, OTHER)
    assert silence(watch, now, now + 200) - now <= 5.0
    slow = vigil("Q.O:SPY261218C00500000", canaries=())
    now = speak(slow, 0.0, 1_500.0, 20.0, OTHER)
    assert silence(slow, now, now + 200) - now > 50.0  # of the 75, up to 20 had passed


def test_time_in_which_our_own_loop_stood_is_no_silence():
    watch = vigil("Q.SPY")
    now = speak(watch, 0.0, 20.0, 0.2)
    assert watch.look(now + 8.0, Tide.BUSY, 1.0) == ""
    assert silence(watch, now + 8.0, now + 30.0) is not None


def test_a_closed_market_and_a_lockstep_one_are_never_mute():
    watch = vigil("Q.SPY")
    assert silence(watch, 0.0, 4_000.0, Tide.STILL) is None
    # and the open does not count the night
    assert silence(watch, 4_000.0, 4_004.0, Tide.BUSY) is None


def test_after_a_thin_hour_the_stream_is_still_found_mute():
    watch = vigil("Q.SPY")
    now = speak(watch, 0.0, 3_000.0, 8.0, OTHER, Tide.THIN)
    found = silence(watch, now, now + 4_000, Tide.THIN)
    assert found is not None
    assert found - now <= 760


NIGHTS = {
    "after a half day": from_et(date(2025, 11, 28), 12, 0),
    "after a session": from_et(date(2026, 3, 2), 15, 0),
    "over a holiday": from_et(date(2026, 7, 2), 15, 0),
    "over the change of summer time": from_et(date(2026, 3, 6), 15, 0),
}


@pytest.mark.parametrize("start", NIGHTS.values(), ids=NIGHTS.keys())
@pytest.mark.parametrize("canaries_too", [True, False])
def test_no_false_alarm_over_a_whole_night(start, canaries_too):
    """Random arrivals that thin out after the close, stop, and come back before the open (virtual seconds)."""
    chance = random.Random(f"{start} {canaries_too}")
    watch = vigil(*(("AM.*", "Q.SPY", "T.SPY") if canaries_too else ("AM.*",)))
    first_open = CALENDAR.next_open_ns(start)
    end = first_open + 1800 * NS
    now_ns, heard = start, 0
    now = next_frame = 0.0
    tide, alarms = Tide.BUSY, []
    while now_ns < end:
        before, tide = tide, TIDES[CALENDAR.phase(now_ns)]
        if before is Tide.THIN and tide is Tide.BUSY:
            next_frame = now  # the open trades at once
        if now >= next_frame and tide is not Tide.STILL:
            watch.heard(SPY if canaries_too else OTHER, now)
            heard += 1
            to_open = (CALENDAR.next_open_ns(now_ns) - now_ns) / NS
            thin = 20.0 if to_open < 5_400 else 90.0 if canaries_too else 60.0
            mean = thin if tide is Tide.THIN else 0.4 if canaries_too else 30.0
            next_frame = now + min(chance.expovariate(1 / mean), 59.0 if tide is Tide.BUSY else 1e9)
            if tide is Tide.BUSY and canaries_too:
                next_frame = min(next_frame, now + 3.0)
        elif tide is Tide.STILL:
            next_frame = now
        alarms.append(watch.look(now, tide, 1.0))
        step = 60.0 if tide is Tide.STILL else 0.9
        if step > 1.0:
            watch._looked_s = now + step  # the night is passed in long steps, not in late looks
        now += step
        now_ns += int(step * NS)
    assert heard > 200
    assert not [text for text in alarms if text]
