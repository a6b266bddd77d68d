"""Settings of the screen, `[ui]` in config.toml: theme, pace, keys, and from what age a number is drawn as old."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from qmterm.core.settings.base import Section


def _as_list(value: object) -> object:
    """`approve = "a"` means the same as `approve = ["a"]`."""
    return [value] if isinstance(value, str) else value


KeyList = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
AgeSteps = tuple[float, float, float]


class ScreenSettings(Section):
    theme: str = Field(default="midnight", description="name of a theme file in themes/ (without .toml)")
    frames_per_second: float = Field(default=5.0, ge=1, le=20, description="frames per second of all panes together")
    mouse: bool = Field(default=True, description="mouse clicks and wheel; false lets the terminal select text")
    keys: dict[str, KeyList] = Field(
        default_factory=dict,
        description='own keys by action id, e.g. { approve = "a", "chain.buy" = ["b", "ctrl+b"] }',
    )
    aliases: dict[str, str] = Field(
        default_factory=lambda: {"OMON": "chain", "PF": "pos", "TOP": "scan", "MOST": "scan", "BLOT": "orders"},
        description="upper-case codes of the command line and the verb each stands for",
    )
    quote_age_s: AgeSteps = Field(
        default=(2.0, 5.0, 15.0), description="seconds from which a quote is dim, marked ~, struck out"
    )
    bar_age_s: AgeSteps = Field(
        default=(70.0, 130.0, 310.0), description="the same for scanner rows, which live on minute bars (seconds)"
    )
    confirm_timeout_s: float = Field(
        default=20.0, ge=5, le=120, description="seconds after which the confirm dialog closes"
    )
    confirm_ticks: float = Field(
        default=2.0, ge=0.5, le=20, description="ticks the mid may move before the dialog closes"
    )

    @model_validator(mode="after")
    def _ages_rise(self) -> ScreenSettings:
        for name in ("quote_age_s", "bar_age_s"):
            steps: AgeSteps = getattr(self, name)
            if not 0 < steps[0] < steps[1] < steps[2]:
                raise ValueError(f"{name} needs three rising numbers of seconds, not {list(steps)}")
        return self
