"""Rolling a position: what is held is closed and reopened later or elsewhere by one order at a net price.

One order of two or four option legs, so the open is never there before the close. The trap: a position is named by
words that may look like the contract it is rolled to; the longest name that is held wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Protocol

from qmterm.core.chain import Chain
from qmterm.core.clock import et_date
from qmterm.core.errors import BadSymbol, DataError
from qmterm.core.instruments import Right, is_option, parse_option
from qmterm.core.order_text import Mistake, read_contract, read_order
from qmterm.core.reasons import Reason
from qmterm.core.tickets import Ticket, TicketLeg, order_text
from qmterm.engine.commands import CommandResult, RollPosition
from qmterm.engine.orders.book import Position
from qmterm.engine.orders.closes import free_parts, positions_named
from qmterm.engine.orders.tickets import Tickets, refused
from qmterm.engine.show.wording import label
from qmterm.engine.trader import Trader

MOST_LEGS = 2  # that one order can close and reopen
LOOK_AHEAD = timedelta(days=200)
LABEL_WORDS = 3  # NVDA 17APR26 175C


class Chains(Protocol):
    async def read(
        self,
        underlying: str,
        now_ns: int,
        expiry_from: date,
        expiry_to: date,
        strike_from: float | None = None,
        strike_to: float | None = None,
    ) -> Chain: ...


class Rolls:
    def __init__(self, trader: Trader, tickets: Tickets, chains: Chains | None = None) -> None:
        self._trader = trader
        self._tickets = tickets
        self._chains = chains

    async def roll(self, command: RollPosition) -> CommandResult:
        """Stage one order that closes the position and opens the contract that is named, or the next expiry's."""
        drops = self._trader.way.drops
        before, at, price = command.text.partition("@")
        words = before.split()
        held, rest = self._named(words)
        if not held:
            named = " ".join(words[:LABEL_WORDS])
            return refused(Reason.NOTHING_TO_CLOSE, f"no position {named!r}; :roll POSITION 15MAY26 180C @ 0.40 db")
        if not all(is_option(position.symbol) for position in held) or len(held) > MOST_LEGS:
            return refused(Reason.BAD_INPUT, f"only one or two option legs roll as one order, this is {_names(held)}")
        target = await self._target(held, rest)
        if isinstance(target, CommandResult):
            return target
        legs = self._legs(held, target)
        if isinstance(legs, CommandResult):
            return legs
        ticket = self._with_price(legs, f"{at}{price}")
        if isinstance(ticket, CommandResult):
            return ticket
        return await self._tickets.stage_ticket(ticket, drops, send=command.send)

    def _named(self, words: Sequence[str]) -> tuple[list[Position], Sequence[str]]:
        """The position's legs and the words after its name; several legs of one plan roll together."""
        for length in range(min(LABEL_WORDS, len(words)), 0, -1):
            name = " ".join(words[:length])
            found = positions_named(self._trader, name)
            if found:
                return found, words[length:]
        return [], words

    async def _target(
        self, held: Sequence[Position], words: Sequence[str]
    ) -> tuple[date, Decimal | None, Right | None] | CommandResult:
        contract = parse_option(held[0].symbol)
        if words:
            read = read_contract(words, contract.root, et_date(self._trader.clock.now()))
            if isinstance(read, Mistake):
                return refused(Reason.BAD_INPUT, read.text)
            if read[1] is not None and len(held) > 1:
                return refused(Reason.BAD_INPUT, "a spread keeps its strikes when it rolls: name the expiry alone")
            return read
        later = await self._next_expiry(held[0])
        if later is None:
            text = f"no later expiry with the strike of {label(held[0].symbol)} is listed: name one, as in 15MAY26 180C"
            return refused(Reason.NO_EXPIRY, text)
        return later, None, None

    async def _next_expiry(self, held: Position) -> date | None:
        """The first expiry after the position's that lists its strike."""
        if self._chains is None:
            return None
        contract = parse_option(held.symbol)
        first, strike = contract.expiry + timedelta(days=1), float(contract.strike)
        now = self._trader.clock.now()
        try:
            chain = await self._chains.read(held.underlying, now, first, first + LOOK_AHEAD, strike, strike)
        except (DataError, BadSymbol):
            return None
        listed = [parse_option(occ) for occ in chain.occ]
        return min(
            (c.expiry for c in listed if c.right is contract.right and c.strike == contract.strike), default=None
        )

    def _legs(
        self, held: Sequence[Position], target: tuple[date, Decimal | None, Right | None]
    ) -> tuple[TicketLeg, ...] | CommandResult:
        """The close of every leg, then its new one; as many as nothing closes already."""
        expiry, strike, right = target
        trader = self._trader
        closes, opens = [], []
        parts = free_parts(trader, held, resting=True)
        if isinstance(parts, str):
            return refused(Reason.NOTHING_TO_CLOSE, f"{_names(held)}: {parts}")
        for position, free in zip(held, parts, strict=True):
            old = parse_option(position.symbol)
            new = replace(old, expiry=expiry, strike=strike or old.strike, right=right or old.right)
            if new == old:
                return refused(Reason.BAD_INPUT, f"{old} would be rolled into itself: name another expiry or strike")
            closes.append(TicketLeg(free < 0, abs(free), position.symbol, opens=False))
            opens.append(TicketLeg(free > 0, abs(free), new.occ, opens=True))
        return (*closes, *opens)

    def _with_price(self, legs: tuple[TicketLeg, ...], price: str) -> Ticket | CommandResult:
        """The roll as an order line, so that its price and time are read as any order's are."""
        line = f"{order_text(Ticket(legs))} {price}".rstrip()
        read = read_order(line, et_date(self._trader.clock.now()))
        if isinstance(read, Mistake):
            return refused(Reason.BAD_INPUT, read.text)
        return read


def _names(held: Sequence[Position]) -> str:
    return " / ".join(label(position.symbol) for position in held)
