"""`qmterm bench scan`: the scanner's indicators of the whole market against TA-Lib's loop and pandas.

The trap: what is measured must be what the scanner uses; it is `last_features` for a closed day and `LiveFeatures` for
the running one, with a filter and a sort.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np

from qmterm.bench.machine import Machine
from qmterm.bench.peers import load
from qmterm.bench.report import Limit, Missing, Report, Row
from qmterm.bench.timing import Seconds, quietly, race
from qmterm.core.bars import DailyPanel, FloatArray
from qmterm.quant.indicators.features import Features, last_features
from qmterm.quant.indicators.live import LiveFeatures
from qmterm.quant.indicators.screening import Condition, top

SYMBOLS = 32_345
BARS = 260
PANDAS_SYMBOLS = 1_000
ERROR = 1e-9
OUTPUTS = (
    "sma20",
    "sma50",
    "sma100",
    "sma200",
    "ema10",
    "rsi14",
    "macd",
    "macd_signal",
    "bb_upper",
    "bb_lower",
    "atr14",
    "pos20",
)
FILTER = (
    Condition("close", ">", 5.0),
    Condition("close", ">", "sma20"),
    Condition("sma50", ">", "sma100"),
    Condition("atr_pct", ">=", 2.0),
    Condition("pos20", ">", 50.0),
    Condition("rsi14", "<", 80.0),
)
SHOWN = 50
Bar = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


def run(size: int = SYMBOLS, *, quick: bool = False, progress: Callable[[str], None] = lambda _: None) -> Report:
    """All rows for `size` symbols; `quick` takes one turn each (the figures are rough then)."""
    machine = Machine.here()
    rounds = 1 if quick else 7
    talib, pandas = load("talib", "TA-Lib"), load("pandas", "pandas")
    progress(f"drawing {size:,} symbols")
    panel, bars = random_walks(size)
    contestants = {"full": quietly(lambda: last_features(panel))}
    if not isinstance(talib, Missing):
        contestants["talib"] = quietly(lambda: talib_loop(talib, panel))
    few = _first(panel, min(size, 20 if quick else PANDAS_SYMBOLS))
    if not isinstance(pandas, Missing):
        frame = _frame(pandas, few)
        contestants["pandas"] = quietly(lambda: pandas_rolling(frame))
    progress(f"timing {', '.join(contestants)}")
    timed = race(contestants, rounds=rounds, budget_s=25.0)
    progress("timing the running day")
    live_timed, difference = _live(panel, bars, rounds, talib)
    error = None if isinstance(talib, Missing) else largest_error(last_features(panel), talib_loop(talib, panel))
    rows = [
        _full_row(size, timed["full"], timed.get("talib"), error, talib),
        _live_row(size, live_timed, timed.get("talib"), difference, talib),
        _pandas_row(size, timed["full"], timed.get("pandas"), len(few), pandas),
    ]
    notes = (f"{size:,} random walks of {BARS} daily bars; outputs: {', '.join(OUTPUTS)}",)
    return Report("scan", machine, tuple(rows), notes)


def random_walks(size: int, bars: int = BARS, seed: int = 7) -> tuple[DailyPanel, list[Bar]]:
    """(completed days, four different bars of the running day): volatility 1-4 % a day, prices around $50."""
    random = np.random.default_rng(seed)
    shape = (size, bars)
    steps = random.standard_normal(shape) * random.uniform(0.01, 0.04, (size, 1))
    close = 50.0 * np.exp(random.standard_normal((size, 1)) + np.cumsum(steps, axis=1))
    open_ = close * np.exp(0.005 * random.standard_normal(shape))
    high = np.maximum(open_, close) * (1.0 + 0.01 * random.random(shape))
    low = np.minimum(open_, close) * (1.0 - 0.01 * random.random(shape))
    volume = np.floor(np.exp(random.normal(12.0, 1.0, shape)))
    panel = _panel([open_, high, low, close, volume])
    running: list[Bar] = []
    for _ in range(4):
        now = close[:, -1] * np.exp(0.01 * random.standard_normal(size))
        began = close[:, -1] * np.exp(0.003 * random.standard_normal(size))
        most = np.maximum(began, now) * (1.0 + 0.005 * random.random(size))
        least = np.minimum(began, now) * (1.0 - 0.005 * random.random(size))
        running.append((began, most, least, now, np.floor(np.exp(random.normal(11.0, 1.0, size)))))
    return panel, running


def talib_loop(talib: Any, panel: DailyPanel) -> FloatArray:
    """(12, symbols) in the order of OUTPUTS: what a TA-Lib user writes, one symbol after the other."""
    found = np.empty((len(OUTPUTS), len(panel)))
    for row in range(len(panel)):
        high, low, close = panel.high[row], panel.low[row], panel.close[row]
        macd, signal, _ = talib.MACD(close, 12, 26, 9)
        upper, _, lower = talib.BBANDS(close, 20, 2.0, 2.0, 0)
        most, least = talib.MAX(high, 20)[-1], talib.MIN(low, 20)[-1]
        found[:, row] = (
            talib.SMA(close, 20)[-1],
            talib.SMA(close, 50)[-1],
            talib.SMA(close, 100)[-1],
            talib.SMA(close, 200)[-1],
            talib.EMA(close, 10)[-1],
            talib.RSI(close, 14)[-1],
            macd[-1],
            signal[-1],
            upper[-1],
            lower[-1],
            talib.ATR(high, low, close, 14)[-1],
            100.0 * (close[-1] - least) / (most - least),
        )
    return found


def largest_error(features: Features, truth: FloatArray) -> float:
    """Relative to TA-Lib's value, or to a thousandth of the price (MACD) or 1 (percents) where that is nearer to 0."""
    floors: dict[str, FloatArray | float] = {
        "macd": 1e-3 * features.close,
        "macd_signal": 1e-3 * features.close,
        "pos20": 1.0,
        "rsi14": 1.0,
    }
    worst = 0.0
    for name, expected in zip(OUTPUTS, truth, strict=True):
        differences = np.abs(getattr(features, name) - expected) / np.maximum(np.abs(expected), floors.get(name, 0.0))
        worst = max(worst, float(np.where(np.isnan(differences), np.inf, differences).max()))
    return worst


def _live(panel: DailyPanel, bars: list[Bar], rounds: int, talib: Any) -> tuple[Seconds, float]:
    """(seconds of update, filter and sort; largest difference from the full form, and TA-Lib, with today appended)."""
    live = LiveFeatures(panel)
    turns = cycle(bars)

    def rescan() -> None:
        top(live.update(*next(turns)), FILTER, by="pos20", limit=SHOWN)

    timed = race({"live": rescan}, rounds=rounds * 20, budget_s=4.0)["live"]
    last = bars[-1]
    incremental = live.update(*last)
    appended = [
        np.concatenate([block, today[:, np.newaxis]], axis=1)
        for block, today in zip((panel.open, panel.high, panel.low, panel.close, panel.volume), last, strict=True)
    ]
    longer = _panel(appended)
    full = last_features(longer)
    difference = largest_error(incremental, np.array([getattr(full, name) for name in OUTPUTS]))
    if not isinstance(talib, Missing):
        difference = max(difference, largest_error(incremental, talib_loop(talib, longer)))
    return timed, difference


def _full_row(size: int, ours: Seconds, theirs: Seconds | None, error: float | None, peer: object) -> Row:
    return Row(
        work=f"12 indicators of {size:,} x {BARS} bars",
        ours=1000.0 * ours.best,
        unit="ms",
        peer=None if theirs is None else 1000.0 * theirs.best,
        peer_name="TA-Lib loop over symbols",
        ratio=None if theirs is None else theirs.best / ours.best,
        max_error=error,
        error_of="largest relative difference from TA-Lib",
        must=Limit(ratio=15.0, error=ERROR),
        goal=Limit(ratio=30.0, error=ERROR),
        note=f"ours also has the scanner's other columns; {ours.note()}",
    ).lacking(peer)


def _live_row(size: int, ours: Seconds, theirs: Seconds | None, error: float, peer: object) -> Row:
    return Row(
        work=f"the running bar of all {size:,} symbols moved: update, 6 conditions, best {SHOWN}",
        ours=1000.0 * ours.best,
        unit="ms",
        peer=None if theirs is None else 1000.0 * theirs.best,
        peer_name="TA-Lib loop over symbols, without filter and sort",
        ratio=None if theirs is None else theirs.best / ours.best,
        max_error=error,
        error_of="largest relative difference from the full form and TA-Lib's",
        must=Limit(ratio=400.0, most=2.0, error=ERROR),
        goal=Limit(ratio=1000.0, most=2.0, error=ERROR),
        note=ours.note(),
    ).lacking(peer)


def _pandas_row(size: int, ours: Seconds, theirs: Seconds | None, their_symbols: int, peer: object) -> Row:
    seconds = None if theirs is None else theirs.best * size / their_symbols
    return Row(
        work=f"12 indicators of {size:,} x {BARS} bars",
        ours=1000.0 * ours.best,
        unit="ms",
        peer=None if seconds is None else 1000.0 * seconds,
        peer_name="pandas groupby with rolling and ewm",
        ratio=None if seconds is None else seconds / ours.best,
        note=f"peer scaled from {their_symbols:,} symbols; its EMAs are seeded differently",
    ).lacking(peer)


def _panel(blocks: list[FloatArray]) -> DailyPanel:
    """Open, high, low, close and volume without gaps as a panel; the dates are only there to be there."""
    open_, high, low, close, volume = blocks
    size, bars = close.shape
    first = np.datetime64("2025-06-01")
    return DailyPanel(
        symbols=tuple(f"S{number:05d}" for number in range(size)),
        last_session=(first + (bars - 1)).item(),
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        bars=np.full(size, bars),
        stale=np.zeros(size, dtype=np.int64),
        days=np.broadcast_to(np.arange(bars) + first, close.shape),
    )


def _first(panel: DailyPanel, count: int) -> DailyPanel:
    blocks = (panel.open, panel.high, panel.low, panel.close, panel.volume)
    return _panel([np.ascontiguousarray(block[:count]) for block in blocks])


def _frame(pandas: Any, panel: DailyPanel) -> Any:
    """The bars as one long frame, sorted by symbol and day."""
    symbols = np.repeat(np.arange(len(panel)), panel.close.shape[1])
    columns = {"high": panel.high, "low": panel.low, "close": panel.close}
    return pandas.DataFrame({"symbol": symbols, **{name: block.reshape(-1) for name, block in columns.items()}})


def pandas_rolling(frame: Any) -> list[Any]:
    """The twelve outputs at each symbol's last day, as a pandas user writes them."""
    groups = frame.groupby("symbol", sort=False)

    def rolling(name: str, n: int) -> Any:
        return groups[name].rolling(n)

    def smooth(series: Any, **how: float) -> Any:
        return series.groupby(frame["symbol"], sort=False).ewm(adjust=False, **how).mean().droplevel(0)

    close = frame["close"]
    before = groups["close"].shift()
    found = [rolling("close", n).mean() for n in (20, 50, 100, 200)]
    found.append(smooth(close, span=10))
    change = close - before
    gain, loss = smooth(change.clip(lower=0.0), alpha=1 / 14), smooth((-change).clip(lower=0.0), alpha=1 / 14)
    found.append(100.0 * gain / (gain + loss))
    macd = smooth(close, span=12) - smooth(close, span=26)
    found += [macd, smooth(macd, span=9)]
    wide = 2.0 * rolling("close", 20).std(ddof=0)
    found += [found[0] + wide, found[0] - wide]
    reach = np.fmax(frame["high"] - frame["low"], (frame["high"] - before).abs())
    found.append(smooth(np.fmax(reach, (frame["low"] - before).abs()), alpha=1 / 14))
    most, least = rolling("high", 20).max().droplevel(0), rolling("low", 20).min().droplevel(0)
    found.append(100.0 * (close - least) / (most - least))
    return [series.to_numpy()[-1] for series in found]
