"""What all groups of REST calls share: the caller, one-object answers, and lists over all their pages."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from qmterm.market.rest import columns
from qmterm.market.rest.caller import RestCaller
from qmterm.market.rest.entitlements import Family
from qmterm.market.rest.paging import Request

R = TypeVar("R")

LIST_PAGE = 1_000  # the vendor's maximum of most lists


class Calls:
    """`delayed`: some answer was 15 minutes old by plan."""

    caller: RestCaller
    delayed: bool

    async def _list(self, what: str, request: Request, decoder: msgspec.json.Decoder[R], family: Family) -> list[R]:
        pages = await self.caller.pages(what, request, lambda body: columns.rows_page(body, decoder, what), family)
        return [row for page in pages.parts for row in page]

    async def _page(self, what: str, request: Request, decoder: msgspec.json.Decoder[R], family: Family) -> list[R]:
        """The first page only."""
        return await self.caller.one(what, request, lambda body: columns.rows_page(body, decoder, what), family)

    async def _single(self, what: str, request: Request, decoder: msgspec.json.Decoder[R], family: Family) -> R:
        return await self.caller.one(what, request, lambda body: columns.single(body, decoder, what), family)
