"""What of a trade may leave: an exit that rests is in the way of a roll and gives way to a close, whosever it is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from qmterm.core.orders import BrokerPosition, OrderState
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.brackets import ExitTerms, exits_behind
from qmterm.engine.orders.closes import free_parts
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from tests.engine.fakes import CASH, OCC, clock_at, entry

NOW = clock_at().now()
CLOSED, NOT_SHOWN = "a working order closes it already", "the broker does not show it (yet)"


def floor(held, shown, rests_for):
    """Contracts in the book and at the broker, and a stop that rests for two of the trade `rests_for`."""
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, held, Decimal(4), 100), "atr_matrix", "P1", NOW)
    book.settle([BrokerPosition(OCC, shown, Decimal(4), 100)], NOW)
    *_, stop = exits_behind(replace(entry(), plan_id=rests_for), ExitTerms(Decimal("2.05"), Decimal("9.00")))
    ledger.add(OrderRecord(stop, OrderState.LIVE, "77"))
    guards = [SimpleNamespace(state=SimpleNamespace(position_id=name, quantity=2)) for name in ("P1", "P2")]
    return SimpleNamespace(book=book, desk=SimpleNamespace(ledger=ledger), guards=SimpleNamespace(all=guards))


def free(trader, *, resting):
    return free_parts(trader, [Position(OCC, 2, Decimal(4), "atr_matrix", "P1", NOW)], resting=resting)


@pytest.mark.parametrize(
    ("held", "shown", "rests_for", "to_close", "to_roll"),
    [
        (2, 2, "P1", (2,), CLOSED),
        (4, 4, "P1", (2,), CLOSED),  # what is free beside it is the other trade's
        (4, 4, "P2", (2,), (2,)),
        (4, 2, "P2", (2,), CLOSED),  # the broker shows no more than the other's stop sells
        (2, 0, "P1", NOT_SHOWN, CLOSED),
    ],
)
def test_a_resting_exit_holds_up_a_roll_only_and_one_of_another_trade_where_too_few_are_left(
    held, shown, rests_for, to_close, to_roll
):
    trader = floor(held, shown, rests_for)
    assert (free(trader, resting=False), free(trader, resting=True)) == (to_close, to_roll)
