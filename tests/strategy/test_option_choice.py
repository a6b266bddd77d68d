"""The best contract is found, and every other one is counted under the filter that turned it down."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from qmterm.core.clock import NS, from_et
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import OptionChoiceSettings
from qmterm.market.quality.codes import QuoteCode
from qmterm.quant.options.implied_vol import IvStatus
from qmterm.strategy.option_choice import choose
from tests.strategy.chains import NOW, chain, signal

SETTINGS = OptionChoiceSettings()


def pick(the_chain=None, the_signal=None, settings=SETTINGS, now_ns=NOW, **more):
    return choose(the_signal or signal(), the_chain or chain(), settings, now_ns, **more)


def test_the_expiry_nearest_thirty_days_wins_and_calls_express_a_long():
    choice = pick()
    assert choice.best is not None
    assert {candidate.dte for candidate in choice.candidates} == {32}
    assert all(candidate.is_call for candidate in choice.candidates)
    assert all(0.30 <= candidate.delta <= 0.70 for candidate in choice.candidates)


def test_candidates_and_rejections_add_up_to_the_contracts_looked_at():
    choice = pick()
    calls_outside = 2 * 4  # DTE 11 and 60
    calls_looked_at = 4  # the 32-day expiry
    assert choice.rejected[Reason.DTE_RANGE] == calls_outside
    assert len(choice.candidates) + sum(choice.rejected.values()) == calls_outside + calls_looked_at


def test_rank_is_by_reward_to_risk_and_can_be_changed():
    ratios = [candidate.risk_reward for candidate in pick().candidates]
    assert len(ratios) >= 2
    assert ratios == sorted(ratios, reverse=True)
    by_odds = pick(settings=OptionChoiceSettings(rank_by="rr_pop")).candidates
    values = [candidate.risk_reward * candidate.pop for candidate in by_odds]
    assert values == sorted(values, reverse=True)
    by_value = pick(settings=OptionChoiceSettings(rank_by="ev_per_risk")).candidates
    values = [candidate.expected_pnl / candidate.max_loss for candidate in by_value]
    assert values == sorted(values, reverse=True)


def test_equal_ratios_go_to_the_more_liquid_contract():
    sizes = np.array([5, 5, 50, 50], dtype=np.int64)
    choice = pick(chain(dtes=(32,), strikes=(105.0, 105.0), bid_size=sizes, ask_size=sizes))
    assert len(choice.candidates) == 2
    assert choice.candidates[0].risk_reward == choice.candidates[1].risk_reward
    assert choice.candidates[0].liquidity > choice.candidates[1].liquidity


def test_the_next_nearest_expiry_is_tried_when_the_first_has_no_candidate():
    base = chain()
    interest = np.where(base.dte == 32, 10, base.open_interest)
    choice = pick(chain(open_interest=interest))
    assert {candidate.dte for candidate in choice.candidates} == {25}
    assert choice.rejected[Reason.LOW_OPEN_INTEREST] > 0
    only_one = pick(chain(open_interest=interest), settings=OptionChoiceSettings(max_expiries=1))
    assert only_one.best is None


def test_nothing_in_range_is_no_expiry():
    choice = pick(chain(dtes=(5, 90)))
    assert choice.best is None
    assert choice.rejected == {Reason.DTE_RANGE: 8, Reason.NO_EXPIRY: 1}


COUNT = len(chain())


def full(value, dtype=float):
    return np.full(COUNT, value, dtype=dtype)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"adjusted": full(True, bool)}, Reason.ADJUSTED),
        ({"multiplier": full(150, np.int64)}, Reason.ADJUSTED),
        ({"bid": full(0.0)}, Reason.ZERO_BID),
        ({"bid": full(np.nan)}, Reason.ZERO_BID),
        ({"bid": full(9.0), "ask": full(8.0)}, Reason.CROSSED),
        ({"quote_ns": full(NOW - 61 * NS, np.int64)}, Reason.STALE_QUOTE),
        ({"quote_ns": full(0, np.int64)}, Reason.NO_QUOTE),
        ({"years": full(18 / 365)}, Reason.DTE_SHORT),
        ({"iv_status": full(IvStatus.BELOW_INTRINSIC, np.int8)}, Reason.BELOW_INTRINSIC),
        ({"iv": full(np.nan)}, Reason.NO_DATA),
        ({"delta": full(0.71)}, Reason.DELTA_RANGE),
        ({"open_interest": full(499, np.int64)}, Reason.LOW_OPEN_INTEREST),
        ({"open_interest": full(-1, np.int64)}, Reason.LOW_OPEN_INTEREST),
        ({"volume": full(99, np.int64)}, Reason.LOW_VOLUME),
        ({"bid": chain().bid * 0.9}, Reason.WIDE_SPREAD),
        ({"iv": full(0.61)}, Reason.IV_RICH),
        ({"theta": -chain().bid * 0.05}, Reason.THETA_BURDEN),
        (
            {"bid_size": full(0, np.int64), "volume": full(100, np.int64), "bid": chain().bid * 0.96},
            Reason.LOW_LIQUIDITY,
        ),
    ],
)
def test_each_filter_counts_the_contract_it_turns_down(columns, reason):
    choice = pick(chain(**columns))
    assert choice.rejected[reason] > 0
    assert choice.best is None


@pytest.mark.parametrize("code", [code for code in QuoteCode if code.reason is not None])
def test_a_quote_that_the_gate_refused_is_never_chosen_and_counted_under_its_own_code(code):
    best = pick(chain()).best
    refused = np.array([occ == best.occ for occ in chain().occ])
    choice = pick(replace(chain(), quote_code=np.where(refused, code, 0).astype(np.int8)))
    assert best.occ not in [candidate.occ for candidate in choice.candidates]
    assert choice.rejected[code.reason] == pick(chain()).rejected[code.reason] + 1
    everything = pick(replace(chain(), quote_code=full(code, np.int8)))
    assert everything.best is None
    by_spot = pick(replace(chain(), spot_code=int(code), spot=1.0))
    assert by_spot.best is None
    assert set(by_spot.rejected) == {Reason.DTE_RANGE, code.reason}  # not SIGNAL_GONE: that price says nothing


def test_low_vega_is_a_mark_not_a_refusal():
    assert pick(chain(iv_status=full(IvStatus.LOW_VEGA, np.int8))).best is not None


def test_reward_to_risk_and_expected_value_can_refuse():
    choice = pick(settings=OptionChoiceSettings(min_risk_reward=50.0))
    assert choice.best is None
    assert choice.rejected[Reason.LOW_RISK_REWARD] > 0
    losing = pick(settings=OptionChoiceSettings(require_positive_ev=True))
    assert losing.rejected[Reason.NEGATIVE_EV] > 0


def test_before_half_past_ten_yesterdays_volume_counts():
    thin_today = full(0, np.int64)
    early = from_et(date(2026, 3, 2), 10, 29)
    later = from_et(date(2026, 3, 2), 10, 30)
    assert pick(chain(now_ns=early, volume=thin_today), now_ns=early).best is not None
    assert pick(chain(now_ns=later, volume=thin_today), now_ns=later).best is None
    forced = pick(chain(now_ns=later, volume=thin_today), now_ns=later, use_previous_volume=True)
    assert forced.best is not None
    assert forced.best.volume == 300
    unknown = chain(now_ns=early, volume=thin_today, previous_volume=full(-1, np.int64))
    assert pick(unknown, now_ns=early).rejected[Reason.LOW_VOLUME] > 0


def test_yesterdays_volume_of_a_contract_that_trades_already_is_marked_when_unknown():
    """The busiest contracts are the first to lose it: failing them would leave only those nobody trades today."""
    early = from_et(date(2026, 3, 2), 9, 40)
    gone = full(-1, np.int64)

    def with_volume(today, now_ns=early):
        return pick(chain(now_ns=now_ns, volume=full(today, np.int64), previous_volume=gone), now_ns=now_ns)

    unknown = with_volume(20)
    assert unknown.best is not None
    assert unknown.best.volume == -1
    assert Reason.LOW_VOLUME in unknown.not_checked
    enough = with_volume(100)
    assert enough.best.volume == 100
    assert Reason.LOW_VOLUME not in enough.not_checked
    assert with_volume(20, NOW).rejected[Reason.LOW_VOLUME] > 0
    assert with_volume(0).rejected[Reason.LOW_VOLUME] > 0


def test_iv_rank_refuses_above_fifty_and_is_marked_when_unknown():
    assert pick(iv_rank=50.0).best is not None
    refused = pick(iv_rank=50.1)
    assert refused.best is None
    assert refused.rejected[Reason.IV_RANK_HIGH] > 0
    assert Reason.IV_RANK_HIGH in pick().not_checked
    assert Reason.IV_RANK_HIGH not in pick(iv_rank=20.0).not_checked


def test_earnings_inside_the_horizon_refuse_and_after_it_do_not():
    today = date(2026, 3, 2)
    assert pick(earnings=today + timedelta(days=18)).rejected[Reason.EARNINGS] > 0
    assert pick(earnings=today + timedelta(days=19)).best is not None
    assert pick(earnings=today - timedelta(days=1)).best is not None
    allowed = OptionChoiceSettings(allow_earnings=True)
    assert pick(earnings=today + timedelta(days=3), settings=allowed).best is not None
    assert Reason.EARNINGS in pick().not_checked


def test_without_a_measured_volatility_the_filter_is_marked_and_iv_stands_in():
    choice = pick(the_signal=signal(hv20=None))
    assert choice.best is not None
    assert choice.best.iv_hv is None
    assert Reason.IV_RICH in choice.not_checked
    with_iv = pick(settings=OptionChoiceSettings(prob_vol="iv"))
    assert with_iv.best.p_target == choice.best.p_target != pick().best.p_target


@pytest.mark.parametrize("spot", [98.0, 123.0, float("nan")])
def test_a_stock_that_already_reached_stop_or_target_is_gone(spot):
    choice = pick(chain(spot=spot))
    assert choice.best is None
    assert choice.rejected[Reason.SIGNAL_GONE] > 0


def test_a_short_signal_takes_puts():
    down = signal(stop=107.8, targets=(83.6, 74.0, 67.6))
    choice = pick(the_signal=down)
    assert choice.best is not None
    assert all(not candidate.is_call and candidate.delta < 0 for candidate in choice.candidates)
    assert choice.best.pnl_target > 0 > choice.best.pnl_stop
