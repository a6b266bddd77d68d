"""Option quotes from the broker's market data: the unmodified SDK against the simulator, and our supervision of it."""

import math

import pytest

from qmterm.broker.dxlink import BrokerQuotes
from qmterm.broker.session import BrokerSession
from qmterm.sim.brokerage.dxlink import OptionSense, occ_of
from tests.broker.conftest import until
from tests.sim.brokerage.fake_world import CALL_230, CALL_240, PUT_220, TOKEN, option


@pytest.fixture
async def session(settings):
    session = BrokerSession(settings, TOKEN, TOKEN)
    await session.open()
    yield session
    await session.close()


@pytest.fixture
async def quotes(session, settings):
    told, faults = [], []
    made = BrokerQuotes(session, settings, told.append, faults.append)
    made.told, made.faults = told, faults
    yield made
    await made.close()


async def test_the_unmodified_streamer_reads_quotes_greeks_trades_and_summaries(wire, brokerage, world, step):
    from tastytrade import DXLinkStreamer, Session
    from tastytrade.dxfeed import Greeks, Quote, Summary, Trade
    from tastytrade.instruments import Option

    world.option_sense = lambda occ: OptionSense(5.05, 0.31, 0.5, 0.02, -0.1, math.nan, 0.4)
    session = Session(TOKEN, TOKEN, trust_env=False, timeout=5)
    session._client.base_url = wire.url
    name = Option.occ_to_streamer_symbol(CALL_230)
    async with session, DXLinkStreamer(session) as streamer:
        await streamer.subscribe(Quote, [name, "AAPL"])
        first = {(await streamer.get_event(Quote)).event_symbol: None for _ in range(2)}
        assert set(first) == {name, "AAPL"}
        await streamer.subscribe(Greeks, [name])
        await streamer.subscribe(Trade, ["AAPL"])
        await streamer.subscribe(Summary, ["AAPL"])
        assert float((await streamer.get_event(Trade)).price) == 230.01
        assert float((await streamer.get_event(Summary)).prev_day_close_price) == 230.0
        world.set(CALL_230, 5.20, 5.30, 7)
        await step()
        quote = await streamer.get_event(Quote)
        assert (quote.event_symbol, float(quote.bid_price), float(quote.ask_price)) == (name, 5.20, 5.30)
        assert (int(quote.bid_size), quote.bid_time) == (7, (world.now_ns - 1_000_000_000) // 1_000_000)
        assert streamer.get_event_nowait(Quote) is None  # AAPL did not change
        await streamer.unsubscribe(Quote, [name])


async def test_held_contracts_are_quoted_and_a_change_of_the_wish_is_followed(quotes, world, step, brokerage):
    quotes.want([CALL_230, CALL_240])
    await until(lambda: set(quotes.latest) == {CALL_230, CALL_240})
    assert quotes.latest[CALL_230].bid == 5.00
    assert quotes.latest[CALL_230].time_ns == world.now_ns // 1_000_000 * 1_000_000
    quotes.want([CALL_230, PUT_220])
    await until(lambda: set(quotes.latest) == {CALL_230, PUT_220})
    world.set(CALL_230, 5.50, 5.60)
    await step()
    await until(lambda: quotes.latest[CALL_230].ask == 5.60)
    assert brokerage.dxlink.logins == quotes.connects == 1


@pytest.mark.parametrize("code", [1000, 1001, 1011])
async def test_whatever_ends_the_connection_another_begins(quotes, world, step, brokerage, code):
    quotes.want([CALL_230])
    await until(lambda: quotes.latest)
    brokerage.faults.arm({"fault": "dxlink_close", "code": code})
    await step()
    await until(lambda: quotes.connects == 2 and quotes.up)
    world.set(CALL_230, 6.00, 6.10)
    await step()
    await until(lambda: quotes.latest[CALL_230].bid == 6.00)
    assert "broker quotes lost" in quotes.faults[0]
    assert TOKEN not in "".join(quotes.faults)


async def test_nothing_is_connected_while_nothing_is_wanted(quotes, brokerage):
    quotes.want([])
    assert quotes._task is None
    quotes.want([CALL_230])
    await until(lambda: quotes.up)
    quotes.want([])
    await until(lambda: not quotes.up)
    assert quotes.latest == {}
    quotes.want([CALL_230])
    await until(lambda: quotes.latest)
    assert brokerage.dxlink.logins == 2


async def test_only_the_newest_quote_of_each_symbol_is_kept(quotes, world, step):
    quotes.want([CALL_230])
    await until(lambda: quotes.latest)
    for cents in range(50):
        world.set(CALL_230, 5.00 + cents / 100, 5.60)
        await step()
    await until(lambda: quotes.latest[CALL_230].bid == pytest.approx(5.49))
    assert len(quotes.latest) == 1


async def test_more_contracts_than_one_message_carries_are_asked_for_in_parts(quotes, world):
    many = [option(strike) for strike in range(100, 1_100)]
    for occ in many:
        world.set(occ, 1.0, 1.1)
    quotes.want(many)
    await until(lambda: len(quotes.latest) == 1_000, 10.0)
    assert quotes.faults == []


@pytest.mark.parametrize(
    ("name", "occ"),
    [
        (".AAPL260417C230", "AAPL  260417C00230000"),
        (".SPY260821C12.25", "SPY   260821C00012250"),
        (".F260821P0.05", "F     260821P00000050"),
        (".AAPL1260417C230", "AAPL1 260417C00230000"),
        (".AAPL261341C230", ""),
        ("AAPL", ""),
    ],
)
def test_streamer_symbols_become_occ_symbols(name, occ):
    assert occ_of(name) == occ
