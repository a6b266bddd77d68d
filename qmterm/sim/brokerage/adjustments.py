"""Positions through a split: more shares or contracts at a smaller price, options under their new symbols.

The trap: cash does not change, and neither does what a position cost; a split is no trade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Protocol, runtime_checkable

from qmterm.core.instruments import is_option, parse_option, underlying_of
from qmterm.sim.brokerage.book import Book, Position
from qmterm.sim.corporate import Split

CENT = Decimal("0.01")


class Executed(Protocol):
    @property
    def executed(self) -> Sequence[tuple[str, Split]]:
        """(ticker, split), in the order they took effect."""
        ...


@runtime_checkable
class SplitWorld(Protocol):
    """A world in which names split."""

    @property
    def happenings(self) -> Executed: ...


def adjust_positions(book: Book, world: object, done: int, now_ns: int) -> int:
    """Apply the splits after the first `done`; how many have been applied then."""
    if not isinstance(world, SplitWorld):
        return done
    for ticker, split in world.happenings.executed[done:]:
        for position in [p for p in book.positions.values() if underlying_of(p.symbol) == ticker]:
            del book.positions[position.symbol]
            changed = _after(position, int(split.new), int(split.old), now_ns)
            book.positions[changed.symbol] = changed
            book.touched |= {position.symbol, changed.symbol}
    return len(world.happenings.executed)


def _after(position: Position, new: int, old: int, now_ns: int) -> Position:
    symbol = position.symbol
    if is_option(symbol):
        contract = parse_option(symbol)
        strike = (contract.strike * old / new).quantize(CENT)
        symbol = replace(contract, strike=strike).occ
    return replace(
        position,
        symbol=symbol,
        quantity=position.quantity * new // old,
        average_open_price=position.average_open_price * old / new,
        updated_ns=now_ns,
    )
