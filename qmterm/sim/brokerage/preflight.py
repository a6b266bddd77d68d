"""The broker's checks before an order is taken: form, price, instruments, what can be closed, buying power.

The trap it exists to reproduce: a closing order without a position silently becomes an opening one, unless the order
asks for strict position-effect validation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from qmterm.core.clock import et_date
from qmterm.core.fees import INDEX_ROOTS, FeeBreakdown, order_fees
from qmterm.core.instruments import is_option, underlying_of
from qmterm.core.matching import CENT, far_price, natural_price, net_mid, unit_ratios
from qmterm.core.orders import Action, Leg
from qmterm.core.quotes import Quote
from qmterm.core.ticks import TickProgram, on_tick, program_for
from qmterm.sim.brokerage.book import Book
from qmterm.sim.brokerage.margin import standing
from qmterm.sim.brokerage.orders import OrderType, SimOrder
from qmterm.sim.brokerage.refusals import Problem
from qmterm.sim.brokerage.ticket import Ticket
from qmterm.sim.brokerage.world import BrokerageWorld, known_symbol, price_of

MAX_OPTION_LEGS = 4
_ZERO = Decimal(0)
_OPENING = {Action.SELL_TO_CLOSE: Action.SELL_TO_OPEN, Action.BUY_TO_CLOSE: Action.BUY_TO_OPEN}
CANNOT_CLOSE = Problem(
    "cannot_close_against_more_than_existing_position",
    "You cannot close against more than your existing position. If you already have a closing order working, it must "
    "be canceled first.",
)


@dataclass(frozen=True, slots=True)
class Effect:
    """What an order would do to the account, in dollars; changes are signed, + = more buying power."""

    change_in_margin: Decimal
    change_in_buying_power: Decimal
    current_buying_power: Decimal
    isolated_requirement: Decimal
    fees: FeeBreakdown
    is_spread: bool

    @property
    def new_buying_power(self) -> Decimal:
        return self.current_buying_power + self.change_in_buying_power


def quotes_for(world: BrokerageWorld, legs: Iterable[Leg]) -> dict[str, Quote]:
    found = ((leg.symbol, world.quote(leg.symbol)) for leg in legs)
    return {symbol: quote for symbol, quote in found if quote is not None}


# --- form and price -------------------------------------------------------------------------------------------------


def form_problems(ticket: Ticket, today: date) -> list[Problem]:
    """Rules that need no market: order type against price, time in force, number of legs."""
    problems: list[Problem] = []
    priced = ticket.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    stopped = ticket.order_type in (OrderType.STOP, OrderType.STOP_LIMIT)
    if priced and ticket.price is None:
        problems.append(Problem("order_must_have_price", f"{ticket.order_type} orders must have a price."))
    if not priced and ticket.price is not None:
        problems.append(Problem("order_must_omit_price", f"{ticket.order_type} orders must not have a price."))
    if stopped and ticket.stop_trigger is None:
        problems.append(Problem("order_must_have_stop_trigger", f"{ticket.order_type} orders need a stop trigger."))
    if ticket.order_type is OrderType.MARKET:
        if ticket.time_in_force not in ("Day", "IOC"):
            problems.append(Problem("gtc_market_orders_not_supported", "GTC/GTD Market orders are not supported."))
        if len(ticket.legs) > 1:
            problems.append(Problem("multi_leg_market_orders_not_supported", "Market orders must have one leg."))
    opening = any(leg.action.opens for leg in ticket.legs)
    if (ticket.time_in_force == "GTD") != (ticket.gtc_date is not None):
        problems.append(Problem("invalid_gtc_date", "GTD orders, and only they, carry a gtc-date."))
    elif ticket.gtc_date is not None and ticket.gtc_date <= today:
        problems.append(Problem("invalid_gtc_date", "The gtc-date must be in the future."))
    if ticket.order_type is OrderType.STOP and opening and ticket.time_in_force != "Day":
        problems.append(Problem("gtc_opening_stop_orders_not_supported", "Opening Stop orders must be Day orders."))
    symbols = [leg.symbol for leg in ticket.legs]
    options = sum(map(is_option, symbols))
    if len(set(symbols)) != len(symbols):
        problems.append(Problem("duplicate_leg_symbol", "Each symbol may appear in one leg only."))
    if options > MAX_OPTION_LEGS or (options < len(symbols) and len(symbols) > 1):
        problems.append(Problem("invalid_legs", "An order has up to four option legs or one equity leg here."))
    if len({underlying_of(symbol) for symbol in symbols}) > 1:
        problems.append(Problem("legs_must_share_underlying", "All legs must have the same underlying."))
    if ticket.time_in_force in ("Ext", "GTC Ext") and (options or len(symbols) > 1):
        problems.append(Problem("extended_hours_not_supported", "Extended hours are for single-leg equity orders."))
    return problems


def price_problems(ticket: Ticket) -> list[Problem]:
    """The sign against the sides, and the tick grid."""
    price = ticket.price
    off_tick = _off_tick(ticket, ticket.stop_trigger, "Stop trigger") if ticket.stop_trigger is not None else None
    if price is None:
        return [off_tick] if off_tick else []
    problems: list[Problem] = []
    if price > 0 and all(leg.action.buys for leg in ticket.legs):
        problems.append(Problem("cant_buy_for_credit", "You cannot buy for a credit."))
    if price < 0 and not any(leg.action.buys for leg in ticket.legs):
        problems.append(Problem("cant_sell_for_debit", "You cannot sell for a debit."))
    if len(ticket.legs) == 1 and price == 0:
        problems.append(Problem("invalid_price", "The price of a single-leg order must be above zero."))
    grid_problem = _off_tick(ticket, abs(price), "Price") or off_tick
    return [*problems, grid_problem] if grid_problem else problems


def _off_tick(ticket: Ticket, price: Decimal, what: str) -> Problem | None:
    if price == 0:
        return None
    root = ticket.underlying
    if len(ticket.legs) > 1:
        step = Decimal("0.05") if root in INDEX_ROOTS else CENT
        fits = price % step == 0
    elif is_option(ticket.legs[0].symbol):
        program: TickProgram = program_for(root)
        fits = on_tick(program, price)
    else:
        fits = price % (CENT if price >= 1 else Decimal("0.0001")) == 0
    if fits:
        return None
    return Problem("invalid_price_increment", f"{what} {price} is not on the price increment of {root}.")


def instrument_problems(ticket: Ticket, world: BrokerageWorld) -> list[Problem]:
    """Unknown and expired instruments."""
    problems = []
    for leg in ticket.legs:
        contract = world.contract(leg.symbol) if is_option(leg.symbol) else None
        expired = contract is not None and world.calendar.expiry_ns(contract.expiry) <= world.now_ns
        if expired or not known_symbol(world, leg.symbol):
            text = f"Trading of {leg.symbol} is not supported" + (": it has expired." if expired else "")
            problems.append(Problem("instrument_validation_failed", text))
    return problems


# --- what can be closed ---------------------------------------------------------------------------------------------


def closing_quantity_working(symbol: str, action: Action, orders: Iterable[SimOrder]) -> int:
    """Contracts that working orders may still close; the children of one complex order count once."""
    single = 0
    by_complex: dict[int, int] = {}
    for order in orders:
        if order.terminal:
            continue
        for leg in order.legs:
            if leg.symbol == symbol and leg.action is action:
                if order.complex_id is None:
                    single += leg.remaining
                else:
                    by_complex[order.complex_id] = max(by_complex.get(order.complex_id, 0), leg.remaining)
    return single + sum(by_complex.values())


def settle_closing_legs(ticket: Ticket, book: Book, working: Iterable[SimOrder]) -> tuple[Ticket, list[Problem]]:
    """The order as the broker takes it: closing legs checked, or turned into opening ones where nothing is held."""
    orders = list(working)
    legs: list[Leg] = []
    for leg in ticket.legs:
        if leg.action.opens:
            legs.append(leg)
            continue
        held = book.quantity(leg.symbol)
        closable = max(0, held) if leg.action is Action.SELL_TO_CLOSE else max(0, -held)
        if closable == 0 and not ticket.strict:
            legs.append(replace(leg, action=_OPENING[leg.action]))
            continue
        if leg.quantity > closable - closing_quantity_working(leg.symbol, leg.action, orders):
            return ticket, [CANNOT_CLOSE]
        legs.append(leg)
    return replace(ticket, legs=tuple(legs)), []


# --- buying power ---------------------------------------------------------------------------------------------------


def assumed_prices(ticket: Ticket, world: BrokerageWorld) -> tuple[Decimal, list[Decimal]]:
    """(net per unit, price per leg) an order is reckoned at: its limit, its trigger, else crossing the market."""
    quotes = quotes_for(world, ticket.legs)
    legs = list(ticket.legs)
    prices = [far_price(leg, quotes.get(leg.symbol)) or price_of(world, leg.symbol) or _ZERO for leg in legs]
    net = ticket.price
    if net is None and ticket.stop_trigger is not None and len(legs) == 1:
        net = -legs[0].action.sign * ticket.stop_trigger
    if net is None:
        net = natural_price(legs, quotes) or net_mid(legs, quotes)
    if net is None:
        _, ratios = unit_ratios(legs)
        parts = zip(legs, ratios, prices, strict=True)
        net = sum((-leg.action.sign * ratio * price for leg, ratio, price in parts), _ZERO)
    if len(legs) == 1:
        prices = [abs(net)]
    return net, prices


def effect_of(ticket: Ticket, book: Book, reserved: Decimal, world: BrokerageWorld) -> Effect:
    """Buying power before and after, if the whole order filled at the price it is reckoned at."""
    net, prices = assumed_prices(ticket, world)
    units, _ = unit_ratios(ticket.legs)
    fees = order_fees(zip(ticket.legs, prices, strict=True), et_date(world.now_ns))
    multiplier = 100 if is_option(ticket.legs[0].symbol) else 1
    holdings = book.holdings()
    before = standing(book.cash, holdings, reserved, world)
    alone: dict[str, int] = {}
    for leg in ticket.legs:
        change = leg.action.sign * leg.quantity
        holdings[leg.symbol] = holdings.get(leg.symbol, 0) + change
        alone[leg.symbol] = change
    cash = book.cash + net * units * multiplier - fees.total
    after = standing(cash, {s: q for s, q in holdings.items() if q}, reserved, world)
    return Effect(
        change_in_margin=before.initial - after.initial,
        change_in_buying_power=after.option_buying_power - before.option_buying_power,
        current_buying_power=before.option_buying_power,
        isolated_requirement=standing(_ZERO, alone, _ZERO, world).initial,
        fees=fees,
        is_spread=len(ticket.legs) > 1,
    )


def margin_problem(effect: Effect) -> Problem | None:
    """An order that frees buying power always passes."""
    if effect.change_in_buying_power >= 0 or effect.new_buying_power >= 0:
        return None
    return Problem("margin_check_failed", "Account does not have sufficient buying power available for this order.")
