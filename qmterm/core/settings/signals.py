"""`[flow]` and `[news]`: options flow that is watched, and what news may do to new positions."""

from __future__ import annotations

from pydantic import Field

from qmterm.core.settings.base import Section


class FlowSettings(Section):
    """Blocks, sweeps and unusual contracts (never a reason to trade by themselves)."""

    watch_contracts: int = Field(
        default=300,
        ge=0,
        le=20_000,
        description="contracts of positions, candidates and the shown symbol whose trades are streamed; 0 = none",
    )
    block_size: int = Field(default=500, ge=1, le=1_000_000, description="contracts in one print that make it a block")
    log_score: float = Field(
        default=60.0, ge=0, le=100, description="score from which a block or sweep is a line in the log, 0 to 100"
    )


class NewsSettings(Section):
    """Sentiment only ever keeps a trade away."""

    block: bool = Field(
        default=True, description="no new longs while three or more articles of 72 h make a sentiment of -0.5 or less"
    )
    word_list: str = Field(
        default="",
        description="CSV of your own with the columns Word, Positive, Negative (such as Loughran-McDonald) "
        "for articles without insights; empty = the built-in words",
    )
