"""What the broker says an account may do, beside what it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountFlags:
    """The broker's own words on the account; `day_trade_count` over its rolling five sessions, None = not told."""

    closed: bool = False
    frozen: bool = False
    closing_only: bool = False
    risk_reducing_only: bool = False
    margin_call: bool = False
    short_calls: bool = True
    day_trade_count: int | None = None

    @property
    def restriction(self) -> str:
        """Why nothing may be opened, "" when it may."""
        said = (
            (self.closed, "the account is closed"),
            (self.frozen, "the account is frozen"),
            (self.closing_only, "the account may only close positions"),
            (self.risk_reducing_only, "the account may only reduce risk"),
            (self.margin_call, "the account has an open margin call"),
        )
        return next((words for is_so, words in said if is_so), "")
