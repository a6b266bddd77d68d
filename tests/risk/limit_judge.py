"""Which limits an order broke, by what the judge of subsets found before and after it; each breach in one sentence.

No sum may be above its limit unless it was before, nothing may lose its bound, and what the gate counts is enough. What
a close costs itself is never held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from qmterm.core.orders import OrderIntent, Purpose
from qmterm.core.settings.risk import RiskSettings
from qmterm.risk.book import RiskBook
from tests.risk.subset_judge import Judged

SLACK = 1.0  # dollars: fees and cents


def broken_sums(before: Judged, after: Judged, own_cost: float, nlv: Decimal, settings: RiskSettings) -> Iterator[str]:
    """Of all trades in one stock, and of one strategy."""
    for which, share in ((1, settings.max_symbol_risk), (0, settings.max_strategy_risk)):
        for name in {group[which] for group in after.worst}:
            old, new = before.total(which, name), after.total(which, name)
            if new > max(share * float(nlv), old + own_cost) + SLACK:
                yield f"{name}: {new:.2f} after {old:.2f}, NLV {nlv}"


def lost_bounds(before: Judged, after: Judged) -> Iterator[str]:
    for group, slope in after.bare.items():
        if slope > before.bare.get(group, 0.0):
            yield f"{group}: no bound any more"
    for stock, short in after.leaning.items():
        if short > before.leaning.get(stock, 0.0):
            yield f"{stock}: calls lean on {short:.0f} shares that are not there"


def counted_too_little(after: Judged, view: RiskBook) -> Iterator[str]:
    for which, counted in ((1, view.risk_by_symbol), (0, view.risk_by_strategy)):
        for name in {group[which] for group in after.worst}:
            worst = after.total(which, name)
            if float(counted.get(name, 0)) < worst - SLACK:
                yield f"{name}: counted {counted.get(name)} of {worst:.2f}"


def broken_trade(
    before: Judged, after: Judged, fresh: Sequence[OrderIntent], nlv: Decimal, cash: Decimal, settings: RiskSettings
) -> Iterator[str]:
    """Of one trade, and the cash that stays; a roll's close may bare what it covered, up to the limits of the sums."""
    if not all(_enters(intent) for intent in fresh):
        return
    more = max((after.worst[group] - before.worst.get(group, 0.0) for group in after.worst), default=0.0)
    if more > settings.max_trade_risk * float(nlv) + SLACK:
        yield f"one trade adds {more:.2f} of NLV {nlv}"
    left = float(cash) - after.paying
    if more > SLACK and after.paying > before.paying and left < settings.cash_reserve * float(nlv) - SLACK:
        yield f"cash {left:.2f} of NLV {nlv}"


def closed_twice(before: Judged, after: Judged, held: Mapping[str, int]) -> Iterator[str]:
    for symbol, closing in after.closing.items():
        if closing > max(abs(held.get(symbol, 0)), before.closing[symbol]):
            yield f"{closing} {symbol} closed by orders, {held.get(symbol, 0)} held"


def cost_of_close(intent: OrderIntent, ask: Callable[[str], float | None]) -> float:
    """Dollars that what an order closes costs at worst; of a roll it is what crossing the market costs."""
    closed = [leg for leg in intent.legs if not leg.action.opens]
    if len(closed) == len(intent.legs) and intent.counted_price is not None:
        return max(0.0, -float(intent.counted_price)) * intent.quantity * closed[0].multiplier
    reached = float(intent.stop_trigger or 0)
    return sum(
        max(ask(leg.symbol) or 0.0, reached) * leg.quantity * leg.multiplier for leg in closed if leg.action.buys
    )


def _enters(intent: OrderIntent) -> bool:
    opens = {leg.action.opens for leg in intent.legs}
    return intent.rests or (intent.purpose is Purpose.ENTRY and opens == {True})
