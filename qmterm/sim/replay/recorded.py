"""A recording as a tape: frames go out byte for byte, and what they said is kept so that REST can answer.

The trap: frames that were read in lockstep have no arrival time (0), and every recording holds the service's own
control messages. A frame is due at its arrival or at the newest time inside it, whichever is later, and never before
the frame in front of it; control messages of the recorded connection are not data and are not played.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from qmterm.core.errors import BadInput
from qmterm.sim.market import Progress
from qmterm.sim.replay.day import ReplayDay
from qmterm.sim.replay.options import ReplayOptions, root_of
from qmterm.sim.session import MinuteBars
from qmterm.tape.frames import FrameReader, RecordedFrame

_MS = 1_000_000
_AHEAD_NS = 60 * 1_000_000_000  # a stamp further ahead of its arrival than this is the sender's mistake


class _Event(msgspec.Struct, gc=False):
    """Any event of the stream, only the fields read here."""

    ev: str = ""
    sym: str = ""
    T: str = ""
    o: float = 0.0
    h: float = 0.0
    l: float = 0.0  # noqa: E741
    c: float | list[int] = 0.0
    v: float = 0.0
    av: float = 0.0
    vw: float = float("nan")
    op: float = 0.0
    e: int = 0
    t: int = 0
    p: float = 0.0
    s: float = 0.0  # a trade's size; of a bar its start
    x: int = 0
    bp: float = 0.0
    ap: float = 0.0
    bs: float = 0.0
    as_: float = msgspec.field(default=0.0, name="as")


_events = msgspec.json.Decoder(list[_Event])
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_row = msgspec.json.Decoder(_Event)


def events_of(frame: bytes) -> list[_Event]:
    """The readable events of a frame; none for one that is no JSON array (it is played all the same)."""
    try:
        return _events.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        rows = _rows.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    out = []
    for row in rows:
        try:
            out.append(_row.decode(row))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return out


@dataclass(slots=True)
class Survey:
    """What a recording holds, from one pass over it."""

    stocks: dict[str, None] = field(default_factory=dict)  # in the order they first came
    contracts: dict[str, None] = field(default_factory=dict)
    kinds: dict[str, set[str]] = field(default_factory=dict)  # event types by cluster
    frames: int = 0
    first_ns: int = 0
    last_ns: int = 0
    torn: bool = False  # the last file ends in the middle of a block: the recorder was killed
    left_out: dict[Path, int] = field(default_factory=dict)  # frames that the recorder could not keep up with


def survey(files: tuple[Path, ...]) -> Survey:
    """BadInput for files that are damaged, or torn anywhere but at their end, and for those without any data."""
    found = Survey()
    for due, record, events in timed(files, found):
        found.frames += 1
        found.first_ns = found.first_ns or due
        found.last_ns = due
        names = found.contracts if record.cluster == "options" else found.stocks
        kinds = found.kinds.setdefault(record.cluster, set())
        for event in events:
            kinds.add(event.ev)
            name = event.T if event.ev == "LULD" else event.sym
            if name and name not in names and (record.cluster != "options" or root_of(name)):
                names[name] = None
    if not found.frames:
        raise BadInput(f"{files[0]} holds no data frame: record while the market is open")
    return found


def timed(files: tuple[Path, ...], found: Survey | None = None) -> Iterator[tuple[int, RecordedFrame, list[_Event]]]:
    """(market time it is due, record, its events) of every data frame, in order; `found` is told what is not there."""
    due = 0
    for file in files:
        reader = FrameReader(file)
        due = max(due, reader.header.start_ns)
        for record in reader:
            events = events_of(record.frame)
            if events and all(event.ev == "status" for event in events):
                continue
            newest = max((max(event.e, event.t) for event in events), default=0) * _MS
            if record.arrival_ns:
                newest = min(newest, record.arrival_ns + _AHEAD_NS)
            due = max(due, record.arrival_ns, newest)
            yield due, record, events
        if reader.torn and file != files[-1]:
            raise BadInput(
                f"{file} is torn in the middle of the recordings; frames behind the tear are lost: move it away"
            )
        if reader.damaged:
            raise BadInput(f"{file} has {reader.damaged} damaged blocks: copy the recording again, or move it away")
        if found is not None:
            found.torn = reader.torn
            if reader.left_out:
                found.left_out[file] = reader.left_out


class FrameTape:
    """Frames of all sessions, one after the other; the world goes on with the same tape on the next day."""

    def __init__(self, files: tuple[Path, ...], number: dict[str, int]) -> None:
        self._frames = timed(files)
        self._number = number
        self._next = next(self._frames, None)
        self._minute: dict[int, tuple[float, ...]] = {}

    @property
    def next_ns(self) -> int | None:
        return None if self._next is None else self._next[0]

    def take(self, day: ReplayDay, options: ReplayOptions, progress: Progress) -> None:
        if self._next is None:
            return
        _, record, events = self._next
        self._next = next(self._frames, None)
        progress.frames.append((record.cluster, record.frame))
        if record.cluster == "options":
            _learn_options(options, events)
        else:
            _learn_stocks(day, events, self._number)


def _learn_stocks(day: ReplayDay, events: list[_Event], number: dict[str, int]) -> None:
    minutes: dict[int, dict[int, _Event]] = {}
    for event in events:
        row = number.get(event.sym)
        if row is None:
            continue
        if event.ev == "AM":
            minutes.setdefault(event.e * _MS, {})[row] = event
        elif event.ev == "A" and event.e * _MS >= day.last_ns[row] and isinstance(event.c, float):
            day.last[row], day.last_ns[row], day.last_size[row] = event.c, event.e * _MS, 0
        elif event.ev == "T" and event.t * _MS >= day.last_ns[row] and event.p > 0:
            day.last[row], day.last_ns[row], day.last_size[row] = event.p, event.t * _MS, event.s
        elif event.ev == "Q" and event.t * _MS >= day.quote_ns[row]:
            day.bid[row], day.ask[row], day.quote_ns[row] = event.bp, event.ap, event.t * _MS
            day.bid_lots[row], day.ask_lots[row] = event.bs, event.as_
    for end_ns, bars in minutes.items():
        if end_ns > day.roll_ns:
            _learn_minute(day, end_ns, bars)


def _learn_minute(day: ReplayDay, end_ns: int, bars: dict[int, _Event]) -> None:
    """Minute bars of one frame; a bar that was already told (again, or corrected) leaves the day's sums alone."""
    rows = sorted(row for row in bars if day.latest_minute[5][row] < end_ns)
    if not rows:
        return
    told = [bars[row] for row in rows]
    closes = [event.c if isinstance(event.c, float) else 0.0 for event in told]
    minute = MinuteBars(
        end_ns=end_ns,
        symbol=np.array(rows, dtype=np.int32),
        open=np.array([event.o for event in told]),
        high=np.array([event.h for event in told]),
        low=np.array([event.l for event in told]),
        close=np.array(closes),
        volume=np.array([event.v for event in told]),
        day_volume=np.zeros(len(rows), dtype=np.int64),
        vwap=np.array([event.vw for event in told]),
    )
    day.take_minute(minute, np.array([event.av for event in told]))


def _learn_options(options: ReplayOptions, events: list[_Event]) -> None:
    rows = options.add(event.sym for event in events if root_of(event.sym))
    for event in events:
        row = rows.get(event.sym)
        if row is None:
            continue
        if event.ev == "Q" and event.t * _MS >= options.quote_ns[row]:
            options.bid[row], options.ask[row], options.quote_ns[row] = event.bp, event.ap, event.t * _MS
            options.bid_size[row], options.ask_size[row] = event.bs, event.as_
        elif event.ev == "T" and event.t * _MS >= options.trade_ns[row] and event.p > 0:
            options.last[row], options.trade_ns[row], options.trade_size[row] = event.p, event.t * _MS, int(event.s)
            options.exchange[row] = event.x
            options.condition[row] = event.c[0] if isinstance(event.c, list) and event.c else 0
            options.volume[row] = np.nan_to_num(options.volume[row]) + event.s
        elif event.ev in ("A", "AM") and event.av > 0:
            options.volume[row] = event.av
