"""Server-side technical indicators over the service's own bars: sma, ema, rsi, macd."""

from __future__ import annotations

import numpy as np
from aiohttp import web

from qmterm.core.bars import FloatArray
from qmterm.sim.polygon.aggregates import DAY_SPANS, MINUTE_SPANS, aggregate, rows_of
from qmterm.sim.polygon.answers import Context, Refused, single_answer
from qmterm.sim.polygon.query import PRODUCTION, Query

DAY_MS = 86_400_000
SERIES = ("close", "open", "high", "low")


def _window(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) <= 500:
        raise Refused(400, "ERROR", f"{name} must be 1 to 500, not {text!r}")
    return int(text)


def _values(kind: str, series: FloatArray, query: Query) -> list[FloatArray]:
    from qmterm.quant.indicators import series as indicators

    if kind == "macd":
        short, long = _window(query, "short_window", 12), _window(query, "long_window", 26)
        line, signal, histogram = indicators.macd(series, short, long, _window(query, "signal_window", 9))
        return [line, signal, histogram]
    window = _window(query, "window", 14 if kind == "rsi" else 50)
    if kind == "rsi":
        return [indicators.rsi(series, window)]
    return [indicators.ema(series, window) if kind == "ema" else indicators.sma(series, window)]


async def indicator(context: Context, request: web.Request) -> web.Response:
    kind, ticker = request.match_info["kind"], request.match_info["ticker"]
    query = Query(request.path, request.query)
    span, field = query.get("timespan", "day"), query.get("series_type", "close")
    if field not in SERIES:
        raise Refused(400, "ERROR", f"series_type must be one of {', '.join(SERIES)}")
    if span not in DAY_SPANS and span not in MINUTE_SPANS:
        raise Refused(400, "ERROR", f"Unknown timespan {span!r}.")
    now = context.clock() // 1_000_000
    back = 500 if span in DAY_SPANS else 20
    bars = aggregate(context, ticker, 1, span, now - back * DAY_MS, now)
    columns = _values(kind, getattr(bars, field), query)
    names = ("value", "signal", "histogram")
    known = np.all(np.isfinite(np.stack(columns)), axis=0)
    bounds = query.numbers("timestamp")
    rows = [
        {"timestamp": int(stamp), **{name: float(column[i]) for name, column in zip(names, columns, strict=False)}}
        for i, stamp in enumerate(bars.start_ms.tolist())
        if known[i] and all(_within(stamp, operator, bound) for operator, bound in bounds.items())
    ]
    if query.get("order", "desc") != "asc":
        rows.reverse()
    path = f"/v2/aggs/ticker/{ticker}/range/1/{span}/{now - back * DAY_MS}/{now}"
    underlying: dict[str, object] = {"url": f"{PRODUCTION}{path}?limit=50000&sort=desc"}
    if query.get("expand_underlying") == "true":
        underlying["aggregates"] = rows_of(bars)
    return single_answer(context, request, {"underlying": underlying, "values": rows[: query.limit(10, 5000)]})


def _within(stamp: int, operator: str, bound: float) -> bool:
    tests = {"gte": stamp >= bound, "gt": stamp > bound, "lte": stamp <= bound, "lt": stamp < bound}
    return tests.get(operator, stamp == bound)
