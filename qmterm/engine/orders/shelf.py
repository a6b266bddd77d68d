"""Keeps what waits for a person sendable: a proposal whose price has gone is taken back, and asked again at today's;
a close of what is not held any more goes for good.

Without this a person in a moving market approves yesterday's limit and is told no. Hand-made closes stay: the person
meant that price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from qmterm.core.orders import Purpose
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.engine.orders.proposals import SPREAD_ROOM, Proposal, drifted
from qmterm.engine.orders.staged import bounded
from qmterm.engine.show.wording import describe_leg
from qmterm.engine.trader import Trader
from qmterm.risk.price_sanity import natural_price, price_fault, tick_of, unit_mid

EXIT_TICKS = 2  # an exit's limit may lie this far from the natural price, and as many for each further leg


class Shelf:
    def __init__(self, trader: Trader) -> None:
        self._trader = trader

    def look(self) -> tuple[Proposal, ...]:
        """Withdraw what could not be sent as it stands; the next scan or turn proposes it anew."""
        closed = self._trader.proposals.withdraw(self._closed)
        met = self._trader.proposals.withdraw(self._met)
        moved = self._trader.proposals.withdraw(self._gone)
        for proposal in closed:
            self._tell(proposal, Reason.NOTHING_TO_CLOSE, "nothing of it is held any more")
        for proposal in met:
            self._tell(proposal, Reason.NOTHING_TO_CLOSE, "less of it is to be closed by now")
        for proposal in moved:
            self._tell(proposal, Reason.PRICE_MOVED, "the price moved")
        return closed + met + moved

    def _tell(self, proposal: Proposal, reason: Reason, why: str) -> None:
        trader = self._trader
        trader.journal.decision(proposal.underlying, "withdrawn", trader.clock.now(), plan=proposal.plan, reason=reason)
        trader.log.info("PLAN", f"taken back, {why}: {describe_leg(proposal.legs[0])}", proposal.plan_id)

    def _closed(self, proposal: Proposal) -> bool:
        """A close of what somebody else's order closed meanwhile: its alarm would ask for nothing."""
        book = self._trader.book
        closes = (leg.symbol for leg in proposal.legs if not leg.action.opens)
        return proposal.purpose is not Purpose.ENTRY and any(book.quantity(symbol) == 0 for symbol in closes)

    def _met(self, proposal: Proposal) -> bool:
        """A scale-out of which somebody sold a part meanwhile: approved, it would sell that part again."""
        if proposal.purpose is not Purpose.SCALE_OUT:
            return False
        units = proposal.quantity
        return self._trader.guards.still_wanted(proposal.plan_id, proposal.legs, units) < units

    def _gone(self, proposal: Proposal) -> bool:
        trader = self._trader
        if not trader.market_open():
            return False
        if proposal.net_price is None:
            return False  # no price of its own that the market could leave behind
        quotes = trader.quotes_of(proposal.legs)
        if proposal.purpose is Purpose.ENTRY:
            mid = unit_mid(proposal.legs, quotes)
            if mid is None or proposal.mid_seen is None:
                return False  # no quote right now says nothing about the price
            program, staged = trader.ticks.of(proposal.legs[0].symbol), proposal.order
            meant = staged is not None and staged.worst_price is None  # the person's own price: it may wait
            if not meant and drifted(proposal, mid, trader.settings.price_band):
                return True
            if staged is not None:
                now = bounded(staged, quotes, program)
                order = replace(now, net_price=now.counted_price)
                return trader.gate.order_refusal(order, quotes, program) is not None
            band = trader.gate.settings.price_band
            return price_fault(proposal.legs, proposal.quantity, proposal.net_price, quotes, band, program) is not None
        natural = natural_price(proposal.legs, proposal.quantity, quotes)
        if not proposal.alarm or natural is None:
            return False
        return abs(natural - proposal.net_price) > self._room(proposal, quotes)

    def _room(self, proposal: Proposal, quotes: Mapping[str, Quote]) -> Decimal:
        """How far a close's limit may lie from the natural price, dollars per share of one unit.

        The price of several legs moves with each of them, by ticks that are coarser than its own step.
        """
        legs, units = proposal.legs, proposal.quantity
        ticks = Decimal(0)
        for leg in legs:
            one = replace(leg, quantity=1)
            side = natural_price((one,), 1, quotes) or Decimal(0)
            ticks += tick_of((one,), side, self._trader.ticks.of(leg.symbol)) * leg.quantity / units
        if len(legs) == 1:
            return EXIT_TICKS * ticks
        return max(EXIT_TICKS * max(ticks, tick_of(legs, Decimal(0), None)), SPREAD_ROOM)
