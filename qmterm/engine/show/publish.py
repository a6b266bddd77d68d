"""Builds the snapshot a screen sees. Reads everything, changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal

import numpy as np

from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.signals import SignalState
from qmterm.engine.orders.book import Position
from qmterm.engine.orders.closes import name_of
from qmterm.engine.orders.exposure import largest_trade, open_risk
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.orders.proposals import Proposal
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.chainview import ChainLook, known
from qmterm.engine.show.greeks import PositionGreeks, days_left
from qmterm.engine.show.portfolio import PortfolioLook, ends_text
from qmterm.engine.show.proposal_market import delta_change, market_of
from qmterm.engine.show.wording import describe_leg, label, premium_level, terms_short
from qmterm.engine.signals.entries import Entries
from qmterm.engine.signals.scanning import Scanning
from qmterm.engine.trader import Trader
from qmterm.engine.view import (
    FlowView,
    HeaderView,
    LimitUse,
    OrderRow,
    PositionView,
    ProposalView,
    RiskView,
    ScanRow,
    ScanView,
    Snapshot,
)
from qmterm.engine.view_portfolio import ExpiryView, PortfolioView
from qmterm.strategy.matrix_columns import GATES

SCAN_ROWS = 250  # shown at most: every setup and every symbol near one; the rest is counted
SHOWN_FIRST = (SignalState.ENTRY_LONG, SignalState.ENTRY_SHORT, SignalState.SCALE_OUT)


class Publisher:
    def __init__(
        self,
        trader: Trader,
        scanning: Scanning,
        entries: Entries,
        look: ChainLook,
        calendar: SessionCalendar,
        clock: Clock,
        log: RunLog,
        risk: RiskSettings,
        portfolio: PortfolioLook,
        header: Callable[[], HeaderView],
        flow: Callable[[], FlowView],
        source_of: Callable[[str], str] = lambda symbol: "",
    ) -> None:
        self._trader = trader
        self._scanning = scanning
        self._entries = entries
        self._look = look
        self._calendar = calendar
        self._clock = clock
        self._log = log
        self._risk = risk
        self._portfolio = portfolio
        self._header = header
        self._source_of = source_of  # who told a symbol's quote, "" = the data vendor
        self._flow = flow
        self._version = 0
        self._scan_rows: tuple[int | None, tuple[ScanRow, ...]] = (None, ())

    @property
    def header(self) -> HeaderView:
        return self._header()

    def portfolio(self) -> PortfolioView:
        return self._portfolio.view()

    def expiry(self) -> tuple[ExpiryView, ...]:
        return self._portfolio.expiry()

    def snapshot(self) -> Snapshot:
        self._version += 1
        trader = self._trader
        greeks = self._portfolio.greeks
        symbol = self._look.symbol
        return Snapshot(
            version=self._version,
            header=self._header(),
            scan=self._scan(),
            chain=self._look.view(
                self._scanning.previous_close(symbol) if symbol else None,
                self._scanning.hv20(symbol) if symbol else None,
            ),
            positions=tuple(self._positions(greeks)),
            risk=self._risk_view(greeks),
            orders=tuple(self._order(r) for r in sorted(self._shown_orders(), key=_newest_first)[:200]),
            proposals=tuple(self._proposal(p, greeks) for p in trader.proposals.waiting),
            flow=self._flow(),
            portfolio=self._portfolio.view(),
            expiry=self._portfolio.expiry(),
            log=self._log.lines,
        )

    # --- scanner ---

    def _scan(self) -> ScanView:
        result = self._scanning.result
        if result is None:
            return ScanView(symbols=self._scanning.symbols)
        at = self._scanning.scanned_ns
        if self._scan_rows[0] != at:
            self._scan_rows = (at, self._make_rows())
        rejected = dict(self._entries.rejected)
        covered = self._scanning.covered()
        return ScanView(
            rows=self._scan_rows[1],
            symbols=len(result),
            live=int(result.live.sum()),
            entries=sum(result.states.get(state, 0) for state in SHOWN_FIRST[:2]),
            scanned_ns=at,
            scan_ms=self._scanning.scan_ms,
            rejected=rejected,
            coverage_pct=covered.pct,
            oldest_age_s=covered.oldest_age_s,
            skipped=covered.skipped,
        )

    def _make_rows(self) -> tuple[ScanRow, ...]:
        result = self._scanning.result
        if result is None:
            return ()
        first = result.rows_in(*SHOWN_FIRST)
        others = result.order[~np.isin(result.order, first)]
        rows = [*first.tolist(), *others[: max(0, SCAN_ROWS - len(first))].tolist()]
        held = {position.underlying for position in self._trader.book.positions}
        matrix = result.matrix
        out = []
        for row in rows:
            symbol = result.symbols[row]
            mask = int(matrix.failed[row])
            close = known(matrix.close[row])
            before = self._scanning.previous_close(symbol)
            out.append(
                ScanRow(
                    symbol=symbol,
                    last=close,
                    change_pct=(close / before - 1) * 100 if close and before else None,
                    atr_distance=known(matrix.atr_distance[row]),
                    atr_pct_multiple=known(matrix.atr_pct_multiple[row]),
                    atr_pct=known(matrix.atr_percent[row]),
                    position_20d=known(matrix.price_position_20d[row]),
                    rvol=known(result.rvol[row]),
                    hv20=known(result.hv20[row]),
                    iv_hv=None,
                    strength=known(matrix.strength[row]),
                    confidence=known(matrix.confidence[row]),
                    risk_reward=known(matrix.risk_reward[row]),
                    state=result.state(row).value,
                    failed=tuple(gate.value for bit, gate in enumerate(GATES) if mask & (1 << bit)),
                    note="held" if symbol in held else self._entries.notes.get(symbol, ""),
                    age_s=self._scanning.price_age_s(row),
                    code=self._scanning.price_code(row),
                )
            )
        return tuple(out)

    # --- positions and risk ---

    def _positions(self, greeks: Mapping[str, PositionGreeks]) -> list[PositionView]:
        trader, now = self._trader, self._clock.now()
        ending = {row.symbol: row for row in self._portfolio.expiry()}
        views = []
        plans = Counter(position.plan_id for position in trader.book.positions)
        for position in trader.book.positions:
            alone = plans[position.plan_id] == 1
            mark = trader.marks.of(position.symbol)
            spot = self._scanning.last(position.underlying)
            guard = trader.guards.of(position.plan_id)
            stop = guard.state.stop if guard is not None and guard.state.stop > 0 else None
            unrealized = position.unrealized(mark.price) if mark else None
            cost = abs(position.average * position.quantity * position.multiplier)
            found = greeks.get(position.symbol)
            views.append(
                PositionView(
                    position_id=name_of(trader, position) if alone else position.symbol,
                    trade_id="" if alone else position.plan_id,
                    symbol=position.symbol,
                    label=label(position.symbol),
                    underlying=position.underlying,
                    strategy=position.strategy,
                    quantity=position.quantity,
                    dte=days_left(position.symbol, now),
                    average_price=position.average,
                    mark=mark.price if mark else None,
                    mark_flag=(mark.flag or self._source_of(position.symbol)) if mark else "none",
                    unrealized=unrealized,
                    unrealized_pct=float(unrealized / cost * 100) if unrealized is not None and cost else None,
                    delta=found.delta if found else None,
                    theta=found.theta if found else None,
                    vega=found.vega if found else None,
                    spot=spot,
                    stop=stop,
                    stop_distance_pct=(spot - stop) / spot * 100 if spot and stop else None,
                    premium_stop=None if guard is None else premium_level(guard.state, self._risk.premium_stop),
                    next_target=trader.guards.next_target(position.plan_id),
                    horizon=guard.state.horizon_date if guard else None,
                    rules=trader.guards.text(position.plan_id, et_date(now)),
                    crossing=self._crossing(position, mark.price) if mark else None,
                    ends=ends_text(ending.get(position.symbol)),
                    ends_severity=ending[position.symbol].severity if position.symbol in ending else "",
                )
            )
        return views

    def _crossing(self, position: Position, mark: Decimal) -> Decimal | None:
        """Dollars that closing at the far side gives away against the mark; None when that side is not quoted."""
        quote = self._trader.quotes.quote(position.symbol)
        side = 0.0 if quote is None else quote.bid if position.quantity > 0 else quote.ask
        if side <= 0:
            return None
        return max(Decimal(0), position.value(mark) - position.value(Decimal(str(round(side, 4)))))

    def _risk_view(self, greeks: Mapping[str, PositionGreeks]) -> RiskView:
        trader = self._trader
        nlv, book = trader.marks.nlv, trader.risk_book()
        delta = gamma = 0.0
        for position in trader.book.positions:
            found, spot = greeks.get(position.symbol), self._scanning.last(position.underlying)
            if found is not None and spot is not None:
                delta += found.delta * spot
                gamma += found.gamma * spot * spot / 100
        largest = max(book.risk_by_symbol.items(), key=lambda item: item[1], default=("", Decimal(0)))
        busiest = max(book.risk_by_strategy.items(), key=lambda item: item[1], default=("", Decimal(0)))
        share = {name: Decimal(str(getattr(self._risk, name))) * nlv for name in _LIMITS}
        return RiskView(
            delta_dollars=delta,
            gamma_dollars_1pct=gamma,
            theta_day=_total([g.theta for g in greeks.values()]),
            vega_point=sum(g.vega for g in greeks.values()),
            open_risk=open_risk(trader.book, trader.desk.ledger),
            limits=(
                LimitUse("trade", largest_trade(trader.book, trader.desk.ledger, book), share["max_trade_risk"]),
                LimitUse("symbol", largest[1], share["max_symbol_risk"], largest[0]),
                LimitUse("strategy", busiest[1], share["max_strategy_risk"], busiest[0]),
                LimitUse("cash", trader.book.cash, share["cash_reserve"], "must stay above"),
            ),
            realized=trader.book.realized,
            unrealized=trader.marks.unrealized,
            fees=trader.book.fees,
        )

    # --- orders and proposals ---

    def _shown_orders(self) -> list[OrderRecord]:
        """Every order but the steps of a price that others took the place of; those with fills stay."""
        ledger = self._trader.desk.ledger
        return [r for r in ledger.records if r.fills or ledger.taken_over(r) is None]

    def _order(self, record: OrderRecord) -> OrderRow:
        intent, now = record.intent, self._clock.now()
        quote = self._trader.quotes.quote(intent.legs[0].symbol) if intent.legs else None
        mid = quote.mid if quote else None
        return OrderRow(
            order_id=intent.intent_id,
            short_id=intent.intent_id[-4:],
            time_ns=intent.created_ns,
            text=" / ".join(describe_leg(leg) for leg in intent.legs),
            limit=terms_short(intent),
            mid="–" if mid is None else f"{mid:.2f}",
            filled=f"{record.filled_units}/{intent.quantity}",
            state=record.state.value,
            working=record.working,
            purpose=intent.purpose.value,
            external=record.external,
            age_s=max(0, now - intent.created_ns) / NS,
            reason=record.reason or (intent.reason.value if intent.reason else ""),
        )

    def _proposal(self, proposal: Proposal, greeks: Mapping[str, PositionGreeks]) -> ProposalView:
        trader, now = self._trader, self._clock.now()
        quotes = trader.quotes_of(proposal.legs)
        bid, mid, ask = market_of(proposal, quotes)
        ages = [quote.age_s(now) for quote in quotes.values()]
        numbers = proposal.plan.numbers if proposal.plan else {}
        before = sum(found.delta for found in greeks.values())
        change = delta_change(proposal, greeks, trader.book.quantity)
        return ProposalView(
            proposal_id=proposal.proposal_id,
            time_ns=proposal.created_ns,
            expires_in_s=max(0.0, proposal.expires_at - self._clock.monotonic()),
            text=" / ".join(describe_leg(leg) for leg in proposal.legs),
            purpose=proposal.purpose.value,
            underlying=proposal.underlying,
            legs=tuple(describe_leg(leg) for leg in proposal.legs),
            limit=proposal.net_price,
            bid=bid,
            mid=mid,
            ask=ask,
            quote_age_s=max(ages) if len(ages) == len(proposal.legs) else None,
            quantity=proposal.quantity,
            max_loss=proposal.max_loss,
            buying_power=proposal.buying_power,
            delta_before=before,
            delta_after=None if change is None else before + change,
            binding=proposal.binding,
            numbers=dict(numbers),
            why=proposal.why,
            warnings=proposal.warnings,
            alarm=proposal.alarm,
        )


_LIMITS = ("max_trade_risk", "max_symbol_risk", "max_strategy_risk", "cash_reserve")


def _newest_first(record: OrderRecord) -> tuple[bool, int]:
    return (not record.working, -record.intent.created_ns)


SESSION_WORD = {Phase.PRE: "pre", Phase.REGULAR: "regular", Phase.POST: "post", Phase.CLOSED: "closed"}


def _total(parts: list[float | None]) -> float | None:
    """The sum; unknown when a part is, for a sum without it would be a wrong number."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
