"""What `ctl positions`, `ctl portfolio` and `ctl expiry` answer: a few lines to read, and a document for programs.

In the documents dollars are numbers with cents, ratios decimals, times ISO with their zone; unknown is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Protocol

from qmterm.core.clock import to_et
from qmterm.engine.commands import CommandResult
from qmterm.engine.view_portfolio import ExpiryView, PortfolioView, ProfitView, StressView

NOTHING = "no positions"


class Look(Protocol):
    """Who knows the views of now."""

    def portfolio(self) -> PortfolioView: ...

    def expiry(self) -> tuple[ExpiryView, ...]: ...


def book_answer(what: str, look: Look) -> CommandResult:
    """`what` as in commands.ReadBook."""
    if what == "expiry":
        return expiry_answer(look.expiry())
    if what == "positions":
        return positions_answer(look.portfolio())
    return portfolio_answer(look.portfolio())


def positions_answer(view: PortfolioView) -> CommandResult:
    """Trades with their lots, grouped by strategy."""
    lines: list[str] = []
    for strategy in view.strategies:
        lines.append(f"{strategy.strategy}: {_profit(strategy.profit)}")
        for trade in view.trades:
            if trade.strategy != strategy.strategy:
                continue
            state = "" if trade.lots else " closed today"
            lines.append(f"  {trade.underlying} {trade.trade}{state}: {_profit(trade.profit)}")
            lines += [
                f"    {lot.quantity:+d} {lot.label} @ {lot.price:.2f} {to_et(lot.opened_ns):%d %b %H:%M}"
                f" mark {_two(lot.mark)} open {_money(lot.unrealized)} fees {lot.fees:.2f}"
                f" {'fill ' + lot.fill_id if lot.fill_id else '(told by the broker)'}"
                for lot in trade.lots
            ]
    document = {
        "positions": view.positions,
        "total": view.total,
        "day": view.day,
        "strategies": view.strategies,
        "trades": view.trades,
    }
    return CommandResult(True, "\n".join(lines) or NOTHING, _plain(document))


def portfolio_answer(view: PortfolioView) -> CommandResult:
    """Everything about the book as a whole."""
    lines = [
        f"{view.positions} positions; total {_profit(view.total)}",
        f"today realised {_money(view.day.realized)} fees {view.day.fees:.2f}{_broker_fees(view)}",
        f"beta-weighted delta {_float(view.beta_delta)} {view.market} shares, delta $ {_float(view.delta_dollars)},"
        f" gamma 1 % $ {_float(view.gamma_dollars_1pct)}, theta {_float(view.theta_day)}/day,"
        f" vega {_float(view.vega_point)}/pt (weighted {_float(view.weighted_vega)})",
        *(
            f"{tail.method} {tail.level:.0%} one day: VaR {_float(tail.var)} ES {_float(tail.es)}"
            f"{f' ({tail.reason})' if tail.reason else ''}"
            for tail in view.tails
        ),
        *_stress_lines(view.stress),
        *(
            f"{row.strategy}: {row.used:,.0f} of {row.limit:,.0f} at risk, {row.free:,.0f} free"
            for row in view.strategies
        ),
        *(
            f"{row.underlying} {_money(row.value)}{f' {row.share:.1%} of NLV' if row.share is not None else ''}"
            f" {row.sector}".rstrip()
            for row in view.underlyings
        ),
        *(f"{symbol}: not in the totals ({reason})" for symbol, reason in view.unknown.items()),
        *view.drift,
    ]
    return CommandResult(True, "\n".join(lines), _plain(asdict(view)))


def expiry_answer(rows: Iterable[ExpiryView]) -> CommandResult:
    """How each contract ends, the most pressing first."""
    rows = tuple(rows)
    lines = []
    for row in rows:
        plan = f" | {row.action}: {row.action_text}" if row.action_text else ""
        lines.append(
            f"{row.severity.upper():<5} {row.quantity:+d} {row.label} {row.sessions_left} session(s) left{plan}"
        )
        lines += [f"      {finding.code}: {finding.text}" for finding in row.findings]
    return CommandResult(True, "\n".join(lines) or "no options held", _plain({"rows": rows}))


def _stress_lines(stress: StressView) -> list[str]:
    if not stress.cells:
        return []
    head = "stress  " + " ".join(f"{shift:>+8.0%}" for shift in stress.spots)
    return [
        head,
        *(
            f"vol{vol:>+4.0%} " + " ".join(f"{_float(cell):>8}" for cell in row)
            for vol, row in zip(stress.vols, stress.cells, strict=True)
        ),
    ]


def _broker_fees(view: PortfolioView) -> str:
    return "" if view.broker_fees is None else f" (the broker: {view.broker_fees:.2f})"


def _profit(profit: ProfitView) -> str:
    unknown = f", {profit.unmarked} lot(s) without a mark" if profit.unmarked else ""
    unknown += f", {profit.unpriced} closed at an unknown price" if profit.unpriced else ""
    return (
        f"realised {_money(profit.realized)} open {_money(profit.unrealized)} fees {profit.fees:.2f}"
        f" net {_money(profit.net)}{unknown}"
    )


def _money(amount: Decimal | None) -> str:
    return "–" if amount is None else f"{amount:+,.2f}"


def _two(price: Decimal | None) -> str:
    return "–" if price is None else f"{price:.2f}"


def _float(number: float | None) -> str:
    return "–" if number is None else f"{number:,.0f}"


def _plain(value: object) -> Any:
    """JSON values."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): _stamped(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))  # type: ignore[call-overload]
    return value


def _stamped(name: str, value: object) -> Any:
    """`…_ns` as ISO text with the zone; 0 is no time."""
    if name.endswith("_ns") and isinstance(value, int):
        return to_et(value).isoformat(timespec="seconds") if value else None
    return _plain(value)
