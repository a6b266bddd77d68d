"""A halt: quotes stop and grow old, nothing of it looks fresh, and after the resumption everything is right again."""

from __future__ import annotations

import numpy as np

from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from tests.faults.floor import WATCHED, Floor, floor

HALTED = "TSLA"  # listed on Nasdaq, so that the halt is announced
PATIENT = {
    "read_timeout_s": 10.0,
    "deadline_s": 20.0,
    "mute_after_s": 60.0,
    "ping_s": 20.0,
}  # chains take the simulator its time
BANDS = frozenset(f"LULD.{symbol}" for symbol in WATCHED)


async def hear_bands(one: Floor) -> None:
    one.feed._stocks.want(one.feed._stocks._wanted | BANDS)
    await one.feed.settled()


def stock(one: Floor, symbol: str) -> Quote:
    quote = one.board.quote(symbol)
    assert quote is not None
    return quote


async def test_a_halted_stock_grows_old_while_the_others_go_on_and_comes_back_right(simulator):
    async with floor(simulator, **PATIENT) as one:
        await hear_bands(one)
        await one.read(2)
        began = one.clock.now()
        before = stock(one, HALTED)
        chain = await one.chain(HALTED, days=10)
        await one.ask("POST", "/sim/events", {"halt": HALTED, "minutes": 2})
        await one.read(90)
        after = stock(one, HALTED)
        assert (after.bid, after.ask, after.time_ns) == (before.bid, before.ask, before.time_ns)
        assert one.clock.now() - after.time_ns >= 90_000_000_000  # its age is shown as it is
        assert one.clock.now() - stock(one, "AAPL").time_ns < 30_000_000_000
        frozen = await one.chain(HALTED, days=10)
        assert np.all(frozen.quote_ns <= began)  # its options do not look fresh either
        assert frozen.occ == chain.occ
        await one.feed.load_snapshot()  # REST does not make it look fresh
        assert stock(one, HALTED).time_ns <= began
        assert await one.difference() == []
        await one.read(40)
        assert stock(one, HALTED).time_ns > began + 120_000_000_000
        assert await one.difference() == []
        assert np.all((await one.chain(HALTED, days=10)).quote_ns > began + 120_000_000_000)
        assert one.feed.status.malformed == 0


async def test_bands_arrive_and_hold_the_price_between_them(simulator):
    async with floor(simulator, **PATIENT) as one:
        await hear_bands(one)
        await one.read(31)
        table = one.board.stocks
        for symbol in WATCHED:
            row = table.numbers[symbol]
            assert table.band_low[row] < table.last[row] < table.band_high[row]


async def test_a_resumption_missed_in_a_drop_is_known_after_the_reconnect(simulator):
    async with floor(simulator, **PATIENT) as one:
        await hear_bands(one)
        await one.ask("POST", "/sim/events", {"halt": HALTED, "minutes": 1})
        await one.read(30)
        assert one.feed.quality.stock(HALTED, one.clock.now()) is Reason.HALTED
        await one.fault("close", code=1006, times=1, path="stocks")
        await one.step(60)  # the halt ends while nobody listens
        await one.until(lambda: one.feed.status.drops == 1)
        await one.whole_again()
        await one.read(10)  # some seconds with a trade among them
        assert one.feed.quality.stock(HALTED, one.clock.now()) is None
        assert one.clock.now() - stock(one, HALTED).time_ns < 60_000_000_000
