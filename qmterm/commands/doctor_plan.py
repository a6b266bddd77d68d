"""`qmterm doctor`, the plan: how many calls it allows and what that means, and what it is known not to include.

The trap: doctor asks anew what it asks, but a running or coming engine goes by what was refused earlier today.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from qmterm.commands.doctor_report import Check, ok, warn
from qmterm.core.calendar import SessionCalendar
from qmterm.core.settings.model import Settings
from qmterm.market.history.status import duration, pull_seconds
from qmterm.market.rest.budget import BudgetView
from qmterm.market.rest.entitlements import Entitlements, place_of
from qmterm.tape.layout import DAILY, stored_sessions


def budget_check(settings: Settings, budget: BudgetView, history: Path, today: date) -> Check:
    """Calls a minute, how many this look took, how long a pull of the missing history takes."""
    polygon, wanted = settings.polygon, settings.engine.history_sessions
    rate = polygon.budget_per_minute
    whose = "calls_per_minute" if polygon.calls_per_minute else f"plan = {polygon.plan.value}"
    saw = f"{rate:,} calls a minute ({whose}), {budget.spent_this_minute} of them taken by this look"
    if budget.next_in_s >= 1:
        saw += f"; the next may go in {duration(budget.next_in_s)}"
    calendar = SessionCalendar.load(today - timedelta(days=wanted * 2), today)
    there = set(stored_sessions(history, DAILY))
    missing = sum(day not in there for day in calendar.last_n(calendar.previous(today), wanted))
    if missing:
        saw += f"; {missing} of {wanted} sessions of history are missing: about {duration(pull_seconds(missing, rate))}"
    else:
        saw += f"; all {wanted} sessions of history are here"
    return ok("request budget", saw)


def refusals_check(settings: Settings, history: Path, today: date) -> Check:
    """What an engine was refused today and does not ask again."""
    name, polygon = "remembered refusals", settings.polygon
    kept = Entitlements(place_of(urlsplit(polygon.rest_url).netloc, polygon.plan))
    kept.keep_in(history / "entitlements.json", lambda: today)
    if not kept.refused:
        return ok(name, "none today")
    saw = f"not in plan: {', '.join(sorted(kept.refused))}"
    return warn(name, saw, "worked around until the next market day; after a change of plan set [polygon] plan")
