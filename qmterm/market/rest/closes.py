"""The previous session's bar of one stock or option contract: what every plan has, also where snapshots are refused."""

from __future__ import annotations

import msgspec

from qmterm.market.records import BarColumns
from qmterm.market.rest import bodies
from qmterm.market.rest.client import PolygonRest
from qmterm.market.rest.columns import bar_columns, check_status

_page = msgspec.json.Decoder(bodies.BarPage)


async def previous_close(rest: PolygonRest, ticker: str) -> BarColumns:
    """One bar, or none for an unknown ticker; `ticker` as the vendor spells it (`O:` for contracts)."""

    def decode(body: bytes) -> BarColumns:
        parsed = _page.decode(body)
        check_status(parsed, f"previous close of {ticker}")
        return bar_columns(ticker, (parsed.results or [])[:1])

    return await rest.caller.one(
        f"previous close of {ticker}", lambda c: c.get_previous_close_agg(ticker, raw=True), decode
    )
