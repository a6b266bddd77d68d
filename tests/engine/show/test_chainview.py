"""The chain a person looks at is read now and then, whatever came of the last reading."""

from dataclasses import replace

import numpy as np
import pytest

from qmterm.core.chain import Chain
from qmterm.core.errors import DataError
from qmterm.engine.show.chainview import ChainLook
from qmterm.market.quality.codes import QuoteCode
from tests.engine.fakes import clock_at
from tests.strategy.chains import chain


class Chains:
    def __init__(self, answer):
        self.answer = answer
        self.asked: list[str] = []

    async def read(self, underlying, now_ns, expiry_from, expiry_to, strike_from=None, strike_to=None):
        self.asked.append(underlying)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def requote(self, chain: Chain, now_ns: int) -> Chain:
        return chain

    def spot(self, underlying: str):
        return 178.0

    def rate_mark(self, now_ns: int) -> str:
        return "fallback 4.00%: no Treasury curve"


@pytest.mark.parametrize(
    ("answer", "said"), [(DataError("no answer"), "no answer"), ([], "no options listed for NVDA")]
)
async def test_a_chain_that_is_not_there_is_not_asked_for_at_every_frame(answer, said):
    clock = clock_at()
    chains = Chains(answer)
    look = ChainLook(chains, clock, 15.0, lambda symbol: 0)
    look.select("NVDA")
    for _ in range(20):
        await look.refresh()
        clock.advance(0.2)
    assert chains.asked == ["NVDA"]
    assert look.view(None, None).message == said
    clock.advance(15)
    await look.refresh()
    assert chains.asked == ["NVDA", "NVDA"]


async def test_another_symbol_is_read_at_once():
    chains = Chains(DataError("no answer"))
    look = ChainLook(chains, clock_at(), 15.0, lambda symbol: 0)
    for symbol in ("NVDA", "NVDA", "AMD"):
        look.select(symbol)
        await look.refresh()
    assert chains.asked == ["NVDA", "AMD"]


async def test_a_fallback_rate_is_said_beside_the_numbers_made_with_it():
    look = ChainLook(Chains(chain()), clock_at(), 15.0, lambda symbol: 0)
    look.select("AAPL")
    await look.refresh()
    shown = look.view(None, None)
    assert shown.rows
    assert shown.message == "fallback 4.00%: no Treasury curve"


async def test_every_cell_carries_the_gates_code_and_the_pane_their_count():
    made = chain()
    near = made.dte == 32
    codes = np.zeros(len(made), dtype=np.int8)
    row = int(np.flatnonzero(near & made.is_call)[1])
    codes[row] = QuoteCode.OFF_PARITY
    look = ChainLook(
        Chains(replace(made, quote_code=codes, spot_code=int(QuoteCode.STALE_UNDERLYING))),
        clock_at(),
        15.0,
        lambda symbol: 0,
    )
    look.select("AAPL")
    await look.refresh()
    shown = look.view(None, None)
    cells = [cell for line in shown.rows for cell in (line.call, line.put) if cell is not None]
    assert {cell.occ: cell.code for cell in cells if cell.code} == {made.occ[row]: "OFF_PARITY"}
    assert shown.codes == {"OFF_PARITY": 1}
    assert shown.spot_code == "STALE_UNDERLYING"
    assert shown.spot_age_s is not None


async def test_the_rank_of_the_chain_that_was_read_stands_with_it_and_goes_with_it():
    asked = []

    def rank(chain):
        asked.append(chain.underlying)
        return "12/252"

    look = ChainLook(Chains(chain()), clock_at(), 15.0, lambda symbol: 0, rank)
    look.select("AAPL")
    await look.refresh()
    assert [look.view(None, None).iv_rank for _ in range(3)] == ["12/252"] * 3
    assert asked == ["AAPL"]  # a surface is no work for a frame
    look.select("AMD")
    assert look.view(None, None).iv_rank == ""
