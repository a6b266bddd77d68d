"""Pane 4: Greeks of the whole book, what is at stake, how much of each limit is used, how contracts end."""

from __future__ import annotations

from decimal import Decimal

from qmterm.engine.view import HeaderView, LimitUse, RiskView, Snapshot
from qmterm.ui.formats import fixed, money, percent, plain, signed_money
from qmterm.ui.palette import BOLD, Line, Span, fit
from qmterm.ui.pane import Frame, Pane
from qmterm.ui.panes.book_lines import expiry_lines, portfolio_lines

# Limits that the number must stay above; the bar shows how near the floor is.
FLOORS = frozenset({"cash"})
BAR_FROM = 66  # columns from which a limit has a bar beside its numbers
EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(share: float, width: int) -> str:
    """A bar of eighths; more than full is full."""
    cells = max(0.0, min(1.0, share)) * width
    whole = int(cells)
    part = EIGHTHS[int((cells - whole) * 8)] if whole < width else ""
    return ("█" * whole + part).ljust(width)


def limit_tone(share: float | None) -> str:
    if share is None:
        return "dim"
    return "alarm" if share >= 1 else "warn" if share >= 0.8 else "text"


def limit_line(limit: LimitUse, width: int) -> Line:
    """`symbol NVDA   1,840 of 5,000   37% ███▋      `."""
    floor = limit.name in FLOORS
    part, whole = (limit.limit, limit.used) if floor else (limit.used, limit.limit)
    share = float(part / whole) if part is not None and whole is not None and whole > 0 else None
    if floor and whole is not None and whole <= 0:
        share = 1.0  # nothing is left of what must stay above its floor
    tone = limit_tone(share)
    numbers = f"{money(limit.used):>10} {'over' if floor else 'of':<4} {money(limit.limit):>10}"
    percentage = percent(None if share is None else share * 100, 0).rjust(6)
    spans = [
        Span(f" {plain(limit.name):<12}", "label"),
        Span(numbers, "text"),
        Span(percentage, tone, BOLD if tone in ("warn", "alarm") else 0),
    ]
    if width >= BAR_FROM and share is not None:
        spans.append(Span(f" {bar(share, 16)}", tone if tone != "text" else "accent"))
    spans.append(Span(f"  {plain(limit.detail)}", "dim"))
    return fit(tuple(spans), width)


def _pair(name: str, value: str, tone: str = "text") -> tuple[Span, Span]:
    return Span(f" {name} ", "label"), Span(f"{value} ", tone)


def _signed_tone(value: Decimal | float | None) -> str:
    return "text" if not value else "gain" if value > 0 else "loss"


def risk_lines(risk: RiskView, header: HeaderView, width: int) -> list[Line]:
    pairs = [
        _pair("Δ$", signed_money(risk.delta_dollars)),
        _pair("Γ$1%", signed_money(risk.gamma_dollars_1pct)),
        _pair("θ/day", signed_money(risk.theta_day), _signed_tone(risk.theta_day)),
        _pair("V/pt", signed_money(risk.vega_point)),
    ]
    profit = [
        _pair("realized", signed_money(risk.realized), _signed_tone(risk.realized)),
        _pair("open", signed_money(risk.unrealized), _signed_tone(risk.unrealized)),
        _pair("fees", fixed(risk.fees, 2, grouped=True)),
    ]
    stake = [
        _pair("worst case of all open", money(risk.open_risk), "warn" if risk.open_risk else "text"),
        _pair("of NLV", _share_of(risk.open_risk, header.nlv)),
    ]
    lines = [tuple(span for pair in row for span in pair) for row in (pairs, profit, stake)]
    fitted = [fit(line, width) for line in lines]
    if risk.limits:
        fitted.append(fit((Span(" limit             used              limit   used", "label"),), width))
        fitted.extend(limit_line(limit, width) for limit in risk.limits)
    return fitted


def _share_of(part: Decimal | None, whole: Decimal | None) -> str:
    return percent(float(part / whole) * 100) if part is not None and whole else "–"


class RiskPane(Pane):
    name_ = "risk"
    top = 0

    def body(self, frame: Frame) -> list[Line]:
        snapshot: Snapshot = frame.snapshot
        lines = risk_lines(snapshot.risk, snapshot.header, self.inner_width)
        lines += expiry_lines(snapshot.expiry, self.inner_width)
        lines += portfolio_lines(snapshot.portfolio, self.inner_width)
        ladder = snapshot.header
        if ladder.ladder != "NORMAL":
            reason = f": {plain(ladder.ladder_reason)}" if ladder.ladder_reason else ""
            lines.insert(0, fit((Span(f" {ladder.ladder}{reason} ", "alarm", BOLD),), self.inner_width))
        self.top = max(0, min(self.top, len(lines) - (self.size.height - 1)))
        return lines[self.top :]

    def info(self) -> str:
        if self.frame_ is None:
            return ""
        header = self.frame_.snapshot.header
        return f"NLV {money(header.nlv)} · cash {money(header.cash)}"

    def move(self, step: int) -> None:
        self.top = max(0, self.top + step)

    def to_end(self, last: bool) -> None:
        self.top = 10_000 if last else 0
