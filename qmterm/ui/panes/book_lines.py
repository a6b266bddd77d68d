"""Lines of the risk pane about the book as a whole: ends of contracts, profit, tails, stress, concentration.

Pure: a view and a width in, lines out, each exactly as wide as the pane.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from qmterm.engine.view import ExpiryView, PortfolioView, ProfitView, StressView
from qmterm.ui.formats import clock, fixed, money, percent, plain, signed_money
from qmterm.ui.palette import BOLD, Line, Span, fit

TONES = {"alarm": "alarm", "warn": "warn", "note": "accent"}
CELL_FROM = 6  # columns a cell of the stress matrix needs
MOST_UNDERLYINGS = 6


def short_money(value: float | None) -> str:
    """`-1,234`, `-12.3k`, `-1.2M`: never more than six characters."""
    if value is None:
        return "–"
    size = abs(value)
    if size < 9_999.5:
        return f"{value:+,.0f}" if size >= 0.5 else "0"
    return f"{value / 1000:+.0f}k" if size < 999_500 else f"{value / 1e6:+.1f}M"


def tone(value: Decimal | float | None) -> str:
    return "text" if not value else "gain" if value > 0 else "loss"


def expiry_lines(rows: Iterable[ExpiryView], width: int) -> list[Line]:
    """One line a contract that the desk has something to say of, its plan first."""
    lines = []
    for row in rows:
        if not row.findings:
            continue
        colour = TONES.get(row.severity, "dim")
        marks = BOLD if row.severity == "alarm" else 0
        by = f" by {clock(row.action_by_ns)[:5]}" if row.action == "close" and row.action_by_ns else ""
        first = row.findings[0]
        spans = (
            Span(f" {row.quantity:+d} {plain(row.label)} ", "symbol"),
            Span(f"{row.action}{by} ", colour, marks),
            Span(plain(first.text), colour if row.severity != "note" else "dim"),
        )
        lines.append(fit(spans, width))
    return [fit((Span(" expiry desk", "label"),), width), *lines] if lines else []


def portfolio_lines(view: PortfolioView, width: int) -> list[Line]:
    """Nothing while nothing is held and nothing was earned."""
    if not view.positions and not view.strategies:
        return []
    lines: list[Line] = [
        _pairs(
            (
                (f"Δβ {view.market}", fixed(view.beta_delta, 0, grouped=True), "text"),
                ("Vw/pt", short_money(view.weighted_vega), "text"),
                ("BP left", money(view.buying_power), "text"),
                ("today", signed_money(view.day.realized), tone(view.day.realized)),
                ("fees", _fees(view), "warn" if view.drift else "text"),
            )
        )
    ]
    lines += _strategies(view)
    lines += _tails(view)
    lines += _concentration(view)
    fitted = [fit(line, width) for line in lines]
    fitted += stress_lines(view.stress, width)
    unknown = [
        (Span(f" {plain(symbol)} is in no total: {reason}", "warn"),)
        for symbol, reason in list(view.unknown.items())[:5]
    ]
    drift = [(Span(f" {plain(text)}", "warn"),) for text in view.drift[:5]]
    if view.assumed_vols:
        unknown.append((Span(f" {view.assumed_vols} mark(s) without time value: the stock's volatility", "dim"),))
    return fitted + [fit(line, width) for line in (*unknown, *drift)]


def stress_lines(stress: StressView, width: int) -> list[Line]:
    """The matrix, its middle columns only where the pane is narrow."""
    if not stress.cells:
        return []
    count = len(stress.spots)
    room = max(1, (width - 7) // (CELL_FROM + 1))
    skip = max(0, (count - room + 1) // 2)
    shown = range(skip, count - skip)
    worst = stress.worst
    head = [Span(f" {'stress':<6}", "label")]
    head += [Span(f"{stress.spots[i]:>+{CELL_FROM + 1}.0%}", "label") for i in shown]
    lines: list[Line] = [tuple(head)]
    for vol, row in zip(stress.vols, stress.cells, strict=True):
        spans = [Span(f" σ{vol:<+5.0%}", "label")]
        for i in shown:
            marks = BOLD if worst is not None and row[i] == worst and worst < 0 else 0
            spans.append(Span(f"{short_money(row[i]):>{CELL_FROM + 1}}", tone(row[i]), marks))
        lines.append(tuple(spans))
    return [fit(line, width) for line in lines]


def _fees(view: PortfolioView) -> str:
    ours = fixed(view.day.fees, 2, grouped=True)
    theirs = view.broker_fees
    return ours if theirs is None or theirs == view.day.fees else f"{ours} (broker {theirs:,.2f})"


def _pairs(pairs: Iterable[tuple[str, str, str]]) -> Line:
    return tuple(span for name, value, of in pairs for span in (Span(f" {name} ", "label"), Span(f"{value} ", of)))


def _strategies(view: PortfolioView) -> list[Line]:
    lines: list[Line] = []
    for row in view.strategies:
        share = float(row.used / row.limit * 100) if row.limit else None
        lines.append(
            (
                Span(f" {plain(row.strategy):<12}", "symbol"),
                *_pairs(
                    (
                        ("risk", f"{money(row.used)} of {money(row.limit)} {percent(share, 0)}", "text"),
                        ("free", money(row.free), "text"),
                        ("net", _net(row.profit), tone(row.profit.net)),
                    )
                ),
            )
        )
    return lines


def _net(profit: ProfitView) -> str:
    return signed_money(profit.net) if not profit.unmarked else f"– ({profit.unmarked} unmarked)"


def _tails(view: PortfolioView) -> list[Line]:
    lines: list[Line] = []
    for method, name in (("historical", f"hist {view.tail_days}d"), ("cornish-fisher", "C-F")):
        spans: list[Span] = [Span(f" {name:<10}", "label")]
        for tail in view.tails:
            if tail.method != method:
                continue
            value = f"VaR{tail.level * 100:.0f} {short_loss(tail.var)} ES {short_loss(tail.es)} "
            spans.append(Span(value, "text"))
            if tail.reason:
                spans.append(Span(f"{plain(tail.reason)} ", "dim"))
        if len(spans) > 1:
            lines.append(tuple(spans))
    return lines


def short_loss(value: float | None) -> str:
    """A loss as a positive number."""
    return "–" if value is None else short_money(value).lstrip("+")


def _concentration(view: PortfolioView) -> list[Line]:
    if not view.underlyings:
        return []
    spans: list[Span] = [Span(" share NLV ", "label")]
    for row in view.underlyings[:MOST_UNDERLYINGS]:
        share = percent(None if row.share is None else row.share * 100)
        sector = f" {plain(row.sector)[:14]}" if row.sector else ""
        spans.append(Span(f"{plain(row.underlying)} {share}{sector}  ", "text"))
    more = len(view.underlyings) - MOST_UNDERLYINGS
    if more > 0:
        spans.append(Span(f"+{more}", "dim"))
    return [tuple(spans)]
