"""From the numbers of one line to what is said and planned: the rules of QUANT.md 5.5 in the order in which they press.

The trap: on the last day a sold option near its strike looks harmless in price and is the most dangerous thing in the
book, because the holder decides after the close. So nearness alone, not loss, plans the close.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from qmterm.core.clock import to_et
from qmterm.core.instruments import OptionContract, is_option, parse_option
from qmterm.core.reasons import Reason
from qmterm.risk.assignment import Chance
from qmterm.risk.expiry_line import Deed, ExpiryLine, Finding, PlannedAction, Severity, StockFacts

NEAR_SESSIONS = 5
DELIVERS = frozenset({"covered_call"})  # strategies that want the shares to change hands


def findings(line: ExpiryLine, contract: OptionContract, facts: StockFacts, now_ns: int) -> tuple[Finding, ...]:
    """Everything there is to say, the most severe first."""
    found = [*_end(line, facts, now_ns), *_pin(line, now_ns), *_assignment(line), *_exercise(line), *_orphans(line)]
    return tuple(sorted(found, key=lambda finding: -finding.severity))


def _end(line: ExpiryLine, facts: StockFacts, now_ns: int) -> Iterator[Finding]:
    end = line.end
    if now_ns >= end.expires_ns or end.sessions_left < 0:
        word = "has stopped trading" if now_ns < end.expires_ns else "has expired"
        yield Finding(Reason.EXPIRED, Severity.WARN, f"{word}; the broker's ledger settles it")
        return
    if not end.last_session:
        return
    half = " (half day)" if end.half_day else ""
    ends = "settles tomorrow morning" if end.settlement.value == "AM" else "last trading day"
    yield Finding(
        Reason.LAST_DAY,
        Severity.NOTE,
        f"{ends}{half}: trades until {hour(end.stops_trading_ns)}, cut-off {hour(end.cutoff_ns)}",
    )
    if line.spot is None:
        why = facts.reason or Reason.NO_QUOTE
        grave = Severity.ALARM if line.quantity < 0 else Severity.WARN
        yield Finding(why, grave, f"the stock's price is not known on the last day ({why.value}): look at it yourself")


def _pin(line: ExpiryLine, now_ns: int) -> Iterator[Finding]:
    if not line.end.pin_watched(now_ns) or not line.pin.within:
        return
    grave = Severity.ALARM if line.quantity < 0 else Severity.WARN
    yield Finding(
        Reason.PIN_RISK,
        grave,
        f"the stock is {line.pin.distance:.2f} from the strike, inside the band of {line.pin.band:.2f}: "
        "whether it is exercised is decided after the close",
        {"distance": line.pin.distance, "band": line.pin.band},
    )


def _assignment(line: ExpiryLine) -> Iterator[Finding]:
    early = line.assignment
    if early.chance is not Chance.NONE:
        when = f" before the ex-date {early.ex_date}" if early.ex_date is not None else ""
        yield Finding(
            Reason.EARLY_ASSIGNMENT,
            Severity.ALARM if early.chance is Chance.HIGH else Severity.WARN,
            f"early assignment {early.chance.name} ({early.cause}){when}",
            early.numbers,
        )
    elif early.reason is not None and line.in_the_money:
        yield Finding(
            Reason.NOT_CHECKED, Severity.NOTE, f"early assignment is not judged ({early.reason.value})", early.numbers
        )


def _exercise(line: ExpiryLine) -> Iterator[Finding]:
    end, done = line.end, line.exercise
    if done is None or not line.in_the_money or not 0 <= end.sessions_left <= NEAR_SESSIONS:
        return
    word = "exercised" if line.quantity > 0 else "assigned"
    numbers = {
        "shares": float(done.shares),
        "cash": float(done.cash),
        "buying_power_after": None if done.buying_power_after is None else float(done.buying_power_after),
    }
    last = end.last_session
    if done.shares:
        text = f"in the money: {word} by itself, {done.shares:+,d} shares for {done.cash:+,.2f}"
        yield Finding(Reason.AUTO_EXERCISE, Severity.WARN if last else Severity.NOTE, text, numbers)
    if done.beyond_means:
        yield Finding(
            Reason.BEYOND_BUYING_POWER,
            Severity.ALARM if last else Severity.WARN,
            f"buying power would be {done.buying_power_after:,.2f} after it",
            numbers,
        )


def _orphans(line: ExpiryLine) -> Iterator[Finding]:
    end = line.end
    if not 0 <= end.sessions_left <= NEAR_SESSIONS:
        return
    if line.bare:
        names = ", ".join(f"{bare.contracts} {parse_option(bare.symbol)}" for bare in line.bare)
        yield Finding(
            Reason.NAKED_AFTER_EXPIRY,
            Severity.ALARM if end.last_session else Severity.WARN,
            f"after it nothing covers the sold {names}",
        )
    if line.alone:
        names = ", ".join(str(parse_option(name)) if is_option(name) else name for name in line.alone)
        yield Finding(Reason.ORPHAN_LEG, Severity.NOTE, f"{names} stay(s) alone after it")


def planned(line: ExpiryLine, contract: OptionContract, now_ns: int) -> PlannedAction:
    """What is to be done, by when; CLOSE is done by machine in auto mode where a guard watches it."""
    end, early = line.end, line.assignment
    if now_ns >= end.expires_ns or end.sessions_left < 0:
        return PlannedAction(Deed.HOLD, text="waits for the broker's settlement")
    if early.chance is Chance.HIGH:
        return _against_assignment(line)
    if not end.last_session:
        return PlannedAction(Deed.HOLD, end.cutoff_ns, text=f"until {_day(end.last_day)} {hour(end.cutoff_ns)}")
    if line.bare:
        names = tuple(bare.symbol for bare in line.bare)
        return _close(line, names, "close what loses its cover")
    if line.spot is None:
        return PlannedAction(Deed.WATCH, end.cutoff_ns, text=f"decide before {hour(end.cutoff_ns)}: no price")
    if end.cash_settled:
        return PlannedAction(Deed.SETTLE, end.expires_ns, text="settles in cash by itself")
    near = line.in_the_money or line.pin.within
    if near and line.strategy in DELIVERS:
        return PlannedAction(Deed.DELIVER, end.stops_trading_ns, text="the shares may change hands")
    if near and line.exercise is not None and not line.exercise.shares and not line.pin.within:
        text = f"exercised against each other: {line.exercise.cash:+,.2f}"
        return PlannedAction(Deed.SETTLE, end.expires_ns, text=text)
    if near:
        return _close(line, (line.symbol,), "close")
    side = "below" if contract.right.sign > 0 else "above"
    text = f"ends worthless while the stock stays {side} {contract.strike.normalize():f}"
    return PlannedAction(Deed.HOLD, end.cutoff_ns, text=text)


def _against_assignment(line: ExpiryLine) -> PlannedAction:
    """Out of a call before the eve of the ex-date is over; whether a deep put's shares are wanted a person decides."""
    end = line.end
    if line.assignment.cause != "dividend" or line.strategy in DELIVERS:
        return PlannedAction(Deed.WATCH, end.cutoff_ns, text="close or roll, or take what assignment brings")
    # HIGH means that the next session is the ex-date: today's close is the last one before the holders decide.
    if end.today_cutoff_ns is None or end.today_from_ns is None:
        return PlannedAction(Deed.WATCH, text="the last session before the ex-date is over")
    by = end.today_cutoff_ns
    text = f"close or roll before the dividend, before {hour(by)}"
    return PlannedAction(Deed.CLOSE, by, end.today_from_ns, Reason.ASSIGNMENT_CLOSE, (line.symbol,), text)


def _close(line: ExpiryLine, names: tuple[str, ...], word: str) -> PlannedAction:
    end = line.end
    text = f"{word} before {hour(end.cutoff_ns)}"
    return PlannedAction(Deed.CLOSE, end.cutoff_ns, end.close_from_ns, Reason.EXPIRY_CLOSE, names, text)


def hour(ns: int) -> str:
    return f"{to_et(ns):%H:%M} ET"


def _day(day: date) -> str:
    return f"{day:%d %b}"
