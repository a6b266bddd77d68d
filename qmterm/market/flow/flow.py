"""The day's options flow: prints in, blocks, sweeps and unusual contracts out (QUANT.md 3.8).

The trap: volume and money are not the same knowledge. Volume starts from what the chain's snapshot says of the day so
far; money and sides are only what was seen, so every row says since when. A cancel takes its original back out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from qmterm.core.bars import IntArray
from qmterm.market.flow.conditions import Conditions, Kind
from qmterm.market.flow.prints import Prints, Side, classify, premiums
from qmterm.market.flow.rows import ContractRow, FlowRow
from qmterm.market.flow.score import is_unusual, opening, score, vol_oi
from qmterm.market.flow.sweeps import Group, Print, Sweeps

BLOCK_SIZE = 500  # contracts
BLOCK_PREMIUM = 250_000.0
KEPT_ROWS = 1_000
KEPT_PRINTS = 50_000  # that a cancel can still find
_ROUNDED = 4  # decimals of a price in the key of a cancel
_KINDS = {int(kind): kind for kind in Kind}  # a table is quicker than the enum's own call, and this runs for each print
_SIDES = {int(side): side for side in Side}


@dataclass(slots=True)
class _Day:
    """One contract's day; money in dollars."""

    since_ns: int
    volume: int = 0
    open_interest: int | None = None
    mean20: float | None = None
    premium: float = 0.0
    bought: float = 0.0
    sold: float = 0.0
    sweeps: int = 0
    blocks: int = 0
    last_ns: int = 0

    def add(self, one: Print, sign: int) -> None:
        self.volume = max(0, self.volume + sign * one.size)
        self.premium += sign * one.premium
        if one.direction > 0:
            self.bought += sign * one.premium
        elif one.direction < 0:
            self.sold += sign * one.premium


class Flow:
    """`names` is the table that prints number their contracts in; it may grow."""

    def __init__(
        self, names: Sequence[str], conditions: Conditions | None = None, block_size: int = BLOCK_SIZE
    ) -> None:
        self.conditions = conditions or Conditions()
        self._names = names
        self._block_size = block_size
        self._days: dict[int, _Day] = {}
        self._sweeps = Sweeps()
        self._rows: deque[tuple[FlowRow, Group]] = deque(maxlen=KEPT_ROWS)
        self._recent: deque[Print] = deque()
        self._by_key: dict[tuple[int, float, int, int], list[Print]] = {}
        self._number = 0
        self.prints = 0
        self.cancelled = 0
        self.cancels_unmatched = 0  # originals from before we listened

    # --- writing ---

    def start_day(self) -> None:
        """A new session: everything of the day begins again; what the conditions mean stays."""
        self._days.clear()
        self._sweeps = Sweeps()
        self._rows.clear()
        self._recent.clear()
        self._by_key.clear()

    def seed(
        self,
        rows: Iterable[int],
        volume: IntArray,
        open_interest: IntArray,
        mean20: Sequence[float | None],
        now_ns: int,
    ) -> None:
        """What a chain's snapshot knows of contracts: the day's volume so far, open interest (−1 unknown), the mean."""
        known = zip(rows, volume.tolist(), open_interest.tolist(), mean20, strict=True)
        for row, traded, interest, mean in known:
            day = self._day(row, now_ns)
            day.volume = max(day.volume, traded)
            day.open_interest = interest if interest >= 0 else day.open_interest
            day.mean20 = mean if mean is not None else day.mean20

    def take(self, prints: Prints) -> list[FlowRow]:
        """Take prints in, in the order they came; the rows that were finished by them."""
        kinds, sides, directions = classify(prints, self.conditions)
        money = premiums(prints)
        blocks = (prints.size >= self._block_size) | (money >= BLOCK_PREMIUM)
        columns = (prints.row, prints.price, prints.size, prints.exchange, kinds, sides, directions, prints.time_ns)
        done: list[FlowRow] = []
        for row, price, size, exchange, kind, side, direction, time_ns, premium, block in zip(
            *(column.tolist() for column in (*columns, money, blocks)), strict=True
        ):
            self.prints += 1
            if kind == Kind.CANCEL:
                self._cancel(row, price, size, exchange)
                continue
            one = Print(row, price, size, exchange, _KINDS[kind], _SIDES[side], direction, time_ns, premium, block)
            self._remember(one)
            day = self._day(row, time_ns)
            day.add(one, 1)
            day.last_ns = max(day.last_ns, time_ns)
            for group in self._sweeps.add(one):
                done += self._close(group)
        return done

    def settle(self, now_ns: int) -> list[FlowRow]:
        """Finish what can no longer grow at a market time; the rows that came of it."""
        return [row for group in self._sweeps.settle(now_ns) for row in self._close(group)]

    # --- reading ---

    @property
    def rows(self) -> tuple[FlowRow, ...]:
        """Blocks and sweeps of the day, newest first, bounded; what a cancel emptied is gone."""
        return tuple(row for row, group in reversed(self._rows) if group.alive)

    def contracts(self, *, unusual_only: bool = True) -> tuple[ContractRow, ...]:
        """Contracts by falling score."""
        made = (self._contract(row, day) for row, day in self._days.items() if day.volume > 0)
        chosen = [row for row in made if row.unusual or not unusual_only]
        return tuple(sorted(chosen, key=lambda row: (-row.score, row.occ)))

    # --- inside ---

    def _day(self, row: int, now_ns: int) -> _Day:
        day = self._days.get(row)
        if day is None:
            day = self._days[row] = _Day(since_ns=now_ns)
        return day

    def _remember(self, one: Print) -> None:
        self._recent.append(one)
        self._by_key.setdefault(_key(one.row, one.price, one.size, one.exchange), []).append(one)
        if len(self._recent) > KEPT_PRINTS:
            old = self._recent.popleft()
            key = _key(old.row, old.price, old.size, old.exchange)
            alike = self._by_key.get(key, [])
            if old in alike:
                alike.remove(old)
            if not alike:
                self._by_key.pop(key, None)

    def _cancel(self, row: int, price: float, size: int, exchange: int) -> None:
        """The newest print like it is taken back: out of the day, its group and its row."""
        alike = self._by_key.get(_key(row, price, size, exchange))
        if not alike:
            self.cancels_unmatched += 1
            return
        original = alike.pop()
        original.cancelled = True
        self._days[row].add(original, -1)
        self.cancelled += 1
        for place, (shown, group) in enumerate(self._rows):
            if original in group.prints:
                self._correct(place, shown, group)
                break

    def _correct(self, place: int, shown: FlowRow, group: Group) -> None:
        """A row that lost a print: what is left may be smaller, or no block or sweep any more."""
        row = self._measure(replace(shown, sweep=shown.sweep and bool(group.alive) and group.is_sweep), group)
        day = self._days[group.row]
        day.sweeps -= shown.sweep and not row.sweep
        day.blocks -= shown.block and not row.block
        if not row.what:
            group.prints.clear()
        self._rows[place] = row, group

    def _close(self, group: Group) -> list[FlowRow]:
        """The rows of a finished group: one for a sweep, one for each block, none for everyday prints."""
        if group.everyday:
            return []
        alive = group.alive
        if not alive:
            return []
        if group.is_sweep:
            return [self._row(group, sweep=True)]
        single = (Group(group.row, group.side, one.time_ns, [one]) for one in alive if one.block)
        return [self._row(one, sweep=False) for one in single]

    def _row(self, group: Group, *, sweep: bool) -> FlowRow:
        alive, day = group.alive, self._days[group.row]
        self._number += 1
        first = FlowRow(
            number=self._number,
            occ=self._names[group.row],
            time_ns=min(one.time_ns for one in alive),
            end_ns=max(one.time_ns for one in alive),
            sweep=sweep,
            block=False,
            kind=max(one.kind for one in alive),
            side=group.side,
            direction=alive[0].direction,
            price=0.0,
            size=0,
            premium=0.0,
            prints=0,
            exchanges=0,
            volume=day.volume,
            open_interest=day.open_interest,
            vol_oi=vol_oi(day.volume, day.open_interest),
            opening="",
            score=0.0,
            missing=(),
        )
        row = self._measure(first, group)
        day.sweeps += row.sweep
        day.blocks += row.block
        self._rows.append((row, group))
        return row

    def _measure(self, row: FlowRow, group: Group) -> FlowRow:
        """The row with the sums of its prints that are not cancelled: money and side of the row, ratios of the day."""
        alive, day = group.alive, self._days[group.row]
        size = sum(one.size for one in alive)
        premium = sum(one.premium for one in alive)
        bought = sum(one.premium for one in alive if one.direction > 0)
        sold = sum(one.premium for one in alive if one.direction < 0)
        found = score(row.volume, row.open_interest, premium, bought, sold, day.mean20, sweep=row.sweep)
        return replace(
            row,
            block=any(one.block for one in alive),
            price=sum(one.price * one.size for one in alive) / size if size else float("nan"),
            size=size,
            premium=premium,
            prints=len(alive),
            exchanges=len({one.exchange for one in alive}),
            opening=opening(size, row.volume, row.open_interest),
            score=found.value,
            missing=found.missing,
        )

    def _contract(self, row: int, day: _Day) -> ContractRow:
        found = score(
            day.volume, day.open_interest, day.premium, day.bought, day.sold, day.mean20, sweep=day.sweeps > 0
        )
        return ContractRow(
            occ=self._names[row],
            volume=day.volume,
            open_interest=day.open_interest,
            vol_oi=vol_oi(day.volume, day.open_interest),
            mean20=day.mean20,
            premium=day.premium,
            bought=day.bought,
            sold=day.sold,
            sweeps=day.sweeps,
            blocks=day.blocks,
            opening=opening(0, day.volume, day.open_interest),
            unusual=is_unusual(day.volume, day.premium, day.open_interest, day.mean20),
            score=found.value,
            missing=found.missing,
            since_ns=day.since_ns,
            last_ns=day.last_ns,
        )


def _key(row: int, price: float, size: int, exchange: int) -> tuple[int, float, int, int]:
    return row, round(price, _ROUNDED), size, exchange
