"""Line 1 of the screen, and what `ctl status` answers: mode, money, data, broker, ladder."""

from __future__ import annotations

from qmterm.engine.arming import Arming
from qmterm.engine.orders.recovery import tail
from qmterm.engine.oversight import Oversight
from qmterm.engine.parts import Parts
from qmterm.engine.show.plan import lacking
from qmterm.engine.show.publish import SESSION_WORD
from qmterm.engine.signals.scanning import Scanning
from qmterm.engine.trader import Trader
from qmterm.engine.view import HeaderView


class Header:
    def __init__(self, parts: Parts, trader: Trader, scanning: Scanning, oversight: Oversight, arming: Arming) -> None:
        self._parts = parts
        self._trader = trader
        self._scanning = scanning
        self._oversight = oversight
        self._arming = arming

    def view(self) -> HeaderView:
        parts, trader = self._parts, self._trader
        feed = parts.feed.status
        nlv, pnl, base = trader.marks.nlv, trader.day_pnl, trader.day.nlv
        spent = nlv - trader.book.cash
        ladder = trader.ladder
        covered = self._scanning.covered()
        return HeaderView(
            mode=trader.mode.value,
            real_money=parts.real_money,
            source=parts.source_word,
            broker=parts.broker_word,
            account=tail(parts.broker.account),
            nlv=nlv,
            cash=trader.book.cash,
            day_pnl=pnl,
            day_pnl_pct=float(pnl / base * 100) if pnl is not None and base else None,
            buying_power_used_pct=float(spent / nlv * 100) if nlv > 0 else None,
            feed_state=feed.state,
            feed_age_s=feed.age_s,
            feed_events_per_s=feed.events_per_s,
            lost_minutes=feed.lost_minutes,
            lost_bars=feed.lost_bars,
            repaired_minutes=feed.repaired_minutes,
            repaired_by_bars=feed.repaired_by_bars,
            repaired_by_snapshot=feed.repaired_by_snapshot,
            repair_trouble=feed.repair_trouble,
            calls_made=feed.budget.spent_this_minute,
            calls_per_minute=feed.budget.per_minute,
            calls_wait_s=feed.budget.scan_in_s,
            not_in_plan=lacking(feed.refused),
            broker_state="up" if parts.broker.stream_up else "down",
            broker_ms=parts.broker.round_trip_ms,
            market_ns=parts.clock.now(),
            market_rate=parts.limits.speed if parts.clock.rate is None else parts.clock.rate,
            session=SESSION_WORD[parts.calendar.phase(parts.clock.now())],
            ladder=ladder.level.label,
            ladder_reason=ladder.text,
            ladder_proof=self._oversight.proof.text or self._oversight.flatten_proposed,
            arming=self._arming.text if parts.real_money else "",
            armed_s=self._arming.left_s if parts.real_money else None,
            loop_lag_ms_p99=parts.loop_lag.recent_p99,
            coverage_pct=covered.pct,
            oldest_age_s=covered.oldest_age_s,
            starting=self._scanning.pulling or ("" if self._scanning.ready else "history"),
        )
