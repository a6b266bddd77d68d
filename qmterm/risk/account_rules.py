"""What the account itself allows to be opened: the broker's flags and the day-trade rule in force (QUANT.md 5.5)."""

from __future__ import annotations

from qmterm.core.account import AccountFlags
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.signals import TradePlan
from qmterm.risk.book import RiskBook
from qmterm.risk.verdict import Refusal

PDT_EQUITY = 25_000
PDT_TRADES = 3  # in five sessions, for an account below that


def account_refusal(plan: TradePlan, book: RiskBook, flags: AccountFlags, settings: RiskSettings) -> Refusal | None:
    """Why this account may not open the plan, None when it may.

    A day trade is refused where it begins: a close that ends one is never held back.
    """
    if flags.restriction:
        return Refusal(Reason.ACCOUNT_RESTRICTED, {}, flags.restriction)
    sold = [leg for leg in plan.legs if not leg.action.buys]
    if sold and settings.day_trade_mode == "cash":
        return Refusal(Reason.ACCOUNT_RESTRICTED, {}, "a cash account sells no options without cover")
    if not flags.short_calls and any(leg.symbol[-9:-8] == "C" for leg in sold):
        return Refusal(Reason.ACCOUNT_RESTRICTED, {}, "it may not sell calls")
    used = max(book.day_trades, flags.day_trade_count or 0)
    allowed = settings.max_day_trades
    if settings.day_trade_mode == "legacy_pdt" and book.nlv is not None and book.nlv < PDT_EQUITY:
        allowed = min(allowed, PDT_TRADES)
    if used >= allowed:
        return Refusal(Reason.DAY_TRADES, {"day_trades": float(used), "day_trades_most": float(allowed)})
    return None
