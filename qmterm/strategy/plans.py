"""From a chosen contract to a trade plan: a limit on the tick grid, the worst loss with fees, and the numbers behind.

Trap: the limit is what may be paid, so it is rounded down and then kept inside the quote; in a market one tick wide
that is the bid. The worst loss follows from the limit itself, never from the estimate that ranked the contract.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, et_date
from qmterm.core.errors import BadInput
from qmterm.core.fees import leg_fees
from qmterm.core.instruments import parse_option
from qmterm.core.orders import Action, Leg
from qmterm.core.settings.strategy import OptionChoiceSettings
from qmterm.core.signals import Signal, TradePlan
from qmterm.core.ticks import TickProgram, TickTable, program_for, table_of
from qmterm.strategy.candidate import Candidate, known

SHARES = Decimal(100)
TENTH_CENT = Decimal("0.0001")


def make_plan(
    signal: Signal,
    candidate: Candidate,
    now_ns: int,
    calendar: SessionCalendar,
    settings: OptionChoiceSettings,
    program: TickProgram | TickTable | None = None,
) -> TradePlan:
    """Buy one contract to open; lives until the end of the next session. `program` is the broker's tick table."""
    contract = parse_option(candidate.occ)
    limit = limit_price(candidate.bid, candidate.ask, settings.slip_frac, program or program_for(contract.root))
    leg = Leg(candidate.occ, Action.BUY_TO_OPEN, 1)
    today = et_date(now_ns)
    # One contract's fee can round below its share of a large order; the flat figure is the upper of the two.
    charged = leg_fees(leg.symbol, leg.action, 1, limit, today).total
    fee = max(charged, Decimal(str(settings.fee_per_contract)))
    cost = SHARES * limit + fee
    return TradePlan(
        plan_id=plan_id(now_ns, signal.strategy, signal.symbol, (leg,)),
        time_ns=now_ns,
        expires_ns=calendar.close_ns(calendar.next(today)),
        strategy=signal.strategy,
        underlying=signal.symbol,
        legs=(leg,),
        net_price=-limit,
        max_loss=cost,
        buying_power=cost,
        stop=signal.stop,
        targets=signal.targets,
        horizon_date=today + timedelta(days=signal.horizon_days),
        signal=signal,
        numbers=_numbers(signal, candidate, now_ns),
    )


def limit_price(bid: float, ask: float, slip_frac: float, program: TickProgram | TickTable) -> Decimal:
    """What to pay: mid + slip·half-spread on the tick grid, rounded down, within the quote.

    BadInput without a two-sided quote.
    """
    if not 0 < bid < ask:
        raise BadInput(f"a limit price needs a two-sided quote, not bid {bid} ask {ask}")
    low, high = _exact(bid), _exact(ask)
    table = table_of(program)
    half = (high - low) / 2
    wanted = table.round_price((low + half + half * Decimal(str(slip_frac))).quantize(TENTH_CENT), buys=True)
    step = table.tick(low)
    floor = (low / step).to_integral_value(ROUND_CEILING) * step
    step = table.tick(high)
    ceiling = (high / step).to_integral_value(ROUND_FLOOR) * step
    return max(wanted, min(floor, ceiling)) if ceiling > 0 else wanted


def plan_id(time_ns: int, strategy: str, underlying: str, legs: tuple[Leg, ...]) -> str:
    """The same market time, strategy, symbol and legs always give the same id: it is how two runs are compared."""
    text = "|".join(
        [str(time_ns), strategy, underlying, *(f"{leg.symbol},{leg.action.value},{leg.quantity}" for leg in legs)]
    )
    return "p" + hashlib.sha256(text.encode()).hexdigest()[:15]


def _exact(price: float) -> Decimal:
    """A quote as the Decimal it was published as (tenths of a cent at the finest)."""
    return Decimal(str(price)).quantize(TENTH_CENT)


def _numbers(signal: Signal, candidate: Candidate, now_ns: int) -> dict[str, float | None]:
    """What "why" shows; dollars per contract for P/L, per share for prices and Greeks."""
    return {
        "risk_reward": known(candidate.risk_reward),
        "p_target": known(candidate.p_target),
        "p_stop": known(candidate.p_stop),
        "p_neither": known(candidate.p_neither),
        "expected_pnl": known(candidate.expected_pnl),
        "pnl_target": known(candidate.pnl_target),
        "pnl_stop": known(candidate.pnl_stop),
        "pnl_time": known(candidate.pnl_time),
        "pop": known(candidate.pop),
        "iv": known(candidate.iv),
        "hv20": signal.hv20,
        "iv_hv": candidate.iv_hv,
        "delta": known(candidate.delta),
        "gamma": candidate.gamma,
        "theta": known(candidate.theta),
        "vega": candidate.vega,
        "theta_burden": known(candidate.theta_burden),
        "spread_pct": known(candidate.spread_pct),
        "liquidity": known(candidate.liquidity),
        "open_interest": float(candidate.open_interest) if candidate.open_interest >= 0 else None,
        "volume": float(candidate.volume) if candidate.volume >= 0 else None,
        "bid": candidate.bid,
        "ask": candidate.ask,
        "mid": candidate.mid,
        "quote_age_s": max(0, now_ns - candidate.quote_ns) / NS if candidate.quote_ns > 0 else None,
        "spot": known(candidate.spot),
        "breakeven": known(candidate.breakeven),
        "dte": float(candidate.dte),
        "confidence": signal.confidence,
        "strength": signal.strength,
        "atr_distance": signal.atr_distance,
        "stock_risk_reward": known(signal.risk_reward),
    }
