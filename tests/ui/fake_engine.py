"""A pretend engine for the screen: a rich hand-written snapshot, a seeded market that moves, a door that remembers."""

from __future__ import annotations

import random
from concurrent.futures import Future
from dataclasses import replace
from datetime import date
from decimal import Decimal

from qmterm.core.clock import NS, from_et
from qmterm.core.instruments import OptionContract, Right
from qmterm.engine.commands import Command, CommandResult, SelectExpiry, SelectSymbol, Why
from qmterm.engine.view import (
    ChainRow,
    ChainView,
    HeaderView,
    LimitUse,
    LogLine,
    OptionCell,
    OrderRow,
    PositionView,
    ProposalView,
    RiskView,
    ScanRow,
    ScanView,
    Snapshot,
)
from tests.ui.portfolio_view import expiry_view, portfolio_view

START = from_et(date(2026, 3, 2), 10, 42, 7)
EXPIRIES = (date(2026, 3, 20), date(2026, 4, 17), date(2026, 6, 18))
SYMBOLS = (
    *("NVDA", "AMD", "SMCI", "TSLA", "COIN", "MU", "CRM", "PLTR", "BABA", "AAPL"),
    *("MSFT", "META", "AMZN", "GOOG", "NFLX", "INTC", "UBER", "SHOP", "SQ", "ROKU"),
)


def occ(symbol: str, expiry: date, right: Right, strike: float) -> str:
    return OptionContract(symbol, expiry, right, Decimal(str(strike))).occ


def scan_row(symbol: str, rng: random.Random) -> ScanRow:
    entry = symbol in ("NVDA", "SMCI", "MU")
    distance = round(rng.uniform(0.4, 3.9) if entry else rng.uniform(-4, 13), 2)
    return ScanRow(
        symbol=symbol,
        last=round(rng.uniform(20, 480), 2),
        change_pct=round(rng.gauss(0.2, 1.8), 2),
        atr_distance=distance,
        atr_pct_multiple=round(distance * 0.93, 2),
        atr_pct=round(rng.uniform(1.2, 6.5), 2),
        position_20d=round(rng.uniform(0, 100)),
        rvol=round(rng.uniform(0.3, 4.8), 2),
        hv20=round(rng.uniform(0.15, 0.9), 3),
        iv_hv=None if symbol == "BABA" else round(rng.uniform(0.8, 1.6), 2),
        strength=1.0 if entry else round(rng.choice([0.0, 0.55, 0.75, 0.9]), 2),
        confidence=0.81 if entry else round(rng.uniform(0.2, 0.7), 2),
        risk_reward=round(rng.uniform(2, 5.5), 1) if entry else round(rng.uniform(0.4, 2.5), 1),
        state="ENTRY_LONG" if entry else "OVEREXTENDED" if distance > 10 else "EXIT" if distance < 0 else "HOLD",
        failed=() if entry else tuple(rng.sample(["OUT_OF_ZONE", "NOT_ALIGNED", "LOW_RR", "LOW_ATR_PCT"], 2)),
        note={"NVDA": "proposed", "SMCI": "held", "MU": "LOW_RISK_REWARD x12"}.get(symbol, ""),
        age_s=float(rng.randint(0, 59)),
    )


def option_cell(symbol: str, expiry: date, right: Right, strike: float, spot: float, rng: random.Random) -> OptionCell:
    moneyness = (spot - strike) * right.sign
    value = max(0.05, moneyness * 0.9 + 8 * 2.718 ** (-((moneyness / 18) ** 2)))
    spread = 0.05 + value * 0.01
    delta = right.sign / (1 + 2.718 ** (-moneyness / 9))
    return OptionCell(
        occ=occ(symbol, expiry, right, strike),
        bid=round(value - spread / 2, 2),
        ask=round(value + spread / 2, 2),
        iv=None if value < 0.08 else round(0.41 + abs(moneyness) / 900, 4),
        iv_status="LOW_VEGA" if value < 0.08 else "ok",
        delta=round(delta, 3),
        gamma=round(0.021 * 2.718 ** (-((moneyness / 15) ** 2)), 4),
        theta=-round(0.15 * 2.718 ** (-((moneyness / 25) ** 2)), 3),
        vega=round(0.2 * 2.718 ** (-((moneyness / 20) ** 2)), 3),
        volume=rng.randint(0, 5200),
        open_interest=rng.randint(40, 19000),
        age_s=rng.choice([0.2, 0.4, 0.9, 1.4, 3.0, 6.5, 21.0]),
        held=2 if right is Right.CALL and strike == 175 else 0,
    )


def chain_view(symbol: str, selected: int, rng: random.Random, spot: float = 174.41) -> ChainView:
    expiry = EXPIRIES[selected]
    strikes = [100 + 2.5 * step for step in range(61)]
    rows = tuple(
        ChainRow(
            strike,
            option_cell(symbol, expiry, Right.CALL, strike, spot, rng),
            option_cell(symbol, expiry, Right.PUT, strike, spot, rng),
        )
        for strike in strikes
    )
    nearest = min(range(len(strikes)), key=lambda index: abs(strikes[index] - spot))
    return ChainView(
        symbol,
        spot,
        1.21,
        EXPIRIES,
        selected,
        (expiry - date(2026, 3, 2)).days,
        0.412,
        0.388,
        11.93,
        rows,
        nearest,
        0.2,
        iv_rank="34",
    )


def position(number: int, label: str, underlying: str, quantity: int, pnl: str, **changes: object) -> PositionView:
    base = PositionView(
        position_id=f"pos-{number}",
        symbol=occ(underlying, EXPIRIES[1], Right.CALL, 175),
        label=label,
        underlying=underlying,
        strategy="atr-matrix",
        quantity=quantity,
        dte=46,
        average_price=Decimal("4.15"),
        mark=Decimal("4.62"),
        mark_flag="",
        unrealized=Decimal(pnl),
        unrealized_pct=float(pnl) / 8.3,
        delta=104.0,
        theta=-14.2,
        vega=31.5,
        spot=174.41,
        stop=168.2,
        stop_distance_pct=3.6,
        next_target=188.4,
        horizon=date(2026, 3, 20),
        rules="stop 168.20 · 7x @ 188.40 · 18 d",
    )
    return replace(base, **changes)


def proposal(identity: str = "prop-9f31", **changes: object) -> ProposalView:
    base = ProposalView(
        proposal_id=identity,
        time_ns=START - 20 * NS,
        expires_in_s=97.0,
        text="BUY 2 NVDA 17APR26 175C",
        purpose="entry",
        underlying="NVDA",
        legs=("Buy to Open 2 NVDA 17APR26 175C",),
        limit=Decimal("-4.15"),
        bid=4.10,
        mid=4.15,
        ask=4.20,
        quote_age_s=0.4,
        quantity=2,
        max_loss=Decimal("832.26"),
        buying_power=Decimal("832.26"),
        delta_before=148.0,
        delta_after=252.0,
        binding="trade 2 % of NLV",
        numbers={"risk_reward": 3.4, "pop": 0.41, "iv": 0.412, "hv": 0.388, "delta": 0.52, "expected_pnl": 61.0},
        why=(
            "signal ENTRY_LONG: ATR distance 2.31 in 0…4, strength 1.00, confidence .81",
            "option: 46 dte, Δ .52, IV/HV 1.06, spread 2.4 %, liquidity 84",
            "size: 2 of 3 by trade limit 1,000.00 of NLV 100,842.10",
            "gate: passed (trade, symbol, strategy, cash)",
        ),
        warnings=("earnings in 12 days",),
    )
    return replace(base, **changes)


def order(number: int, text: str, state: str, working: bool, **changes: object) -> OrderRow:
    base = OrderRow(
        order_id=f"intent-{number}",
        short_id=f"a3{number:02x}",
        time_ns=START - number * 37 * NS,
        text=text,
        limit="2.15 db",
        mid="2.16",
        filled="0/1" if working else "1/1",
        state=state,
        working=working,
        purpose="entry",
        external=False,
        age_s=float(number * 37),
        reason="",
    )
    return replace(base, **changes)


def rich_snapshot(seed: int = 7) -> Snapshot:
    """Everything a screen may have to show at once, the same for one seed."""
    rng = random.Random(seed)
    return Snapshot(
        version=1,
        header=HeaderView(
            mode="confirm",
            account="..4417",
            nlv=Decimal("100842.10"),
            cash=Decimal("61230.55"),
            day_pnl=Decimal("842.10"),
            day_pnl_pct=0.84,
            buying_power_used_pct=38.2,
            feed_state="live",
            feed_age_s=0.04,
            feed_events_per_s=3810.0,
            broker_state="up",
            broker_ms=9.2,
            market_ns=START,
            session="regular",
            loop_lag_ms_p99=3.1,
        ),
        scan=ScanView(
            tuple(scan_row(symbol, rng) for symbol in SYMBOLS),
            symbols=500,
            live=496,
            entries=3,
            scanned_ns=START - NS,
            scan_ms=3.2,
            rejected={"LOW_RISK_REWARD": 12, "IV_RICH": 4, "EARNINGS": 2},
            coverage_pct=99.2,
            oldest_age_s=57.0,
            skipped={"HALTED": 1, "NO_HISTORY": 3},
        ),
        chain=chain_view("NVDA", 1, rng),
        positions=(
            position(1, "NVDA 17APR26 175C", "NVDA", 2, "94.00"),
            position(2, "AMD 20MAR26 130P", "AMD", 1, "-38.50", dte=5, stop_distance_pct=1.1, mark_flag="stale",
                     ends="close 15:30", ends_severity="alarm"),
            position(3, "SMCI 17APR26 42.5C", "SMCI", 3, "0", unrealized=None, unrealized_pct=None, mark=None,
                     mark_flag="none"),
        ),
        risk=RiskView(
            delta_dollars=25410.0,
            gamma_dollars_1pct=812.0,
            theta_day=-61.4,
            vega_point=142.0,
            open_risk=Decimal("2410.52"),
            limits=(
                LimitUse("trade", Decimal("832.26"), Decimal("2016.84"), "NVDA 175C"),
                LimitUse("symbol", Decimal("1664.52"), Decimal("1900.00"), "NVDA"),
                LimitUse("strategy", Decimal("20410.52"), Decimal("20168.42"), "atr-matrix"),
                LimitUse("cash", Decimal("61230.55"), Decimal("20168.42"), "must stay above"),
            ),
            realized=Decimal("310.00"),
            unrealized=Decimal("55.50"),
            fees=Decimal("6.78"),
        ),
        portfolio=portfolio_view(),
        expiry=(expiry_view(),),
        orders=(
            order(1, "BOT 1 AMD 17APR26 130C", "live", True),
            order(2, "BOT 2 NVDA 17APR26 175C", "filled", False, limit="4.15 db", filled="2/2"),
            order(3, "BOT 1 COIN 20MAR26 190P", "unknown", True, reason="answer lost, reading back"),
            order(4, "SLD 1 MU 20MAR26 110P", "cancelled", False, external=True),
        ),
        proposals=(
            proposal(),
            proposal("prop-1c07", text="SELL 1 AMD 20MAR26 130P", purpose="exit", alarm=True, expires_in_s=41.0,
                     underlying="AMD", legs=("Sell to Close 1 AMD 20MAR26 130P",), limit=Decimal("2.05"),
                     bid=2.00, mid=2.08, ask=2.15, quantity=1, why=("stop: spot 129.80 under 130.10",), warnings=()),
        ),
        log=(
            LogLine(1, START - 90 * NS, "info", "FEED", "stream up, 496 of 500 symbols live"),
            LogLine(2, START - 60 * NS, "info", "SIG", "NVDA ENTRY_LONG distance 2.31 strength 1.00 confidence .81"),
            LogLine(3, START - 40 * NS, "warn", "RISK", "MU rejected: LOW_RISK_REWARD 1.2 < 2.0 (12 contracts tried)"),
            LogLine(4, START - 20 * NS, "info", "PLAN", "proposal 9f31 BUY 2 NVDA 17APR26 175C @ 4.15"),
            LogLine(5, START - 9 * NS, "info", "FILL", "BOT 2 NVDA 17APR26 175C @ 4.15, fees 2.26"),
            LogLine(6, START - 3 * NS, "alarm", "RISK", "AMD under its stop 130.10: approve the exit (5, then a)"),
        ),
    )  # fmt: skip


class MovingMarket:
    """The rich snapshot, a frame later each time: a fifth of the rows tick, the clock runs, all by one seed."""

    def __init__(self, seed: int = 7, steps_per_second: float = 5.0) -> None:
        self.rng = random.Random(seed)
        self.snapshot = rich_snapshot(seed)
        self._step_ns = int(NS / steps_per_second)

    def step(self) -> Snapshot:
        rng, old = self.rng, self.snapshot

        def tick(value: float | None, share: float = 0.0007) -> float | None:
            return None if value is None else round(max(0.05, value * (1 + rng.gauss(0, share))), 2)

        rows = tuple(
            replace(row, last=tick(row.last), change_pct=round((row.change_pct or 0) + rng.gauss(0, 0.03), 2))
            if rng.random() < 0.2
            else row
            for row in old.scan.rows
        )
        chain = old.chain
        if chain is not None:

            def moved(cell: OptionCell | None) -> OptionCell | None:
                if cell is None or rng.random() > 0.2 or cell.bid is None:
                    return cell
                bid = tick(cell.bid, 0.004) or 0.05
                return replace(cell, bid=bid, ask=round(bid + 0.1, 2), age_s=0.1)

            spot = tick(chain.spot, 0.0003) or chain.spot
            chain = replace(
                chain, spot=spot, rows=tuple(replace(r, call=moved(r.call), put=moved(r.put)) for r in chain.rows)
            )
        header = replace(old.header, market_ns=old.header.market_ns + self._step_ns)
        self.snapshot = replace(
            old, version=old.version + 1, header=header, scan=replace(old.scan, rows=rows), chain=chain
        )
        return self.snapshot


class FakeDoor:
    """Hands out whatever snapshot it was given and remembers every command; answers at once with `answer`."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.current = snapshot if snapshot is not None else rich_snapshot()
        self.sent: list[Command] = []
        self.ok = True
        self.text = ""
        self.data: object = None

    @property
    def snapshot(self) -> Snapshot:
        return self.current

    def set(self, **changes: object) -> None:
        self.current = replace(self.current, version=self.current.version + 1, **changes)

    def send(self, command: Command) -> Future[CommandResult]:
        self.sent.append(command)
        future: Future[CommandResult] = Future()
        future.set_result(self.answer(command))
        return future

    def answer(self, command: Command) -> CommandResult:
        chain = self.current.chain
        if isinstance(command, SelectSymbol):
            self.set(chain=chain_view(command.symbol, 1, random.Random(command.symbol)))
        elif isinstance(command, SelectExpiry) and chain is not None:
            chosen = max(0, min(len(EXPIRIES) - 1, chain.selected + command.step))
            self.set(chain=chain_view(chain.symbol, chosen, random.Random(chosen)))
        elif isinstance(command, Why):
            trail = {"signal": {"distance": 2.31, "strength": 1.0}, "gate": ["trade ok", "symbol ok"], "order": None}
            return CommandResult(True, f"why {command.subject}", trail)
        return CommandResult(self.ok, self.text or f"{type(command).__name__} done", self.data)
