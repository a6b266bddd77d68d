"""Profit and loss by trade, strategy and day, from lots and what was closed of them; all dollars, exact.

The trap: one position without a mark makes a sum unknown. `unrealized` is then None and the count says how many lots
it waits for; it is never a sum that quietly leaves them out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from qmterm.core.clock import et_date
from qmterm.core.instruments import underlying_of
from qmterm.core.orders import Fill
from qmterm.risk.lots import Closing, Lot, Lots

ZERO = Decimal(0)


@dataclass(slots=True)
class Profit:
    """Of a trade, a strategy, a day or all. Realised and unrealised are before fees; `net` is after them."""

    realized: Decimal = ZERO
    fees: Decimal = ZERO  # of everything counted here, opening and closing
    unrealized: Decimal | None = ZERO
    unmarked: int = 0  # lots without a mark
    unpriced: int = 0  # closings whose price nobody told
    closed_lots: int = 0
    open_lots: int = 0

    @property
    def net(self) -> Decimal | None:
        return None if self.unrealized is None else self.realized + self.unrealized - self.fees

    def add(self, other: Profit) -> None:
        """Sums of closings only: nothing that is held."""
        self.realized += other.realized
        self.fees += other.fees
        self.unpriced += other.unpriced
        self.closed_lots += other.closed_lots

    def closed(self, closing: Closing) -> None:
        gained = closing.realized
        self.closed_lots += 1
        self.fees += closing.fees
        if gained is None:
            self.unpriced += 1
        else:
            self.realized += gained

    def held(self, lot: Lot, mark: Decimal | None) -> None:
        self.open_lots += 1
        self.fees += lot.fees
        if mark is None:
            self.unmarked += 1
            self.unrealized = None
        elif self.unrealized is not None:
            self.unrealized += lot.unrealized(mark)


class Earlier:
    """What was closed on earlier days, summed: by strategy, and by trade as long as anything of it may be held."""

    def __init__(self) -> None:
        self.strategies: defaultdict[str, Profit] = defaultdict(Profit)
        self.trades: defaultdict[tuple[str, str], Profit] = defaultdict(Profit)

    def fold(self, lots: Lots, before_ns: int) -> None:
        """Take closings older than an instant out of `lots` into the sums."""
        for closing in lots.take_closed_before(before_ns):
            self.strategies[closing.strategy].closed(closing)
            self.trades[closing.strategy, closing.trade or closing.symbol].closed(closing)


@dataclass(slots=True)
class Trade:
    """All lots of one plan, those of its closings too."""

    strategy: str
    trade: str
    underlying: str
    opened_ns: int
    profit: Profit = field(default_factory=Profit)
    lots: list[Lot] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everything grouped; `day` counts what was closed on the day asked for and the fees charged on it."""

    total: Profit
    day: Profit
    trades: tuple[Trade, ...]
    strategies: Mapping[str, Profit]


def accounts(
    lots: Lots,
    mark_of: Callable[[str], Decimal | None],
    today: date,
    day_fees: Decimal,
    earlier: Earlier | None = None,
) -> Accounts:
    """Group it all. Trades that are closed are shown on the day they ended; `day_fees` are those of today's fills."""
    earlier = earlier or Earlier()
    total, day = Profit(), Profit(unrealized=ZERO, fees=day_fees)
    strategies: defaultdict[str, Profit] = defaultdict(Profit)
    for name, sums in earlier.strategies.items():
        strategies[name] = replace(sums)
        total.add(sums)
    trades: dict[tuple[str, str], Trade] = {}
    alive: set[tuple[str, str]] = set()

    def trade_of(row: Lot | Closing) -> Trade:
        key = row.strategy, row.trade or row.symbol
        if key not in trades:
            before = earlier.trades.get(key, Profit())
            trades[key] = Trade(row.strategy, key[1], underlying_of(row.symbol), row.opened_ns, replace(before))
        trades[key].opened_ns = min(trades[key].opened_ns, row.opened_ns)
        return trades[key]

    for closing in lots.closings:
        profits = [total, strategies[closing.strategy], trade_of(closing).profit]
        for profit in profits:
            profit.closed(closing)
        if et_date(closing.closed_ns) == today:
            alive.add((closing.strategy, closing.trade or closing.symbol))
            day.closed_lots += 1
            gained = closing.realized
            day.unpriced += gained is None
            day.realized += gained or ZERO
    for lot in lots.all:
        mark = mark_of(lot.symbol)
        trade = trade_of(lot)
        trade.lots.append(lot)
        alive.add((lot.strategy, lot.trade or lot.symbol))
        for profit in (total, strategies[lot.strategy], trade.profit):
            profit.held(lot, mark)
    shown = sorted((trade for key, trade in trades.items() if key in alive), key=lambda t: (t.strategy, t.opened_ns))
    return Accounts(total, day, tuple(shown), dict(strategies))


def fees_of_day(fills: Iterable[Fill], today: date) -> Decimal:
    return sum((fill.fees for fill in fills if et_date(fill.time_ns) == today), ZERO)
