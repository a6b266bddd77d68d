"""The gate for one order that closes and opens: a roll, or any spread typed with both.

The broker fills its legs in ratio, so its net price is judged as a whole; for everything else the close and the open
are taken apart: the close must be a close by itself, and what is opened must be one that could be opened alone, at what
it costs to cross the market. The trap: it opens something, so no ladder level or limit is eased for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from qmterm.core.clock import et_date
from qmterm.core.orders import Leg, OrderIntent, OrderKind, Purpose
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.signals import TradePlan
from qmterm.risk.book import RiskBook
from qmterm.risk.claims import with_claims
from qmterm.risk.gate import Gate, Program
from qmterm.risk.price_sanity import crossing, natural_price
from qmterm.risk.surroundings import Surroundings
from qmterm.risk.verdict import Verdict


def is_mixed(order: OrderIntent) -> bool:
    """True for an order that closes one thing and opens another."""
    return len({leg.action.opens for leg in order.legs}) > 1


def crossing_price(legs: tuple[Leg, ...], quotes: Mapping[str, Quote], program: Program) -> Decimal | None:
    """Net price of one unit that crosses the market, on the grid; None when a side is not quoted."""
    natural = natural_price(legs, 1, quotes)
    return None if natural is None else crossing(legs, natural, program)


def roll_verdict(
    gate: Gate,
    plan: TradePlan,
    order: OrderIntent,
    closable: Mapping[str, int],
    book: RiskBook,
    now_ns: int,
    *,
    wanted: int,
    ladder: Reason | None,
    quotes: Mapping[str, Quote],
    market_open: bool,
    program: Program,
    around: Surroundings,
) -> Verdict:
    """How many units of `order` (of one unit) may go; `plan` is what it opens, priced anew here."""
    closing = tuple(leg for leg in order.legs if not leg.action.opens)
    opening = tuple(leg for leg in order.legs if leg.action.opens)
    prices = [crossing_price(legs, quotes, program) for legs in (closing, opening)]
    if prices[0] is None or prices[1] is None:
        return Verdict(0, Reason.NO_QUOTE, {}, "a leg has nobody on the side it would take")
    close = replace(
        order,
        purpose=Purpose.EXIT,
        kind=OrderKind.LIMIT,
        legs=tuple(replace(leg, quantity=leg.quantity * wanted) for leg in closing),
        quantity=wanted,
        net_price=prices[0],
        worst_price=None,
    )
    free = gate.check_exit(close, closable, by_person=True, quotes=quotes, program=program, book=book)
    if not free.approved:
        return free
    refused = gate.order_refusal(order, quotes, program)
    if refused is not None:
        return Verdict(0, refused.reason, dict(refused.numbers), refused.note)
    day = et_date(now_ns)
    opened = with_claims(replace(plan, legs=opening, net_price=prices[1]), lambda: book, quotes, around.spot, day)
    return gate.check(
        opened,
        book.without_held(plan.strategy, plan.underlying),
        now_ns,
        ladder=ladder,
        quotes=quotes,
        market_open=market_open,
        program=program,
        wanted=free.contracts,
        around=around,
    )
