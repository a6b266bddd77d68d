"""Another price for a working order, by a person: a new order takes the old one's place, judged by the gate first.

The traps: an order whose outcome is unknown is never touched, a fill may win the race (the broker then calls the new
one off), and a price that a person gave is not walked by the machine afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from qmterm.core.order_text import Mistake, read_price
from qmterm.core.orders import OrderIntent, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.engine.commands import DEARER, CommandResult, EditOrder
from qmterm.engine.orders.approvals import Approvals
from qmterm.engine.orders.closes import named
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.orders.manual_plan import manual_plan
from qmterm.engine.orders.tickets import off_tick, refused, risk_said_no
from qmterm.engine.orders.walker import repriced, whole
from qmterm.engine.orders.walking import Grid
from qmterm.engine.show.wording import describe_order, terms_text
from qmterm.engine.trader import Trader
from qmterm.risk.rolls import crossing_price, is_mixed
from qmterm.risk.verdict import Verdict


class Edits:
    def __init__(self, trader: Trader, approvals: Approvals) -> None:
        self._trader = trader
        self._approvals = approvals

    def edit(self, command: EditOrder) -> CommandResult:
        """Send the replacement at once: the person typed the price. One that risks more needs a second answer."""
        trader = self._trader
        price = read_price(command.price)
        if isinstance(price, Mistake):
            return CommandResult(False, price.text, {"code": Reason.BAD_INPUT.value, "column": price.column})
        record = self._approvals.find_order(command.order_id)
        if record is None:
            return CommandResult(False, f"no order {command.order_id!r}")
        record = self._latest(record)
        why_not = self._why_not(record)
        if why_not:
            return CommandResult(False, why_not)
        intent = self._edited(record, price)
        if isinstance(intent, CommandResult):
            return intent
        fault = trader.gate.order_refusal(intent, trader.quotes_of(intent.legs), trader.ticks.of(intent.legs[0].symbol))
        if fault is not None:
            return risk_said_no(Verdict(0, fault.reason, dict(fault.numbers), fault.note))
        if intent.purpose is Purpose.ENTRY:
            barred = trader.entry_refusal()
            if barred is not None:
                return risk_said_no(Verdict(0, barred))
            more = dearer_by(record.intent, intent)
            if more > 0:
                intent = self._affordable(record, intent)
                if isinstance(intent, CommandResult):
                    return intent
                if not command.dearer:
                    return _asks_again(record.intent, intent, more)
        old = terms_text(record.intent)
        trader.journal.decision(
            intent.underlying, "edited", trader.clock.now(), reason=Reason.USER, numbers={"from": old, "to": str(price)}
        )
        trader.replace_order(record, intent)
        text = f"replacing {describe_order(record.intent)} with {terms_text(intent)}"
        return CommandResult(True, text, named(intent, sent=True))

    def _latest(self, record: OrderRecord) -> OrderRecord:
        """The screen may still show an order whose place another has taken."""
        ledger = self._trader.desk.ledger
        working = [other for other in ledger.working if ledger.root(other) is ledger.root(record)]
        return record if record.working or not working else working[-1]

    def _why_not(self, record: OrderRecord) -> str:
        name = describe_order(record.intent)
        if record.state is OrderState.UNKNOWN:
            return f"the outcome of {name} is not known yet: read-back settles it first, then edit"
        if record.external:
            return f"{name} was placed elsewhere: edit it there, or cancel it"
        if not record.working:
            return f"{name} is {record.state.value}: nothing to edit"
        if record.intent.role is not None:
            return f"{name} belongs to a bracket: cancel that instead"
        if record.cancelling(self._trader.clock.monotonic(), self._trader.clock.now()):
            return f"a cancel of {name} is on its way: it cannot be edited now"
        if any(other.working for other in self._trader.desk.ledger.replacing(record)):
            return f"a replacement of {name} is on its way: look again in a moment"
        if not self._trader.desk.replaceable(record):
            return f"{name} is {record.state.value}: it cannot be edited until it stands at the broker"
        if not whole(record):
            return f"the legs of {name} filled unequally: cancel it, its rest has no net price"
        if not record.intent.kind.priced and not record.intent.kind.stopped:
            return f"{name} has no price to edit: cancel it and give a new order"
        return ""

    def _edited(self, record: OrderRecord, price: Decimal) -> OrderIntent | CommandResult:
        """A limit gets the price, a stop the trigger; its side stays."""
        trader, old = self._trader, record.intent
        grid = Grid(old.legs, trader.ticks.of(old.legs[0].symbol))
        pays = old.net_price < 0 if old.net_price is not None else old.legs[0].action.buys
        signed = -price if pays else price
        if grid.ours(signed) != signed:
            return refused(Reason.OFF_TICK, off_tick(signed, grid, old.legs))
        now = trader.clock.now()
        new = repriced(trader.desk.ledger, record, signed, now)
        new = replace(new, worst_price=None, reason=Reason.USER)
        if old.net_price is None:
            new = replace(new, net_price=None, stop_trigger=price)
            if old.stop_trigger == price:
                return refused(Reason.BAD_INPUT, f"its trigger is {price} already")
        elif old.net_price == signed and old.worst_price is None:
            return refused(Reason.BAD_INPUT, f"its price is {price} already")
        return new

    def _affordable(self, record: OrderRecord, intent: OrderIntent) -> OrderIntent | CommandResult:
        """An entry that pays more is judged anew, as if the order it replaces were not there; else nothing gets worse.

        What a roll opens is judged at what it costs to cross the market now: that has moved since it was staged.
        """
        trader, wanted = self._trader, _pays(intent, intent.net_price)
        units = intent.quantity
        unit = tuple(replace(leg, quantity=leg.quantity // units) for leg in intent.legs)
        opening, worst = unit, -wanted
        if is_mixed(intent):
            opening = tuple(leg for leg in unit if leg.action.opens)
            crossing = crossing_price(opening, trader.quotes_of(opening), trader.ticks.of(opening[0].symbol))
            if crossing is None:
                return refused(Reason.NO_QUOTE, "nobody quotes the side that opens: a dearer price cannot be judged")
            worst = crossing
        bounded = intent.counted_price is not None
        plan = manual_plan(trader, opening, worst, None, intent.strategy, bounded=bounded)
        book = trader.risk_book(record).without_held(intent.strategy, intent.underlying)  # it adds to nothing
        book = replace(book, recent=frozenset())  # and is sent no second time
        verdict = trader.judge(plan, book, units, replace(intent, legs=unit, quantity=1), without=record)
        if not verdict.approved:
            return risk_said_no(verdict)
        if verdict.contracts < units:
            code = verdict.reason or Reason.LIMIT_TRADE
            text = f"refused, nothing was sent: {code.value} allows {verdict.contracts} of {units} at {wanted}"
            return refused(code, text)
        return replace(intent, max_loss=plan.max_loss * units)


def dearer_by(old: OrderIntent, new: OrderIntent) -> Decimal:
    """Dollars that `new` pays at worst beyond what its units were counted at; zero or less where it is no dearer."""
    before, after = _pays(old, old.counted_price), _pays(new, new.net_price)
    return (after - before) * new.quantity * new.legs[0].multiplier


def _pays(intent: OrderIntent, price: Decimal | None) -> Decimal:
    """Dollars a share of one unit, negative for a credit: by its limit, else a buy's trigger; a sale's says nothing."""
    if price is not None:
        return -price
    return intent.stop_trigger or Decimal(0) if intent.legs[0].action.buys else Decimal(0)


def _asks_again(old: OrderIntent, new: OrderIntent, more: Decimal) -> CommandResult:
    text = f"{describe_order(old)} to {terms_text(new)} is dearer: worst case +${more:,.2f}; say dearer to send it"
    data = {"code": DEARER, "more": str(more), "from": terms_text(old), "to": terms_text(new)}
    return CommandResult(False, f"nothing was sent yet: {text}", data)
