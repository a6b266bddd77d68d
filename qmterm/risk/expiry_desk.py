"""The expiry desk: how each option of the book ends, what may go wrong there, and what is planned against it.

Pure: positions, prices and the calendar in, one line a position out. The trap is silence: a position whose stock nobody
quotes on its last day is the most dangerous of all, so what is not known is a finding too, with the reason.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from qmterm.core.calendar import SessionCalendar, years_to
from qmterm.core.instruments import OptionContract, Right, is_option, parse_option, underlying_of
from qmterm.core.reasons import Reason
from qmterm.risk.assignment import EarlyAssignment, short_call, short_put
from qmterm.risk.exercise import cash_at_settlement, consequence, in_the_money
from qmterm.risk.expiry_clock import ContractEnd, contract_end
from qmterm.risk.expiry_judgement import findings, planned
from qmterm.risk.expiry_line import DeskRules, ExpiryLine, HeldOption, PinDistance, PlannedAction, StockFacts
from qmterm.risk.orphans import Leg, left_alone, newly_bare

PIN_SHARE, PIN_MOVE = 0.005, 0.25  # of the stock's price; of what it is still expected to move


class ExpiryDesk:
    """One look at the whole book. `rate(years)` is the continuously compounded rate to a maturity."""

    def __init__(self, calendar: SessionCalendar, rules: DeskRules, rate: Callable[[float], float]) -> None:
        self._calendar = calendar
        self._rules = rules
        self._rate = rate

    def look(
        self,
        held: Sequence[HeldOption],
        stocks: Mapping[str, StockFacts],
        now_ns: int,
        *,
        buying_power: Decimal | None,
        put_mids: Mapping[str, float] | None = None,
    ) -> tuple[ExpiryLine, ...]:
        """Every option held, the most pressing first. `put_mids`: the same-strike put's mid, by the call's symbol."""
        groups: defaultdict[str, list[HeldOption]] = defaultdict(list)
        for position in held:
            if position.quantity:
                groups[underlying_of(position.symbol)].append(position)
        lines = []
        for underlying, group in groups.items():
            facts = stocks.get(underlying, StockFacts(reason=Reason.NO_QUOTE))
            for position in group:
                if is_option(position.symbol):
                    line = self._line(position, group, facts, now_ns, buying_power, put_mids or {})
                    lines.append(line)
        return tuple(sorted(lines, key=lambda line: (-line.severity, line.end.stops_trading_ns, line.symbol)))

    def _line(
        self,
        position: HeldOption,
        group: Sequence[HeldOption],
        facts: StockFacts,
        now_ns: int,
        buying_power: Decimal | None,
        put_mids: Mapping[str, float],
    ) -> ExpiryLine:
        contract = parse_option(position.symbol)
        end = contract_end(self._calendar, contract, now_ns, self._rules.cutoff_min, self._rules.lead_min)
        spot, strike = facts.spot, float(contract.strike)
        shares = sum(other.quantity for other in group if not is_option(other.symbol))
        together = [
            (other_contract, other.quantity)
            for other in group
            if is_option(other.symbol)
            and (other_contract := parse_option(other.symbol)).expiry == contract.expiry
            and other_contract.root == contract.root
        ]
        exercise = None
        if not end.cash_settled:
            exercise = consequence(
                together, spot, shares_held=shares, buying_power=buying_power, margin_share=self._rules.margin_share
            )
        after = shares + (exercise.shares if exercise is not None else 0)
        legs = [Leg(other.symbol, other.quantity, other.trade) for other in group]
        intrinsic = None if spot is None else max(0.0, (spot - strike) * contract.right.sign)
        line = ExpiryLine(
            symbol=position.symbol,
            quantity=position.quantity,
            strategy=position.strategy,
            trade=position.trade,
            end=end,
            spot=spot,
            in_the_money=None if spot is None else in_the_money(contract, spot),
            extrinsic=None if position.mark is None or intrinsic is None else max(0.0, position.mark - intrinsic),
            pin=self._pin(position, strike, facts, end, now_ns),
            assignment=self._assignment(position, contract, facts, end, now_ns, put_mids),
            exercise=exercise,
            settles_for=cash_at_settlement(contract, position.quantity, spot) if end.cash_settled else None,
            bare=newly_bare(legs, contract, shares, after),
            alone=left_alone(legs, position.symbol),
            action=PlannedAction(),
        )
        found = findings(line, contract, facts, now_ns)
        return replace(line, findings=found, action=planned(line, contract, now_ns))

    def _pin(
        self, position: HeldOption, strike: float, facts: StockFacts, end: ContractEnd, now_ns: int
    ) -> PinDistance:
        if facts.spot is None:
            return PinDistance(None, None, facts.reason or Reason.NO_QUOTE)
        band = PIN_SHARE * facts.spot
        if position.vol is not None:
            band = max(band, PIN_MOVE * facts.spot * position.vol * math.sqrt(years_to(now_ns, end.expires_ns)))
        # Without a volatility the band is only its least width, and says so.
        return PinDistance(abs(facts.spot - strike), band, None if position.vol is not None else Reason.NO_DATA)

    def _assignment(
        self,
        position: HeldOption,
        contract: OptionContract,
        facts: StockFacts,
        end: ContractEnd,
        now_ns: int,
        put_mids: Mapping[str, float],
    ) -> EarlyAssignment:
        if position.quantity > 0 or end.european:
            return EarlyAssignment()
        rate = self._rate(years_to(now_ns, end.expires_ns))
        strike = float(contract.strike)
        if contract.right is Right.PUT:
            return short_put(
                now_ns, strike=strike, expires_ns=end.expires_ns, spot=facts.spot, mark=position.mark, rate=rate
            )
        return short_call(
            self._calendar,
            now_ns,
            strike=strike,
            expires_ns=end.expires_ns,
            spot=facts.spot,
            mark=position.mark,
            put_mid=put_mids.get(position.symbol),
            rate=rate,
            dividends=facts.dividends,
            dividends_known=facts.dividends_known,
        )
