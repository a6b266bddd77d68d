"""Everything the SDK reads of the account and of the market parses into its own models."""

from decimal import Decimal as D

import pytest
from tastytrade.instruments import Equity, NestedOptionChain, Option, get_option_chain
from tastytrade.market_data import get_market_data_by_type
from tastytrade.market_sessions import ExchangeType, MarketStatus, get_market_holidays, get_market_sessions
from tastytrade.metrics import get_market_metrics
from tastytrade.utils import TastytradeError

from qmterm.core.clock import from_et
from tests.sim.brokerage.fake_world import APRIL, CALL_230, MONDAY, PUT_210, PUT_220, step
from tests.sim.brokerage.test_brokerage_sdk_orders import BTO, STO, leg, limit


async def test_a_fresh_account_has_its_cash_as_worth_and_twice_it_for_stock(account, session):
    balance = await account.get_balances(session)
    assert balance.cash_balance == balance.net_liquidating_value == balance.derivative_buying_power == D(100_000)
    assert balance.equity_buying_power == D(200_000)
    assert balance.snapshot_date == MONDAY
    assert await account.get_positions(session) == []


async def test_marks_come_only_when_asked_for(account, session, broker):
    await account.place_order(session, limit("-5.10", leg(CALL_230, BTO)), dry_run=False)
    await step(broker)
    (plain,) = await account.get_positions(session)
    assert plain.mark_price is None
    (position,) = await account.get_positions(session, include_marks=True, underlying_symbols=["AAPL"])
    assert position.mark_price == D("5.05")
    assert await account.get_positions(session, underlying_symbols=["MSFT"]) == []


async def test_transactions_carry_value_fees_and_net_and_add_up_to_the_cash(account, session, broker):
    spread = limit("1.70", leg(PUT_220, STO, 2), leg(PUT_210, BTO, 2))
    await account.place_order(session, spread, dry_run=False)
    await step(broker)
    rows = await account.get_history(session, page_offset=None)
    assert {row.transaction_sub_type for row in rows} == {"Sell to Open", "Buy to Open"}
    for row in rows:
        fees = row.commission + row.clearing_fees + row.regulatory_fees + row.proprietary_index_option_fees
        assert row.net_value == row.value + fees
    balance = await account.get_balances(session)
    assert balance.cash_balance == D(100_000) + sum(row.net_value for row in rows)
    assert (await account.get_transaction(session, rows[0].id)).order_id == rows[0].order_id
    fees = await account.get_total_fees(session, MONDAY)
    assert fees.total_fees == sum(row.net_value - row.value for row in rows)


async def test_a_credit_spread_ties_up_its_width_less_the_credit(account, session, broker):
    spread = limit("1.70", leg(PUT_220, STO, 2), leg(PUT_210, BTO, 2))
    answer = await account.place_order(session, spread, dry_run=True)
    effect = answer.buying_power_effect
    assert effect.change_in_margin_requirement == D(-2000)
    assert effect.change_in_buying_power == D(-2000) + D(340) + answer.fee_calculation.total_fees
    await account.place_order(session, spread, dry_run=False)
    held_back = await account.get_balances(session)
    assert held_back.derivative_buying_power == effect.new_buying_power  # the working order already counts
    await step(broker)
    report = await account.get_margin_requirements(session)
    assert report.margin_requirement == D(-2000)
    assert [group.code for group in report.groups] == ["AAPL"]


async def test_status_snapshots_and_net_liq_history_parse(account, session, broker):
    assert (await account.get_trading_status(session)).is_closing_only is False
    assert len(await account.get_balance_snapshots(session)) == 1
    await step(broker)
    await step(broker, 400)
    history = await account.get_net_liquidating_value_history(session, time_back="1d")
    assert [row.close for row in history] == [D(100_000)] * 2


async def test_instruments_and_chains_parse(session):
    equity = await Equity.get(session, "AAPL")
    assert [(t.value, t.threshold) for t in equity.option_tick_sizes] == [(D("0.01"), D(3)), (D("0.05"), None)]
    assert [e.symbol for e in await Equity.get(session, ["AAPL", "NOPE"])] == ["AAPL"]
    contract = await Option.get(session, CALL_230)
    assert (contract.expiration_date, contract.expiration_type) == (APRIL, "Regular")
    assert contract.streamer_symbol == ".AAPL260417C230"
    (nested,) = await NestedOptionChain.get(session, "AAPL")
    assert nested.expirations[0].strikes[1].call == CALL_230
    chain = await get_option_chain(session, "AAPL")
    assert len(chain[APRIL]) == 6
    with pytest.raises(TastytradeError, match="record_not_found"):
        await NestedOptionChain.get(session, "NOPE")


async def test_market_data_metrics_and_time_parse(session, world):
    stock, contract = await get_market_data_by_type(session, equities=["AAPL"], options=[CALL_230])
    assert (stock.bid, stock.ask, contract.mark) == (D("230.0"), D("230.02"), D("5.05"))
    assert [m.symbol for m in await get_market_metrics(session, ["AAPL", "NOPE"])] == ["AAPL"]
    (now,) = await get_market_sessions(session, [ExchangeType.NYSE])
    assert now.status is MarketStatus.OPEN
    world.now_ns = from_et(MONDAY, 17)
    (later,) = await get_market_sessions(session, [ExchangeType.NYSE])
    assert later.status is MarketStatus.EXTENDED
    calendar = await get_market_holidays(session)
    assert {d.isoformat() for d in calendar.holidays if d.year == 2026} >= {"2026-04-03", "2026-07-03"}
    assert "2026-11-27" in {d.isoformat() for d in calendar.half_days}
