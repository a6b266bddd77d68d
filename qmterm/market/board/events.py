"""The events of a stream frame as typed structs, one union by "ev" (PROTOCOLS.md 5.3), only the fields we read.

The trap: one odd event fails the typed decoding of its whole frame, so such a frame is read again event by event
and only the odd ones are lost, counted as unknown (a type we do not use) or malformed.
"""

from __future__ import annotations

import msgspec


class TradeEvent(msgspec.Struct, tag_field="ev", tag="T", gc=False):
    sym: str
    p: float
    t: int
    c: list[int] | None = None
    s: float = 0.0
    x: int = 0


class QuoteEvent(msgspec.Struct, tag_field="ev", tag="Q", gc=False):
    sym: str
    t: int
    bp: float = 0.0
    ap: float = 0.0
    bs: float = 0.0
    as_: float = msgspec.field(default=0.0, name="as")


class BarEvent(msgspec.Struct, gc=False):
    """`v` is the bar's volume; `av`, `op`, `a`: the day's volume, official open and VWAP so far."""

    sym: str
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    s: int
    e: int
    av: float = 0.0
    a: float = 0.0
    op: float = 0.0
    v: float = 0.0


class SecondBar(BarEvent, tag_field="ev", tag="A", gc=False):
    pass


class MinuteBar(BarEvent, tag_field="ev", tag="AM", gc=False):
    pass


class BandEvent(msgspec.Struct, tag_field="ev", tag="LULD", gc=False):
    """`t` is in ms by the documents and in µs by their example; indicators 17 and 18: halted, resumed.

    A halt need not come with bands.
    """

    T: str
    h: float | None = None
    l: float | None = None  # noqa: E741
    t: int = 0
    i: list[int] | None = None


class Status(msgspec.Struct, tag_field="ev", tag="status", gc=False):
    status: str
    message: str = ""


Event = QuoteEvent | TradeEvent | MinuteBar | SecondBar | BandEvent | Status
_KNOWN = frozenset({"T", "Q", "A", "AM", "LULD", "status"})


class _Tag(msgspec.Struct):
    ev: str = ""


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last: 200,000 times "["
_frame = msgspec.json.Decoder(list[Event])
_event = msgspec.json.Decoder(Event)
_raw = msgspec.json.Decoder(list[msgspec.Raw])
_tag = msgspec.json.Decoder(_Tag)


def read_frame(frame: bytes) -> tuple[list[Event], int, int]:
    """(readable events, unknown, malformed); never raises, whatever the bytes are."""
    try:
        return _frame.decode(frame), 0, 0
    except _UNREADABLE:
        pass
    try:
        rows = _raw.decode(frame)
    except _UNREADABLE:
        rows = [msgspec.Raw(frame)]  # one bare object, or not JSON at all
    good: list[Event] = []
    unknown = malformed = 0
    for row in rows:
        try:
            good.append(_event.decode(row))
        except _UNREADABLE:
            if _is_unknown(row):
                unknown += 1
            else:
                malformed += 1
    return good, unknown, malformed


def statuses_of(frame: bytes) -> tuple[Status, ...]:
    """Only the control messages of a frame; anything else in it is ignored."""
    return tuple(event for event in read_frame(frame)[0] if isinstance(event, Status))


def _is_unknown(row: msgspec.Raw) -> bool:
    try:
        tag = _tag.decode(row).ev
    except _UNREADABLE:
        return False
    return tag != "" and tag not in _KNOWN
