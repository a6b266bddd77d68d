"""Scale-outs equal the golden rows and fire once; stops come in order, latch, and survive being written down."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.clock import et_date
from qmterm.core.orders import Action, Leg
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.settings.strategy import AtrMatrixSettings
from qmterm.risk.protect import ProtectState, StopInputs, premium_sold, protect
from qmterm.risk.stops import StopRules, as_plain, decide, iv_alert, rules_text, scale_out_contracts
from tests import golden
from tests.risk.test_gate import plan

RULES = StopRules()
TODAY = date(2026, 3, 4)


def state(**changes):
    base = {
        "position_id": "p1",
        "strategy": "atr_matrix",
        "underlying": "AAPL",
        "opened": 4,
        "quantity": 4,
        "side": 1,
        "stop": 98.2,
        "sma50": 100.0,
        "atr": 3.2,
        "horizon_date": date(2026, 3, 20),
        "expiry": date(2026, 4, 2),
        "entry_premium": Decimal("4.15"),
    }
    return ProtectState(**base | changes)


def at(today=TODAY, closable=10, **known):
    return StopInputs(today=today, closable=closable, **known)


def one(the_state, inputs, rules=RULES):
    (decision,) = decide(the_state, inputs, rules)
    return decision


@pytest.mark.parametrize("row", golden.rows("stops"), ids=lambda row: row["inputs"])
def test_every_golden_scale_out_is_met(row):
    g = json.loads(row["inputs"])
    assert list(scale_out_contracts(g["qty"], g["fractions"])) == json.loads(row["value"])


@given(quantity=st.integers(0, 5000))
def test_scale_outs_add_up_to_the_position(quantity):
    steps = scale_out_contracts(quantity, (0.25, 0.25, 0.25, 0.25))
    assert sum(steps) == quantity
    assert min(steps) >= 0


def test_shares_that_binary_fractions_cannot_hold_are_exact():
    assert scale_out_contracts(10, (0.1, 0.2, 0.7)) == (1, 2, 7)
    assert scale_out_contracts(5, (0.7,)) == (4,)


def test_nothing_known_decides_nothing():
    assert decide(state(), at(), RULES) == []


def test_a_position_that_is_flat_decides_nothing():
    assert decide(state(quantity=0), at(five_minute_close=1.0), RULES) == []


@pytest.mark.parametrize(("price", "hit"), [(98.21, False), (98.2, True), (98.2 + 5e-10, True), (90.0, True)])
def test_the_atr_stop_fires_on_a_five_minute_close_at_or_below(price, hit):
    decisions = decide(state(), at(five_minute_close=price), RULES)
    assert [(d.reason, d.contracts) for d in decisions] == ([(Reason.ATR_STOP, 4)] if hit else [])


def test_a_touch_counts_only_in_touch_mode():
    touched = at(five_minute_close=99.0, last_trade=98.0)
    assert decide(state(), touched, RULES) == []
    assert one(state(), touched, StopRules(stop_mode="touch")).reason is Reason.ATR_STOP


def test_a_put_position_stops_out_above():
    short = state(side=-1, stop=107.8)
    assert decide(short, at(five_minute_close=107.7), RULES) == []
    assert one(short, at(five_minute_close=107.8)).reason is Reason.ATR_STOP
    assert one(short, at(daily_close=101.0, daily_sma50=100.0)).reason is Reason.SMA50_EXIT
    assert one(short, at(five_minute_close=100 - 7 * 3.2)).levels == (7.0,)


def test_a_daily_close_below_the_mean_closes_all():
    assert decide(state(), at(daily_close=100.0, daily_sma50=100.0), RULES) == []
    decision = one(state(), at(daily_close=99.9, daily_sma50=100.0))
    assert (decision.reason, decision.contracts) == (Reason.SMA50_EXIT, 4)


def test_the_horizon_ends_a_trade_without_gain_only():
    over = date(2026, 3, 21)
    assert decide(state(), at(date(2026, 3, 20), mark=Decimal("4.00")), RULES) == []
    assert decide(state(), at(over, mark=Decimal("4.16")), RULES) == []
    assert one(state(), at(over, mark=Decimal("4.15"))).reason is Reason.TIME_STOP
    assert decide(state(), at(over), RULES) == []  # no mark: unknown


def test_seven_days_to_expiry_end_a_losing_trade():
    near, far = date(2026, 3, 26), date(2026, 3, 25)
    late = state(horizon_date=date(2026, 4, 30))
    assert decide(late, at(far, mark=Decimal("4.00")), RULES) == []
    assert one(late, at(near, mark=Decimal("4.14"))).reason is Reason.DTE_STOP
    assert decide(late, at(near, mark=Decimal("4.15")), RULES) == []


def test_half_the_premium_gone_closes_all():
    assert decide(state(), at(mark=Decimal("2.08")), RULES) == []
    assert one(state(), at(mark=Decimal("2.075"))).reason is Reason.PREMIUM_STOP


def test_the_first_rule_in_order_wins():
    everything = at(
        date(2026, 3, 30), five_minute_close=90.0, daily_close=90.0, daily_sma50=100.0, mark=Decimal("0.10")
    )
    assert one(state(), everything).reason is Reason.ATR_STOP
    no_price = at(date(2026, 3, 30), daily_close=90.0, daily_sma50=100.0, mark=Decimal("0.10"))
    assert one(state(), no_price).reason is Reason.SMA50_EXIT
    assert one(state(), at(date(2026, 3, 30), mark=Decimal("0.10"))).reason is Reason.TIME_STOP


def test_a_stop_goes_before_a_scale_out():
    odd = state(stop=130.0)
    assert one(odd, at(five_minute_close=125.0)).reason is Reason.ATR_STOP


def test_each_level_fires_once_and_in_turn():
    current, sold = state(), []
    for level in (7, 7.5, 7, 8, 9, 8, 10, 11):
        decisions = decide(current, at(five_minute_close=100 + level * 3.2), RULES)
        sold.append(sum(decision.contracts for decision in decisions))
        current = current.after(decisions).filled_exit(sold[-1])
    assert sold == [1, 0, 0, 1, 1, 0, 1, 0]
    assert current.quantity == 0
    assert current.fired == (7.0, 8.0, 9.0, 10.0)


def test_a_gap_through_several_levels_closes_them_together():
    decision = one(state(), at(five_minute_close=100 + 9.2 * 3.2))
    assert (decision.reason, decision.contracts, decision.levels) == (Reason.SCALE_OUT, 3, (7.0, 8.0, 9.0))


def test_one_contract_uses_level_one_up_without_selling_and_sells_at_level_two():
    single = state(opened=1, quantity=1)
    first = one(single, at(five_minute_close=122.4))
    assert (first.contracts, first.levels) == (0, (7.0,))
    assert one(single.after([first]), at(five_minute_close=125.6)).contracts == 1


def test_levels_hold_within_a_billionth():
    assert one(state(), at(five_minute_close=122.4 - 1e-10)).levels == (7.0,)
    assert decide(state(), at(five_minute_close=122.4 - 1e-7), RULES) == []


def test_levels_follow_the_previous_session_and_the_stop_does_not():
    moved = state().new_session(sma50=104.0, atr=3.0)
    assert moved.stop == 98.2
    assert decide(moved, at(five_minute_close=124.9), RULES) == []
    assert one(moved, at(five_minute_close=125.0)).levels == (7.0,)


def test_pct_mode_measures_the_multiple():
    rules = StopRules(distance_mode="pct")
    price = state().level_price(7.0, "pct")
    assert (price / 100.0 - 1) / (3.2 / price) == pytest.approx(7.0)
    assert decide(state(), at(five_minute_close=price - 0.01), rules) == []
    assert one(state(), at(five_minute_close=price + 1e-9), rules).levels == (7.0,)


def test_a_stop_that_was_hit_stays_hit_until_it_is_done_or_re_armed():
    hit = state().after(decide(state(), at(five_minute_close=98.0), RULES))
    again = one(hit, at(five_minute_close=110.0, closable=2))
    assert (again.reason, again.contracts) == (Reason.ATR_STOP, 2)
    assert decide(hit, at(five_minute_close=110.0, closable=0), RULES) == []
    assert decide(hit.rearmed(), at(five_minute_close=110.0), RULES) == []
    assert decide(hit.filled_exit(4), at(five_minute_close=98.0), RULES) == []


def test_no_decision_closes_more_than_is_left_or_closable():
    assert one(state(quantity=3), at(five_minute_close=98.0)).contracts == 3
    assert one(state(), at(five_minute_close=98.0, closable=1)).contracts == 1
    assert one(state(quantity=2), at(five_minute_close=140.0)).contracts == 2


def test_a_state_survives_being_written_as_json():
    for saved in (state(), state(expiry=None, fired=(7.0, 8.0), latched=Reason.PREMIUM_STOP, side=-1)):
        assert ProtectState.from_dict(json.loads(json.dumps(saved.to_dict()))) == saved


def test_a_decision_can_be_journalled():
    plain = as_plain(one(state(), at(five_minute_close=98.0)))
    assert json.loads(json.dumps(plain))["reason"] == "ATR_STOP"
    assert plain["numbers"]["five_minute_close"] == 98.0
    assert plain["numbers"]["mark"] is None


def test_the_guard_of_a_plan_carries_its_stop_horizon_and_expiry():
    guard = protect(plan(), "p1", 2, Decimal("4.10"))
    assert (guard.opened, guard.quantity, guard.side, guard.stop) == (2, 2, 1, 98.2)
    assert guard.expiry == date(2026, 4, 2)
    assert guard.entry_premium == Decimal("4.10")
    more = guard.filled_entry(1, Decimal("4.12"))
    assert (more.opened, more.quantity, more.entry_premium) == (3, 3, Decimal("4.12"))


def test_rules_come_from_both_sections_and_read_as_one_line():
    rules = StopRules.of(AtrMatrixSettings(scale_out=(6.0, 9.0), scale_out_fractions=(0.5, 0.5)), RiskSettings())
    assert (rules.scale_out, rules.fractions, rules.premium_stop, rules.dte_stop) == ((6.0, 9.0), (0.5, 0.5), 0.5, 7)
    assert rules_text(state(), RULES, TODAY) == "stop 98.20 · 7x @ 122.40 · 16 d"
    assert rules_text(state(latched=Reason.ATR_STOP), RULES, TODAY).startswith("ATR_STOP · stop 98.20")


def test_a_price_of_zero_is_not_a_price():
    for nothing in (0.0, float("nan")):
        inputs = at(five_minute_close=nothing, last_trade=nothing, daily_close=nothing, daily_sma50=100.0)
        assert decide(state(), inputs, StopRules(stop_mode="touch")) == []
        assert decide(state(side=-1, stop=107.8), inputs, StopRules(stop_mode="touch")) == []


def test_a_trade_without_a_setup_claims_no_stop_price_and_no_levels():
    by_hand = state(stop=0.0, sma50=0.0, atr=0.0)
    assert rules_text(by_hand, RULES, TODAY) == "no stop price · 16 d"
    assert decide(by_hand, at(five_minute_close=0.01), RULES) == []


# --- volatility and sold premium (QUANT.md 5.4) ---


def sold(**changes):
    return state(**{"sold": True, "entry_premium": Decimal("2.00"), "entry_iv": 0.40, "stop": 0.0} | changes)


@pytest.mark.parametrize(
    ("entry_iv", "iv", "hit"),
    [
        (0.40, 0.50, True),  # ten points, though not 1.5 times
        (0.40, 0.499, False),
        (0.16, 0.24, True),  # 1.5 times, though not ten points
        (0.16, 0.239, False),
        (None, 2.0, False),
        (0.40, None, False),
    ],
)
def test_sold_premium_is_closed_when_volatility_rose_by_half_or_by_ten_points(entry_iv, iv, hit):
    decisions = decide(sold(entry_iv=entry_iv), at(iv=iv), RULES)
    assert [d.reason for d in decisions] == ([Reason.IV_STOP] if hit else [])


def test_a_bought_option_is_never_stopped_by_volatility_but_its_fall_is_said_once():
    bought = state(entry_iv=0.40)
    assert decide(bought, at(iv=4.0), RULES) == []
    alert = iv_alert(bought, at(iv=0.28), RULES)
    assert alert.reason is Reason.IV_FALLEN
    assert alert.contracts == 0
    after = ProtectState.from_dict(json.loads(json.dumps(bought.after([alert]).to_dict())))
    assert after.latched is None
    assert iv_alert(after, at(iv=0.20), RULES) is None
    assert iv_alert(bought, at(iv=0.2801), RULES) is None
    assert iv_alert(sold(), at(iv=0.1), RULES) is None


def test_a_volatility_stop_latches_and_survives_being_written_down():
    hit = decide(sold(), at(iv=0.7), RULES)
    kept = ProtectState.from_dict(json.loads(json.dumps(sold().after(hit).to_dict())))
    assert one(kept, at(iv=0.3)).reason is Reason.IV_STOP
    assert decide(kept.rearmed(), at(iv=0.3), RULES) == []


def test_sold_premium_is_closed_at_21_days_won_or_lost():
    expiry = date(2026, 4, 17)
    three_weeks, day_before = date(2026, 3, 27), date(2026, 3, 26)
    short = sold(expiry=expiry, entry_dte=45, horizon_date=expiry)
    assert one(short, at(three_weeks, mark=Decimal("0.40"))).reason is Reason.SHORT_DTE_STOP
    assert one(short, at(three_weeks)).reason is Reason.SHORT_DTE_STOP
    assert decide(short, at(day_before, mark=Decimal("3.90")), RULES) == []
    assert decide(replace(short, entry_dte=20), at(three_weeks), RULES) == []
    assert decide(replace(short, strategy="covered_call"), at(three_weeks), RULES) == []


def test_sold_premium_gains_while_its_price_falls():
    over = date(2026, 3, 21)
    short = sold(expiry=date(2026, 4, 17), entry_dte=20)
    assert decide(short, at(over, mark=Decimal("1.50")), RULES) == []
    assert one(short, at(over, mark=Decimal("2.00"))).reason is Reason.TIME_STOP
    # The premium stop of a bought option: half of it gone is what a seller hopes for.
    assert decide(short, at(mark=Decimal("0.10")), RULES) == []


def test_what_a_plan_received_is_guarded_as_sold_with_its_entry_volatility():
    bought = protect(plan(numbers={"iv": 0.41}), "p1", 1, Decimal("4.10"))
    assert (bought.sold, bought.entry_iv, bought.entry_premium) == (False, 0.41, Decimal("4.10"))
    assert bought.entry_dte == (bought.expiry - et_date(plan().time_ns)).days
    sells = replace(plan(net_price=Decimal("2.00")), legs=(Leg(plan().legs[0].symbol, Action.SELL_TO_OPEN, 1),))
    received = protect(sells, "p1", 1, Decimal("-2.00"))
    assert (received.sold, received.entry_iv, received.entry_premium) == (True, None, Decimal("2.00"))


def test_a_sale_is_sold_premium_whatever_its_worst_price_and_a_spread_is_what_its_market_says():
    sale, cover = Leg("a", Action.SELL_TO_OPEN, 1), Leg("b", Action.BUY_TO_OPEN, 1)
    assert premium_sold((sale,), Decimal(0))
    assert not premium_sold((cover,), Decimal(1))
    assert premium_sold((sale, cover), Decimal("0.18"))
    assert not premium_sold((sale, cover), Decimal(0))
    walked = replace(plan(net_price=Decimal("-0.02")), legs=(sale, cover))
    assert not protect(walked, "p1", 0, Decimal("0.02")).sold
    assert protect(walked, "p1", 0, Decimal("0.02"), Decimal("0.18")).sold


def test_a_mark_below_zero_is_no_premium_lost():
    assert one(state(), at(mark=Decimal("0.00"))).reason is Reason.PREMIUM_STOP
    assert decide(state(), at(mark=Decimal("-0.10")), RULES) == []


def test_a_guard_written_before_volatility_was_known_is_a_bought_one():
    plain = state().to_dict()
    for name in ("sold", "entry_iv", "iv_alerted", "entry_dte"):
        del plain[name]
    assert ProtectState.from_dict(plain) == state()


def test_a_level_reached_while_nothing_is_free_is_not_used_up_but_one_of_no_contracts_is():
    seven = 100.0 + 7 * 3.2
    reached = decide(state(), at(five_minute_close=seven), RULES)
    assert (reached[0].contracts, reached[0].levels) == (1, (7.0,))
    assert decide(state(), at(five_minute_close=seven, closable=0), RULES) == []
    (empty,) = decide(state(opened=1, quantity=1), at(five_minute_close=seven, closable=0), RULES)
    assert (empty.contracts, empty.levels) == (0, (7.0,))


def test_the_calendar_alone_does_not_ask_again_what_a_person_has_just_refused():
    expiry = date(2026, 4, 17)
    short = sold(expiry=expiry, entry_dte=45, horizon_date=expiry, stop=98.2)
    assert one(short, at(date(2026, 3, 27))).reason is Reason.SHORT_DTE_STOP
    assert decide(short, at(date(2026, 3, 27), rested=False), RULES) == []
    assert one(short, at(date(2026, 3, 27), rested=False, five_minute_close=98.0)).reason is Reason.ATR_STOP
