"""Start = recovery: whatever the journal holds after a crash, the book and the orders come back as they were."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.clock import NS
from qmterm.core.errors import BrokerError, ConfigError
from qmterm.core.orders import (
    AccountBalance,
    AccountState,
    Action,
    BracketRole,
    BrokerOrder,
    BrokerPosition,
    Fill,
    Leg,
    OrderState,
    Purpose,
    TimeInForce,
)
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.ledger import adopt
from qmterm.engine.orders.recovery import adopt_difference, check_account, rebuild, restore, starting_positions, tail
from qmterm.engine.orders.walker import repriced
from qmterm.engine.runlog import RunLog
from qmterm.journal.journal import Journal
from tests.engine.fakes import CASH, OCC, FakeBroker, clock_at, entry, lost
from tests.engine.house import House

ACCOUNT = "5WT00001"
DAY_NS = 86_400 * NS


def account(cash=CASH, positions=(), orders=()):
    return AccountState(ACCOUNT, AccountBalance(cash, cash, cash), tuple(positions), tuple(orders))


class Life:
    """One journal file over several runs of the engine's ledger, against one broker."""

    def __init__(self, path: Path) -> None:
        self.path = path / "journal.sqlite"
        self.clock = clock_at()
        self.broker = FakeBroker(self.clock)

    async def begin(self) -> None:
        self.journal = await Journal.open(self.path, self.clock)
        saved = await self.journal.load()
        state = await self.broker.account_state()
        self.rebuilt = rebuild(saved, state, await self.journal.read_document("baseline"), 0.0)
        if self.rebuilt.first_session:
            await self.journal.write_document(
                "baseline", {"fill_ids": [f.fill_id for o in state.orders for f in o.fills]}
            )
        self.book = self.rebuilt.book
        await self.journal.start_session(
            ACCOUNT, "auto", "sim", "sim", self.book.cash, starting_positions(self.book), "hash"
        )

        async def on_fill(record, fill, after):
            pass

        house = House()
        self.log = RunLog(self.clock)
        self.desk = OrderDesk(self.broker, self.journal, self.book, self.clock, self.log, house.orders, on_fill)
        restore(self.desk.ledger, self.rebuilt)

    async def crash(self) -> None:
        """The file stays as it is; nothing says goodbye."""
        await self.journal.flush()
        await self.journal.close()

    async def restart(self) -> None:
        await self.crash()
        await self.begin()


@pytest.fixture
async def life(tmp_path):
    one = Life(tmp_path)
    await one.begin()
    yield one
    await one.journal.close()


def refuse(_intent):
    raise BrokerError("no", "cannot_update_order")


def exit_order(quantity, number=1):
    return replace(
        entry(f"x{number}", quantity, "4.00"),
        purpose=Purpose.EXIT,
        legs=(Leg(OCC, Action.SELL_TO_CLOSE, quantity),),
        max_loss=None,
        net_price=Decimal("4.00"),
    )


async def test_an_intent_without_a_send_comes_back_unknown_and_is_settled_by_read_back_alone(life):
    await life.journal.write_intent(entry())
    await life.restart()
    record = life.desk.ledger.get("qm-1")
    assert record.state is OrderState.UNKNOWN
    assert record.worst_loss == Decimal("830.00")
    for _ in range(2):
        await life.desk.read_back(await life.broker.account_state())
        life.clock.advance(11)
    assert record.state is OrderState.NOT_ACCEPTED
    assert life.broker.posts == []


async def test_sent_without_an_answer_is_found_by_its_tag_after_the_crash(life):
    life.broker.after_accept = lost
    await life.desk.submit(entry())
    await life.restart()
    record = life.desk.ledger.get("qm-1")
    assert record.state is OrderState.UNKNOWN
    life.broker.fill("1000", 2)
    await life.desk.read_back(await life.broker.account_state())
    assert record.state is OrderState.FILLED
    assert life.book.quantity(OCC) == 2
    assert life.broker.posts == ["qm-1"]


async def test_a_partial_fill_before_the_crash_and_the_rest_during_it_count_once_each(life):
    await life.desk.submit(entry(quantity=4))
    await life.desk.on_order(life.broker.fill("1000", 1))
    cash = life.book.cash
    life.broker.fill("1000", 3)  # while nobody listened
    await life.restart()
    assert (life.book.quantity(OCC), life.book.cash) == (1, cash)
    assert life.book.seen("f1-1000")  # whoever tells of it again
    await life.desk.read_back(await life.broker.account_state())
    assert life.book.quantity(OCC) == 4
    assert life.book.fill_count == 1  # of this session
    record = life.desk.ledger.get("qm-1")
    assert (record.state, record.filled_units) == (OrderState.FILLED, 4)


async def test_an_order_that_had_ended_stays_ended(life):
    await life.desk.submit(entry())
    await life.desk.on_order(life.broker.set_state("1000", OrderState.CANCELLED))
    await life.restart()
    assert life.desk.ledger.get("qm-1").state is OrderState.CANCELLED
    assert life.desk.ledger.working == ()


async def test_adjustments_are_part_of_what_we_have(life):
    await life.journal.write_adjustment(None, Decimal("-1.25"), "fees", life.clock.now())
    await life.journal.write_adjustment(OCC, Decimal(3), "assigned elsewhere", life.clock.now())
    life.broker.held[OCC] = 3
    await life.restart()
    assert life.book.cash == CASH - Decimal("1.25")
    held = life.book.position(OCC)
    assert (held.quantity, held.average) == (3, Decimal("4.10"))  # the broker knows what it cost


async def test_fills_older_than_the_journal_are_never_counted(tmp_path):
    life = Life(tmp_path)
    await life.broker.place(entry("from-elsewhere"))
    life.broker.fill("1000", 2)
    await life.begin()
    for _ in range(2):
        await life.desk.read_back(await life.broker.account_state())
        assert life.book.quantity(OCC) == 2
        assert life.book.cash == CASH
        await life.restart()
    await life.journal.close()


async def test_who_opened_a_position_is_still_known_after_two_restarts(life):
    await life.desk.submit(entry())
    await life.desk.on_order(life.broker.fill("1000", 2))
    await life.restart()
    await life.restart()
    held = life.book.position(OCC)
    assert (held.strategy, held.plan_id) == ("atr_matrix", "plan-1")


def test_a_journal_of_another_account_is_refused_without_naming_either():
    class Session:
        account = "5WT99999"

    with pytest.raises(ConfigError) as caught:
        check_account(Session(), ACCOUNT, "j.sqlite")
    assert ACCOUNT not in str(caught.value)
    assert tail(ACCOUNT) in str(caught.value)
    check_account(None, ACCOUNT, "j.sqlite")


def test_a_difference_is_adopted_and_its_size_is_what_the_journal_must_add():
    book = Book(CASH)
    state = account(CASH - 3, [BrokerPosition(OCC, 2, Decimal("4.40"), 100)])
    assert adopt_difference(book, OCC, Decimal(2), state, 1) == 2
    assert adopt_difference(book, "", CASH - 3, state, 1) == -3
    assert (book.quantity(OCC), book.position(OCC).average, book.cash) == (2, Decimal("4.40"), CASH - 3)
    assert adopt_difference(book, OCC, Decimal(0), account(), 1) == -2
    assert book.positions == ()


# One story: what the desk does, what the broker does behind its back, and crashes between any two of them.
story = st.lists(
    st.sampled_from(["enter", "lose an answer", "fill one", "fill unseen", "cancel", "poll", "crash"]),
    min_size=1,
    max_size=14,
)


@settings(max_examples=60)
@given(story)
async def test_crash_anywhere_and_the_book_still_equals_the_broker(tmp_path_factory, deeds):
    life = Life(tmp_path_factory.mktemp("life"))
    await life.begin()
    number = 0
    for deed in deeds:
        live = [o for o in life.broker.orders.values() if not o.state.terminal]
        if deed in ("enter", "lose an answer"):
            number += 1
            life.broker.after_accept = lost if deed == "lose an answer" else (lambda intent: None)
            await life.desk.submit(entry(f"qm-{number}", quantity=3))
        elif deed.startswith("fill") and live:
            order = life.broker.fill(live[0].broker_id, 1)
            if deed == "fill one":
                await life.desk.on_order(order)
        elif deed == "cancel" and live:
            life.broker.set_state(live[0].broker_id, OrderState.CANCELLED)
        elif deed == "poll":
            await life.desk.read_back(await life.broker.account_state())
        elif deed == "crash":
            await life.restart()
    await life.restart()
    await life.desk.read_back(await life.broker.account_state())
    executed = [fill for order in life.broker.orders.values() for fill in order.fills]
    assert life.book.quantity(OCC) == sum(fill.quantity for fill in executed)
    spent = sum((fill.quantity * fill.price * 100 for fill in executed), Decimal(0))
    fees = sum((f.fees for r in life.desk.ledger.records for f in r.fills.values()), Decimal(0))
    assert life.book.cash == CASH - spent - fees
    assert len(life.broker.posts) == len(set(life.broker.posts)) == number
    for order in life.broker.orders.values():
        assert life.desk.ledger.find(order).state.terminal == order.state.terminal
    await life.journal.close()


def test_the_first_session_takes_the_brokers_account_as_it_is():
    done = BrokerOrder(
        "7", None, ACCOUNT, "NVDA", OrderState.FILLED, (Leg(OCC, Action.BUY_TO_OPEN, 1),),
        (Fill("f1", "7", OCC, Action.BUY_TO_OPEN, 1, Decimal("4"), 1),), Decimal("-4"), "Day", 1, 1,
    )  # fmt: skip

    class Empty:
        session = None
        orders = fills = adjustments = ()
        protects: dict = {}  # noqa: RUF012

    rebuilt = rebuild(Empty(), account(positions=[BrokerPosition(OCC, 1, Decimal(4), 100)], orders=[done]), None, 0.0)
    assert rebuilt.first_session
    assert rebuilt.book.quantity(OCC) == 1
    assert rebuilt.book.seen("f1")


async def test_an_adopted_order_killed_between_its_two_rows_is_not_adopted_a_second_time(life):
    """Found by `qmterm drill crash --first-seed 136`: the engine could not start any more."""
    await life.broker.place(replace(entry(), intent_id="somebody-elses"))
    elsewhere = replace(life.broker.orders["1000"], external_id=None)
    life.broker.orders["1000"] = elsewhere
    await life.journal.write_intent(adopt(elsewhere, 0, 0.0).intent)  # and killed before its order row
    await life.restart()
    await life.desk.read_back(await life.broker.account_state())
    (record,) = life.desk.ledger.records
    assert (record.broker_id, record.state, record.external) == ("1000", OrderState.RECEIVED, True)


async def test_our_own_close_of_a_position_from_elsewhere_is_still_ours_after_a_crash(life):
    """Found by `qmterm drill --sockets`: it was taken for somebody else's order and adopted a second time."""
    close = replace(
        entry(), intent_id="x1", strategy="external", purpose=Purpose.EXIT, legs=(Leg(OCC, Action.SELL_TO_CLOSE, 1),)
    )
    await life.journal.write_intent(close)
    await life.broker.place(close)  # and killed before its answer
    await life.restart()
    await life.desk.read_back(await life.broker.account_state())
    (record,) = life.desk.ledger.records
    assert (record.broker_id, record.state, record.external) == ("1000", OrderState.RECEIVED, False)


async def test_somebodys_old_order_that_ended_today_does_not_forbid_the_second_start_of_the_day(life):
    first = await life.desk.submit(entry())
    life.broker.orders["9"] = replace(
        life.broker.orders[first.broker_id],
        broker_id="9",
        external_id=None,
        state=OrderState.CANCELLED,
        received_ns=life.clock.now() - 10 * DAY_NS,
    )
    for _ in range(3):
        await life.desk.read_back(await life.broker.account_state())
        assert life.desk.ledger.get("ext-9").state is OrderState.CANCELLED
        await life.restart()


async def test_a_step_of_an_order_of_last_month_has_no_id_that_the_journal_knows(life):
    old = await life.desk.submit(replace(entry(), time_in_force=TimeInForce.GTC))
    await life.desk.on_order(life.broker.set_state(old.broker_id, OrderState.LIVE))
    accept, life.broker.before_accept = life.broker.before_accept, refuse
    life.clock.advance(5)
    step = repriced(life.desk.ledger, old, Decimal("-4.20"), life.clock.now())
    assert (await life.desk.submit(step)).state is OrderState.REJECTED
    life.broker.before_accept = accept
    life.clock.advance(8 * 86_400)
    await life.desk.submit(replace(entry("qm-2"), created_ns=life.clock.now()))
    await life.restart()
    assert [record.intent.intent_id for record in life.desk.ledger.records] == ["qm-1", "qm-2"]
    dearer = repriced(life.desk.ledger, life.desk.ledger.get("qm-1"), Decimal("-9.00"), life.clock.now())
    await life.desk.submit(dearer)
    kept = {stored.intent.intent_id: stored.intent for stored in (await life.journal.load()).orders}
    assert kept[dearer.intent_id].net_price == Decimal("-9.00")


async def test_an_old_order_that_the_journal_did_not_give_back_is_found_in_it_and_stays_whose_it_was(life):
    await life.desk.submit(entry())
    await life.desk.on_order(life.broker.fill("1000", 2))
    life.broker.orders["9"] = replace(
        life.broker.orders["1000"], broker_id="9", external_id=None, fills=(), state=OrderState.CANCELLED
    )
    await life.desk.read_back(await life.broker.account_state())
    life.clock.advance(10 * 86_400)
    await life.journal.write_adjustment(None, Decimal(1), "interest", life.clock.now())
    await life.restart()
    assert life.desk.ledger.records == ()
    await life.desk.read_back(await life.broker.account_state())  # the broker lists them all the same
    found = {r.intent.intent_id: (r.state, r.external, r.filled_units) for r in life.desk.ledger.records}
    assert found == {"qm-1": (OrderState.FILLED, False, 2), "ext-9": (OrderState.CANCELLED, True, 0)}
    assert life.book.quantity(OCC) == 2
    await life.restart()


async def test_a_gtc_order_of_last_month_that_filled_today_is_given_back_by_the_second_start(life):
    await life.desk.submit(replace(entry(), time_in_force=TimeInForce.GTC))
    await life.desk.on_order(life.broker.set_state("1000", OrderState.LIVE))
    life.clock.advance(30 * 86_400)
    await life.desk.on_order(life.broker.fill("1000", 2))
    for _ in range(2):
        await life.restart()
        (record,) = life.desk.ledger.records
        assert (record.intent.intent_id, record.state, record.external) == ("qm-1", OrderState.FILLED, False)
        held = life.book.position(OCC)
        assert (held.quantity, held.strategy, held.plan_id) == (2, "atr_matrix", "plan-1")


async def test_two_who_tell_of_the_same_new_order_adopt_it_once(life):
    await life.broker.place(entry("from-elsewhere"))
    order = life.broker.orders["1000"]
    one, other = await asyncio.gather(life.desk.on_order(order), life.desk.on_order(order))
    assert one is other
    assert len(life.desk.ledger.records) == 1


async def test_a_later_plan_in_the_same_contract_that_never_filled_takes_no_position_over_at_a_restart(life):
    first = await life.desk.submit(replace(entry("eA", 4), plan_id="A"))
    await life.desk.on_order(life.broker.fill(first.broker_id, 4))
    later = await life.desk.submit(replace(entry("eB", 1), plan_id="B", strategy="manual"))
    await life.desk.on_order(life.broker.set_state(later.broker_id, OrderState.CANCELLED))
    elsewhere = replace(life.broker.orders[later.broker_id], broker_id="9", external_id=None)
    life.broker.orders["9"] = elsewhere  # in the broker's own app, cancelled too
    await life.desk.read_back(await life.broker.account_state())
    for _ in range(2):
        await life.restart()
    held = life.book.position(OCC)
    assert (held.strategy, held.plan_id) == ("atr_matrix", "A")


# --- what a person asked for outlives the run ---


def resting(intent_id="r1"):
    return replace(exit_order(2), intent_id=intent_id, bracket_id="b1", role=BracketRole.STOP, plan_id="P1")


async def test_an_exit_that_a_person_took_away_is_known_as_such_after_any_restart(life):
    record = await life.desk.submit(resting())
    record.unwanted = True
    await life.desk.cancel(record, "by you")
    for state in (OrderState.CANCEL_REQUESTED, OrderState.CANCELLED):
        await life.restart()  # before the broker has said anything, and between its two words
        assert life.desk.ledger.get("r1").unwanted
        await life.desk.on_order(life.broker.set_state("1000", state))
    life.clock.advance(30 * 86_400)  # its position may live that long
    await life.journal.write_adjustment(None, Decimal(1), "interest", life.clock.now())
    await life.restart()
    record = life.desk.ledger.get("r1")
    assert (record.state, record.unwanted) == (OrderState.CANCELLED, True)


async def test_an_exit_that_the_machine_cancelled_is_not_taken_for_a_persons_cancel(life):
    record = await life.desk.submit(resting())
    await life.desk.cancel(record, "makes way for a close")
    await life.desk.on_order(life.broker.set_state("1000", OrderState.CANCELLED))
    entered = await life.desk.submit(entry("qm-2"))
    entered.unwanted = True  # no exit: its cancel says nothing about what is to rest
    await life.desk.cancel(entered, "by you")
    await life.restart()
    assert [r.unwanted for r in life.desk.ledger.records] == [False, False]


async def halt(life, before="NORMAL"):
    await life.journal.write_ladder("HALT", "user", True, life.clock.now(), before=before)


async def test_a_persons_close_under_halt_is_spared_after_a_restart_too(life):
    await life.desk.submit(entry("before"))
    await life.desk.submit(exit_order(1, number=1))
    await life.journal.write_ladder("NO-NEW", "data_stale", False, life.clock.now())
    await halt(life, "NO-NEW")
    await life.desk.submit(exit_order(1, number=2))
    await halt(life, "HALT")  # another cause of the same level
    await life.desk.submit(entry("after"))
    await life.restart()
    spared = {r.intent.intent_id: r.spared for r in life.desk.ledger.records}
    assert spared == {"before": False, "x1": False, "x2": True, "after": False}


async def test_without_halt_or_after_a_newer_one_no_close_is_spared(life):
    await halt(life)
    await life.desk.submit(exit_order(1))
    await life.journal.write_ladder("NORMAL", None, True, life.clock.now(), before="HALT")
    await life.restart()
    assert not life.desk.ledger.get("x1").spared
    await halt(life)
    await life.restart()
    assert not life.desk.ledger.get("x1").spared
