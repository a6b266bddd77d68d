"""`[engine]`, `[orders]` and `[disconnect]`: how the engine runs, how long orders live, what a lost screen means."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from qmterm.core.settings.base import Section


class Mode(StrEnum):
    CONFIRM = "confirm"
    AUTO = "auto"


class Source(StrEnum):
    SIM = "sim"
    POLYGON = "polygon"


class BrokerName(StrEnum):
    SIM = "sim"
    PAPER = "paper"
    CERT = "tastytrade-cert"
    LIVE = "tastytrade"


class MarketClock(StrEnum):
    SYSTEM = "system"
    SERVER = "server"


class DisconnectPolicy(StrEnum):
    KEEP = "keep"
    NO_NEW = "no-new"


class EngineSettings(Section):
    mode: Mode = Field(
        default=Mode.CONFIRM, description="confirm = a person approves every order; auto = sent if the risk gate passes"
    )
    source: Source = Field(default=Source.POLYGON, description="where prices come from: sim or polygon")
    broker: BrokerName = Field(
        default=BrokerName.PAPER, description="where orders go: sim, paper, tastytrade-cert or tastytrade (real money)"
    )
    live: bool = Field(
        default=False,
        strict=True,
        description='must be true, with broker = "tastytrade" and arming, before real money moves',
    )
    market_clock: MarketClock = Field(
        default=MarketClock.SYSTEM,
        description="system = this machine's clock; server = the data server's /v1/marketstatus/now",
    )
    history_sessions: int = Field(
        default=300, ge=210, le=1000, description="sessions of daily bars kept for indicators"
    )
    scan_every_s: float = Field(
        default=60.0, ge=1, le=3600, description="market seconds between scans of the whole list"
    )
    max_candidates: int = Field(default=24, ge=1, le=200, description="setups whose chains are read in one scan")
    chain_refresh_s: float = Field(
        default=15.0, ge=1, le=600, description="market seconds between re-reads of the shown chain"
    )
    turn_every_s: float = Field(
        default=0.2, ge=0.02, le=5, description="real seconds between the engine's turns when not in lockstep"
    )
    view_every_s: float = Field(default=0.2, ge=0.05, le=5, description="real seconds between snapshots for the screen")
    stale_feed_s: float = Field(
        default=90.0, ge=1, le=3600, description="real seconds without any frame in session before NO-NEW"
    )
    loop_lag_ms: float = Field(
        default=500.0, ge=10, le=10_000, description="engine loop lag (ms) that puts the ladder to NO-NEW"
    )
    journal: str = Field(default="", description="journal file; empty = one per broker in the data folder")


class OrderSettings(Section):
    proposal_ttl_s: float = Field(default=180.0, ge=5, le=3600, description="real seconds a proposal can be approved")
    price_band: float = Field(
        default=0.05, gt=0, le=0.5, description="fraction the mid may move before an approval asks again"
    )
    entry_timeout_s: float = Field(
        default=300.0, ge=5, le=86_400, description="market seconds an entry works before it is cancelled"
    )
    entry_cooldown_s: float = Field(
        default=1800.0, ge=0, le=86_400, description="market seconds before a symbol is tried again"
    )
    exit_reprice_s: float = Field(
        default=15.0, ge=1, le=3600, description="market seconds before an unfilled exit is re-priced"
    )
    walk: bool = Field(
        default=True,
        description="start at the mid, step toward the market; false = send at the worst price, re-price by cancelling",
    )
    walk_every_s: float = Field(default=5.0, ge=0.5, le=600, description="market seconds between steps of a price")
    walk_ticks: int = Field(default=1, ge=1, le=20, description="ticks of one step toward the market")
    resting_exits: bool = Field(
        default=False,
        description="a stop and a target for long options rest at the broker; entries are then not walked",
    )
    poll_s: float = Field(
        default=3.0, ge=0.2, le=60, description="real seconds between order polls (the second witness of fills)"
    )
    reconcile_s: float = Field(
        default=20.0, ge=1, le=600, description="real seconds between comparisons of positions and cash"
    )
    readback_window_s: float = Field(
        default=10.0,
        ge=0.2,
        le=600,
        description="real seconds between the two read-backs that settle an UNKNOWN order as absent",
    )


class DisconnectSettings(Section):
    policy: DisconnectPolicy | None = Field(
        default=None,
        description="what a lost screen means: keep or no-new; unset = no-new in confirm mode, keep in auto",
    )
