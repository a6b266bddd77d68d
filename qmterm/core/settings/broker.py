"""`[tastytrade]` and `[paper]`: where orders go, how patient the calls are, how the pretend fills behave.

Secrets (QMTERM_TT_SECRET, QMTERM_TT_REFRESH, QMTERM_TT_ACCOUNT) never live here. When an order is read back and how
often orders are polled is `[orders]`'s business.
"""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from qmterm.core.settings.base import Section

LIVE_REST_URL = "https://api.tastyworks.com"
LIVE_STREAMER_URL = "wss://streamer.tastyworks.com"
CERT_REST_URL = "https://api.cert.tastyworks.com"
CERT_STREAMER_URL = "wss://streamer.cert.tastyworks.com"


class TastytradeSettings(Section):
    """Addresses left empty mean the real hosts of `broker = "tastytrade"` or `"tastytrade-cert"`."""

    rest_url: str = Field(
        default="", description="REST address; empty = tastytrade's own (cert or live, as `broker` says)"
    )
    streamer_url: str = Field(default="", description="account stream address; empty = tastytrade's own")
    connect_timeout_s: float = Field(default=5.0, gt=0, le=60, description="seconds to wait for a connection")
    read_timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=120,
        description="seconds to wait for an answer; an order without one is UNKNOWN, not refused",
    )
    question_timeout_s: float = Field(
        default=4.0,
        gt=0,
        le=120,
        description="seconds to wait for the answer of a poll, a read-back or the login; asked again, so less than an "
        "order's",
    )
    keepalive_s: float = Field(
        default=120.0,
        ge=5,
        le=3_600,
        description="seconds an idle connection is kept, so that no order pays for a new one",
    )
    warm_every_s: float = Field(
        default=30.0, gt=0, le=600, description="seconds of idleness after which a small call keeps the connection warm"
    )
    refresh_ahead_s: float = Field(
        default=180.0, ge=90, le=600, description="seconds before its end at which the access token (15 min) is renewed"
    )
    calls_per_second: float = Field(
        default=8.0, gt=0, le=50, description="REST calls a second on average; cancels go first"
    )
    burst: int = Field(default=16, ge=1, le=200, description="REST calls that may go at once before the average binds")
    page_size: int = Field(default=200, ge=10, le=250, description="orders asked for in one page of the history")
    stream_open_timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="seconds for the account stream to come up"
    )
    stream_mute_after_s: float = Field(
        default=0.0,
        ge=0,
        le=3_600,
        description="seconds without any message before the account stream reconnects; 0 = trust the pings",
    )
    backoff_min_s: float = Field(
        default=0.5, gt=0, le=60, description="first wait before the stream reconnects, seconds"
    )
    backoff_max_s: float = Field(
        default=30.0, gt=0, le=600, description="longest wait before the stream reconnects, seconds"
    )

    @field_validator("rest_url")
    @classmethod
    def _rest_address(cls, value: str) -> str:
        return _address(value, ("http", "https"))

    @field_validator("streamer_url")
    @classmethod
    def _stream_address(cls, value: str) -> str:
        return _address(value, ("ws", "wss"))


class PaperSettings(Section):
    """The broker inside the program: orders fill against the live quotes, nothing leaves the machine."""

    starting_cash: Decimal = Field(
        default=Decimal(100_000), gt=0, description="dollars a new paper account starts with"
    )
    participation: float = Field(
        default=0.5, gt=0, le=1, description="share of the displayed size that one execution takes"
    )
    max_quote_age_s: float = Field(
        default=30.0, gt=0, le=3_600, description="quotes older than this fill nothing, seconds"
    )
    latency_ms: float = Field(
        default=50.0,
        ge=0,
        le=60_000,
        description="milliseconds of market time until an order works and until a cancel holds",
    )
    early_assignment: bool = Field(
        default=True,
        description="sold stock options may be assigned before their end: before an ex-date, and deep puts",
    )


def _address(value: str, schemes: tuple[str, ...]) -> str:
    if not value:
        return ""
    parts = urlsplit(value)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"{value!r} is not an address such as {schemes[-1]}://host")
    return value.rstrip("/")
