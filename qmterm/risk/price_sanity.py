"""Is an order price or a stop's trigger one a person could have meant: finite, on the grid, not far off the market.

Trap: prices here are signed per unit (negative = debit), so "paying more" is a *smaller* number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import ROUND_FLOOR, Decimal

from qmterm.core.instruments import Right, is_option, parse_option
from qmterm.core.matching import net_mid
from qmterm.core.orders import Leg, OrderIntent, OrderKind
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.ticks import SHARES, TickProgram, TickTable, net_step, program_for, table_of
from qmterm.risk.worst_case import Part, worst_loss

STOP_LIMIT_ROOM = Decimal("0.25")  # of its trigger: what a stop limit may give way, so that it fills in a fall
TRIGGER_REACH = 10  # a stop trigger further than this many times from the market has a digit too many


def tick_of(legs: tuple[Leg, ...], price: Decimal, program: TickProgram | TickTable | None) -> Decimal:
    """The grid step of an order price: the contract's own for one option, the net step of a spread, the shares'."""
    if len(legs) != 1:
        return net_step(leg.symbol for leg in legs)
    if not is_option(legs[0].symbol):
        return SHARES.tick(price)
    chosen = program if program is not None else program_for(parse_option(legs[0].symbol).root)
    return table_of(chosen).tick(price)


def crossing(legs: tuple[Leg, ...], price: Decimal, program: TickProgram | TickTable | None) -> Decimal:
    """The nearest price on the grid that is no worse for the other side, less than a step from `price`; never zero."""
    return _crossing(legs, price, tick_of(legs, price, program))


def _crossing(legs: tuple[Leg, ...], price: Decimal, step: Decimal) -> Decimal:
    crossed = ((price / step).to_integral_value(ROUND_FLOOR) * step).quantize(step)
    return _with_side(legs, crossed, step)


def one_beyond(legs: tuple[Leg, ...], price: Decimal, step: Decimal) -> Decimal:
    """One step further for the other side: what a protective order may give."""
    return _with_side(legs, price - step, step)


def _with_side(legs: tuple[Leg, ...], price: Decimal, step: Decimal) -> Decimal:
    """Zero has no side; what is only sold is never paid for."""
    sells_all = bool(legs) and not any([leg.action.buys for leg in legs])
    return max(price, step) if sells_all else price or -step


def natural_price(
    legs: tuple[Leg, ...], units: int, quotes: Mapping[str, Quote], *, unbid: bool = False
) -> Decimal | None:
    """Net price of one unit when every leg crosses the market (signed); None when a side it needs is not quoted.

    With `unbid` what is sold counts as nothing where it is offered and nobody bids: no price to send, but a bound.
    """
    total = Decimal(0)
    for leg in legs:
        quote = quotes.get(leg.symbol)
        if quote is None:
            return None
        side = quote.ask if leg.action.buys else quote.bid
        if unbid and side == 0 and quote.ask > 0:
            continue
        if not side > 0:
            return None
        total -= leg.action.sign * Decimal(leg.quantity) / units * Decimal(str(round(side, 4)))
    return total


def most_worth(legs: tuple[Leg, ...], units: int) -> Decimal | None:
    """What one unit can be worth at most, dollars per share, whatever is quoted: the strike of a put, a spread's width.

    None where nothing bounds it. Every expiry and right by itself: before they end, a put spread can be worth its
    whole width and the call spread beside it still something.
    """
    groups: defaultdict[tuple[date, Right], list[tuple[str, int]]] = defaultdict(list)
    for leg in legs:
        if not is_option(leg.symbol):
            return None
        contract = parse_option(leg.symbol)
        if contract.adjusted:
            return None
        # Whoever has sold it loses what it is worth.
        groups[contract.expiry, contract.right].append((leg.symbol, -leg.action.sign * leg.quantity))
    total = Decimal(0)
    for sold in groups.values():
        worst = worst_loss((), (Part(tuple(sold), 1, Decimal(0)),))
        if worst.unbounded:
            return None
        total += worst.dollars
    return total / (100 * units)


def unit_mid(legs: tuple[Leg, ...], quotes: Mapping[str, Quote]) -> float | None:
    """What one unit is worth in the middle of its market, dollars per share without a sign; None unless every leg has
    a two-sided quote."""
    if any(leg.symbol not in quotes or not quotes[leg.symbol].two_sided for leg in legs):
        return None
    if len(legs) == 1:
        return quotes[legs[0].symbol].mid
    mid = net_mid(legs, quotes)
    return None if mid is None else float(abs(mid))


def order_fault(
    intent: OrderIntent, quotes: Mapping[str, Quote], band: float, program: TickProgram | TickTable | None = None
) -> Reason | None:
    """The same question for an order of any kind, and for its stop trigger."""
    fault = None
    if intent.net_price is not None and intent.kind.stopped:
        fault = price_fault(intent.legs, intent.quantity, intent.net_price, {}, band, program)
        fault = fault or _trigger_fault(intent, quotes, program)
        if fault is None and intent.stop_trigger is not None:  # it is sent where the market is by then
            reached = intent.stop_trigger.copy_sign(intent.net_price)
            room = max(STOP_LIMIT_ROOM, Decimal(str(band)))
            worst = reached - abs(reached) * room - tick_of(intent.legs, reached, program)
            fault = Reason.PRICE_INSANE if intent.net_price < worst else None
        return fault
    if intent.net_price is not None:
        fault = price_fault(intent.legs, intent.quantity, intent.net_price, quotes, band, program)
    elif intent.kind is OrderKind.MARKET and natural_price(intent.legs, intent.quantity, quotes) is None:
        fault = Reason.EMPTY_BOOK  # it would take the first price that somebody shows
    return fault or _trigger_fault(intent, quotes, program)


def _trigger_fault(
    intent: OrderIntent, quotes: Mapping[str, Quote], program: TickProgram | TickTable | None
) -> Reason | None:
    """A stop waits on the far side of the market, within reach; without a quote only its grid is judged."""
    trigger = intent.stop_trigger
    if trigger is None:
        return None
    if not trigger.is_finite() or trigger <= 0:
        return Reason.TRIGGER_INSANE
    if trigger % tick_of(intent.legs, trigger, program) != 0:
        return Reason.OFF_TICK
    natural = natural_price(intent.legs, intent.quantity, quotes)
    if natural is None:
        return None
    # A sale gets `natural` and waits for less; a purchase pays −`natural` and waits for more.
    reached = trigger >= natural if natural > 0 else trigger <= -natural
    if reached or not abs(natural) / TRIGGER_REACH <= trigger <= abs(natural) * TRIGGER_REACH:
        return Reason.TRIGGER_INSANE
    return None


def price_fault(
    legs: tuple[Leg, ...],
    units: int,
    net_price: Decimal,
    quotes: Mapping[str, Quote],
    band: float,
    program: TickProgram | TickTable | None = None,
) -> Reason | None:
    """Why a price must not be sent: PRICE_INSANE, OFF_TICK, or None when it is fine.

    The bound is the far side of the market, on the grid, plus one tick plus `band` of it: the natural price of legs
    with finer ticks than their net step lies between two prices, and the one that crosses is meant. Beyond what
    crosses, nobody pays more than a tick (what is worthless goes for one) above what the legs can ever be worth.
    Without a quote only that and the price itself are judged: a protective exit must not wait for one.
    """
    if not net_price.is_finite() or net_price == 0 or units <= 0:
        return Reason.PRICE_INSANE
    sides = [leg.action.buys for leg in legs]
    if (all(sides) and net_price > 0) or (not any(sides) and net_price < 0):
        return Reason.PRICE_INSANE
    step = tick_of(legs, net_price, program)
    if net_price % step != 0:
        return Reason.OFF_TICK
    natural = natural_price(legs, units, quotes)
    if natural is not None and net_price >= natural:  # no worse for us than the market's own
        return None
    bound = natural_price(legs, units, quotes, unbid=True) if natural is None else natural
    if bound is not None:
        there = tick_of(legs, bound, program)
        beyond = one_beyond(legs, _crossing(legs, bound, there), max(step, there))
        if net_price < beyond - abs(bound) * Decimal(str(band)):
            return Reason.PRICE_INSANE
        if natural is not None and net_price >= beyond:  # what crosses may leave, even where it is dearer than it pays
            return None
    most = most_worth(legs, units)
    return Reason.PRICE_INSANE if most is not None and net_price < -most - step else None
