"""An order that is built while the disk keeps its intent: it waits for the disk, whatever the disk does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from qmterm.core.errors import BrokerError, InvariantBroken, JournalError, OutcomeUnknown
from qmterm.core.orders import Action, BracketRole, Leg, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.engine.orders import placing
from tests.engine.fakes import OCC, FakeBroker, entry, lost
from tests.engine.orders.desk_seat import BUY, QUOTES, WORTH, Seat, order_line

SENT = order_line(
    "info", f"sent {BUY}", plan="plan-1", limit="4.15 db", purpose="entry", quantity=2, worst=None
)  # fmt: skip


class Held:
    """An order at its door."""

    def __init__(self, broker: ReadyingFake, intents) -> None:
        self._broker, self._intents = broker, intents
        self.left = self.dropped = False

    async def leave(self):
        assert not self.dropped
        self.left = True
        if len(self._intents) > 1:
            return await self._broker.place_bracket(self._intents)
        return (await self._broker.place(self._intents[0]),)

    async def drop(self):
        assert not self.left
        self.dropped = True


class ReadyingFake(FakeBroker):
    def __init__(self, clock) -> None:
        super().__init__(clock)
        self.held: list[Held] = []
        self.readied = asyncio.Event()

    async def built(self):
        """An order is held; one that never will be fails the test instead of stopping it."""
        async with asyncio.timeout(5):
            await self.readied.wait()

    def ready(self, intents):
        self.held.append(Held(self, intents))
        self.readied.set()
        return self.held[-1]


class SlowSeat(Seat):
    """The disk answers when it is told to: `answer` with None, or with what is wrong with it."""

    make_broker = ReadyingFake

    def __init__(self) -> None:
        super().__init__()
        self.disk: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        write = self.journal.write_intent

        async def slowly(intent, quotes=None):
            await self.disk
            await write(intent, quotes)

        self.journal.write_intent = slowly
        self.journal.while_writing = asyncio.get_running_loop().call_soon

    def begin(self, intent=None, still_wanted=lambda _record: None, beside=None):
        """The order is on its way; returns (its record, the sending) once the broker has it built."""
        record = self.desk.register(intent or entry())
        return record, asyncio.ensure_future(self.desk.send(record, still_wanted, beside))

    def answer(self, error: Exception | None = None) -> None:
        self.disk.set_result(None) if error is None else self.disk.set_exception(error)


@pytest.fixture
async def at() -> SlowSeat:
    return SlowSeat()


async def test_it_is_built_while_the_disk_works_and_leaves_after_it(at):
    record, sending = at.begin()
    await at.broker.built()
    assert (at.broker.posts, record.state) == ([], OrderState.INTENT)
    at.answer()
    await sending
    (held,) = at.broker.held
    assert (held.left, held.dropped) == (True, False)
    assert at.broker.posts == ["qm-1"]
    assert record.state is OrderState.RECEIVED
    assert at.journal.quotes == {"qm-1": {"decided": QUOTES}}


async def test_a_disk_that_fails_meanwhile_leaves_nothing_sent_and_nothing_held(at):
    record, sending = at.begin()
    await at.broker.built()
    at.answer(JournalError("full"))
    with pytest.raises(JournalError):
        await sending
    (held,) = at.broker.held
    assert (held.left, held.dropped) == (False, True)
    assert (at.broker.posts, at.desk.sent) == ([], 0)
    assert (record.state, record.reason) == (OrderState.NOT_SENT, Reason.JOURNAL_FAILED.value)


async def test_what_fails_beside_it_drops_it_too(at):
    failing = asyncio.get_running_loop().create_future()

    async def beside():
        await failing

    record, sending = at.begin(beside=beside())
    await at.broker.built()
    failing.set_exception(JournalError("full"))
    at.answer()  # its own row is on the disk: that changes nothing
    with pytest.raises(JournalError):
        await sending
    assert at.broker.held[0].dropped
    assert (at.broker.posts, record.state) == ([], OrderState.NOT_SENT)


async def test_an_order_not_wanted_any_more_when_the_disk_answers_is_dropped(at):
    record, sending = at.begin(still_wanted=lambda _record: Reason.LADDER_HALT)
    await at.broker.built()
    at.answer()
    await sending
    assert at.broker.held[0].dropped
    assert (at.broker.posts, record.state) == ([], OrderState.NOT_SENT)


async def test_a_cancel_while_the_disk_works_drops_it(at):
    record, sending = at.begin()
    await at.broker.built()
    await at.desk.cancel(record, "by you")
    at.answer()
    await sending
    assert at.broker.held[0].dropped
    assert (at.broker.posts, record.reason) == ([], Reason.USER.value)


async def test_a_sending_that_is_given_up_while_the_disk_works_drops_it_without_a_complaint(at):
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    record, sending = at.begin()
    await at.broker.built()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    for _ in range(5):
        await asyncio.sleep(0)
    assert at.broker.held[0].dropped
    assert (at.broker.posts, record.state, complaints) == ([], OrderState.INTENT, [])


async def test_what_was_to_be_written_beside_a_sending_that_is_given_up_is_waited_for_by_nobody(at):
    beside = asyncio.get_running_loop().create_future()
    _, sending = at.begin(beside=beside)
    await at.broker.built()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert beside.cancelled()


@pytest.mark.parametrize("original", [None, "qm-0"])
async def test_what_replaces_nothing_at_the_broker_is_never_sent(at, original):
    """The last look before the bytes; the looks before it are taken out here."""
    if original:
        at.desk.register(entry(original))
    record = at.desk.register(replace(entry(), replaces="qm-0"))
    with pytest.raises(InvariantBroken, match=r"^order qm-1 replaces nothing at the broker; nothing was sent$"):
        await at.desk._placing._put((record,))
    assert (at.broker.posts, at.broker.puts) == ([], [])


async def test_a_question_that_fails_in_the_last_moment_drops_it(at):
    def broken(_record):
        raise RuntimeError("no answer")

    record, sending = at.begin(still_wanted=broken)
    await at.broker.built()
    at.answer()
    with pytest.raises(RuntimeError):
        await sending
    assert at.broker.held[0].dropped
    assert (at.broker.posts, record.state) == ([], OrderState.INTENT)


async def test_an_end_of_the_program_while_the_disk_works_drops_it(at):
    record, sending = at.begin()
    await at.broker.built()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert at.broker.held[0].dropped
    assert (at.broker.posts, record.state) == ([], OrderState.INTENT)


async def test_an_order_that_stands_at_the_broker_already_when_the_disk_answers_is_not_sent_again(at):
    record, sending = at.begin()
    await at.broker.built()
    record.state = OrderState.LIVE
    at.answer()
    with pytest.raises(InvariantBroken, match="sent once only"):
        await sending
    assert at.broker.held[0].dropped
    assert at.broker.posts == []


async def test_a_replacement_is_not_built_ahead_its_original_may_end_meanwhile(at):
    _, sending = at.begin()
    at.answer()
    await sending
    before = len(at.broker.held)
    again = at.desk.register(replace(entry("qm-1.1", price="-4.20"), replaces="qm-1"))
    await at.desk.send(again, lambda _record: None)
    assert len(at.broker.held) == before
    assert at.broker.puts


async def test_that_it_was_sent_is_said_before_what_the_broker_makes_of_it(at):
    def refuse(_intent):
        raise BrokerError("not enough", "margin_check_failed")

    at.broker.before_accept = refuse
    at.answer()
    _, sending = at.begin()
    await sending
    assert [line[2] for line in at.told] == [f"sent {BUY}", "refused by the broker: not enough"]


async def test_that_it_was_sent_is_said_before_the_loss_of_its_answer(at):
    def lose(_intent):
        raise OutcomeUnknown("no answer")

    at.broker.after_accept = lose
    at.answer()
    _, sending = at.begin()
    await sending
    assert at.told[0] == SENT
    assert at.told[1][2].startswith("outcome unknown")


async def test_it_is_said_while_the_broker_still_thinks(at):
    answer = asyncio.Event()
    place = at.broker.place

    async def slow(intent):
        await answer.wait()
        return await place(intent)

    at.broker.place = slow
    at.answer()
    record, sending = at.begin()
    async with asyncio.timeout(5):
        while not at.told:  # noqa: ASYNC110 - a timer of the desk says it
            await asyncio.sleep(0.001)
    assert (at.told, record.state) == ([SENT], OrderState.SENT)
    answer.set()
    await sending
    assert [line for line in at.told if line[2].startswith("sent")] == [SENT]


async def test_a_disk_that_was_faster_leaves_nothing_to_build(at):
    later = []
    at.journal.while_writing = later.append
    _, sending = at.begin()
    at.answer()
    await sending
    for work in later:
        work()  # of a commit that failed this may come when all is over
    assert at.broker.held == []
    assert at.broker.posts == ["qm-1"]


async def test_a_disk_that_failed_before_anything_was_built_leaves_nothing_to_build(at):
    later = []
    at.journal.while_writing = later.append
    _, sending = at.begin()
    at.answer(JournalError("full"))
    with pytest.raises(JournalError):
        await sending
    for work in later:
        work()
    assert (at.broker.held, at.broker.posts) == ([], [])


async def test_a_broker_that_builds_nothing_ahead_is_not_asked_to():
    at = Seat()
    at.journal.while_writing = lambda _work: pytest.fail("there is nothing to build")
    await at.desk.submit(entry())
    assert at.broker.posts == ["qm-1"]


# --- a bracket whose end the disk does not take ---


def bracket():
    exit_ = replace(entry("qm-1-s"), purpose=Purpose.EXIT, legs=(Leg(OCC, Action.SELL_TO_CLOSE, 2),), max_loss=None)
    return replace(entry(), bracket_id="b1", role=BracketRole.TRIGGER), replace(
        exit_, bracket_id="b1", role=BracketRole.STOP
    )


@pytest.mark.parametrize(
    ("error", "wanted", "ends"),
    [
        (BrokerError("no", "margin_check_failed"), None, OrderState.REJECTED),
        (OutcomeUnknown("no answer"), None, OrderState.UNKNOWN),
        (None, Reason.LADDER_HALT, OrderState.NOT_SENT),
    ],
)
async def test_a_disk_that_fails_at_the_first_order_of_a_bracket_leaves_no_other_as_it_was(error, wanted, ends):
    at = Seat()
    write = at.journal.write_order

    async def fails(intent_id, state, broker_id, time_ns, reason):
        if intent_id == "qm-1":
            raise JournalError("disk full")
        await write(intent_id, state, broker_id, time_ns, reason)

    def refused(_intent):
        raise error

    at.journal.write_order, at.broker.before_accept = fails, refused
    records = tuple(at.desk.register(intent) for intent in bracket())
    with pytest.raises(JournalError):
        await at.desk.send_bracket(records, lambda _record: wanted)
    assert [record.state for record in records] == [ends, ends]
    assert [row[:2] for row in at.journal.orders] == [("qm-1-s", ends)]


async def test_a_bracket_whose_guard_could_not_be_made_durable_beside_it_is_kept_back():
    at = Seat()

    async def guard():
        raise JournalError("full")

    records = tuple(at.desk.register(each) for each in bracket())
    with pytest.raises(JournalError):
        await at.desk.send_bracket(records, lambda _record: None, guard())
    assert {(record.state, record.reason) for record in records} == {(OrderState.NOT_SENT, "JOURNAL_FAILED")}
    assert at.broker.posts == []


def meanwhile(at, act):
    """What happens while an order waits for its turn at the broker."""

    async def turn():
        act()

    at.broker.turn = turn


async def test_what_is_no_longer_wanted_while_it_waits_at_the_broker_is_kept_back_and_told(monkeypatch):
    at = Seat()
    said = []
    record = at.desk.register(entry())
    meanwhile(at, lambda: said.append((record.state, Reason.LADDER_HALT)))
    monkeypatch.setattr(placing, "TOLD_AFTER_S", 0.001)
    await at.desk.send(record, lambda each: said[0][1] if said and each is record else None)
    await asyncio.sleep(0.01)  # nothing is said later either
    assert said[0][0] is OrderState.SENT
    assert (record.state, record.reason, at.broker.posts) == (OrderState.NOT_SENT, "LADDER_HALT", [])
    assert at.journal.rows == [("intent", "qm-1"), ("not sent", "qm-1")]
    assert at.told[-1] == order_line("warn", f"not sent (LADDER_HALT): {BUY}")
    assert at.broker.last_look(record.intent) is None  # it is nobody's business any more
    assert at.desk.sent == 0
    assert len(at.told) == 1  # nothing says that it was sent


@pytest.mark.parametrize("reason", [Reason.LADDER_HALT, Reason.NOT_ARMED])
async def test_an_order_that_a_kill_or_a_disarm_withdrew_on_its_way_is_kept_back_whatever_holds_by_then(reason):
    at = Seat()
    record = at.desk.register(entry())
    meanwhile(at, lambda: setattr(record, "withdrawn", reason))
    await at.desk.send(record, lambda _record: None)
    assert (record.state, record.reason, at.broker.posts) == (OrderState.NOT_SENT, reason.value, [])


@pytest.mark.parametrize("flag", ["unwanted", "cancel_asked"])
async def test_an_order_that_a_person_cancels_on_its_way_is_kept_back(flag):
    at = Seat()
    record = at.desk.register(entry())
    meanwhile(at, lambda: setattr(record, flag, True))
    await at.desk.send(record, lambda _record: None)
    assert (record.state, record.reason, at.broker.posts) == (OrderState.NOT_SENT, "USER", [])


async def test_an_order_that_is_in_a_stops_way_is_kept_back_for_it():
    at = Seat()
    record = at.desk.register(entry())

    def stop_hits():
        record.unwanted = record.gives_way = True

    meanwhile(at, stop_hits)
    await at.desk.send(record, lambda _record: None)
    assert (record.state, record.reason, at.broker.posts) == (OrderState.NOT_SENT, "GIVES_WAY", [])


async def test_a_bracket_is_kept_back_as_one_when_one_of_it_is_cancelled_on_its_way():
    at = Seat()
    records = tuple(at.desk.register(each) for each in bracket())
    meanwhile(at, lambda: setattr(records[-1], "unwanted", True))
    await at.desk.send_bracket(records, lambda _record: None)
    assert {(record.state, record.reason) for record in records} == {(OrderState.NOT_SENT, "USER")}
    assert at.broker.posts == []


async def test_an_answer_that_breaks_the_program_leaves_the_order_unknown_for_read_back_to_settle(at):
    def broken(_intent):
        raise InvariantBroken("it left before its intent was on the disk")

    at.broker.after_accept = broken
    record, sending = at.begin()
    at.answer()
    with pytest.raises(InvariantBroken):
        await sending
    assert record.state is OrderState.UNKNOWN
    assert "InvariantBroken: it left before its intent was on the disk" in record.reason


async def test_a_cancel_of_an_order_on_its_way_says_what_becomes_of_it():
    at = Seat()
    record, said = at.desk.register(entry()), []

    async def turn():
        record.unwanted = True
        said.append(await at.desk.cancel(record, "by you"))

    at.broker.turn = turn
    await at.desk.send(record, lambda _record: None)
    assert said == [f"cancel asked for {BUY}: on its way, kept back unless it has left already"]
    assert (at.broker.posts, at.broker.cancels) == ([], [])


async def test_a_cancel_by_the_machine_of_an_order_on_its_way_waits_for_its_number():
    at = Seat()
    record, said = at.desk.register(entry()), []

    async def turn():
        said.append(await at.desk.cancel(record, "timeout"))

    at.broker.turn = turn
    await at.desk.send(record, lambda _record: None)
    assert said == [f"{BUY} has no broker id yet (sent): read-back comes first"]
    assert (record.state, at.broker.posts) == (OrderState.RECEIVED, ["qm-1"])


async def test_a_cancelled_order_whose_outcome_is_unknown_still_waits_for_read_back():
    at = Seat()
    at.broker.after_accept = lost
    record = await at.desk.submit(entry())
    record.unwanted = True
    assert await at.desk.cancel(record, "by you") == f"{BUY} has no broker id yet (unknown): read-back comes first"


async def test_an_order_kept_back_after_its_line_was_written_is_told_once_more_and_that_is_all(monkeypatch):
    monkeypatch.setattr(placing, "TOLD_AFTER_S", 0.0)
    at = Seat()
    record = at.desk.register(entry())

    async def turn():
        await asyncio.sleep(0.01)
        record.unwanted = True

    at.broker.turn = turn
    await at.desk.send(record, lambda _record: None)
    assert at.told == [SENT, order_line("warn", f"not sent (USER): {BUY}")]


# --- what it was priced with, kept behind it ---

PRICED = ("priced", "qm-1", {"quotes": {"sent": WORTH}})


def priced_rows(at):
    return [note[:3] for note in at.journal.notes]


async def test_an_order_waits_for_its_quotes_alone_and_what_they_were_worth_is_worked_out_behind_it():
    at = Seat()
    asked = []
    at.broker.before_accept = lambda _intent: asked.append(list(at.asked))
    await at.desk.submit(entry())
    assert asked == [[(entry().legs, "NVDA")]]  # when the bytes had left
    assert priced_rows(at) == [PRICED]


async def test_a_slow_answer_does_not_put_that_off_and_it_is_written_once(monkeypatch):
    monkeypatch.setattr(placing, "TOLD_AFTER_S", 0.0)
    at = Seat()
    seen = []

    async def slowly():
        record = at.desk.ledger.get("qm-1")
        at.desk._placing.tell(record)  # the stream was faster than the answer
        await asyncio.sleep(0.01)
        seen.extend(priced_rows(at))

    at.broker.turn = slowly
    await at.desk.submit(entry())
    await asyncio.sleep(0.01)
    assert seen == [PRICED]
    assert priced_rows(at) == [PRICED]
    assert at.told == [SENT]


@pytest.mark.parametrize("outcome", [lost, None])
async def test_whatever_came_of_an_order_that_left_its_evidence_is_kept(outcome):
    def refused(_intent):
        raise BrokerError("no", "no")

    at = Seat()
    at.broker.before_accept = outcome or refused
    record = await at.desk.submit(entry())
    assert record.state is (OrderState.UNKNOWN if outcome else OrderState.REJECTED)
    assert priced_rows(at) == [PRICED]


async def test_an_order_that_was_kept_back_at_the_wire_has_none(monkeypatch):
    monkeypatch.setattr(placing, "TOLD_AFTER_S", 0.001)
    at = Seat()
    record = at.desk.register(entry())
    meanwhile(at, lambda: setattr(record, "unwanted", True))
    await at.desk.send(record, lambda _record: None)
    await asyncio.sleep(0.01)
    assert (record.state, priced_rows(at)) == (OrderState.NOT_SENT, [])
    assert at.asked == [(entry().legs, "NVDA")]


async def test_evidence_that_cannot_be_had_is_said_and_is_no_trouble_of_the_order(monkeypatch):
    def broken(_legs, _underlying):
        raise TypeError("no such number")

    at = Seat(priced=broken)
    record = await at.desk.submit(entry())
    assert (record.state, priced_rows(at)) == (OrderState.RECEIVED, [])
    assert at.told == [SENT, order_line("warn", "not known what it was priced with: no such number")]
