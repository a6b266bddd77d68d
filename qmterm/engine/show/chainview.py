"""The chain a person looks at: read now and then, re-priced from the board at every frame, mirrored by strike."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from typing import Protocol

import numpy as np

from qmterm.core.chain import Chain
from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.errors import BadSymbol, DataError
from qmterm.engine.view import ChainRow, ChainView, OptionCell
from qmterm.market.quality.codes import code_name
from qmterm.market.rest.budget import Priority, asking_for
from qmterm.quant.options.implied_vol import IvStatus

HORIZON_DAYS = 100
STRIKES_EACH_SIDE = 40
YEAR_DAYS = 365.0


class ShownChains(Protocol):
    async def read(
        self,
        underlying: str,
        now_ns: int,
        expiry_from: date,
        expiry_to: date,
        strike_from: float | None = None,
        strike_to: float | None = None,
    ) -> Chain: ...

    def requote(self, chain: Chain, now_ns: int) -> Chain: ...

    def spot(self, underlying: str) -> float | None: ...

    def rate_mark(self, now_ns: int) -> str: ...


class ChainLook:
    """One symbol and one expiry at a time."""

    def __init__(
        self,
        chains: ShownChains,
        clock: Clock,
        refresh_s: float,
        held: Callable[[str], int],
        iv_rank: Callable[[Chain], str] = lambda chain: "",
    ) -> None:
        self._chains = chains
        self._clock = clock
        self._refresh_ns = int(refresh_s * NS)
        self._held = held
        self._iv_rank = iv_rank
        self._ranked = ""
        self._chain: Chain | None = None
        self._read_ns = 0
        self._message = ""
        self.symbol: str | None = None
        self.selected: date | None = None

    def select(self, symbol: str) -> None:
        if symbol != self.symbol:
            self.symbol, self._chain, self.selected, self._message = symbol, None, None, "loading"
            self._ranked = ""
            self._read_ns = 0

    def step_expiry(self, step: int) -> None:
        expiries = self.expiries
        if expiries:
            now = expiries.index(self.selected) if self.selected in expiries else 0
            self.selected = expiries[min(max(now + step, 0), len(expiries) - 1)]

    @property
    def expiries(self) -> tuple[date, ...]:
        return tuple(sorted(set(self._chain.expiry.tolist()))) if self._chain is not None else ()

    @property
    def shown_contracts(self) -> frozenset[str]:
        """What the stream should quote while it is on the screen."""
        view = self._rows_shown()
        return frozenset(self._chain.occ[i] for i in view) if self._chain is not None else frozenset()

    async def refresh(self) -> None:
        """Re-read over REST when it is time, also after a failure or "no options": no storm of calls for those.

        Errors become the pane's message.
        """
        symbol = self.symbol
        now = self._clock.now()
        if symbol is None or now - self._read_ns < self._refresh_ns:
            return
        today = et_date(now)
        spot = self._chains.spot(symbol)
        band = (0.6 * spot, 1.5 * spot) if spot else (None, None)
        self._read_ns = now
        try:
            with asking_for(Priority.WATCH):
                chain = await self._chains.read(symbol, now, today, today + timedelta(days=HORIZON_DAYS), *band)
        except (DataError, BadSymbol) as error:
            self._message = str(error)
            return
        if symbol != self.symbol:
            return  # the person moved on while we read
        self._chain = chain if len(chain) else None
        self._ranked = self._iv_rank(chain) if len(chain) else ""
        self._message = "" if len(chain) else f"no options listed for {symbol}"
        if self.selected not in self.expiries:
            self.selected = self._nearest_monthly()

    def _nearest_monthly(self) -> date | None:
        today = et_date(self._clock.now())
        return min(self.expiries, key=lambda day: abs((day - today).days - 30), default=None)

    def _rows_shown(self) -> list[int]:
        chain = self._chain
        if chain is None or self.selected is None:
            return []
        rows = np.flatnonzero(chain.expiry == np.datetime64(self.selected))
        strikes = np.unique(chain.strike[rows])
        middle = int(np.abs(strikes - chain.spot).argmin()) if strikes.size else 0
        near = strikes[max(0, middle - STRIKES_EACH_SIDE) : middle + STRIKES_EACH_SIDE + 1]
        return [int(row) for row in rows[np.isin(chain.strike[rows], near)]]

    def view(self, previous_close: float | None, hv20: float | None) -> ChainView | None:
        """What the screen draws now; None when nothing is selected."""
        if self.symbol is None:
            return None
        now = self._clock.now()
        spot = self._chains.spot(self.symbol)
        change = (spot / previous_close - 1) * 100 if spot and previous_close else None
        rows = self._rows_shown()
        if self._chain is None or not rows or self.selected is None:
            return ChainView(
                self.symbol, spot, change, self.expiries, 0, None, None, hv20, None, (), 0, None, message=self._message
            )
        part = self._chains.requote(self._chain.take(np.array(rows)), now)
        cells = {(float(part.strike[i]), bool(part.is_call[i])): self._cell(part, i, now) for i in range(len(part))}
        strikes = sorted({strike for strike, _ in cells})
        table = tuple(ChainRow(strike, cells.get((strike, True)), cells.get((strike, False))) for strike in strikes)
        at_the_money = min(range(len(strikes)), key=lambda i: abs(strikes[i] - part.spot))
        atm_iv = _mean_iv(table[at_the_money])
        years = float(part.years[0])
        codes, numbers = np.unique(part.quote_code, return_counts=True)
        refused = {code_name(code): count for code, count in zip(codes.tolist(), numbers.tolist(), strict=True) if code}
        return ChainView(
            symbol=self.symbol,
            spot=part.spot,
            change_pct=change,
            expiries=self.expiries,
            selected=self.expiries.index(self.selected),
            dte=int(part.dte[0]),
            atm_iv=atm_iv,
            hv20=hv20,
            expected_move=None if atm_iv is None else part.spot * atm_iv * math.sqrt(max(years, 0.0)),
            rows=table,
            at_the_money=at_the_money,
            age_s=max(0, now - self._read_ns) / NS,
            spot_age_s=max(0, now - part.spot_ns) / NS if part.spot_ns else None,
            spot_code=code_name(part.spot_code),
            codes=refused,
            message=self._message or self._chains.rate_mark(now),
            iv_rank=self._ranked,
        )

    def _cell(self, chain: Chain, i: int, now: int) -> OptionCell:
        quoted = int(chain.quote_ns[i])
        return OptionCell(
            occ=chain.occ[i],
            bid=known(chain.bid[i]),
            ask=known(chain.ask[i]),
            iv=known(chain.iv[i]),
            iv_status=IvStatus(int(chain.iv_status[i])).name,
            delta=known(chain.delta[i]),
            gamma=known(chain.gamma[i]),
            theta=known(chain.theta[i]),
            vega=known(chain.vega[i]),
            volume=int(chain.volume[i]) if chain.volume[i] >= 0 else None,
            open_interest=int(chain.open_interest[i]) if chain.open_interest[i] >= 0 else None,
            age_s=max(0, now - quoted) / NS if quoted else None,
            held=self._held(chain.occ[i]),
            code=code_name(int(chain.quote_code[i])),
        )


def known(value: float) -> float | None:
    """NaN inside arrays is None at the edge."""
    number = float(value)
    return number if math.isfinite(number) else None


def _mean_iv(row: ChainRow) -> float | None:
    both = [cell.iv for cell in (row.call, row.put) if cell is not None and cell.iv is not None]
    return sum(both) / len(both) if both else None
