"""`[polygon]`: where market data comes from and how patient, how fast and how stubborn the connections are."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from qmterm.core.settings.base import Section


class Plan(StrEnum):
    BASIC = "basic"
    STARTER = "starter"
    DEVELOPER = "developer"
    ADVANCED = "advanced"


class PolygonSettings(Section):
    """The keys themselves are secrets (QMTERM_POLYGON_KEY) and never live here."""

    rest_url: str = Field(default="https://api.polygon.io", description="base address of the REST service")
    ws_url: str = Field(
        default="wss://socket.polygon.io",
        description="base address of the streams (/stocks and /options are added); delayed plans: wss://delayed.polygon.io",
    )
    plan: Plan = Field(
        default=Plan.ADVANCED, description="your plan; it sets the request budget: basic 5 a minute, others 80 a second"
    )
    calls_per_minute: int = Field(
        default=0, ge=0, le=60_000, description="REST calls a minute; 0 = what the plan allows"
    )
    rest_threads: int = Field(default=4, ge=1, le=16, description="REST calls in flight at the same time")
    connect_timeout_s: float = Field(default=5.0, gt=0, le=60, description="seconds to wait for a REST connection")
    read_timeout_s: float = Field(
        default=10.0, gt=0, le=120, description="seconds without a byte before a REST call fails"
    )
    deadline_s: float = Field(
        default=30.0, gt=0, le=600, description="seconds one REST call may take in all, body included"
    )
    attempts: int = Field(default=3, ge=1, le=10, description="tries of a REST call that failed for a passing reason")
    page_cap: int = Field(
        default=200, ge=1, le=2_000, description="most pages read of one answer; more is an error, not a short list"
    )
    open_timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="seconds for a stream to connect, and again to log in"
    )
    ping_s: float = Field(
        default=20.0, gt=0, le=120, description="seconds between keepalive pings, and to wait for the pong"
    )
    mute_after_s: float = Field(
        default=75.0,
        ge=0,
        le=3_600,
        description="market seconds without a frame in a session before the stream reconnects; 0 = never",
    )
    canaries: tuple[str, ...] = Field(
        default=("SPY", "QQQ"),
        description="symbols always listened to, so that a mute stream is noticed within seconds; where the market "
        "lacks them its most active two; [] = none",
    )
    canary_silence_s: float = Field(
        default=4.5,
        ge=0,
        le=600,
        description="market seconds of silence of the canaries that mean a mute stream; 0 = never",
    )
    record_frames: bool = Field(default=False, description="keep the raw stream frames on disk, compressed")
    record_limit_mb: int = Field(
        default=20_000, ge=10, le=10_000_000, description="disk room of recorded frames, MB; the oldest go first"
    )
    record_keep_days: int = Field(
        default=30, ge=1, le=3_650, description="days after which recorded frames are deleted"
    )
    backoff_min_s: float = Field(default=0.5, gt=0, le=60, description="first wait before a stream reconnects, seconds")
    backoff_max_s: float = Field(
        default=30.0, gt=0, le=600, description="longest wait before a stream reconnects, seconds"
    )
    max_connections_wait_s: float = Field(
        default=60.0, gt=0, le=3_600, description="wait after the server counted too many connections, seconds"
    )
    subscribe_chunk: int = Field(default=250, ge=1, le=5_000, description="channels in one subscribe message")
    options_quote_limit: int = Field(
        default=1_000, ge=1, le=1_000, description="option contracts with live quotes (vendor's limit)"
    )
    bar_grace_s: float = Field(
        default=2.0, ge=0, le=60, description="seconds after its end before a bar counts as complete"
    )

    @field_validator("rest_url")
    @classmethod
    def _rest_address(cls, value: str) -> str:
        return _address(value, ("http", "https"))

    @field_validator("ws_url")
    @classmethod
    def _stream_address(cls, value: str) -> str:
        return _address(value, ("ws", "wss"))

    @property
    def budget_per_minute(self) -> int:
        """REST calls a minute: the configured number, else the plan's (paid plans ask to stay under 100 a second)."""
        if self.calls_per_minute:
            return self.calls_per_minute
        return 5 if self.plan is Plan.BASIC else 4_800


def _address(value: str, schemes: tuple[str, ...]) -> str:
    parts = urlsplit(value)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"{value!r} is not an address such as {schemes[-1]}://host")
    return value.rstrip("/")
