"""The portfolio's rooms, as the engine holds them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from qmterm.core.orders import Fill
from qmterm.engine.portfolio.broker_figures import BrokerFigures
from qmterm.engine.portfolio.expiry import ExpiryWatch
from qmterm.engine.portfolio.keeper import PortfolioKeeper


@dataclass(frozen=True, slots=True)
class PortfolioRooms:
    keeper: PortfolioKeeper
    expiry: ExpiryWatch
    figures: BrokerFigures

    def on_fill(self, fill: Fill, strategy: str, trade: str) -> None:
        """Every execution, once it was counted in the book."""
        self.keeper.on_fill(fill, strategy, trade)
        self.figures.average.on_fill(fill)

    @property
    def jobs(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs for ever beside the turn, by name."""
        return {"portfolio": self.keeper.follow, "dividends": self.expiry.follow, "figures": self.figures.follow}

    async def step(self) -> None:
        """In lockstep nothing runs beside the turn: the measures and the dividends are had in it."""
        await self.keeper.step()
        await self.expiry.learn()
