"""A stop fires on no refused price, and is never blind in silence."""

import pytest

from qmterm.core.reasons import Reason
from tests.engine.house import close_at, opened

GONE = 169.0


@pytest.mark.parametrize("why", [Reason.HALTED, Reason.STALE_QUOTE, Reason.FEED_DOWN, Reason.PRICE_INSANE])
async def test_a_refused_price_stops_nothing_out_and_its_blindness_is_said_once(why):
    async with opened() as house:
        await house.hold(4)
        house.underlyings.doubts["NVDA"] = why
        close_at(house, GONE)
        house.underlyings.lasts["NVDA"] = GONE
        for _ in range(3):
            await house.turn()
        assert house.working == ()
        blind = [line for line in house.log.lines if line.kind == "STOP"]
        assert [line.level for line in blind] == ["alarm"]
        assert why.value in blind[0].text
        assert house.guards.text("P1", house.guards.of("P1").state.horizon_date).startswith(f"blind: {why.value}")


async def test_it_fires_as_soon_as_the_price_is_believed_again_and_says_that_it_sees():
    async with opened() as house:
        await house.hold(4)
        house.underlyings.doubts["NVDA"] = Reason.HALTED
        close_at(house, GONE)
        await house.turn()
        del house.underlyings.doubts["NVDA"]
        await house.turn()
        (order,) = house.working
        assert order.intent.reason is Reason.ATR_STOP
        said = [line for line in house.log.lines if line.kind == "STOP"]
        assert "sees its stock again" in said[1].text
        assert not house.guards.text("P1", house.guards.of("P1").state.horizon_date).startswith("blind")


async def test_a_blind_stop_still_watches_the_options_own_mark():
    async with opened() as house:
        await house.hold(4)
        house.underlyings.doubts["NVDA"] = Reason.STALE_QUOTE
        house.quote(1.95, 2.05)
        await house.turn()
        (order,) = house.working
        assert order.intent.reason is Reason.PREMIUM_STOP


async def test_a_halted_stocks_option_has_no_believed_mark():
    """The quote stands as it was before the halt: fresh by its clock, worth nothing."""
    async with opened() as house:
        await house.hold(4)
        house.marks.update()
        good = house.marks.of("NVDA  260417C00175000")
        house.marks._doubt_of = lambda quote, now: Reason.HALTED
        house.quote(1.95, 2.05)
        await house.turn()
        mark = house.marks.of("NVDA  260417C00175000")
        assert (mark.price, mark.flag) == (good.price, "halted")
        assert house.working == ()
