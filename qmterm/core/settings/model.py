"""The whole configuration, read from TOML text: errors name file, line, key and the nearest valid key."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError

from qmterm.core.errors import ConfigError
from qmterm.core.settings.base import Section
from qmterm.core.settings.broker import PaperSettings, TastytradeSettings
from qmterm.core.settings.connections import PolygonSettings
from qmterm.core.settings.engine import DisconnectSettings, EngineSettings, OrderSettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.settings.screen import ScreenSettings
from qmterm.core.settings.strategy import AtrMatrixSettings, OptionChoiceSettings, ScannerSettings


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
    polygon: PolygonSettings = Field(
        default=PolygonSettings(), description="market data; the key is QMTERM_POLYGON_KEY"
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

    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from error
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        problems = [_explain(problem, text, file) for problem in error.errors()]
        raise ConfigError("\n".join(problems)) from error


def _explain(problem: Mapping[str, Any], text: str, file: str) -> str:
    path = [str(part) for part in problem["loc"]]
    where = f"{file}:{_line_of(path, text)}: {'.'.join(path)}"
    if problem["type"] == "extra_forbidden":
        known = _keys_at(path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"valid keys here: {', '.join(sorted(known))}"
        return f"{where}: unknown key; {hint}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    given = problem.get("input")
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{where}: {message}{shown}"


def _section_of(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _keys_at(path: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        field = model.model_fields.get(part)
        inner = _section_of(field.annotation) if field is not None else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _line_of(path: list[str], text: str) -> int:
    """The line a key stands on; the section's line when the key is not found, 1 when that is not either."""
    section, key = ".".join(path[:-1]), path[-1]
    current, section_line = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        header = re.match(r"^\[\s*([^\[\]]+?)\s*\]", stripped)
        if header:
            current = header.group(1)
            if current in (section, ".".join(path)):
                section_line = number
            continue
        name = re.match(r"""^["']?([\w-]+)["']?\s*=""", stripped)
        if name is None:
            continue
        full = f"{current}.{name.group(1)}" if current else name.group(1)
        if full == ".".join(path) or (current == section and name.group(1) == key):
            return number
    return section_line


def render_config(settings: Settings | None = None) -> str:
    """The commented config.toml: every key with its meaning, unit, range and default, values commented out.

    A value that differs from its default is written uncommented.
    """
    settings = settings or Settings()
    lines = [
        "# qmterm configuration. Every key is optional; what is commented out shows the default.",
        "# Secrets never go here: set QMTERM_POLYGON_KEY, QMTERM_TT_SECRET, QMTERM_TT_REFRESH, QMTERM_TT_ACCOUNT",
        "# in the environment, or store them with `qmterm config secret set NAME`.",
        "",
    ]
    for name, field in Settings.model_fields.items():
        section = getattr(settings, name)
        lines += [f"# {field.description}", f"[{name}]"]
        lines += list(_render_section(section))
        lines.append("")
    return "\n".join(lines)


def _render_section(section: BaseModel) -> Iterator[str]:
    fresh = type(section)()
    for name, field in type(section).model_fields.items():
        value, default = getattr(section, name), getattr(fresh, name)
        bounds = _bounds(field.metadata)
        yield f"# {field.description or name}{bounds}"
        text = _toml_value(value)
        if text is None:
            yield f"# {name} ="
        else:
            yield f"{name} = {text}" if value != default else f"# {name} = {text}"


def _bounds(metadata: list[Any]) -> str:
    parts = [
        f"{symbol} {getattr(item, attribute)}"
        for item in metadata
        for attribute, symbol in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if getattr(item, attribute, None) is not None
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _toml_value(value: Any) -> str | None:
    import enum
    from decimal import Decimal

    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case enum.Enum():
            return f'"{value.value}"'
        case Decimal():
            return f'"{value}"'
        case int() | float():
            return repr(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case Mapping():
            return "{ " + ", ".join(f'"{k}" = {_toml_value(v)}' for k, v in value.items()) + " }" if value else "{}"
        case list() | tuple() | set() | frozenset():
            return "[" + ", ".join(str(_toml_value(item)) for item in value) + "]"
        case _:
            return f'"{value}"'
