"""What qmterm asks of Polygon's REST service, each as one async method that returns our own types.

The trap: never one call a symbol for the market. The snapshot is one call, a day of history is one call; calls that
name a symbol are for candidates, positions and what somebody looks at.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from qmterm.core.settings.connections import PolygonSettings
from qmterm.market.rest.budget import RequestBudget
from qmterm.market.rest.caller import RestCaller
from qmterm.market.rest.company import CompanyCalls
from qmterm.market.rest.entitlements import Entitlements
from qmterm.market.rest.options import OptionCalls
from qmterm.market.rest.prices import PriceCalls
from qmterm.market.rest.reference import ReferenceCalls


class PolygonRest(PriceCalls, OptionCalls, ReferenceCalls, CompanyCalls):
    """Every method may raise NotEntitled, RateLimited, DataSilent, DataAuthError or another DataError."""

    def __init__(
        self, settings: PolygonSettings, key: str, clock_monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.caller = RestCaller(settings, key, clock_monotonic)
        self.unreadable = 0
        self.stocks_delayed = self.options_delayed = False

    @property
    def delayed(self) -> bool:
        """Some answer was 15 minutes old."""
        return self.stocks_delayed or self.options_delayed

    @property
    def budget(self) -> RequestBudget:
        return self.caller.budget

    @property
    def entitlements(self) -> Entitlements:
        return self.caller.entitlements

    def close(self) -> None:
        self.caller.close()
