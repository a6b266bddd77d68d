"""Bars of watched stocks from their trades: compared with the vendor's, standing in for those that do not come."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest

from qmterm.core.clock import from_et
from qmterm.market.bars.live import LiveBars
from qmterm.market.bars.trades import MINUTE_NS
from qmterm.market.board.board import Board
from qmterm.market.board.plain import PlainDecoder
from qmterm.market.board.trades import TradeTape
from qmterm.market.stream.gaps import MinuteLedger

DAY = date(2026, 3, 2)
OPEN, CLOSE = from_et(DAY, 9, 30), from_et(DAY, 16, 0)
S = 1_000_000_000
HEARD = frozenset({"T.AAPL", "Q.AAPL", "AM.*"})


class House:
    def __init__(self, capacity: int = 64) -> None:
        self.board = Board(("AAPL", "MSFT"))
        self.board.start_session(OPEN, CLOSE)
        tape = TradeTape(capacity)
        self.decoder = PlainDecoder(self.board, "stocks", tape)
        self.told: list[str] = []
        self.bars = LiveBars(self.board, tape, lambda symbol, text: self.told.append(text))
        self.bars.hear(HEARD, 0, OPEN - MINUTE_NS)

    def trade(self, second: float, price: float, size: int = 100, conditions=None, symbol: str = "AAPL") -> None:
        at = (OPEN + int(second * S)) // 1_000_000
        event = {"ev": "T", "sym": symbol, "p": price, "s": size, "t": at, "c": conditions or [], "x": 4}
        self.decoder.apply(json.dumps([event]).encode(), 0)

    def told_bar(self, minute: int, prices: tuple[float, ...], volume: float, symbol: str = "AAPL") -> None:
        start = (OPEN + minute * MINUTE_NS) // 1_000_000
        event = {"ev": "AM", "sym": symbol, **dict(zip("ohlc", prices, strict=True)), "v": volume}
        self.decoder.apply(json.dumps([event | {"s": start, "e": start + 60_000}]).encode(), 0)

    def minute(self) -> None:
        """Three trades of the session's first minute, one of them an odd lot far away."""
        self.trade(1, 10.0)
        self.trade(20, 99.0, 5, [37])
        self.trade(30, 10.4)
        self.trade(59, 10.2)

    def turn(self, second: float) -> None:
        self.bars.turn(OPEN + int(second * S))

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.bars.checked, self.bars.differ, self.bars.own

    def close(self, second: float) -> float | None:
        found = self.board.five_minute_close("AAPL", OPEN + int(second * S))
        return None if found is None else found[0]


def test_a_late_bar_is_stood_in_for_after_the_grace_and_theirs_takes_its_place() -> None:
    house = House()
    house.minute()
    house.turn(61.9)
    assert house.counts == (0, 0, 0)
    house.turn(62)
    assert house.counts == (0, 0, 1)
    held = house.board.minutes.bar(0, OPEN, OPEN, 0)
    assert (held.open, held.high, held.low, held.close) == (10.0, 10.4, 10.0, 10.2)
    assert house.close(303) == 10.2
    house.told_bar(0, (10.0, 10.4, 10.0, 10.2), 305)
    house.turn(70)
    assert house.counts == (1, 0, 1)
    assert house.told == []


def test_equal_bars_are_counted_and_differing_ones_said_once_a_symbol() -> None:
    house = House()
    for minute in range(3):
        house.trade(60 * minute + 5, 10.0)
        house.told_bar(minute, (10.0, 10.0, 10.0, 10.0), 100 if minute == 0 else 300)
    house.turn(300)
    assert house.counts == (3, 2, 0)
    assert house.told == ["AAPL: our bars differ from the vendor's, first at 09:31: volume 100, theirs 300"]


@pytest.mark.parametrize("what", ["confirmed late", "dropped", "overrun", "not watched"])
def test_a_minute_that_was_not_heard_whole_makes_no_bar(what: str) -> None:
    house = House(capacity=3 if what == "overrun" else 64)
    if what == "confirmed late":
        house.bars.hear(frozenset(), 0, OPEN)
        house.bars.hear(HEARD, 0, OPEN + S)
    house.minute()
    if what == "dropped":
        house.bars.hear(HEARD, 1, OPEN + 40 * S)
    if what == "not watched":
        house.bars.hear(frozenset({"AM.*"}), 0, OPEN + 40 * S)
    house.turn(40)
    house.told_bar(0, (9.0, 9.0, 9.0, 9.0), 100)
    house.turn(80)
    assert house.counts == (0, 0, 0)
    if what != "not watched":
        house.trade(65, 11.0)
        house.turn(130)
        assert house.counts == (0, 0, 1)  # the next minute was heard whole


def test_only_the_regular_session_makes_bars_of_ours() -> None:
    house = House()
    house.trade(-30, 9.0, conditions=[12])
    house.turn(3)
    house.trade(23_401, 12.0, conditions=[12])
    house.turn(23_500)
    assert house.counts == (0, 0, 0)


def test_a_bar_of_ours_does_not_hide_a_minute_that_the_stream_lost() -> None:
    house = House()
    ledger = MinuteLedger()
    ledger.start_session(OPEN, CLOSE)
    ledger.listens(OPEN, OPEN)
    ring = house.board.minutes
    for row in range(2):
        ring.write(row, OPEN, 1, 1, 1, 1, 100)
    house.trade(70, 10.0)
    house.turn(130)
    assert house.bars.own == 1
    assert np.isnan(ring.told(OPEN // MINUTE_NS + 1, np.array([0]))).all()
    ledger.judge(OPEN + 130 * S, ring, 2)
    assert ledger.bars[:2].tolist() == [2, 0]


def test_an_unknown_condition_is_said_once_and_counts_fully() -> None:
    house = House()
    house.trade(1, 10.0, conditions=[97, 37])
    house.trade(2, 10.5, conditions=[97])
    house.turn(3)
    house.trade(4, 10.6, conditions=[97])
    house.turn(70)
    assert house.told == ["trade condition 97 is in no table: its trades count fully in our bars"]
    assert house.board.minutes.bar(0, OPEN, OPEN, 0).high == 10.6
