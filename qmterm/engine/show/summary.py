"""The JSON line that ends a run (DESIGN.md 10)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from qmterm.core.clock import to_et
from qmterm.engine.parts import Engaged, Parts

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class RunSummary:
    signals: int
    plans: int
    rejected: dict[str, int]
    orders: int
    fills: int
    open_positions: int
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    fees: Decimal
    nlv: Decimal
    cash: Decimal
    errors: int
    working_orders: int
    market_from: str
    market_to: str
    signal_to_ack_ms: dict[str, float | None]
    scan_to_ack_ms: dict[str, float | None]
    feed_latency_ms: dict[str, float | None]
    loop_lag_ms: dict[str, float | None]
    minutes: dict[str, int]  # lost and not repaired, repaired; of symbols: both; bars of ours
    coverage: dict[str, Any]
    decisions_sha256: str
    journal: str

    def to_dict(self) -> dict[str, Any]:
        """JSON values; dollars as numbers with cents."""
        return {
            name: float(value) if isinstance(value := getattr(self, name), Decimal) else value
            for name in self.__slots__
        }


def summarise(engaged: Engaged, parts: Parts, market_from_ns: int) -> RunSummary:
    trader = engaged.trader
    feed = parts.feed.status
    latency = feed.latency_ms
    return RunSummary(
        signals=engaged.scanning.signals,
        plans=trader.plans,
        rejected=dict(sorted(trader.rejected.items())),
        orders=engaged.desk.sent,
        fills=engaged.book.fill_count,
        open_positions=len(engaged.book.positions),
        realized_pnl=engaged.book.realized.quantize(CENT),
        unrealized_pnl=engaged.marks.unrealized.quantize(CENT),
        fees=engaged.book.fees.quantize(CENT),
        nlv=engaged.marks.nlv.quantize(CENT),
        cash=engaged.book.cash.quantize(CENT),
        errors=parts.log.levels["error"],
        working_orders=len(engaged.desk.ledger.working),
        market_from=to_et(market_from_ns).isoformat(timespec="seconds"),
        market_to=to_et(parts.clock.now()).isoformat(timespec="seconds"),
        signal_to_ack_ms=engaged.desk.acknowledged.summary(),
        scan_to_ack_ms=engaged.desk.scan_to_ack.summary(),
        # In lockstep no exchange stamp can be compared with a clock: what is measured there is an upper bound, from
        # asking for the step to all its frames being on the board.
        feed_latency_ms=parts.step_latency.summary()
        if latency is None
        else {"p50": round(latency[0], 3), "p99": round(latency[1], 3)},
        loop_lag_ms=parts.loop_lag.summary(),
        minutes={
            "lost": feed.lost_minutes,
            "repaired": feed.repaired_minutes,
            "lost_bars": feed.lost_bars,
            "repaired_by_bars": feed.repaired_by_bars,
            "repaired_by_snapshot": feed.repaired_by_snapshot,
            "bars_checked": feed.bars_checked,
            "bars_differ": feed.bars_differ,
            "bars_own": feed.bars_own,
        },
        coverage=engaged.scanning.covered().to_dict(),
        decisions_sha256=trader.decisions.hexdigest(),
        journal=str(parts.journal.path),
    )
