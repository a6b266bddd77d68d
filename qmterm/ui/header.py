"""The lines that never move: who am I trading as, what is my risk, is the data fresh, is the link good.

Modes are said by word and colour. A ladder state other than NORMAL is said loudly with its reason; nothing on
these lines changes faster than it can be read, so that a calm market costs no bandwidth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qmterm.engine.view import LADDER, HeaderView, LogLine, Snapshot
from qmterm.ui.formats import age, clip, clock, count, countdown, fixed, money, percent, plain, signed_money
from qmterm.ui.palette import BOLD, REVERSE, Line, Span, fit, spread, width_of
from qmterm.ui.pane import PANE_WORDS, PANES

LINK_LOOKS = {
    "live": ("●", "good"),
    "up": ("●", "good"),
    "delayed": ("◌", "warn"),
    "connecting": ("○", "warn"),
    "backoff": ("○", "warn"),
    "mute": ("×", "alarm"),
    "down": ("×", "alarm"),
    "refused": ("×", "alarm"),
}
# Plans of fewer calls a minute live by them: said at all times. Of larger ones only when they run out.
FEW_CALLS = 600
NEARLY_SPENT = 0.8
# Seconds without a new snapshot from which the engine is called silent.
SILENT_FROM_S = 3.0
# The first start on a machine compiles the kernels and has no time for the screen: no alarm for so long.
STARTING_S = 300.0


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the header line; the lowest keep leaves first when there is no room."""

    keep: int
    line: Line


def money_word(header: HeaderView) -> Span:
    """LIVE only for real money; armed is more than live."""
    if header.real_money and header.armed_s is not None:
        return Span(f" LIVE ▓ARMED {countdown(header.armed_s)}▓ ", "armed", BOLD | REVERSE)
    if header.real_money:
        return Span(" LIVE ", "live", BOLD | REVERSE)
    return Span(" CERT " if header.broker == "tastytrade-cert" else " PAPER ", "paper", BOLD)


def _link(name: str, state: str, detail: str) -> Line:
    glyph, tone = LINK_LOOKS.get(state, ("○", "warn"))
    word = "" if tone == "good" else f" {state}"
    return (
        Span(f"{name} ", "label"),
        Span(f"{glyph}{word}", tone, 0 if tone == "good" else BOLD),
        Span(f" {detail}".rstrip(), "dim"),
    )


def _lost(header: HeaderView) -> Line:
    """Minutes that the stream missed and no repair has brought; nothing while all are known."""
    if not header.lost_minutes:
        return ()
    bars = f" {count(header.lost_bars)} bars" if header.lost_bars else ""
    return (Span("lost ", "label"), Span(f"{header.lost_minutes}min{bars}", "warn", BOLD))


def _calls(header: HeaderView, wide: bool) -> Part | None:
    """The request budget; while a question would have to wait that matters more than the account's name."""
    made, most, wait_s = header.calls_made, header.calls_per_minute, header.calls_wait_s
    if most is None or (most >= FEW_CALLS and made < NEARLY_SPENT * most and wait_s < 1):
        return None
    spent = Span(f"{count(made)}/{count(most)}", "dim")
    if wait_s < 1:
        return Part(5 if wide else 3, (Span("calls ", "label"), spent))
    # In tens of seconds: a countdown would cost attention and bandwidth.
    return Part(7, (Span("calls ", "label"), spent, Span(f" wait {age(math.ceil(wait_s / 10) * 10)}", "warn", BOLD)))


def header_parts(header: HeaderView, extra_s: float, wide: bool) -> list[Part]:
    feed_age = None if header.feed_age_s is None else header.feed_age_s + extra_s
    old = "" if feed_age is None or feed_age < 1 else age(feed_age)
    rate = f" {count(header.feed_events_per_s)}/s" if wide and header.feed_events_per_s is not None else ""
    broker = "" if header.broker_ms is None else f"{header.broker_ms:.0f}ms"
    pnl_tone = "text" if not header.day_pnl else "gain" if header.day_pnl > 0 else "loss"
    day_percent = f" {percent(header.day_pnl_pct, 2, sign=True)}" if wide and header.day_pnl_pct is not None else ""
    mode = header.mode.upper()
    parts = [
        Part(10, (money_word(header), Span(mode, "auto" if mode == "AUTO" else "text", BOLD))),
    ]
    if header.ladder != "NORMAL":
        parts.append(Part(10, (Span(f" {header.ladder} ", "alarm", BOLD | REVERSE),)))
    parts += [
        Part(4, (Span(header.account, "dim"),) if header.account else ()),
        Part(9, (Span("NLV ", "label"), Span(money(header.nlv, cents=wide), "text", BOLD))),
        Part(8, (Span("day ", "label"), Span(f"{signed_money(header.day_pnl)}{day_percent}", pnl_tone))),
        Part(6, (Span("BP ", "label"), Span(percent(header.buying_power_used_pct, 0)))),
        Part(7, _link("feed", header.feed_state, f"{old}{rate}".strip())),
        Part(7, _lost(header)),
        Part(5, _link("brk" if not wide else "broker", header.broker_state, broker)),
    ]
    calls = _calls(header, wide)
    if calls is not None:
        parts.append(calls)
    if wide:
        parts.append(Part(2, (Span(f"{header.source} data · {header.broker} broker", "dim"),)))
        if header.loop_lag_ms_p99 is not None:
            parts.append(Part(1, (Span("lag ", "label"), Span(f"{fixed(header.loop_lag_ms_p99, 0)}ms", "dim"))))
    return [part for part in parts if part.line]


def pace(rate: float | None) -> str:
    """`8x` where market time is no real time: who thinks in minutes must know how long one is. "" in real time."""
    if rate is None:
        return "max"
    if rate == 1.0:
        return ""
    return f"{rate:.0f}x" if rate >= 2.5 else f"{rate:.1f}x"


def header_line(header: HeaderView, width: int, extra_s: float) -> Line:
    parts = header_parts(header, extra_s, wide=width >= 120)
    gap = 3 if width >= 120 else 1
    end: Line = (Span("ET ", "label"), Span(f"{clock(header.market_ns)} ", "text", BOLD))
    if runs := pace(header.market_rate):
        end = (Span(f"{runs} ", "warn", BOLD), *end)
    if header.session != "regular":
        end = (Span(f"{header.session} ", "warn"), *end)
    while parts and sum(width_of(part.line) + gap for part in parts) + width_of(end) >= width:
        least = min(part.keep for part in parts)
        if least == 10:
            break
        parts.remove(next(part for part in reversed(parts) if part.keep == least))
    spans: list[Span] = []
    for part in parts:
        spans.extend((*part.line, Span(" " * gap)))
    return spread(tuple(spans), end, width)


def tabs_line(snapshot: Snapshot, focused: str, desk: bool, width: int, silent_s: float) -> Line:
    """Digits and names of the panes, and on the right what must not be overlooked."""
    spans: list[Span] = [Span(" 0 desk ", "accent" if desk else "dim", BOLD if desk else 0)]
    waiting = len(snapshot.proposals)
    for pane, digit in PANES.items():
        name = pane if width < 120 else PANE_WORDS[pane].lower()
        here = pane == focused
        spans.append(
            Span(f"[{digit} {name}]" if here else f" {digit} {name} ", "accent" if here else "dim", BOLD * here)
        )
        if pane == "orders" and waiting:
            alarm = any(row.alarm for row in snapshot.proposals)
            text = f"{waiting} to approve" if width >= 120 else f"{waiting}!"
            if here and width >= 120:
                spans.append(Span(" "))
            spans.append(Span(text, "alarm" if alarm else "proposal", BOLD | REVERSE * alarm))
    return spread(tuple(spans), right_of_tabs(snapshot, silent_s, width - width_of(tuple(spans)) - 1), width)


def right_of_tabs(snapshot: Snapshot, silent_s: float, room: int) -> Line:
    header = snapshot.header
    if room < 8:
        return ()
    if snapshot.stopped:
        return (Span(clip(" ENGINE STOPPED ", room), "alarm", BOLD | REVERSE),)
    if header.starting and SILENT_FROM_S <= silent_s < STARTING_S:
        return (Span(clip(f"starting: {plain(header.starting)} {age(silent_s)} ", room), "warn"),)
    if silent_s >= SILENT_FROM_S:
        return (Span(clip(f" ENGINE SILENT {age(silent_s)} ", room), "alarm", BOLD | REVERSE),)
    if header.ladder != "NORMAL":
        words = header.ladder_proof or header.ladder_reason
        through = header.ladder_proof and ("confirmed by the broker" in header.ladder_proof)
        return (Span(clip(f" {header.ladder}: {plain(words)} ", room), "warn" if through else "alarm", BOLD),)
    if header.starting:
        return (Span(clip(f"starting: {plain(header.starting)} ", room), "warn"),)
    if header.not_in_plan:
        return (Span(clip(f"not in plan: {plain(', '.join(header.not_in_plan))} ", room), "dim"),)
    return ()


def is_over(line: LogLine, ladder: str) -> bool:
    """A line about a level of the ladder that does not hold any more: history, no trouble."""
    return line.subject == LADDER and ladder not in line.text


def status_line(snapshot: Snapshot, notice: tuple[str, str] | None, width: int) -> Line:
    """The answer to the last key for a while, else the latest line of the log that is not mere information."""
    if notice is not None:
        text, tone = notice
        return fit((Span(f" {plain(text)}", tone, BOLD if tone == "alarm" else 0),), width)
    troubles = [line for line in snapshot.log if line.level != "info" and not is_over(line, snapshot.header.ladder)]
    if not troubles:
        return fit((), width)
    last = troubles[-1]
    tone = "alarm" if last.level in ("alarm", "error") else "warn"
    more = f"{len(troubles) - 1} more: 7 " if len(troubles) > 1 else ""
    left: Line = (Span(f" {clock(last.time_ns)} ", "dim"), Span(f"! {plain(last.text)}", tone))
    return spread(fit(left, width - len(more) - 1), (Span(more, "dim"),), width)


def hints_line(hints: Sequence[tuple[str, str]], width: int) -> Line:
    """`key word` pairs, as many as fit, the first ones are the most wanted."""
    spans: list[Span] = [Span(" ")]
    room = width - 1
    for key, word in hints:
        length = len(key) + len(word) + 3
        if length > room:
            break
        spans += [Span(key, "accent"), Span(f" {word}  ", "dim")]
        room -= length
    return fit(tuple(spans), width)
