"""Whose quotes the stream should carry: what is held, working and proposed always, what is looked at in turns.

The trap: one connection carries a thousand contracts. What money depends on is pinned; everything else is a wish in
an order, and the feed gives turns where it is too long.
"""

from __future__ import annotations

from qmterm.core.instruments import is_option, underlying_of
from qmterm.engine.parts import Engaged
from qmterm.market.stream.order import Standing


def watch_list(engaged: Engaged) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    """Stocks, pinned option contracts, and those wanted as far as there is room (the most wanted first).

    Contracts whose trades the options flow follows come last.
    """
    options = {position.symbol for position in engaged.book.positions if is_option(position.symbol)}
    stocks = {position.underlying for position in engaged.book.positions} | set(engaged.entries.candidates)
    options |= engaged.portfolio.expiry.twins
    for record in engaged.desk.ledger.working:
        options.update(leg.symbol for leg in record.intent.legs if leg.multiplier != 1)
        stocks.add(record.intent.underlying)
    for proposal in engaged.proposals.waiting:
        options.update(leg.symbol for leg in proposal.legs if leg.multiplier != 1)
        stocks.add(proposal.underlying)
    for symbol in engaged.tickets.wanted:
        options.update((symbol,) if is_option(symbol) else ())
        stocks.add(underlying_of(symbol))
    shown: list[str] = []
    if engaged.look.symbol:
        stocks.add(engaged.look.symbol)
        shown = sorted(engaged.look.shown_contracts)
    return frozenset(stocks), frozenset(options), (*shown, *engaged.flow.wanted(stocks))


def standing(engaged: Engaged) -> Standing:
    """Whose missed minutes are to be repaired first, by the stocks' own names."""
    ticker = engaged.scanning.ticker
    held = {position.underlying for position in engaged.book.positions}
    held.update(record.intent.underlying for record in engaged.desk.ledger.working)
    watched = {proposal.underlying for proposal in engaged.proposals.waiting}
    if engaged.look.symbol:
        watched.add(engaged.look.symbol)
    return Standing(
        held=tuple(sorted(ticker(symbol) for symbol in held)),
        watched=tuple(sorted(ticker(symbol) for symbol in watched)),
        candidates=engaged.entries.candidates,
    )
