"""The whole configuration, read from TOML text: errors name file, line, key and the nearest valid key."""

from __future__ import annotations

import hashlib

from pydantic import Field, ValidationError

from qmterm.core.errors import ConfigError
from qmterm.core.settings import render
from qmterm.core.settings.analysis import AnalysisSettings
from qmterm.core.settings.base import Section
from qmterm.core.settings.broker import PaperSettings, TastytradeSettings
from qmterm.core.settings.connections import PolygonSettings
from qmterm.core.settings.engine import DisconnectSettings, EngineSettings, OrderSettings
from qmterm.core.settings.explain import explain, toml_problem
from qmterm.core.settings.quality import QualitySettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.settings.screen import ScreenSettings
from qmterm.core.settings.signals import FlowSettings, NewsSettings
from qmterm.core.settings.strategy import AtrMatrixSettings, OptionChoiceSettings, ScannerSettings

HEADER = (
    "# qmterm configuration: paper trading on live prices, every order asked first, unless you change that here.",
    "#",
    "# Every key is optional. What is commented out shows the default; take the # away to change it.",
    "# `qmterm config check` reads this file and names what is wrong with it by line and key.",
    "#",
    "# Secrets never go here. Put them into the environment, or into the OS keyring with",
    "# `qmterm config secret set NAME`: QMTERM_POLYGON_KEY, QMTERM_TT_SECRET, QMTERM_TT_REFRESH, QMTERM_TT_ACCOUNT.",
)


class Settings(Section):
    """config.toml, one attribute a section. Every default is safe: paper, confirm, nothing armed."""

    engine: EngineSettings = Field(default=EngineSettings(), description="how the engine runs")
    orders: OrderSettings = Field(
        default=OrderSettings(), description="how long proposals and orders live, when they are checked"
    )
    risk: RiskSettings = Field(default=RiskSettings(), description="whether and how much")
    scanner: ScannerSettings = Field(default=ScannerSettings(), description="which symbols are looked at")
    atr_matrix: AtrMatrixSettings = Field(default=AtrMatrixSettings(), description="the ATR Matrix strategy")
    option_choice: OptionChoiceSettings = Field(default=OptionChoiceSettings(), description="from signal to option")
    flow: FlowSettings = Field(default=FlowSettings(), description="unusual options activity")
    news: NewsSettings = Field(default=NewsSettings(), description="what the news may prevent")
    quality: QualitySettings = Field(default=QualitySettings(), description="which prices are too old to believe")
    polygon: PolygonSettings = Field(
        default=PolygonSettings(), description="market data; the key is QMTERM_POLYGON_KEY"
    )
    analysis: AnalysisSettings = Field(
        default=AnalysisSettings(), description="how old what is known of a company may be"
    )
    tastytrade: TastytradeSettings = Field(
        default=TastytradeSettings(),
        description="orders; secrets are QMTERM_TT_SECRET, QMTERM_TT_REFRESH, QMTERM_TT_ACCOUNT",
    )
    paper: PaperSettings = Field(default=PaperSettings(), description="the paper broker")
    disconnect: DisconnectSettings = Field(default=DisconnectSettings(), description="what a lost screen means")
    ui: ScreenSettings = Field(default=ScreenSettings(), description="the screen")

    def fingerprint(self) -> str:
        """A short hash of every value: the journal keeps it beside each session."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


def parse_settings(text: str, file: str) -> Settings:
    """Settings from TOML text; ConfigError `file:line: section.key: what is wrong, nearest valid key`."""
    import tomli

    text = text.removeprefix("\ufeff")  # some editors put a byte order mark in front
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise ConfigError(toml_problem(str(error), text, file)) from error
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        problems = [explain(problem, text, file, Settings) for problem in error.errors()]
        raise ConfigError("\n".join(problems)) from error


def render_config(settings: Settings | None = None) -> str:
    """The commented config.toml: every key with its meaning, unit, range and default, values commented out.

    A value that differs from its default is written uncommented.
    """
    return "\n".join([*HEADER, "", *render.commented(settings or Settings())])


def render_values(settings: Settings) -> str:
    """The settings in force, without comments: valid TOML that reads back as the same settings."""
    return "\n".join(render.plain(settings))
