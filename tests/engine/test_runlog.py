"""The log: one line an event, in the journal and on stderr alike, and no secret in any of them."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from qmterm.engine.runlog import LINES_KEPT, RunLog, Scrubber
from tests.engine.fakes import clock_at

SECRET = "pk_live_1234567890"


class Sink:
    def __init__(self):
        self.rows = []

    def note(self, kind, subject, body, time_ns):
        self.rows.append((kind, subject, body))


def kept(**numbers):
    sink, printed = Sink(), []
    log = RunLog(clock_at(), Scrubber([SECRET, None, ""]), lambda line, body: printed.append((line, body)))
    log.keep_in(sink)
    log.error("ORD", f"GET /v2?apiKey={SECRET} failed", f"key {SECRET}", **numbers)
    return sink, printed, log


def everything(sink, printed, log):
    lines = [getattr(line, field.name) for line in log.lines for field in fields(line)]
    return repr((sink.rows, [(str(line), body) for line, body in printed], lines))


shapes = st.recursive(
    st.sampled_from([SECRET, f"Bearer {SECRET}", "harmless", 3, None, 2.5]) | st.just(ValueError(f"bad {SECRET}")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", SECRET]), inner, max_size=2),
    max_leaves=6,
)


@given(shapes)
def test_no_secret_passes_in_any_shape(value):
    assert SECRET not in everything(*kept(detail=value))


def test_what_is_not_secret_passes_unchanged():
    sink, _, log = kept(price="4.15", quantity=3)
    kind, _, body = sink.rows[0]
    assert kind == "ORD"
    assert (body["price"], body["quantity"], body["level"]) == ("4.15", 3, "error")
    assert log.lines[0].text == "GET /v2?apiKey=••• failed"


def test_a_secret_that_contains_another_is_replaced_whole():
    scrub = Scrubber(["abcdef", "abcdefghijkl"])
    assert scrub("x abcdefghijkl y") == "x ••• y"


def test_the_screen_keeps_the_newest_lines_and_the_count_goes_on():
    log = RunLog(clock_at())
    for number in range(LINES_KEPT + 5):
        log.info("X", str(number))
    assert len(log.lines) == LINES_KEPT
    assert log.lines[-1].text == str(LINES_KEPT + 4)
    assert log.levels["info"] == LINES_KEPT + 5


def test_a_number_called_level_is_kept_beside_the_events_own_level():
    """A scale-out's numbers have one: it broke the turn that wanted to announce it."""
    sink, _, log = kept(level=7.0, text="x")
    body = sink.rows[0][2]
    assert (body["level"], body["level_"], body["text_"]) == ("error", 7.0, "x")
    assert log.levels == {"error": 1}
