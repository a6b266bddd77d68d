"""Pane 5: what an order is sent at can be read at any width."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.ui.fake_engine import FakeDoor, rich_snapshot
from tests.ui.running import LARGE, SMALL, running

TERMS = ("4.15 gtc", "st .30/.25 gtc", "st 12.30/12.25 gtd")


@pytest.mark.parametrize("keys", [("5",), ("5", "z")])
@pytest.mark.parametrize("size", [SMALL, (120, 40), (160, 48), LARGE])
async def test_the_prices_of_stops_and_gtc_orders_stand_beside_the_state(size, keys):
    rows = rich_snapshot().orders
    orders = tuple(replace(row, limit=terms) for row, terms in zip(rows, TERMS, strict=False))
    door = FakeDoor(replace(rich_snapshot(), orders=orders, proposals=()))
    async with running(size, door) as screen:
        await screen.press(*keys)
        for row, terms in zip(orders, TERMS, strict=True):
            line = next(line for line in screen.text.split("\n") if f" {terms} " in line)
            assert f" {row.state} " in line
            assert row.text[:16] in line
        assert "##" not in screen.text
