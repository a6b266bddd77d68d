"""`[analysis]`: how old what is known of a company may be before it is asked for again."""

from __future__ import annotations

from pydantic import Field

from qmterm.core.settings.base import Section


class AnalysisSettings(Section):
    """Market time; what is younger is not fetched twice."""

    chain_fresh_s: float = Field(default=10.0, ge=0, le=3_600, description="seconds a read option chain stays fresh")
    news_fresh_s: float = Field(default=300.0, ge=0, le=86_400, description="seconds a symbol's news stay fresh")
    facts_fresh_h: float = Field(
        default=12.0,
        ge=0,
        le=168,
        description="hours that profiles, dividends, earnings dates and filings stay fresh",
    )
    patience_s: float = Field(
        default=5.0,
        ge=0,
        le=600,
        description="longest wait for the request budget before an older answer is shown instead, with its age",
    )
