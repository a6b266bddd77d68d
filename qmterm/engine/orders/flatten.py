"""FLATTEN: every position gets a closing order by machine, until the broker's account is flat (DESIGN.md 5).

It works from the ladder and the book alone, so a restart goes on where it was. In each underlying what was sold is
closed first, options before shares; what covers it goes only when nothing sold is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from qmterm.core.clock import NS
from qmterm.core.instruments import is_option
from qmterm.core.orders import Action, Leg, OrderIntent, Purpose
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.ticks import TickProgram, TickTable, round_price, tick
from qmterm.engine.ladder import Level
from qmterm.engine.orders.book import Position
from qmterm.engine.orders.exit_orders import WORTHLESS_TICKS, exit_price
from qmterm.engine.orders.exposure import closable
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.show.wording import label
from qmterm.engine.trader import Trader
from qmterm.risk.book import root_of
from qmterm.risk.sentences import sentence
from qmterm.risk.verdict import Verdict

# Closes of the machine's own: at FLATTEN they go on at their price and are re-priced like all others.
_MACHINE = (Purpose.EXIT, Purpose.SCALE_OUT)


class Flattener:
    def __init__(self, trader: Trader) -> None:
        self._trader = trader
        self._attempts: dict[str, int] = {}
        self._rests_until: dict[str, int] = {}  # market time before a refused close is tried again
        self._waiting: dict[str, str] = {}  # symbol -> why it is not being closed right now

    @property
    def active(self) -> bool:
        return self._trader.ladder.level is Level.FLATTEN

    @property
    def waiting(self) -> Mapping[str, str]:
        """Symbols whose close waits, each with its reason in words."""
        return self._waiting

    # --- orders in the way ---

    def unwanted(self) -> tuple[OrderRecord, ...]:
        """Working orders that FLATTEN takes away: everything that opens or rests, and closes that waited too long."""
        return tuple(record for record in self._trader.desk.ledger.working if self._in_the_way(record))

    def _in_the_way(self, record: OrderRecord) -> bool:
        cause = self._trader.ladder.cause_of(Level.FLATTEN)
        since = 0 if cause is None else cause.since_ns
        intent = record.intent
        machine = intent.purpose in _MACHINE and intent.reason is not Reason.USER
        later = intent.purpose in _MACHINE and intent.created_ns > since  # a person's own close, sent meanwhile
        if record.external or intent.rests or not (intent.purpose is Purpose.FLATTEN or machine or later):
            return True
        return self._trader.clock.now() - record.worked_from_ns >= self._pace_ns

    @property
    def _pace_ns(self) -> int:
        return int(self._trader.settings.exit_reprice_s * NS)

    # --- closing ---

    def close_all(self) -> None:
        """Send a close for every position that can be closed now; say once why each other one waits."""
        if not self.active:
            if self._waiting or self._attempts:
                self._waiting, self._attempts, self._rests_until = {}, {}, {}
            return
        if self._trader.stopping:
            return
        positions = self._trader.book.positions
        waiting: dict[str, str] = {}
        for position in _in_order(positions):
            why = self._close(position, positions)
            if why:
                waiting[position.symbol] = why
                if self._waiting.get(position.symbol) != why:
                    self._trader.log.warn("RISK", f"flatten {label(position.symbol)}: {why}", position.symbol)
        self._waiting = waiting

    def _close(self, position: Position, positions: Iterable[Position]) -> str:
        """Send its closing order; "" when one works or leaves, else why it waits."""
        trader, symbol, now = self._trader, position.symbol, self._trader.clock.now()
        if trader.desk.ledger.closing(symbol):
            return ""
        permission = trader.closing_refusal()
        if permission is not None:
            return f"{permission.value}: {sentence(permission, {})}"
        if not trader.market_open():
            return "waits for the market to open"
        if _rank(position) and any(
            root_of(other.symbol) == root_of(symbol) and _rank(other) < _rank(position) for other in positions
        ):
            return f"{Reason.SHORTS_FIRST.value}: {sentence(Reason.SHORTS_FIRST, {})}"
        if now < self._rests_until.get(symbol, 0):
            return self._waiting.get(symbol, "") or "waits a moment before the next try"
        free = closable(trader.book, trader.desk.ledger, symbol)
        if not free:
            return "the broker's positions do not show it (yet): the comparison decides"
        quote = trader.quotes.quote(symbol)
        price = self._price(symbol, quote, selling=free > 0)
        if price is None:
            return "waits for a quote" if quote is None else f"waits: nobody {'bids' if free > 0 else 'offers'}"
        return self._send(position, free, price)

    def _price(self, symbol: str, quote: Quote | None, *, selling: bool) -> Decimal | None:
        if quote is None:
            return None
        program = self._trader.ticks.of(symbol)
        price = exit_price(quote, self._attempts.get(symbol, 0), program, selling=selling)
        return price if price is not None or not selling else _last_tick(quote, program)

    def _send(self, position: Position, free: int, price: Decimal) -> str:
        symbol, now = position.symbol, self._trader.clock.now()
        selling = free > 0
        intent = OrderIntent(
            intent_id=self._new_id(now),
            created_ns=now,
            strategy=position.strategy,
            underlying=position.underlying,
            purpose=Purpose.FLATTEN,
            legs=(Leg(symbol, Action.SELL_TO_CLOSE if selling else Action.BUY_TO_CLOSE, abs(free)),),
            quantity=abs(free),
            net_price=price if selling else -price,
            plan_id=position.plan_id,
            reason=Reason.FLATTEN,
        )
        verdict: Verdict = self._trader.close(intent, by_person=False, approved=True)
        if verdict.approved:
            self._attempts[symbol] = self._attempts.get(symbol, 0) + 1
            # What the broker rejects at once is asked again at re-pricing pace, not every turn.
            self._rests_until[symbol] = now + self._pace_ns
            return ""
        self._rests_until[symbol] = now + self._pace_ns
        return f"refused: {verdict.reason.value if verdict.reason else ''}: {verdict.sentence}"

    def _new_id(self, now: int) -> str:
        """Market time may stand still for a moment: the number behind it keeps ids apart."""
        number = 0
        while self._trader.desk.ledger.get(f"f{now:x}-{number}") is not None:
            number += 1
        return f"f{now:x}-{number}"


def _rank(position: Position) -> int:
    """Sold options first, then sold shares, then all that may cover them."""
    if position.quantity < 0:
        return 0 if is_option(position.symbol) else 1
    return 2


def _in_order(positions: Iterable[Position]) -> list[Position]:
    return sorted(positions, key=lambda position: (_rank(position), position.symbol))


def _last_tick(quote: Quote, program: TickTable | TickProgram) -> Decimal | None:
    """One tick for what is worth nothing any more; None when the missing bid is more likely a hole in the data."""
    step = tick(program, Decimal("0.01"))
    if not 0 < quote.ask <= float(step) * WORTHLESS_TICKS:
        return None
    return round_price(program, step, buys=False)
