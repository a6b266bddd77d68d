"""The desk: intent on disk before the send, sent once, UNKNOWN never sent again, every fill counted once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.errors import BrokerError, InvariantBroken, JournalError, OutcomeUnknown
from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.ledger import CANCEL_AGAIN_S
from qmterm.engine.runlog import RunLog
from tests.engine.fakes import CASH, OCC, FakeBroker, MemoryJournal, clock_at, entry, lost


class Desk:
    """A desk with everything around it in memory."""

    def __init__(self) -> None:
        self.clock = clock_at()
        self.broker = FakeBroker(self.clock)
        self.journal = MemoryJournal()
        self.book = Book(CASH)
        self.log = RunLog(self.clock)
        self.filled: list[str] = []

        async def on_fill(record, fill, after):
            self.filled.append(fill.fill_id)

        self.on_fill = on_fill
        self.desk = OrderDesk(
            self.broker, self.journal, self.book, self.clock, self.log, OrderSettings(readback_window_s=10), on_fill
        )


@pytest.fixture
def at() -> Desk:
    return Desk()


async def test_the_intent_is_durable_before_anything_is_sent(at):
    def check(intent):
        assert ("intent", intent.intent_id) in at.journal.rows

    at.broker.before_accept = check
    record = await at.desk.submit(entry())
    assert at.broker.posts == ["qm-1"]
    assert record.state is OrderState.RECEIVED


async def test_a_full_disk_means_nothing_is_sent(at):
    at.journal.full = True
    with pytest.raises(JournalError):
        await at.desk.submit(entry())
    assert at.broker.posts == []
    assert at.desk.ledger.get("qm-1").state is OrderState.NOT_SENT


async def test_an_order_id_is_never_used_twice(at):
    await at.desk.submit(entry())
    with pytest.raises(InvariantBroken):
        await at.desk.submit(entry())
    assert at.broker.posts == ["qm-1"]


async def test_a_certain_refusal_is_rejected_with_the_brokers_word(at):
    def refuse(intent):
        raise BrokerError("not enough", "margin_check_failed")

    at.broker.before_accept = refuse
    record = await at.desk.submit(entry())
    assert record.state is OrderState.REJECTED
    assert record.reason.startswith("margin_check_failed")


async def test_a_lost_answer_is_unknown_counts_fully_and_is_not_sent_again(at):
    at.broker.after_accept = lost
    record = await at.desk.submit(entry())
    assert record.state is OrderState.UNKNOWN
    assert record.worst_loss == Decimal("830.00")
    for _ in range(5):
        at.clock.advance(60)
        await at.desk.read_back(replace(await at.broker.account_state(), orders=(), complete=False))
    assert record.state is OrderState.UNKNOWN
    assert at.broker.posts == ["qm-1"]


async def test_a_lost_answer_is_settled_when_the_tag_is_found(at):
    at.broker.after_accept = lost
    record = await at.desk.submit(entry())
    at.broker.fill("1000", 2)
    await at.desk.read_back(await at.broker.account_state())
    assert record.state is OrderState.FILLED
    assert at.book.quantity(OCC) == 2


async def test_absent_from_two_complete_readbacks_is_not_accepted_and_a_late_one_is_adopted_with_an_alarm(at):
    at.broker.before_accept = lost
    record = await at.desk.submit(entry())
    await at.desk.read_back(await at.broker.account_state())
    assert record.state is OrderState.UNKNOWN
    at.clock.advance(5)
    await at.desk.read_back(await at.broker.account_state())
    assert record.state is OrderState.UNKNOWN  # the window is not over
    at.clock.advance(6)
    await at.desk.read_back(await at.broker.account_state())
    assert record.state is OrderState.NOT_ACCEPTED
    late = await FakeBroker(at.clock).place(entry())
    await at.desk.on_order(replace(late, state=OrderState.LIVE))
    assert record.state is OrderState.LIVE
    assert at.log.levels["alarm"] == 2
    assert at.broker.posts == ["qm-1"]


async def test_an_unknown_order_whose_position_moved_is_not_called_absent(at):
    at.broker.before_accept = lost
    record = await at.desk.submit(entry())
    at.broker.held[OCC] = 2
    for _ in range(3):
        at.clock.advance(4)
        await at.desk.read_back(await at.broker.account_state())
    assert record.state is OrderState.UNKNOWN
    assert at.log.levels["alarm"] >= 2


async def test_stream_and_poll_may_both_tell_of_a_fill_it_counts_once(at):
    await at.desk.submit(entry())
    order = at.broker.fill("1000", 1)
    await asyncio.gather(at.desk.on_order(order), at.desk.on_order(order), at.desk.on_order(order))
    assert at.book.quantity(OCC) == 1
    assert at.filled == [order.fills[0].fill_id]


async def test_a_fill_that_beats_the_cancel_wins(at):
    record = await at.desk.submit(entry())
    await at.desk.cancel(record, "test")
    await at.desk.on_order(at.broker.orders["1000"])
    assert record.state is OrderState.CANCEL_REQUESTED
    await at.desk.on_order(at.broker.fill("1000", 2))
    assert record.state is OrderState.FILLED
    assert at.book.quantity(OCC) == 2


async def test_old_news_never_moves_an_order_back_but_its_fills_still_count(at):
    record = await at.desk.submit(entry())
    live = at.broker.set_state("1000", OrderState.LIVE)
    done = at.broker.fill("1000", 2)
    await at.desk.on_order(replace(done, fills=()))  # Filled is reported before its fills
    assert record.state is OrderState.FILLED
    assert at.book.quantity(OCC) == 0
    await at.desk.on_order(replace(live, fills=done.fills))
    assert record.state is OrderState.FILLED
    assert at.book.quantity(OCC) == 2


async def test_what_the_stream_told_before_the_answer_was_lost_is_no_unknown(at):
    def told(intent):
        at.desk.ledger.get(intent.intent_id).state = OrderState.LIVE
        raise OutcomeUnknown("reset")

    at.broker.after_accept = told
    record = await at.desk.submit(entry())
    assert record.state is OrderState.LIVE
    assert at.log.levels["alarm"] == 0


async def test_an_order_is_sent_once_whoever_asks_again(at):
    record = await at.desk.submit(entry())
    with pytest.raises(InvariantBroken):
        await at.desk.send(record, lambda _: None)
    assert at.broker.posts == ["qm-1"]


async def test_what_is_no_longer_wanted_after_the_disk_is_not_sent(at):
    record = at.desk.register(entry())
    await at.desk.send(record, lambda _: Reason.LADDER_NO_NEW)
    assert at.broker.posts == []
    assert (record.state, record.reason) == (OrderState.NOT_SENT, "LADDER_NO_NEW")
    assert at.journal.rows == [("intent", "qm-1"), ("not sent", "qm-1")]


async def test_partial_fills_pay_together_what_one_fill_would(at):
    await at.desk.submit(entry("qm-1", 13))
    for _ in range(13):
        await at.desk.on_order(at.broker.fill("1000", 1))
    other = Desk()
    await other.desk.submit(entry("qm-1", 13))
    await other.desk.on_order(other.broker.fill("1000", 13))
    assert at.book.fees == other.book.fees > 0
    assert at.book.cash == other.book.cash


async def test_a_refused_cancel_leaves_the_order_working_and_may_be_asked_again(at):
    record = await at.desk.submit(entry())
    at.broker.set_state("1000", OrderState.FILLED)  # the broker knows more than we do
    assert "cancel refused" in await at.desk.cancel(record, "test")
    assert not record.cancel_asked
    assert record.working
    # The machine waits a little (no storm of cancels, one a turn); a person's own cancel goes out at once.
    assert record.cancelling(at.clock.monotonic(), at.clock.now())
    assert "cancel refused" in await at.desk.cancel(record, "test")
    at.clock.advance(1)
    assert not record.cancelling(at.clock.monotonic(), at.clock.now())


async def test_of_two_cancels_the_second_is_on_its_way_until_it_is_answered_itself(at):
    record, answers = await at.desk.submit(entry()), [asyncio.Event(), asyncio.Event()]
    waiting = iter(answers)

    async def slow(_number):
        await next(waiting).wait()

    at.broker.cancel = slow
    asked = [asyncio.ensure_future(at.desk.cancel(record, "test")) for _ in answers]
    await asyncio.sleep(0)
    answers[0].set()
    await asked[0]
    at.clock.advance(CANCEL_AGAIN_S)
    assert record.cancelling(at.clock.monotonic(), at.clock.now())
    answers[1].set()
    await asked[1]
    assert not record.cancelling(at.clock.monotonic(), at.clock.now())


async def test_an_order_from_elsewhere_is_adopted_as_external(at):
    other = FakeBroker(at.clock)
    order = replace(await other.place(entry("x")), external_id=None, broker_id="77")
    record = await at.desk.on_order(order)
    assert record.external
    assert record.intent.strategy == "external"
    assert record in at.desk.ledger.working


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=12), st.randoms(use_true_random=False))
def test_fills_in_any_order_with_repeats_and_drops_end_in_the_same_book(extra, rng):
    """Every report is a full object, so the last one alone must be enough, whatever came before."""

    async def run():
        at = Desk()
        await at.desk.submit(entry(quantity=4))
        reports = [at.broker.fill("1000", 1) for _ in range(4)]
        noise = [reports[i] for i in extra]
        rng.shuffle(noise)
        for report in [*noise, reports[-1], *noise]:
            await at.desk.on_order(report)
        assert at.book.quantity(OCC) == 4
        assert at.book.fill_count == 4
        assert len(at.filled) == len(set(at.filled)) == 4
        assert at.book.cash == CASH - 4 * Decimal("410") - at.book.fees

    asyncio.run(run())


async def test_an_order_edited_elsewhere_keeps_our_tag_and_is_still_a_second_order(at):
    record = await at.desk.submit(entry())
    edited = replace(at.broker.orders["1000"], broker_id="2000", state=OrderState.LIVE, net_price=Decimal("-9.00"))
    at.broker.set_state("1000", OrderState.CANCELLED)
    await at.desk.on_order(at.broker.orders["1000"])
    second = await at.desk.on_order(edited)
    assert record.state is OrderState.CANCELLED
    assert second is not record
    assert second.external
    assert second in at.desk.ledger.working
    assert second.worst_loss == Decimal("1800.00")
    assert at.log.levels["alarm"] == 1


async def test_a_reading_that_began_before_the_answer_was_lost_proves_no_absence(at):
    at.broker.before_accept = lost
    began = at.clock.monotonic() - 1
    record = await at.desk.submit(entry())
    for _ in range(3):
        await at.desk.read_back(await at.broker.account_state(), began)
        at.clock.advance(20)
    assert record.state is OrderState.UNKNOWN
    assert record.absent_since is None


async def test_fees_of_a_broker_that_tells_them_are_taken_as_told():
    at = Desk()
    at.desk = OrderDesk(
        at.broker, at.journal, at.book, at.clock, at.log, OrderSettings(), at.on_fill, broker_tells_fees=True
    )
    await at.desk.submit(entry(quantity=1))
    await at.desk.on_order(at.broker.fill("1000", 1))
    assert at.book.fees == 0
