"""The portfolio as a screen or a shell sees it: profit, risk measures, concentration, allocation, expiries.

Reads what the keeper and the expiry watch hold; the heavy maths was done on the compute thread. The trap: NaN is a
number to Python. Everything that leaves here is a number or None, and what is None has its reason in `unknown`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

from qmterm.core.clock import to_et
from qmterm.core.instruments import underlying_of
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.portfolio.broker_figures import BrokerFigures
from qmterm.engine.portfolio.expiry import ExpiryWatch
from qmterm.engine.portfolio.keeper import MARKET, PortfolioKeeper
from qmterm.engine.portfolio.measure import Measured
from qmterm.engine.show.greeks import PositionGreeks
from qmterm.engine.show.wording import label
from qmterm.engine.trader import Trader
from qmterm.engine.view_portfolio import (
    ExpiryView,
    FindingView,
    LotView,
    PortfolioView,
    ProfitView,
    StrategyView,
    StressView,
    TailView,
    TradeView,
    UnderlyingView,
)
from qmterm.market.analysis.cache import Kind
from qmterm.quant.book.stress import StressMatrix
from qmterm.risk.expiry_line import ExpiryLine
from qmterm.risk.lots import Lot
from qmterm.risk.profit import Accounts, Profit, Trade

ZERO = Decimal(0)


class Peek(Protocol):
    """What was read of companies (market/analysis/cache.py); nothing is asked for the screen's sake."""

    def peek(self, kind: Kind, key: str) -> Any: ...


class PortfolioLook:
    def __init__(
        self,
        trader: Trader,
        keeper: PortfolioKeeper,
        expiry: ExpiryWatch,
        risk: RiskSettings,
        companies: Peek,
        figures: BrokerFigures,
    ) -> None:
        self._trader = trader
        self._keeper = keeper
        self._expiry = expiry
        self._risk = risk
        self._companies = companies
        self._figures = figures

    @property
    def greeks(self) -> Mapping[str, PositionGreeks]:
        return self._keeper.greeks

    def expiry(self) -> tuple[ExpiryView, ...]:
        return tuple(_expiry_view(line) for line in self._expiry.lines)

    def view(self) -> PortfolioView:
        trader, measured = self._trader, self._keeper.latest
        books = self._keeper.accounts()
        nlv, balance = trader.marks.nlv, trader.balance
        total = None if measured.exposure is None else measured.exposure.total
        power = balance.option_buying_power if balance else None
        return PortfolioView(
            measured_ns=measured.now_ns or None,
            took_ms=measured.took_ms,
            positions=len(trader.book.positions),
            beta_delta=_sum(measured, "beta_weighted_delta"),
            market=MARKET,
            delta_dollars=_sum(measured, "dollar_delta"),
            gamma_dollars_1pct=_sum(measured, "gamma_1pct"),
            theta_day=0.0 if total is None else _known(total.theta),
            vega_point=0.0 if total is None else _known(total.vega),
            weighted_vega=0.0 if total is None else _known(total.weighted_vega),
            stress=_stress("market", measured.market),
            stress_each=_stress("each", measured.each),
            tails=tuple(
                TailView(tail.method, tail.level, tail.var, tail.es, tail.reason.value if tail.reason else "")
                for tail in measured.tails
            ),
            tail_days=measured.days,
            assumed_vols=sum(found.assumed for found in measured.greeks.values()),
            unknown={symbol: reason.value for symbol, reason in measured.unknown.items()},
            nlv=nlv,
            buying_power=power,
            buying_power_used_pct=float((nlv - power) / nlv * 100) if power is not None and nlv > 0 else None,
            maintenance=balance.maintenance_requirement if balance else None,
            total=_profit(books.total),
            day=_profit(books.day),
            trades=tuple(self._trade(trade) for trade in books.trades),
            strategies=self._strategies(books, nlv),
            underlyings=self._underlyings(measured, nlv),
            broker_fees=self._figures.fees_today,
            broker_checked_ns=self._figures.checked_ns,
            drift=self._figures.drift,
        )

    def _trade(self, trade: Trade) -> TradeView:
        lots = tuple(self._lot(lot) for lot in trade.lots)
        return TradeView(trade.strategy, trade.trade, trade.underlying, trade.opened_ns, _profit(trade.profit), lots)

    def _lot(self, lot: Lot) -> LotView:
        mark = self._trader.marks.of(lot.symbol)
        price = None if mark is None or mark.flag == "no quote" else mark.price
        return LotView(
            lot.symbol,
            label(lot.symbol),
            lot.quantity,
            lot.price,
            lot.opened_ns,
            lot.fill_id,
            price,
            None if price is None else lot.unrealized(price),
            lot.fees,
        )

    def _strategies(self, books: Accounts, nlv: Decimal) -> tuple[StrategyView, ...]:
        """Every strategy that holds, trades or earned something: what it used of its share of the account."""
        used = self._trader.risk_book().risk_by_strategy
        limit = (Decimal(str(self._risk.max_strategy_risk)) * nlv).quantize(Decimal("0.01"))
        count: defaultdict[str, int] = defaultdict(int)
        for trade in books.trades:
            count[trade.strategy] += bool(trade.lots)
        names = sorted({*books.strategies, *(name for name, risk in used.items() if risk)})
        return tuple(
            StrategyView(
                name,
                _profit(books.strategies.get(name, Profit())),
                count[name],
                used.get(name, ZERO),
                limit,
                max(ZERO, limit - used.get(name, ZERO)),
            )
            for name in names
        )

    def _underlyings(self, measured: Measured, nlv: Decimal) -> tuple[UnderlyingView, ...]:
        value: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        unknown: set[str] = set()
        for position in self._trader.book.positions:
            mark = self._trader.marks.of(position.symbol)
            if mark is None or mark.flag == "no quote":
                unknown.add(position.underlying)
            else:
                value[position.underlying] += position.value(mark.price)
        delta: defaultdict[str, float] = defaultdict(float)
        if measured.exposure is not None:
            for symbol, dollars in zip(measured.symbols, measured.exposure.per_position.dollar_delta, strict=True):
                delta[underlying_of(symbol)] += float(dollars)
        rows = []
        for name in {*value, *unknown}:
            worth = None if name in unknown else value[name]
            beta = measured.betas.get(name)
            rows.append(
                UnderlyingView(
                    underlying=name,
                    sector=self._sector(name),
                    value=worth,
                    share=float(abs(worth) / nlv) if worth is not None and nlv > 0 else None,
                    delta_dollars=_known(delta[name]) if name in delta else None,
                    beta=None if beta is None else beta.beta,
                    beta_assumed=beta is None or beta.assumed,
                )
            )
        return tuple(sorted(rows, key=lambda row: (-(row.share or 0.0), row.underlying)))

    def _sector(self, underlying: str) -> str:
        found = self._companies.peek(Kind.COMPANY, underlying)
        return "" if found is None else found.value.sector


def _known(number: object) -> float | None:
    value = float(number)  # type: ignore[arg-type]
    return value if math.isfinite(value) else None


def _sum(measured: Measured, name: str) -> float | None:
    """Of an empty book 0; None as soon as one position is not known."""
    return 0.0 if measured.exposure is None else _known(getattr(measured.exposure.total, name))


def _stress(mode: str, matrix: StressMatrix | None) -> StressView:
    if matrix is None:
        return StressView(mode)
    cells = tuple(tuple(_known(cell) for cell in row) for row in matrix.total.T.tolist())
    known = [cell for row in cells for cell in row if cell is not None]
    return StressView(
        mode,
        tuple(matrix.spot_shifts.tolist()),
        tuple(matrix.vol_shifts.tolist()),
        cells,
        min(known) if known and len(known) == len(cells) * len(cells[0]) else None,
    )


def _profit(profit: Profit) -> ProfitView:
    return ProfitView(profit.realized, profit.unrealized, profit.fees, profit.net, profit.unmarked, profit.unpriced)


def _expiry_view(line: ExpiryLine) -> ExpiryView:
    end, early, done = line.end, line.assignment, line.exercise
    return ExpiryView(
        symbol=line.symbol,
        label=label(line.symbol),
        strategy=line.strategy,
        trade=line.trade,
        quantity=line.quantity,
        severity=line.severity.name.lower(),
        dte=end.dte,
        sessions_left=end.sessions_left,
        settlement=end.settlement.value,
        cash_settled=end.cash_settled,
        half_day=end.half_day,
        expires_ns=end.expires_ns,
        stops_trading_ns=end.stops_trading_ns,
        cutoff_ns=end.cutoff_ns,
        spot=line.spot,
        spot_reason=line.pin.reason.value if line.spot is None and line.pin.reason else "",
        in_the_money=line.in_the_money,
        extrinsic=line.extrinsic,
        pin_distance=line.pin.distance,
        pin_band=line.pin.band,
        pin_reason=line.pin.reason.value if line.pin.reason else "",
        assignment=early.chance.name,
        assignment_cause=early.cause,
        assignment_reason=early.reason.value if early.reason else "",
        ex_date=early.ex_date.isoformat() if early.ex_date else "",
        shares=None if done is None else done.shares,
        cash=line.settles_for if done is None else done.cash,
        buying_power_after=None if done is None else done.buying_power_after,
        buying_power_reason=done.reason.value if done is not None and done.reason else "",
        bare=tuple(bare.symbol for bare in line.bare),
        alone=line.alone,
        action=line.action.deed.value,
        action_text=line.action.text,
        action_by_ns=line.action.by_ns,
        closes=line.action.closes,
        findings=tuple(
            FindingView(finding.code.value, finding.severity.name.lower(), finding.text) for finding in line.findings
        ),
    )


def ends_text(row: ExpiryView | None) -> str:
    """`close 15:30`, `pin`, `assign HIGH`: a cell's width of what the desk has to say."""
    if row is None or row.severity == "calm":
        return ""
    if row.action == "close" and row.action_by_ns:
        return f"close {to_et(row.action_by_ns):%H:%M}"
    code = row.findings[0].code if row.findings else ""
    if row.assignment != "NONE":
        return f"assign {row.assignment[:4]}"
    return _SHORT.get(code, code.lower().replace("_", " "))[:11]


_SHORT = {"PIN_RISK": "pin", "LAST_DAY": "last day", "NAKED_AFTER_EXPIRY": "naked after", "ORPHAN_LEG": "leg alone"}
