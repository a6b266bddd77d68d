"""What the words of the command line mean for a run: settings, speed, limits, first use."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import ValidationError

from qmterm.commands.places import load_settings, places, secret
from qmterm.commands.run import RunOptions, run
from qmterm.commands.simulator import SimWish
from qmterm.core.errors import ConfigError
from qmterm.core.settings.model import Settings

DEMO_START = "2026-03-02T09:29"  # a minute before the open: something happens at once

WELCOME = """\
qmterm: a terminal trading workstation for US stock options.

There is no configuration yet ({config}). Two ways to begin:

  qmterm demo           the whole workstation on a simulated market; no keys, no account, no money
  qmterm config init    writes a commented config.toml; then set QMTERM_POLYGON_KEY and run `qmterm doctor`

With a Polygon key the default is paper trading on live prices: no order leaves this machine.
"""


def from_command_line(
    *,
    auto: bool,
    given: dict[str, str],
    config: Path | None,
    seed: int | None,
    symbols: int,
    start: str | None,
    replay: Path | None,
    speed: str,
    until: str | None,
    for_: str | None,
    journal: Path | None,
    sim_url: str | None,
    sim_token_file: Path | None,
    as_json: bool,
) -> int:
    """`qmterm …` without a command."""
    settings, path = load_settings(config)
    if not auto and not given and path is None and secret("polygon") is None:
        print(WELCOME.format(config=places().config_file), end="")
        return 0
    if auto:
        given = {**given, "mode": "auto"}
    settings = with_engine(settings, given)
    options = RunOptions(
        screen=not auto,
        as_json=as_json,
        sim=SimWish(seed=seed, symbols=symbols, start=start, speed=parse_speed(speed), replay=replay),
        until=parse_until(until),
        for_s=parse_duration(for_),
        journal=journal,
        sim_url=sim_url,
        sim_token_file=sim_token_file,
    )
    return run(settings, options)


def demo(
    *,
    speed: float,
    symbols: int,
    seed: int,
    auto: bool,
    config: Path | None,
    replay: Path | None = None,
    start: str | None = None,
) -> int:
    """The production code on a simulator of its own."""
    settings, _ = load_settings(config)
    settings = with_engine(settings, {"source": "sim", "broker": "sim", "mode": "auto" if auto else "confirm"})
    begin = start or (None if replay is not None else DEMO_START)
    wish = SimWish(world_seed=seed, symbols=symbols, speed=speed, start=begin, replay=replay)
    return run(settings, RunOptions(sim=wish))


def with_engine(settings: Settings, given: dict[str, str]) -> Settings:
    """Settings with `[engine]` values from the command line; ConfigError names the option."""
    try:
        engine = type(settings.engine).model_validate({**settings.engine.model_dump(mode="json"), **given})
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0]).replace("_", "-")
        raise ConfigError(f"--{name} {problem.get('input')!r}: {problem['msg']}") from error
    return settings.model_copy(update={"engine": engine})


def parse_speed(text: str) -> float | None:
    """`max` is None."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 3600:
        raise ConfigError(f"--speed {text!r}: give a number above 0 and at most 3600, or max")
    return speed


def parse_until(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if match is None or int(match.group(1)) > 23 or int(match.group(2)) > 59:
        raise ConfigError(f"--until {text!r}: give a New York time such as 11:30")
    return int(match.group(1)), int(match.group(2))


def parse_duration(text: str | None) -> float | None:
    """`90s`, `5m`, `2h` or plain seconds, in seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if match is None or float(match.group(1)) <= 0:
        raise ConfigError(f"--for {text!r}: give a time such as 90s, 5m or 2h")
    return float(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)]
