"""Who is listed: tickers with sector, beta, volatility, liquidity, trend and whether options exist, as columns.

Symbols are numbered by place in `tickers`; every other part of the world speaks in these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.sim.companies import INDEX_FUNDS, KNOWN, SECTORS, Profile, invented_name
from qmterm.sim.randomness import generator

RANGE, UPTREND, RUNAWAY, DOWNTREND = range(4)
_THREE_LETTERS = 4000  # after the known names: this many three-letter tickers, then four letters


@dataclass(frozen=True)
class Universe:
    """One column per property, indexed by symbol number."""

    tickers: tuple[str, ...]
    sector: NDArray[np.int8]
    price: FloatArray  # dollars at the end of the history before the start
    beta: FloatArray
    volatility: FloatArray  # annual, decimal
    own_volatility: FloatArray  # the part that is neither market nor sector, annual
    volume: FloatArray  # shares in an average session
    optionable: BoolArray
    weekly_options: BoolArray
    regime: NDArray[np.int8]  # RANGE, UPTREND, RUNAWAY, DOWNTREND
    atr_distance: FloatArray  # where the trend tends to hold the close, in ATRs above its 50-day mean
    half_spread: FloatArray  # of the stock's quote, as a fraction of the price
    option_depth: FloatArray  # 0…1: how busy the option market of the name is

    def __len__(self) -> int:
        return len(self.tickers)

    @cached_property
    def number(self) -> dict[str, int]:
        return {ticker: i for i, ticker in enumerate(self.tickers)}

    def name(self, i: int) -> str:
        return KNOWN[i].name if i < len(KNOWN) else invented_name(i, int(self.sector[i]))

    def profile(self, i: int) -> Profile:
        sector = int(self.sector[i])
        shares = int(round(float(self.volume[i]) * 150, -3))
        return Profile(SECTORS[sector], shares, f"{3000 + 100 * sector}", 100 + shares % 90_000)

    def is_fund(self, i: int) -> bool:
        return int(self.sector[i]) == len(SECTORS) - 1

    def is_index_fund(self, i: int) -> bool:
        return self.tickers[i] in INDEX_FUNDS


def _invent_tickers(seed: int, count: int) -> list[str]:
    """`count` tickers of three, then four letters, none of them a known name, the same list for every length."""
    taken = {company.ticker for company in KNOWN}
    rng = generator(seed, "tickers")
    out: list[str] = []
    for width, until in ((3, min(count, _THREE_LETTERS)), (4, count)):
        codes = rng.permutation(26**width)[: until + len(taken)].tolist()
        names = ("".join(chr(65 + code // 26**place % 26) for place in range(width)) for code in codes)
        fresh = (name for name in names if name not in taken)
        out += islice(fresh, until - len(out))
    return out


def make_universe(seed: int, count: int) -> Universe:
    """The same seed and count give the same columns; the known names come first."""
    known = KNOWN[:count]
    extra = count - len(known)
    rng = generator(seed, "universe")
    sector = np.concatenate([[c.sector for c in known], rng.integers(0, 12, extra)]).astype(np.int8)
    fund = sector == len(SECTORS) - 1
    wild = np.clip(np.exp(rng.normal(np.log(0.42), 0.35, extra)), 0.16, 1.2)
    volatility = np.concatenate([[c.volatility for c in known], wild])
    volatility[len(known) :][fund[len(known) :]] *= 0.5
    beta = np.concatenate([[c.beta for c in known], np.clip(rng.normal(1.05, 0.35, extra), 0.1, 2.2)])
    price = np.concatenate([[c.price for c in known], np.clip(np.exp(rng.normal(3.4, 0.8, extra)), 2.0, 900.0)])
    price *= np.exp(rng.normal(0, 0.04, count))
    rank = np.arange(extra)
    dollars = np.exp(rng.normal(np.log(6e7), 1.2, extra)) * (1 + rank / 250) ** -0.9
    volume = np.concatenate([[c.volume for c in known], np.maximum(dollars / price[len(known) :], 2_000.0)])

    dollar_volume = volume * price
    by_liquidity = np.argsort(-dollar_volume, kind="stable")
    optionable = np.zeros(count, dtype=np.bool_)
    optionable[by_liquidity[: min(count, int(0.15 * count) + 75)]] = True
    optionable &= price >= 4.0
    depth = np.clip(np.log10(dollar_volume / 2e7) / 3.0, 0.05, 1.0)
    weekly = optionable & (dollar_volume >= 8e7)

    regime, distance = _trends(rng, count, optionable)
    calm = fund | (volatility < 0.2)
    distance[calm] *= 0.5
    market_and_sector = (beta * MARKET_VOLATILITY) ** 2 + SECTOR_VOLATILITY**2 * ~fund
    own = np.sqrt(np.maximum(volatility**2 - market_and_sector, (0.15 + 0.4 * ~fund) ** 2 * volatility**2))
    half_spread = np.clip(1.2e-4 * (1e9 / dollar_volume) ** 0.35, 2e-5, 0.01)
    return Universe(
        tickers=(*(c.ticker for c in known), *_invent_tickers(seed, extra)),
        sector=sector,
        price=price,
        beta=beta,
        volatility=volatility,
        own_volatility=own,
        volume=volume,
        optionable=optionable,
        weekly_options=weekly,
        regime=regime,
        atr_distance=distance,
        half_spread=half_spread,
        option_depth=depth,
    )


MARKET_VOLATILITY = 0.14  # annual
SECTOR_VOLATILITY = 0.08


def _trends(rng: np.random.Generator, count: int, optionable: BoolArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Draw each name's regime: the scanner's setups must occur, most often where options can be traded."""
    draw = rng.random(count)
    up = np.where(optionable, 0.26, 0.16)
    runaway = up + np.where(optionable, 0.07, 0.04)
    down = runaway + 0.18
    regime = np.full(count, RANGE, dtype=np.int8)
    regime[draw < down] = DOWNTREND
    regime[draw < runaway] = RUNAWAY
    regime[draw < up] = UPTREND
    where = rng.random(count)
    distance = np.select(
        [regime == UPTREND, regime == RUNAWAY, regime == DOWNTREND],
        [0.8 + 2.4 * where, 5.5 + 3.0 * where, -3.5 + 2.5 * where],
        (where - 0.5) * 0.6,
    )
    return regime, distance
