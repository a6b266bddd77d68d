"""Entries and exits walk by themselves: paced by market time, within the worst price, only on certain ground."""

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.errors import OutcomeUnknown
from qmterm.core.orders import OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode, OrderSettings
from qmterm.engine.commands import ApproveProposal, StageOrder
from qmterm.engine.ladder import Level
from tests.engine.fakes import OCC
from tests.engine.house import GONE, House, close_at, opened, plan

WALK = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk_every_s=5)


@pytest.fixture
async def house():
    async with opened(orders=WALK) as made:
        yield made


async def enter(house: House, worst: str = "-4.25", contracts: int = 4):
    house.quote(4.10, 4.30)  # mid 4.20
    verdict = house.trader.open(plan(now_ns=house.clock.now(), net_price=worst), 0.0, wanted=contracts)
    assert verdict.contracts == contracts, verdict
    await house.lanes.idle()
    (record,) = house.working
    await house.desk.on_order(house.broker.set_state(record.broker_id, OrderState.LIVE))
    return record


async def later(house: House, seconds: float = 5.0, bid: float = 4.10, ask: float = 4.30):
    """Time passes, the quote stands, the engine has its turn; a replacement takes over at once."""
    house.clock.advance(seconds)
    house.quote(bid, ask)
    house.quotes.set("NVDA", 177.95, 178.05, house.clock.now())
    await house.turn()
    for record in house.working:
        if record.state is OrderState.CONTINGENT:
            for order in house.broker.took_over(record.broker_id):
                await house.desk.on_order(order)


def price(house):
    return [record.intent.net_price for record in house.working]


async def test_an_entry_starts_at_the_mid_and_is_counted_at_its_worst(house):
    record = await enter(house)
    assert (record.intent.net_price, record.intent.worst_price) == (Decimal("-4.20"), Decimal("-4.25"))
    assert record.intent.max_loss == (Decimal("425") + Decimal("1.26")) * 4


async def test_it_steps_a_tick_at_a_time_and_stays_at_its_worst(house):
    await enter(house)
    await later(house, 4)
    assert price(house) == [Decimal("-4.20")]
    await later(house, 1)
    assert price(house) == [Decimal("-4.25")]
    await later(house, 60)
    assert price(house) == [Decimal("-4.25")]
    assert len(house.broker.puts) == 1


async def test_it_never_pays_more_than_the_market_asks(house):
    await enter(house, "-4.30")
    await later(house, 5, 4.10, 4.20)
    assert price(house) == [Decimal("-4.20")]


async def test_a_walk_to_its_fill_is_one_position_under_one_guard(house):
    await enter(house)
    await later(house)
    (record,) = house.working
    await house.filled(record.broker_id, 4, "4.25")
    assert house.book.quantity(OCC) == 4
    assert house.guards.of("P1").state.quantity == 4
    assert house.working == ()


async def test_a_part_that_filled_on_the_way_is_kept_and_the_rest_walks_on(house):
    record = await enter(house)
    await house.filled(record.broker_id, 1, "4.20")
    await later(house)
    (rest,) = house.working
    assert (rest.intent.quantity, rest.intent.net_price) == (3, Decimal("-4.25"))
    await house.filled(rest.broker_id, 3, "4.25")
    assert house.guards.of("P1").state.quantity == 4


@pytest.mark.parametrize("level", [Level.NO_NEW, Level.HALT])
async def test_no_entry_steps_while_the_ladder_forbids_new_ones(house, level):
    await enter(house)
    house.ladder.lower(level, Reason.USER, "test", house.clock.now(), by_person=True)
    await later(house)
    assert house.broker.puts == []


async def test_no_entry_steps_while_its_underlying_is_frozen(house):
    record = await enter(house)
    record.intent = replace(record.intent, underlying="SPXW")
    house.trader.frozen = {"SPX"}
    await later(house)
    assert house.broker.puts == []
    house.trader.frozen = {"XSP"}
    await later(house)
    assert len(house.broker.puts) == 1


async def test_no_step_on_a_quote_that_is_not_believed(house):
    await enter(house)
    await later(house, 5, 4.40, 4.10)  # crossed
    await later(house, 5, 0.0, 4.30)
    assert house.broker.puts == []
    await later(house, 5)
    assert len(house.broker.puts) == 1


async def test_no_step_while_a_replace_is_out_or_its_outcome_unknown(house):
    await enter(house, "-4.30")

    def lost(_intent):
        raise OutcomeUnknown("reset")

    house.broker.after_accept = lost
    house.clock.advance(5)
    house.quote(4.10, 4.30)
    await house.turn()
    assert [r.state for r in house.working] == [OrderState.LIVE, OrderState.UNKNOWN]
    house.clock.advance(30)
    house.quote(4.10, 4.30)
    await house.turn()
    assert len(house.broker.puts) == 1


async def test_no_step_after_a_cancel_was_asked(house):
    record = await enter(house)
    await house.desk.cancel(record, "test")
    await later(house)
    assert house.broker.puts == []


async def test_no_step_when_the_market_is_closed(house):
    await enter(house)
    house.open = False
    await later(house)
    assert house.broker.puts == []


async def test_walking_can_be_switched_off():
    async with opened(orders=WALK.model_copy(update={"walk": False})) as house:
        record = await enter(house)
        assert (record.intent.net_price, record.intent.worst_price) == (Decimal("-4.25"), None)
        await later(house, 60)
        assert house.broker.puts == []


# --- exits ---


async def hold(house, contracts=4):
    await enter(house, contracts=contracts)
    await house.filled(house.working[0].broker_id, contracts)
    house.clock.advance(300)
    house.quote(4.10, 4.30)


async def test_a_stop_starts_at_the_natural_price_and_is_repriced_by_replace(house):
    await hold(house)
    close_at(house, GONE)
    await later(house, 0)
    (stop,) = house.working
    assert (stop.intent.purpose, stop.intent.net_price) == (Purpose.EXIT, Decimal("4.10"))
    await house.desk.on_order(house.broker.set_state(stop.broker_id, OrderState.LIVE))
    await later(house, 14, 3.90, 4.10)
    assert price(house) == [Decimal("4.10")]
    await later(house, 1, 3.90, 4.10)
    assert price(house) == [Decimal("3.85")]  # the natural price and one tick
    assert house.broker.cancels == []
    (stop,) = house.working
    await house.filled(stop.broker_id, 4, "3.90")
    assert house.book.quantity(OCC) == 0


async def test_a_stop_of_one_contract_waits_where_it_is_while_nobody_bids(house):
    await hold(house)
    close_at(house, GONE)
    await later(house, 0)
    (stop,) = house.working
    await house.desk.on_order(house.broker.set_state(stop.broker_id, OrderState.LIVE))
    for _ in range(8):
        await later(house, 5, 0.0, 4.10)
    assert (house.broker.puts, house.broker.cancels) == ([], [])
    await later(house, 5, 3.90, 4.10)
    assert (price(house), house.broker.cancels) == ([Decimal("3.85")], [])


async def test_a_stop_goes_on_walking_when_arming_has_ended_by_its_loss(house):
    await hold(house)
    close_at(house, GONE)
    await later(house, 0)
    (stop,) = house.working
    await house.desk.on_order(house.broker.set_state(stop.broker_id, OrderState.LIVE))
    house.money_refusal = Reason.NOT_ARMED  # nothing may be opened
    house.trader.closing_refusal = lambda: None
    await later(house, 15, 3.90, 4.10)
    assert price(house) == [Decimal("3.85")]


async def test_a_stop_stays_where_it_is_when_nothing_may_be_sent_at_all(house):
    await hold(house)
    close_at(house, GONE)
    await later(house, 0)
    (stop,) = house.working
    await house.desk.on_order(house.broker.set_state(stop.broker_id, OrderState.LIVE))
    house.trader.closing_refusal = lambda: Reason.NOT_ARMED
    await later(house, 15, 3.90, 4.10)
    assert (house.broker.puts, house.broker.cancels) == ([], [])


async def test_a_stop_whose_replace_was_refused_is_cancelled_and_sent_anew(house):
    from qmterm.core.errors import BrokerError

    await hold(house)
    close_at(house, GONE)
    await later(house, 0)
    (stop,) = house.working
    await house.desk.on_order(house.broker.set_state(stop.broker_id, OrderState.LIVE))

    def refuse(_intent):
        raise BrokerError("no", "not_permitted")

    house.broker.before_accept = refuse
    await later(house, 15, 3.90, 4.10)
    assert len(house.broker.puts) == 1
    await later(house, 1, 3.90, 4.10)
    assert house.broker.cancels == [stop.broker_id]


async def test_a_scale_out_walks_from_the_mid_to_a_tick_beyond_the_market(house):
    await hold(house)
    house.underlyings.closes["NVDA"] = (196.5, house.clock.now() - 300 * 10**9)
    house.underlyings.lasts["NVDA"] = 196.5
    await later(house, 0, 9.00, 9.20)
    (scale,) = house.working
    assert (scale.intent.purpose, scale.intent.net_price) == (Purpose.SCALE_OUT, Decimal("9.10"))
    await house.desk.on_order(house.broker.set_state(scale.broker_id, OrderState.LIVE))
    seen = []
    for _ in range(5):
        await later(house, 5, 9.00, 9.20)
        seen += price(house)
    assert seen == [Decimal("9.05"), Decimal("9.00"), Decimal("8.95"), Decimal("8.95"), Decimal("8.95")]


async def test_a_persons_own_price_is_never_walked(house):
    house.quote(4.10, 4.30)
    assert house.approvals.stage(StageOrder(OCC, True, 1)).ok
    (waiting,) = house.trader.proposals.waiting
    assert house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price))).ok
    await house.lanes.idle()
    (record,) = house.working
    assert record.intent.worst_price is None
    await house.desk.on_order(house.broker.set_state(record.broker_id, OrderState.LIVE))
    await later(house, 60)
    assert house.broker.puts == []


# --- confirm ---


async def test_a_proposal_shows_start_and_worst_and_the_approval_binds_to_the_worst():
    async with opened(Mode.CONFIRM, orders=WALK) as house:
        house.quote(4.10, 4.30)
        house.trader.open(plan(now_ns=house.clock.now(), net_price="-4.25"), 0.0, wanted=2)
        (waiting,) = house.trader.proposals.waiting
        assert waiting.net_price == Decimal("-4.25")
        assert waiting.why[-1] == "starts at 4.20 db, walks to 4.25 db at worst"
        assert not house.approvals.approve(ApproveProposal(waiting.proposal_id, "-4.20")).ok
        assert house.approvals.approve(ApproveProposal(waiting.proposal_id, "-4.25")).ok
        await house.lanes.idle()
        (record,) = house.working
        assert (record.intent.net_price, record.intent.worst_price) == (Decimal("-4.20"), Decimal("-4.25"))


async def test_an_approved_scale_out_walks_no_further_than_what_was_approved():
    async with opened(Mode.CONFIRM, orders=WALK) as house:
        house.quote(4.10, 4.30)
        house.trader.open(plan(now_ns=house.clock.now(), net_price="-4.25"), 0.0, wanted=4)
        (waiting,) = house.trader.proposals.waiting
        assert house.approvals.approve(ApproveProposal(waiting.proposal_id, "-4.25")).ok
        await house.lanes.idle()
        await house.filled(house.working[0].broker_id, 4)
        house.clock.advance(300)
        house.underlyings.closes["NVDA"] = (196.5, house.clock.now() - 300 * 10**9)
        house.underlyings.lasts["NVDA"] = 196.5
        await later(house, 0, 9.00, 9.20)
        (waiting,) = house.trader.proposals.waiting
        assert waiting.net_price == Decimal("9.00")
        assert house.approvals.approve(ApproveProposal(waiting.proposal_id, "9.00")).ok
        await house.lanes.idle()
        (record,) = house.working
        assert (record.intent.net_price, record.intent.worst_price) == (Decimal("9.10"), Decimal("9.00"))
        await house.desk.on_order(house.broker.set_state(record.broker_id, OrderState.LIVE))
        for _ in range(2):
            await later(house, 5, 8.50, 8.70)
        assert price(house) == [Decimal("9.00")]


async def test_every_step_names_what_it_replaces_and_keeps_the_worst_price(house):
    await enter(house, "-4.30")
    await later(house)
    (record,) = house.working
    intent = record.intent
    assert (intent.replaces, intent.worst_price, intent.net_price) == ("eP1", Decimal("-4.30"), Decimal("-4.25"))
    assert house.desk.ledger.root(record).intent.intent_id == "eP1"
    await later(house)
    assert price(house) == [Decimal("-4.30")]
    assert [put[1] for put in house.broker.puts] == ["eP1.1", "eP1.2"]
