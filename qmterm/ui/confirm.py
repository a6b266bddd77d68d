"""The one place where a person sends an order: everything that matters on one page, and a letter drawn anew each time.

The traps are habit, type-ahead and paste. Enter and esc mean no. The letter is never one that a hand types by itself,
does nothing for 300 ms after the page could be read or after any other key, and counts only if nothing follows it at
once (a pasted text does). The page closes by itself when what it shows is no longer what would be sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from qmterm.core.settings.screen import ScreenSettings
from qmterm.core.ticks import program_for, tick
from qmterm.engine.view import HeaderView, ProposalView
from qmterm.ui.dialogs import DEAD_S, SCROLL, Dialog
from qmterm.ui.formats import age, dropped_zero, fixed, money, plain, wrap
from qmterm.ui.palette import BOLD, REVERSE, Line, Palette, Span, age_marks, aged
from qmterm.ui.pane import Frame
from qmterm.ui.panes.orders import short_id

# Never a (opens this page), d, y, q or others that have a meaning where the hand comes from; no l, i, o (look alike).
LETTERS: Final = "efmrtuvz"
# A letter that is followed by another key within this time (seconds) was typing, not an answer.
ALONE_S: Final = 0.06
# Numbers of a plan that the page shows with today's values: the plan's own would only confuse.
SHOWN_ABOVE: Final = frozenset({"bid", "ask", "mid", "quote_age_s"})
SEVERAL_LEGS_TICK: Final = Decimal("0.05")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`sends` with the limit the person saw; else why not."""

    sends: bool
    limit_seen: str = ""
    reason: str = ""


def tick_of(proposal: ProposalView) -> Decimal:
    """The price step that counts as one tick: the contract's own, a nickel for the net price of several legs."""
    if len(proposal.legs) > 1:
        return SEVERAL_LEGS_TICK
    price = proposal.limit if proposal.limit is not None else Decimal(str(round(proposal.mid or 0.0, 4)))
    return tick(program_for(proposal.underlying), abs(price))


def what_changed(shown: ProposalView, now: ProposalView | None, ticks: float) -> str:
    """Why the page must close, "" while it still shows what would be sent."""
    if now is None:
        return "the proposal is gone"
    if now.limit != shown.limit:
        return f"the limit is {now.limit} now, not {shown.limit}"
    if (now.quantity, now.legs) != (shown.quantity, shown.legs):
        return "the proposal has changed"
    if shown.mid is None:
        return ""
    if now.mid is None:
        return "there is no two-sided quote any more"
    moved = abs(now.mid - shown.mid) / float(tick_of(shown))
    return f"the mid moved from {fixed(shown.mid)} to {fixed(now.mid)}" if moved > ticks + 1e-9 else ""


def _row(*parts: tuple[str, str] | tuple[str, str, str]) -> Line:
    spans: list[Span] = []
    for part in parts:
        tone = part[2] if len(part) == 3 else "text"
        spans += [Span(f"{part[0]} ", "label"), Span(f"{part[1]}   ", tone)]
    return tuple(spans)


def against_market(proposal: ProposalView) -> str:
    """Where the limit stands, in the words of the side that trades."""
    if proposal.mid is None:
        return "no two-sided quote: the limit cannot be compared"
    if proposal.limit is None:
        return "it takes the market's price"
    buys = proposal.limit < 0
    distance = (float(abs(proposal.limit)) - proposal.mid) * (1 if buys else -1)
    ticks = distance / float(tick_of(proposal))
    if abs(ticks) < 0.05:
        return "at the mid"
    return f"{fixed(abs(ticks), 1)} ticks {'worse' if ticks > 0 else 'better'} than the mid"


def number_lines(proposal: ProposalView, width: int) -> list[Line]:
    """What the plan was decided by, a name never parted from its number."""
    lines: list[Line] = []
    text = ""
    for name, value in proposal.numbers.items():
        if name in SHOWN_ABOVE or value is None:
            continue
        shown = fixed(value, 0) if abs(value) >= 100 or value == int(value) else dropped_zero(value)
        pair = f"{plain(name).replace('_', ' ')} {shown}"
        if text and len(text) + 3 + len(pair) > width:
            lines.append((Span(text, "dim"),))
            text = ""
        text = f"{text}   {pair}" if text else pair
    return [*lines, (Span(text, "dim"),)] if text else lines


def order_lines(proposal: ProposalView, width: int, settings: ScreenSettings) -> list[Line]:
    """What would be sent, against today's market, and what it may cost: never out of sight."""
    limit = proposal.limit
    shown = "none" if limit is None else f"{abs(limit)} {'credit' if limit > 0 else 'debit'}"
    seconds, steps = proposal.quote_age_s, settings.quote_age_s
    marks = age_marks(seconds, steps)
    what = f"   {plain(proposal.purpose)} {short_id(proposal)}"
    lines: list[Line] = [(Span(plain(proposal.text), "proposal", BOLD), Span(what, "dim"))]
    lines.extend((Span(f"  {plain(leg)}"),) for leg in proposal.legs if proposal.legs != (proposal.text,))
    lines += [
        (),
        (
            Span("limit ", "label"),
            Span(shown, "text", BOLD),
            Span(f"   {against_market(proposal)}", "dim"),
        ),
        (
            *_row(("bid", aged(fixed(proposal.bid), seconds, steps))),
            *_row(("mid", aged(fixed(proposal.mid), seconds, steps))),
            *_row(("ask", aged(fixed(proposal.ask), seconds, steps))),
            Span("quote ", "label"),
            Span("no age" if seconds is None else f"{age(seconds)} old", "warn" if marks else "text"),
        ),
        _row(
            ("quantity", str(proposal.quantity)),
            ("max loss", money(proposal.max_loss, cents=True), "loss" if proposal.max_loss else "text"),
            ("buying power", money(proposal.buying_power, cents=True)),
        ),
        _row(
            ("Δ of the book", f"{fixed(proposal.delta_before, 0)} → {fixed(proposal.delta_after, 0)}"),
            ("size set by", plain(proposal.binding) or "–"),
        ),
    ]
    for warning in proposal.warnings:
        lines.extend((Span(f"! {part}", "warn", BOLD),) for part in wrap(plain(warning), width - 2))
    return lines


def reason_lines(proposal: ProposalView, width: int) -> list[Line]:
    """Why it is proposed, and the numbers that decided."""
    lines: list[Line] = [()] if proposal.why else []
    for reason in proposal.why:
        parts = wrap(plain(reason), width - 4)
        lines.extend((Span("why " if index == 0 else "    ", "label"), Span(part)) for index, part in enumerate(parts))
    return [*lines, *number_lines(proposal, width)]


def _fitted(lines: list[Line], room: int) -> list[Line]:
    if len(lines) <= room or room < 1:
        return lines[: max(0, room)]
    return [*lines[: room - 1], (Span(f"… {len(lines) - room + 1} more lines", "dim"),)]


class ConfirmDialog(Dialog[Verdict]):
    def __init__(
        self,
        proposal: ProposalView,
        header: HeaderView,
        palette: Palette,
        settings: ScreenSettings,
        kill: Callable[[str, float], bool],
        draw_letter: Callable[[str], str] = secrets.choice,
    ) -> None:
        super().__init__(palette, kill)
        self.proposal = proposal
        self.letter = draw_letter(LETTERS)
        self._draw_letter = draw_letter
        self._header = header
        self._settings = settings
        self._now = proposal
        self._quiet_since = float("-inf")
        self._left = int(settings.confirm_timeout_s)
        self._note = ""
        self._pressed = False
        self._top = 0  # first line of the reasons that is shown
        self.tone = "live" if header.real_money else "accent"

    # --- drawing ---

    def title_spans(self) -> Line:
        if self._header.real_money:
            return (
                Span(" CONFIRM ", "live", BOLD),
                Span(" LIVE: real money ", "live", BOLD | REVERSE),
                Span(" ", "live"),
            )
        return (Span(" CONFIRM ", "accent", BOLD), Span("PAPER ", "paper", BOLD))

    def content(self, width: int) -> list[Line]:
        lines = order_lines(self._now, width, self._settings)
        reasons = reason_lines(self._now, width)
        last: list[Line] = [
            (),
            (
                Span("▸[ Cancel ] ", "text", BOLD),
                Span("enter or esc", "dim"),
                Span(" " * max(2, width - 46)),
                Span("press ", "text"),
                Span(f" {self.letter} ", "proposal", BOLD | REVERSE),
                Span(" to send", "text"),
            ),
            (Span(f"closes in {self._left:>2} s", "dim"), Span(f"   {self._note}", "warn")),
        ]
        room = max(1, self.canvas.size.height - 2 - len(last))
        return [*_fitted(lines, room), *self._scrolled(reasons, room - len(lines)), *last]

    def _scrolled(self, lines: list[Line], room: int) -> list[Line]:
        """The reasons from where they were scrolled to; a line says how many are out of sight."""
        if room < 2 or len(lines) <= room:
            return _fitted(lines, room)
        self._top = max(0, min(self._top, len(lines) - room + 1))
        shown = lines[self._top : self._top + room - 1]
        below = len(lines) - self._top - len(shown)
        where = f"{below} more lines: j" if below else f"{self._top} lines above: k"
        return [*shown, (Span(f"… {where}", "dim"),)]

    def frame(self, frame: Frame) -> None:
        if self.closed:
            return
        snapshot = frame.snapshot
        now = next((row for row in snapshot.proposals if row.proposal_id == self.proposal.proposal_id), None)
        changed = what_changed(self.proposal, now, self._settings.confirm_ticks)
        if changed:
            self.finish(Verdict(False, reason=f"nothing sent: {changed}"))
            return
        if now is not None:
            self._now = now
        if self.shown_at != float("inf"):
            left = self._settings.confirm_timeout_s - (self.app_time() - self.shown_at)
            if left <= 0:
                self.finish(Verdict(False, reason="nothing sent: the dialog waited long enough"))
                return
            self._left = int(left + 0.999)
        self.paint()

    # --- keys ---

    def press(self, key: str, at: float) -> None:
        if self.closed:
            return
        if self._pressed:
            self._was_typing(at)
        elif key in ("enter", "escape", "q", "ctrl+c"):
            self.finish(Verdict(False, reason="nothing sent"))
        elif key == self.letter and not self.too_soon(at) and at >= self._quiet_since + DEAD_S:
            self._pressed = True
            self.set_timer(ALONE_S, self._send)
        else:
            self._quiet_since = at
            if key in SCROLL:
                self._top += SCROLL[key]
                self.paint()

    def _was_typing(self, at: float) -> None:
        """Another key on the heels of the letter: a paste or type-ahead. A new letter, and the wait starts again."""
        self._pressed = False
        self._quiet_since = at
        self.letter = self._draw_letter(LETTERS.replace(self.letter, ""))
        self._note = "that looked like typing: nothing sent"
        self.paint()

    def _send(self) -> None:
        if self._pressed and not self.closed:
            self.finish(Verdict(True, limit_seen=str(self.proposal.limit)))
