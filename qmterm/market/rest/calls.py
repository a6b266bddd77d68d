"""What all groups of REST calls share: the caller, one-object answers, and lists over all their pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from qmterm.market.rest import columns
from qmterm.market.rest.caller import RestCaller
from qmterm.market.rest.entitlements import Family
from qmterm.market.rest.paging import Request

R = TypeVar("R")

LIST_PAGE = 1_000  # the vendor's maximum of most lists


class Calls:
    """`…_delayed`: some answer about stocks, or options, was 15 minutes old by plan; the two are bought separately."""

    caller: RestCaller
    stocks_delayed: bool
    options_delayed: bool
    unreadable: int  # rows of lists that were left out

    async def _list(
        self, what: str, request: Request, decoder: msgspec.json.Decoder[R], family: Family, *, every: bool = False
    ) -> list[R]:
        """All pages. `every`: nothing may be left out (see `columns.rows_of`)."""
        pages = await self.caller.pages(
            what, request, lambda body: columns.counted_page(body, decoder, what, every=every), family
        )
        return self._kept(what, pages.parts)

    async def _page(
        self, what: str, request: Request, decoder: msgspec.json.Decoder[R], family: Family, *, every: bool = False
    ) -> list[R]:
        """The first page only."""
        page = await self.caller.one(
            what, request, lambda body: columns.counted_page(body, decoder, what, every=every), family
        )
        return self._kept(what, [page])

    def _kept(self, what: str, parts: Iterable[tuple[list[R], int]]) -> list[R]:
        """The rows of all parts, the unreadable ones counted; DataError when no row is left of those that came."""
        rows: list[R] = []
        bad = 0
        for good, left_out in parts:
            rows += good
            bad += left_out
        columns.check_some_good(len(rows), bad, what)
        self.unreadable += bad
        return rows

    async def _single(self, what: str, request: Request, decoder: msgspec.json.Decoder[R], family: Family) -> R:
        return await self.caller.one(what, request, lambda body: columns.single(body, decoder, what), family)
