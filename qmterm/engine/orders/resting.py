"""Keeping the exits at the broker true to what is held: put back where missing, cancelled where idle.

Fills and positions travel apart, so what looks wrong must look wrong for a while. The trap: an exit is put back only
where nothing closes, nothing is about to close, and nobody took it away on purpose.
"""

from __future__ import annotations

from qmterm.core.clock import NS
from qmterm.core.orders import BracketRole, OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.ladder import Level
from qmterm.engine.orders.brackets import exit_terms, exits_for
from qmterm.engine.orders.exposure import closable
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.trader import Trader
from qmterm.risk.book import ZERO, part_of
from qmterm.risk.gate import CENT

ODD_FOR_S = 3.0  # real seconds; a sibling's cancel and a position's news are on their way that long
AGAIN_NS = 30 * NS  # market time between two tries for one position ...
REFUSED_NS = 300 * NS  # ... and after the broker refused one


class Rester:
    def __init__(self, trader: Trader) -> None:
        self._trader = trader
        self._odd_since: dict[str, float] = {}

    def step(self) -> None:
        self._sweep()
        trader = self._trader
        down = trader.ladder.level >= Level.FLATTEN or trader.stopping or trader.closing_refusal() is not None
        if trader.settings.resting_exits and trader.market_open() and not down:
            for guard in trader.guards.all:
                self._rest(guard)

    # --- what does not fit ---

    def _sweep(self) -> None:
        """Exits that are not what the position needs are cancelled: it went, or shrank, or their stop is gone."""
        trader, now = self._trader, self._trader.clock.monotonic()
        resting = [r for r in trader.desk.ledger.working if r.intent.rests and not r.external]
        symbols = {record.intent.legs[0].symbol for record in resting}
        odd = {symbol for symbol in symbols if self._odd(symbol)}
        self._odd_since = {symbol: self._odd_since.get(symbol, now) for symbol in odd}
        for record in resting:
            since = self._odd_since.get(record.intent.legs[0].symbol)
            if since is not None and now - since >= ODD_FOR_S and not trader.desk.ledger.dormant(record):
                trader.way.ask(record, "is not what the position needs")

    def _odd(self, symbol: str) -> bool:
        """More is closed than is held; or a target stands alone, which holds the place of a stop."""
        ledger = self._trader.desk.ledger
        resting = ledger.resting(symbol)
        if any((trigger := ledger.trigger(record)) is not None and trigger.working for record in resting):
            return False  # still entering: the broker decides what its exits are for
        stopless = bool(resting) and all(record.intent.role is BracketRole.TARGET for record in resting)
        return stopless or ledger.closing(symbol) > max(0, self._trader.book.quantity(symbol))

    # --- what is missing ---

    def _rest(self, guard: Guard) -> None:
        trader, state, symbol = self._trader, guard.state, guard.symbol
        ledger, now = trader.desk.ledger, trader.clock.now()
        if (
            not guard.bought_option
            or state.quantity <= 0
            or guard.goal > 0
            or state.latched is not None
            or ledger.closing(symbol)
        ):
            return
        held = trader.book.quantity(symbol)
        contracts = min(state.quantity, max(0, closable(trader.book, ledger, symbol)))
        settled = held > 0 and trader.book.settled(symbol) == held
        if not contracts or not settled or trader.way.waits(symbol) or self._rests(state.position_id, symbol, now):
            return
        program = trader.ticks.of(symbol)
        terms = exit_terms(state, symbol, trader.guards.rules, program, trader.today())
        quote = trader.quotes.quote(symbol)
        if terms is None or quote is None or not quote.two_sided or quote.bid <= float(terms.stop):
            return  # below the stop the rules of exits.py decide, with their own idea of a believable price
        if terms.target is not None and float(terms.target) <= quote.ask:
            terms = type(terms)(terms.stop, None)
        intents = exits_for(state, symbol, contracts, terms, f"r{state.position_id}-{now:x}", now)
        book = trader.risk_book()
        stop = trader.gate.check_exit(intents[-1], {symbol: contracts}, program=program)
        effect = book.effect(state.strategy, (part_of(intents[-1].legs, contracts, ZERO),))
        if not stop.approved or effect.after.worse_than(effect.before, by=CENT):
            return  # it covers what was sold: a stop that fills alone would leave that bare, within the limits or not
        records = tuple(trader.desk.register(intent) for intent in intents)
        trader.lanes.exit(lambda: trader.desk.send_bracket(records, self._unwanted), records[0].intent.underlying)

    def _rests(self, plan_id: str, symbol: str, now: int) -> bool:
        """Its entry still works, a person took its exits away, or the last try is too young."""
        for record in self._trader.desk.ledger.records:
            intent = record.intent
            if intent.plan_id != plan_id:
                continue
            if record.working and any(leg.action.opens for leg in intent.legs):
                return True
            if intent.rests and intent.legs[0].symbol == symbol:
                pause = REFUSED_NS if record.state is OrderState.REJECTED else AGAIN_NS
                if record.unwanted or now - intent.created_ns < pause:
                    return True
        return False

    def _unwanted(self, record: OrderRecord) -> Reason | None:
        """Asked in the moment it would leave: is there still something to protect, and nothing that closes it?"""
        trader, symbol = self._trader, record.intent.legs[0].symbol
        guard = trader.guards.of(record.intent.plan_id)
        if trader.ladder.level >= Level.FLATTEN:
            return Reason.LADDER_HALT if trader.ladder.level is Level.HALT else Reason.LADDER_FLATTEN
        if guard is None or guard.goal > 0 or trader.way.waits(symbol):
            return Reason.NOTHING_TO_CLOSE
        others = trader.desk.ledger.closing(symbol, resting=False)
        enough = trader.book.settled(symbol) - others >= record.intent.quantity
        return None if enough else Reason.NOTHING_TO_CLOSE
