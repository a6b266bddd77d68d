"""Fault by fault: the code that the gate gives, that neither scanner nor option choice goes by such a number, and that
the same stock and contract can be chosen again once the service is well.
"""

from __future__ import annotations

import numpy as np
import pytest

from qmterm.core.reasons import Reason
from qmterm.core.settings.quality import QualitySettings
from qmterm.market.quality.codes import WRONG_PRICES, QuoteCode
from qmterm.market.stream.state import StreamState
from tests.faults.dealing import Dealing, dealing
from tests.faults.floor import RECOVERY_S, WATCHED, Floor, floor

CHAIN = "/v3/snapshot/options"
SNAPSHOT = "/v2/snapshot/locale/us/markets/stocks/tickers"
ANNOUNCED, UNANNOUNCED = "TSLA", "SPY"  # halts of names listed on Nasdaq come with the bands
CHAIN_AGES = 11  # steps of a second after which a chain is read anew
PATIENT = {"read_timeout_s": 10.0, "deadline_s": 20.0, "mute_after_s": 60.0, "ping_s": 20.0, "fresh_s": 10.0}


async def hear_bands(one: Floor) -> None:
    one.feed._stocks.want(one.feed._stocks._wanted | {"LULD.*"})
    await one.feed.settled()


async def chosen(deal: Dealing, symbol: str) -> str:
    """A contract in the middle of what may be chosen while all is well; entries open one of this stock."""
    choice = deal.choose(await deal.chain(symbol), deal.signal(symbol))
    assert choice.best is not None, choice.rejected
    opened, refused = await deal.consider()
    assert len(opened) == 1, refused
    assert deal.enters(symbol)
    return min(choice.candidates, key=lambda one: abs(one.delta - 0.5)).occ


async def well_again(one: Floor, deal: Dealing, symbol: str, contract: str) -> None:
    """The contract of before may be chosen again, and entries open one of this stock on their next pass."""
    await one.read(CHAIN_AGES)
    chain = await deal.chain(symbol)
    assert chain.spot_code == QuoteCode.OK
    assert chain.quote_code[chain.occ.index(contract)] == QuoteCode.OK
    choice = deal.choose(chain, deal.signal(symbol))
    assert contract in {candidate.occ for candidate in choice.candidates}, choice.rejected
    opened, refused = await deal.consider()
    assert len(opened) == 1, refused


async def test_while_both_streams_are_down(simulator, store):
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only("SPY")
        contract = await chosen(deal, "SPY")
        one.feed.watch(WATCHED, frozenset({contract}))
        await one.feed.settled()
        before = await deal.chain("SPY")
        signal = deal.signal("SPY")
        await one.fault("drop_during_auth")
        for cluster in ("stocks", "options"):
            await one.fault("close", code=1006, times=1, path=cluster)
        await one.step(2)
        streams = (one.feed._stocks, one.feed._options)
        await one.until(lambda: all(stream.counters.drops for stream in streams), what="both are down")
        await one.step(8)

        for chain in (one.feed.chains.requote(before, one.clock.now()), await deal.chain("SPY")):
            assert chain.spot_code == QuoteCode.FEED_DOWN
            assert np.all(chain.quote_code == QuoteCode.FEED_DOWN)
            choice = deal.choose(chain, signal)
            assert choice.best is None
            assert choice.rejected[Reason.FEED_DOWN] > 100
        assert one.feed.quality.quote(one.board.quote("SPY"), one.clock.now()) is Reason.FEED_DOWN
        assert await deal.consider() == ([], {})  # no signal: nothing is even looked at
        assert deal.scan.entries(1000) == ()
        assert set(deal.scan.codes) <= {QuoteCode.FEED_DOWN, QuoteCode.HALTED}
        assert deal.scan.covered().skipped["FEED_DOWN"] >= 55

        await one.heal()
        await one.whole_again()
        await one.until(lambda: all(stream.state is StreamState.LIVE for stream in streams), RECOVERY_S)
        await well_again(one, deal, "SPY", contract)
        assert deal.scan.covered().skipped.get("FEED_DOWN", 0) == 0


async def test_while_only_the_stocks_stream_is_down(simulator, store):
    """Quotes of contracts go on, but the stock's price under them does not."""
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only("SPY")
        contract = await chosen(deal, "SPY")
        one.feed.watch(WATCHED, frozenset({contract}))
        await one.feed.settled()
        before, signal = await deal.chain("SPY"), deal.signal("SPY")
        await one.fault("drop_during_auth", path="stocks")
        await one.fault("close", code=1006, times=1, path="stocks")
        await one.step(2)
        await one.until(lambda: one.feed._stocks.counters.drops, what="stocks are down")
        await one.step(8)

        assert one.feed._options.state is StreamState.LIVE
        chain = one.feed.chains.requote(before, one.clock.now())
        assert chain.spot_code == QuoteCode.FEED_DOWN
        assert np.all(chain.quote_code == QuoteCode.FEED_DOWN)
        assert one.feed.chains.leg_numbers(contract, one.clock.now())["spot_code"] == "FEED_DOWN"
        choice = deal.choose(chain, signal)
        assert (choice.best, choice.rejected[Reason.FEED_DOWN] > 100) == (None, True)

        await one.heal()
        await one.whole_again()
        await well_again(one, deal, "SPY", contract)


async def test_in_a_silence_that_nobody_announced(simulator, store):
    quick = QualitySettings(silent_stock_min=1.0)
    async with floor(simulator, quality=quick, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only(UNANNOUNCED)
        contract = await chosen(deal, UNANNOUNCED)
        signal = deal.signal(UNANNOUNCED)
        await one.ask("POST", "/sim/events", {"halt": UNANNOUNCED, "minutes": 4})
        await one.read(200)  # the last minute's bar is still a price, up to a minute later
        chain = await deal.chain(UNANNOUNCED)
        offered = np.isfinite(chain.ask) & (chain.bid > 0)
        assert chain.spot_code == QuoteCode.STALE_UNDERLYING
        assert np.all(chain.quote_code[offered] == QuoteCode.STALE_QUOTE)
        choice = deal.choose(chain, signal)
        assert choice.best is None
        assert choice.rejected[Reason.STALE_UNDERLYING] > 100
        assert await deal.consider() == ([], {})
        assert not deal.enters(UNANNOUNCED)
        assert deal.scan.doubt(UNANNOUNCED) is deal.scan.coverage.of(UNANNOUNCED)[1] is Reason.STALE_QUOTE
        assert one.feed.quality.stock("AAPL", one.clock.now()) is None  # the others go on
        await one.read(50)
        await well_again(one, deal, UNANNOUNCED, contract)


async def test_in_a_halt(simulator, store):
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        await hear_bands(one)
        await one.read(2)
        deal.only(ANNOUNCED)
        contract = await chosen(deal, ANNOUNCED)
        before, signal = await deal.chain(ANNOUNCED), deal.signal(ANNOUNCED)
        await one.ask("POST", "/sim/events", {"halt": ANNOUNCED, "minutes": 1})
        await one.read(3)
        for chain in (one.feed.chains.requote(before, one.clock.now()), await deal.chain(ANNOUNCED)):
            assert chain.spot_code == QuoteCode.HALTED
            assert np.all(chain.quote_code == QuoteCode.HALTED)
            choice = deal.choose(chain, signal)
            assert choice.best is None
            assert choice.rejected[Reason.HALTED] > 50
        assert await deal.consider() == ([], {})
        assert not deal.enters(ANNOUNCED)
        assert deal.scan.doubt(ANNOUNCED) is deal.scan.coverage.of(ANNOUNCED)[1] is Reason.HALTED
        await one.read(62)
        await well_again(one, deal, ANNOUNCED, contract)


BROKEN = (("page_fails", {"page": 2}), ("html_502", {}), ("truncated", {}), ("no_results", {}))


async def test_with_chains_that_cannot_be_read(simulator, store):
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only("SPY")
        contract = await chosen(deal, "SPY")
        for name, more in BROKEN:
            await one.read(CHAIN_AGES)
            await one.fault(name, path=CHAIN, **more)
            opened, refused = await deal.consider()
            assert (opened, refused) == ([], {"NO_DATA": 1}), name
            assert deal.trader.turned_down[-1] == ("SPY", Reason.NO_DATA)
            await one.heal()
            assert (await deal.consider())[0] != [], name  # on the very next pass
        await well_again(one, deal, "SPY", contract)


@pytest.mark.parametrize("pages", [None, 1], ids=["every page", "one page"])
async def test_with_a_chain_in_cents(simulator, store, pages):
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only("SPY")
        contract = await chosen(deal, "SPY")
        right, signal = await deal.chain("SPY"), deal.signal("SPY")
        await one.read(CHAIN_AGES)
        await one.fault("wrong_prices", path=CHAIN, **({} if pages is None else {"times": pages}))
        opened, refused = await deal.consider()
        told = await deal.chain("SPY")  # the one just read
        assert told.occ == right.occ
        wrong = told.ask > 10 * right.ask + 1
        assert wrong.sum() > 150
        believed = told.quote_code == QuoteCode.OK
        assert not np.any(wrong & believed)
        assert np.count_nonzero(np.isin(told.quote_code, WRONG_PRICES)) > 100  # the spot came with it on one page
        choice = deal.choose(told, signal)
        assert not {candidate.occ for candidate in choice.candidates} & {told.occ[row] for row in np.flatnonzero(wrong)}
        assert not set(opened) & {told.occ[row] for row in np.flatnonzero(wrong)}
        if pages is None:
            assert refused["OFF_NEIGHBOURS"] > 50
            assert (choice.best, opened) == (None, [])
        await one.heal()
        await well_again(one, deal, "SPY", contract)


async def test_with_a_snapshot_in_cents(simulator, store):
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        await hear_bands(one)
        await one.read(32)
        table = one.board.stocks
        offered = {signal.symbol: signal.close for signal in deal.scan.entries(1000)}
        before = table.last.copy()
        await one.step()
        await one.fault("wrong_prices", path=SNAPSHOT)
        await one.feed.load_snapshot()
        insane = table.last > 10 * before
        assert insane.sum() > 20  # of those whose trades are not on the stream
        codes = one.feed.quality.stocks(one.clock.now())
        assert np.all(codes[insane] == QuoteCode.PRICE_INSANE)
        deal.scan.run()
        assert all(signal.close < 2 * offered[signal.symbol] for signal in deal.scan.entries(1000))
        assert deal.scan.covered().skipped["PRICE_INSANE"] == insane.sum()
        await one.heal()
        await one.step()
        await one.feed.load_snapshot()
        deal.scan.run()
        assert deal.scan.covered().skipped.get("PRICE_INSANE", 0) == 0
        assert await one.difference() == []
