"""The envelope around tastytrade's answers: the data in it, the list in that, whether another page follows."""

from __future__ import annotations

from typing import Any

from qmterm.broker import decode
from qmterm.broker.errors import UNREADABLE
from qmterm.broker.orders import BAD_ORDER
from qmterm.core.errors import BrokerError


def check_number(broker_id: str, deed: str) -> None:
    if not broker_id.isdigit():
        raise BrokerError(f"{broker_id!r} is not a tastytrade order number; nothing was {deed}", BAD_ORDER)


def data(body: dict[str, Any]) -> dict[str, Any]:
    found = body.get("data")
    return found if isinstance(found, dict) else {}


def items(body: dict[str, Any], what: str) -> list[dict[str, Any]]:
    """The list in an answer. One that is not there is no empty list: "no such order" must have been said."""
    found = data(body).get("items")
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise BrokerError(f"unreadable answer from tastytrade: {what} is not a list of objects", UNREADABLE)
    return found


def last_page(body: dict[str, Any], page: int, rows: int, page_size: int) -> bool:
    pagination = body.get("pagination")
    pages = pagination.get("total-pages") if isinstance(pagination, dict) else None
    try:
        return page + 1 >= decode.whole(pages) if pages is not None else rows < page_size
    except decode.Unreadable as error:
        raise BrokerError(f"unreadable answer from tastytrade: number of pages: {error}", UNREADABLE) from None
