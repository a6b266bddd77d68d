"""Whose quotes the stream should carry: what is held, working, proposed, nearly traded and looked at."""

from __future__ import annotations

from qmterm.core.instruments import is_option
from qmterm.engine.parts import Engaged

MAX_SHOWN_QUOTES = 400  # contracts of the shown chain; one connection carries about a thousand


def watch_list(engaged: Engaged, quote_limit: int) -> tuple[frozenset[str], frozenset[str]]:
    """Stocks, and option contracts by their OCC symbols; what is left of the limit goes to options flow."""
    options = {position.symbol for position in engaged.book.positions if is_option(position.symbol)}
    stocks = {position.underlying for position in engaged.book.positions} | set(engaged.entries.candidates)
    for record in engaged.desk.ledger.working:
        options.update(leg.symbol for leg in record.intent.legs if leg.multiplier != 1)
        stocks.add(record.intent.underlying)
    for proposal in engaged.proposals.waiting:
        options.update(leg.symbol for leg in proposal.legs if leg.multiplier != 1)
        stocks.add(proposal.underlying)
    if engaged.look.symbol:
        stocks.add(engaged.look.symbol)
        options.update(sorted(engaged.look.shown_contracts)[:MAX_SHOWN_QUOTES])
    options.update(engaged.flow.wanted(stocks)[: max(0, quote_limit - len(options))])
    return frozenset(stocks), frozenset(options)
