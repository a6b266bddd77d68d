"""Market status, upcoming holidays and treasury yields: the calendar's side of the service."""

from __future__ import annotations

from datetime import date, timedelta

from aiohttp import web

from qmterm.core.calendar import Phase
from qmterm.core.clock import NS_PER_MS
from qmterm.sim.polygon.answers import Context, answer, et_text, listing_answer, utc_text
from qmterm.sim.polygon.query import Query

_WORDS = {Phase.REGULAR: "open", Phase.PRE: "extended-hours", Phase.POST: "extended-hours", Phase.CLOSED: "closed"}
_NAMES = {
    1: "New Years Day",
    2: "Washington's Birthday",
    3: "Good Friday",
    4: "Good Friday",
    5: "Memorial Day",
    6: "Juneteenth",
    7: "Independence Day",
    9: "Labor Day",
    11: "Thanksgiving",
    12: "Christmas",
}
EXCHANGES = ("NYSE", "NASDAQ")
YIELD_DAYS = 30


async def status(context: Context, request: web.Request) -> web.Response:
    now = context.clock()
    phase = context.world.calendar.phase(now)
    rule = context.faults.take("rest", request.path, "clock_skew")
    shown = now + (int(rule.value * NS_PER_MS) if rule else 0)
    word = _WORDS[phase]
    return answer(
        {
            "market": word,
            "earlyHours": phase is Phase.PRE,
            "afterHours": phase is Phase.POST,
            "serverTime": et_text(shown),
            "exchanges": {"nyse": word, "nasdaq": word, "otc": word},
            "currencies": {"fx": "open", "crypto": "open"},
            "indicesGroups": {"s_and_p": word, "dow_jones": word},
        }
    )


async def holidays(context: Context, request: web.Request) -> web.Response:
    """Closed days and half days of the coming year, one row an exchange; a bare array, no envelope."""
    calendar, today = context.world.calendar, context.world.wall_date
    rows: list[dict[str, str]] = []
    for ahead in range(366):
        day = today + timedelta(days=ahead)
        if day.weekday() >= 5 or (calendar.is_session(day) and not calendar.half_day(day)):
            continue
        for exchange in EXCHANGES:
            row = {"exchange": exchange, "name": holiday_name(day), "date": day.isoformat(), "status": "closed"}
            if calendar.is_session(day):
                row |= {
                    "status": "early-close",
                    "open": utc_text(calendar.open_ns(day)).replace("Z", ".000Z"),
                    "close": utc_text(calendar.close_ns(day)).replace("Z", ".000Z"),
                }
            rows.append(row)
    return answer(rows)


def holiday_name(day: date) -> str:
    if day.month == 1 and day.day > 10:
        return "Martin Luther King, Jr. Day"
    return _NAMES.get(day.month, "Exchange Holiday")


async def treasury_yields(context: Context, request: web.Request) -> web.Response:
    """The curve of the latest published days; one session late, as in life."""
    query = Query(request.path, request.query)
    wanted = query.bounds("date")
    calendar = context.world.calendar
    days = calendar.last_n(calendar.previous(context.world.wall_date), YIELD_DAYS)
    found = [day.isoformat() for day in days if wanted(day.isoformat())]
    if "desc" in query.get("sort", "date.desc"):
        found.reverse()
    page, next_url = query.page(found, query.limit(100, 50_000))
    curve = {name: percent for name, (_, percent) in context.world.yields.items()}
    if not curve:
        page, next_url = [], None
    return listing_answer(context, request, [{"date": day, **curve} for day in page], next_url)
