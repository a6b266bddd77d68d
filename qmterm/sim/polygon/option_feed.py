"""What one connection hears of option contracts: quotes when they changed, prints as they were made, minute bars.

The trap: a print is judged by the quote in force when it was made, which is the one sent before this step's.
"""

from __future__ import annotations

import msgspec
import numpy as np

from qmterm.core.bars import BoolArray
from qmterm.sim.bar_history import MS
from qmterm.sim.listing import Contracts
from qmterm.sim.market import Market, stamps
from qmterm.sim.option_tape import CANCEL, paid
from qmterm.sim.polygon.frames import Aggregate, OptionQuote, OptionTrade

MINUTE_MS = 60_000


class OptionFeed:
    """Remembers what was last sent, so that only news is sent. Unknown or expired contracts stay silent."""

    def __init__(self, world: Market, names: frozenset[str], before: OptionFeed | None = None) -> None:
        """`before` is the feed of the old subscriptions: what it had sent is not sent again."""
        self._world = world
        found = [(name, world.listed(name)) for name in sorted(names)]
        alive = [(name, place) for name, place in found if place is not None]
        self.names = [name for name, _ in alive]
        parts = [listing.contracts.take(np.array([row])) for _, (listing, row) in alive]
        self._contracts = _joined(parts) if parts else None
        count = len(parts)
        self._sent = np.zeros((4, count))  # bid, ask and their sizes
        self._told_ns = world.now_ns  # trades up to here were told
        self._busted: list[tuple[int, OptionTrade]] = []  # cancels to come, by time
        self._minute_volume = np.full(count, -1, dtype=np.int64)
        self._minute = -1
        self.day = world.today.day
        if before is not None and before.day == self.day:
            known = {name: row for row, name in enumerate(before.names)}
            pairs = [(row, known[name]) for row, name in enumerate(self.names) if name in known]
            if pairs:
                new, old = (list(column) for column in zip(*pairs, strict=True))
                self._sent[:, new] = before._sent[:, old]
                self._minute_volume[new] = before._minute_volume[old]
            self._minute, self._told_ns, self._busted = before._minute, before._told_ns, before._busted

    def events(self, quotes: frozenset[str], trades: frozenset[str], bars: frozenset[str]) -> list[msgspec.Struct]:
        """Changes since the last call, for the contracts of each channel."""
        contracts, world = self._contracts, self._world
        if contracts is None:
            return []
        alive = (contracts.expiry_ns > world.now_ns) & ~world.today.halted[contracts.symbol]
        if not alive.any():
            return []
        rows = np.flatnonzero(alive)
        now = world.option_quotes(contracts.take(rows))
        columns = self._sent.copy()
        columns[:, rows] = (now.bid, now.ask, now.bid_size, now.ask_size)
        times = np.zeros(len(self.names), dtype=np.int64)
        times[rows] = stamps(now.time_ns, len(rows))
        stamp = int(times.max()) // MS
        out: list[msgspec.Struct] = []
        if trades:
            out += self._traded(alive, columns, quotes, trades)
        quoted = alive.copy()
        quoted[rows] = ~np.isnan(now.ask)
        changed = quoted & np.any(columns != self._sent, axis=0)
        self._sent = columns
        out += [
            self._quote(row, columns, int(times[row]) // MS)
            for row in np.flatnonzero(changed).tolist()
            if self.names[row] in quotes
        ]
        if bars and world.invents:
            value = np.zeros(len(self.names))
            value[rows] = np.round(now.value, 2)
            out += self._bars(alive, value, stamp, bars)
        return out

    def _quote(self, row: int, columns: np.ndarray, stamp: int) -> OptionQuote:
        bid, ask, bid_size, ask_size = columns[:, row].tolist()
        name, sequence = self.names[row], _sequence(stamp)
        return OptionQuote("Q", name, 302, 302, bid, ask, int(bid_size), int(ask_size), stamp, sequence)

    def _traded(
        self, alive: BoolArray, columns: np.ndarray, quotes: frozenset[str], trades: frozenset[str]
    ) -> list[msgspec.Struct]:
        """Prints since the last call at the quotes in force then: those last sent. Who hears a contract's quotes too
        hears that one again right before, as a venue restates its market when it trades."""
        contracts, world = self._contracts, self._world
        assert contracts is not None
        found = world.option_prints(contracts, self._told_ns, world.now_ns)
        self._told_ns = world.now_ns
        force = np.where(self._sent[1] > 0, self._sent, columns)
        bid, ask = force[0][found.row], force[1][found.row]
        tick = world.option_ticks(contracts.take(found.row), ask)
        price = paid(contracts, found, bid, ask, tick)
        out: list[msgspec.Struct] = []
        restated: set[tuple[int, int]] = set()
        told = zip(
            *(column.tolist() for column in (found.row, found.time_ns, price, found.size)),
            *(column.tolist() for column in (found.exchange, found.condition, found.busted, found.cancelled_ns)),
            strict=True,
        )
        for number, (row, time_ns, dollars, size, exchange, condition, busted, delay) in enumerate(told):
            name = self.names[row]
            if not alive[row] or name not in trades:
                continue
            stamp = time_ns // MS
            out += self._cancels(time_ns)
            if name in quotes and self._sent[1][row] > 0 and (row, stamp // 1000) not in restated:
                restated.add((row, stamp // 1000))
                out.append(self._quote(row, self._sent, stamp - 1))
            sequence = _sequence(stamp) + number % 1000
            out.append(OptionTrade("T", name, exchange, dollars, size, [condition], stamp, sequence))
            if busted:
                at = stamp + delay // MS
                self._busted.append((at * MS, OptionTrade("T", name, exchange, dollars, size, [CANCEL], at, sequence)))
        return out + self._cancels(world.now_ns)

    def _cancels(self, now_ns: int) -> list[OptionTrade]:
        """Cancels that are due."""
        if not self._busted:
            return []
        due = [trade for at, trade in self._busted if at <= now_ns]
        self._busted = [pair for pair in self._busted if pair[0] > now_ns]
        return due

    def _bars(self, alive: BoolArray, value: np.ndarray, stamp: int, bars: frozenset[str]) -> list[msgspec.Struct]:
        contracts, world = self._contracts, self._world
        assert contracts is not None
        minute = stamp // MINUTE_MS
        if minute == self._minute:
            return []
        volume, _ = world.option_volume(contracts, world.open_interest(contracts))
        out: list[msgspec.Struct] = []
        grown = np.where(self._minute_volume >= 0, volume - self._minute_volume, 0)
        end = minute * MINUTE_MS
        for row in np.flatnonzero(alive & (grown > 0)).tolist():
            if self.names[row] in bars:
                price, size, total = max(0.01, float(value[row])), int(grown[row]), int(volume[row])
                prices = (price,) * 6
                name = self.names[row]
                out.append(Aggregate("AM", name, size, total, *prices, price, 1, end - MINUTE_MS, end))
        self._minute, self._minute_volume = minute, volume
        return out


def _sequence(stamp_ms: int) -> int:
    return stamp_ms % 86_400_000 * 1000


def _joined(parts: list[Contracts]) -> Contracts:
    names = ("symbol", "expiry", "expiry_ns", "strike", "is_call", "key")
    return Contracts(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
