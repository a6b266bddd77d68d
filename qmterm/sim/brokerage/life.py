"""What each market step does to orders: routing, fills against the world's quotes, cancels, replacements, expiry.

The trap: a fill may win the race against a cancel. Which one wins is fixed by the order's number, so runs repeat.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from qmterm.core.clock import NS, et_date, from_et
from qmterm.core.fees import fill_breakdown
from qmterm.core.instruments import is_option
from qmterm.core.matching import LegFill, luck, match, natural_price
from qmterm.core.quotes import Quote
from qmterm.sim.brokerage.desk import Desk
from qmterm.sim.brokerage.faults import Faults
from qmterm.sim.brokerage.orders import Fill, OrderType, SimOrder, Status
from qmterm.sim.brokerage.preflight import quotes_for
from qmterm.sim.brokerage.world import BrokerageWorld

FILL_WINS = 0.25  # share of the cancels that come too late where the market would fill the order now


class OrderLife:
    """Steps the desk's orders; `after_change` tells the complex orders what happened to one of theirs."""

    def __init__(
        self,
        desk: Desk,
        faults: Faults,
        *,
        participation: float = 0.5,
        stagger_fills: bool = False,
        in_flight: bool = False,
    ) -> None:
        self.desk = desk
        self.faults = faults
        self.participation = participation
        self.stagger_fills = stagger_fills
        self.in_flight = in_flight
        self.after_change: Callable[[SimOrder], None] = lambda order: None
        self._taken: dict[tuple[str, bool], int] = defaultdict(int)  # size used up in this step

    @property
    def world(self) -> BrokerageWorld:
        return self.desk.world

    def step(self) -> None:
        self._taken.clear()
        for order in self.desk.working():
            if order.terminal:  # ended by another order of this step
                continue
            self._advance(order)

    def _advance(self, order: SimOrder) -> None:
        if order.status is Status.CANCEL_REQUESTED:
            self._end_cancel(order)
        elif order.status is Status.REPLACE_REQUESTED:
            self._end_replace(order)
        if not order.terminal and self._over(order):
            self._finish(order, Status.EXPIRED)
        if order.status is Status.RECEIVED and self.desk.open_for(order.time_in_force):
            self._route(order)
        if order.status is Status.LIVE and self.desk.open_for(order.time_in_force):
            self._trade(order)
            if order.time_in_force == "IOC" and not order.terminal:
                self._finish(order, Status.CANCELLED)

    # --- routing and ends ---

    def _route(self, order: SimOrder) -> None:
        self.desk.move(order, Status.ROUTED)
        fault = self.faults.draw("reject")
        if fault is not None or order.behavior == "reject":
            self._finish(order, Status.REJECTED, str((fault or {}).get("reason", "Rejected by exchange")))
            return
        if self.in_flight:
            self.desk.move(order, Status.IN_FLIGHT)
        late = self.faults.draw("late_fill")
        if late is not None:
            order.hold_fill_until_ns = self.world.now_ns + int(late["seconds"] * NS)
        self.desk.move(order, Status.LIVE)

    def _over(self, order: SimOrder) -> bool:
        """Past its session (Day), or past the expiry of one of its options (any)."""
        now, calendar = self.world.now_ns, self.world.calendar
        for leg in order.legs:
            if is_option(leg.symbol):
                contract = self.world.contract(leg.symbol)
                if contract is None or calendar.expiry_ns(contract.expiry) <= now:
                    return True
        if order.status is Status.CONTINGENT and order.replaces is not None:
            return False  # decided by what happens to the original
        if order.time_in_force == "Day":
            return now >= calendar.close_ns(order.session)
        if order.gtc_date is not None:
            last = order.gtc_date  # a day without a session has no close: the evening before it ends the order
            return now >= (calendar.close_ns(last) if calendar.is_session(last) else from_et(last))
        return order.time_in_force == "Ext" and now >= from_et(order.session, 20)

    def _finish(self, order: SimOrder, status: Status, reason: str | None = None) -> None:
        successor = self.desk.orders.get(order.replaced_by or 0)
        self.desk.finish(order, status, reason)
        if successor is not None and successor.status is Status.CONTINGENT and status is not Status.CANCELLED:
            self.desk.finish(successor, Status.REMOVED, "The original order ended before it could be replaced.")
        self.after_change(order)

    def _fill_wins(self, order: SimOrder) -> bool:
        """Does an order that is being cancelled trade first? Only where the market would fill it now."""
        if order.live_ns is None or not self.desk.open_for(order.time_in_force):
            return False
        if order.hold_fill_until_ns > self.world.now_ns:
            order.hold_fill_until_ns = 0
        elif luck(f"{order.order_id}:race") >= FILL_WINS:
            return False
        return self._trade(order)

    def _end_cancel(self, order: SimOrder) -> None:
        self._fill_wins(order)
        if not order.terminal:
            self._finish(order, Status.CANCELLED)

    def _end_replace(self, order: SimOrder) -> None:
        new = self.desk.find(order.replaced_by or 0)
        traded = self._fill_wins(order)
        if traded and not new.terminal:
            self.desk.finish(new, Status.REMOVED, "The original order was filled.")
        if new.terminal:  # also when somebody cancelled the replacement: the original works on as it was
            if not order.terminal:
                self.desk.move(order, Status.RECEIVED if order.live_ns is None else Status.LIVE)
        else:
            self._finish(order, Status.CANCELLED)
            new.become(Status.RECEIVED, self.world.now_ns)
            self.desk.report(new)
            self._advance(new)

    # --- trading ---

    def _quotes(self, order: SimOrder) -> dict[str, Quote]:
        """Quotes less what other orders took in this step."""
        quotes = {}
        for symbol, quote in quotes_for(self.world, order.whole_legs).items():
            bought, sold = self._taken[symbol, True], self._taken[symbol, False]
            quotes[symbol] = replace(
                quote, ask_size=max(0, quote.ask_size - bought), bid_size=max(0, quote.bid_size - sold)
            )
        return quotes

    def _stopped_out(self, order: SimOrder, quotes: dict[str, Quote]) -> bool:
        """Has the market reached the trigger? A sale watches what it would get, a purchase what it would pay."""
        if order.stop_trigger is None or order.triggered:
            return True
        natural = natural_price(order.whole_legs, quotes)
        if natural is None:
            return False
        sells = not order.legs[0].action.buys if len(order.legs) == 1 else natural > 0
        order.triggered = natural <= order.stop_trigger if sells else -natural >= order.stop_trigger
        if order.triggered:
            order.waiting_since_ns = self.world.now_ns
        return order.triggered

    def _trade(self, order: SimOrder) -> bool:
        """Try to fill; True when something traded."""
        now = self.world.now_ns
        if order.broken_leg or order.behavior == "never" or order.hold_fill_until_ns > now:
            return False
        quotes = self._quotes(order)
        if not self._stopped_out(order, quotes):
            return False
        at_market = order.order_type in (OrderType.MARKET, OrderType.STOP)
        waited_s = (now - (order.waiting_since_ns or now)) / NS
        partial = self.faults.draw("partial_fill") if order.remaining_units > 1 else None
        fills = match(
            order.whole_legs,
            None if at_market else order.price,
            quotes,
            order.remaining_units if partial is None else min(order.remaining_units, int(partial["units"])),
            self.participation,
            key=f"{order.order_id}:{order.executions}",
            waited_s=waited_s,
        )
        if not fills:
            return False
        alone = self.faults.draw("leg_only_fill") if len(fills) > 1 else None
        if alone is not None:
            number = int(alone["leg"]) % len(fills)
            order.broken_leg = True
            self._book(order, number, replace(fills[number], quantity=order.legs[number].remaining))
        else:
            for number, fill in enumerate(fills):
                self._book(order, number, fill)
        self._report_fill(order)
        return True

    def _book(self, order: SimOrder, number: int, fill: LegFill) -> None:
        self.desk.before_fill()
        now, leg = self.world.now_ns, order.legs[number]
        execution = f"{order.order_id}-{number}-{len(leg.fills)}"
        fees = fill_breakdown(fill.symbol, fill.action, fill.quantity, fill.price, et_date(now), leg.filled)
        contract = self.world.contract(fill.symbol) if is_option(fill.symbol) else None
        self.desk.book.trade(
            fill.symbol,
            fill.action,
            fill.quantity,
            fill.price,
            fees,
            now,
            order_id=order.order_id,
            execution_id=execution,
            multiplier=contract.multiplier if contract else 0,
        )
        leg.fills.append(Fill(execution, fill.quantity, fill.price, now))
        self._taken[fill.symbol, fill.action.buys] += fill.quantity
        order.updated_ns = now
        order.waiting_since_ns = now
        self.desk.balance_changed = True

    def _report_fill(self, order: SimOrder) -> None:
        done = all(leg.remaining == 0 for leg in order.legs)
        if done:
            successor = self.desk.orders.get(order.replaced_by or 0)
            order.become(Status.FILLED, self.world.now_ns)
            if successor is not None and successor.status is Status.CONTINGENT:
                self.desk.finish(successor, Status.REMOVED, "The original order was filled.")
        if self.stagger_fills and len(order.legs) > 1 and not order.broken_leg:
            self.desk.report(order, frozenset(range(1, len(order.legs))))
        self.desk.report(order)
        self.after_change(order)
