"""Each turn's stops: what is due leaves before anything else is looked at, in any mode and on any level but FLATTEN.

The trap: a stop never waits behind an order of ours that opens or rests; those give way here first.
"""

from __future__ import annotations

from collections.abc import Mapping

from qmterm.core.clock import NS
from qmterm.core.orders import OrderIntent, OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.ladder import Level
from qmterm.engine.orders.blocked_stops import BlockedStops
from qmterm.engine.orders.exposure import entries_of, openers, rolls_out_of
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.orders.structure import needed
from qmterm.engine.show.wording import describe_order, label, structure_label
from qmterm.engine.trader import Trader
from qmterm.risk.verdict import Verdict

_EXPOSES = (Reason.UNDEFINED_RISK, Reason.LIMIT_SYMBOL, Reason.LIMIT_STRATEGY)


class Protection:
    def __init__(self, trader: Trader) -> None:
        self._trader = trader
        self._blocked = BlockedStops(trader.desk.ledger, trader.log)
        trader.guards.forgotten, trader.guards.bereft = self._forgotten, self._bereft
        self._room: dict[str, int] = {}  # by position: market time since which orders that open are to go for its stop

    async def protect(self) -> None:
        """Run the stops, then turn what is due into closing orders or alarmed proposals."""
        trader = self._trader
        await trader.guards.look(self._announce, self._blinded)
        held = [guard for guard in trader.guards.all if guard.state.quantity > 0]
        going = (guard for guard in held if guard.goal > 0 or guard.state.latched is not None)
        stopped = {symbol for guard in going for symbol in guard.symbols}
        latched = {guard.state.position_id for guard in trader.guards.all if guard.state.latched is not None}
        ledger = trader.desk.ledger
        for record in (*rolls_out_of(ledger, stopped), *entries_of(ledger, latched)):
            _cancel(record)
        for waiting in trader.way.released():
            if not waiting.by_person:
                continue  # the machine asks anew below, for what is wanted by now: a fill may have met its goal
            verdict = trader.close(waiting.intent, by_person=waiting.by_person, approved=True)
            if not verdict.approved:
                reason = verdict.reason or Reason.NO_DATA
                text = f"not sent any more ({reason.value}): {describe_order(waiting.intent)}"
                trader.log.warn("ORD", text, waiting.intent.intent_id)
        if not trader.market_open() or trader.ladder.level is Level.FLATTEN:  # there everything is closed: flatten.py
            return
        held_up, due = (guard for guard in held if trader.guards.held_up(guard)), trader.guards.due()
        waited_since = trader.clock.now() - int(trader.settings.exit_reprice_s * NS)
        self._blocked.look(held_up, waited_since, trader.guards.waiting())
        spoken_for = needed((guard.legs, guard.state.quantity) for guard in held)
        for intent in (*trader.orphans.look(spoken_for), *due):
            verdict = trader.close(intent, by_person=False)
            if verdict.approved or not self._makes_room(intent, verdict):
                self._blocked.answered(intent, verdict)
                self._room.pop(intent.plan_id, None)

    def _makes_room(self, intent: OrderIntent, verdict: Verdict) -> bool:
        """Only orders that open, and lean on what the stop is to close, hold it back: they are cancelled first.

        False when it is not that, or when they did not go for as long as an order may stand.
        """
        trader, now = self._trader, self._trader.clock.now()
        if verdict.reason not in _EXPOSES:
            return False
        ledger = trader.desk.ledger
        leaning = found = openers(ledger, intent.underlying)
        if not leaning or not trader.judge_exit(intent, *leaning).approved:
            return False
        for record in found:  # no more than must go, but all that take each other's place
            others = tuple(other for other in leaning if ledger.root(other) is not ledger.root(record))
            if trader.judge_exit(intent, *others).approved:
                leaning = others
        for record in leaning:
            if not record.unwanted:
                stop = f"{intent.reason.value if intent.reason else ''} ({describe_order(intent)})"
                text = f"cancelled, as it holds {stop} back: {describe_order(record.intent)}"
                trader.log.alarm("STOP", text, intent.legs[0].symbol, order=record.intent.intent_id)
            _cancel(record)
        return now - self._room.setdefault(intent.plan_id, now) < trader.settings.exit_reprice_s * NS

    async def tidy(self) -> None:
        """Forget what guards nothing any more; that a trade of which a leg is left has lost its stops is said."""
        await self._trader.guards.tidy()

    def _bereft(self, guard: Guard) -> None:
        trader = self._trader
        if trader.ladder.level >= Level.FLATTEN:
            return  # everything goes, leg by leg
        left = " / ".join(label(symbol) for symbol in sorted(guard.symbols) if trader.book.quantity(symbol))
        text = f"{left} is left of {structure_label(guard.legs)}: the trade's stops no longer watch it"
        trader.log.alarm("STOP", text, guard.symbol)

    def _announce(self, guard: Guard, reason: Reason, numbers: Mapping[str, float | None]) -> None:
        self._trader.log.alarm("STOP", f"{reason.value}: {structure_label(guard.legs)}", guard.symbol, **numbers)

    def _forgotten(self, record: OrderRecord) -> None:
        text = f"filled after its stop was forgotten, nothing watches it: {describe_order(record.intent)}"
        self._trader.log.alarm("STOP", text, record.intent.legs[0].symbol, order=record.intent.intent_id)

    def _blinded(self, guard: Guard, why: Reason | None) -> None:
        symbol, name = guard.symbol, structure_label(guard.legs)
        if why is None:
            self._trader.log.info("STOP", f"the stop of {name} sees its stock again", symbol)
            return
        self._trader.log.alarm(
            "STOP",
            f"the stop of {name} is blind: the stock's price is refused ({why.value}); "
            "the position's own mark is still watched",
            symbol,
            reason=why.value,
        )


def _cancel(record: OrderRecord) -> None:
    """The sweep asks for it (oversight.py): a stop never waits behind an order that opens, nor beside its own entry."""
    record.gives_way |= not record.unwanted
    record.unwanted = True
    record.cancel_asked |= record.state is OrderState.INTENT
