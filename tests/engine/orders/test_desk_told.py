"""What the desk leaves behind, word for word: rows of the journal, lines of the log, times and counters."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.errors import BrokerError, InvariantBroken, JournalError
from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.runlog import RunLog
from tests.engine.fakes import OCC, FakeBroker, entry, lost
from tests.engine.orders.desk_seat import BUY, QUOTES, WORTH, Seat, order_line

SENT = order_line("info", f"sent {BUY}", plan="plan-1", limit="4.15 db", purpose="entry", quantity=2, worst=None)


@pytest.fixture
def at() -> Seat:
    return Seat()


async def test_a_sent_order_leaves_these_traces(at):
    at.clock.advance(100)
    record = await at.desk.submit(entry(), decided_at=at.clock.monotonic())
    assert at.told == [SENT]
    assert at.journal.orders == [("qm-1", OrderState.RECEIVED, "1000", at.now, None)]
    assert (at.desk.sent, at.desk.counting) == (1, 0)
    assert at.journal.quotes["qm-1"] == {"decided": QUOTES}
    assert at.asked == [(entry().legs, "NVDA"), (entry().legs, "NVDA", "priced")]
    assert at.journal.notes == [("priced", "qm-1", {"quotes": {"sent": WORTH}}, at.now)]
    assert (record.broker_id, record.reason, record.known_since) == ("1000", "", at.clock.monotonic())
    assert (record.worked_from_ns, record.decided_on) == (entry().created_ns, QUOTES)
    assert record.decided_at == at.clock.monotonic()
    assert at.desk.ledger.get("qm-1") is record


async def test_an_order_without_quotes_behind_it_is_written_without_any():
    at = Seat(quoted=lambda legs, underlying: None)
    await at.desk.submit(entry())
    assert (at.journal.quotes["qm-1"], at.journal.notes, at.asked) == (None, [], [])
    at = Seat(priced=lambda legs, underlying: None)
    await at.desk.submit(entry())
    assert (at.journal.quotes["qm-1"], at.journal.notes) == ({"decided": QUOTES}, [])
    bare = OrderDesk(at.broker, at.journal, at.book, at.clock, RunLog(at.clock), OrderSettings(), None)
    await bare.submit(entry("qm-2"))
    assert at.journal.quotes["qm-2"] is None


async def test_the_time_from_decision_and_scan_to_the_answer_is_measured_in_milliseconds(at):
    at.clock.advance(100)
    began = at.clock.monotonic()
    record = at.desk.register(entry(), decided_at=began)
    record.scanned_at = began - 2.0
    at.broker.after_accept = lambda intent: at.clock.advance(0.5)
    await at.desk.send(record, lambda _: None)
    assert record.acknowledged_ms == pytest.approx(500.0)
    assert at.desk.acknowledged.at(50) == pytest.approx(500.0)
    assert at.desk.scan_to_ack.at(50) == pytest.approx(2500.0)
    await at.desk.submit(entry("qm-2"))  # nobody says when it was decided
    assert (at.desk.acknowledged.counted, at.desk.scan_to_ack.counted) == (1, 1)
    assert at.desk.ledger.get("qm-2").acknowledged_ms is None
    assert at.desk.sent == 2


async def test_an_id_used_twice_is_told_and_nothing_is_asked_or_sent(at):
    await at.desk.submit(entry())
    with pytest.raises(InvariantBroken, match=r"^order id qm-1 was used before; nothing was sent$"):
        at.desk.register(entry())
    assert len(at.asked) == 2
    record = at.desk.ledger.get("qm-1")
    with pytest.raises(InvariantBroken, match=r"^order qm-1 is received: it is sent once only$"):
        await at.desk.send(record, lambda _: None)


async def test_what_must_be_durable_with_the_order_is_waited_for(at):
    written = []

    async def beside():
        await asyncio.sleep(0)
        written.append(list(at.broker.posts))

    await at.desk.send(at.desk.register(entry()), lambda _: None, beside())
    assert written == [[]]  # before anything left
    assert at.broker.posts == ["qm-1"]
    assert at.journal.quotes["qm-1"] == {"decided": QUOTES}


async def test_what_could_not_be_made_durable_beside_the_order_keeps_it_back(at):
    async def beside():
        raise JournalError("full")

    record = at.desk.register(entry())
    with pytest.raises(JournalError):
        await at.desk.send(record, lambda _: None, beside())
    assert (record.state, record.reason) == (OrderState.NOT_SENT, Reason.JOURNAL_FAILED.value)
    assert (at.broker.posts, at.desk.sent) == ([], 0)


async def test_an_order_not_wanted_any_more_is_told_with_the_reason(at):
    record = at.desk.register(entry())
    await at.desk.send(record, lambda asked: Reason.LADDER_HALT if asked is record else None)
    assert at.told == [order_line("warn", f"not sent (LADDER_HALT): {BUY}")]
    assert at.journal.orders == [("qm-1", OrderState.NOT_SENT, None, at.now, "LADDER_HALT")]
    assert (at.broker.posts, at.desk.sent) == ([], 0)


async def test_a_replacement_whose_original_ended_meanwhile_is_news_and_no_trouble(at):
    await at.desk.submit(entry())
    record = at.desk.register(replace(entry("qm-2"), replaces="qm-1"))
    await at.desk.on_order(at.broker.set_state("1000", OrderState.CANCELLED))
    await at.desk.send(record, lambda _: None)
    assert at.told[-1] == ("info", "ORD", f"not sent (ORIGINAL_GONE): {BUY}", "qm-2", {})
    assert (record.state, at.broker.puts) == (OrderState.NOT_SENT, [])


async def test_an_order_cancelled_in_our_queue_never_leaves(at):
    record = at.desk.register(entry())
    assert await at.desk.cancel(record, "you") == f"{BUY} is not sent"
    assert record.cancel_asked
    await at.desk.send(record, lambda _: None)
    assert (record.state, record.reason, at.broker.posts) == (OrderState.NOT_SENT, Reason.USER.value, [])


async def test_a_refusal_is_told_with_the_brokers_code_or_ours(at):
    def refuse(intent):
        raise BrokerError("not enough", "margin_check_failed" if intent.intent_id == "qm-1" else None)

    at.broker.before_accept = refuse
    await at.desk.submit(entry())
    silent = await at.desk.submit(entry("qm-2"))
    assert at.told[1] == order_line("warn", "refused by the broker: not enough", code="margin_check_failed")
    assert at.journal.orders == [
        ("qm-1", OrderState.REJECTED, None, at.now, "margin_check_failed: not enough"),
        ("qm-2", OrderState.REJECTED, None, at.now, f"{Reason.BROKER_REFUSED.value}: not enough"),
    ]
    assert silent.reason == "BROKER_REFUSED: not enough"


async def test_a_lost_answer_raises_one_alarm_and_is_written_as_unknown(at):
    at.broker.before_accept = lost
    at.clock.advance(3)
    record = await at.desk.submit(entry())
    assert at.told[1:] == [
        order_line(
            "alarm",
            f"outcome unknown: {BUY} (no answer within 5 s); not sent again, NVDA is frozen until read-back settles it",
        )
    ]
    assert at.journal.orders == [("qm-1", OrderState.UNKNOWN, None, at.now, "no answer within 5 s")]
    assert (record.unknown_since, record.reason) == (at.clock.monotonic(), "no answer within 5 s")
    assert at.desk.acknowledged.counted == 0


# --- what the broker says ---


async def foreign(at, **changes):
    order = await FakeBroker(at.clock).place(entry("x"))
    return replace(order, **({"external_id": None, "broker_id": "77", "state": OrderState.LIVE} | changes))


async def test_an_order_from_elsewhere_is_written_before_it_is_told(at):
    record = await at.desk.on_order(await foreign(at))
    assert at.journal.rows == [("intent", "ext-77"), ("live", "ext-77")]
    assert at.journal.orders == [("ext-77", OrderState.LIVE, "77", at.now, "adopted")]
    assert at.told == [("warn", "ORD", f"external order adopted: {BUY}", "ext-77", {})]
    assert (record.known_since, record.broker_id) == (at.clock.monotonic(), "77")
    assert await at.desk.on_order(await foreign(at)) is record
    assert len(at.told) == 1
    unstamped = await at.desk.on_order(await foreign(at, received_ns=0, broker_id="78"))
    assert unstamped.intent.created_ns == at.now


async def test_a_tag_of_somebody_elses_raises_no_alarm_and_a_second_one_of_ours_does(at):
    await at.desk.on_order(await foreign(at, external_id="theirs"))
    await at.desk.submit(entry())
    await at.desk.on_order(await foreign(at, external_id="qm-1", broker_id="78"))
    assert [line[0] for line in at.told] == ["warn", "info", "alarm"]
    assert at.told[2] == (
        "alarm", "ORD", f"a second order carries our tag qm-1 (edited elsewhere?): {BUY}", "ext-78", {},
    )  # fmt: skip


async def test_the_brokers_number_is_learnt_from_the_first_report(at):
    at.broker.before_accept = lost
    record = await at.desk.submit(entry())
    seen = await at.desk.on_order(await foreign(at, external_id="qm-1"))
    assert seen is record
    assert record.broker_id == "77"
    assert at.journal.orders[-1] == ("qm-1", OrderState.LIVE, "77", at.now, None)
    assert await at.desk.on_order(await foreign(at, state=OrderState.FILLED)) is record  # by its number alone
    assert record.reason == "no answer within 5 s"  # an empty word replaces none


async def test_the_brokers_size_is_taken_only_for_what_takes_a_place_or_rests(at):
    record = await at.desk.submit(entry())
    order = at.broker.orders["1000"]
    await at.desk.on_order(replace(order, legs=(replace(order.legs[0], quantity=1),)))
    assert record.intent == entry()
    assert at.told == [SENT]


async def test_a_reject_keeps_the_brokers_word(at):
    record = await at.desk.submit(entry())
    await at.desk.on_order(replace(at.broker.orders["1000"], state=OrderState.REJECTED, reject_reason="no permission"))
    assert record.reason == "no permission"
    assert at.journal.orders[-1] == ("qm-1", OrderState.REJECTED, "1000", at.now, "no permission")
    assert at.told == [SENT]  # the room that asked tells it


@pytest.mark.parametrize("state", [OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REMOVED])
async def test_an_end_without_a_fill_is_told_with_what_was_filled(at, state):
    await at.desk.submit(entry())
    await at.desk.on_order(at.broker.fill("1000", 1))
    await at.desk.on_order(at.broker.set_state("1000", state))
    assert at.told[-1] == order_line("info", f"{state.value} {BUY} filled 1/2")


async def test_an_end_is_told_with_its_reason(at):
    await at.desk.submit(entry())
    ended = replace(at.broker.set_state("1000", OrderState.EXPIRED), reject_reason="end of the session")
    await at.desk.on_order(ended)
    assert at.told[-1] == order_line("info", f"expired {BUY} filled 0/2 (end of the session)")


async def test_a_late_appearance_raises_its_alarm(at):
    at.broker.before_accept = lost
    record = await at.desk.submit(entry())
    record.state = OrderState.NOT_ACCEPTED
    await at.desk.on_order(await foreign(at, external_id="qm-1"))
    assert at.told[-1] == order_line("alarm", f"an order counted as never accepted turned up: {BUY}")
    assert record.state is OrderState.LIVE


async def test_a_fill_is_on_disk_in_the_book_in_the_record_and_in_the_log(at):
    record = await at.desk.submit(entry())
    await at.desk.on_order(at.broker.fill("1000", 1))
    (counted,) = record.fills.values()
    assert counted.fees > 0
    assert at.journal.fills == {"f1-1000": counted}
    assert at.journal.fill_intents == [("f1-1000", "qm-1")]
    assert at.fills == [("qm-1", counted, at.book.position(OCC))]
    held = at.book.position(OCC)
    assert (held.quantity, held.strategy, held.plan_id, held.fees) == (1, "atr_matrix", "plan-1", counted.fees)
    fees = f"{counted.fees:.2f}"
    assert at.told[-1] == (
        "info", "FILL", f"BOT 1 NVDA 17APR26 175C @ 4.10 fees {fees}", "qm-1",
        {"price": "4.10", "quantity": 1, "fees": str(counted.fees)},
    )  # fmt: skip


async def test_a_fill_the_book_knows_is_kept_in_the_record_and_counted_nowhere(at):
    """The baseline of a restart: the fill is old, the record new."""
    at.book.already_counted(["f1-1000"])
    record = await at.desk.submit(entry())
    await at.desk.on_order(at.broker.fill("1000", 1))
    (kept,) = record.fills.items()
    assert (kept[0], kept[1].quantity, kept[1].fees > 0) == ("f1-1000", 1, True)
    assert (at.fills, at.journal.fills, at.book.quantity(OCC)) == ([], {}, 0)


async def test_a_fill_on_its_way_to_the_disk_is_counted_as_that(at):
    seen = []
    write = at.journal.write_fill

    async def watching(fill, intent_id):
        seen.append(at.desk.counting)
        return await write(fill, intent_id)

    at.journal.write_fill = watching
    await at.desk.submit(entry())
    await at.desk.on_order(at.broker.fill("1000", 1))
    await at.desk.on_order(at.broker.fill("1000", 1))
    assert (seen, at.desk.counting) == ([1, 1], 0)

    async def failing(fill, intent_id):
        raise JournalError("full")

    at.journal.write_fill = failing
    await at.desk.submit(entry("qm-2"))
    with pytest.raises(JournalError):
        await at.desk.on_order(at.broker.fill("1001", 1))
    assert at.desk.counting == 0
    assert at.book.quantity(OCC) == 2


async def test_two_fills_on_their_way_are_both_counted(at):
    both = asyncio.Event()
    most = []

    async def slow(fill, intent_id):
        most.append(at.desk.counting)
        if len(most) == 2:
            both.set()
        await both.wait()
        return True

    at.journal.write_fill = slow
    await at.desk.submit(entry())
    await at.desk.submit(entry("qm-2"))
    first, second = at.broker.fill("1000", 1), at.broker.fill("1001", 1)
    await asyncio.gather(at.desk.on_order(first), at.desk.on_order(second))
    assert (most, at.desk.counting) == ([1, 2], 0)


async def test_the_dry_run_is_the_brokers(at):
    asked = []

    async def dry_run(intent):
        asked.append(intent)
        return Decimal(1)

    at.broker.dry_run = dry_run
    assert await at.desk.dry_run(entry()) == 1
    assert asked == [entry()]


async def test_an_adopted_order_that_the_disk_does_not_take_is_said_at_once_and_written_with_its_next_report(at):
    ours = at.desk.register(entry())
    await at.desk.send(ours, lambda _: None)
    at.told.clear()
    twin = replace(at.broker.orders[ours.broker_id], broker_id="7777")
    write, fails = at.journal.write_intent, [True]

    async def failing(*row):
        if fails and fails.pop():
            raise JournalError("full")
        await write(*row)

    at.journal.write_intent = failing
    with pytest.raises(JournalError):
        await at.desk.on_order(twin)
    for _ in range(2):
        await at.desk.on_order(twin)
    said = [line for line in at.told if "second order carries our tag" in line[2]]
    assert [line[0] for line in said] == ["alarm"]
    assert [row[0] for row in at.journal.rows if row[1] == "ext-7777"] == ["intent", "received"]
