"""Option contracts over REST: chain snapshots, single contracts, what is listed.

The trap: a chain's filters are only read from `params`, which the client changes: a fresh dict goes out each time.
"""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import msgspec

from qmterm.core.errors import BadSymbol, DataError
from qmterm.core.instruments import parse_option
from qmterm.market.company import ListedContract
from qmterm.market.records import OptionRows
from qmterm.market.rest import bodies, columns, option_columns, option_page
from qmterm.market.rest import reference_bodies as reference
from qmterm.market.rest.calls import LIST_PAGE, Calls
from qmterm.market.rest.entitlements import Family

_CHAIN_PAGE = 250  # the vendor's maximum
_contract = msgspec.json.Decoder(reference.ContractRow)
_snapshot = msgspec.json.Decoder(bodies.RawSingle)


class OptionCalls(Calls):
    async def option_rows(
        self,
        underlying: str,
        expiry_from: date,
        expiry_to: date,
        strike_from: float | None = None,
        strike_to: float | None = None,
    ) -> OptionRows:
        """The chain snapshot between two expiries, all pages; no contracts is an empty chain."""
        filters: dict[str, Any] = {
            "expiration_date.gte": expiry_from.isoformat(),
            "expiration_date.lte": expiry_to.isoformat(),
            "limit": _CHAIN_PAGE,
            "sort": "ticker",
            "order": "asc",
        }
        if strike_from is not None:
            filters["strike_price.gte"] = strike_from
        if strike_to is not None:
            filters["strike_price.lte"] = strike_to
        pages = await self.caller.pages(
            f"option chain of {underlying}",
            lambda c: c.list_snapshot_options_chain(underlying, params=dict(filters), raw=True),
            lambda body: option_page.option_part(body, underlying),
            _chain_family(underlying),
        )
        rows = await asyncio.to_thread(option_columns.option_rows, underlying, pages.parts)
        self.options_delayed |= rows.delayed
        return rows

    async def option_row(self, underlying: str, occ: str) -> OptionRows:
        """One contract's snapshot: a chain of one; DataError when the vendor does not know it."""
        contract = parse_option(occ).polygon
        what = f"snapshot of {contract}"
        row = await self.caller.one(
            what,
            lambda c: c.get_snapshot_option(underlying, contract, raw=True),
            lambda body: _one_part(body, underlying, what),
            _chain_family(underlying),
        )
        rows = option_columns.option_rows(underlying, [row])
        self.options_delayed |= rows.delayed
        return rows

    async def has_options(self, underlying: str) -> bool:
        """Whether any unexpired standard option is listed: one small call."""
        rows = await self._page(
            f"option contracts of {underlying}",
            lambda c: c.list_options_contracts(underlying_ticker=underlying, expired=False, limit=1, raw=True),
            _contract,
            Family.OPTION_CONTRACTS,
            every=True,
        )
        return bool(rows)

    async def option_contracts(
        self, underlying: str, *, expired: bool = False, as_of: date | None = None
    ) -> tuple[ListedContract, ...]:
        """All contracts of an underlying (a root without `I:` for indices), as listed now or on a day."""
        rows = await self._list(
            f"option contracts of {underlying}",
            lambda c: c.list_options_contracts(
                underlying_ticker=underlying.removeprefix("I:"),
                expired=expired,
                as_of=as_of.isoformat() if as_of else None,
                limit=LIST_PAGE,
                raw=True,
            ),
            _contract,
            Family.OPTION_CONTRACTS,
            every=True,
        )
        found = {contract.occ: contract for row in rows if (contract := _listed(row)) is not None}
        return tuple(found[occ] for occ in sorted(found))

    async def option_contract(self, occ: str) -> ListedContract:
        ticker = parse_option(occ).polygon
        row = await self._single(
            f"option contract {ticker}",
            lambda c: c.get_options_contract(ticker, raw=True),
            _contract,
            Family.OPTION_CONTRACTS,
        )
        found = _listed(row)
        if found is None:
            raise DataError(self.caller.scrub(f"option contract {ticker}: the answer names {row.ticker!r}"))
        return found


def _chain_family(underlying: str) -> Family:
    return Family.INDEX_OPTIONS if underlying.startswith("I:") else Family.OPTION_CHAINS


def _listed(row: reference.ContractRow) -> ListedContract | None:
    try:
        occ = parse_option(row.ticker).occ
    except BadSymbol:
        return None
    return ListedContract(
        occ, row.underlying_ticker, row.exercise_style, row.shares_per_contract, bool(row.additional_underlyings)
    )


def _one_part(body: bytes, underlying: str, what: str) -> option_page.OptionPart:
    """A single answer as a page of one."""
    parsed = _snapshot.decode(body)
    columns.check_status(parsed, what)
    if columns.is_absent(parsed.results):
        raise DataError(f"{what}: the answer has no result")
    return option_page.option_part(b'{"results":[' + bytes(parsed.results) + b"]}", underlying)
