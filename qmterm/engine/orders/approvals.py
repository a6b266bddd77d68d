"""A person answers: approve, reject, cancel, close, stage. Every one of these passes the same gate as a strategy."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

from qmterm.core.clock import NS
from qmterm.core.instruments import is_option
from qmterm.core.orders import Action, Leg, OrderIntent, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.ticks import round_price
from qmterm.engine.commands import (
    ApproveProposal,
    CancelOrder,
    ClosePosition,
    CommandResult,
    RejectProposal,
    StageOrder,
)
from qmterm.engine.orders.closes import close_position, named
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.orders.manual_plan import manual_plan
from qmterm.engine.orders.proposals import SHOWN_END, Proposal, drifted
from qmterm.engine.orders.staged import as_staged, bounded
from qmterm.engine.orders.walking import Grid, start_price
from qmterm.engine.show.wording import describe_order, label, price_text
from qmterm.engine.trader import Trader
from qmterm.risk.price_sanity import natural_price, unit_mid
from qmterm.risk.rolls import is_mixed
from qmterm.risk.verdict import Verdict

UNHURRIED = (Purpose.SCALE_OUT,)  # closes that start at the mid and are walked to the price that was approved


class Approvals:
    def __init__(self, trader: Trader) -> None:
        self._trader = trader

    def approve(self, command: ApproveProposal) -> CommandResult:
        """Send what the person saw. The proposal is consumed first: whatever happens, it is sent at most once."""
        trader = self._trader
        waiting = trader.proposals.find(command.proposal_id)
        if waiting is None:
            return CommandResult(False, trader.proposals.missing(command.proposal_id))
        if trader.clock.monotonic() >= waiting.expires_at:  # the turn that takes it away is still to come
            return CommandResult(False, "this proposal is gone: its shelf life is over; nothing was sent")
        if command.limit_seen != str(waiting.net_price):
            return CommandResult(
                False, f"the limit is {_shown(waiting.net_price)} now, not what you saw; look again and approve"
            )
        mid = unit_mid(waiting.legs, trader.quotes_of(waiting.legs))
        if waiting.purpose is Purpose.ENTRY and waiting.mid_seen is not None:
            if mid is None:
                return CommandResult(False, "no two-sided quote right now; nothing was sent")
            if drifted(waiting, mid, trader.settings.price_band):
                trader.proposals.take(waiting.proposal_id)
                trader.reject(waiting.underlying, Reason.PRICE_MOVED, {"seen": waiting.mid_seen, "mid": mid})
                return CommandResult(False, f"the mid moved from {waiting.mid_seen:.2f} to {mid:.2f}; nothing was sent")
        proposal = trader.proposals.take(waiting.proposal_id)
        if proposal is None:
            return CommandResult(False, "already answered")
        if proposal.purpose is Purpose.ENTRY:
            return self._send_entry(proposal)
        return self._send_exit(proposal)

    def _send_entry(self, proposal: Proposal) -> CommandResult:
        trader = self._trader
        plan = proposal.plan
        if plan is None:
            return CommandResult(False, "this proposal has no plan; nothing was sent")
        # The plan's own life was judged when it was made; a person's answer has the proposal's shelf life instead.
        alive = replace(plan, expires_ns=max(plan.expires_ns, trader.clock.now() + NS))
        staged = proposal.order
        if staged is not None and staged.worst_price is not None:
            staged = bounded(staged, trader.quotes_of(staged.legs), trader.ticks.of(staged.legs[0].symbol))
            if not is_mixed(staged):  # what a roll opens is judged at its own price
                alive = replace(alive, net_price=max(alive.net_price, staged.worst_price or alive.net_price))
        verdict = trader.judge(alive, trader.risk_book(), proposal.quantity, staged)
        trader.trail.add_plan(plan, verdict)
        if not verdict.approved:
            reason = verdict.reason or Reason.NO_DATA
            trader.reject(plan.underlying, reason, verdict.numbers, plan)
            return CommandResult(False, f"the risk gate refuses it now: {_no(verdict)}; nothing was sent", refused=True)
        intent = as_staged(trader.intent_of(plan, verdict.contracts), staged)
        trader.journal.decision(
            plan.underlying, "approved", trader.clock.now(), plan=plan, reason=verdict.reason, numbers=verdict.numbers
        )
        trader.send_entry(plan, intent, trader.clock.monotonic())
        return CommandResult(True, f"sending {describe_order(intent)}", named(intent, sent=True))

    def _send_exit(self, proposal: Proposal) -> CommandResult:
        """Close at the price the person saw, or at a better one if the market offers it now."""
        trader = self._trader
        price = proposal.net_price
        grid = Grid(proposal.legs, trader.ticks.of(proposal.legs[0].symbol))
        natural = natural_price(proposal.legs, proposal.quantity, trader.quotes_of(proposal.legs))
        if proposal.order is None and price is not None and natural is not None:
            price = max(price, grid.theirs(natural))  # the natural price of a spread may lie between two
        staged, worst = proposal.order, None
        if proposal.order is None and price is not None and trader.settings.walk and proposal.purpose in UNHURRIED:
            start = start_price(grid, trader.quotes_of(proposal.legs), price)
            price, worst = (price, None) if start is None else (start, price)
        intent = OrderIntent(
            intent_id=proposal.proposal_id.removeprefix("p"),
            created_ns=trader.clock.now(),
            strategy=proposal.strategy,
            underlying=proposal.underlying,
            purpose=proposal.purpose,
            legs=proposal.legs,
            quantity=proposal.quantity,
            net_price=price,
            plan_id=proposal.plan_id,
            reason=proposal.reason,
            worst_price=worst,
        )
        if staged is not None:
            intent = as_staged(intent, staged)
        verdict = trader.close(intent, by_person=True, approved=True)
        if not verdict.approved:
            return CommandResult(False, f"refused: {_no(verdict)}", refused=True)
        text = f"{trader.way.words(intent, 'sending')} {describe_order(intent)}"
        return CommandResult(True, text, named(intent, sent=True))

    async def reject(self, command: RejectProposal) -> CommandResult:
        proposals = self._trader.proposals
        proposal = proposals.find(command.proposal_id)
        if proposal is None:
            return CommandResult(False, proposals.missing(command.proposal_id))
        proposals.take(proposal.proposal_id)
        self._trader.journal.decision(
            proposal.underlying,
            "rejected by a person",
            self._trader.clock.now(),
            plan=proposal.plan,
            reason=Reason.PROPOSAL_REJECTED,
        )
        if Reason.ORPHAN_LEG.value in proposal.why:
            self._trader.orphans.call_off(proposal.legs[0].symbol)
        elif proposal.purpose is Purpose.ENTRY:
            self._trader.leave_alone(proposal.underlying)  # a no is not asked again at once
        elif proposal.alarm:  # no to a close of one's own is no word about the stop
            await self._trader.guards.call_off(proposal.plan_id)
        self._trader.log.info("PLAN", f"rejected by you: {proposal.underlying}", proposal.plan_id)
        return CommandResult(True, "rejected")

    async def cancel(self, command: CancelOrder) -> CommandResult:
        if command.order_id == "all":
            working = self._trader.desk.ledger.working
            dropped = self._trader.way.drop("by you")  # what waits for one of these to go would leave in its place
            for each in working:
                each.unwanted = each.unwanted or each.intent.rests
                _not_wanted(each)
            answers = await asyncio.gather(*(self._trader.desk.cancel(record, "by you") for record in working))
            said = [*dropped, *answers]
            return CommandResult(all(_asked(text) for text in said), "\n".join(said) or "no working orders", said)
        waited = self._trader.way.drop_one(command.order_id, "by you")
        if waited is not None:
            return CommandResult(True, waited)
        record = self.find_order(command.order_id)
        if record is None:
            return CommandResult(False, f"no order {command.order_id!r}")
        ledger = self._trader.desk.ledger
        for other in ledger.working:
            if other is not record and ledger.root(other) is ledger.root(record):
                other.unwanted = True
                _not_wanted(other)  # what takes its place must go as well, the sweep sees to it
                if not record.working:  # the screen still showed the one before
                    record = other
        if record.intent.rests:
            for member in ledger.bracket(record):
                member.unwanted = True  # not put back: resting.py
        _not_wanted(record)
        text = await self._trader.desk.cancel(record, "by you")
        return CommandResult(_asked(text), text)

    def find_order(self, name: str) -> OrderRecord | None:
        """By our id, the broker's, or the unique end of ours that the screen shows: never by less than that."""
        ledger = self._trader.desk.ledger
        exact = ledger.get(name)
        if exact is not None:
            return exact
        numbered = [record for record in ledger.records if record.broker_id == name]
        ends = [record for record in ledger.records if record.intent.intent_id.endswith(name)]
        matches = numbered or (ends if len(name) >= SHOWN_END else [])
        return matches[0] if len(matches) == 1 else None

    def close(self, command: ClosePosition) -> CommandResult:
        return close_position(self._trader, command)

    def stage(self, command: StageOrder) -> CommandResult:
        """A single leg picked by hand. Selling what is not held would open an undefined risk: refused."""
        trader = self._trader
        if not is_option(command.symbol):
            return CommandResult(False, f"{command.symbol!r} is not an option contract")
        if command.quantity < 1:
            return CommandResult(False, "the quantity must be at least 1")
        held = trader.book.quantity(command.symbol)
        if (held > 0 and not command.buys) or (held < 0 and command.buys):
            return self.close(ClosePosition(command.symbol))
        if not command.buys:
            return CommandResult(False, f"{label(command.symbol)} is not held; selling it naked is undefined risk")
        quote = trader.quotes.quote(command.symbol)
        if quote is None or not quote.two_sided:
            return CommandResult(False, f"{label(command.symbol)} has no two-sided quote right now")
        mid = Decimal(str(round((quote.bid + quote.ask) / 2, 4)))
        limit = round_price(trader.ticks.of(command.symbol), mid, buys=True)
        plan = manual_plan(trader, (Leg(command.symbol, Action.BUY_TO_OPEN, 1),), -limit, mid)
        verdict = trader.open(plan, trader.clock.monotonic(), wanted=command.quantity, propose=True)
        if not verdict.approved:
            return CommandResult(False, f"the risk gate refuses it: {_no(verdict)}", refused=True)
        if not any(proposal.plan is plan for proposal in trader.proposals.waiting):
            name = plan.underlying
            return CommandResult(False, f"an entry of yours in {name} waits in pane 5 already: answer it first")
        cut = verdict.contracts < command.quantity and verdict.reason is not None
        why = f" ({command.quantity} wanted, {verdict.reason.value} allows no more)" if cut and verdict.reason else ""
        return CommandResult(True, f"proposed BUY {verdict.contracts} {label(command.symbol)}{why}; approve it with a")


def _not_wanted(record: OrderRecord) -> None:
    """A person's cancel holds for an order that the broker has not named yet too: the sweep asks as soon as it can."""
    if record.state is OrderState.INTENT:
        record.cancel_asked = True
    elif record.broker_id is None and record.working:
        record.unwanted = True


def _shown(price: Decimal | None) -> str:
    return "none" if price is None else price_text(price)


def _asked(text: str) -> bool:
    return text.startswith("cancel asked") or "not sent" in text


def _no(verdict: Verdict) -> str:
    """Code and sentence of a refusal."""
    return f"{verdict.reason.value}: {verdict.sentence}" if verdict.reason else "no reason was given"
