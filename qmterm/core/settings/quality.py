"""`[quality]`: how old a price may be before the quality gate refuses it."""

from __future__ import annotations

from pydantic import Field

from qmterm.core.settings.base import Section


class QualitySettings(Section):
    quote_max_age_s: float = Field(
        default=60.0, gt=0, le=3_600, description="oldest option quote that marks, stops and entries believe, seconds"
    )
    spot_max_age_s: float = Field(
        default=120.0, gt=0, le=3_600, description="oldest stock price an option is judged by, seconds"
    )
    silent_stock_min: float = Field(
        default=10.0,
        ge=1,
        le=390,
        description="minutes without a price in session after which a busy stock counts as stale",
    )
