"""Rows of `/v3/trades` and `/v3/quotes`, of stocks and of options."""

from __future__ import annotations

import msgspec


class Trade(msgspec.Struct, omit_defaults=True):
    price: float
    size: float
    sip_timestamp: int
    participant_timestamp: int
    sequence_number: int
    exchange: int
    id: str
    tape: int | None = None  # stocks only
    conditions: list[int] = []


class TopOfBook(msgspec.Struct, omit_defaults=True):
    bid_price: float
    ask_price: float
    bid_size: float
    ask_size: float
    sip_timestamp: int
    participant_timestamp: int
    sequence_number: int
    bid_exchange: int
    ask_exchange: int
    tape: int | None = None
