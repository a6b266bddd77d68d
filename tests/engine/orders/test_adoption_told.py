"""Row by row and word by word: what of an adopted difference is on the disk, said, and whose the new contracts are."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

from qmterm.engine.kept_rows import KeptRows
from qmterm.engine.orders.adoption import Adoption
from qmterm.engine.orders.causes import NO_CAUSE, Cause, CauseKind
from qmterm.engine.orders.reconcile import Difference
from qmterm.engine.orders.splits import Successor
from qmterm.engine.patience import DiskPatience
from tests.engine.fakes import OCC
from tests.engine.house import opened
from tests.engine.orders.desk_seat import Sink

HALF = "NVDA  260417C00087500"


async def adopted(house, causes, heirs=None):
    """All that the broker's account differs by is adopted with these causes, by symbol."""
    state = await house.broker.account_state()
    found = [
        Difference(symbol, Decimal(house.book.quantity(symbol)), Decimal(house.broker.held.get(symbol, 0)))
        for symbol in causes
        if symbol
    ]
    if "" in causes:
        found.append(Difference("", house.book.cash, state.balance.cash))
    rows = []

    async def keep(*row):
        rows.append(row)

    disk = SimpleNamespace(write_adjustment=keep)
    named = SimpleNamespace(
        name=lambda all_, _drift: tuple(causes[each.symbol] for each in all_), heirs=lambda _found: heirs or {}
    )
    said = Sink()
    house.log.keep_in(said)
    adoption = adoption_of(house, disk, named)
    answer = adoption.adopt(found, state)
    await adoption.keep(answer)
    return answer, rows, said


def adoption_of(house, disk, named):
    patience = DiskPatience()
    day_rows = KeptRows(patience, lambda name: house.journal.write_document(name, house.trader.day.to_dict()))
    return Adoption(house.trader, disk, named, day_rows, patience)


async def test_each_difference_is_on_the_disk_and_said_with_its_cause():
    async with opened() as house:
        house.quote(4.10, 4.20)
        cash, now = house.book.cash, house.clock.now()
        house.broker.held[OCC], house.broker.cash = 2, cash - 5
        drift = Cause(CauseKind.FEE_DRIFT, "fees")
        answer, rows, said = await adopted(house, {OCC: NO_CAUSE, "": drift})
        unexplained = "NVDA 17APR26 175C: ours 0, broker 2 (cause unknown)"
        fees = f"cash: ours {cash}, broker {cash - 5} (fees)"
        assert (answer.texts, answer.serious) == ((unexplained, fees), (unexplained,))
        assert rows == [(OCC, 2, f"reconcile: {unexplained}", now), (None, -5, f"reconcile: {fees}", now)]
        assert said == [
            ("alarm", "RECO", f"difference adopted: {unexplained}", OCC, {"cause": "unknown"}),
            ("warn", "RECO", f"difference adopted: {fees}", "cash", {"cause": "fee drift"}),
        ]
        position = house.book.position(OCC)
        assert (position.strategy, position.plan_id, position.opened_ns) == ("external", "", now)


async def test_what_a_split_made_of_a_guarded_position_is_its_trades_and_its_stops_watch_it():
    async with opened() as house:
        await house.hold(4)
        plan_id, strategy = house.book.position(OCC).plan_id, house.book.position(OCC).strategy
        house.broker.held.clear()
        house.broker.held[HALF] = 8
        split = Cause(CauseKind.SPLIT, "split 2:1")
        _, _, said = await adopted(house, {OCC: split, HALF: split}, {OCC: Successor(HALF, 2)})
        position = house.book.position(HALF)
        assert (position.quantity, position.strategy, position.plan_id) == (8, strategy, plan_id)
        assert house.guards.of(plan_id).symbol == HALF
        assert said[-1] == ("warn", "STOP", "split: the stops now watch 8 NVDA 17APR26 87.5C", HALF, {})


async def test_what_is_gone_counts_at_what_it_cost():
    async with opened() as house:
        heard = []
        await house.hold(4)
        house.quote(3.00, 3.10)
        house.broker.held.clear()
        state = await house.broker.account_state()
        named = SimpleNamespace(name=lambda found, _drift: (NO_CAUSE,) * len(found), heirs=lambda _found: {})
        adoption = adoption_of(house, house.journal, named)
        adoption.on_flow = heard.append
        cost = house.book.position(OCC).average
        adoption.adopt([Difference(OCC, Decimal(4), Decimal(0))], state)
        assert heard == [-4 * cost * 100]
