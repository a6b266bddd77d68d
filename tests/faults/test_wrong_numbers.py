"""Prices and sizes in another unit on the stream, and an option off parity: refused, not chosen, whole again after."""

from __future__ import annotations

import numpy as np
import pytest

from qmterm.core.chain import Chain
from qmterm.core.reasons import Reason
from qmterm.engine.signals.entries import RETRY_CHOICE_S
from qmterm.market.quality.codes import QuoteCode
from qmterm.market.quality.gate import Circumstances, chain_codes
from tests.faults.dealing import dealing
from tests.faults.floor import WATCHED, Floor, floor
from tests.faults.test_nothing_refused_is_chosen import CHAIN, CHAIN_AGES, PATIENT, chosen, hear_bands, well_again

STOCK = "SPY"
JUMPY = "ROKU"  # its contracts cost several per cent of it, and its strikes stand far apart
BUMPS = (0.9, 1.1, 0.8, 1.25, 0.7, 1.4, 0.5, 2.0)


@pytest.mark.parametrize("bands", [True, False], ids=["with bands", "before any band"])
@pytest.mark.parametrize("factor", [100.0, 0.01], ids=["cents for dollars", "dollars for cents"])
async def test_a_stock_stream_in_another_unit(simulator, store, factor, bands):
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        if bands:
            await hear_bands(one)
            await one.read(32)
        await one.read(2)
        deal.only(STOCK)
        contract = await chosen(deal, STOCK)
        before, signal = await deal.chain(STOCK), deal.signal(STOCK)
        await one.fault("price_units", factor=factor, path="stocks")
        await one.read(4)
        spot = one.feed.chains.spot(STOCK)
        assert factor / 2 < spot / before.spot < factor * 2  # that is what the stream says
        number = one.board.stocks.numbers[STOCK]
        assert one.feed.quality.stocks(one.clock.now())[number] == QuoteCode.PRICE_INSANE
        for chain in (one.feed.chains.requote(before, one.clock.now()), await deal.chain(STOCK)):
            assert chain.spot_code == QuoteCode.PRICE_INSANE
            assert not np.any(chain.quote_code == QuoteCode.OK)
            choice = deal.choose(chain, signal)
            assert choice.best is None
        assert await deal.consider() == ([], {})  # not even looked at
        assert not deal.enters(STOCK)
        assert deal.scan.doubt(STOCK) is deal.scan.coverage.of(STOCK)[1] is Reason.PRICE_INSANE  # its stop is blind
        await one.heal()
        assert await one.whole_again() < 10
        await well_again(one, deal, STOCK, contract)
        await one.read(62)  # the others' prices are those of their minutes
        deal.scan.run()
        assert deal.scan.covered().skipped.get("PRICE_INSANE", 0) == 0


async def on_stream(one: Floor, contract: str) -> None:
    one.feed.watch(WATCHED | {JUMPY}, frozenset({contract}))
    await one.feed.settled()


async def told(one: Floor, contract: str, other: float) -> float:
    """Steps until the stream has told an ask that is another one; what it is."""
    options, table = one.feed._options, one.board.options
    number = table.numbers[contract]
    for _ in range(40):
        step = await one.step()
        await one.until(lambda step=step: options.last_step >= step, what="the options' marker")
        ask = float(table.ask[number])
        if abs(ask / other - 1) > 0.07:
            return ask
    raise AssertionError(f"{contract} was not quoted")


async def test_an_option_stream_in_cents(simulator, store):
    async with floor(simulator, watch=WATCHED | {JUMPY}, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only(JUMPY)
        contract = await chosen(deal, JUMPY)
        await on_stream(one, contract)
        chain, signal = await deal.chain(JUMPY), deal.signal(JUMPY)
        right = float(chain.ask[chain.occ.index(contract)])
        await one.fault("price_units", path="options")
        assert await told(one, contract, right) > 50 * right
        chain = one.feed.chains.requote(chain, one.clock.now())
        assert chain.quote_code[chain.occ.index(contract)] == QuoteCode.OFF_NEIGHBOURS
        assert contract not in {candidate.occ for candidate in deal.choose(chain, signal).candidates}
        assert contract not in (await deal.consider())[0]
        # A position's mark hears of one quote only: more than the whole stock is too much for a call.
        assert one.feed.quality.quote(one.board.quote(contract), one.clock.now()) is Reason.PRICE_INSANE
        await one.heal()
        assert await told(one, contract, 100 * right) < 2 * right
        await well_again(one, deal, JUMPY, contract)
        assert one.feed.quality.quote(one.board.quote(contract), one.clock.now()) is None


def bent(chain: Chain, row: int, factor: float) -> QuoteCode:
    """What the gate will say of a contract whose quote alone is `factor` times as high."""
    bid, ask = chain.bid.copy(), chain.ask.copy()
    bid[row], ask[row] = bid[row] * factor, ask[row] * factor
    codes = chain_codes(
        chain.time_ns, chain.spot, chain.spot_ns, chain.years, chain.strike, chain.is_call, chain.adjusted, chain.rate,
        bid, ask, chain.quote_ns, Circumstances(),
    )  # fmt: skip
    return QuoteCode(codes[row])


async def test_an_option_off_parity(simulator, store):
    async with floor(simulator, watch=WATCHED | {JUMPY}, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only(JUMPY)
        await chosen(deal, JUMPY)
        chain, signal = await deal.chain(JUMPY), deal.signal(JUMPY)
        candidates = {candidate.occ for candidate in deal.choose(chain, signal).candidates}
        rows = [row for row, occ in enumerate(chain.occ) if occ in candidates]
        # Between the strikes around it the price is possible; it is its put that contradicts it.
        row, factor = next((r, f) for r in rows for f in BUMPS if bent(chain, r, f) is QuoteCode.OFF_PARITY)
        contract, right = chain.occ[row], float(chain.ask[row])
        await on_stream(one, contract)
        await one.fault("price_units", factor=factor, path="options")
        await told(one, contract, right)
        chain = one.feed.chains.requote(await deal.chain(JUMPY), one.clock.now())
        assert chain.quote_code[chain.occ.index(contract)] == QuoteCode.OFF_PARITY
        choice = deal.choose(chain, signal)
        assert contract not in {candidate.occ for candidate in choice.candidates}
        assert choice.rejected[Reason.OFF_PARITY] == 1
        opened, _ = await deal.consider()
        assert contract not in opened
        assert np.isnan(chain.iv[chain.occ.index(contract)])  # and no Greeks are made from it
        wrong = float(one.board.quote(contract).ask)
        await one.heal()
        await told(one, contract, wrong)
        await well_again(one, deal, JUMPY, contract)


async def test_sizes_in_round_lots_change_no_decision(simulator, store):
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only(STOCK)
        contract = await chosen(deal, STOCK)
        await one.fault("size_units", factor=0.01)
        await one.fault("wrong_sizes", factor=0.01, path=CHAIN)
        await one.read(CHAIN_AGES)
        assert await one.difference() == []  # prices and times are what they were
        opened, refused = await deal.consider()
        assert len(opened) == 1, refused
        await one.heal()
        await well_again(one, deal, STOCK, contract)


async def test_sizes_that_cannot_be_are_counted_and_take_their_event_with_them(simulator, store):
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only(STOCK)
        contract = await chosen(deal, STOCK)
        number, table = one.board.stocks.numbers[STOCK], one.board.stocks
        before, made_ns = float(table.bid[number]), int(table.quote_ns[number])
        await one.fault("size_units", factor=1e18)
        await one.read(3)
        assert one.feed.status.malformed > 0
        assert (float(table.bid[number]), int(table.quote_ns[number])) == (before, made_ns)
        assert table.bid_size[number] < 1e6
        await one.fault("wrong_sizes", factor=1e18, path=CHAIN)
        await one.read(CHAIN_AGES)
        opened, refused = await deal.consider()
        assert (opened, refused["LOW_OPEN_INTEREST"] > 50) == ([], True)  # such an open interest is not known
        chain = await deal.chain(STOCK)
        assert max(chain.open_interest.max(), chain.bid_size.max(), chain.ask_size.max()) <= 0
        await one.heal()
        assert await one.whole_again() < 10
        await one.read(int(RETRY_CHOICE_S))  # that is about no data: it is looked at again later
        await well_again(one, deal, STOCK, contract)
