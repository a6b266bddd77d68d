"""What a person asks of the ladder and of the arming, answered: pause, resume, kill, flatten, arm, disarm."""

from __future__ import annotations

from decimal import Decimal

from qmterm.core.clock import NS
from qmterm.core.reasons import Reason
from qmterm.engine.arming import SCREEN_S, TAIL, parse_loss, parse_until
from qmterm.engine.commands import Arm, CommandResult, Disarm, Flatten
from qmterm.engine.ladder import Level
from qmterm.engine.parts import Engaged, Parts
from qmterm.engine.view import LADDER

_UNWRITTEN = "; the disk hangs and does not have it yet: until it does, a restart goes by what was before"


async def pause(engaged: Engaged, source: str) -> CommandResult:
    oversight = engaged.oversight
    held, why = engaged.ladder.level, engaged.ladder.text
    oversight.lower(Level.NO_NEW, Reason.USER, f"paused by a person ({source})", by_person=True)
    await oversight.keep()
    if held > Level.NO_NEW:
        return CommandResult(True, f"{held.label} stays, which holds more than a pause does: {why} (P resumes)")
    return CommandResult(True, "NO-NEW: no entries; exits, stops and cancels go on (P resumes)")


async def resume(engaged: Engaged, parts: Parts, source: str) -> CommandResult:
    agreed, ladder, oversight = True, engaged.ladder, engaged.oversight
    lowered = oversight.lowered
    if ladder.level >= Level.REDUCE_ONLY:
        agreed, _ = await oversight.settle()
    if oversight.lowered == lowered:
        await oversight.rearm()
    if oversight.lowered == lowered:
        ok, text = ladder.resume(reconciled_clean=agreed, left=oversight.proof.flatten_left)
    else:  # a kill, a pause, a difference that was found: nobody who asked for this had seen it
        ok, text = False, f"{ladder.level.label} stays, by what came meanwhile: {ladder.text} (P asks again)"
    parts.log.info("RISK", f"resume asked ({source}): {text}", LADDER)
    await oversight.keep()
    return CommandResult(ok, text)


async def kill(engaged: Engaged, parts: Parts, source: str) -> CommandResult:
    """HALT before anything else, so that nothing queued can leave; then all cancels at once."""
    started = parts.clock.monotonic()
    # With it, and nothing is awaited between: else an arming asked for before the kill would begin after it.
    engaged.arming.drop_waiting(f"kill by a person ({source})")
    answers = await engaged.oversight.halt(Reason.KILL, f"kill by a person ({source})", by_person=True)
    took = (parts.clock.monotonic() - started) * 1000
    text = f"HALT: {len(answers)} order(s) asked to cancel in {took:.0f} ms; nothing new leaves"
    text += _UNWRITTEN if engaged.oversight.patience.over else ""
    parts.log.alarm("RISK", text, LADDER, kill_ms=took)
    return CommandResult(True, text, list(answers))


async def flatten(engaged: Engaged, command: Flatten) -> CommandResult:
    ok, text = await engaged.oversight.flatten(
        Reason.FLATTEN, f"flatten by a person ({command.source})", by_person=True
    )
    return CommandResult(ok, text, dict(engaged.oversight.flattener.waiting), refused=not ok)


async def arm(engaged: Engaged, parts: Parts, command: Arm) -> CommandResult:
    """Refused with one sentence unless real money is configured and the command is complete."""
    if not parts.real_money:
        return CommandResult(False, f"{parts.broker_word} moves no real money: there is nothing to arm")
    if not parts.settings.engine.live:
        return CommandResult(False, "real money needs live = true in [engine] before it can be armed", refused=True)
    now, account = parts.clock.now(), parts.broker.account
    if command.source == "screen" and command.tail.strip().upper() != account[-TAIL:].upper():
        return CommandResult(False, f"not armed: that is not how the account's number ends ({TAIL} characters)")
    until = now + SCREEN_S * NS if not command.until else parse_until(command.until, now)
    if until is None:
        return CommandResult(False, f"not armed: {command.until!r} is no time (HH:MM, New York) still to come today")
    most: Decimal | None = None
    if command.max_loss:
        most = parse_loss(command.max_loss)
        if most is None:
            return CommandResult(False, f"not armed: {command.max_loss!r} is no amount of dollars above 0")
    if not engaged.oversight.reconciler.clean:
        return CommandResult(False, "not armed: book and broker do not agree yet (ctl reconcile)", refused=True)
    text = await engaged.arming.arm(account, engaged.marks.nlv, until, most, command.source)
    if text is None:
        return CommandResult(False, "not armed: disarmed or killed before it was on the disk; arm again", refused=True)
    return CommandResult(True, f"{text}; ctl disarm ends it")


async def disarm(engaged: Engaged, command: Disarm) -> CommandResult:
    await engaged.arming.disarm(f"by a person ({command.source})", held=len(engaged.book.positions))
    return CommandResult(True, engaged.arming.text + (_UNWRITTEN if engaged.oversight.patience.over else ""))
