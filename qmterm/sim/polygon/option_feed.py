"""What one connection hears of option contracts: quotes and trades of those it asked for, when they changed."""

from __future__ import annotations

import msgspec
import numpy as np

from qmterm.core.bars import BoolArray
from qmterm.sim.bar_history import MS
from qmterm.sim.listing import Contracts
from qmterm.sim.market import Market, stamps
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
        self._sent = np.zeros((4, count))
        self._volume = np.full(count, -1, dtype=np.int64)
        self._minute_volume = self._volume.copy()
        self._minute = -1
        self.day = world.today.day
        if before is not None and before.day == self.day:
            known = {name: row for row, name in enumerate(before.names)}
            pairs = [(row, known[name]) for row, name in enumerate(self.names) if name in known]
            if pairs:
                new, old = (list(column) for column in zip(*pairs, strict=True))
                self._sent[:, new] = before._sent[:, old]
                self._volume[new], self._minute_volume[new] = before._volume[old], before._minute_volume[old]
            self._minute = before._minute

    def events(self, quotes: frozenset[str], trades: frozenset[str], bars: frozenset[str]) -> list[msgspec.Struct]:
        """Changes since the last call, for the contracts of each channel."""
        contracts, world = self._contracts, self._world
        if contracts is None:
            return []
        alive = contracts.expiry_ns > world.now_ns
        if not alive.any():
            return []
        rows = np.flatnonzero(alive)
        now = world.option_quotes(contracts.take(rows))
        columns = np.zeros_like(self._sent)
        columns[:, rows] = (now.bid, now.ask, now.bid_size, now.ask_size)
        quoted = np.zeros(len(self.names), dtype=np.bool_)
        quoted[rows] = ~np.isnan(now.ask)
        changed = quoted & np.any(columns != self._sent, axis=0)
        self._sent = columns
        times = dict(zip(rows.tolist(), stamps(now.time_ns, len(rows)), strict=True))
        stamp = max(times.values()) // MS
        out: list[msgspec.Struct] = []
        for row in np.flatnonzero(changed).tolist():
            if self.names[row] in quotes:
                bid, ask, bid_size, ask_size = columns[:, row].tolist()
                name, at = self.names[row], times[row] // MS
                sizes = int(bid_size), int(ask_size)
                out.append(OptionQuote("Q", name, 302, 302, bid, ask, *sizes, at, at // 1000 % 10**8))
        if trades or bars:
            value = np.zeros(len(self.names))
            value[rows] = np.round(now.value, 2)
            out += self._traded(alive, value, stamp, trades, bars)
        return out

    def _traded(
        self, alive: BoolArray, value: np.ndarray, stamp: int, trades: frozenset[str], bars: frozenset[str]
    ) -> list[msgspec.Struct]:
        contracts, world = self._contracts, self._world
        assert contracts is not None
        volume, _ = world.option_volume(contracts, world.open_interest(contracts))
        out: list[msgspec.Struct] = []
        new = np.where(self._volume >= 0, volume - self._volume, 0)
        self._volume = volume
        for row in np.flatnonzero(alive & (new > 0)).tolist():
            if self.names[row] in trades:
                price, size = max(0.01, float(value[row])), int(new[row])
                out.append(OptionTrade("T", self.names[row], 312, price, size, [209], stamp, stamp // 1000 % 10**8))
        minute = stamp // MINUTE_MS
        if minute != self._minute:
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


def _joined(parts: list[Contracts]) -> Contracts:
    names = ("symbol", "expiry", "expiry_ns", "strike", "is_call", "key")
    return Contracts(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
