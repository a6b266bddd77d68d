"""Delayed data and data that the plan lacks, in the strategy's own path: shown and named, never dealt on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from qmterm.core.errors import NotEntitled
from qmterm.core.reasons import Reason
from qmterm.engine.signals.entries import RETRY_CHOICE_S
from qmterm.market.quality.codes import QuoteCode
from qmterm.market.rest.entitlements import REPEATED, Family
from tests.faults.dealing import dealing
from tests.faults.floor import floor
from tests.faults.test_nothing_refused_is_chosen import CHAIN, PATIENT, chosen, well_again
from tests.sim.conftest import Simulator, start, stop

STOCK = "SPY"


@pytest.fixture(scope="module")
def delayed() -> Iterator[Simulator]:
    """The same market a quarter of an hour late, trades but no quotes."""
    words = ("--symbols", "60", "--lockstep", "--seed", "11", "--step-s", "1", "--start", "2026-03-02T10:00")
    started = start(*words, "--plan", "developer")
    yield started
    stop(started)


async def test_no_order_comes_from_delayed_data(delayed, store):  # the history of one world is the same on every plan
    async with (
        floor(delayed, plan="developer", **PATIENT) as one,
        dealing(one, store) as deal,
    ):
        await one.read(2)
        assert one.feed.status.state == "delayed"
        deal.scan.run()
        assert QuoteCode.DELAYED in deal.scan.codes
        assert QuoteCode.OK not in deal.scan.codes
        assert deal.scan.entries(1000)  # what is late is still shown
        deal.only(STOCK)
        signal = deal.signal(STOCK)
        chain = await deal.chain(STOCK)
        assert chain.spot_code == QuoteCode.DELAYED
        assert np.all(chain.quote_code == QuoteCode.DELAYED)
        choice = deal.choose(chain, signal)
        assert (choice.best, choice.candidates) == (None, ())
        assert choice.rejected[Reason.DELAYED] > 100
        opened, refused = await deal.consider()
        assert opened == []
        assert refused["DELAYED"] > 100
        assert deal.trader.opened == []
        assert one.feed.quality.quote(one.board.quote(chain.occ[0]), one.clock.now()) is Reason.DELAYED


async def test_a_chain_that_is_refused_once_is_named_and_asked_again(simulator, store):
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only(STOCK)
        contract = await chosen(deal, STOCK)
        await one.fault("not_authorized", path=CHAIN)
        await one.read(11)
        opened, refused = await deal.consider()
        assert (opened, refused) == ([], {"NOT_ENTITLED": 1})
        assert deal.trader.turned_down[-1] == (STOCK, Reason.NOT_ENTITLED)
        assert deal.scan.coverage.chain_of(STOCK) is Reason.NOT_ENTITLED
        assert deal.scan.covered().chains_skipped == {"NOT_ENTITLED": 1}
        await one.heal()
        await one.read(int(RETRY_CHOICE_S) + 1)  # asked again then: a lone refusal was not the plan
        await well_again(one, deal, STOCK, contract)
        assert deal.scan.coverage.chain_of(STOCK) is None


async def test_what_the_plan_lacks_is_shown_and_not_asked_any_more(simulator, store, tmp_path: Path):
    async with floor(simulator, **PATIENT) as one, dealing(one, store) as deal:
        await one.read(2)
        deal.only(STOCK)
        today = [date(2026, 3, 2)]
        one.feed.rest.entitlements.keep_in(tmp_path / "entitlements.json", lambda: today[0])
        await one.fault("not_authorized", path=CHAIN)
        for _ in range(REPEATED):
            assert await deal.consider() == ([], {"NOT_ENTITLED": 1})
            deal.entries.rest(STOCK, 0.0)
        with pytest.raises(NotEntitled, match="not asked again"):
            await deal.chain(STOCK)
        assert Family.OPTION_CHAINS in one.feed.status.refused
        await one.heal()
        today[0] = date(2026, 3, 3)  # perhaps another plan
        deal.entries.rest(STOCK, 0.0)
        opened, refused = await deal.consider()
        assert len(opened) == 1, refused
        assert one.feed.status.refused == ()
        assert deal.scan.coverage.chain_of(STOCK) is None
