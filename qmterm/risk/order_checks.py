"""Whether an opening order is one a person could have meant: its legs, its contracts, the moment, the prices.

Pure; each check answers with a refusal or None. The trap: a check whose facts are not known is left out, so what must
be known for safety (quotes) is asked for in the gate itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from qmterm.core.clock import NS, et_date
from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import is_option, option_root, parse_option, risk_root
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.signals import TradePlan
from qmterm.risk.book import root_of
from qmterm.risk.surroundings import Surroundings
from qmterm.risk.verdict import Refusal

MOST_LEGS = 4
MINUTE_NS = 60 * NS
THEORY_SLACK = 0.5  # dollars a share that a model may be wrong by, whatever the price


def legs_fault(plan: TradePlan, now_ns: int) -> Refusal | None:
    """Legs that cannot be one opening order: none or too many, closing ones, unknown, adjusted or expired contracts."""
    if not plan.legs or any(not leg.action.opens or leg.quantity <= 0 for leg in plan.legs):
        return Refusal(Reason.BAD_INPUT, note="every leg must open at least one contract")
    if len(plan.legs) > MOST_LEGS:
        return Refusal(Reason.TOO_MANY_LEGS, {"legs": float(len(plan.legs)), "most_legs": float(MOST_LEGS)})
    if len({leg.symbol for leg in plan.legs}) < len(plan.legs):
        return Refusal(Reason.BAD_INPUT, note="a contract stands in two legs")
    today = et_date(now_ns)
    for leg in plan.legs:
        refusal = _symbol_fault(leg.symbol, plan.underlying, today)
        if refusal is not None:
            return refusal
    if len({root_of(leg.symbol) for leg in plan.legs}) > 1:
        return Refusal(Reason.BAD_INPUT, note="its legs are listed under different roots")
    return None


def _symbol_fault(symbol: str, underlying: str, today: date) -> Refusal | None:
    if not is_option(symbol):
        known = option_root(symbol) == option_root(underlying)
        return None if known else Refusal(Reason.UNKNOWN_SYMBOL, note=f"{symbol!r} is not {underlying}")
    try:
        contract = parse_option(symbol)
    except BadSymbol as error:
        return Refusal(Reason.UNKNOWN_SYMBOL, note=str(error))
    if contract.adjusted:
        return Refusal(Reason.ADJUSTED, note=symbol)
    # Of an index several roots are listed (SPX and SPXW); a stock has one.
    if option_root(underlying) not in (contract.root, risk_root(contract.root)):
        return Refusal(Reason.UNKNOWN_SYMBOL, note=f"{symbol!r} is not an option on {underlying}")
    return Refusal(Reason.EXPIRED, note=str(contract)) if contract.expiry < today else None


def moment_fault(
    plan: TradePlan, now_ns: int, quotes: Mapping[str, Quote], around: Surroundings, settings: RiskSettings
) -> Refusal | None:
    """What the calendar says against opening now: the last minutes of a contract, earnings, a dividend."""
    for leg in plan.legs:
        last = around.last_trade_ns.get(leg.symbol)
        if last is not None and now_ns > last - int(settings.expiry_cutoff_min * MINUTE_NS):
            left = max(0.0, (last - now_ns) / MINUTE_NS)
            return Refusal(
                Reason.EXPIRY_CUTOFF,
                {"minutes_left": left, "cutoff_min": settings.expiry_cutoff_min},
                leg.symbol,
            )
    today = et_date(now_ns)
    if around.earnings is not None and settings.earnings_days:
        days = (around.earnings - today).days
        if 0 <= days <= settings.earnings_days:
            numbers: dict[str, float | None] = {
                "earnings_in_days": float(days),
                "earnings_days": float(settings.earnings_days),
            }
            return Refusal(Reason.EARNINGS, numbers, around.earnings.isoformat())
    return _dividend_fault(plan, today, quotes, around, settings)


def _dividend_fault(
    plan: TradePlan, today: date, quotes: Mapping[str, Quote], around: Surroundings, settings: RiskSettings
) -> Refusal | None:
    """A sold call whose time value is below the dividend is exercised the night before the ex-date (QUANT.md 5.5)."""
    if around.ex_date is None or around.dividend is None or around.spot is None:
        return None
    days = (around.ex_date - today).days
    if not 0 < days <= settings.ex_dividend_days:
        return None
    for leg in plan.legs:
        if leg.action.buys or not is_option(leg.symbol):
            continue
        contract, quote = parse_option(leg.symbol), quotes.get(leg.symbol)
        if contract.right != "C" or contract.expiry < around.ex_date or quote is None or quote.mid is None:
            continue
        time_value = quote.mid - max(0.0, around.spot - float(contract.strike))
        if time_value < around.dividend:
            numbers: dict[str, float | None] = {
                "dividend": around.dividend,
                "ex_in_days": float(days),
                "time_value": time_value,
            }
            return Refusal(Reason.EX_DIVIDEND, numbers, leg.symbol)
    return None


def quotes_fault(
    plan: TradePlan, now_ns: int, quotes: Mapping[str, Quote], around: Surroundings, settings: RiskSettings
) -> Refusal | None:
    """Every leg needs a quote of two sides that is young enough and that the quality gate believes."""
    for leg in plan.legs:
        quote = quotes.get(leg.symbol)
        if quote is None or not quote.two_sided:
            return Refusal(Reason.NO_QUOTE, note=leg.symbol)
        age = quote.age_s(now_ns)
        if age > settings.quote_max_age_s:
            return Refusal(
                Reason.STALE_QUOTE, {"quote_age_s": age, "quote_max_age_s": settings.quote_max_age_s}, leg.symbol
            )
        doubt = around.doubts.get(leg.symbol)
        if doubt is not None:
            return Refusal(doubt, {"bid": quote.bid, "ask": quote.ask}, leg.symbol)
    return None


def theory_fault(plan: TradePlan, around: Surroundings, settings: RiskSettings) -> Refusal | None:
    """A limit worse than the model's value by more than the band: the stock moved, or a digit is wrong.

    A limit that is better than the model says is no danger: it does not fill.
    """
    if any(leg.symbol not in around.theory for leg in plan.legs):
        return None
    worth = -sum(leg.action.sign * leg.quantity * around.theory[leg.symbol] for leg in plan.legs)
    allowed = max(THEORY_SLACK, settings.theory_band * abs(worth))
    if float(plan.net_price) >= worth - allowed:
        return None
    return Refusal(Reason.OFF_THEORY, {"limit": float(plan.net_price), "theory": worth})


def notional(plan: TradePlan, spot: float | None) -> Decimal:
    """Dollars of stock one unit stands for, each leg at the stock's price, at its strike where that is not known."""
    total = Decimal(0)
    for leg in plan.legs:
        price = Decimal(str(spot)) if spot is not None else _reference(leg.symbol)
        total += leg.quantity * leg.multiplier * price
    return total


def _reference(symbol: str) -> Decimal:
    return parse_option(symbol).strike if is_option(symbol) else Decimal(0)
