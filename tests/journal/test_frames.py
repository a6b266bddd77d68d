"""Messages between engine and scribe come out as they went in, however the socket cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.journal.commits import Batch
from qmterm.journal.frames import Answer, Frames, Ready, answer_of, batch_of, framed, ready_of
from qmterm.journal.records import Record

VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(allow_nan=False)
RECORDS = st.builds(
    Record,
    kind=st.sampled_from(["intent", "log"]),
    subject=st.text(),
    time_ns=st.integers(0, 2**62),
    real_ns=st.integers(0, 2**62),
    session_id=st.none() | st.integers(1, 100),
    values=st.lists(VALUES, max_size=4).map(tuple) | st.dictionaries(st.text(), VALUES, max_size=4),
    body=st.text(),
)


@given(st.lists(st.lists(RECORDS, max_size=4), min_size=1, max_size=4), st.data())
def test_batches_come_out_whole_and_in_order(groups, data):
    batches = [Batch(number, records) for number, records in enumerate(groups)]
    wire = b"".join(map(framed, batches))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    frames, out = Frames(), []
    for first, last in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        out += [batch_of(body) for body in frames.take(wire[first:last])]
    assert out == batches


def test_answers_tell_written_there_already_and_refused_apart():
    (body,) = Frames().take(framed(Answer([True, False, "The disk is full"], 1.5, 2.5)))
    assert answer_of(body) == Answer([True, False, "The disk is full"], 1.5, 2.5)


def test_a_scribe_that_cannot_open_the_file_says_why():
    (body,) = Frames().take(framed(Ready("The journal is damaged")))
    assert ready_of(body).trouble == "The journal is damaged"


@pytest.mark.parametrize("odd", [1 << 70, "\ud800", object()])
def test_what_has_no_place_in_a_message_is_an_error_before_anything_leaves(odd):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        framed(Batch(1, [Record("log", "x", 0, 0, None, {"odd": odd}, "{}")]))
