"""Sets the portfolio's rooms up around a started account."""

from __future__ import annotations

from qmterm.core.corporate import TakesFacts
from qmterm.core.protocols import TransactionsSource
from qmterm.engine.orders.exits import Guards
from qmterm.engine.parts import Parts
from qmterm.engine.patience import DiskPatience
from qmterm.engine.portfolio.broker_figures import BrokerFigures
from qmterm.engine.portfolio.expiry import DOCUMENT, ExpiryWatch
from qmterm.engine.portfolio.keeper import PortfolioKeeper
from qmterm.engine.portfolio.paper_facts import PaperFacts
from qmterm.engine.portfolio.rooms import PortfolioRooms
from qmterm.engine.show.greeks import HeldGreeks
from qmterm.engine.signals.scanning import Scanning
from qmterm.engine.trader import Trader
from qmterm.journal.state import JournalState


def portfolio_rooms(
    parts: Parts, trader: Trader, guards: Guards, scanning: Scanning, patience: DiskPatience
) -> PortfolioRooms:
    """The stops read volatilities from here on, and a close by a trade's name its lots."""
    chains = parts.feed.chains
    greeks = HeldGreeks(parts.calendar, chains.rates)
    keeper = PortfolioKeeper(trader.book, trader.marks, scanning, greeks, parts.compute, parts.clock)
    guards.iv_of = keeper.iv
    trader.lots_of = keeper.held_by
    watch = ExpiryWatch(
        book=trader.book,
        marks=trader.marks,
        guards=guards,
        quotes=parts.feed.board,
        stocks=scanning,
        cash=chains.cash,
        rates=chains.rates,
        calendar=parts.calendar,
        clock=parts.clock,
        log=parts.log,
        journal=parts.journal,
        settings=parts.settings.risk,
        iv=keeper.iv,
        buying_power=lambda: trader.balance.option_buying_power if trader.balance else None,
        learn=chains.learn_cash,
        patience=patience,
    )
    if isinstance(parts.broker, TakesFacts):
        parts.broker.facts = PaperFacts(scanning, chains.cash, parts.clock, lambda: watch.lines)
    source = parts.broker if isinstance(parts.broker, TransactionsSource) else None
    figures = BrokerFigures(source, trader.desk.ledger, lambda: trader.told, parts.clock, parts.log)
    return PortfolioRooms(keeper, watch, figures)


async def restore_portfolio(rooms: PortfolioRooms, parts: Parts, saved: JournalState) -> None:
    """Lots from every fill the journal knows, before any that is found now is counted."""
    rooms.keeper.restore(saved.fills)
    for stored in saved.fills:
        rooms.figures.average.on_fill(stored.fill)
    rooms.expiry.restore(await parts.journal.read_document(DOCUMENT))
