"""From a signal and a chain to the contract that expresses it, with the reason of every rejected one (QUANT.md 1.5).

Trap: a contract is counted once, under the first filter that turns it down, so that candidates plus rejections add up
to the contracts looked at. A filter without data (IV rank, HV20, earnings, yesterday's volume of a contract that
already trades today) is passed and named in `not_checked`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.chain import Chain
from qmterm.core.clock import NS, et_date, to_et
from qmterm.core.instruments import option_root
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import OptionChoiceSettings
from qmterm.core.settlement import terms_of
from qmterm.core.signals import Signal
from qmterm.market.quality.codes import QuoteCode
from qmterm.quant.options.implied_vol import STATUS, IvStatus
from qmterm.quant.options.probability import first_passage
from qmterm.strategy.candidate import Candidate, build_candidate
from qmterm.strategy.liquidity import liquidity_score, spread_pct
from qmterm.strategy.scenario import DAYS, ScenarioInputs, Scenarios, scenarios

YESTERDAYS_VOLUME_UNTIL = (10, 30)  # New York
EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class OptionChoice:
    """`candidates` passed every filter, best first; `rejected` counts the others by the filter that decided."""

    best: Candidate | None
    candidates: tuple[Candidate, ...]
    rejected: Counter[Reason]
    not_checked: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Screened:
    """The columns of one expiry's contracts that filters, ranking and the candidate read."""

    rows: IntArray  # into the chain
    spread: FloatArray
    volume: IntArray  # what the filter goes by, −1 unknown
    liquidity: FloatArray
    theta_burden: FloatArray
    iv_hv: FloatArray
    quote_age_s: FloatArray
    scenario: Scenarios


def choose(
    signal: Signal,
    chain: Chain,
    settings: OptionChoiceSettings,
    now_ns: int,
    earnings: date | None = None,
    iv_rank: float | None = None,
    use_previous_volume: bool | None = None,
) -> OptionChoice:
    """Ranked candidates of the expiry nearest `dte_target`; the next nearest is tried when it has none.

    `earnings` is the next known date (None: not known), `iv_rank` None below 60 observations;
    `use_previous_volume` None means before 10:30 New York.
    """
    rejected: Counter[Reason] = Counter()
    calls = signal.stop < signal.close
    side = np.flatnonzero(chain.is_call == calls)
    dte = chain.dte[side]
    in_range = (dte >= settings.dte_min) & (dte <= settings.dte_max)
    _count(rejected, Reason.DTE_RANGE, ~in_range)
    skipped = _not_checked(signal, earnings, iv_rank)
    if not in_range.any():
        rejected[Reason.NO_EXPIRY] += 1
        return OptionChoice(None, (), rejected, skipped)
    spot_doubt = QuoteCode(chain.spot_code).reason
    if spot_doubt is not None:  # a price that is refused decides nothing, not even that it is too late
        rejected[spot_doubt] += int(np.count_nonzero(in_range))
        return OptionChoice(None, (), rejected, skipped)
    if not _spot_between(signal, chain.spot, calls):
        rejected[Reason.SIGNAL_GONE] += int(np.count_nonzero(in_range))
        return OptionChoice(None, (), rejected, skipped)
    if use_previous_volume is None:
        clock = to_et(now_ns)
        use_previous_volume = (clock.hour, clock.minute) < YESTERDAYS_VOLUME_UNTIL
    days = sorted(set(dte[in_range].tolist()), key=lambda day: (abs(day - settings.dte_target), -day))
    for day in days[: settings.max_expiries]:
        rows = side[in_range & (dte == day)]
        screened = _columns(signal, chain, settings, rows, now_ns, use_previous_volume)
        passed = _filter(signal, chain, settings, screened, now_ns, earnings, iv_rank, rejected)
        if passed.any():
            ranked = _rank(chain, settings, screened, passed)
            candidates = tuple(_candidate(chain, screened, int(place)) for place in ranked)
            if any(candidate.volume < 0 for candidate in candidates):
                skipped = (*skipped, Reason.LOW_VOLUME)
            return OptionChoice(candidates[0], candidates, rejected, skipped)
    return OptionChoice(None, (), rejected, skipped)


def _count(rejected: Counter[Reason], reason: Reason, bad: BoolArray) -> None:
    number = int(np.count_nonzero(bad))
    if number:
        rejected[reason] += number


def _not_checked(signal: Signal, earnings: date | None, iv_rank: float | None) -> tuple[Reason, ...]:
    marks = (
        (Reason.IV_RANK_HIGH, iv_rank is None),
        (Reason.IV_RICH, signal.hv20 is None),
        (Reason.EARNINGS, earnings is None),
    )
    return tuple(reason for reason, absent in marks if absent)


def _spot_between(signal: Signal, spot: float, calls: bool) -> bool:
    """The stock has neither reached the first target nor the stop since the signal."""
    low, high = (signal.stop, signal.targets[0]) if calls else (signal.targets[0], signal.stop)
    return bool(low < spot < high)


def _columns(
    signal: Signal,
    chain: Chain,
    settings: OptionChoiceSettings,
    rows: IntArray,
    now_ns: int,
    use_previous_volume: bool,
) -> Screened:
    traded = volume = chain.volume[rows]
    if use_previous_volume:
        before = chain.previous_volume[rows]
        traded = np.where(before >= 0, before, volume)
        # The vendor's day bar holds one day: once a contract trades, yesterday's volume is gone. A few in the first
        # hour say nothing then; enough of them do, and none at all is still none.
        volume = np.where((before < 0) & (volume > 0) & (volume < settings.min_volume), -1, traded)
    bid, ask, iv = chain.bid[rows], chain.ask[rows], chain.iv[rows]
    horizon = signal.horizon_days / DAYS
    vol = iv if settings.prob_vol == "iv" or signal.hv20 is None else np.full(len(rows), signal.hv20)
    p_target, p_stop, _ = first_passage(chain.spot, signal.targets[0], signal.stop, vol, horizon, settings.mu)
    inputs = ScenarioInputs(
        spot=chain.spot,
        strike=chain.strike[rows],
        years=chain.years[rows],
        rate=chain.rate[rows],
        dividend_yield=chain.dividend_yield[rows],
        iv=iv,
        is_call=chain.is_call[rows],
        bid=bid,
        ask=ask,
        target=signal.targets[0],
        stop=signal.stop,
        horizon=horizon,
        p_target=p_target,
        p_stop=p_stop,
        european=terms_of(option_root(chain.underlying)).european,
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        burden = np.asarray(-chain.theta[rows] / ((bid + ask) / 2.0))
    return Screened(
        rows=rows,
        spread=spread_pct(bid, ask),
        volume=volume,
        liquidity=liquidity_score(
            bid, ask, chain.bid_size[rows], chain.ask_size[rows], chain.open_interest[rows], traded
        ),
        theta_burden=burden,
        iv_hv=iv / signal.hv20 if signal.hv20 else np.full(len(rows), np.nan),
        quote_age_s=np.where(chain.quote_ns[rows] > 0, np.maximum(0, now_ns - chain.quote_ns[rows]) / NS, np.inf),
        scenario=scenarios(
            inputs,
            settings.slip_frac,
            settings.fee_per_contract,
            settings.hit_time_frac,
            settings.mu,
            settings.iv_shift,
        ),
    )


def _filter(
    signal: Signal,
    chain: Chain,
    settings: OptionChoiceSettings,
    screened: Screened,
    now_ns: int,
    earnings: date | None,
    iv_rank: float | None,
    rejected: Counter[Reason],
) -> BoolArray:
    """Mask of the contracts that pass; every other one is counted under its first failed filter."""
    rows, worth = screened.rows, screened.scenario
    delta = np.abs(chain.delta[rows])
    alive = np.ones(len(rows), dtype=np.bool_)

    def demand(reason: Reason, fine: BoolArray | bool) -> None:
        nonlocal alive
        out = alive & ~np.asarray(fine, dtype=np.bool_)
        _count(rejected, reason, out)
        alive &= ~out

    with np.errstate(invalid="ignore"):
        demand(Reason.ADJUSTED, ~chain.adjusted[rows] & (chain.multiplier[rows] == 100))
        # What the quality gate refused is not looked at any further, whatever it promises.
        codes = chain.quote_code[rows]
        for code in QuoteCode:
            if code.reason is not None:
                demand(code.reason, codes != code)
        # A strategy may want fresher quotes than the gate, never older ones.
        demand(Reason.STALE_QUOTE, screened.quote_age_s <= settings.quote_max_age_s)
        demand(Reason.DTE_SHORT, chain.years[rows] * DAYS > signal.horizon_days)
        for status in IvStatus:
            reason = STATUS[status]
            if reason is not None and status is not IvStatus.LOW_VEGA:
                demand(reason, chain.iv_status[rows] != status)
        demand(Reason.NO_DATA, np.isfinite(chain.iv[rows]) & np.isfinite(delta))
        demand(Reason.DELTA_RANGE, (delta >= settings.delta_min - EDGE) & (delta <= settings.delta_max + EDGE))
        demand(Reason.LOW_OPEN_INTEREST, chain.open_interest[rows] >= settings.min_open_interest)
        demand(Reason.LOW_VOLUME, (screened.volume >= settings.min_volume) | (screened.volume < 0))
        demand(Reason.WIDE_SPREAD, screened.spread <= settings.max_spread_pct + EDGE)
        if signal.hv20 is not None:
            demand(Reason.IV_RICH, screened.iv_hv <= settings.max_iv_hv + EDGE)
        if iv_rank is not None:
            demand(Reason.IV_RANK_HIGH, bool(iv_rank <= settings.max_iv_rank + EDGE))
        demand(Reason.THETA_BURDEN, screened.theta_burden <= settings.max_theta_burden + EDGE)
        if earnings is not None and not settings.allow_earnings:
            demand(Reason.EARNINGS, ~_earnings_inside(earnings, signal, chain.expiry[rows], now_ns))
        demand(Reason.LOW_LIQUIDITY, screened.liquidity >= settings.min_liquidity_score - EDGE)
        demand(Reason.LOW_RISK_REWARD, worth.risk_reward >= settings.min_risk_reward - EDGE)
        if settings.require_positive_ev:
            demand(Reason.NEGATIVE_EV, worth.expected_pnl > 0)
    return alive


def _earnings_inside(earnings: date, signal: Signal, expiry: NDArray[np.datetime64], now_ns: int) -> BoolArray:
    """True where earnings fall between today and the earlier of horizon end and expiry, both included."""
    today = et_date(now_ns)
    horizon_end = np.datetime64(today + timedelta(days=signal.horizon_days), "D")
    day = np.datetime64(earnings, "D")
    return np.asarray((day >= np.datetime64(today, "D")) & (day <= np.minimum(expiry, horizon_end)))


def _rank(chain: Chain, settings: OptionChoiceSettings, screened: Screened, passed: BoolArray) -> IntArray:
    """Places in `screened` of the passed contracts, best first; ties by liquidity, expected P/L, then symbol."""
    worth = screened.scenario
    key = {
        "risk_reward": worth.risk_reward,
        "rr_pop": worth.risk_reward * worth.pop,
        "ev_per_risk": worth.expected_pnl / worth.max_loss,
    }[settings.rank_by]
    places = np.flatnonzero(passed)
    order = np.lexsort(
        (
            np.array([chain.occ[row] for row in screened.rows[places]]),
            -worth.expected_pnl[places],
            -screened.liquidity[places],
            -key[places],
        )
    )
    return places[order]


def _candidate(chain: Chain, screened: Screened, place: int) -> Candidate:
    numbers = {name: float(getattr(screened.scenario, name)[place]) for name in Scenarios.__slots__}
    return build_candidate(
        chain,
        int(screened.rows[place]),
        numbers,
        spread=float(screened.spread[place]),
        volume=int(screened.volume[place]),
        liquidity=float(screened.liquidity[place]),
        theta_burden=float(screened.theta_burden[place]),
        iv_hv=float(screened.iv_hv[place]),
        quote_age_s=float(screened.quote_age_s[place]),
    )
