"""What befalls names in a replay: nothing beside what its files tell, so nothing can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from qmterm.core.errors import BadInput
from qmterm.sim.corporate import Split
from qmterm.sim.happenings import Halt, Rename


class NothingBesides:
    def __init__(self, tickers: tuple[str, ...]) -> None:
        self._tickers = tickers
        self.halts: list[Halt] = []
        self.announced: list[Split] = []
        self.executed: list[tuple[str, Split]] = []
        self.renames: list[Rename] = []

    def add(self, request: Mapping[str, object]) -> str:
        raise BadInput("a replay plays what its files hold: market events are for the simulated market")

    def transitions(self, first_ns: int, last_ns: int) -> list[tuple[int, Halt, bool]]:
        return []

    def former(self, ticker: str) -> Rename | None:
        return None

    def ticker_on(self, symbol: int, day: date) -> str:
        return self._tickers[symbol]

    def first_day(self, symbol: int) -> date | None:
        return None
